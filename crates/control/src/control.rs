//! The controller: watches in, Snapshots out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_api::{CompileOptions, Compiled, Document, Problem, compile};
use assay_core::ports::{Clock, NamespaceSource, VerifierFactory};
use assay_policy::Snapshot;
use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DynamicObject;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use crate::Activity;
use crate::lease::Leadership;
use crate::materials::{Materials, Wanted};
use crate::namespaces::{LiveNamespaces, WatchedNamespaces};
use crate::objects::{Held, Kind, ObjectId, Objects};
use crate::sources::ClusterSources;
use crate::status::Built;
use crate::status_writer::StatusWriter;
use crate::watching::{Failure, Freshness, Sink, follow};

/// How long changes are gathered before they are compiled together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long they are gathered where compiling takes longer than that: never more than half of one
/// processor is spent on it, and what changes takes effect within the second.
const DEBOUNCE_MAX: Duration = Duration::from_millis(400);
/// How long a compile waits for Secrets and ConfigMaps that are named for the first time, so that a
/// policy and what it rests on take effect together.
const SETTLE_MAX: Duration = Duration::from_millis(400);
/// The same, for the first compile.
const FIRST_SETTLE_MAX: Duration = Duration::from_secs(10);

/// What the controller is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What policies are compiled with.
    pub options: CompileOptions,
    /// The namespace where the replicas agree on who writes status: Assay's own.
    pub namespace: String,
    /// This replica's name, which no other has: the pod's.
    pub identity: String,
}

/// What the controller works with.
#[derive(Clone)]
pub struct Ports {
    /// The API server; see [`client`](crate::client()).
    pub client: Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Builds verifiers.
    pub factory: Arc<dyn VerifierFactory>,
    /// The documents that are in files.
    pub files: Arc<dyn Files>,
    /// What policies did of late.
    pub activity: Arc<Activity>,
    /// Told of each Snapshot before it is in force, and of what in it does not compile.
    pub compiled: Arc<Told>,
}

/// Takes a Snapshot, and what of it does not compile. It may block.
pub type Told = dyn Fn(&Snapshot, &[Problem]) + Send + Sync;

/// The documents that are in files, besides what the cluster holds.
pub trait Files: Send + Sync {
    /// Every document, in order. It may block.
    fn documents(&self) -> Vec<Document>;

    /// What the file at `path`, which a trust store in a file names, holds; of more than
    /// [`TRUST_STORE_BYTES_MAX`](assay_api::limits::TRUST_STORE_BYTES_MAX) bytes, at least one more.
    /// It may block.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;
}

/// No files.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

/// Why the controller stopped: a defect of ours. Whoever runs it ends the process, since nothing
/// that changes in the cluster takes effect any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// The controller.
pub struct Control {
    shared: Arc<Shared>,
    settings: Settings,
    watches: JoinSet<()>,
}

/// The controller, seen from outside.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    ports: Ports,
    options: CompileOptions,
    objects: Arc<Objects>,
    materials: Materials,
    namespaces: Arc<WatchedNamespaces>,
    freshness: Freshness,
    changed: Arc<Notify>,
}

impl Control {
    /// A controller whose watches are under way.
    ///
    /// Of the cluster it needs: `list` and `watch` on the four kinds and on namespaces, `get` on
    /// namespaces, `list` and `watch` on the Secrets and ConfigMaps of its own namespace, `patch` on
    /// the kinds' `status`, and `get`, `create` and `update` on the Lease `assay-status-writer`.
    pub fn start(settings: Settings, ports: Ports) -> Self {
        let changed = Arc::new(Notify::new());
        let live = LiveNamespaces::new(ports.client.clone(), ports.clock.clone());
        let shared = Arc::new(Shared {
            options: settings.options.clone(),
            objects: Arc::default(),
            materials: Materials::new(ports.client.clone(), changed.clone()),
            namespaces: Arc::new(WatchedNamespaces::new(live)),
            freshness: Freshness::new(ports.clock.clone()),
            changed,
            ports,
        });
        let client = &shared.ports.client;
        let mut watches = JoinSet::new();
        for kind in Kind::ALL {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
            watches.spawn(follow(api, Config::default(), KindSink(kind, shared.clone())));
        }
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
        watches.spawn(follow(api, Config::default(), NamespaceSink(shared.clone())));
        Self { shared, settings, watches }
    }

