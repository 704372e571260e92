//! `judge`: a request in, a verdict out. The webhook and the command line call the same one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_core::ports::{
    ArtifactStore, Clock, CredentialSource, Fetch, NamespaceSource, Recorder, Selector,
};
use assay_core::{
    Access, Descriptor, Digest, ImageReference, Outcome, ReasonCode, Repository, State, StoreError,
    Subject,
};
use assay_policy::{
    Finding, Namespace, Plan, PlannedImage, Request, Snapshot, Verdict, Work, decide,
};
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::CacheConfig;
use crate::context::Verifications;

/// The Snapshot in force: readers load it by pointer, whoever builds the next one stores it.
pub type SharedSnapshot = Arc<ArcSwap<Snapshot>>;

/// Images looked at at once, those of callers that gave up too. A request of 256 images fits twice.
const IMAGES_IN_FLIGHT_MAX: usize = 512;

/// What the engine asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Where images and evidence are read from.
    pub store: Arc<dyn ArtifactStore>,
    /// Where everything else is read from.
    pub fetch: Arc<dyn Fetch>,
    /// The webhook's own registry credentials.
    pub credentials: Arc<dyn CredentialSource>,
    /// The labels of namespaces.
    pub namespaces: Arc<dyn NamespaceSource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What happens is counted here.
    pub recorder: Arc<dyn Recorder>,
}

/// Judges requests under the Snapshot in force.
pub struct Executor {
    snapshots: SharedSnapshot,
    ports: Ports,
    verifications: Arc<Verifications>,
    in_flight: Arc<Semaphore>,
}

impl Executor {
    /// An executor with empty caches.
    pub fn new(snapshots: SharedSnapshot, ports: Ports, cache: CacheConfig) -> Arc<Self> {
        let verifications = Verifications::new(
            ports.store.clone(),
            ports.fetch.clone(),
            cache,
            &ports.clock,
            &ports.recorder,
        );
        Arc::new(Self {
            snapshots,
            ports,
            verifications: Arc::new(verifications),
            in_flight: Arc::new(Semaphore::new(IMAGES_IN_FLIGHT_MAX)),
        })
    }

    /// The verdict on `request`, at its deadline at the latest: what is still under way then is
    /// not decided, and goes on, so that the retry finds it done.
    pub async fn judge(self: &Arc<Self>, request: &Request) -> Verdict {
        let snapshot = self.snapshots.load_full();
        let labels = self.labels(&snapshot, request).await;
        let namespace = (!request.namespace.is_empty()).then(|| Namespace {
            name: &request.namespace,
            labels: labels.as_ref().map(|labels| &**labels).map_err(String::as_str),
        });
        let plan = Plan::new(&snapshot, request, namespace.as_ref());
        let findings = join_all(plan.images.iter().map(|image| self.find(image, request.deadline)));
        decide(&snapshot, &plan, &findings.await)
    }

    /// The labels of the request's namespace; none where they cannot change the verdict.
    async fn labels(
        &self,
        snapshot: &Snapshot,
        request: &Request,
    ) -> Result<Arc<BTreeMap<String, String>>, String> {
        if request.namespace.is_empty() || !Plan::needs_labels(snapshot, request) {
            return Ok(Arc::default());
        }
        let labels = self.ports.namespaces.labels(&request.namespace);
        match self.until(request.deadline, labels).await {
            Some(labels) => labels.map_err(|error| error.to_string()),
            None => Err("the namespace's labels were not read in time".to_owned()),
        }
    }

    /// What `work` ends in, or `None` at the deadline.
    async fn until<T>(&self, deadline: Duration, work: impl Future<Output = T>) -> Option<T> {
        let left = deadline.saturating_sub(self.ports.clock.ticks());
        tokio::time::timeout(left, work).await.ok()
    }

    /// What is known about an image at the deadline; `None` where nothing needs to be.
    async fn find(self: &Arc<Self>, image: &PlannedImage, deadline: Duration) -> Option<Finding> {
        let work = image.work()?;
        let Ok(permit) = self.in_flight.clone().try_acquire_owned() else {
            return Some(unfound(ReasonCode::Overloaded, "too many images are being verified"));
        };
        let (sender, mut receiver) = watch::channel(Progress::start());
        tokio::spawn(self.clone().look(work, sender, permit));
        let done = receiver.wait_for(|progress| progress.is_done);
        let ended = self.until(deadline, done).await.map(|done| done.is_ok());
        let progress = receiver.borrow().clone();
        Some(match ended {
            // The sender went away before it was done: the task panicked.
            Some(false) => unfound_as(State::Rejected(ReasonCode::Internal), "internal error"),
            Some(true) => progress.finding,
            None => Finding { cached: false, ..progress.finding },
        })
    }

