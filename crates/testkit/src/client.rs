//! A client as the API server is one: HTTP/1.1 over TLS, one connection kept open, JSON posted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A connection to a webhook on this machine.
#[derive(Debug)]
pub struct ReviewClient {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

/// What a webhook answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl ReviewClient {
    /// A connection to `address`, whose certificate must be issued by `ca_pem`.
    ///
    /// # Errors
    /// When the certificate does not hold, or nobody listens.
    pub async fn connect(address: SocketAddr, ca_pem: &str) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?;
        roots.add(root).map_err(io::Error::other)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::from(address.ip());
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let stream = connector.connect(name, tcp).await?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: address.to_string() })
    }

    /// The answer to `body`, posted to `path` as JSON.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn post(&mut self, path: &str, body: Bytes) -> io::Result<Answer> {
        let request = Request::post(path)
            .header("host", &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status, body })
    }
}
