//! The transport against a registry in this process, honest and hostile.

mod attacks;
mod auth;
mod credential_provider;
mod docker_config;
mod fetch;
mod hostile;
mod mirrors;
mod pressure;
mod proxies;
mod pull_credentials;
mod referrers;
mod store;
mod tls;
mod transport;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use assay_core::ports::{AdmissionRecord, FetchLimits, Recorder, Selector, ViolationRecord};
use assay_core::{Access, Credential, Descriptor, Digest, Repository, State, StoreError, Subject};
use assay_testkit::{
    Auth, Credentials, Effect, FixedClock, RegistryOptions, TestAuthority, TestRegistry,
};
use bytes::Bytes;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use reqwest::Certificate;

use crate::clients::Timeouts;
use crate::{HostConfig, Loopback, Registry, RegistryConfig};

/// Remembers registry requests as `operation code`.
#[derive(Default)]
struct RequestLog(Mutex<Vec<String>>);

impl Recorder for RequestLog {
    fn admission(&self, _: &AdmissionRecord<'_>) {}
    fn violation(&self, _: &ViolationRecord<'_>) {}
    fn verification(&self, _: &'static str, _: State, _: Duration) {}
    fn registry_request(&self, _: &str, operation: &'static str, code: u16, _: Duration) {
        self.0.lock().unwrap().push(format!("{operation} {code}"));
    }
    fn cache_request(&self, _: &'static str, _: bool) {}
    fn coalesced(&self, _: &'static str) {}
}

/// A registry server and the client that is tested against it.
struct Fixture {
    server: TestRegistry,
    registry: Registry,
    clock: Arc<FixedClock>,
    log: Arc<RequestLog>,
}

/// A server with `options`, listed with the other `hosts` where the client may be at any address.
async fn fixture(options: RegistryOptions, others: &[&str]) -> Fixture {
    fixture_with(options, others, Timeouts::default(), |_| ()).await
}

/// The same with these timeouts, and with its configuration changed by `change`; the server's own
/// entry is the first.
async fn fixture_with(
    options: RegistryOptions,
    others: &[&str],
    timeouts: Timeouts,
    change: impl FnOnce(&mut RegistryConfig),
) -> Fixture {
    let server = TestRegistry::start(options).await.unwrap();
    let (clock, log) = (Arc::<FixedClock>::default(), Arc::<RequestLog>::default());
    let own = listed(&server.host(), server.ca_pem().is_none());
    let others = others.iter().map(|host| listed(host, true));
    let hosts = std::iter::once(own).chain(others).collect();
    let mut config = RegistryConfig { hosts, ..RegistryConfig::default() };
    change(&mut config);
    let roots = server.ca_pem().map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
    let roots = roots.or_else(any_root);
    let built = Registry::build(&config, timeouts, roots, log.clone(), clock.clone());
    Fixture { registry: built.unwrap(), server, clock, log }
}

fn listed(host: &str, plain: bool) -> HostConfig {
    HostConfig { host: host.into(), plain_http: Some(plain), ..HostConfig::default() }
}

/// An open registry and its client.
async fn open() -> Fixture {
    fixture(RegistryOptions::default(), &[]).await
}

/// A client for the command line: loopback is allowed.
fn command_line(timeouts: Timeouts) -> Registry {
    let config = RegistryConfig { loopback: Loopback::Allowed, ..RegistryConfig::default() };
    let log = Arc::<RequestLog>::default();
    Registry::build(&config, timeouts, any_root(), log, Arc::<FixedClock>::default()).unwrap()
}

/// A root of nobody here: reading the machine's own would take most of the time of these tests.
fn any_root() -> Option<Certificate> {
    static ROOT: OnceLock<Certificate> = OnceLock::new();
    let make = || {
        let authority = TestAuthority::generate().unwrap();
        Certificate::from_pem(authority.certificate_pem().as_bytes()).unwrap()
    };
    Some(ROOT.get_or_init(make).clone())
}

impl Fixture {
    fn repository(&self) -> Repository {
        Repository::new(self.server.host(), "app")
    }

    fn requests(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// The `Authorization` headers of all requests whose path contains `path`.
    fn authorizations(&self, path: &str) -> Vec<Option<String>> {
        let requests = self.server.requests().into_iter();
        let requests = requests.filter(|request| request.path.contains(path));
        requests.map(|request| request.authorization).collect()
    }

    fn subject(&self, digest: &str) -> Subject {
        Subject {
            repository: self.repository(),
            descriptor: Descriptor {
                media_type: String::new(),
                digest: digest.parse().unwrap(),
                size: 0,
                artifact_type: None,
                annotations: Default::default(),
            },
            access: Access::public(),
        }
    }
}

fn tag(name: &str) -> Selector {
    Selector::Tag(name.into())
}

fn by_digest(digest: &str) -> Selector {
    Selector::Digest(digest.parse().unwrap())
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::sha256(bytes)
}

fn basic(username: &str, password: &str) -> Access {
    Access::with(Credential::Basic { username: username.into(), password: password.into() })
}

fn robot() -> Credentials {
    Credentials { user: "robot".into(), password: "secret".into() }
}

fn with_auth(auth: Auth) -> RegistryOptions {
    RegistryOptions { auth, ..RegistryOptions::default() }
}

fn bearer(credentials: Option<Credentials>) -> RegistryOptions {
    with_auth(Auth::Bearer { credentials, realm: None })
}

/// 307 to `url`.
fn redirect(url: impl AsRef<str>) -> Effect {
    Effect::Redirect(url.as_ref().parse().unwrap())
}

/// 401 with this challenge.
fn challenge(text: &str) -> Effect {
    let headers = vec![(WWW_AUTHENTICATE, text.parse().unwrap())];
    Effect::Status(StatusCode::UNAUTHORIZED, headers, Bytes::new())
}

/// So many bytes, in time enough.
fn limits(bytes_max: u64) -> FetchLimits {
    FetchLimits { bytes_max, timeout: Duration::from_secs(60) }
}

/// `json` with spaces after it, `size` bytes in all.
fn padded(json: &str, size: usize) -> String {
    json.to_owned() + &" ".repeat(size - json.len())
}

/// An answer of this status with a body that no message may repeat.
fn status(code: u16) -> Effect {
    let code = StatusCode::from_u16(code).unwrap();
    Effect::Status(code, Vec::new(), Bytes::from_static(b"remote body"))
}

/// The variant's name: enough where the rest is a message.
fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> &'static str {
    let Err(error) = result else {
        return "ok";
    };
    assert!(!error.to_string().contains("remote body"), "{error}");
    match error {
        StoreError::Blocked { .. } => "blocked",
        StoreError::Denied { .. } => "denied",
        StoreError::DigestMismatch { .. } => "digest mismatch",
        StoreError::Malformed { .. } => "malformed",
        StoreError::NotFound { .. } => "not found",
        StoreError::Overloaded { .. } => "overloaded",
        StoreError::Throttled { .. } => "throttled",
        StoreError::Timeout { .. } => "timeout",
        StoreError::TooLarge { .. } => "too large",
        StoreError::TooMany { .. } => "too many",
        StoreError::Unreachable { .. } => "unreachable",
        _ => "other",
    }
}
