//! What is never logged, not even where everything is: passwords, tokens, keys, and what stands in
//! pods.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use assay_testkit::{Auth, Credentials, RegistryOptions, ReviewClient, TestAuthority};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Signed, Stage, in_time, until};

/// Whatever is secret holds one of these.
const SECRETS: [&str; 3] = ["hunter2", "token-1", "BEGIN PRIVATE KEY"];

/// The last segment of the path that reviews are posted to.
const PATH_TOKEN: &str = "hunter2-path-token";

fn credentials() -> Credentials {
    Credentials { user: "robot".to_owned(), password: "hunter2-password".to_owned() }
}

/// A review of a new pod that runs `image`, and holds a secret.
fn review(image: &str) -> Value {
    let secret = json!({"name": "PASSWORD", "value": "hunter2-in-a-pod"});
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "default",
            "operation": "CREATE",
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web"},
                "spec": {"containers": [{"name": "main", "image": image, "env": [secret]}]},
            },
        },
    })
}

/// The response to [`review`], and all that was logged from start to end, at every level.
async fn serve(stage: &Stage, docker_config: &Value) -> (Value, String) {
    let folder = &stage.folder;
    folder.write("docker/config.json", &docker_config.to_string());
    let authority = TestAuthority::generate().unwrap();
    let issued = authority.issue(&["127.0.0.1"]).unwrap();
    folder.write("tls.crt", &issued.certificate_pem);
    folder.write("tls.key", &issued.key_pem);
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [webhook, metrics, health] =
        listeners.map(|listener| -> SocketAddr { listener.local_addr().unwrap() });
    let registry = stage.registry.host();
    let configuration = format!(
        r#"apiVersion: assay.dev/v1alpha1
kind: Configuration
kubernetes: false
policies: [policy.yaml]
webhook: {{listen: "{webhook}", certFile: tls.crt, keyFile: tls.key, pathToken: {PATH_TOKEN}, drainDelay: 0s}}
metrics: {{listen: "{metrics}"}}
health: {{listen: "{health}"}}
registries: [{{host: "{registry}", plainHttp: true}}]
"#
    );
    folder.write("assay.yaml", &configuration);
    let log = folder.path().join("log");
    let mut command = folder.assay();
    command.args(["serve", "--config", "assay.yaml"]).env("ASSAY_LOG", "trace");
    let mut assay =
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let ca = authority.certificate_pem();
    let connect = async || ReviewClient::connect(webhook, &ca).await.ok();
    let mut client = until("the webhook", connect).await;

    let image = stage.push("shop/web", Signed::InBundle);
    let body = review(&image).to_string();
    let path = format!("/validate/{PATH_TOKEN}?timeout=10s");
    let answer = in_time(client.post(&path, body.clone().into())).await.unwrap();
    let stranger = in_time(client.post("/validate/hunter2-guess", body.into())).await.unwrap();
    assert_eq!((answer.status.as_u16(), stranger.status.as_u16()), (200, 404));
    let id = assay.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert_eq!(in_time(assay.wait()).await.unwrap().code(), Some(0));
    let response = serde_json::from_slice::<Value>(&answer.body).unwrap()["response"].take();
    (response, fs::read_to_string(log).unwrap())
}

#[tokio::test]
async fn no_log_holds_a_secret() {
    let basic = credentials().basic();
    let encoded = basic.trim_start_matches("Basic ");
    let password = json!({"auth": encoded});
    let identity = json!({"auth": "", "identitytoken": "hunter2-identity-token"});
    let bearer = |credentials| Auth::Bearer { credentials, realm: None };
    for (name, auth, entry, sent, admitted) in [
        ("basic", Auth::Basic(credentials()), &password, basic.as_str(), true),
        ("a token for a password", bearer(Some(credentials())), &password, "Bearer token-1", true),
        // The testkit's endpoint has nothing for it, and the image stays unread.
        ("a token for an identity token", bearer(None), &identity, "", false),
    ] {
        let options = RegistryOptions { auth, ..RegistryOptions::default() };
        let stage = Stage::with(options).await;
        let config = json!({"auths": {stage.registry.host(): entry}});
        let (response, log) = serve(&stage, &config).await;
        assert_eq!(response["allowed"], admitted, "{name}: {response}");
        let requests = stage.registry.requests();
        let authorizations = requests.iter().filter_map(|request| request.authorization.as_deref());
        assert!(sent.is_empty() || authorizations.clone().any(|header| header == sent), "{name}");
        assert!(!sent.is_empty() || requests.iter().any(|request| request.method == "POST"));

        for said in [r#""level":"TRACE""#, r#""message":"answered""#, r#""message":"stopped""#] {
            assert!(log.contains(said), "{name}: no {said} in\n{log}");
        }
        for secret in SECRETS.iter().chain(&[encoded]) {
            assert!(!log.contains(secret), "{name}: {secret} in\n{log}");
        }
    }
}
