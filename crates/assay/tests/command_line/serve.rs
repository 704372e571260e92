//! `assay serve`, from its configuration file to SIGTERM: what it serves, what it takes up while it
//! runs, and what it does not start with.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::{ExitStatus, Stdio};

use assay_testkit::cosign::SigningKey;
use assay_testkit::{Answer, ReviewClient, TestAuthority};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{Folder, Signed, Stage, in_time, policy, store_of, until, with};

/// What the webhook, metrics and health listen on.
pub(crate) struct Addresses(pub(crate) [SocketAddr; 3]);

impl Addresses {
    /// Addresses that were free a moment ago.
    pub(crate) fn free() -> Self {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        Self(listeners.map(|listener| listener.local_addr().unwrap()))
    }
}

/// A configuration over the policies in `policies`, and what its certificate is issued by.
fn configure(folder: &Folder, addresses: &Addresses, registry: &str) -> (String, TestAuthority) {
    let authority = TestAuthority::generate().unwrap();
    let issued = authority.issue(&["127.0.0.1"]).unwrap();
    folder.write("tls/tls.crt", &issued.certificate_pem);
    folder.write("tls/tls.key", &issued.key_pem);
    let [webhook, metrics, health] = addresses.0;
    let configuration = format!(
        r#"apiVersion: assay.dev/v1alpha1
kind: Configuration
kubernetes: false
policies: [policies]
webhook: {{listen: "{webhook}", drainDelay: 0s, certFile: tls/tls.crt, keyFile: tls/tls.key}}
metrics: {{listen: "{metrics}"}}
health: {{listen: "{health}"}}
registries: [{{host: "{registry}", plainHttp: true}}]
"#
    );
    (configuration, authority)
}

/// A webhook that is ready.
pub(crate) struct Server<'a> {
    folder: &'a Folder,
    child: Child,
    addresses: Addresses,
    client: ReviewClient,
}

impl<'a> Server<'a> {
    /// Over the policies that are in the folder `policies`.
    pub(crate) async fn start(stage: &'a Stage) -> Self {
        Self::start_with(stage, "0s").await
    }

    /// The same, that serves on for so long when it is terminated.
    async fn start_with(stage: &'a Stage, drain_delay: &str) -> Self {
        let delay = |value| format!("drainDelay: {value}");
        let mut server =
            Self::listening(stage, |text| with(text, &delay("0s"), &delay(drain_delay))).await;
        server.ready().await;
        server
    }

    /// The same, with `change` made to its configuration, and ready or not.
    pub(crate) async fn listening(stage: &'a Stage, change: impl FnOnce(&str) -> String) -> Self {
        let (folder, addresses) = (&stage.folder, Addresses::free());
        let (configuration, authority) = configure(folder, &addresses, &stage.registry.host());
        folder.write("assay.yaml", &change(&configuration));
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = folder.assay();
        command.env("KUBECONFIG", folder.path().join("kubeconfig"));
        command.args(["serve", "--config", "assay.yaml"]).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let (webhook, ca) = (addresses.0[0], authority.certificate_pem());
        let client = until("the webhook", async || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended");
            ReviewClient::connect(webhook, &ca).await.ok()
        });
        Self { client: client.await, folder, child, addresses }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) {
        until("readiness", async || (self.readiness().await?.0 == 200).then_some(())).await;
    }

    /// Status and text of its readiness.
    pub(crate) async fn readiness(&mut self) -> Option<(u16, String)> {
        assert_eq!(self.child.try_wait().unwrap(), None, "it ended");
        get(self.addresses.0[2], "/readyz").await
    }

    /// The response to the review of a new pod that runs `image`.
    pub(crate) async fn review(&mut self, image: &str) -> Value {
        let answer = self.post(image).await;
        assert_eq!(answer.status, 200);
        serde_json::from_slice::<Value>(&answer.body).unwrap()["response"].take()
    }

    /// The answer to that review.
    pub(crate) async fn post(&mut self, image: &str) -> Answer {
        self.post_pod(json!({"containers": [{"name": "main", "image": image}]})).await
    }

    /// The answer to the review of a new pod that is specified so.
    pub(crate) async fn post_pod(&mut self, spec: Value) -> Answer {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "default",
                "operation": "CREATE",
                "userInfo": {"username": "developer"},
                "object": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "web", "namespace": "default"},
                    "spec": spec,
                },
            },
        });
        let answer = self.client.post("/validate?timeout=10s", review.to_string().into());
        in_time(answer).await.unwrap()
    }

    /// Waits until `image` is admitted.
    pub(crate) async fn admits(&mut self, image: &str) {
        until("an admission", async || {
            self.review(image).await["allowed"].as_bool()?.then_some(())
        })
        .await;
    }

    /// Waits until `image` is refused with a message that holds `text`.
    pub(crate) async fn refuses(&mut self, image: &str, text: &str) {
        until(text, async || {
            let response = self.review(image).await;
            assert!(response["allowed"] == true || response["status"]["code"] == 403);
            response["status"]["message"].as_str()?.contains(text).then_some(())
        })
        .await;
    }

    pub(crate) async fn metrics(&self) -> String {
        get(self.addresses.0[1], "/metrics").await.unwrap().1
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Asks it to end as kubelet would.
    async fn signal(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    }

    /// Ends it as kubelet would.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal().await;
        in_time(self.child.wait()).await.unwrap()
    }
}

