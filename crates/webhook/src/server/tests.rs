use std::net::{IpAddr, Ipv4Addr};

use assay_core::ReasonCode;
use assay_policy::DefaultAction;
use assay_testkit::{FixedClock, Issued, TestAuthority};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;
use crate::testing::{
    ID, Puppet, Record, UID, engine, keep_log, review, review_of, take_log, trace_log,
};
use crate::{BODY_BYTES_MAX, Pem, mutual_tls_config, tls_config};

/// A server that runs, and what its clients need.
struct Running {
    address: SocketAddr,
    authority: TestAuthority,
    /// What the server answers with; to be exchanged.
    tls: SharedTls,
    /// Stops it, after it has served on for so long.
    stop: mpsc::UnboundedSender<Duration>,
    ended: JoinHandle<()>,
}

async fn run<J: Judge>(judge: J) -> Running {
    run_for(judge, Callers::default(), None).await
}

/// A server for these callers, whose certificates are issued by that CA.
async fn run_for<J: Judge>(
    judge: J,
    callers: Callers,
    client_ca: Option<&TestAuthority>,
) -> Running {
    keep_log();
    let authority = TestAuthority::generate().unwrap();
    let tls: SharedTls = Arc::new(ArcSwap::new(server_tls(&authority, client_ca)));
    let any = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into();
    let server = Server::bind(any, tls.clone(), callers).await.unwrap();
    let address = server.local_addr();
    let handler = Handler::new(judge, Arc::new(FixedClock::default()), Arc::new(Record::default()));
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let ended = tokio::spawn(server.run(handler, async move { stopped.recv().await.unwrap() }));
    Running { address, authority, tls, stop, ended }
}

