//! How much is asked at once, and when nothing is asked at all.

use std::num::NonZeroU16;

use assay_core::ports::{ArtifactStore, Fetch};
use assay_testkit::{Fault, RawAnswer, RawServer};
use http::header::RETRY_AFTER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::health::{FAILURES_MAX, PAUSE, THROTTLE_MIN};
use crate::hosts::CONCURRENT_DEFAULT;
use crate::http::BODIES_BYTES_MAX;

async fn resolve(fixture: &Fixture, access: &Access) -> &'static str {
    kind(fixture.registry.resolve(&fixture.repository(), &tag("v1"), access).await)
}

fn throttled(retry_after: Option<&str>) -> Effect {
    let headers = retry_after.map(|text| (RETRY_AFTER, text.parse().unwrap()));
    Effect::Status(StatusCode::TOO_MANY_REQUESTS, headers.into_iter().collect(), Bytes::new())
}

/// Waits, without sleeping, until `count` requests have arrived.
async fn arrived(server: &TestRegistry, count: usize) {
    while server.requests().len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_under_way_end_at_their_limit() {
    for (limit, at_once) in [(Some(2), 2), (None, usize::from(CONCURRENT_DEFAULT))] {
        let impatient = Timeouts { queue: Duration::from_millis(50), ..Timeouts::default() };
        let fixture = fixture_with(RegistryOptions::default(), &[], impatient, |config| {
            config.hosts[0].max_concurrent = limit.and_then(NonZeroU16::new);
        });
        let fixture = Arc::new(fixture.await);
        fixture.server.push_image("app", "v1");
        let hold = Arc::new(Semaphore::new(0));
        fixture.server.fault(Fault::new("/manifests/", Effect::Hold(hold.clone())));
        let asked: Vec<_> = (0..at_once)
            .map(|_| {
                let fixture = fixture.clone();
                tokio::spawn(async move { resolve(&fixture, &Access::public()).await })
            })
            .collect();
        arrived(&fixture.server, at_once).await;
        assert_eq!(resolve(&fixture, &Access::public()).await, "overloaded");
        assert_eq!(fixture.server.requests().len(), at_once, "one past the limit never left");
        assert!(fixture.requests().is_empty(), "what never left is not counted");
        hold.close();
        for asked in asked {
            assert_eq!(asked.await.unwrap(), "ok");
        }
        assert_eq!(resolve(&fixture, &Access::public()).await, "ok");
    }
}

#[tokio::test]
async fn bodies_that_are_read_at_once_end_at_their_limit() {
    let fixture = open().await;
    let repository = fixture.repository();
    let read = async |content: &'static [u8]| {
        let digest = fixture.server.push_blob("app", content).parse().unwrap();
        kind(fixture.registry.blob(&repository, &digest, &Access::public(), 100).await)
    };
    let room = || u32::try_from(BODIES_BYTES_MAX - 10).unwrap();
    let bodies = Arc::clone(&fixture.registry.http.bodies.listed);
    let others = bodies.try_acquire_many_owned(room()).unwrap();
    assert_eq!(read(b"0123456789").await, "ok");
    assert_eq!(read(b"01234567890").await, "overloaded");
    assert_eq!(read(b"9876543210").await, "ok", "nothing is left behind");
    let url =
        format!("http://{}/v2/app/blobs/{}", fixture.server.host(), digest_of(b"01234567890"));
    assert_eq!(kind(fixture.registry.get(&url, limits(100)).await), "ok", "as no registry");
    drop(others);
    assert_eq!(read(b"01234567890").await, "ok");
}

#[tokio::test]
async fn one_place_is_enough_for_every_flow() {
    // Whoever held a place while asking for another would wait for itself.
    let impatient = Timeouts { queue: Duration::from_millis(50), ..Timeouts::default() };
    let options = RegistryOptions { referrers_api: false, ..bearer(Some(robot())) };
    let fixture = fixture_with(options, &[], impatient, |config| {
        config.hosts[0].max_concurrent = NonZeroU16::new(1);
    });
    let fixture = fixture.await;
    let digest = fixture.server.push_image("app", "v1");
    let access = basic("robot", "secret");
    let without_digest = Effect::Status(StatusCode::OK, Vec::new(), Bytes::from_static(b"x"));
    assert_eq!(resolve(&fixture, &access).await, "ok", "by a token");
    fixture.server.fault(Fault::new("/manifests/v1", without_digest));
    assert_eq!(resolve(&fixture, &access).await, "ok", "by HEAD and then GET");
    let mut subject = fixture.subject(&digest);
    subject.access = access;
    assert_eq!(kind(fixture.registry.referrers(&subject).await), "ok", "by API and then tag");
}

#[tokio::test]
async fn failures_in_a_row_end_the_asking_for_a_while() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1").parse().unwrap();
    let access = Access::public();
    fixture.server.fault(Fault::new("/", status(500)));
    for _ in 0..FAILURES_MAX {
        assert_eq!(resolve(&fixture, &access).await, "unreachable");
    }
    let asked = usize::try_from(FAILURES_MAX).unwrap();
    assert_eq!(fixture.server.requests().len(), asked, "each is tried once");
    fixture.server.clear_faults();
    assert_eq!(resolve(&fixture, &access).await, "unreachable");
    let blob = fixture.registry.blob(&fixture.repository(), &digest, &access, 10).await;
    assert_eq!(kind(blob), "unreachable", "whatever is asked");
    assert_eq!(fixture.server.requests().len(), asked);
    fixture.clock.advance(PAUSE);
    assert_eq!(resolve(&fixture, &access).await, "ok");
    assert_eq!(resolve(&fixture, &access).await, "ok");
}

