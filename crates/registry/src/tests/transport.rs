//! Redirects, addresses, waits and connections that break.

use assay_core::ports::ArtifactStore;
use assay_testkit::{Fault, RawAnswer, RawServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::redirect::REDIRECTS_MAX;

async fn blob(fixture: &Fixture, digest: &str, access: &Access) -> &'static str {
    let digest = digest.parse().unwrap();
    kind(fixture.registry.blob(&fixture.repository(), &digest, access, 10).await)
}

#[tokio::test]
async fn redirects_end_at_their_limit() {
    for (turns, expect) in [(REDIRECTS_MAX, "ok"), (REDIRECTS_MAX + 1, "malformed")] {
        let fixture = open().await;
        let digest = fixture.server.push_blob("app", &b"content"[..]);
        let again = redirect(format!("/v2/app/blobs/{digest}"));
        fixture.server.fault(Fault::new("/blobs/", again).times(turns));
        assert_eq!(blob(&fixture, &digest, &Access::public()).await, expect, "{turns}");
        assert_eq!(fixture.requests().len(), REDIRECTS_MAX + 1, "each is counted");
    }
}

#[tokio::test]
async fn authorization_stays_on_the_host_that_it_is_for() {
    let storage = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let fixture = fixture(with_auth(Auth::Basic(robot())), &[&storage.host()]).await;
    let digest = fixture.server.push_blob("app", &b"content"[..]);
    storage.push_blob("app", &b"content"[..]);
    let access = basic("robot", "secret");

    // The first request meets the challenge, so that the next one carries the password.
    assert_eq!(blob(&fixture, &digest, &access).await, "ok");
    let path = format!("/v2/app/blobs/{digest}");
    let there = redirect(format!("http://{}{path}", storage.host()));
    fixture.server.fault(Fault::new("/blobs/", there).times(1));
    assert_eq!(blob(&fixture, &digest, &access).await, "ok");
    assert_eq!(fixture.authorizations("/blobs/").last(), Some(&Some(robot().basic())));
    assert_eq!(storage.requests().len(), 1);
    assert_eq!(storage.requests()[0].authorization, None);

    // Back on the first host it stays off, and the challenge there is answered anew.
    let back = redirect(format!("http://{}{path}", fixture.server.host()));
    storage.fault(Fault::new("/blobs/", back));
    let there = redirect(format!("http://{}{path}", storage.host()));
    fixture.server.clear_requests();
    fixture.server.fault(Fault::new("/blobs/", there).times(1));
    assert_eq!(blob(&fixture, &digest, &access).await, "ok");
    let header = Some(robot().basic());
    assert_eq!(fixture.authorizations("/blobs/"), [header.clone(), None, header]);
}

#[tokio::test]
async fn rejects_redirect_from_tls_to_plain_http() {
    let storage = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let options = RegistryOptions { tls: true, ..RegistryOptions::default() };
    let fixture = fixture(options, &[&storage.host()]).await;
    let digest = fixture.server.push_blob("app", &b"content"[..]);
    storage.push_blob("app", &b"content"[..]);
    assert_eq!(blob(&fixture, &digest, &Access::public()).await, "ok");
    let there = format!("http://{}/v2/app/blobs/{digest}", storage.host());
    fixture.server.fault(Fault::new("/blobs/", redirect(there)));
    assert_eq!(blob(&fixture, &digest, &Access::public()).await, "malformed");
    assert!(storage.requests().is_empty());
}

#[tokio::test]
async fn rejects_urls_that_carry_credentials() {
    let fixture = open().await;
    let digest = fixture.server.push_blob("app", &b"content"[..]);
    let there = format!("http://a:b@{}/v2/app/blobs/{digest}", fixture.server.host());
    fixture.server.fault(Fault::new("/blobs/", redirect(there)));
    assert_eq!(blob(&fixture, &digest, &Access::public()).await, "blocked");
    assert_eq!(fixture.server.requests().len(), 1);
}

