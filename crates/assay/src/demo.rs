//! `assay demo`: the real webhook on loopback, a registry in this process with signed, wrongly
//! signed and unsigned images, and real AdmissionReviews between them.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use assay_api::{
    Configuration, LogConfiguration, LogFormat, LogLevel, RegistryConfiguration,
    WebhookConfiguration,
};
use assay_testkit::cosign::{SigningKey, bundle, simple};
use assay_testkit::notation::{self, Signer};
use assay_testkit::{RegistryOptions, ReviewClient, TestAuthority, TestRegistry};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::print;
use crate::serve::Serving;

/// Warm admissions that are timed, one after the other.
const WARM_ADMISSIONS: u32 = 200;

/// An image of the demo and what `kubectl run` meets with it.
struct Scene {
    title: &'static str,
    image: String,
}

/// Shows the demo on standard output.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let registry = TestRegistry::start(RegistryOptions::default()).await?;
    let key = SigningKey::generate()?;
    let vendor = Signer::generate()?;
    let scenes = push_images(&registry, &key, &vendor)?;
    let policy = policy(&registry.host(), &key.public_key_pem()?, &vendor.root_pem());
    fs::write(folder.0.join("policy.yaml"), &policy)?;
    print(&format!("The policy, as files or the cluster hold it:\n\n{}\n", indent(&policy)))?;

    let authority = TestAuthority::generate()?;
    let configuration = configuration(&folder.0, &registry.host(), &authority)?;
    crate::logging::start(&configuration.log)?;
    let serving = Serving::start(&configuration).await?;
    let address = serving.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let webhook = tokio::spawn(serving.run(async {
        let _ = stopped.await;
        Duration::ZERO
    }));
    print(&format!("The webhook serves https://{address}/validate\n"))?;
    let mut client = ReviewClient::connect(address, &authority.certificate_pem()).await?;

    for scene in &scenes {
        let answer = review(&mut client, &scene.image).await?;
        print(&show(scene, &answer.response))?;
    }
    print_report(&folder.0, &registry, &scenes).await?;
    print_times(&mut client, &registry, &key).await?;
    let _ = stop.send(());
    webhook.await?
}

/// A directory of the demo's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("assay-demo-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the system's directory for what is left behind.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn push_images(
    registry: &TestRegistry,
    key: &SigningKey,
    vendor: &Signer,
) -> anyhow::Result<Vec<Scene>> {
    let stranger = SigningKey::generate()?;
    let image = |name: &str| {
        let digest = registry.push_image(name, "v1");
        let reference = format!("{}/{name}:v1", registry.host());
        (reference, digest)
    };
    let (signed, digest) = image("shop/web");
    bundle::sign(registry, "shop/web", &digest, key)?;
    let (tagged, digest) = image("shop/api");
    simple::sign(registry, "shop/api", &digest, key)?;
    let (wrong, digest) = image("shop/cart");
    bundle::sign(registry, "shop/cart", &digest, &stranger)?;
    let (unsigned, _) = image("shop/debug");
    let (notation, digest) = image("vendor/agent");
    notation::sign(registry, "vendor/agent", &digest, vendor)?;
    let (namesake, digest) = image("vendor/proxy");
    notation::sign(registry, "vendor/proxy", &digest, &Signer::generate()?)?;
    let (trial, _) = image("trial/app");
    let scene = |title, image| Scene { title, image };
    Ok(vec![
        scene("An image signed as Cosign 3 signs, with a bundle", signed),
        scene("An image signed as Cosign 2 signed, with a .sig tag", tagged),
        scene("An image signed by somebody else", wrong),
        scene("An image that nobody signed", unsigned),
        scene("A vendor's image, signed as Notation signs, with a certificate", notation),
        scene("The same with a certificate of that name by somebody else", namesake),
        scene("An image that nobody signed, where the policy only warns", trial),
        scene("An image from elsewhere", "docker.io/library/busybox:1.36".to_owned()),
    ])
}

fn policy(host: &str, public_key: &str, vendor_root: &str) -> String {
    format!(
        r#"apiVersion: assay.dev/v1alpha1
kind: ClusterTrustStore
metadata: {{name: release-keys}}
spec:
  publicKeys:
    inline: |
{key}
---
apiVersion: assay.dev/v1alpha1
kind: ClusterTrustStore
metadata: {{name: vendor-roots}}
spec:
  certificates:
    type: ca
    inline: |
{root}
---
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {{name: release-images}}
spec:
  requireDigest: allow
  verifiers:
  - name: release-signature
    cosign: {{keys: [{{trustStore: release-keys}}]}}
  - name: vendor-signature
    notation:
      trustStores: [{{type: ca, name: vendor-roots}}]
      trustedIdentities: ["{identity}"]
  rules:
  - images: ["{host}/shop/**"]
    require: {{all: [release-signature]}}
  - images: ["{host}/vendor/**"]
    require: {{all: [vendor-signature]}}
  - images: ["{host}/trial/**"]
    allow: true
  - images: ["**"]
    deny: "images come from {host}"
---
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {{name: trial}}
spec:
  enforcementAction: warn
  requireDigest: allow
  verifiers:
  - name: release-signature
    cosign: {{keys: [{{trustStore: release-keys}}]}}
  rules:
  - images: ["{host}/trial/**"]
    require: {{all: [release-signature]}}
"#,
        identity = notation::IDENTITY,
        key = block(public_key),
        root = block(vendor_root),
    )
}

