//! Bounded reads from servers that are no registries.

use assay_core::ports::Fetch;
use assay_testkit::{Fault, RawAnswer, RawServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::health::FAILURES_MAX;
use crate::hosts::CONCURRENT_DEFAULT;

#[tokio::test]
async fn reads_by_plain_http_up_to_the_limit() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let digest = server.push_blob("app", &b"0123456789"[..]);
    let url = format!("http://{}/v2/app/blobs/{digest}", server.host());
    let registry = command_line(Timeouts::default());
    assert_eq!(registry.get(&url, limits(10)).await.unwrap(), "0123456789");
    assert_eq!(kind(registry.get(&url, limits(9)).await), "too large");
    assert_eq!(kind(registry.get(&format!("{url}0"), limits(10)).await), "not found");
    server.fault(Fault::new("/blobs/", redirect(url.clone())).times(1));
    assert_eq!(kind(registry.get(&url, limits(10)).await), "ok");
}

#[tokio::test]
async fn rejects_what_is_not_to_be_connected_to() {
    let fixture = open().await;
    let other = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    for url in [
        format!("http://{}/", other.host()),
        "http://169.254.169.254/latest/".to_owned(),
        "http://10.0.0.1/crl".to_owned(),
        "http://[fd00::1]/crl".to_owned(),
        "http://localhost:1/".to_owned(),
        "ftp://ftp.example/crl".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ldap://directory.example/".to_owned(),
        "http://a:b@crl.example/".to_owned(),
        "crl".to_owned(),
        String::new(),
    ] {
        assert_eq!(kind(fixture.registry.get(&url, limits(10)).await), "blocked", "{url}");
    }
    assert!(other.requests().is_empty());
    assert!(fixture.requests().is_empty(), "it is no registry request");
}

#[tokio::test]
async fn posts_the_body_as_it_is_and_follows_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ocsp", listener.local_addr().unwrap());
    let registry = command_line(Timeouts::default());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"question") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer";
        stream.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let posted = registry.post(&url, "application/ocsp-request", "question".into(), limits(6));
    let (answer, request) = tokio::join!(posted, serve);
    assert_eq!(answer.unwrap(), "answer");
    assert!(request.starts_with("POST /ocsp HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/ocsp-request\r\n"), "{request}");

    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    server.fault(Fault::new("/", redirect("/elsewhere")));
    let url = format!("http://{}/ocsp", server.host());
    assert_eq!(kind(registry.post(&url, "a/b", "question".into(), limits(6)).await), "malformed");
    assert_eq!(server.requests().len(), 1);
}

/// What asking `server` within `limit` comes to, and after how long.
async fn ask_within(
    registry: &Registry,
    server: &RawServer,
    limit: Duration,
) -> (&'static str, Duration) {
    let url = format!("http://{}/", server.host());
    let start = Instant::now();
    let found = registry.get(&url, FetchLimits { bytes_max: 10, timeout: limit }).await;
    (kind(found), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit() {
    const LIMIT: Duration = Duration::from_secs(2);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_vec();
    let half = [head.clone(), b"con".to_vec()].concat();
    for (name, bytes) in [("before the head", vec![]), ("after it", head), ("in the body", half)] {
        let server = RawServer::start(vec![RawAnswer::Hang(bytes)]).await.unwrap();
        let registry = command_line(Timeouts::default());
        assert_eq!(ask_within(&registry, &server, LIMIT).await, ("timeout", LIMIT), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_for_the_whole_of_an_answer_however_it_drips() {
    const PAUSE: Duration = Duration::from_millis(100);
    const TICK: Duration = Duration::from_millis(1);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent".to_vec();
    let whole = PAUSE * u32::try_from(answer.len() - 1).unwrap();
    for (limit, expect) in
        [(whole + TICK, ("ok", whole)), (whole - TICK, ("timeout", whole - TICK))]
    {
        let script = vec![RawAnswer::Drip(answer.clone(), PAUSE)];
        let server = RawServer::start(script).await.unwrap();
        let registry = command_line(Timeouts::default());
        assert_eq!(ask_within(&registry, &server, limit).await, expect);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_for_all_redirects_together() {
    const LIMIT: Duration = Duration::from_secs(10);
    let head = "HTTP/1.1 307 There\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close";
    let answer = format!("{head}\r\n\r\n").into_bytes();
    let script = vec![RawAnswer::Drip(answer, Duration::from_millis(60))];
    let server = RawServer::start(script).await.unwrap();
    let registry = command_line(Timeouts::default());
    assert_eq!(ask_within(&registry, &server, LIMIT).await, ("timeout", LIMIT));
    assert_eq!(server.connections(), 3, "each redirect takes more than 4 s");
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_for_waiting_too() {
    const LIMIT: Duration = Duration::from_secs(2);
    let server = RawServer::start(vec![RawAnswer::Hang(vec![])]).await.unwrap();
    let registry = Arc::new(command_line(Timeouts::default()));
    let mut busy = JoinSet::new();
    for _ in 0..CONCURRENT_DEFAULT {
        let (registry, url) = (registry.clone(), format!("http://{}/", server.host()));
        busy.spawn(async move { registry.get(&url, limits(1)).await });
    }
    let places = usize::from(CONCURRENT_DEFAULT);
    while server.connections() < places {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask_within(&registry, &server, LIMIT).await, ("timeout", LIMIT));
    assert_eq!(server.connections(), places);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_late_too_often_is_left_alone() {
    const LIMIT: Duration = Duration::from_secs(2);
    let server = RawServer::start(vec![RawAnswer::Hang(vec![])]).await.unwrap();
    let registry = command_line(Timeouts::default());
    for _ in 0..FAILURES_MAX {
        assert_eq!(ask_within(&registry, &server, LIMIT).await, ("timeout", LIMIT));
    }
    let left_alone = ("unreachable", Duration::ZERO);
    assert_eq!(ask_within(&registry, &server, LIMIT).await, left_alone);
    assert_eq!(server.connections(), usize::try_from(FAILURES_MAX).unwrap());
}