#[tokio::test]
async fn loopback_is_for_listed_hosts_and_the_command_line() {
    let fixture = open().await;
    fixture.server.push_image("app", "v1");
    let by_name = fixture.server.host().replace("127.0.0.1", "localhost");
    let resolve = async |registry: &Registry, host: &str| {
        let repository = Repository::new(host, "app");
        kind(registry.resolve(&repository, &tag("v1"), &Access::public()).await)
    };
    let own = fixture.server.host();
    assert_eq!(resolve(&fixture.registry, &own).await, "ok", "listed");
    assert_eq!(resolve(&fixture.registry, &by_name).await, "blocked", "its other name is not");
    let unlisted = super::fixture(RegistryOptions::default(), &[]).await.registry;
    assert_eq!(resolve(&unlisted, &own).await, "blocked");
    let command_line = command_line(Timeouts::default());
    assert_eq!(resolve(&command_line, &own).await, "ok");
    assert_eq!(resolve(&command_line, &by_name).await, "ok");
    assert_eq!(resolve(&command_line, "169.254.169.254").await, "blocked");
}

#[tokio::test]
async fn answers_that_break_are_unreachable() {
    let fixture = open().await;
    let digest = fixture.server.push_blob("app", &b"content"[..]);
    for (name, effect) in [("reset", Effect::Reset), ("cut", Effect::CutAfter(3))] {
        fixture.server.clear_faults();
        fixture.server.fault(Fault::new("/blobs/", effect));
        assert_eq!(blob(&fixture, &digest, &Access::public()).await, "unreachable", "{name}");
    }
    assert_eq!(fixture.requests(), ["blob 0", "blob 200"]);
}

#[tokio::test]
async fn a_registry_that_is_down_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = Repository::new(listener.local_addr().unwrap().to_string(), "app");
    drop(listener);
    let registry = command_line(Timeouts::default());
    let found = registry.resolve(&repository, &tag("v1"), &Access::public()).await;
    assert_eq!(kind(found), "unreachable");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    const SHORT: Duration = Duration::from_millis(50);
    let patient = Timeouts::default();
    let by_piece = Timeouts { read: SHORT, ..patient };
    let by_exchange = Timeouts { exchange: SHORT, ..patient };
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_vec();
    let half = [head.clone(), b"con".to_vec()].concat();
    let whole = [head.clone(), b"content".to_vec()].concat();
    for (name, bytes, timeouts, expect) in [
        ("before the head", Vec::new(), by_piece, "timeout"),
        ("after the head", head, by_piece, "timeout"),
        ("in the body", half.clone(), by_piece, "timeout"),
        ("in all", half, by_exchange, "timeout"),
        ("after the body", whole, patient, "ok"),
    ] {
        let server = RawServer::start(vec![RawAnswer::Hang(bytes)]).await.unwrap();
        let repository = Repository::new(server.host(), "app");
        let registry = command_line(timeouts);
        let digest = digest_of(b"content");
        let found = registry.blob(&repository, &digest, &Access::public(), 10).await;
        assert_eq!(kind(found), expect, "{name}");
    }
}

#[tokio::test]
async fn a_length_is_only_a_hint() {
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\ncontent".to_vec();
    let server = RawServer::start(vec![RawAnswer::Close(huge)]).await.unwrap();
    let repository = Repository::new(server.host(), "app");
    let registry = command_line(Timeouts::default());
    let digest = digest_of(b"content");
    let found = registry.blob(&repository, &digest, &Access::public(), 10).await;
    assert_eq!(kind(found), "unreachable", "cut short");
}

#[tokio::test]
async fn failures_leave_the_connection_usable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = Repository::new(listener.local_addr().unwrap().to_string(), "app");
    let registry = command_line(Timeouts::default());
    let digest = digest_of(b"content");
    let ask = async || kind(registry.blob(&repository, &digest, &Access::public(), 10).await);
    let ask_twice = async { (ask().await, ask().await) };
    // One connection is accepted, and both requests must come on it.
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in ["404 Not Found\r\nContent-Length: 5\r\n\r\nerror", OK] {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let answer = format!("HTTP/1.1 {answer}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    const OK: &str = "200 OK\r\nContent-Length: 7\r\n\r\ncontent";
    assert_eq!(tokio::join!(ask_twice, serve).0, ("not found", "ok"));
}
