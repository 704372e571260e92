//! `judge`: a request in, a verdict out. The webhook and the command line call the same one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_core::ports::{ArtifactStore, Clock, CredentialSource, Fetch, NamespaceSource, Recorder};
use assay_core::{Access, Outcome, Repository};
use assay_policy::{Finding, Namespace, Plan, PlannedImage, Request, Snapshot, Verdict, decide};
use futures_util::future::join_all;

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
    credentials: Flights<Repository, Option<Accesses>>,
    looks: Flights<LookKey, Progress>,
}

/// The ways to read a repository, or why they are not known.
type Accesses = Result<Vec<Access>, Outcome>;

impl Executor {
    /// An executor with empty caches.
    pub fn new(snapshots: SharedSnapshot, ports: Ports, cache: CacheConfig) -> Arc<Self> {
        let verifications = Verifications::new(
            ports.store.clone(),
            ports.fetch.clone(),
            ports.credentials.clone(),
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
            ports,
        })
    }

    /// The verdict on `request`, at its deadline at the latest: what is still under way then is
    /// not decided, and goes on, so that the retry finds it done.
    pub async fn judge(&self, request: &Request) -> Verdict {
        let snapshot = self.snapshots.load_full();
        let labels = self.labels(&snapshot, request).await;
        let namespace = (!request.namespace.is_empty()).then(|| Namespace {
            name: &request.namespace,
            labels: labels.as_ref().map(|labels| &**labels).map_err(String::as_str),
        });
        let plan = Plan::new(&snapshot, request, namespace.as_ref());
        let findings = join_all(plan.images.iter().map(|image| self.find(image, request)));
        decide(&snapshot, &plan, &findings.await)
    }

    /// What is under way and remembered right now.
    pub fn stats(&self) -> Stats {
        self.verifications.stats()
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

    /// What is known about an image at the request's deadline; `None` where nothing needs to be.
    async fn find(&self, image: &PlannedImage, request: &Request) -> Option<Finding> {
        let work = image.work()?;
        let repository = work.reference.repository();
        let (namespace, host) = (request.namespace.clone(), repository.host().to_owned());
        let payer = Payer { namespace, host };
        let accesses = match self.accesses(repository, &payer, request.deadline).await {
            Ok(accesses) => accesses,
            Err(outcome) => return Some(unread(outcome)),
        };
        let look = Arc::new(Look { work, accesses, verifications: self.verifications.clone() });
        let known = look.known().await;
        if look.is_done(&known) {
            return Some(Finding { cached: true, ..look.finding(known, &Gap::Defect) });
        }
        let go_on = |pilot| look.clone().go_on(known.clone(), pilot);
        let mut flight = match self.looks.join(look.key(), &payer, known.clone(), go_on) {
            Ok(flight) => flight,
            Err(full) => return Some(look.finding(known, &Gap::Full(full))),
        };
        let ended = self.until(request.deadline, flight.ended()).await;
        Some(look.finding(flight.progress(), &Gap::of(ended)))
    }

    /// The ways to read `repository`, in the order in which they are to be tried.
    async fn accesses(
        &self,
        repository: &Repository,
        payer: &Payer,
        deadline: Duration,
    ) -> Accesses {
        let read = {
            let (verifications, repository) = (self.verifications.clone(), repository.clone());
            |pilot: Pilot<_>| async move {
                let accesses = verifications.accesses(&repository).await;
                pilot.tell(|known| *known = Some(accesses));
            }
        };
        let gap = match self.credentials.join(repository.clone(), payer, None, read) {
            Err(full) => Gap::Full(full),
            Ok(mut flight) => {
                let ended = self.until(deadline, flight.ended()).await;
                if let Some(accesses) = flight.progress() {
                    return accesses;
                }
                Gap::of(ended)
            }
        };
        Err(gap.outcome(&format!("reading the credentials for {}", repository.host())))
    }
}

/// What is found about an image that nobody could read.
fn unread(outcome: Outcome) -> Finding {
    Finding { subject: Err(outcome), tag_proven: None, outcomes: BTreeMap::new(), cached: false }
}
