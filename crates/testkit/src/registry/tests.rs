//! The registry as a client sees it: bytes over a socket, with no HTTP library in between.

use std::sync::Arc;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs::default_provider};

use super::*;

/// Bytes of an answer read at most: more than any here but an endless one.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The answer, or `None` where the connection ended with none.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Option<Answer> {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head, body })
}

async fn send(registry: &TestRegistry, method: &str, path: &str, auth: &str) -> Option<Answer> {
    let stream = TcpStream::connect(registry.host()).await.unwrap();
    let auth = if auth.is_empty() { String::new() } else { format!("Authorization: {auth}\r\n") };
    let host = registry.host();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{auth}Connection: close\r\n\r\n");
    exchange(stream, &request).await
}

async fn get(registry: &TestRegistry, path: &str) -> Answer {
    send(registry, "GET", path, "").await.unwrap()
}

async fn start(options: RegistryOptions) -> TestRegistry {
    TestRegistry::start(options).await.unwrap()
}

fn referrer(registry: &TestRegistry, subject: &str, number: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "artifactType": "application/x-test",
        "config": registry.push_content("app", media_type::EMPTY, "{}"),
        "layers": [],
        "subject": registry.descriptor("app", subject),
        "annotations": {"number": number.to_string()},
    })
}

fn user() -> Credentials {
    Credentials { user: "user".to_owned(), password: "secret".to_owned() }
}

#[tokio::test]
async fn serves_an_image_by_tag_and_digest() {
    let registry = start(RegistryOptions::default()).await;
    let digest = registry.push_image("team/app", "v1");
    assert_ne!(digest, registry.push_image("team/app", "v2"));

    for reference in ["v1", &digest] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let answer = get(&registry, &path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(answer.header("content-type"), Some(media_type::MANIFEST));
        assert_eq!(sha256_digest(&answer.body), digest);

        let head = send(&registry, "HEAD", &path, "").await.unwrap();
        assert_eq!(head.header("content-length"), answer.header("content-length"));
        assert_eq!(head.body, b"");
    }
    let manifest = registry.manifest("team/app", "v1").unwrap().json();
    for content in [&manifest["config"], &manifest["layers"][0]] {
        let digest = content["digest"].as_str().unwrap();
        let answer = get(&registry, &format!("/v2/team/app/blobs/{digest}")).await;
        assert_eq!(sha256_digest(&answer.body), digest);
        assert_eq!(content["size"], answer.body.len());
    }
}

#[tokio::test]
async fn serves_an_index_over_its_images() {
    let registry = start(RegistryOptions::default()).await;
    let children = ["amd64", "arm64"].map(|name| (registry.push_image("app", name), name));
    let children = children.each_ref().map(|(digest, name)| (digest.as_str(), *name));
    registry.push_index("app", "v1", &children);

    let index = get(&registry, "/v2/app/manifests/v1").await.json();

    assert_eq!(index["manifests"][1]["digest"], children[1].0);
    assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
}

