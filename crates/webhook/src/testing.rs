//! What several rooms' tests need: reviews, a judge that does as it is told, and a recorder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use assay_core::ports::{
    AdmissionRecord, ArtifactStore, CredentialError, CredentialSource, Events, Fetch, FetchLimits,
    FetchedManifest, NamespaceError, NamespaceSource, PullIdentity, Recorder, RefusedPod, Selector,
    ViolationRecord,
};
use assay_core::{Access, Credential, Descriptor, Digest, Repository, State, StoreError, Subject};
use assay_engine::{CacheConfig, Executor, Ports};
use assay_policy::{
    CacheUse, Decision, DefaultAction, Effect, EnforcementAction, ImageVerdict, Plan, PolicyId,
    PolicyVerdict, Request, Snapshot, Verdict, Violation, decide,
};
use assay_testkit::FixedClock;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::handler::Judge;
use crate::response::API_VERSION;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged, each thread's on its own: a test's runtime has one. Whoever logs calls it
/// first, for tracing remembers of a place that nobody listens there.
pub(crate) fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().json().with_writer(|| LogWriter).init());
}

/// Keeps all that is logged on this thread, by every library, until it is dropped.
pub(crate) fn trace_log() -> tracing::subscriber::DefaultGuard {
    take_log();
    let builder = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    tracing::subscriber::set_default(builder.with_writer(|| LogWriter).finish())
}

/// What was logged on this thread since the last time.
pub(crate) fn take_log() -> String {
    String::from_utf8(LOG.take()).unwrap()
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The uid of [`review`]s, and the request id that follows from it.
pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
pub(crate) const ID: &str = "58989f2c";

/// A pod with one container of this image, and a secret that nothing may repeat.
pub(crate) fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "elsewhere"},
        "spec": {"containers": [
            {"name": "c", "image": image, "env": [{"name": "PASSWORD", "value": "hunter2"}]},
        ]},
    })
}

/// A review that creates a pod, with `change` made to its request.
pub(crate) fn review(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut request = json!({
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web", "namespace": "shop", "operation": "CREATE",
        "userInfo": {"username": "alice"},
        "object": pod("busybox"), "oldObject": null, "dryRun": false,
    });
    change(&mut request);
    // The API server writes the uid first; serde_json sorts keys.
    let uid = request.as_object_mut().unwrap().remove("uid").unwrap_or_default();
    let rest = request.to_string();
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"{API_VERSION}","request":{{"uid":{uid},{}}}"#,
        &rest[1..]
    )
    .into_bytes()
}

/// A review of exactly this many bytes.
pub(crate) fn review_of(bytes: usize) -> Vec<u8> {
    let with = |padding: usize| {
        review(|request| {
            request["object"]["metadata"]["annotations"] = json!({"a": "x".repeat(padding)})
        })
    };
    let review = with(bytes - with(0).len());
    assert_eq!(review.len(), bytes);
    review
}

/// The proof that a request is admitted: only `decide` can make one.
pub(crate) fn admit() -> Decision {
    decide(&Snapshot::default(), &Plan::default(), &[]).decision
}

pub(crate) fn verdict(decision: Decision, images: Vec<ImageVerdict>) -> Verdict {
    Verdict { decision, images, cache: CacheUse::Miss }
}

pub(crate) fn image(name: &str, policies: Vec<PolicyVerdict>) -> ImageVerdict {
    let digest = Digest::sha256(name.as_bytes());
    ImageVerdict {
        written: name.to_owned(),
        subject: format!("docker.io/library/{name}@{digest}"),
        name: format!("docker.io/library/{name}:latest"),
        registry: "docker.io".to_owned(),
        digest: Some(digest),
        places: vec!["container \"web\"".to_owned()],
        covered: true,
        policies,
        reports: Vec::new(),
    }
}

pub(crate) fn policy(name: &str, effect: Effect, violations: Vec<Violation>) -> PolicyVerdict {
    PolicyVerdict {
        policy: PolicyId { namespace: None, name: name.to_owned() },
        rule: Some(0),
        enforcement_action: EnforcementAction::Deny,
        effect,
        violations,
        warnings: Vec::new(),
    }
}

