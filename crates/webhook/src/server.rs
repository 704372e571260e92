//! Room 1: TLS connections and the HTTP in them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::accept::Listener;
use crate::handler::{Handler, Judge};

/// Connections open at once. An API server holds a few; half of the file descriptors that a
/// process has by default are left for registries.
pub const CONNECTIONS_MAX: usize = 512;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// How long a request's header may take to arrive. hyper counts from the answer before it, so that
/// this is also how long a connection may be idle: longer than the 90 s after which the API server
/// closes one, because a review posted to a connection that we are closing fails.
const HEADER_MAX: Duration = Duration::from_secs(120);

/// Requests at once on one HTTP/2 connection: what Go's server allows, so that clients expect it.
const STREAMS_MAX: u32 = 250;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// The webhook's HTTPS server, bound; it serves once it is run.
pub struct Server {
    listener: Listener,
    tls: TlsAcceptor,
}

impl Server {
    /// A server that listens on `listen`, port 0 being any free one, and speaks TLS as `tls` says
    /// (see [`tls_config`](crate::tls_config)).
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let listener = Listener::bind(listen, CONNECTIONS_MAX).await?;
        Ok(Self { listener, tls: tls.into() })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves reviews until `shutdown`, then finishes those in flight, for 30 s at most, and
    /// returns. Whatever must happen before connections are refused happens in `shutdown`.
    pub async fn run<J: Judge>(self, handler: Arc<Handler<J>>, shutdown: impl Future<Output = ()>) {
        let Self { listener, tls } = self;
        let connection =
            |stream, watcher| connection(stream, watcher, tls.clone(), handler.clone());
        listener.serve(shutdown, connection).await;
    }
}

async fn connection<J: Judge>(
    stream: TcpStream,
    watcher: Watcher,
    tls: TlsAcceptor,
    handler: Arc<Handler<J>>,
) {
    let stream = match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake timed out"),
    };
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.respond(request).await) }
    });
    let builder = builder(&stream);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

/// What speaks the protocol that the handshake agreed on. Looking for it in the first bytes would
/// wait for them for ever.
fn builder(stream: &TlsStream<TcpStream>) -> auto::Builder<TokioExecutor> {
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
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
