//! The load generator: HTTP/1.1 over TLS on kept connections, with blocking sockets and as little of
//! its own as can be, so that it is the server that is measured. The same for every server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Connections that an API server may hold to one webhook under load.
pub(crate) const CONNECTIONS: usize = 8;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 4 * 1024;

/// Whom to post to, and by whom its certificate must be issued.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// A kept connection.
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    bytes: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    pub(crate) body: &'a [u8],
    /// From the last byte of the body to the last of the answer.
    pub(crate) took: Duration,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, authority_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes())?)?;
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { address, tls: Arc::new(tls) })
    }

    pub(crate) fn connect(&self) -> Result<Connection> {
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let tls = ClientConnection::new(self.tls.clone(), name)?;
        Ok(Connection { stream: StreamOwned::new(tls, tcp), bytes: vec![0; 64 * 1024] })
    }

    /// The connector's part for clients that are asynchronous.
    pub(crate) fn tls(&self) -> ClientConfig {
        ClientConfig::clone(&self.tls)
    }
}

/// The bytes of a request with this review, head and all.
pub(crate) fn request(review: &str) -> Vec<u8> {
    let head = format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nHost: webhook.assay.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\nAccept: application/json, */*\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        review.len()
    );
    [head.as_bytes(), review.as_bytes()].concat()
}

impl Connection {
    /// The answer to `request`, which must be 200.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request)?;
        self.stream.flush()?;
        let sent = Instant::now();
        let mut filled = 0;
        let body = loop {
            let read = self.stream.read(&mut self.bytes[filled..])?;
            ensure!(read > 0, io::Error::from(io::ErrorKind::UnexpectedEof));
            filled += read;
            if let Some(body) = body(&self.bytes[..filled])? {
                break body;
            }
        };
        Ok(Answer { took: sent.elapsed(), body: &self.bytes[body] })
    }

    /// The same, which must be an admission.
    pub(crate) fn admit(&mut self, request: &[u8]) -> Result<Duration> {
        let answer = self.exchange(request)?;
        let took = answer.took;
        let body = String::from_utf8_lossy(answer.body);
        ensure!(body.contains("\"allowed\":true"), "not admitted: {body}");
        Ok(took)
    }
}

/// Where the body of a whole answer is; nothing while there is more to come.
fn body(answer: &[u8]) -> Result<Option<std::ops::Range<usize>>> {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(answer.len() < HEAD_BYTES_MAX, "the answer's head has no end");
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..head])?;
    ensure!(text.starts_with("HTTP/1.1 200"), "answered: {}", text.lines().next().unwrap_or(""));
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    let start = head + 4;
    let end = start + length.context("an answer without Content-Length")?;
    Ok((answer.len() >= end).then_some(start..end))
}

/// Posts `request` on [`CONNECTIONS`] connections, each as soon as the last is answered, and returns
/// the answers per second.
pub(crate) fn closed_loop(target: &Target, request: &[u8], during: Duration) -> Result<f64> {
    let counts = in_threads(CONNECTIONS, |_| {
        let mut connection = target.connect()?;
        connection.exchange(request)?;
        let mut count = 0_u32;
        let start = Instant::now();
        while start.elapsed() < during {
            connection.exchange(request)?;
            count += 1;
        }
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    })?;
    Ok(counts.into_iter().sum())
}

/// Posts `request` so often a second, whether or not the last is answered, and returns how long the
/// answers took. One that had to wait for its connection counts from when it was due.
pub(crate) fn open_loop(
    target: &Target,
    request: &[u8],
    per_second: u32,
    during: Duration,
) -> Result<Vec<Duration>> {
    let interval = Duration::from_secs(1) * CONNECTIONS as u32 / per_second;
    let start = Instant::now() + Duration::from_millis(200);
    let times = in_threads(CONNECTIONS, |thread| {
        let mut connection = target.connect()?;
        connection.exchange(request)?;
        let mut due = start + interval * thread as u32 / CONNECTIONS as u32;
        let mut times = Vec::new();
        while due < start + during {
            let late = Instant::now().checked_duration_since(due);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            times.push(connection.exchange(request)?.took + late.unwrap_or_default());
            due += interval;
        }
        Ok(times)
    })?;
    Ok(times.into_iter().flatten().collect())
}

/// What `work` makes in each of so many threads.
pub(crate) fn in_threads<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    })
}