/// Status and body of a page; nothing where nobody listens.
async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[tokio::test]
async fn answers_counts_logs_and_stops() {
    let stage = Stage::start().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let good = stage.push("shop/web", Signed::InBundle);
    let bad = stage.push("shop/debug", Signed::Not);
    let mut server = Server::start(&stage).await;

    let admitted = server.review(&good).await;
    assert_eq!((&admitted["allowed"], &admitted["warnings"]), (&json!(true), &Value::Null));
    let refused = server.review(&bad).await;
    assert_eq!((&refused["allowed"], &refused["status"]["code"]), (&json!(false), &json!(403)));
    let message = refused["status"]["message"].as_str().unwrap();
    let (told, id) = message.split_once(" (request ").unwrap();
    assert!(told.starts_with("[release-images] Subject failed verification: "), "{message}");
    assert!(
        told.ends_with("SIGNATURE_NOT_FOUND: no signature by a key of release-keys"),
        "{message}"
    );

    let page = server.metrics().await;
    for sample in [
        r#"assay_admission_requests_total{decision="allow",dry_run="false",operation="CREATE",resource="pods"} 1"#,
        r#"assay_admission_requests_total{decision="deny",dry_run="false",operation="CREATE",resource="pods"} 1"#,
        r#"assay_admission_duration_seconds_count{cache="miss",decision="deny",resource="pods"} 1"#,
        r#"assay_image_verifications_total{reason="SIGNATURE_NOT_FOUND",result="missing",verifier="cosign"} 1"#,
        r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="ready"} 1"#,
        r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="invalid"} 0"#,
        "assay_admission_denials_total{enforcement_action=\"deny\",namespace=\"default\",policy=\"release-images\",reason=\"SIGNATURE_NOT_FOUND\",registry=",
        "assay_registry_requests_total{code=\"200\",",
        "assay_cache_requests_total{",
        "assay_build_info{",
    ] {
        assert!(page.lines().any(|line| line.starts_with(sample)), "no {sample} in\n{page}");
    }
    let health = server.addresses.0[2];
    assert_eq!(get(health, "/healthz").await.unwrap().0, 200);
    assert_eq!(get(health, "/metrics").await.unwrap().0, 404);

    let log = server.log();
    let answered: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "answered")
        .collect();
    assert_eq!(answered.len(), 2, "{log}");
    assert_eq!(answered[1]["request_id"], id.trim_end_matches(')'));

    assert_eq!(server.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn serves_on_when_it_is_terminated_and_is_no_longer_ready() {
    let stage = Stage::start().await;
    stage.folder.write("policies/policy.yaml", &stage.documents());
    let image = stage.push("shop/web", Signed::InBundle);
    let mut server = Server::start_with(&stage, "1h").await;
    server.signal().await;
    let health = server.addresses.0[2];
    until("unreadiness", async || (get(health, "/readyz").await?.0 == 503).then_some(())).await;
    assert_eq!(get(health, "/healthz").await.unwrap().0, 200);
    assert_eq!(server.review(&image).await["allowed"], true);
}

#[tokio::test]
async fn takes_up_a_changed_certificate_and_keeps_the_last_good_one() {
    let stage = Stage::start().await;
    let folder = &stage.folder;
    folder.write("policies/policy.yaml", &stage.documents());
    let server = Server::start(&stage).await;
    let expiry = "\nassay_tls_certificate_expiry_timestamp_seconds ";
    assert!(server.metrics().await.contains(expiry));

    let authority = TestAuthority::generate().unwrap();
    let issued = authority.issue(&["127.0.0.1"]).unwrap();
    folder.write("tls/tls.key", &issued.key_pem);
    let complaint = "the last good certificate stays: the certificate in tls/tls.crt and the key";
    until("the complaint", async || server.log().contains(complaint).then_some(())).await;
    folder.write("tls/tls.crt", &issued.certificate_pem);
    let (webhook, ca) = (server.addresses.0[0], authority.certificate_pem());
    until("the new one", async || ReviewClient::connect(webhook, &ca).await.ok()).await;
}

#[tokio::test]
async fn takes_up_a_changed_policy_and_keeps_the_last_good_one() {
    let stage = Stage::start().await;
    let good = stage.documents();
    stage.folder.write("policies/policy.yaml", &good);
    let image = stage.push("shop/web", Signed::InBundle);
    let mut server = Server::start(&stage).await;
    server.admits(&image).await;

    let closed = with(&good, "require: {all: [release-signature]}", "deny: closed today");
    stage.folder.write("policies/policy.yaml", &closed);
    server.refuses(&image, "IMAGE_DENIED: closed today").await;

    stage
        .folder
        .write("policies/policy.yaml", &with(&good, "spec:\n  requireDigest", "spec:\n  more"));
    until("the complaint", async || {
        let log = server.log();
        (log.contains("spec.more: unknown field") && log.contains("last good version stays"))
            .then_some(())
    })
    .await;
    server.refuses(&image, "IMAGE_DENIED: closed today").await;

    stage.folder.write("policies/policy.yaml", &good);
    server.admits(&image).await;
}

#[tokio::test]
async fn takes_up_changed_keys_and_closes_without_them() {
    let stage = Stage::start().await;
    let folder = &stage.folder;
    folder.write("policies/policy.yaml", &policy(&stage.registry.host()));
    folder.write("policies/store.yaml", &store_of("{file: ../keys/cosign.pub}"));
    folder.write("keys/cosign.pub", &stage.key.public_key_pem().unwrap());
    let image = stage.push("shop/web", Signed::InBundle);
    let mut server = Server::start(&stage).await;
    server.admits(&image).await;

    let stranger = SigningKey::generate().unwrap();
    folder.write("keys/cosign.pub", &stranger.public_key_pem().unwrap());
    server.refuses(&image, "KEY_MISMATCH").await;
    folder.remove("keys/cosign.pub");
    server.refuses(&image, "POLICY_INVALID: spec.verifiers[0].cosign.keys[0]").await;
    folder.remove("policies/store.yaml");
    server.refuses(&image, "ClusterTrustStore release-keys does not exist").await;
}

#[tokio::test]
async fn closes_what_a_policy_that_is_broken_from_the_start_would_have_judged() {
    let stage = Stage::start().await;
    let good = stage.documents();
    stage.folder.write("policies/policy.yaml", &with(&good, "requireDigest:", "requireDigests:"));
    let image = stage.push("shop/web", Signed::InBundle);
    let mut server = Server::start(&stage).await;

    server.refuses(&image, "[release-images] Subject failed verification: ").await;
    server.refuses(&image, "POLICY_INVALID: spec.requireDigests: unknown field").await;
    let invalid = r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="invalid"} 1"#;
    assert!(server.metrics().await.contains(invalid));
    assert!(server.log().contains("does not compile"), "{}", server.log());

    stage.folder.write("policies/policy.yaml", &good);
    server.admits(&image).await;
}

