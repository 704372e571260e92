//! Where policies come from: files, which are looked at again and again, and where there is a
//! cluster, from it, with the files beside what it holds.

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use assay_api::{CompileOptions, Configuration, Problem, PullSecrets};
use assay_control::{
    Activity, Control, EventWriter, Handle, LivePullSecrets, NoNamespaces, Settings, Told,
};
use assay_core::ports::{Clock, NamespaceSource, PullSecretSource};
use assay_engine::{CacheConfig, Executor, Ports, SharedSnapshot};
use assay_policy::Snapshot;
use assay_registry::Loopback;
use assay_verifiers::Factory;
use assay_webhook::Handler;
use tokio::task::JoinSet;

use crate::crls::Crls;
use crate::files::PolicyFiles;
use crate::metrics::Metrics;
use crate::wiring;

/// How often files of policies are looked at: soon enough for whoever edits one and waits, and far
/// below the minute that kubelet takes to bring a changed ConfigMap into a pod.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where Linux has the name of the host, which no two pods of a namespace share.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Who answers reviews.
pub(crate) type Judging = Arc<Handler<Arc<Executor>>>;

/// What keeps policies in force.
pub(crate) struct Policies {
    files: Arc<PolicyFiles>,
    /// With the factory of this process: what its verifiers remember outlives the policies.
    crls: Crls,
    source: Source,
}

enum Source {
    /// The cluster, with what judges once it has said what is in force.
    Cluster(Box<(Control, Ports, CacheConfig)>, Arc<EventWriter>),
    /// Files alone, with what is in force.
    Files(SharedSnapshot, Arc<Told>),
}

impl Policies {
    /// The policies of `configuration`. Without a cluster `handler` judges by them at once, with one
    /// as soon as they [run](Self::run) and everything was listed.
    ///
    /// # Errors
    /// What the configuration names cannot be used. Policies that do not compile are no error.
    pub(crate) async fn start(
        configuration: &Configuration,
        handler: &Judging,
        (clock, metrics): (Arc<dyn Clock>, Arc<Metrics>),
    ) -> anyhow::Result<Self> {
        let mut options = wiring::compile_options(configuration);
        options.exempt_namespaces.extend(own_namespace());
        let files = PolicyFiles::read(configuration.policies.clone(), options.clone())
            .context("policies cannot be read")?;
        let (files, factory) = (Arc::new(files), Factory::default());
        let told = told(metrics.clone());
        let cache = wiring::cache(configuration);
        let ports = |namespaces: Arc<dyn NamespaceSource>, pull_secrets| {
            let own = (clock.clone(), metrics.clone() as _);
            wiring::ports(configuration, Loopback::Refused, (namespaces, pull_secrets), own)
        };
        let (fetch, source) = match cluster(configuration).await? {
            Some(cluster) => {
                let activity = Arc::new(Activity::new(clock.clone()));
                metrics.count_in(activity.clone());
                let client = assay_control::client(cluster.clone()).context("kubernetes")?;
                let pull_secrets = pull_secrets(&configuration.pull_secrets, &client, &clock);
                let control = assay_control::Ports {
                    client,
                    clock: clock.clone(),
                    factory: Arc::new(factory.clone()),
                    files: files.clone(),
                    activity,
                    compiled: told,
                };
                let settings = settings(&cluster, options);
                let events = event_writer(&control, &settings, metrics.clone());
                handler.tell(events.clone());
                let control = Control::start(settings, control);
                let ports = ports(control.handle().namespaces(), pull_secrets)?;
                let fetch = ports.fetch.clone();
                (fetch, Source::Cluster(Box::new((control, ports, cache)), events))
            }
            None => {
                let needs_none = configuration.pull_secrets == PullSecrets::None;
                anyhow::ensure!(
                    needs_none,
                    "credentials.pullSecrets needs a cluster, and none is configured"
                );
                let compiled = files.compile(&factory, None);
                told(&compiled.snapshot, &compiled.problems);
                let snapshots: SharedSnapshot = Arc::new(ArcSwap::from_pointee(compiled.snapshot));
                let ports = ports(Arc::new(NoNamespaces), None)?;
                let fetch = ports.fetch.clone();
                handler.begin(Executor::new(snapshots.clone(), ports, cache));
                (fetch, Source::Files(snapshots, told))
            }
        };
        Ok(Self { files, crls: Crls { factory, fetch, clock }, source })
    }

    /// The cluster; `None` where there is none.
    pub(crate) fn handle(&self) -> Option<Handle> {
        match &self.source {
            Source::Cluster(cluster, _) => Some(cluster.0.handle()),
            Source::Files(..) => None,
        }
    }

