//! The HTTP side: connections, routes, and the honest answer to each request.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::auth::TOKEN_PATH;
use super::fault::{self, FaultyBody};
use super::store::{self, StoredManifest, media_type, sha256_digest};
use super::{RecordedRequest, RegistryOptions, Shared};
use crate::tls::TestAuthority;

/// A TLS acceptor with a new certificate for loopback and the names in `options`.
pub(super) fn tls_acceptor(
    authority: &TestAuthority,
    options: &RegistryOptions,
) -> io::Result<TlsAcceptor> {
    let names = ["127.0.0.1", "localhost"].into_iter();
    let names: Vec<&str> = names.chain(options.names.iter().map(String::as_str)).collect();
    let issued = authority.issue(&names).map_err(io::Error::other)?;
    let certificate = CertificateDer::from(issued.certificate_der);
    let key = PrivatePkcs8KeyDer::from(issued.key_der);
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = match options.client_certificates {
        true => config.with_client_cert_verifier(client_verifier(authority, provider)?),
        false => config.with_no_client_auth(),
    };
    let config = config.with_single_cert(vec![certificate], key.into());
    Ok(TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?)))
}

/// Accepts clients with a certificate of `authority` only.
fn client_verifier(
    authority: &TestAuthority,
    provider: Arc<CryptoProvider>,
) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let root = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes());
    let mut roots = RootCertStore::empty();
    roots.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(io::Error::other)
}

/// Serves connections until dropped, which drops them too.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        // A connection's end, however bad, is the client's affair.
        tasks.spawn(async move {
            match acceptor {
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
                None => serve(stream, shared).await,
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(&shared, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

/// The honest answer, or what the fault table makes of it.
async fn respond(shared: &Shared, request: Request<Incoming>) -> io::Result<Response<FaultyBody>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let effects = {
        let mut state = shared.state();
        state.requests.push(RecordedRequest {
            method: request.method().clone(),
            path: path.to_owned(),
            authorization: header_text(&request, header::AUTHORIZATION).map(str::to_owned),
            host: header_text(&request, header::HOST).map(str::to_owned),
        });
        fault::effects(&mut state.faults, request.method(), path)
    };
    let mut response = shared.answer(&request);
    for effect in effects {
        response = effect.apply(response).await?;
    }
    Ok(response)
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<FaultyBody> {
        let path = request.uri().path();
        if path == TOKEN_PATH {
            return self.token(request);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
        }
        let target = target(path);
        let repository = target.map(|(repository, ..)| repository);
        if !self.authorized(repository, header_text(request, header::AUTHORIZATION)) {
            return self.challenge(repository);
        }
        match target {
            Some((name, Kind::Blob, digest)) => self.blob(name, digest),
            Some((name, Kind::Manifest, reference)) => self.manifest(name, reference),
            Some((name, Kind::Referrers, digest)) => {
                self.referrers(name, digest, request.uri().query())
            }
            None if path == "/v2/" => json(&json!({})),
            None => error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        }
    }

    fn blob(&self, repository: &str, digest: &str) -> Response<FaultyBody> {
        match self.state().store.blob(repository, digest) {
            Some(bytes) => content("application/octet-stream", digest, bytes),
            None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        }
    }

    fn manifest(&self, repository: &str, reference: &str) -> Response<FaultyBody> {
        match self.state().store.manifest(repository, reference) {
            Some(StoredManifest { media_type, bytes }) => {
                content(media_type, &sha256_digest(bytes), bytes)
            }
            None => error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        }
    }

    /// A page of referrers, never filtered: the specification leaves that to the registry.
    fn referrers(&self, name: &str, digest: &str, query: Option<&str>) -> Response<FaultyBody> {
        if !self.options.referrers_api {
            return error(StatusCode::NOT_FOUND, "UNSUPPORTED");
        }
        let page = query.and_then(|query| query.strip_prefix("page=")?.parse().ok()).unwrap_or(0);
        let mut rest = self.state().store.referrers(name, digest);
        let per_page = self.options.referrers_per_page.max(1);
        let mut entries = rest.split_off(rest.len().min(per_page.saturating_mul(page)));
        let more = entries.len() > per_page;
        entries.truncate(per_page);
        let mut response = Response::new(Bytes::from(store::index(entries)).into());
        set_header(&mut response, header::CONTENT_TYPE, media_type::INDEX);
        if more {
            let next = page.saturating_add(1);
            let link = format!("</v2/{name}/referrers/{digest}?page={next}>; rel=\"next\"");
            set_header(&mut response, header::LINK, &link);
        }
        response
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Blob,
    Manifest,
    Referrers,
}

/// The repository, kind and reference that a path names.
fn target(path: &str) -> Option<(&str, Kind, &str)> {
    const KINDS: [(&str, Kind); 3] = [
        ("/blobs/", Kind::Blob),
        ("/manifests/", Kind::Manifest),
        ("/referrers/", Kind::Referrers),
    ];
    let path = path.strip_prefix("/v2/")?;
    KINDS.into_iter().find_map(|(separator, kind)| {
        let (repository, reference) = path.rsplit_once(separator)?;
        Some((repository, kind, reference))
    })
}

fn content(media_type: &str, digest: &str, bytes: &Bytes) -> Response<FaultyBody> {
    let mut response = Response::new(bytes.clone().into());
    set_header(&mut response, header::CONTENT_TYPE, media_type);
    set_header(&mut response, HeaderName::from_static("docker-content-digest"), digest);
    response
}

pub(super) fn json(value: &Value) -> Response<FaultyBody> {
    let mut response = Response::new(Bytes::from(value.to_string()).into());
    set_header(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// An answer with an error of the distribution specification.
pub(super) fn error(status: StatusCode, code: &str) -> Response<FaultyBody> {
    let mut response = json(&json!({"errors": [{"code": code, "message": "from the test kit"}]}));
    *response.status_mut() = status;
    response
}

/// Sets a header; a value that no header can hold, such as one with a line break, goes unset.
pub(super) fn set_header(response: &mut Response<FaultyBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn header_text<B>(request: &Request<B>, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