    /// The controller, seen from outside.
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }

    /// The first Snapshot, once everything was listed in full. Before that there is none, and nothing
    /// can be judged.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn first(&mut self) -> Result<Arc<ArcSwap<Snapshot>>, Stopped> {
        let shared = self.shared.clone();
        let listed = async {
            while !shared.is_listed() {
                shared.changed.notified().await;
            }
        };
        tokio::select! {
            () = listed => {}
            _ = self.watches.join_next() => return Err(Stopped),
        }
        let built = self.shared.build(None, FIRST_SETTLE_MAX).await.ok_or(Stopped)?;
        // What changed while it was built is built next.
        self.shared.changed.notify_one();
        Ok(Arc::new(ArcSwap::from(built.snapshot.clone())))
    }

    /// Keeps `snapshots` what the cluster and the files say, and each object's status what became of
    /// it, until something stops that must not.
    pub async fn run(mut self, snapshots: Arc<ArcSwap<Snapshot>>) -> Stopped {
        let Ports { client, clock, activity, .. } = self.shared.ports.clone();
        let Settings { namespace, identity, .. } = &self.settings;
        let leadership =
            Arc::new(Leadership::new(client.clone(), namespace, identity.clone(), clock.clone()));
        let (built, is_built) = watch::channel(None);
        let writer = StatusWriter {
            client,
            clock,
            leadership: leadership.clone(),
            activity,
            namespaces: self.shared.namespaces.clone(),
            objects: self.shared.objects.clone(),
        };
        let builds = self.shared.clone();
        self.watches.spawn(async move { leadership.run().await });
        self.watches.spawn(writer.run(is_built));
        self.watches.spawn(async move { builds.run(&snapshots, &built).await });
        let _ = self.watches.join_next().await;
        tracing::error!("the controller stopped: nothing that changes takes effect any longer");
        Stopped
    }
}

impl Handle {
    /// How long the Snapshot in force has been out of step with the cluster; zero where it is not. An
    /// API server that goes away without a word is noticed after 75 seconds at most.
    pub fn age(&self) -> Duration {
        self.shared.freshness.age()
    }

    /// What of the cluster cannot be read, and why: in one line, the first of it.
    pub fn failure(&self) -> Option<String> {
        self.shared.freshness.failure()
    }

    /// The namespaces of the cluster.
    pub fn namespaces(&self) -> Arc<dyn NamespaceSource> {
        self.shared.namespaces.clone()
    }

