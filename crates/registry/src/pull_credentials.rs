//! Whose credentials are tried: those that a request brings itself, and only where it has none for a
//! registry those of the webhook.

use std::sync::Arc;

use assay_core::ports::{
    CredentialError, CredentialSource, PullIdentity, PullSecret, PullSecretSource,
};
use assay_core::{Credential, Repository};
use async_trait::async_trait;

use crate::keyring::Keyring;

/// Bytes of all pull Secrets of one request, which are parsed for each of its images. A Secret with
/// one registry has some hundred; one may have a million.
pub(crate) const SECRETS_BYTES_MAX: usize = 256 * 1024;

/// The credentials in the pull Secrets of a request, by the kubelet's rules.
pub struct PullCredentials {
    secrets: Arc<dyn PullSecretSource>,
}

impl PullCredentials {
    /// The credentials in what `secrets` has.
    pub fn new(secrets: Arc<dyn PullSecretSource>) -> Self {
        Self { secrets }
    }

    /// The credentials that `secrets` hold for `repository`, in the order in which the kubelet tries
    /// them.
    ///
    /// # Errors
    /// The Secrets are too long, or one holds no Docker configuration: a text that names it, and
    /// nothing that stands in it.
    pub fn held(
        secrets: &[Arc<PullSecret>],
        repository: &Repository,
    ) -> Result<Vec<Credential>, String> {
        let bytes: usize = secrets.iter().map(|secret| secret.bytes.len()).sum();
        if bytes > SECRETS_BYTES_MAX {
            return Err(format!("the pull Secrets exceed {SECRETS_BYTES_MAX} bytes"));
        }
        let mut keyring = Keyring::default();
        for secret in secrets {
            // The error may quote the name of an entry, of any length.
            let wrong = |_| format!("Secret '{}' holds no Docker configuration", secret.name);
            keyring.add_secret(secret).map_err(wrong)?;
        }
        Ok(keyring.credentials(repository))
    }
}

#[async_trait]
impl CredentialSource for PullCredentials {
    async fn credentials(
        &self,
        repository: &Repository,
        identity: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        let host = repository.host();
        let secrets = self.secrets.secrets(identity, host).await?;
        let unusable = |reason| CredentialError::Unusable { host: host.to_owned(), reason };
        Self::held(&secrets, repository).map_err(unusable)
    }
}

/// Sources that are asked in turn: the first that has credentials for a repository has the last word on
/// it.
pub struct CredentialChain(Vec<Arc<dyn CredentialSource>>);

impl CredentialChain {
    /// The chain of `sources`, the first to be asked first.
    pub fn new(sources: Vec<Arc<dyn CredentialSource>>) -> Self {
        Self(sources)
    }
}

#[async_trait]
impl CredentialSource for CredentialChain {
    async fn credentials(
        &self,
        repository: &Repository,
        identity: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        for source in &self.0 {
            let found = source.credentials(repository, identity).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}
