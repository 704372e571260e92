//! An executor between fakes, and the policies and requests that it is given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_core::ReasonCode;
use assay_core::ports::{Clock, Verifier};
use assay_engine::{CacheConfig, Executor, Ports, SharedSnapshot};
use assay_policy::{
    CacheUse, Decision, EnforcementAction, Match, Object, ObjectImage, OnError, Operation, Policy,
    PolicyId, Quorum, Request, RequireDigest, Requirement, Rule, RuleBody, Snapshot, Source, Term,
    Tier, Verdict,
};
use assay_testkit::FixedClock;

use crate::fakes::{FakeCredentials, FakeNamespaces, FakeStore, NoFetch, Spy};

/// An image of any test that needs but one.
pub(crate) const IMAGE: &str = "registry.example/app:v1";

/// How long every request's deadline is away.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) namespaces: Arc<FakeNamespaces>,
    pub(crate) recorder: Arc<Spy>,
    pub(crate) snapshots: SharedSnapshot,
    pub(crate) store: Arc<FakeStore>,
    deadline: Mutex<Duration>,
}

impl World {
    pub(crate) fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        Self::with(CacheConfig::default(), policies)
    }

    pub(crate) fn with(cache: CacheConfig, policies: impl IntoIterator<Item = Policy>) -> Self {
        let snapshot = Snapshot {
            policies: policies.into_iter().map(Arc::new).collect(),
            ..Snapshot::default()
        };
        let clock = Arc::new(FixedClock::default());
        let credentials = Arc::new(FakeCredentials::default());
        let namespaces = Arc::new(FakeNamespaces::default());
        let recorder = Arc::new(Spy::default());
        let store = Arc::new(FakeStore::default());
        let ports = Ports {
            store: store.clone(),
            fetch: Arc::new(NoFetch),
            credentials: credentials.clone(),
            namespaces: namespaces.clone(),
            clock: clock.clone(),
            recorder: recorder.clone(),
        };
        let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
        let executor = Executor::new(snapshots.clone(), ports, cache);
        let deadline = Mutex::new(DEADLINE);
        Self { clock, credentials, executor, namespaces, recorder, snapshots, store, deadline }
    }

    /// A world that asks one verifier about every image.
    pub(crate) fn asking(verifier: &Arc<impl Verifier + 'static>) -> Self {
        Self::new([policy("one", [require([verifier.clone() as Arc<dyn Verifier>])])])
    }

    pub(crate) async fn judge(&self, images: &[&str]) -> Verdict {
        self.executor.judge(&self.request(images)).await
    }

    /// The same for a pod in this namespace.
    pub(crate) async fn judge_in(&self, namespace: &str, images: &[&str]) -> Verdict {
        self.executor.judge(&self.request_in(namespace, images)).await
    }

    /// How many images the registry was asked to resolve.
    pub(crate) fn resolves(&self) -> usize {
        self.store.log.count("resolve")
    }

    /// Lets all requests from now on wait so long, in place of [`DEADLINE`].
    pub(crate) fn waits(&self, deadline: Duration) {
        *self.deadline.lock().unwrap() = deadline;
    }

    /// A request to create a pod in this namespace that names these pull Secrets.
    pub(crate) fn request_with(
        &self,
        namespace: &str,
        secrets: &[&str],
        images: &[&str],
    ) -> Request {
        let mut request = self.request_in(namespace, images);
        let object = request.object.as_mut().unwrap();
        object.pull_secrets = secrets.iter().map(|&name| name.to_owned()).collect();
        request
    }

    /// A request to create a pod of these images.
    pub(crate) fn request(&self, images: &[&str]) -> Request {
        self.request_in("team-a", images)
    }

    pub(crate) fn request_in(&self, namespace: &str, images: &[&str]) -> Request {
        let images = images.iter().enumerate().map(|(index, reference)| ObjectImage {
            reference: (*reference).to_owned(),
            name: format!("c{index}"),
            ..ObjectImage::default()
        });
        let object = Object {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: namespace.to_owned(),
            name: "web".to_owned(),
            generate_name: String::new(),
            labels: Default::default(),
            source: Source::Original,
            images: images.collect(),
            controlled: false,
            template_labels: None,
            pull_secrets: Vec::new(),
            service_account: None,
        };
        Request {
            id: "0".to_owned(),
            operation: Operation::Create,
            namespace: namespace.to_owned(),
            object: Some(object),
            old_object: None,
            dry_run: false,
            enforce_templates: false,
            deadline: self.clock.ticks() + *self.deadline.lock().unwrap(),
        }
    }
}

/// Ends when every task waits. Time is paused, so it takes none.
pub(crate) async fn until_idle() {
    tokio::time::sleep(Duration::from_nanos(1)).await;
}

/// An enforcing cluster policy.
pub(crate) fn policy(name: &str, rules: impl IntoIterator<Item = Rule>) -> Policy {
    Policy {
        id: PolicyId { namespace: None, name: name.to_owned() },
        tier: Tier::Mandatory,
        enforcement_action: EnforcementAction::Deny,
        matcher: Ok(Match::default()),
        rules: Ok(rules.into_iter().collect()),
        on_error: OnError::Deny,
        require_digest: RequireDigest::Allow,
    }
}

/// A rule on the images of `glob`.
pub(crate) fn rule(glob: &str, body: RuleBody) -> Rule {
    Rule { images: vec![assay_policy::ImageGlob::parse(glob).unwrap()], body }
}

/// A rule by which every image needs all of `verifiers`.
pub(crate) fn require(verifiers: impl IntoIterator<Item = Arc<dyn Verifier>>) -> Rule {
    rule("**", requirement(Quorum::All, verifiers))
}

pub(crate) fn requirement(
    quorum: Quorum,
    verifiers: impl IntoIterator<Item = Arc<dyn Verifier>>,
) -> RuleBody {
    let terms = verifiers
        .into_iter()
        .enumerate()
        .map(|(index, verifier)| Term::Verifier(format!("v{index}").into(), verifier));
    RuleBody::Require(Requirement { quorum, of: terms.collect() })
}

/// The codes of all violations, in order.
pub(crate) fn codes(verdict: &Verdict) -> Vec<ReasonCode> {
    let policies = verdict.images.iter().flat_map(|image| &image.policies);
    policies.flat_map(|policy| &policy.violations).map(|violation| violation.code).collect()
}

#[track_caller]
pub(crate) fn assert_admitted(verdict: &Verdict, cache: CacheUse) {
    assert!(verdict.is_admitted(), "{verdict:#?}");
    assert_eq!(verdict.cache, cache, "{verdict:#?}");
}

#[track_caller]
pub(crate) fn assert_denied(verdict: &Verdict, expect: &[ReasonCode]) {
    assert_eq!(verdict.decision, Decision::Deny, "{verdict:#?}");
    assert_eq!(codes(verdict), expect, "{verdict:#?}");
}

#[track_caller]
pub(crate) fn assert_undecided(verdict: &Verdict, expect: &[ReasonCode]) {
    assert_eq!(verdict.decision, Decision::Undecided, "{verdict:#?}");
    assert_eq!(codes(verdict), expect, "{verdict:#?}");
}