#[tokio::test]
async fn answers_404_for_what_it_does_not_hold() {
    let registry = start(RegistryOptions::default()).await;
    let digest = registry.push_image("app", "v1");
    for path in
        ["/v2/app/manifests/v2", "/v2/app/blobs/sha256:00", "/", &format!("/v2/b/blobs/{digest}")]
    {
        assert_eq!(get(&registry, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn pages_through_referrers_by_link() {
    let options = RegistryOptions { referrers_per_page: 2, ..RegistryOptions::default() };
    let registry = start(options).await;
    let (image, other) = (registry.push_image("app", "v1"), registry.push_image("app", "v2"));
    let mut expect: Vec<String> = (0..5)
        .map(|number| registry.push_referrer("app", &referrer(&registry, &image, number)))
        .collect();
    registry.push_referrer("app", &referrer(&registry, &other, 0));

    let mut found = Vec::new();
    let mut next = Some(format!("/v2/app/referrers/{image}"));
    while let Some(path) = next {
        let answer = get(&registry, &path).await;
        for entry in answer.json()["manifests"].as_array().unwrap() {
            assert_eq!(entry["artifactType"], "application/x-test");
            assert!(entry["annotations"]["number"].is_string());
            found.push(entry["digest"].as_str().unwrap().to_owned());
        }
        next = answer.header("link").map(|link| {
            let (path, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            path.to_owned()
        });
    }
    found.sort();
    expect.sort();
    assert_eq!(found, expect);
    assert_eq!(registry.count("/referrers/"), 3);
}

#[tokio::test]
async fn keeps_the_fallback_tag_where_there_is_no_referrers_api() {
    let options = RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
    let registry = start(options).await;
    let image = registry.push_image("app", "v1");
    let expect = [0, 1].map(|n| registry.push_referrer("app", &referrer(&registry, &image, n)));

    assert_eq!(get(&registry, &format!("/v2/app/referrers/{image}")).await.status, 404);
    let path = format!("/v2/app/manifests/{}", image.replace(':', "-"));
    let entries = get(&registry, &path).await.json()["manifests"].clone();

    let found = [0, 1].map(|n| entries[n]["digest"].as_str().unwrap());
    assert_eq!(found.map(str::to_owned), expect);
    assert_eq!(entries[0]["artifactType"], "application/x-test");
    assert!(entries[0]["annotations"].is_null());
}

#[tokio::test]
async fn asks_for_the_password_under_basic() {
    let registry = start(RegistryOptions { auth: Auth::Basic(user()), ..Default::default() }).await;
    registry.push_image("app", "v1");
    let wrong = Credentials { password: "other".to_owned(), ..user() };
    for (auth, expect) in [("", 401), (&*wrong.basic(), 401), (&*user().basic(), 200)] {
        let answer = send(&registry, "GET", "/v2/app/manifests/v1", auth).await.unwrap();
        assert_eq!(answer.status, expect, "{auth}");
    }
}

#[tokio::test]
async fn asks_for_a_token_of_the_repository_under_bearer() {
    let auth = Auth::Bearer { credentials: Some(user()), realm: None };
    let registry = start(RegistryOptions { auth, ..Default::default() }).await;
    registry.push_image("app", "v1");
    registry.push_image("other", "v1");

    let challenge = get(&registry, "/v2/app/manifests/v1").await;
    let host = registry.host();
    let expect = format!(
        "Bearer realm=\"http://{host}/token\",service=\"{host}\",scope=\"repository:app:pull\""
    );
    assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, Some(&*expect)));

    let path = "/token?service=x&scope=repository%3Aapp%3Apull";
    assert_eq!(get(&registry, path).await.status, 401);
    let token = async || {
        let answer = send(&registry, "GET", path, &user().basic()).await.unwrap();
        format!("Bearer {}", answer.json()["token"].as_str().unwrap())
    };
    let read = async |name: &str, token: &str| {
        let path = format!("/v2/{name}/manifests/v1");
        send(&registry, "GET", &path, token).await.unwrap().status
    };
    let old = token().await;
    assert_eq!((read("app", &old).await, read("other", &old).await), (200, 401));
    registry.expire_tokens();
    let new = token().await;
    assert_eq!((read("app", &old).await, read("app", &new).await), (401, 200));
}

#[tokio::test]
async fn names_another_realm_when_told_to_lie() {
    let realm = Some("https://elsewhere.example/token".to_owned());
    let auth = Auth::Bearer { credentials: None, realm };
    let registry = start(RegistryOptions { auth, ..Default::default() }).await;
    let challenge = get(&registry, "/v2/").await;
    let header = challenge.header("www-authenticate").unwrap();
    assert!(header.starts_with("Bearer realm=\"https://elsewhere.example/token\""), "{header}");
    assert_eq!(get(&registry, "/token?scope=repository%3Aapp%3Apull").await.status, 200);
}

#[tokio::test]
async fn records_each_request() {
    let registry = start(RegistryOptions::default()).await;
    send(&registry, "HEAD", "/v2/app/manifests/v1?a=b", "Basic eA==").await;
    let expect = RecordedRequest {
        method: Method::HEAD,
        path: "/v2/app/manifests/v1?a=b".to_owned(),
        authorization: Some("Basic eA==".to_owned()),
        host: Some(registry.host()),
    };
    assert_eq!(registry.requests(), [expect]);
    registry.clear_requests();
    assert_eq!(registry.requests(), []);
}

/// A registry with one image, and `effect` on it: the answer to a GET, and the honest body.
async fn faulty(effect: Effect) -> (Option<Answer>, Bytes) {
    let registry = start(RegistryOptions::default()).await;
    registry.push_image("app", "v1");
    registry.fault(Fault::new("/manifests/", effect));
    let answer = send(&registry, "GET", "/v2/app/manifests/v1", "").await;
    (answer, registry.manifest("app", "v1").unwrap().bytes)
}

#[tokio::test]
async fn cuts_a_body_short_of_its_declared_length() {
    let (answer, honest) = faulty(Effect::CutAfter(10)).await;
    let answer = answer.unwrap();
    assert_eq!(answer.header("content-length"), Some(&*honest.len().to_string()));
    assert_eq!(answer.body, honest[..10]);
}

#[tokio::test]
async fn sends_a_body_without_end() {
    let answer = faulty(Effect::EndlessBody).await.0.unwrap();
    assert_eq!(answer.header("content-length"), None);
    assert_eq!((answer.head.len() + answer.body.len()) as u64, ANSWER_BYTES_MAX);
}

#[tokio::test]
async fn sends_another_header_or_body() {
    let text = HeaderValue::from_static("text/plain");
    let (answer, honest) = faulty(Effect::Header(CONTENT_TYPE, text)).await;
    let answer = answer.unwrap();
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.body, honest);

    let (answer, honest) = faulty(Effect::WrongBody("{}".into())).await;
    let answer = answer.unwrap();
    assert_eq!(answer.body, b"{}");
    assert_eq!(answer.header("docker-content-digest"), Some(&*sha256_digest(&honest)));
}

#[tokio::test]
async fn sends_another_status() {
    let target = HeaderValue::from_static("http://169.254.169.254/");
    let answer = faulty(Effect::Redirect(target)).await.0.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, Some("http://169.254.169.254/")));

    let retry = vec![(http::header::RETRY_AFTER, HeaderValue::from_static("7"))];
    let effect = Effect::Status(http::StatusCode::TOO_MANY_REQUESTS, retry, "slow".into());
    let answer = faulty(effect).await.0.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.body, b"slow");
}

