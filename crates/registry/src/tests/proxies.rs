//! Proxies: who is reached through one, and what one cannot be used for.

use std::net::SocketAddr;

use assay_core::ports::{ArtifactStore, Fetch};
use assay_testkit::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::ProxyConfig;

/// A proxy that leads every tunnel to one place, whatever its name, and refuses all else.
struct TestProxy {
    address: SocketAddr,
    /// The first line of each request.
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl TestProxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (mut tasks, log) = (JoinSet::new(), requests.clone());
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(tunnel(stream, target.clone(), log.clone()));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// Both proxies here, but for the hosts in `no_proxy`.
    fn config(&self, no_proxy: Option<&str>) -> ProxyConfig {
        let here = Some(format!("http://{}", self.address));
        ProxyConfig { https: here.clone(), http: here, no_proxy: no_proxy.map(str::to_owned) }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn tunnel(mut stream: TcpStream, target: String, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut head).await.unwrap();
    }
    let head = String::from_utf8(head).unwrap();
    log.lock().unwrap().push(head.lines().next().unwrap().to_owned());
    if !head.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        return;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut target = TcpStream::connect(target).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut target).await;
}

async fn resolve(registry: &Registry, host: &str) -> &'static str {
    let repository = Repository::new(host, "app");
    kind(registry.resolve(&repository, &tag("v1"), &Access::public()).await)
}

/// A client behind `proxy` that trusts `server`, and has `hosts` listed.
fn behind(proxies: ProxyConfig, server: &TestRegistry, hosts: Vec<HostConfig>) -> Registry {
    let config = RegistryConfig { hosts, proxies, ..RegistryConfig::default() };
    let roots = server.ca_pem().map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
    let (clock, log) = (Arc::<FixedClock>::default(), Arc::<RequestLog>::default());
    Registry::build(&config, Timeouts::default(), roots.or_else(any_root), log, clock).unwrap()
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_to_the_name_that_was_asked_for() {
    let names = ["listed.example".into(), "stranger.example".into()].into();
    let options = RegistryOptions { tls: true, names, ..RegistryOptions::default() };
    let server = TestRegistry::start(options).await.unwrap();
    server.push_image("app", "v1");
    let proxy = TestProxy::start(server.host()).await;
    let hosts = vec![listed("listed.example", false)];
    let registry = behind(proxy.config(None), &server, hosts);
    for (host, expect) in [
        ("listed.example", "ok"),
        ("stranger.example", "ok"),
        ("other.example:5000", "unreachable"),
    ] {
        assert_eq!(resolve(&registry, host).await, expect, "{host}");
    }
    let expect = ["listed.example:443", "stranger.example:443", "other.example:5000"]
        .map(|host| format!("CONNECT {host} HTTP/1.1"));
    assert_eq!(proxy.requests(), expect);
}

#[tokio::test]
async fn exempt_hosts_are_reached_without_a_proxy() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    server.push_image("app", "v1");
    // An address that is this machine's, but that nothing here takes for loopback.
    let host = server.host().replace("127.0.0.1", "0.0.0.0");
    for (no_proxy, expect, through) in [
        (None, "denied", 1),
        (Some(""), "denied", 1),
        (Some("10.0.0.0/8,other.example"), "denied", 1),
        (Some("other.example,0.0.0.0/8"), "ok", 0),
        (Some("0.0.0.0"), "ok", 0),
    ] {
        let proxy = TestProxy::start(server.host()).await;
        let registry = behind(proxy.config(no_proxy), &server, vec![listed(&host, true)]);
        assert_eq!(resolve(&registry, &host).await, expect, "{no_proxy:?}");
        assert_eq!(proxy.requests().len(), through, "{no_proxy:?}");
    }
}

#[tokio::test]
async fn loopback_is_reached_without_a_proxy() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    server.push_image("app", "v1");
    let proxy = TestProxy::start(server.host()).await;
    let registry = behind(proxy.config(None), &server, vec![listed(&server.host(), true)]);
    assert_eq!(resolve(&registry, &server.host()).await, "ok");
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_is_no_way_to_internal_addresses() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let proxy = TestProxy::start(server.host()).await;
    let registry = behind(proxy.config(None), &server, vec![listed(&server.host(), true)]);
    for host in [
        "169.254.169.254",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0",
        "2130706433",
        "[::1]:5000",
        "[::ffff:169.254.169.254]",
        "localhost",
        "a.localhost:5000",
    ] {
        assert_eq!(resolve(&registry, host).await, "blocked", "{host}");
        let url = format!("http://{host}/crl");
        assert_eq!(kind(registry.get(&url, limits(10)).await), "blocked", "{url}");
        server.clear_faults();
        server.fault(Fault::new("/manifests/", redirect(format!("https://{host}/"))));
        assert_eq!(resolve(&registry, &server.host()).await, "blocked", "redirect to {host}");
    }
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn revocation_data_goes_through_the_proxy_for_plain_http() {
    let server = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let proxy = TestProxy::start(server.host()).await;
    let registry = behind(proxy.config(None), &server, Vec::new());
    assert_eq!(kind(registry.get("http://crl.example/a", limits(10)).await), "denied");
    assert_eq!(proxy.requests(), ["GET http://crl.example/a HTTP/1.1"]);
}

#[test]
fn rejects_what_is_no_proxy_without_repeating_it() {
    let build = |proxies| {
        let config = RegistryConfig { proxies, ..RegistryConfig::default() };
        let log = Arc::<RequestLog>::default();
        Registry::new(&config, log, Arc::<FixedClock>::default()).err()
    };
    for url in ["http://", "http://user:secret@", "://secret"] {
        let https = ProxyConfig { https: Some(url.into()), ..ProxyConfig::default() };
        assert!(!format!("{https:?}").contains("secret"));
        let error = build(https).unwrap();
        assert_eq!(error.field, "HTTPS_PROXY");
        assert!(!error.to_string().contains("secret"), "{error}");
        let http = ProxyConfig { http: Some(url.into()), ..ProxyConfig::default() };
        assert_eq!(build(http).unwrap().field, "HTTP_PROXY");
    }
    for url in ["", "proxy.example:3128", "http://user:secret@proxy.example:3128"] {
        let https = ProxyConfig { https: Some(url.into()), ..ProxyConfig::default() };
        assert_eq!(build(https), None, "{url}");
    }
}
