//! `judge`: a request in, a verdict out. The webhook and the command line call the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_core::ports::{
    ArtifactStore, Clock, CredentialSource, Fetch, NamespaceSource, PullIdentity, Recorder,
};
use assay_core::{Access, Digest, Outcome, Repository};
use assay_policy::{
    Finding, Namespace, Plan, PlannedImage, Request, Snapshot, Verdict, Work, decide,
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::accesses::{Accesses, Elsewhere, accesses};
use crate::context::Verifications;
use crate::flights::{Flights, Payer, Pilot};
use crate::look::{Gap, LOOK_TIME_MAX, Look, LookKey, Progress};
use crate::{CacheConfig, Stats};

/// The Snapshot in force: readers load it by pointer, whoever builds the next one stores it.
pub type SharedSnapshot = Arc<ArcSwap<Snapshot>>;

/// How long reading the credentials for one repository may take, whoever waits for it: the longest
/// admission deadline. Some helpers run one after the other, at 10 s each at most.
const CREDENTIALS_TIME_MAX: Duration = Duration::from_secs(30);

/// What the engine asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Where images and evidence are read from.
    pub store: Arc<dyn ArtifactStore>,
    /// Where everything else is read from.
    pub fetch: Arc<dyn Fetch>,
    /// Registry credentials: a request's own, and the webhook's.
    pub credentials: Arc<dyn CredentialSource>,
    /// The labels of namespaces.
    pub namespaces: Arc<dyn NamespaceSource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What happens is counted here.
    pub recorder: Arc<dyn Recorder>,
}

/// Images of an object that is planned where its request is handled. Each is held against every glob of
/// the policies that look at it, of which a namespace's own have 1,000 at most.
const PLANNED_AT_ONCE_MAX: usize = 20;

/// The labels of a request's namespace, or why they could not be had.
type Labels = Result<Arc<BTreeMap<String, String>>, String>;

/// Judges requests under the Snapshot in force.
pub struct Executor {
    snapshots: SharedSnapshot,
    ports: Ports,
    verifications: Arc<Verifications>,
    /// Nobody joins a flight in another's name.
    credentials: Flights<(Repository, Arc<PullIdentity>), Option<Accesses>>,
    looks: Flights<LookKey, Progress>,
    large_plans: Arc<Semaphore>,
}

