//! `assay serve`: the webhook, its metrics and its health, until SIGTERM.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use assay_api::{Configuration, PathToken, WebhookConfiguration};
use assay_control::Handle;
use assay_core::ports::Clock;
use assay_webhook::{Callers, Handler, Page, PlainServer, Server, SharedTls};
use hyper::{Response, StatusCode, header};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::cli::ServeArguments;
use crate::clock::SystemClock;
use crate::metrics::Metrics;
use crate::policies::{Judging, Policies};
use crate::tls::{self, TlsFiles};
use crate::wiring;

/// A webhook that is bound, and serves once it is run.
pub(crate) struct Serving {
    server: Server,
    metrics_server: PlainServer,
    health_server: PlainServer,
    handler: Judging,
    policies: Policies,
    metrics: Arc<Metrics>,
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
    serving.run(stopped(configuration.webhook.drain_delay)?).await?;
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
    /// Everything that `configuration` asks for, bound. Without a cluster its policies are in force;
    /// with one they are waited for while it runs.
    pub(crate) async fn start(configuration: &Configuration) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (tls_files, loaded) = TlsFiles::read(&configuration.webhook)?;
        let metrics = Arc::new(Metrics::new()?);
        metrics.certificate_expiry(loaded.expiry);
        let handler = Handler::waiting(clock.clone(), metrics.clone());
        let policies = Policies::start(configuration, &handler, (clock, metrics.clone())).await?;
        let tls: SharedTls = Arc::new(ArcSwap::new(loaded.config));
        let bind = |what, listen| move |error| anyhow::anyhow!("{what}.listen: {listen}: {error}");
        let listen = configuration.webhook.listen;
        let server = Server::bind(listen, tls.clone(), callers(&configuration.webhook));
        let server = server.await.map_err(bind("webhook", listen))?;
        let listen = configuration.metrics_listen;
        let metrics_server = PlainServer::bind(listen).await.map_err(bind("metrics", listen))?;
        let listen = configuration.health_listen;
        let health_server = PlainServer::bind(listen).await.map_err(bind("health", listen))?;
        Ok(Self {
            server,
            metrics_server,
            health_server,
            handler,
            policies,
            metrics,
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
    ///
    /// # Errors
    /// The controller stopped, which is a defect: a new process may do better.
    pub(crate) async fn run(self, shutdown: impl Future<Output = Duration>) -> anyhow::Result<()> {
        let (stopping, is_stopping) = watch::channel(false);
        let (done, is_done) = watch::channel(false);
        let (alive, died) = oneshot::channel::<Infallible>();
        let (handler, handle) = (self.handler, self.policies.handle());
        let mut tasks = JoinSet::new();
        tasks.spawn(tls::poll(self.tls_files, self.tls, self.metrics.clone()));
        let policies = self.policies.run(handler.clone());
        tasks.spawn(async move {
            policies.await;
            drop(alive);
        });
        let page = metrics_page(self.metrics, handler.clone(), handle.clone());
        let metrics = self.metrics_server.run(vec![("/metrics", page)], ended(is_done.clone()));
        let pages = health_pages(is_stopping, handler.clone(), handle);
        let health = self.health_server.run(pages, ended(is_done));
        let mut result = Ok(());
        let webhook = async {
            let shutdown = async {
                let delay = tokio::select! {
                    delay = shutdown => delay,
                    _ = died => {
                        result = Err(anyhow::anyhow!("the controller stopped"));
                        Duration::ZERO
                    }
                };
                stopping.send_replace(true);
                tracing::info!(delay_s = delay.as_secs_f64(), "stopping");
                delay
            };
            self.server.run(handler, shutdown).await;
            done.send_replace(true);
        };
        tokio::join!(webhook, metrics, health);
        result
    }
}

async fn ended(mut is_done: watch::Receiver<bool>) {
    // The sender going away is an end as well.
    let _ = is_done.wait_for(|done| *done).await;
}

fn metrics_page(metrics: Arc<Metrics>, handler: Judging, handle: Option<Handle>) -> Page {
    Box::new(move || {
        if let Some(handle) = &handle {
            metrics.snapshot_age(handle.age());
        }
        let stats = handler.judge().map(|executor| executor.stats()).unwrap_or_default();
        match metrics.page(&stats) {
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
        }
    })
}

fn health_pages(
    is_stopping: watch::Receiver<bool>,
    handler: Judging,
    handle: Option<Handle>,
) -> Vec<(&'static str, Page)> {
    let ready: Page = Box::new(move || {
        if *is_stopping.borrow() {
            return status(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        if handler.judge().is_some() {
            return status(StatusCode::OK, "ready\n");
        }
        let failure = handle.as_ref().and_then(Handle::failure);
        let failure = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
        let waiting = format!("waiting for the cluster's policies{failure}\n");
        status(StatusCode::SERVICE_UNAVAILABLE, &waiting)
    });
    vec![("/healthz", Box::new(|| status(StatusCode::OK, "ok\n"))), ("/readyz", ready)]
}

fn status(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}

/// Who may post reviews.
fn callers(webhook: &WebhookConfiguration) -> Callers {
    let token = webhook.path_token.as_ref().map(PathToken::as_str);
    Callers::new(token, webhook.client_ca_file.is_some())
}