    /// Looks at an image, telling what is known as soon as it is. It runs in a task of its own and
    /// ends by its own limits, whether or not anyone still listens.
    async fn look(
        self: Arc<Self>,
        work: Work,
        tell: watch::Sender<Progress>,
        _permit: OwnedSemaphorePermit,
    ) {
        let (subject, tag_proven) = self.resolve(&work).await;
        let Ok(found) = subject.clone() else {
            tell.send_modify(|progress| progress.end(subject, tag_proven));
            return;
        };
        tell.send_modify(|progress| progress.resolved(subject, tag_proven, &work));
        let verifications = work.verifiers.iter().map(|verifier| {
            let (engine, found, tell) = (&self, &found, &tell);
            async move {
                let (outcome, cached) = engine.verifications.outcome(verifier, found, 0).await;
                tell.send_modify(|progress| {
                    progress.verified(verifier.fingerprint(), &outcome, cached)
                });
            }
        });
        join_all(verifications).await;
        tell.send_modify(|progress| progress.is_done = true);
    }

    /// The subject that the reference stands for, and whether its tag points there.
    async fn resolve(
        &self,
        work: &Work,
    ) -> (Result<Subject, Outcome>, Option<Result<bool, Outcome>>) {
        let repository = work.reference.repository();
        let at = selector(&work.reference);
        let (descriptor, access) = match self.accessible(repository, &at).await {
            Ok(found) => found,
            Err(outcome) => return (Err(outcome), None),
        };
        let digest = descriptor.digest.clone();
        let tag_proven = match work.reference.tag() {
            Some(tag) if work.prove_tag => {
                Some(self.carries(repository, tag, &digest, &access).await)
            }
            _ => None,
        };
        (Ok(Subject { repository: repository.clone(), descriptor, access }), tag_proven)
    }

    /// Whether `tag` points at `digest`.
    async fn carries(
        &self,
        repository: &Repository,
        tag: &str,
        digest: &Digest,
        access: &Access,
    ) -> Result<bool, Outcome> {
        let at = Selector::Tag(tag.to_owned());
        match self.verifications.store().resolve(repository, &at, access).await {
            Ok(found) => Ok(found.digest == *digest),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(Outcome::unread(&error, ReasonCode::TagNotProven)),
        }
    }

    /// The image, read with the first of the credentials that may; without any where there are
    /// none.
    async fn accessible(
        &self,
        repository: &Repository,
        at: &Selector,
    ) -> Result<(Descriptor, Access), Outcome> {
        let credentials =
            self.ports.credentials.credentials(repository).await.map_err(|error| {
                Outcome::new(State::Unavailable(ReasonCode::RegistryDenied), error.to_string())
            })?;
        let mut accesses: Vec<Access> = credentials.into_iter().map(Access::with).collect();
        if accesses.is_empty() {
            accesses.push(Access::public());
        }
        let mut denied = StoreError::Internal;
        for access in accesses {
            match self.verifications.store().resolve(repository, at, &access).await {
                Ok(descriptor) => return Ok((descriptor, access)),
                Err(error @ StoreError::Denied { .. }) => denied = error,
                Err(error) => return Err(Outcome::unread(&error, ReasonCode::ImageNotFound)),
            }
        }
        Err(Outcome::unread(&denied, ReasonCode::ImageNotFound))
    }
}

/// What a reference is resolved by: its digest, else its tag.
fn selector(reference: &ImageReference) -> Selector {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Selector::Digest(digest.clone()),
        (None, tag) => Selector::Tag(tag.unwrap_or("latest").to_owned()),
    }
}

fn unfound(code: ReasonCode, message: &str) -> Finding {
    unfound_as(State::Unavailable(code), message)
}

fn unfound_as(state: State, message: &str) -> Finding {
    Finding {
        subject: Err(Outcome::new(state, message)),
        tag_proven: None,
        outcomes: BTreeMap::new(),
        cached: false,
    }
}

/// What is known so far; what is not yet is undecided for want of time.
#[derive(Clone)]
struct Progress {
    finding: Finding,
    is_done: bool,
}

impl Progress {
    fn start() -> Self {
        let finding = unfound(ReasonCode::Timeout, "the image was still being resolved");
        Self { finding, is_done: false }
    }

    /// Nothing more can be known.
    fn end(
        &mut self,
        subject: Result<Subject, Outcome>,
        tag_proven: Option<Result<bool, Outcome>>,
    ) {
        self.finding.subject = subject;
        self.finding.tag_proven = tag_proven;
        self.is_done = true;
    }

    fn resolved(
        &mut self,
        subject: Result<Subject, Outcome>,
        tag_proven: Option<Result<bool, Outcome>>,
        work: &Work,
    ) {
        let pending = || {
            Outcome::new(
                State::Unavailable(ReasonCode::Timeout),
                "verification was still under way",
            )
        };
        let verifiers = work.verifiers.iter();
        self.finding = Finding {
            subject,
            tag_proven,
            outcomes: verifiers
                .map(|verifier| (verifier.fingerprint().clone(), pending()))
                .collect(),
            cached: true,
        };
    }

    fn verified(&mut self, fingerprint: &Digest, outcome: &Outcome, cached: bool) {
        self.finding.outcomes.insert(fingerprint.clone(), outcome.clone());
        self.finding.cached &= cached;
    }
}
