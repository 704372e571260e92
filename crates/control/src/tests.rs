//! The controller against an API server that is a function, in virtual time: no test waits for the
//! clock on the wall.

mod lease;
mod materials;
mod namespaces;
mod server;
mod status;
mod watches;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_api::{CompileOptions, Document, read_documents};
use assay_core::ports::{Context, Verifier, VerifierFactory};
use assay_core::{ConfigError, Digest, Outcome, Subject, TrustMaterial, VerifierConfig};
use assay_policy::{Snapshot, Tier};
use assay_testkit::FixedClock;
use serde_json::{Value, json};

use crate::{Activity, Control, Files, Handle, Ports, Settings};
use server::ApiServer;

/// What anything may take in these tests, in virtual time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Takes whatever says `PUBLIC KEY`.
pub(super) struct FakeFactory;

struct FakeVerifier(Digest);

#[async_trait::async_trait]
impl Verifier for FakeVerifier {
    fn kind(&self) -> &'static str {
        "cosign"
    }

    fn fingerprint(&self) -> &Digest {
        &self.0
    }

    async fn verify(&self, _: &Subject, _: &dyn Context) -> Outcome {
        unreachable!("the controller verifies nothing")
    }
}

impl VerifierFactory for FakeFactory {
    fn build(
        &self,
        _: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError> {
        let texts = material.stores.iter().map(|store| String::from_utf8_lossy(&store.bytes));
        if let Some(bad) = texts.clone().find(|text| !text.contains("PUBLIC KEY")) {
            let reason = format!("no public key in {} bytes", bad.len());
            return Err(ConfigError { field: "cosign.keys[0]".to_owned(), reason });
        }
        Ok(Arc::new(FakeVerifier(Digest::sha256(texts.collect::<String>().as_bytes()))))
    }
}

/// Documents in files, as a test gives them.
#[derive(Default)]
pub(super) struct FakeFiles(Mutex<Vec<Document>>);

impl FakeFiles {
    fn give(&self, text: &str) {
        *self.0.lock().unwrap() = read_documents(Path::new("p.yaml"), text.as_bytes());
    }
}

impl Files for FakeFiles {
    fn documents(&self) -> Vec<Document> {
        self.0.lock().unwrap().clone()
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        match path.to_str() {
            Some("good.pub") => Ok(b"PUBLIC KEY".to_vec()),
            _ => Err(format!("{} cannot be read", path.display())),
        }
    }
}

/// A controller and its API server.
pub(super) struct World {
    server: Arc<ApiServer>,
    clock: Arc<FixedClock>,
    files: Arc<FakeFiles>,
    activity: Arc<Activity>,
    compiles: Arc<AtomicUsize>,
    handle: Handle,
    snapshots: Arc<ArcSwap<Snapshot>>,
}

fn ports(server: &Arc<ApiServer>, clock: &Arc<FixedClock>) -> (Ports, Arc<AtomicUsize>) {
    let compiles = Arc::new(AtomicUsize::new(0));
    let count = compiles.clone();
    let ports = Ports {
        client: server.client(),
        clock: clock.clone(),
        factory: Arc::new(FakeFactory),
        files: Arc::new(FakeFiles::default()),
        activity: Arc::new(Activity::new(clock.clone())),
        compiled: Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        }),
    };
    (ports, compiles)
}

fn settings() -> Settings {
    Settings {
        options: CompileOptions::default(),
        namespace: "assay".to_owned(),
        identity: "pod-1".to_owned(),
    }
}

impl World {
    /// A controller that runs, over what `server` holds.
    async fn new(server: Arc<ApiServer>) -> Self {
        Self::with_files(server, "").await
    }

    async fn with_files(server: Arc<ApiServer>, text: &str) -> Self {
        let clock = Arc::new(FixedClock::default());
        let files = Arc::new(FakeFiles::default());
        files.give(text);
        let (mut ports, compiles) = ports(&server, &clock);
        ports.files = files.clone();
        let activity = ports.activity.clone();
        let mut control = Control::start(settings(), ports);
        let handle = control.handle();
        let snapshots = control.first().await.unwrap();
        tokio::spawn(control.run(snapshots.clone()));
        Self { server, clock, files, activity, compiles, handle, snapshots }
    }

    /// Each policy in force with what closes it: `NAME`, `NAME!` where rules or `match` do not
    /// compile.
    fn in_force(&self) -> Vec<String> {
        names(&self.snapshots.load())
    }

    /// Waits until these are the policies in force, and says how long that took.
    async fn until(&self, expect: &[&str]) -> Duration {
        let start = tokio::time::Instant::now();
        until(&format!("{expect:?}, not {:?}", self.in_force()), || self.in_force() == expect)
            .await;
        start.elapsed()
    }

    /// Lets everything happen that is under way.
    async fn quiet(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// What the policy's first problem is.
    fn problem(&self, name: &str) -> String {
        let snapshot = self.snapshots.load();
        let mut policies = snapshot.policies.iter();
        let policy = policies.find(|policy| policy.id.to_string() == name).unwrap();
        policy.problems().first().map(ToString::to_string).unwrap_or_default()
    }
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let policies = snapshot.policies.iter();
    let name = |policy: &Arc<assay_policy::Policy>| {
        assert_eq!(policy.tier == Tier::Namespace, policy.id.namespace.is_some());
        format!("{}{}", policy.id, if policy.problems().is_empty() { "" } else { "!" })
    };
    policies.map(name).collect()
}

/// Waits until `done`, in virtual time.
async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}

/// A ClusterImageAdmissionPolicy that admits everything.
fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"rules": [{"images": ["**"], "allow": true}]},
    })
}

/// A ClusterImageAdmissionPolicy that rests on the ClusterTrustStore `store`.
fn signed(name: &str, store: &str) -> Value {
    let mut policy = policy(name);
    policy["spec"] = signed_spec(store);
    policy
}

fn signed_spec(store: &str) -> Value {
    json!({
        "verifiers": [{"name": "v", "cosign": {"keys": [{"trustStore": store}]}}],
        "rules": [{"images": ["**"], "require": {"all": ["v"]}}],
    })
}

/// An ImageAdmissionPolicy that rests on the TrustStore `store` of its namespace.
fn tenant(namespace: &str, name: &str, store: &str) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ImageAdmissionPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": signed_spec(store),
    })
}

/// A trust store of `namespace`, or of the cluster.
fn store(namespace: Option<&str>, name: &str, public_keys: Value) -> Value {
    let kind = if namespace.is_some() { "TrustStore" } else { "ClusterTrustStore" };
    let metadata = match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"publicKeys": public_keys},
    })
}

fn inline() -> Value {
    json!({"inline": "-----BEGIN PUBLIC KEY-----"})
}

fn secret(namespace: &str, name: &str, value: &str) -> Value {
    use k8s_openapi::ByteString;
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"key": ByteString(value.as_bytes().to_vec())},
    })
}

fn namespace(name: &str, env: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"env": env}}})
}
