//! `assay serve`: the webhook, its metrics and its health, until SIGTERM.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use assay_api::{Configuration, PathToken, Problem, WebhookConfiguration};
use assay_control::{LiveNamespaces, NoNamespaces};
use assay_core::ports::{Clock, NamespaceSource};
use assay_engine::{Executor, SharedSnapshot};
use assay_policy::Snapshot;
use assay_registry::Loopback;
use assay_verifiers::Factory;
use assay_webhook::{Callers, Handler, Page, PlainServer, Server, SharedTls};
use hyper::{Response, StatusCode, header};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::ServeArguments;
use crate::clock::SystemClock;
use crate::files::PolicyFiles;
use crate::metrics::Metrics;
use crate::tls::{self, TlsFiles};
use crate::wiring;

/// How often files of policies are looked at: soon enough for whoever edits one and waits, and far
/// below the minute that kubelet takes to bring a changed ConfigMap into a pod.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A webhook that is bound and has its policies, and serves once it is run.
pub(crate) struct Serving {
    server: Server,
    metrics_server: PlainServer,
    health_server: PlainServer,
    handler: Arc<Handler<Arc<Executor>>>,
    executor: Arc<Executor>,
    metrics: Arc<Metrics>,
    files: PolicyFiles,
    snapshots: SharedSnapshot,
    tls_files: TlsFiles,
    tls: SharedTls,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    let mut configuration = wiring::read_configuration(&arguments.config)?;
    configuration.webhook.listen = arguments.listen.unwrap_or(configuration.webhook.listen);
    crate::logging::start(&configuration.log)?;
    let serving = Serving::start(&configuration).await?;
    tracing::info!(webhook = %serving.address(), "serving");
    serving.run(stopped(configuration.webhook.drain_delay)?).await;
    tracing::info!("stopped");
    Ok(())
}

/// Ends at the first SIGTERM or SIGINT, with how long to serve on: `drain_delay`, or not at all for
/// whoever sits at the terminal.
fn stopped(drain_delay: Duration) -> anyhow::Result<impl Future<Output = Duration>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => drain_delay,
            _ = interrupt.recv() => Duration::ZERO,
        }
    })
}

impl Serving {
    /// Everything that `configuration` asks for, bound and with its policies compiled.
    pub(crate) async fn start(configuration: &Configuration) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (tls_files, loaded) = TlsFiles::read(&configuration.webhook)?;
        let metrics = Arc::new(Metrics::new()?);
        metrics.certificate_expiry(loaded.expiry);
        let mut options = wiring::compile_options(configuration);
        options.exempt_namespaces.extend(own_namespace());
        let files = PolicyFiles::read(configuration.policies.clone(), options)
            .context("policies cannot be read")?;
        let compiled = files.compile(&Factory, None);
        report(&metrics, &compiled.snapshot, &compiled.problems);
        let (executor, snapshots) = wiring::executor(
            configuration,
            Loopback::Refused,
            namespaces(configuration, &clock).await?,
            (clock.clone(), metrics.clone()),
            compiled.snapshot,
        )?;
        let tls: SharedTls = Arc::new(ArcSwap::new(loaded.config));
        let bind = |what, listen| move |error| anyhow::anyhow!("{what}.listen: {listen}: {error}");
        let listen = configuration.webhook.listen;
        let server = Server::bind(listen, tls.clone(), callers(&configuration.webhook));
        let server = server.await.map_err(bind("webhook", listen))?;
        let listen = configuration.metrics_listen;
        let metrics_server = PlainServer::bind(listen).await.map_err(bind("metrics", listen))?;
        let listen = configuration.health_listen;
        let health_server = PlainServer::bind(listen).await.map_err(bind("health", listen))?;
        let handler = Handler::new(executor.clone(), clock, metrics.clone());
        Ok(Self {
            server,
            metrics_server,
            health_server,
            handler,
            executor,
            metrics,
            files,
            snapshots,
            tls_files,
            tls,
        })
    }

    /// Where the webhook listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown`: readiness goes off at once, the webhook serves on for as long as
    /// that says, requests in flight are finished, and only then do metrics and health go.
    pub(crate) async fn run(self, shutdown: impl Future<Output = Duration>) {
        let (ready, is_ready) = watch::channel(true);
        let (done, is_done) = watch::channel(false);
        let mut polls = JoinSet::new();
        polls.spawn(poll(self.files, self.snapshots, self.metrics.clone()));
        polls.spawn(tls::poll(self.tls_files, self.tls, self.metrics.clone()));
        let page = metrics_page(self.metrics, self.executor);
        let metrics = self.metrics_server.run(vec![("/metrics", page)], ended(is_done.clone()));
        let health = self.health_server.run(health_pages(is_ready), ended(is_done));
        let webhook = async {
            let shutdown = async {
                let delay = shutdown.await;
                ready.send_replace(false);
                tracing::info!(delay_s = delay.as_secs_f64(), "stopping");
                delay
            };
            self.server.run(self.handler, shutdown).await;
            done.send_replace(true);
        };
        tokio::join!(webhook, metrics, health);
    }
}

