//! Whose credentials are tried: those of the pull Secrets, else those of the webhook.

use assay_core::ports::{
    CredentialError, CredentialSource, PullIdentity, PullSecret, PullSecretFormat, PullSecretSource,
};
use async_trait::async_trait;
use serde_json::json;

use super::docker_config::plain;
use super::*;
use crate::pull_credentials::SECRETS_BYTES_MAX;
use crate::{CredentialChain, PullCredentials};

type Held = Result<Vec<Arc<PullSecret>>, CredentialError>;

/// Has the same Secrets for everyone.
struct Holder(Held);

#[async_trait]
impl PullSecretSource for Holder {
    async fn secrets(&self, _: &PullIdentity, _: &str) -> Held {
        self.0.clone()
    }
}

fn secret(name: &str, text: impl ToString) -> Arc<PullSecret> {
    let format = PullSecretFormat::DockerConfigJson;
    Arc::new(PullSecret { name: name.to_owned(), format, bytes: Bytes::from(text.to_string()) })
}

fn entry(server: &str, user: &str) -> Arc<PullSecret> {
    secret("pull", json!({"auths": {server: {"username": user, "password": "hunter2"}}}))
}

/// The credentials for `registry.example/app` of whoever has these Secrets, where the webhook has its
/// own.
async fn find(held: Held) -> Result<Vec<String>, CredentialError> {
    let own = Holder(Ok(vec![entry("registry.example", "webhook")]));
    let chain = [Holder(held), own].map(|holder| {
        Arc::new(PullCredentials::new(Arc::new(holder))) as Arc<dyn CredentialSource>
    });
    let identity = PullIdentity { namespace: "team".to_owned(), ..PullIdentity::default() };
    let repository = Repository::new("registry.example", "app");
    let found = CredentialChain::new(chain.into()).credentials(&repository, &identity).await?;
    Ok(found.into_iter().map(plain).collect())
}

#[tokio::test]
async fn the_requests_own_come_first_and_alone() {
    let own = "registry.example";
    for (held, expect) in [
        (vec![], vec!["webhook:hunter2"]),
        (vec![entry("other.example", "a")], vec!["webhook:hunter2"]),
        (vec![entry(own, "a")], vec!["a:hunter2"]),
        (vec![entry(own, "b"), entry(own, "a")], vec!["b:hunter2", "a:hunter2"]),
        (vec![entry("*.example", "a"), entry(own, "b")], vec!["b:hunter2", "a:hunter2"]),
    ] {
        assert_eq!(find(Ok(held)).await.unwrap(), expect);
    }
}

#[tokio::test]
async fn an_error_of_the_requests_own_makes_nobody_the_webhook() {
    let host = || "registry.example".to_owned();
    let away = CredentialError::Unavailable { host: host(), reason: "away".to_owned() };
    assert_eq!(find(Err(away.clone())).await, Err(away));

    let error = find(Ok(vec![entry("registry.example", "a"), secret("bad", "hunter2")])).await;
    let reason = "Secret 'bad' holds no Docker configuration".to_owned();
    assert_eq!(error, Err(CredentialError::Unusable { host: host(), reason }));
}

#[tokio::test]
async fn reads_a_bounded_number_of_bytes() {
    let half = || secret("half", padded("{}", SECRETS_BYTES_MAX / 2));
    assert!(find(Ok(vec![half(), half()])).await.is_ok());
    let error = find(Ok(vec![half(), half(), secret("one", "{}")])).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("exceed 262144 bytes"), "{error}");
}