/// `text` as it stands in a block of YAML three levels deep.
fn block(text: &str) -> String {
    indent(&indent(&indent(text))).trim_end().to_owned()
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn configuration(
    folder: &Path,
    registry: &str,
    authority: &TestAuthority,
) -> anyhow::Result<Configuration> {
    let issued = authority.issue(&["127.0.0.1"])?;
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    fs::write(&certificate, issued.certificate_pem)?;
    fs::write(&key, issued.key_pem)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let registry = RegistryConfiguration {
        host: registry.to_owned(),
        plain_http: true,
        ..RegistryConfiguration::default()
    };
    Ok(Configuration {
        policies: vec![folder.join("policy.yaml")],
        kubernetes: Some(false),
        webhook: WebhookConfiguration {
            listen,
            tls_files: Some((certificate, key)),
            ..WebhookConfiguration::default()
        },
        metrics_listen: listen,
        health_listen: listen,
        registries: vec![registry],
        docker_config_file: Some(folder.join("config.json")),
        log: LogConfiguration { level: LogLevel::Error, format: LogFormat::Text },
        ..Configuration::default()
    })
}

/// What the webhook answered, and how long that took.
struct Reviewed {
    response: Value,
    took: Duration,
}

/// Posts the review that the API server would post for `kubectl run web --image IMAGE`.
#[expect(clippy::disallowed_methods, reason = "the demo times the webhook from outside")]
async fn review(client: &mut ReviewClient, image: &str) -> anyhow::Result<Reviewed> {
    // One review's uid is like no other's; here it is as long as images have different names.
    let uid = assay_core::Digest::sha256(image.as_bytes());
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid.hex(),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "web",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "developer"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web", "namespace": "default", "labels": {"run": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
            "oldObject": null,
            "dryRun": false,
        },
    });
    let body = serde_json::to_vec(&review)?.into();
    let start = Instant::now();
    let answer = client.post("/validate?timeout=10s", body).await?;
    let took = start.elapsed();
    anyhow::ensure!(answer.status.is_success(), "the webhook answered {}", answer.status);
    let mut review: Value = serde_json::from_slice(&answer.body)?;
    Ok(Reviewed { response: review["response"].take(), took })
}

/// The scene as kubectl would show it.
fn show(scene: &Scene, response: &Value) -> String {
    let mut text = format!("\n# {}\n$ kubectl run web --image {}\n", scene.title, scene.image);
    for warning in response["warnings"].as_array().into_iter().flatten() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Warning: {}", warning.as_str().unwrap_or_default());
    }
    if response["allowed"] == true {
        text.push_str("pod/web created\n");
        return text;
    }
    let (reason, message) = (&response["status"]["reason"], &response["status"]["message"]);
    let _ = writeln!(
        text,
        "Error from server ({}): admission webhook \"validate.assay.dev\" denied the request: {}",
        reason.as_str().unwrap_or_default(),
        message.as_str().unwrap_or_default(),
    );
    text
}

/// Prints the whole report on the image that somebody else signed, as `assay verify` prints it.
async fn print_report(
    folder: &Path,
    registry: &TestRegistry,
    scenes: &[Scene],
) -> anyhow::Result<()> {
    let image = format!("{}/shop/cart:v1", registry.host());
    anyhow::ensure!(scenes.iter().any(|scene| scene.image == image), "the scene is gone");
    let policy = folder.join("policy.yaml");
    print(&format!(
        "\n# The whole report, from the command line\n$ assay verify {image} --policy policy.yaml -o json\n"
    ))?;
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["verify", &image, "--output", "json", "--policy"])
        .arg(policy)
        .env("DOCKER_CONFIG", folder)
        .env_remove("ASSAY_CONFIG")
        .output()
        .await?;
    print(&String::from_utf8_lossy(&output.stdout))?;
    let code = output.status.code().context("assay verify was ended")?;
    print(&format!("(exit code {code})\n"))
}

/// Prints how long admissions take: of an image that was never seen, and of one that was.
async fn print_times(
    client: &mut ReviewClient,
    registry: &TestRegistry,
    key: &SigningKey,
) -> anyhow::Result<()> {
    let digest = registry.push_image("shop/new", "v1");
    bundle::sign(registry, "shop/new", &digest, key)?;
    let image = format!("{}/shop/new:v1", registry.host());
    registry.clear_requests();
    let cold = review(client, &image).await?.took;
    let requests = registry.requests().len();
    let mut warm = Vec::new();
    for _ in 0..WARM_ADMISSIONS {
        warm.push(review(client, &image).await?.took);
    }
    warm.sort();
    let median = warm.get(warm.len() / 2).copied().unwrap_or_default();
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
    print(&format!(
        "\nA new image was admitted in {:.1} ms, with {requests} registry requests; \
         the same again in {:.2} ms (median of {WARM_ADMISSIONS}), with none.\n",
        milliseconds(cold),
        milliseconds(median),
    ))
}
