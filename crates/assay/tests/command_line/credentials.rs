//! In whose name registries are asked: a pod's own, by its pull Secrets, and Assay's, by a credential
//! provider.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use assay_testkit::{Auth, Credentials, RegistryOptions};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::cluster::{kubeconfig, serve_cluster};
use crate::serve::{Addresses, Server};
use crate::support::{Signed, Stage, with};

/// `user:secret`.
const AUTH: &str = "dXNlcjpzZWNyZXQ=";

/// A stage whose registry lets `user` in, and nobody else.
async fn private() -> Stage {
    let credentials = Credentials { user: "user".to_owned(), password: "secret".to_owned() };
    Stage::with(RegistryOptions { auth: Auth::Basic(credentials), ..Default::default() }).await
}

/// A credential provider that knows `user`.
const PROVIDER: &str = r#"#!/bin/sh
cat >/dev/null
echo '{"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderResponse",
"cacheKeyType": "Registry", "auth": {"127.*.0.1:PORT": {"username": "user", "password": "secret"}}}'
"#;

const PROVIDERS: &str = r#"
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: fake-provider
  matchImages: ["127.0.0.*:PORT"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
"#;

const CONFIGURATION: &str = "apiVersion: assay.dev/v1alpha1\nkind: Configuration\n\
    credentials: {providerConfigFile: node/providers.yaml, providerBinDir: node/bin}\n";

#[tokio::test]
async fn asks_a_credential_provider_as_the_kubelet_does() {
    let stage = private().await;
    let image = stage.push("shop/web", Signed::InBundle);
    let host = stage.registry.host();
    let (_, port) = host.split_once(':').unwrap();
    let folder = &stage.folder;
    folder.write("assay.yaml", CONFIGURATION);
    let providers = PROVIDERS.replace("PORT", port);
    folder.write("node/providers.yaml", &providers);
    let verify = async || stage.verify(&["--config", "assay.yaml", &image]).await;
    let absent = ["credentials.providerConfigFile", "there is no program", "bin/fake-provider"];
    verify().await.check_refused("no program", &absent);

    let program = folder.write("node/bin/fake-provider", &PROVIDER.replace("PORT", port));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    verify().await.check("the provider's", 0, &["allow "], &[]);
    let other = with(&providers, "127.0.0.*", "127.0.1.*");
    folder.write("node/providers.yaml", &other);
    verify().await.check("another registry's", 1, &["REGISTRY_DENIED"], &[]);
    folder.write("node/providers.yaml", &with(&providers, "127.0.0.*", " "));
    verify().await.check_refused("no pattern", &["matchImages of fake-provider: ' :"]);
    folder.write("node/providers.yaml", &with(&providers, "matchImages", "images"));
    verify().await.check_refused("unknown field", &["providers[0].images: unknown field"]);
}

/// The Secret `name` that lets in at `host` who has `auth`.
fn secret(name: &str, host: &str, auth: &str) -> Value {
    let config = json!({"auths": {host: {"auth": auth}}}).to_string();
    let config = ByteString(config.into_bytes());
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": config},
    })
}

#[tokio::test]
async fn reads_in_the_name_of_the_pod_where_that_is_granted() {
    let stage = private().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let image = stage.push("shop/web", Signed::InBundle);
    let host = stage.registry.host();
    let objects = [
        ("default/secrets/good", secret("good", &host, AUTH)),
        ("default/secrets/bad", secret("bad", &host, "dXNlcjp3cm9uZw==")),
        ("default/secrets/other", secret("other", "registry.example", AUTH)),
        ("other/secrets/theirs", secret("theirs", &host, AUTH)),
    ];
    let objects = objects.map(|(at, object)| (format!("/api/v1/namespaces/{at}"), object));
    let Addresses([api_server, ..]) = Addresses::free();
    stage.folder.write("kubeconfig", &kubeconfig(api_server));
    tokio::spawn(serve_cluster(api_server, Arc::new(objects.into())));
    for (grant, secrets, expect) in [
        ("all", vec!["good"], "allow"),
        ("all", vec!["bad"], "REGISTRY_DENIED"),
        ("all", vec!["other", "bad", "good"], "allow"),
        ("all", vec!["other"], "REGISTRY_DENIED"),
        ("all", vec![], "REGISTRY_DENIED"),
        ("all", vec!["theirs"], "(HTTP 403)"),
        ("{namespaces: [default]}", vec!["good"], "allow"),
        ("{namespaces: [other]}", vec!["good"], "REGISTRY_DENIED"),
        ("none", vec!["good"], "REGISTRY_DENIED"),
    ] {
        let granted = format!("kubernetes: true\ncredentials: {{pullSecrets: {grant}}}");
        let change = |text: &str| with(text, "kubernetes: false", &granted);
        let mut server = Server::listening(&stage, change).await;
        server.ready().await;
        let names: Vec<_> = secrets.iter().map(|name| json!({"name": name})).collect();
        let container = json!({"name": "main", "image": image});
        let spec = json!({"containers": [container], "imagePullSecrets": names});
        let answer = server.post_pod(spec).await;
        let review: Value = serde_json::from_slice(&answer.body).unwrap();
        let response = &review["response"];
        let message = response["status"]["message"].as_str().unwrap_or("allow");
        assert_eq!(response["allowed"], expect == "allow", "{grant} {secrets:?}: {response}");
        assert!(message.contains(expect), "{grant} {secrets:?}: {message}");
        assert!(!server.log().contains(AUTH), "{}", server.log());
        assert_eq!(server.terminate().await.code(), Some(0));
    }
}

#[tokio::test]
async fn rejects_a_grant_without_a_cluster() {
    let stage = Stage::start().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let server = Server::listening(&stage, str::to_owned).await;
    server.terminate().await;
    let text = fs::read_to_string(stage.folder.path().join("assay.yaml")).unwrap();
    let granted = with(&text, "kubernetes: false", "credentials: {pullSecrets: all}");
    stage.folder.write("assay.yaml", &granted);
    let ended = stage.folder.run(&["serve", "--config", "assay.yaml"]).await;
    let expect = "credentials.pullSecrets needs a cluster, and none is configured";
    ended.check_refused("no cluster", &[expect]);
}