/// What a server speaks that `authority` vouches for.
fn server_tls(authority: &TestAuthority, client_ca: Option<&TestAuthority>) -> Arc<ServerConfig> {
    let issued = authority.issue(&["localhost"]).unwrap();
    let certificate = Pem { file: "tls.crt", bytes: issued.certificate_pem.as_bytes() };
    let key = Pem { file: "tls.key", bytes: issued.key_pem.as_bytes() };
    let Some(client_ca) = client_ca.map(TestAuthority::certificate_pem) else {
        return tls_config(certificate, key).unwrap();
    };
    let client_ca = Pem { file: "ca.crt", bytes: client_ca.as_bytes() };
    mutual_tls_config(certificate, key, client_ca).unwrap()
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

impl Running {
    async fn connect(&self, alpn: &[u8]) -> Stream {
        self.connect_as(None, &self.authority, alpn).await.unwrap()
    }

    /// A connection that shows this certificate to a server that `authority` vouches for.
    async fn connect_as(
        &self,
        client: Option<&Issued>,
        authority: &TestAuthority,
        alpn: &[u8],
    ) -> io::Result<Stream> {
        let mut roots = rustls::RootCertStore::empty();
        let root = authority.certificate_pem();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some(client) => {
                let chain = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes());
                config.with_client_auth_cert(vec![chain.unwrap()], key.unwrap()).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The answer to `request` over a connection of its own, HTTP/1.1 or HTTP/2.
    async fn ask(&self, version: Version, request: Request<Full<Bytes>>) -> Response<Incoming> {
        if version == Version::HTTP_2 {
            let stream = TokioIo::new(self.connect(b"h2").await);
            let (mut client, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            return client.send_request(request).await.unwrap();
        }
        let stream = TokioIo::new(self.connect(b"http/1.1").await);
        let (mut client, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    }

    /// The `response` of the AdmissionReview that answers this one.
    async fn review(&self, version: Version, body: Vec<u8>) -> Value {
        let response = self.ask(version, post(body)).await;
        assert_eq!((response.status(), response.version()), (StatusCode::OK, version));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let review: Value = serde_json::from_slice(&body).unwrap();
        review["response"].clone()
    }
}

fn post(body: Vec<u8>) -> Request<Full<Bytes>> {
    let request = Request::post("https://localhost/validate?timeout=10s");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request.body(Full::new(body.into())).unwrap()
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn answers_reviews_with_what_the_engine_says() {
    let denies = run(engine(DefaultAction::Deny)).await;
    let admits = run(engine(DefaultAction::Allow)).await;
    let message = format!(
        "[defaultAction] Subject failed verification: docker.io/library/busybox:latest (container \
         \"c\"): {}: no enforcing cluster policy covers the image (request {ID})",
        ReasonCode::NotCovered
    );
    for version in VERSIONS {
        let admitted = admits.review(version, review(|_| {})).await;
        assert_eq!((&admitted["uid"], &admitted["allowed"]), (&json!(UID), &json!(true)));
        let denied = denies.review(version, review(|_| {})).await;
        assert_eq!((&denied["uid"], &denied["allowed"]), (&json!(UID), &json!(false)));
        let status = json!({"code": 403, "reason": "Forbidden", "message": message});
        assert_eq!(denied["status"], status);
    }
}

/// What is not judged, where everything that is would be denied.
#[tokio::test]
async fn admits_what_is_never_judged() {
    let server = run(engine(DefaultAction::Deny)).await;
    let delete = review(|request| {
        request["operation"] = json!("DELETE");
        request["object"] = json!(null);
    });
    let status = review(|request| {
        request["operation"] = json!("UPDATE");
        request["subResource"] = json!("status");
    });
    let unknown = review(|request| {
        request["resource"] = json!({"group": "example.com", "resource": "widgets"});
        request["object"]["apiVersion"] = json!("example.com/v1");
        request["object"]["kind"] = json!("Widget");
    });
    for (name, body) in [("delete", delete), ("status", status), ("unknown", unknown)] {
        let answer = server.review(Version::HTTP_11, body).await;
        assert_eq!((&answer["uid"], &answer["allowed"]), (&json!(UID), &json!(true)), "{name}");
    }
}

#[tokio::test]
async fn takes_reviews_up_to_the_limit_and_refuses_larger_ones_in_the_review() {
    let server = run(Puppet::Admits).await;
    for version in VERSIONS {
        let largest = server.review(version, review_of(BODY_BYTES_MAX)).await;
        assert_eq!(largest["allowed"], true);
        let larger = server.review(version, review_of(BODY_BYTES_MAX + 1)).await;
        assert_eq!((&larger["uid"], &larger["allowed"]), (&json!(UID), &json!(false)));
        assert_eq!(larger["status"]["code"], 413);
    }
}

#[tokio::test]
async fn refuses_in_the_review_where_the_judge_panics() {
    let server = run(Puppet::Panics).await;
    for version in VERSIONS {
        let answer = server.review(version, review(|_| {})).await;
        assert_eq!((&answer["uid"], &answer["allowed"]), (&json!(UID), &json!(false)));
        assert_eq!(answer["status"]["code"], 500);
    }
}

#[tokio::test]
async fn takes_many_reviews_over_one_connection() {
    let server = run(Puppet::Admits).await;
    let stream = TokioIo::new(server.connect(b"http/1.1").await);
    let (mut client, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let response = client.send_request(post(review(|_| {}))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn rejects_other_paths_and_methods() {
    let server = run(Puppet::Admits).await;
    let body = || Full::new(Bytes::new());
    for version in VERSIONS {
        let get = Request::get("https://localhost/validate").body(body()).unwrap();
        let response = server.ask(version, get).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "POST");
        let other = Request::post("https://localhost/metrics").body(body()).unwrap();
        assert_eq!(server.ask(version, other).await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn rejects_tls_1_2() {
    // A ClientHello (RFC 5246, 7.4.1.2) that offers TLS 1.2, as it names no supported_versions:
    // ECDHE-ECDSA with AES-128-GCM, on P-256, signed with ECDSA and SHA-256.
    let random = [7; 32];
    let extensions =
        [&[0, 10, 0, 4, 0, 2, 0, 23][..], &[0, 11, 0, 2, 1, 0], &[0, 13, 0, 4, 0, 2, 4, 3]]
            .concat();
    let length = u8::try_from(extensions.len()).unwrap();
    let body =
        [&[3, 3][..], &random, &[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, length], &extensions].concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();

    let server = run(Puppet::Admits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    const ALERT_FATAL_PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];
    assert_eq!(answer, ALERT_FATAL_PROTOCOL_VERSION);
}

#[tokio::test]
async fn closes_connections_that_do_not_shake_hands() {
    let server = run(Puppet::Admits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    tokio::time::pause();
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(start.elapsed() >= HANDSHAKE_MAX && start.elapsed() < HANDSHAKE_MAX * 2);
}

#[tokio::test]
async fn keeps_idle_connections_longer_than_the_api_server_does() {
    const GO_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
    let server = run(Puppet::Admits).await;
    let mut stream = server.connect(b"http/1.1").await;
    tokio::time::pause();
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or_default(), 0);
    assert!(start.elapsed() > GO_IDLE_TIMEOUT && start.elapsed() < HEADER_MAX * 2);
}

/// A client of one HTTP/1.1 connection.
struct Client(http1::SendRequest<Full<Bytes>>);

impl Client {
    async fn over(stream: Stream) -> Self {
        let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    /// The status, and whether the connection is closed after the answer.
    async fn post(&mut self, path: &str) -> (StatusCode, bool) {
        let mut request = post(review(|_| {}));
        *request.uri_mut() = path.parse().unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let connection = response.headers().get(CONNECTION).cloned();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
        let status = response.status();
        response.into_body().collect().await.unwrap();
        (status, connection.is_some_and(|value| value == "close"))
    }
}

const TOKEN: &str = "0123456789abcdef";
const OPEN: (StatusCode, bool) = (StatusCode::OK, false);
const STRANGER: (StatusCode, bool) = (StatusCode::NOT_FOUND, true);

#[tokio::test]
async fn answers_only_callers_with_a_certificate_and_the_path() {
    let ca = TestAuthority::generate().unwrap();
    let client = ca.issue(&["kube-apiserver"]).unwrap();
    let server = run_for(Puppet::Admits, Callers::new(Some(TOKEN), true), Some(&ca)).await;
    let good = format!("/validate/{TOKEN}");
    for (name, certificate, path, expect) in [
        ("both", Some(&client), good.as_str(), OPEN),
        ("no certificate", None, good.as_str(), STRANGER),
        ("no token", Some(&client), "/validate", STRANGER),
        ("another token", Some(&client), "/validate/0123456789abcdeg", STRANGER),
        ("neither", None, "/validate", STRANGER),
    ] {
        let stream = server.connect_as(certificate, &server.authority, b"http/1.1").await;
        let answer = Client::over(stream.unwrap()).await.post(path).await;
        assert_eq!(answer, expect, "{name}");
    }
}

#[tokio::test]
async fn rejects_certificates_by_another_ca() {
    let (ca, other) = (TestAuthority::generate().unwrap(), TestAuthority::generate().unwrap());
    let server = run_for(Puppet::Admits, Callers::new(None, true), Some(&ca)).await;
    for (authority, expect) in [(&ca, true), (&other, false)] {
        let client = authority.issue(&["kube-apiserver"]).unwrap();
        let stream = server.connect_as(Some(&client), &server.authority, b"http/1.1").await;
        // In TLS 1.3 a client learns only after its handshake that the server does not take it.
        let mut stream = stream.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.is_ok(), expect);
    }
}

/// Not even where everything is logged, by every library.
#[tokio::test]
async fn never_logs_the_path() {
    let server = run_for(Puppet::Admits, Callers::new(Some(TOKEN), false), None).await;
    let everything = trace_log();
    for version in VERSIONS {
        for (path, expect) in [(TOKEN, StatusCode::OK), ("0123456789abcdeg", StatusCode::NOT_FOUND)]
        {
            let mut request = post(review(|_| {}));
            *request.uri_mut() = format!("https://localhost/validate/{path}").parse().unwrap();
            assert_eq!(server.ask(version, request).await.status(), expect);
        }
    }
    drop(everything);
    let log = take_log();
    for said in ["h2::", "answered", "request refused"] {
        assert!(log.contains(said), "no {said} in\n{log}");
    }
    assert!(!log.contains("0123456789"), "{log}");
}

/// Neither does a stranger's body matter, which is larger than any that is read.
#[tokio::test]
async fn answers_strangers_before_their_body_comes() {
    let server = run_for(Puppet::Admits, Callers::new(Some(TOKEN), false), None).await;
    let mut stream = server.connect(b"http/1.1").await;
    let head = b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404 "), "{answer:?}");
}

#[tokio::test]
async fn shows_the_certificate_of_the_day() {
    let server = run(Puppet::Admits).await;
    let mut before = Client::over(server.connect(b"http/1.1").await).await;
    let renewed = TestAuthority::generate().unwrap();
    server.tls.store(server_tls(&renewed, None));
    let connect = async |authority| server.connect_as(None, authority, b"http/1.1").await;
    assert!(connect(&server.authority).await.is_err());
    let mut after = Client::over(connect(&renewed).await.unwrap()).await;
    assert_eq!((before.post("/validate").await, after.post("/validate").await), (OPEN, OPEN));
}

/// Lets everything go on that can.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

const LAST: (StatusCode, bool) = (StatusCode::OK, true);
const HANDED_BACK: (StatusCode, bool) = (StatusCode::SERVICE_UNAVAILABLE, true);

#[tokio::test]
async fn serves_on_for_a_while_when_it_is_stopped() {
    let server = run(Puppet::Admits).await;
    let mut open = Client::over(server.connect(b"http/1.1").await).await;
    assert_eq!(open.post("/validate").await, OPEN);
    server.stop.send(Duration::from_hours(1)).unwrap();
    settle().await;
    assert_eq!(open.post("/validate").await, LAST);
    let mut new = Client::over(server.connect(b"http/1.1").await).await;
    assert_eq!(new.post("/validate").await, LAST);
    assert!(!server.ended.is_finished());
}

#[tokio::test]
async fn hands_reviews_back_while_it_finishes_those_in_flight() {
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let may = Arc::new(Semaphore::new(0));
    let server = run(Puppet::Waits(asked, may.clone())).await;
    let client = async || Client::over(server.connect(b"http/1.1").await).await;
    let (mut busy, mut open, mut idle) = (client().await, client().await, client().await);
    let in_flight = tokio::spawn(async move { busy.post("/validate").await });
    was_asked.recv().await.unwrap();
    server.stop.send(Duration::ZERO).unwrap();
    settle().await;
    assert_eq!(open.post("/validate").await, HANDED_BACK);
    assert_eq!(client().await.post("/validate").await, HANDED_BACK);
    assert!(!server.ended.is_finished());

    may.add_permits(1);
    assert_eq!(in_flight.await.unwrap(), LAST);
    server.ended.await.unwrap();
    assert!(idle.0.ready().await.is_err(), "closed");
}

#[tokio::test]
async fn waits_as_long_as_it_says_and_for_the_slowest_review() {
    let nothing_to_do = run(Puppet::Admits).await;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let slow = run(Puppet::Waits(asked, Arc::new(Semaphore::new(0)))).await;
    let mut client = Client::over(slow.connect(b"http/1.1").await).await;
    let answer = tokio::spawn(async move { client.post("/validate?timeout=30s").await });
    was_asked.recv().await.unwrap();
    tokio::time::pause();
    let start = Instant::now();
    slow.stop.send(Duration::ZERO).unwrap();
    assert_eq!(answer.await.unwrap(), LAST);
    slow.ended.await.unwrap();
    assert!(start.elapsed() < FINISH_MAX);

    let (start, delay) = (Instant::now(), Duration::from_secs(10));
    nothing_to_do.stop.send(delay).unwrap();
    nothing_to_do.ended.await.unwrap();
    assert!(start.elapsed() >= delay && start.elapsed() < delay * 2);
}

/// A client of HTTP/2 is told by GOAWAY, and what it has begun is finished.
#[tokio::test]
async fn sends_clients_of_http_2_away() {
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let may = Arc::new(Semaphore::new(0));
    let server = run(Puppet::Waits(asked, may.clone())).await;
    let stream = TokioIo::new(server.connect(b"h2").await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = tokio::spawn(client.send_request(post(review(|_| {}))));
    was_asked.recv().await.unwrap();
    server.stop.send(Duration::from_hours(1)).unwrap();
    settle().await;
    assert!(!connection.is_finished());
    may.add_permits(1);
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    connection.await.unwrap().unwrap();
    assert!(!server.ended.is_finished());
}
