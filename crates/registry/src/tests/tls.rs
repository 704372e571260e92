//! Roots and client certificates of one host, and nobody else's.

use assay_core::ConfigError;
use assay_core::ports::ArtifactStore;
use assay_testkit::{Fault, Issued, TestAuthority};

use super::*;
use crate::{ClientCertificate, Pem};

fn pem(file: &str, text: &str) -> Pem {
    Pem { file: file.into(), bytes: text.into() }
}

fn client(issued: &Issued) -> Option<ClientCertificate> {
    let chain = pem("client.crt", &issued.certificate_pem);
    Some(ClientCertificate { chain, key: pem("client.key", &issued.key_pem) })
}

fn build(hosts: Vec<HostConfig>) -> Result<Registry, ConfigError> {
    let config = RegistryConfig { hosts, ..RegistryConfig::default() };
    let log = Arc::<RequestLog>::default();
    Registry::new(&config, log, Arc::<FixedClock>::default())
}

async fn start(client_certificates: bool) -> TestRegistry {
    let options = RegistryOptions { tls: true, client_certificates, ..RegistryOptions::default() };
    let server = TestRegistry::start(options).await.unwrap();
    server.push_image("app", "v1");
    server
}

/// The entry of `server`, trusting its authority.
fn entry(server: &TestRegistry) -> HostConfig {
    let ca = server.ca_pem().map(|text| pem("ca.crt", text));
    HostConfig { ca, ..listed(&server.host(), false) }
}

async fn resolve(registry: &Registry, server: &TestRegistry) -> &'static str {
    let repository = Repository::new(server.host(), "app");
    kind(registry.resolve(&repository, &tag("v1"), &Access::public()).await)
}

#[tokio::test]
async fn own_roots_are_the_only_ones_and_count_for_their_host_only() {
    let (one, other) = (start(false).await, start(false).await);
    let registry = build(vec![entry(&one), listed(&other.host(), false)]).unwrap();
    assert_eq!(resolve(&registry, &one).await, "ok");
    assert_eq!(resolve(&registry, &other).await, "unreachable", "by the machine's roots");
    let crossed = HostConfig { ca: entry(&other).ca, ..entry(&one) };
    assert_eq!(resolve(&build(vec![crossed]).unwrap(), &one).await, "unreachable");
    let both = format!("{}{}", other.ca_pem().unwrap(), one.ca_pem().unwrap());
    let both = HostConfig { ca: Some(pem("both.crt", &both)), ..entry(&one) };
    assert_eq!(resolve(&build(vec![both]).unwrap(), &one).await, "ok", "a bundle");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let server = start(true).await;
    let issued = server.authority().unwrap().issue(&["client"]).unwrap();
    let stranger = TestAuthority::generate().unwrap().issue(&["client"]).unwrap();
    for (name, client_certificate, expect) in [
        ("none", None, "unreachable"),
        ("a stranger's", client(&stranger), "unreachable"),
        ("the right one", client(&issued), "ok"),
    ] {
        let registry = build(vec![HostConfig { client_certificate, ..entry(&server) }]).unwrap();
        assert_eq!(resolve(&registry, &server).await, expect, "{name}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_for_its_host_only() {
    let (server, storage) = (start(false).await, start(true).await);
    let issued = storage.authority().unwrap().issue(&["client"]).unwrap();
    let there = format!("https://{}/v2/app/manifests/v1", storage.host());
    server.fault(Fault::new("/manifests/", redirect(there)));
    for (on_storage, expect) in [(None, "unreachable"), (client(&issued), "ok")] {
        let first = HostConfig { client_certificate: client(&issued), ..entry(&server) };
        let second = HostConfig { client_certificate: on_storage, ..entry(&storage) };
        let registry = build(vec![first, second]).unwrap();
        assert_eq!(resolve(&registry, &server).await, expect);
    }
}

#[test]
fn rejects_files_that_hold_something_else() {
    let authority = TestAuthority::generate().unwrap();
    let (root, one) = (authority.certificate_pem(), authority.issue(&["one"]).unwrap());
    let other = authority.issue(&["other"]).unwrap();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let ca = |text: &str| HostConfig { ca: Some(pem("/ca.pem", text)), ..HostConfig::default() };
    let client = |chain: &str, key: &str| HostConfig {
        client_certificate: Some(ClientCertificate {
            chain: pem("/client.crt", chain),
            key: pem("/client.key", key),
        }),
        ..HostConfig::default()
    };
    let (cert, key) = (&*one.certificate_pem, &*one.key_pem);
    for (name, host, field, file) in [
        ("empty CA", ca(""), "caFile", "/ca.pem"),
        ("a key as CA", ca(key), "caFile", "/ca.pem"),
        ("garbage as CA", ca(garbage), "caFile", "/ca.pem"),
        ("garbage behind a CA", ca(&format!("{root}{garbage}")), "caFile", "/ca.pem"),
        ("broken PEM behind a CA", ca(&format!("{root}{broken}")), "caFile", "/ca.pem"),
        ("no certificate", client("", key), "clientCertFile", "/client.crt"),
        ("a key for a certificate", client(key, key), "clientCertFile", "/client.crt"),
        ("no key", client(cert, ""), "clientKeyFile", "/client.key"),
        ("a certificate for a key", client(cert, cert), "clientKeyFile", "/client.key"),
        ("another's key", client(cert, &other.key_pem), "clientKeyFile", "/client.key"),
    ] {
        let error = build(vec![HostConfig { host: "r.example".into(), ..host }]).err().unwrap();
        assert_eq!(error.field, format!("registries[0].{field}"), "{name}");
        assert!(error.reason.contains(file), "{name}: {error}");
    }
    for host in [ca(&root), client(cert, key)] {
        let host = HostConfig { host: "r.example".into(), ..host };
        assert!(build(vec![host.clone()]).is_ok());
        let error = build(vec![HostConfig { plain_http: Some(true), ..host }]).err().unwrap();
        assert_eq!(error.field, "registries[0].plainHttp");
    }
}

#[test]
fn keys_are_in_no_debug_output() {
    let issued = TestAuthority::generate().unwrap().issue(&["one"]).unwrap();
    let config = HostConfig { client_certificate: client(&issued), ..HostConfig::default() };
    let text = format!("{config:?}");
    assert!(text.contains("client.key") && !text.contains("PRIVATE") && !text.contains("45, 45"));
}
