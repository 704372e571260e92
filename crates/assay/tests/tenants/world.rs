//! A cluster of two tenants, `shop` and `evil`, and two registries, of which one knows `shop` alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use assay_api::{CompileOptions, Document, GivenSources, compile, read_documents};
use assay_core::ports::{
    AdmissionRecord, CredentialError, CredentialSource, NamespaceError, NamespaceSource,
    PullIdentity, Recorder, ViolationRecord,
};
use assay_core::{Credential, Repository, State};
use assay_engine::{CacheConfig, Executor, Ports, SharedSnapshot};
use assay_policy::{DefaultAction, Request, Snapshot, Verdict};
use assay_registry::{HostConfig, Registry, RegistryConfig};
use assay_testkit::cosign::{SigningKey, simple};
use assay_testkit::{Auth, Credentials, FixedClock, RegistryOptions, TestRegistry};
use assay_verifiers::Factory;
use async_trait::async_trait;
use serde_json::json;

pub(crate) struct World {
    /// Anybody reads here.
    pub(crate) open: TestRegistry,
    /// `shop` reads here.
    pub(crate) private: TestRegistry,
    /// The key that the platform trusts, and one that it does not.
    pub(crate) release: SigningKey,
    pub(crate) mallory: SigningKey,
    executor: Arc<Executor>,
    pub(crate) snapshots: SharedSnapshot,
}

fn password() -> Credentials {
    Credentials { user: "shop".to_owned(), password: "secret".to_owned() }
}

impl World {
    pub(crate) async fn new() -> Self {
        let open = TestRegistry::start(RegistryOptions::default()).await.unwrap();
        let auth = Auth::Basic(password());
        let options = RegistryOptions { auth, ..RegistryOptions::default() };
        let private = TestRegistry::start(options).await.unwrap();
        let plain = |registry: &TestRegistry| HostConfig {
            host: registry.host(),
            plain_http: Some(true),
            ..HostConfig::default()
        };
        let hosts = vec![plain(&open), plain(&private)];
        let config = RegistryConfig { hosts, ..RegistryConfig::default() };
        let (clock, nobody) = (Arc::new(FixedClock::default()), Arc::new(Nobody));
        let registry = Registry::new(&config, nobody.clone(), clock.clone()).unwrap();
        let registry = Arc::new(registry);
        let ports = Ports {
            store: registry.clone(),
            fetch: registry,
            credentials: Arc::new(PullSecrets { private: private.host() }),
            namespaces: nobody.clone(),
            clock,
            recorder: nobody,
        };
        let snapshots: SharedSnapshot = Arc::new(Arc::new(Snapshot::default()).into());
        let executor = Executor::new(snapshots.clone(), ports, CacheConfig::default());
        let [release, mallory] = [(); 2].map(|()| SigningKey::generate().unwrap());
        Self { open, private, release, mallory, executor, snapshots }
    }

    /// Puts `text` in force, and says what of it does not compile.
    pub(crate) fn enforce(&self, text: &str, default_action: DefaultAction) -> Vec<String> {
        self.enforce_documents(&documents(text), default_action)
    }

    pub(crate) fn enforce_documents(
        &self,
        documents: &[Document],
        default_action: DefaultAction,
    ) -> Vec<String> {
        let options = CompileOptions { default_action, ..CompileOptions::default() };
        let sources = GivenSources { documents, read: &|_| Err("there are no files".to_owned()) };
        let compiled = compile(documents, &options, &sources, &Factory::default(), None);
        self.snapshots.store(Arc::new(compiled.snapshot));
        compiled.problems.iter().map(ToString::to_string).collect()
    }

    /// The verdict on a new pod of these images.
    pub(crate) async fn judge(&self, namespace: &str, images: &[&str]) -> Verdict {
        self.executor.judge(&request(namespace, images)).await
    }

    /// Judges one image in this namespace: each policy that refuses it, and why; nothing where it is
    /// admitted.
    pub(crate) async fn refusal(&self, namespace: &str, image: &str) -> Vec<String> {
        let verdict = self.judge(namespace, &[image]).await;
        let policies = verdict.images.iter().flat_map(|image| &image.policies);
        let refusing = policies.filter(|policy| policy.effect >= assay_policy::Effect::Undecided);
        let codes = refusing.flat_map(|policy| {
            let violations = policy.violations.iter();
            violations.map(move |violation| format!("{} {}", policy.policy, violation.code))
        });
        let codes: Vec<String> = codes.collect();
        assert_eq!(codes.is_empty(), verdict.is_admitted(), "{verdict:#?}");
        codes
    }