/// Who asks, and until when.
struct Caller {
    identity: Arc<PullIdentity>,
    deadline: Duration,
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
        let recorder = || ports.recorder.clone();
        Arc::new(Self {
            snapshots,
            verifications: Arc::new(verifications),
            credentials: Flights::new("credentials", CREDENTIALS_TIME_MAX, recorder()),
            looks: Flights::new("image", LOOK_TIME_MAX, recorder()),
            large_plans: Arc::new(Semaphore::new(1)),
            ports,
        })
    }

    /// The verdict on `request`, at its deadline at the latest: what is still under way then is
    /// not decided, and goes on, so that the retry finds it done.
    pub async fn judge(&self, request: &Request) -> Verdict {
        let snapshot = self.snapshots.load_full();
        let labels = self.labels(&snapshot, request).await;
        let plan = self.plan(&snapshot, request, &labels).await;
        let identity = Arc::new(request.pull_identity());
        let caller = Caller { identity, deadline: request.deadline };
        let findings = join_all(plan.images.iter().map(|image| self.find(image, &caller)));
        decide(&snapshot, &plan, &findings.await)
    }

    /// The plan for `request`: of many images on another thread, one plan at a time, so that nobody's
    /// pods and globs hold up others' pods.
    async fn plan(&self, snapshot: &Arc<Snapshot>, request: &Request, labels: &Labels) -> Plan {
        let images = request.object.as_ref().map_or(0, |object| object.images.len());
        if images <= PLANNED_AT_ONCE_MAX {
            return plan(snapshot, request, labels);
        }
        let turn = self.large_plans.clone().acquire_owned().await;
        let (snapshot, request, labels) = (snapshot.clone(), request.clone(), labels.clone());
        let planned = tokio::task::spawn_blocking(move || {
            // Also where nobody waits any longer.
            let _turn = turn;
            plan(&snapshot, &request, &labels)
        });
        match planned.await {
            Ok(plan) => plan,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// What is under way and remembered right now.
    pub fn stats(&self) -> Stats {
        self.verifications.stats()
    }

    /// The labels of the request's namespace; none where they cannot change the verdict.
    async fn labels(&self, snapshot: &Snapshot, request: &Request) -> Labels {
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

    /// What is known about an image at the caller's deadline; `None` where nothing needs to be.
    async fn find(&self, image: &PlannedImage, caller: &Caller) -> Option<Finding> {
        let mut work = image.work()?;
        let repository = work.reference.repository().clone();
        let accesses = match self.accesses(&repository, caller).await {
            Ok(accesses) => accesses,
            Err(outcome) => return Some(unread(outcome)),
        };
        let (elsewhere, refused) = self.elsewhere(&mut work, &accesses, caller).await;
        let verifications = self.verifications.clone();
        let look = Arc::new(Look { work, accesses, elsewhere: Arc::new(elsewhere), verifications });
        let mut finding = self.look(&look, &caller.payer(&repository), caller.deadline).await;
        if finding.subject.is_ok() {
            finding.outcomes.extend(refused);
        }
        Some(finding)
    }

    /// What is found by `look`, cached, under way already, or begun here.
    async fn look(&self, look: &Arc<Look>, payer: &Payer, deadline: Duration) -> Finding {
        let known = look.known().await;
        if look.is_done(&known) {
            return Finding { cached: true, ..look.finding(known, &Gap::Defect) };
        }
        let go_on = |pilot| look.clone().go_on(known.clone(), pilot);
        let mut flight = match self.looks.join(look.key(), payer, known.clone(), go_on) {
            Ok(flight) => flight,
            Err(full) => return look.finding(known, &Gap::Full(full)),
        };
        let ended = self.until(deadline, flight.ended()).await;
        look.finding(flight.progress(), &Gap::of(ended))
    }

    /// The ways to read what else the verifiers of `work` read than the image's repository, which is
    /// read by `own`. Those that cannot be told how to are taken out of it, with their outcomes.
    async fn elsewhere(
        &self,
        work: &mut Work,
        own: &Arc<[Access]>,
        caller: &Caller,
    ) -> (Elsewhere, BTreeMap<Digest, Outcome>) {
        let (mut elsewhere, mut refused) = (Elsewhere::default(), BTreeMap::new());
        let image = work.reference.repository();
        let others = work.verifiers.iter().flat_map(|verifier| verifier.repositories());
        let others: BTreeSet<&Repository> = others.filter(|other| *other != image).collect();
        let asked = others.iter().map(|other| self.accesses(other, caller));
        let answers = others.iter().copied().zip(join_all(asked).await);
        let mut unknown: BTreeMap<Repository, Outcome> = BTreeMap::new();
        elsewhere.add(image.clone(), own.clone());
        for (other, answer) in answers {
            match answer {
                Ok(accesses) => elsewhere.add(other.clone(), accesses),
                Err(outcome) => _ = unknown.insert(other.clone(), outcome),
            }
        }
        work.verifiers.retain(|verifier| {
            let outcome = verifier.repositories().iter().find_map(|other| unknown.get(other));
            let outcome = outcome.map(|outcome| (verifier.fingerprint().clone(), outcome.clone()));
            let stays = outcome.is_none();
            refused.extend(outcome);
            stays
        });
        (elsewhere, refused)
    }

    /// The ways to read `repository` in the caller's name, in the order in which they are to be tried.
    async fn accesses(&self, repository: &Repository, caller: &Caller) -> Accesses {
        let key = (repository.clone(), caller.identity.clone());
        let read = {
            let (source, key) = (self.ports.credentials.clone(), key.clone());
            |pilot: Pilot<_>| async move {
                let accesses = accesses(&*source, &key.0, &key.1).await;
                pilot.tell(|known| *known = Some(accesses));
            }
        };
        let gap = match self.credentials.join(key, &caller.payer(repository), None, read) {
            Err(full) => Gap::Full(full),
            Ok(mut flight) => {
                let ended = self.until(caller.deadline, flight.ended()).await;
                if let Some(accesses) = flight.progress() {
                    return accesses;
                }
                Gap::of(ended)
            }
        };
        Err(gap.outcome(&format!("reading the credentials for {}", repository.host())))
    }
}

impl Caller {
    /// For whom a flight to `repository` counts.
    fn payer(&self, repository: &Repository) -> Payer {
        let namespace = self.identity.namespace.clone();
        Payer { namespace, host: repository.host().to_owned() }
    }
}

fn plan(snapshot: &Snapshot, request: &Request, labels: &Labels) -> Plan {
    let namespace = (!request.namespace.is_empty()).then(|| Namespace {
        name: &request.namespace,
        labels: labels.as_ref().map(|labels| &**labels).map_err(String::as_str),
    });
    Plan::new(snapshot, request, namespace.as_ref())
}

/// What is found about an image that nobody could read.
fn unread(outcome: Outcome) -> Finding {
    Finding { subject: Err(outcome), tag_proven: None, outcomes: BTreeMap::new(), cached: false }
}
