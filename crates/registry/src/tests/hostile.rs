//! The thirteen ways in which hostile registries were seen to get the better of a client.

use assay_core::ports::ArtifactStore;
use assay_testkit::{Fault, media_type};
use http::HeaderName;
use serde_json::json;

use super::*;
use crate::health::THROTTLE_MIN;

async fn resolve(fixture: &Fixture, access: &Access) -> Result<Descriptor, StoreError> {
    fixture.registry.resolve(&fixture.repository(), &tag("v1"), access).await
}

#[tokio::test]
async fn case_01_rejects_token_with_line_break() {
    for (token, expect) in [("token-1", "ok"), ("token-1\n", "malformed"), ("a\r\nb", "malformed")]
    {
        let fixture = fixture(bearer(None), &[]).await;
        fixture.server.push_image("app", "v1");
        if expect != "ok" {
            let body = json!({ "token": token }).to_string();
            fixture.server.fault(Fault::new("/token", Effect::WrongBody(body.into())));
        }
        assert_eq!(kind(resolve(&fixture, &Access::public()).await), expect, "{token:?}");
    }
}

#[tokio::test]
async fn case_02_rejects_second_tenant_with_credentials_of_its_own() {
    for options in [with_auth(Auth::Basic(robot())), bearer(Some(robot()))] {
        let fixture = fixture(options, &[]).await;
        fixture.server.push_image("app", "v1");
        assert_eq!(kind(resolve(&fixture, &basic("robot", "secret")).await), "ok");
        fixture.server.clear_requests();
        assert_eq!(kind(resolve(&fixture, &basic("tenant", "other")).await), "denied");
        assert_eq!(kind(resolve(&fixture, &Access::public()).await), "denied");
        let stranger = robot().basic();
        for found in fixture.authorizations("/").into_iter().flatten() {
            assert!(found != stranger && !found.starts_with("Bearer"), "{found}");
        }
        assert_eq!(kind(resolve(&fixture, &basic("robot", "secret")).await), "ok");
    }
}

#[tokio::test]
async fn case_03_rejects_realm_on_another_host() {
    let thief = TestRegistry::start(bearer(None)).await.unwrap();
    let by_name = thief.host().replace("127.0.0.1", "localhost");
    for realm in [format!("http://{}/token", thief.host()), format!("https://{by_name}/token")] {
        let options =
            with_auth(Auth::Bearer { credentials: Some(robot()), realm: Some(realm.clone()) });
        let fixture = fixture(options, &[&thief.host(), &by_name]).await;
        fixture.server.push_image("app", "v1");
        let found = resolve(&fixture, &basic("robot", "secret")).await;
        assert_eq!(kind(found), "blocked", "{realm}");
    }
    assert!(thief.requests().is_empty());
}

#[tokio::test]
async fn case_04_rejects_redirect_to_internal_address() {
    let internal = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let plain = format!("http://{}/v2/app/blobs/x", internal.host());
    let secure = format!("https://{}/v2/app/blobs/x", internal.host());
    let by_name = secure.replace("127.0.0.1", "localhost");
    let metadata = "https://169.254.169.254/latest/meta-data/".to_owned();
    let mapped = "https://[::ffff:169.254.169.254]/latest/".to_owned();
    let others = ["0177.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]"]
        .into_iter()
        .chain([
            "0.0.0.0",
            "[::]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "localhost.",
            "a.localhost",
        ])
        .map(|host| format!("https://{host}/"));
    for url in [plain, secure, by_name, metadata, mapped].into_iter().chain(others) {
        let fixture = open().await;
        let digest = fixture.server.push_blob("app", &b"x"[..]).parse().unwrap();
        fixture.server.fault(Fault::new("/blobs/", redirect(url.clone())));
        let (repository, access) = (fixture.repository(), Access::public());
        let found = fixture.registry.blob(&repository, &digest, &access, 10).await;
        assert_eq!(kind(found), "blocked", "{url}");
    }
    assert!(internal.requests().is_empty());
}

#[tokio::test]
async fn case_05_rejects_endless_manifest() {
    let fixture = open().await;
    fixture.server.push_image("app", "v1");
    fixture.server.fault(Fault::new("/manifests/", Effect::EndlessBody));
    let (repository, access) = (fixture.repository(), Access::public());
    let found = fixture.registry.manifest(&repository, &tag("v1"), &access).await;
    assert_eq!(kind(found), "too large");
}

#[tokio::test]
async fn case_06_rejects_throttled_fallback_tag() {
    let options = RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
    let fixture = fixture(options, &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    let error = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"remote body"}]}"#;
    let throttled =
        Effect::Status(StatusCode::TOO_MANY_REQUESTS, vec![], Bytes::from_static(error));
    fixture.server.fault(Fault::new("/manifests/sha256-", throttled));
    let subject = fixture.subject(&digest);
    assert_eq!(kind(fixture.registry.referrers(&subject).await), "throttled");
    fixture.server.clear_faults();
    fixture.clock.advance(THROTTLE_MIN);
    assert_eq!(fixture.registry.referrers(&subject).await, Ok(Vec::new()));
}

