//! Bounded reads from servers that are no registries.

use assay_core::ports::Fetch;
use assay_testkit::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn reads_by_plain_http_up_to_the_limit() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let digest = server.push_blob("app", &b"0123456789"[..]);
    let url = format!("http://{}/v2/app/blobs/{digest}", server.host());
    let registry = command_line(Timeouts::default());
    assert_eq!(registry.get(&url, 10).await.unwrap(), "0123456789");
    assert_eq!(kind(registry.get(&url, 9).await), "too large");
    assert_eq!(kind(registry.get(&format!("{url}0"), 10).await), "not found");
    server.fault(Fault::new("/blobs/", redirect(url.clone())).times(1));
    assert_eq!(kind(registry.get(&url, 10).await), "ok");
}

#[tokio::test]
async fn rejects_what_is_not_to_be_connected_to() {
    let fixture = open().await;
    let other = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    for url in [
        format!("http://{}/", other.host()),
        "http://169.254.169.254/latest/".to_owned(),
        "http://localhost:1/".to_owned(),
        "ftp://ftp.example/crl".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ldap://directory.example/".to_owned(),
        "http://a:b@crl.example/".to_owned(),
        "crl".to_owned(),
        String::new(),
    ] {
        assert_eq!(kind(fixture.registry.get(&url, 10).await), "blocked", "{url}");
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
    let posted = registry.post(&url, "application/ocsp-request", "question".into(), 6);
    let (answer, request) = tokio::join!(posted, serve);
    assert_eq!(answer.unwrap(), "answer");
    assert!(request.starts_with("POST /ocsp HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/ocsp-request\r\n"), "{request}");

    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    server.fault(Fault::new("/", redirect("/elsewhere")));
    let url = format!("http://{}/ocsp", server.host());
    assert_eq!(kind(registry.post(&url, "a/b", "question".into(), 6).await), "malformed");
    assert_eq!(server.requests().len(), 1);
}
