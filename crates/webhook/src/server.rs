//! Room 1: TLS connections and the HTTP in them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{RwLock, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::accept::{Listener, Phase, Seat, ended, finish_once};
use crate::callers::Callers;
use crate::handler::{Handler, Judge};
use crate::plain::{retry_later, text};

/// Connections open at once. An API server holds a few; half of the file descriptors that a
/// process has by default are left for registries.
pub const CONNECTIONS_MAX: usize = 512;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// How long a request's header may take to arrive. hyper counts from the answer before it, so that
/// this is also how long a connection may be idle: longer than the 90 s after which the API server
/// closes one, because a review posted to a connection that we are closing fails. The first request
/// gets no less, as Go opens connections in a rush that it keeps for later.
const HEADER_MAX: Duration = Duration::from_secs(120);

/// How long requests in flight are waited for at the end: as long as the API server waits for one.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection: what Go's server allows, so that clients expect it.
const STREAMS_MAX: u32 = 250;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// What connections are opened with. Those that are open keep what they were opened with.
pub type SharedTls = Arc<ArcSwap<ServerConfig>>;

/// The webhook's HTTPS server, bound; it serves once it is run.
pub struct Server {
    listener: Listener,
    tls: SharedTls,
    callers: Callers,
}

impl Server {
    /// A server that listens on `listen`, port 0 being any free one, speaks TLS as `tls` says (see
    /// [`tls_config`](crate::tls_config)), and answers `callers`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, tls: SharedTls, callers: Callers) -> io::Result<Self> {
        let listener = Listener::bind(listen, CONNECTIONS_MAX).await?;
        Ok(Self { listener, tls, callers })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves reviews until `shutdown`, and then for as long as that says, so that clients can find
    /// another replica; then hands back what else comes (HTTP 503, which the API server tries
    /// again) until the requests in flight are done, for 30 s at most, and returns.
    pub async fn run<J: Judge>(
        self,
        handler: Arc<Handler<J>>,
        shutdown: impl Future<Output = Duration>,
    ) {
        let Self { listener, tls, callers } = self;
        let service = Arc::new(Service { handler, callers, gate: RwLock::new(()) });
        let phase = watch::Sender::new(Phase::Serving);
        let drained = async {
            let delay = shutdown.await;
            phase.send_replace(Phase::Leaving);
            sleep(delay).await;
            if timeout(FINISH_MAX, service.gate.write()).await.is_err() {
                tracing::warn!("requests cut off at the end");
            }
        };
        let connection = |stream, phase, seat| {
            connection(stream, (phase, seat), tls.load_full().into(), service.clone())
        };
        listener.serve(&phase, drained, connection).await;
    }
}

/// What requests meet, whatever connection they come over.
struct Service<J> {
    handler: Arc<Handler<J>>,
    callers: Callers,
    /// Each request in flight reads. Once somebody waits to write, no others come in.
    gate: RwLock<()>,
}

impl<J: Judge> Service<J> {
    /// The answer to a request over a connection that showed a certificate or did not.
    async fn respond(
        &self,
        request: Request<Incoming>,
        has_certificate: bool,
        seat: &Seat,
    ) -> Response<Full<Bytes>> {
        if !self.callers.admit(request.uri().path(), has_certificate) {
            return text(StatusCode::NOT_FOUND, "no such path");
        }
        seat.keep();
        let Ok(_in_flight) = self.gate.try_read() else {
            return retry_later("stopping");
        };
        self.handler.respond(request).await
    }
}

async fn connection<J: Judge>(
    stream: TcpStream,
    (mut phase, seat): (watch::Receiver<Phase>, Seat),
    tls: TlsAcceptor,
    service: Arc<Service<J>>,
) {
    let stream = match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake timed out"),
    };
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    let is_h2 = is_h2(&stream);
    let (seen, seat) = (phase.clone(), Arc::new(seat));
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, phase, seat) = (service.clone(), seen.clone(), seat.clone());
        async move {
            let mut response = service.respond(request, has_certificate, &seat).await;
            let status = response.status();
            if status != StatusCode::OK {
                tracing::debug!(status = status.as_u16(), "request refused");
            }
            // Strangers are not to hold connections.
            let is_last = *phase.borrow() != Phase::Serving || status == StatusCode::NOT_FOUND;
            if is_last && !is_h2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(is_h2);
    let connection = builder.serve_connection(TokioIo::new(stream), answer);
    let told = async {
        // Clients of HTTP/2 are told to go elsewhere without any request that may get lost. In
        // HTTP/1.1 only an answer can tell.
        match is_h2 {
            true => drop(phase.changed().await),
            false => ended(&mut phase).await,
        }
    };
    if let Err(error) = finish_once(told, connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn is_h2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// What speaks the protocol that the handshake agreed on. Looking for it in the first bytes would
/// wait for them for ever.
fn builder(is_h2: bool) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if is_h2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL);
    builder
}

#[cfg(test)]
mod tests;