async fn ended(mut is_done: watch::Receiver<bool>) {
    // The sender going away is an end as well.
    let _ = is_done.wait_for(|done| *done).await;
}

fn metrics_page(metrics: Arc<Metrics>, executor: Arc<Executor>) -> Page {
    Box::new(move || match metrics.page(&executor.stats()) {
        Ok(page) => {
            let mut response = Response::new(page);
            let media_type = header::HeaderValue::from_static("text/plain; version=0.0.4");
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            response
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            status(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be encoded\n")
        }
    })
}

fn health_pages(is_ready: watch::Receiver<bool>) -> Vec<(&'static str, Page)> {
    let ready: Page = Box::new(move || match *is_ready.borrow() {
        true => status(StatusCode::OK, "ready\n"),
        false => status(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    });
    vec![("/healthz", Box::new(|| status(StatusCode::OK, "ok\n"))), ("/readyz", ready)]
}

fn status(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}

/// Looks at the files again and again, and swaps the Snapshot where they changed.
async fn poll(mut files: PolicyFiles, snapshots: SharedSnapshot, metrics: Arc<Metrics>) {
    let mut said: Vec<String> = Vec::new();
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let (in_force, recorder) = (snapshots.load_full(), metrics.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let refresh = files.refresh();
            let compiled = refresh.changed.then(|| files.compile(&Factory, Some(&in_force)));
            (files, refresh.complaints, compiled)
        });
        let Ok((back, complaints, compiled)) = looked.await else {
            tracing::error!("policies are no longer looked at: reading them panicked");
            return;
        };
        files = back;
        for complaint in complaints.iter().filter(|complaint| !said.contains(complaint)) {
            tracing::error!("{complaint}");
        }
        said = complaints;
        if let Some(compiled) = compiled {
            report(&recorder, &compiled.snapshot, &compiled.problems);
            snapshots.store(Arc::new(compiled.snapshot));
        }
    }
}

/// Says what is in force, and what does not compile.
fn report(metrics: &Metrics, snapshot: &Snapshot, problems: &[Problem]) {
    for Problem { origin, object, invalid } in problems {
        tracing::error!(%origin, object, %invalid, "does not compile");
    }
    for (kind, is_cluster) in
        [("ClusterImageAdmissionPolicy", true), ("ImageAdmissionPolicy", false)]
    {
        let policies = snapshot.policies.iter().filter(|policy| policy.is_cluster() == is_cluster);
        let (ready, invalid): (Vec<_>, Vec<_>) =
            policies.partition(|policy| policy.problems().is_empty());
        metrics.policies(kind, ready.len(), invalid.len());
    }
    metrics.know_registries(snapshot);
    tracing::info!(
        policies = snapshot.policies.len(),
        problems = problems.len(),
        "policies in force"
    );
}

/// Who may post reviews.
fn callers(webhook: &WebhookConfiguration) -> Callers {
    let token = webhook.path_token.as_ref().map(PathToken::as_str);
    Callers::new(token, webhook.client_ca_file.is_some())
}

/// Assay's own namespace, in which nothing is judged.
fn own_namespace() -> Option<String> {
    let name = std::fs::read_to_string(NAMESPACE_FILE).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Where the labels of namespaces come from: the cluster, where there is one.
async fn namespaces(
    configuration: &Configuration,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn NamespaceSource>> {
    if configuration.kubernetes == Some(false) {
        return Ok(Arc::new(NoNamespaces));
    }
    match kube::Config::infer().await {
        Ok(config) => {
            let client = kube::Client::try_from(config).context("kubernetes")?;
            Ok(Arc::new(LiveNamespaces::new(client, clock.clone())))
        }
        Err(error) if configuration.kubernetes.is_none() => {
            tracing::info!(%error, "no cluster is configured: namespaces have no labels");
            Ok(Arc::new(NoNamespaces))
        }
        Err(error) => Err(error).context("kubernetes: true, and no cluster is configured"),
    }
}
