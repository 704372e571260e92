//! The yardstick of the warm figures: a bare hyper and tokio-rustls server that reads each body and
//! answers a constant. It runs in a process of its own: this binary again, with [`ARGUMENT`].

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use assay_webhook::{Pem, tls_config};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The argument before the folder in which certificate, key and answer are.
pub(crate) const ARGUMENT: &str = "--constant-server";

/// The file of the folder that holds the answer.
pub(crate) const ANSWER_FILE: &str = "answer.json";

/// Serves for ever, and prints its address first.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let read = |name: &str| std::fs::read(folder.join(name)).with_context(|| name.to_owned());
    let (certificate, key) = (read("tls.crt")?, read("tls.key")?);
    let certificate = Pem { file: "tls.crt", bytes: &certificate };
    let tls = TlsAcceptor::from(tls_config(certificate, Pem { file: "tls.key", bytes: &key })?);
    let answer = Bytes::from(read(ANSWER_FILE)?);
    // The webhook's own runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream, tls.clone(), answer.clone()));
        }
    })
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, answer: Bytes) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| constant(request, answer.clone()));
    // A connection's end is the client's affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn constant(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // What arrives is counted as read, however it ends.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