/// A judge that does as it is told.
pub(crate) enum Puppet {
    /// Admits.
    Admits,
    /// Never answers.
    Hangs,
    /// Panics.
    Panics,
    /// Answers this, once.
    Says(Mutex<Option<Verdict>>),
    /// Says that it was asked, and admits once it may.
    Waits(mpsc::UnboundedSender<()>, Arc<Semaphore>),
}

impl Puppet {
    pub(crate) fn says(verdict: Verdict) -> Self {
        Self::Says(Mutex::new(Some(verdict)))
    }
}

impl Judge for Puppet {
    async fn judge(&self, _: &Request) -> Verdict {
        match self {
            Self::Admits => {}
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("as told"),
            Self::Says(verdict) => return verdict.lock().unwrap().take().unwrap(),
            Self::Waits(asked, may) => {
                asked.send(()).unwrap();
                may.acquire().await.unwrap().forget();
            }
        }
        verdict(admit(), Vec::new())
    }
}

/// Keeps what it is told, one line each.
#[derive(Default)]
pub(crate) struct Record {
    lines: Mutex<Vec<String>>,
    refused: Mutex<Vec<RefusedPod>>,
}

impl Record {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The pods of which it was told.
    pub(crate) fn refused(&self) -> Vec<RefusedPod> {
        self.refused.lock().unwrap().clone()
    }

    fn line(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }
}

impl Events for Record {
    fn refused(&self, refused: RefusedPod) {
        self.refused.lock().unwrap().push(refused);
    }
}

impl Recorder for Record {
    fn admission(&self, record: &AdmissionRecord<'_>) {
        let AdmissionRecord { resource, operation, decision, dry_run, cache, duration } = record;
        self.line(format!("{resource} {operation} {decision} {dry_run} {cache} {duration:?}"));
    }

    fn violation(&self, record: &ViolationRecord<'_>) {
        let ViolationRecord { namespace, policy, enforcement_action, reason, registry } = record;
        self.line(format!("{namespace} {policy} {enforcement_action} {reason} {registry}"));
    }

    fn verification(&self, _: &'static str, _: State, _: Duration) {}
    fn registry_request(&self, _: &str, _: &'static str, _: u16, _: Duration) {}
    fn cache_request(&self, _: &'static str, _: bool) {}
    fn coalesced(&self, _: &'static str) {}
}

/// The engine under no policy but this default, in a world that has nothing.
pub(crate) fn engine(default_action: DefaultAction) -> Arc<Executor> {
    let snapshot = Snapshot { default_action, ..Snapshot::default() };
    let nowhere = Arc::new(Nowhere);
    let ports = Ports {
        store: nowhere.clone(),
        fetch: nowhere.clone(),
        credentials: nowhere.clone(),
        namespaces: nowhere,
        clock: Arc::new(FixedClock::default()),
        recorder: Arc::new(Record::default()),
    };
    Executor::new(Arc::new(Arc::new(snapshot).into()), ports, CacheConfig::default())
}

struct Nowhere;

#[async_trait]
impl ArtifactStore for Nowhere {
    async fn resolve(
        &self,
        _: &Repository,
        _: &Selector,
        _: &Access,
    ) -> Result<Descriptor, StoreError> {
        Err(StoreError::Internal)
    }

    async fn manifest(
        &self,
        _: &Repository,
        _: &Selector,
        _: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        Err(StoreError::Internal)
    }

    async fn referrers(&self, _: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        Err(StoreError::Internal)
    }

    async fn blob(
        &self,
        _: &Repository,
        _: &Digest,
        _: &Access,
        _: u64,
    ) -> Result<Bytes, StoreError> {
        Err(StoreError::Internal)
    }
}

#[async_trait]
impl Fetch for Nowhere {
    async fn get(&self, _: &str, _: FetchLimits) -> Result<Bytes, StoreError> {
        Err(StoreError::Internal)
    }

    async fn post(&self, _: &str, _: &str, _: Bytes, _: FetchLimits) -> Result<Bytes, StoreError> {
        Err(StoreError::Internal)
    }
}

#[async_trait]
impl CredentialSource for Nowhere {
    async fn credentials(
        &self,
        _: &Repository,
        _: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl NamespaceSource for Nowhere {
    async fn labels(&self, _: &str) -> Result<Arc<BTreeMap<String, String>>, NamespaceError> {
        Ok(Arc::default())
    }
}