#[tokio::test]
async fn broken_bodies_and_dead_hosts_count_as_failures() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec();
    for (name, answer) in [
        ("cut", RawAnswer::Close([head.clone(), b"con".to_vec()].concat())),
        ("reset", RawAnswer::Reset(Vec::new())),
        ("no HTTP", RawAnswer::Close(b"SSH-2.0-x\r\n".to_vec())),
    ] {
        let server = RawServer::start(vec![answer]).await.unwrap();
        let repository = Repository::new(server.host(), "app");
        let registry = command_line(Timeouts::default());
        let asked = usize::try_from(FAILURES_MAX).unwrap();
        for _ in 0..=asked {
            let found = registry.blob(&repository, &digest_of(b""), &Access::public(), 10).await;
            assert_eq!(kind(found), "unreachable", "{name}");
        }
        assert_eq!(server.connections(), asked, "{name}: each is tried once, and no more of them");
    }
}

#[tokio::test]
async fn bad_content_is_no_failure_of_the_host() {
    let fixture = open().await;
    let digest: Digest = fixture.server.push_blob("app", &b"content"[..]).parse().unwrap();
    fixture.server.fault(Fault::new("/blobs/", Effect::WrongBody("CONTENT".into())));
    for _ in 0..=FAILURES_MAX {
        let (repository, access) = (fixture.repository(), Access::public());
        let found = fixture.registry.blob(&repository, &digest, &access, 10).await;
        assert_eq!(kind(found), "digest mismatch");
    }
}

#[tokio::test]
async fn redirects_wear_out_their_own_registry_only() {
    let victim = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    victim.push_image("app", "v1");
    for (name, effect, expect) in
        [("500", status(500), "unreachable"), ("429", status(429), "throttled")]
    {
        let fixture = fixture(RegistryOptions::default(), &[&victim.host()]).await;
        victim.clear_faults();
        victim.fault(Fault::new("/bad", effect));
        let there = redirect(format!("http://{}/bad", victim.host()));
        fixture.server.fault(Fault::new("/manifests/", there));
        for _ in 0..=FAILURES_MAX {
            assert_eq!(resolve(&fixture, &Access::public()).await, expect, "{name}");
        }
        let repository = Repository::new(victim.host(), "app");
        let found = fixture.registry.resolve(&repository, &tag("v1"), &Access::public()).await;
        assert_eq!(kind(found), "ok", "{name}");
    }
}

#[tokio::test]
async fn a_429_is_respected_for_as_long_as_it_says() {
    // The clock of tests starts with the epoch.
    for (retry_after, expect) in [
        (Some("7"), Duration::from_secs(7)),
        (Some("Thu, 01 Jan 1970 00:00:07 GMT"), Duration::from_secs(7)),
        (Some("soon"), THROTTLE_MIN),
        (Some("0"), THROTTLE_MIN),
        (None, THROTTLE_MIN),
    ] {
        let fixture = open().await;
        fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/manifests/", throttled(retry_after)).times(1));
        let access = Access::public();
        assert_eq!(resolve(&fixture, &access).await, "throttled", "{retry_after:?}");
        fixture.clock.advance(expect - Duration::from_nanos(1));
        assert_eq!(resolve(&fixture, &access).await, "throttled", "{retry_after:?}");
        assert_eq!(fixture.server.requests().len(), 1, "{retry_after:?}");
        fixture.clock.advance(Duration::from_nanos(1));
        assert_eq!(resolve(&fixture, &access).await, "ok", "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_429_holds_for_the_credentials_that_got_it() {
    let fixture = fixture(bearer(Some(robot())), &[]).await;
    fixture.server.push_image("app", "v1");
    let (spent, good) = (basic("spent", "secret"), basic("robot", "secret"));
    fixture.server.fault(Fault::new("/token", throttled(Some("30"))).times(1));
    assert_eq!(resolve(&fixture, &spent).await, "throttled");
    assert_eq!(resolve(&fixture, &good).await, "ok");
    assert_eq!(resolve(&fixture, &spent).await, "throttled");
    assert_eq!(fixture.server.count("/token"), 2);
}

#[tokio::test]
async fn nothing_is_asked_twice_that_may_have_arrived() {
    for answer in [
        RawAnswer::Reset(Vec::new()),
        RawAnswer::Close(Vec::new()),
        RawAnswer::Close(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n".to_vec()),
        RawAnswer::Close(b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\n\r\n".to_vec()),
    ] {
        let server = RawServer::start(vec![answer.clone()]).await.unwrap();
        let repository = Repository::new(server.host(), "app");
        let registry = command_line(Timeouts::default());
        let found = registry.resolve(&repository, &tag("v1"), &Access::public()).await;
        assert_ne!(kind(found), "ok");
        assert_eq!(server.connections(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = Repository::new(listener.local_addr().unwrap().to_string(), "app");
    let registry = command_line(Timeouts::default());
    let ask = async || {
        let digest = digest_of(b"content");
        kind(registry.blob(&repository, &digest, &Access::public(), 10).await)
    };
    // Each connection says that it stays open, and is closed once it is idle.
    let serve = async || {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent";
        stream.write_all(answer).await.unwrap();
    };
    assert_eq!(tokio::join!(ask(), serve()).0, "ok");
    assert_eq!(tokio::join!(ask(), serve()).0, "ok");
}