    /// An image in the open registry that `key` has signed, if any: its reference and digest.
    pub(crate) fn push(&self, path: &str, key: Option<&SigningKey>) -> (String, String) {
        push(&self.open, path, key)
    }

    /// A trust store `release-keys` of the cluster with the platform's key.
    pub(crate) fn release_keys(&self) -> String {
        store(None, "release-keys", &self.release)
    }
}

pub(crate) fn push(
    registry: &TestRegistry,
    path: &str,
    key: Option<&SigningKey>,
) -> (String, String) {
    let digest = registry.push_image(path, "v1");
    if let Some(key) = key {
        simple::sign(registry, path, &digest, key).unwrap();
    }
    (format!("{}/{path}:v1", registry.host()), digest)
}

/// A trust store with this key, of a namespace or of the cluster.
pub(crate) fn store(namespace: Option<&str>, name: &str, key: &SigningKey) -> String {
    let key = json!(key.public_key_pem().unwrap());
    let kind = if namespace.is_some() { "TrustStore" } else { "ClusterTrustStore" };
    document(kind, namespace, name, &format!("{{publicKeys: {{inline: {key}}}}}"))
}

/// A policy of a namespace or of the cluster.
pub(crate) fn policy(namespace: Option<&str>, name: &str, spec: &str) -> String {
    let kind = if namespace.is_some() { "ImageAdmissionPolicy" } else { CLUSTER_POLICY };
    document(kind, namespace, name, spec)
}

/// What requires a signature by a key of a store, for every image.
pub(crate) fn signed_by(store: &str) -> String {
    format!(
        "{{verifiers: [{{name: signature, cosign: {{keys: [{{{store}}}]}}}}], \
         rules: [{{images: ['**'], require: {{all: [signature]}}}}]}}"
    )
}

pub(crate) fn document(kind: &str, namespace: Option<&str>, name: &str, spec: &str) -> String {
    let namespace = namespace.map(|name| format!(", namespace: {name}")).unwrap_or_default();
    format!(
        "---\napiVersion: assay.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\n\
         spec: {spec}\n"
    )
}

pub(crate) fn documents(text: &str) -> Vec<Document> {
    read_documents(Path::new("policies.yaml"), text.as_bytes())
}

const CLUSTER_POLICY: &str = "ClusterImageAdmissionPolicy";

/// A review that creates a pod, as it comes from the API server.
fn request(namespace: &str, images: &[&str]) -> Request {
    let containers = images.iter().enumerate();
    let containers =
        containers.map(|(index, image)| json!({"name": format!("c{index}"), "image": image}));
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace, "operation": "CREATE",
            "object": {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
                "spec": {"containers": containers.collect::<Vec<_>>()},
            },
        },
    });
    assay_webhook::read_request(review.to_string().as_bytes()).unwrap()
}

/// The pull Secrets of `shop`, for the registry that knows it.
struct PullSecrets {
    private: String,
}

#[async_trait]
impl CredentialSource for PullSecrets {
    async fn credentials(
        &self,
        repository: &Repository,
        identity: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        let Credentials { user, password } = password();
        if identity.namespace != user || repository.host() != self.private {
            return Ok(Vec::new());
        }
        Ok(vec![Credential::Basic { username: user, password }])
    }
}

/// Counts nothing, and knows no labels.
struct Nobody;

impl Recorder for Nobody {
    fn admission(&self, _: &AdmissionRecord<'_>) {}
    fn violation(&self, _: &ViolationRecord<'_>) {}
    fn verification(&self, _: &'static str, _: State, _: std::time::Duration) {}
    fn registry_request(&self, _: &str, _: &'static str, _: u16, _: std::time::Duration) {}
    fn cache_request(&self, _: &'static str, _: bool) {}
    fn coalesced(&self, _: &'static str) {}
}

#[async_trait]
impl NamespaceSource for Nobody {
    async fn labels(&self, _: &str) -> Result<Arc<BTreeMap<String, String>>, NamespaceError> {
        Ok(Arc::default())
    }
}