#[tokio::test]
async fn rejects_a_configuration_that_it_cannot_serve() {
    let folder = Folder::new();
    folder.write("policies/policy.yaml", &policy("registry.example"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = taken.local_addr().unwrap();
    let mut addresses = Addresses::free();
    let (good, _authority) = configure(&folder, &addresses, "registry.example");
    addresses.0[1] = in_use;
    let (metrics_in_use, _authority) = configure(&folder, &addresses, "registry.example");
    let tls = ", certFile: tls/tls.crt, keyFile: tls/tls.key";
    let taken = format!("metrics.listen: {in_use}: Address already in use");
    let cases = [
        (
            "an unknown field",
            with(&good, "policies:", "policy:"),
            "assay.yaml: policy: unknown field",
        ),
        (
            "no certificate",
            with(&good, tls, ""),
            "webhook.certFile and webhook.keyFile are missing",
        ),
        ("half of it", with(&good, ", keyFile: tls/tls.key", ""), "assay.yaml: webhook.keyFile: "),
        (
            "a missing file",
            with(&good, "tls/tls.key", "tls/none.key"),
            "tls/none.key: No such file",
        ),
        (
            "the wrong file",
            with(&good, "tls/tls.key", "tls/tls.crt"),
            "tls/tls.crt holds no unencrypted private key",
        ),
        ("a port in use", metrics_in_use, &taken),
        (
            "missing policies",
            with(&good, "[policies]", "[none]"),
            "policies cannot be read: none: No such file",
        ),
    ];
    for (name, configuration, stderr) in cases {
        folder.write("assay.yaml", &configuration);
        folder.run(&["serve", "--config", "assay.yaml"]).await.check_refused(name, &[stderr]);
    }
    let ended = folder.run(&["serve", "--config", "none.yaml"]).await;
    ended.check_refused("no configuration", &["none.yaml: No such file"]);
    folder.run(&["serve"]).await.check_refused("no --config", &["--config <FILE>"]);
}