#[tokio::test]
async fn ends_a_connection_without_an_answer() {
    assert!(faulty(Effect::Reset).await.0.is_none());
}

#[tokio::test]
async fn holds_an_answer_until_released() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let pending = faulty(Effect::Hold(Arc::clone(&gate)));
    let release = async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let ((answer, _), ()) = tokio::join!(pending, release);
    assert_eq!((answer.unwrap().status, gate.available_permits()), (200, 0));
}

#[tokio::test]
async fn takes_faults_in_order_while_they_have_turns() {
    let registry = start(RegistryOptions::default()).await;
    let status = |code: u16| {
        let code = http::StatusCode::from_u16(code).unwrap();
        Fault::new("/v2/", Effect::Status(code, Vec::new(), Bytes::new())).times(1)
    };
    registry.fault(status(500).on(Method::HEAD));
    registry.fault(status(429).and(Effect::WrongBody("later".into())));
    registry.fault(status(503));

    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(get(&registry, "/v2/").await.status);
    }
    assert_eq!(found, [429, 503, 200]);
    assert_eq!(send(&registry, "HEAD", "/v2/", "").await.unwrap().status, 500);
    registry.fault(status(500));
    registry.clear_faults();
    assert_eq!(get(&registry, "/v2/").await.status, 200);
}

#[tokio::test]
async fn speaks_tls_under_its_own_authority() {
    let registry = start(RegistryOptions { tls: true, ..Default::default() }).await;
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(registry.ca_pem().unwrap().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(registry.host()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(stream, request).await.unwrap().status, 200);
}

#[tokio::test]
async fn ends_when_dropped() {
    let registry = start(RegistryOptions::default()).await;
    let host = registry.host();
    drop(registry);
    tokio::task::yield_now().await;
    assert!(TcpStream::connect(host).await.is_err());
}