    /// Keeps in force what files and the cluster say. It returns only where a defect stops that.
    pub(crate) async fn run(self, handler: Judging) {
        let Self { files, crls, source } = self;
        let factory = crls.factory.clone();
        // Tasks of their own: whatever becomes of them, policies stay in force.
        let mut beside = JoinSet::new();
        beside.spawn(crls.keep_fresh());
        match source {
            Source::Cluster(cluster, events) => {
                beside.spawn(async move { events.run().await });
                let (control, ports, cache) = *cluster;
                let handle = control.handle();
                let begin = |snapshots| handler.begin(Executor::new(snapshots, ports, cache));
                tokio::select! {
                    () = poll(files, move |_| handle.rebuild()) => {}
                    () = watch(control, begin) => {}
                }
            }
            Source::Files(snapshots, told) => {
                let changed = move |files: &PolicyFiles| {
                    let compiled = files.compile(&factory, Some(&snapshots.load_full()));
                    told(&compiled.snapshot, &compiled.problems);
                    snapshots.store(Arc::new(compiled.snapshot));
                };
                poll(files, changed).await;
            }
        }
    }
}

/// Where the pull Secrets of pods come from, if from anywhere.
fn pull_secrets(
    grant: &PullSecrets,
    client: &kube::Client,
    clock: &Arc<dyn Clock>,
) -> Option<Arc<dyn PullSecretSource>> {
    let secrets = || LivePullSecrets::new(client.clone(), grant.clone(), clock);
    (*grant != PullSecrets::None).then(|| Arc::new(secrets()) as _)
}

/// Calls `begin` with what the cluster says first, and keeps that what it says.
async fn watch(mut control: Control, begin: impl FnOnce(SharedSnapshot)) {
    if let Ok(snapshots) = control.first().await {
        begin(snapshots.clone());
        tracing::info!("ready");
        control.run(snapshots).await;
    }
}

/// Looks at the files again and again, and calls `changed` where they did.
async fn poll(files: Arc<PolicyFiles>, changed: impl Fn(&PolicyFiles) + Send + Sync + 'static) {
    let changed = Arc::new(changed);
    let mut said: Vec<String> = Vec::new();
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let (files, changed) = (files.clone(), changed.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let refresh = files.refresh();
            if refresh.changed {
                changed(&files);
            }
            refresh.complaints
        });
        let Ok(complaints) = looked.await else {
            tracing::error!("looking at the files of policies panicked: what is in force stays");
            continue;
        };
        for complaint in complaints.iter().filter(|complaint| !said.contains(complaint)) {
            tracing::error!("{complaint}");
        }
        said = complaints;
    }
}

/// Says what is in force, and what does not compile: once for as long as that is so.
fn told(metrics: Arc<Metrics>) -> Arc<Told> {
    let said = Mutex::new(HashSet::new());
    Arc::new(move |snapshot: &Snapshot, problems: &[Problem]| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *said);
        for problem @ Problem { origin, object, invalid } in problems {
            let text = problem.to_string();
            if !before.contains(&text) {
                tracing::error!(%origin, object, %invalid, "does not compile");
            }
            said.insert(text);
        }
        metrics.in_force(snapshot);
        let (policies, problems) = (snapshot.policies.len(), problems.len());
        tracing::info!(policies, problems, "policies in force");
    })
}

/// The cluster that is to be watched; `None` where there is none, or none is wanted.
async fn cluster(configuration: &Configuration) -> anyhow::Result<Option<kube::Config>> {
    if configuration.kubernetes == Some(false) {
        return Ok(None);
    }
    match kube::Config::infer().await {
        Ok(config) => Ok(Some(config)),
        Err(error) if configuration.kubernetes.is_none() => {
            tracing::info!(%error, "no cluster is configured: policies come from files alone");
            Ok(None)
        }
        Err(error) => Err(error).context("kubernetes: true, and no cluster is configured"),
    }
}

/// What tells the users of the cluster about refused pods.
fn event_writer(
    control: &assay_control::Ports,
    settings: &Settings,
    metrics: Arc<Metrics>,
) -> Arc<EventWriter> {
    let count = move |result, times| metrics.events(result, times);
    let (client, clock) = (control.client.clone(), control.clock.clone());
    Arc::new(EventWriter::new(client, settings.identity.clone(), clock, Arc::new(count)))
}

/// This replica in `cluster`. Processes on one machine differ by their number.
fn settings(cluster: &kube::Config, options: CompileOptions) -> Settings {
    let host = read_name(HOSTNAME_FILE).unwrap_or_else(|| "assay".to_owned());
    Settings {
        options,
        namespace: own_namespace().unwrap_or_else(|| cluster.default_namespace.clone()),
        identity: format!("{host}_{}", std::process::id()),
    }
}

/// Assay's own namespace, in which nothing is judged; `None` outside of a pod.
fn own_namespace() -> Option<String> {
    read_name(NAMESPACE_FILE)
}

fn read_name(file: &str) -> Option<String> {
    let name = fs::read_to_string(file).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
