//! A plain HTTP server of a few pages that are made when they are asked for: metrics and health.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::accept::{Listener, Phase, Seat, ended, finish_once};

/// Connections open at once: kubelets, and more scrapers than anybody has.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's header may take, and how long a connection may be idle.
const HEADER_MAX: Duration = Duration::from_secs(30);

/// Makes a page. It runs on the server's threads and must not block.
pub type Page = Box<dyn Fn() -> Response<String> + Send + Sync>;

/// A plain HTTP server that is bound, and serves once it is run.
#[derive(Debug)]
pub struct PlainServer(Listener);

impl PlainServer {
    /// A server that listens on `listen`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        Listener::bind(listen, CONNECTIONS_MAX).await.map(Self)
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Serves `pages` by their paths, to GET and HEAD, until `shutdown`.
    pub async fn run(self, pages: Vec<(&'static str, Page)>, shutdown: impl Future<Output = ()>) {
        let pages = Arc::new(pages);
        let phase = watch::Sender::new(Phase::Serving);
        let serve = |stream, phase, seat| serve(stream, (phase, seat), pages.clone());
        self.0.serve(&phase, shutdown, serve).await;
    }
}

type Pages = Arc<Vec<(&'static str, Page)>>;

async fn serve(stream: TcpStream, (mut phase, seat): (watch::Receiver<Phase>, Seat), pages: Pages) {
    let service = service_fn(|request| {
        seat.keep();
        let answer = answer(&request, &pages);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the client's affair.
    let _ = finish_once(ended(&mut phase), connection).await;
}

fn answer<B>(request: &Request<B>, pages: &Pages) -> Response<Full<Bytes>> {
    let Some((_, page)) = pages.iter().find(|(path, _)| *path == request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, "no such path");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    page().map(|body| Full::new(body.into()))
}

/// A short answer in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The answer to what another replica, or this one a moment later, is to answer.
pub(crate) fn retry_later(reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, reason);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// The answer to a method that is not one of `allowed`.
pub(crate) fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}"));
    let allowed = header::HeaderValue::from_static(allowed);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

#[cfg(test)]
mod tests;
