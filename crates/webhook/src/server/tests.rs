use std::net::{IpAddr, Ipv4Addr};

use assay_core::ReasonCode;
use assay_policy::DefaultAction;
use assay_testkit::{FixedClock, TestAuthority};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;
use crate::testing::{ID, Puppet, Record, UID, engine, keep_log, review, review_of};
use crate::{BODY_BYTES_MAX, Pem, tls_config};

/// A server that runs, and what its clients need.
struct Running {
    address: SocketAddr,
    authority: TestAuthority,
    stop: Arc<Notify>,
    ended: JoinHandle<()>,
}

async fn run<J: Judge>(judge: J) -> Running {
    keep_log();
    let authority = TestAuthority::generate().unwrap();
    let issued = authority.issue(&["localhost"]).unwrap();
    let certificate = Pem { file: "tls.crt", bytes: issued.certificate_pem.as_bytes() };
    let key = Pem { file: "tls.key", bytes: issued.key_pem.as_bytes() };
    let tls = tls_config(certificate, key).unwrap();
    let any = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0).into();
    let server = Server::bind(any, tls).await.unwrap();
    let address = server.local_addr();
    let handler = Handler::new(judge, Arc::new(FixedClock::default()), Arc::new(Record::default()));
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone().notified_owned();
    let ended = tokio::spawn(server.run(handler, stopped));
    Running { address, authority, stop, ended }
}

impl Running {
    async fn connect(&self, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let root = self.authority.certificate_pem();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
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

#[tokio::test]
async fn finishes_what_is_in_flight_when_it_is_stopped() {
    for version in VERSIONS {
        let (asked, mut was_asked) = mpsc::unbounded_channel();
        let may = Arc::new(Semaphore::new(0));
        let server = run(Puppet::Waits(asked, may.clone())).await;
        let idle = server.connect(b"http/1.1").await;
        let stop = async {
            was_asked.recv().await.unwrap();
            server.stop.notify_one();
            while TcpStream::connect(server.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            may.add_permits(1);
        };
        let (answer, ()) = tokio::join!(server.review(version, review(|_| {})), stop);
        assert_eq!(answer["allowed"], true);
        server.ended.await.unwrap();
        drop(idle);
    }
}