    /// Has everything compiled anew, soon: what [`Files`] gives has changed.
    pub fn rebuild(&self) {
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn is_listed(&self) -> bool {
        self.objects.are_listed() && self.namespaces.are_listed()
    }

    /// Compiles what changed and swaps it in, for good.
    async fn run(
        self: Arc<Self>,
        snapshots: &ArcSwap<Snapshot>,
        sender: &watch::Sender<Option<Arc<Built>>>,
    ) {
        let mut pause = DEBOUNCE;
        loop {
            self.changed.notified().await;
            tokio::time::sleep(pause).await;
            // What came meanwhile is compiled with it.
            let _ = self.changed.notified().now_or_never();
            let start = self.ports.clock.ticks();
            if let Some(built) = self.build(Some(snapshots.load_full()), SETTLE_MAX).await {
                snapshots.store(built.snapshot.clone());
                sender.send_replace(Some(built));
            }
            let took = self.ports.clock.ticks().saturating_sub(start);
            pause = took.clamp(DEBOUNCE, DEBOUNCE_MAX);
        }
    }

    /// The next Snapshot, made on threads of its own; `None` where that panicked, which is told and
    /// changes nothing.
    async fn build(
        self: &Arc<Self>,
        last_good: Option<Arc<Snapshot>>,
        settle_max: Duration,
    ) -> Option<Arc<Built>> {
        const COMPILE: &str = "compile";
        let panicked = |error: JoinError| self.freshness.failed(COMPILE, &error.to_string());
        let own = self.clone();
        let gathered = spawn_blocking(move || own.gather()).await.map_err(panicked).ok()?;
        self.materials.want(&gathered.wanted);
        self.materials.settle(settle_max).await;
        let own = self.clone();
        let compiled = spawn_blocking(move || own.compile(gathered, last_good.as_deref()));
        let built = compiled.await.map_err(panicked).ok()?;
        self.freshness.works(COMPILE);
        Some(built)
    }

    fn gather(&self) -> Gathered {
        let given = self.ports.files.documents();
        let objects = self.objects.all();
        let wanted = {
            let sources = self.sources(&given);
            let documents = objects.values().map(|held| &*held.document).chain(&given);
            let references = documents.filter_map(|document| {
                let reference = document.material_reference()?;
                Some((document.store_id()?.namespace, reference))
            });
            references.filter(|(_, reference)| !sources.gives(reference)).collect()
        };
        Gathered { given, objects, wanted }
    }

    fn compile(&self, gathered: Gathered, last_good: Option<&Snapshot>) -> Arc<Built> {
        let Gathered { given, objects, .. } = gathered;
        let sources = self.sources(&given);
        let mut documents = given.clone();
        documents.extend(objects.values().map(|held| Document::clone(&held.document)));
        let Compiled { snapshot, problems, .. } =
            compile(&documents, &self.options, &sources, &*self.ports.factory, last_good);
        (self.ports.compiled)(&snapshot, &problems);
        let stand_ins = self.options.stand_ins.keys().cloned();
        Arc::new(Built::new(&objects, (snapshot, &problems), &sources, stand_ins))
    }

    fn sources<'a>(&'a self, given: &'a [Document]) -> ClusterSources<'a> {
        ClusterSources { materials: &self.materials, given, files: &*self.ports.files }
    }
}

/// What a Snapshot is made of.
struct Gathered {
    given: Vec<Document>,
    objects: BTreeMap<ObjectId, Held>,
    wanted: Wanted,
}

impl Files for NoFiles {
    fn documents(&self) -> Vec<Document> {
        Vec::new()
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        Err(format!("{} cannot be read: there are no files here", path.display()))
    }
}

/// Takes what the watch on a kind brings.
struct KindSink(Kind, Arc<Shared>);

impl Sink<DynamicObject> for KindSink {
    fn event(&self, event: Event<DynamicObject>) {
        let Self(kind, shared) = self;
        if !matches!(event, Event::Init | Event::InitApply(_)) {
            shared.freshness.works(kind.as_str());
        }
        if shared.objects.event(*kind, event) {
            shared.changed.notify_one();
        }
    }

    fn failed(&self, error: &Failure) {
        self.1.freshness.failed(self.0.as_str(), &error.reason);
    }
}

/// Takes what the watch on namespaces brings.
struct NamespaceSink(Arc<Shared>);

impl Sink<PartialObjectMeta<Namespace>> for NamespaceSink {
    fn event(&self, event: Event<PartialObjectMeta<Namespace>>) {
        if !matches!(event, Event::Init | Event::InitApply(_)) {
            self.0.freshness.works("Namespace");
        }
        let before = self.0.namespaces.are_listed();
        self.0.namespaces.event(event);
        if self.0.namespaces.are_listed() != before {
            self.0.changed.notify_one();
        }
    }

    fn failed(&self, error: &Failure) {
        self.0.freshness.failed("Namespace", &error.reason);
    }
}