#[tokio::test]
async fn case_07_reads_every_page_of_referrers() {
    let options = RegistryOptions { referrers_per_page: 2, ..RegistryOptions::default() };
    let fixture = fixture(options, &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    for number in 0..5 {
        fixture.server.push_referrer("app", &referrers::manifest(&digest, number));
    }
    let found = fixture.registry.referrers(&fixture.subject(&digest)).await.unwrap();
    assert_eq!(found.len(), 5);
    assert_eq!(fixture.requests(), ["referrers 200"; 3]);
}

#[tokio::test]
async fn case_08_rejects_index_that_has_layers() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let image = fixture.server.manifest("app", "v1").unwrap().json();
    let confused = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "config": image["config"],
        "layers": image["layers"],
    });
    let wrong = Effect::WrongBody(confused.to_string().into());
    fixture.server.fault(Fault::new("/referrers/", wrong));
    assert_eq!(kind(fixture.registry.referrers(&fixture.subject(&digest)).await), "malformed");
}

#[tokio::test]
async fn case_09_rejects_body_without_the_digest() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let mut body = fixture.server.manifest("app", "v1").unwrap().bytes.to_vec();
    let (repository, access, at) = (fixture.repository(), Access::public(), by_digest(&digest));
    let read = async || fixture.registry.manifest(&repository, &at, &access).await;
    assert_eq!(kind(read().await), "ok");
    body.push(b' ');
    fixture.server.fault(Fault::new("/manifests/", Effect::WrongBody(body.into())));
    assert_eq!(kind(read().await), "digest mismatch");
}

#[tokio::test]
async fn case_10_and_11_reject_a_digest_header_that_is_none() {
    let name = HeaderName::from_static("docker-content-digest");
    for value in ["md5:d41d8cd98f00b204e9800998ecf8427e", "not-a-digest", "sha256:abc", ""] {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1");
        let lie = Effect::Header(name.clone(), value.parse().unwrap());
        fixture.server.fault(Fault::new("/manifests/", lie));
        let (repository, access) = (fixture.repository(), Access::public());
        for at in [tag("v1"), by_digest(&digest)] {
            let found = fixture.registry.resolve(&repository, &at, &access).await;
            assert_eq!(kind(found), "malformed", "{value} {at:?}");
        }
        let found = fixture.registry.manifest(&repository, &tag("v1"), &access).await;
        assert_eq!(kind(found), "malformed", "{value}");
        // What was asked for by digest needs no header: it is hashed.
        let found = fixture.registry.manifest(&repository, &by_digest(&digest), &access).await;
        assert_eq!(kind(found), "ok", "{value}");
    }
}

#[tokio::test]
async fn case_12_rejects_refusal_of_the_token_endpoint() {
    for code in [401, 403] {
        let fixture = fixture(bearer(None), &[]).await;
        fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/token", status(code)));
        let found = resolve(&fixture, &basic("robot", "secret")).await;
        assert_eq!(kind(found), "denied", "{code}");
        assert_eq!(fixture.server.count("/manifests/"), 1, "nothing is tried anonymously");
        assert_eq!(fixture.server.count("/token"), 1);
    }
}

#[tokio::test]
async fn case_13_rejects_certificate_of_another_authority() {
    let options = || RegistryOptions { tls: true, ..RegistryOptions::default() };
    let fixture = fixture(options(), &[]).await;
    fixture.server.push_image("app", "v1");
    assert_eq!(kind(resolve(&fixture, &Access::public()).await), "ok");

    let other = TestRegistry::start(options()).await.unwrap();
    let roots = Certificate::from_pem(other.ca_pem().unwrap().as_bytes()).unwrap();
    let config = RegistryConfig {
        hosts: vec![HostConfig { host: fixture.server.host(), ..HostConfig::default() }],
        ..RegistryConfig::default()
    };
    let (log, clock) = (fixture.log.clone(), fixture.clock.clone());
    let registry = Registry::build(&config, Timeouts::default(), Some(roots), log, clock).unwrap();
    let found = registry.resolve(&fixture.repository(), &tag("v1"), &Access::public()).await;
    assert!(
        matches!(&found, Err(StoreError::Unreachable { reason, .. }) if reason.contains("TLS")),
        "{found:?}"
    );
}

#[tokio::test]
async fn rejects_challenge_of_a_server_behind_a_redirect() {
    let thief = TestRegistry::start(with_auth(Auth::Basic(robot()))).await.unwrap();
    let fixture = fixture(RegistryOptions::default(), &[&thief.host()]).await;
    let url = format!("http://{}/v2/app/manifests/v1", thief.host());
    fixture.server.fault(Fault::new("/manifests/", redirect(url)));
    assert_eq!(kind(resolve(&fixture, &basic("robot", "secret")).await), "denied");
    let sent = thief.requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].authorization, None);
}

#[tokio::test]
async fn rejects_challenge_that_names_no_way() {
    for challenge in ["", "Negotiate", "Bearer", "Bearer realm=\"not a url\"", "Bearer realm=\"\""]
    {
        let fixture = open().await;
        let refused = super::challenge(challenge);
        fixture.server.fault(Fault::new("/manifests/", refused));
        let found = kind(resolve(&fixture, &basic("robot", "secret")).await);
        let expect = if challenge.contains("realm") { "malformed" } else { "denied" };
        assert_eq!(found, expect, "{challenge}");
        assert_eq!(fixture.server.count("/"), 1);
    }
}
