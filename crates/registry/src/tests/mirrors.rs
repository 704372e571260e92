//! Mirrors: what they may answer, what they never see, and who has the last word.

use assay_core::ports::ArtifactStore;
use assay_testkit::Fault;
use serde_json::json;

use super::*;

/// A mirror of everything on the fixture's registry, below `cache/`.
async fn mirrored(options: RegistryOptions, mirror: RegistryOptions) -> (Fixture, TestRegistry) {
    let mirror = TestRegistry::start(mirror).await.unwrap();
    let host = mirror.host();
    let others = [host.as_str()];
    let fixture = fixture_with(options, &others, Timeouts::default(), |config| {
        config.hosts[0].mirrors = vec![format!("{host}/cache")];
    });
    (fixture.await, mirror)
}

async fn open_mirrored() -> (Fixture, TestRegistry) {
    mirrored(RegistryOptions::default(), RegistryOptions::default()).await
}

async fn resolve(fixture: &Fixture, access: &Access) -> Result<String, StoreError> {
    let found = fixture.registry.resolve(&fixture.repository(), &tag("v1"), access).await?;
    Ok(found.digest.to_string())
}

#[tokio::test]
async fn a_mirror_is_asked_in_place_of_the_registry() {
    let (fixture, mirror) = open_mirrored().await;
    let digest = mirror.push_image("cache/app", "v1");
    let blob: Digest = mirror.push_blob("cache/app", &b"content"[..]).parse().unwrap();
    let referrer = mirror.push_referrer("cache/app", &referrers::manifest(&digest, 0));
    let (repository, access) = (fixture.repository(), Access::public());
    let store: &dyn ArtifactStore = &fixture.registry;
    assert_eq!(resolve(&fixture, &access).await, Ok(digest.clone()));
    let found = store.manifest(&repository, &tag("v1"), &access).await.unwrap();
    assert_eq!(found.descriptor.digest.to_string(), digest);
    assert_eq!(store.blob(&repository, &blob, &access, 10).await.unwrap(), "content");
    let found = store.referrers(&fixture.subject(&digest)).await.unwrap();
    assert_eq!(found[0].digest.to_string(), referrer);
    assert!(fixture.server.requests().is_empty());
    assert_eq!(mirror.count("/v2/cache/app/"), 4);
    assert_eq!(fixture.requests().len(), 4, "each request is counted");
}

#[tokio::test]
async fn whatever_fails_at_a_mirror_the_next_is_asked() {
    for (name, effect) in [
        ("401", status(401)),
        ("403", status(403)),
        ("404", status(404)),
        ("429", status(429)),
        ("500", status(500)),
        ("reset", Effect::Reset),
        ("cut", Effect::CutAfter(3)),
        ("endless", Effect::EndlessBody),
        ("redirect inwards", redirect("https://169.254.169.254/")),
        ("wrong bytes", Effect::WrongBody("wrong".into())),
    ] {
        let (fixture, mirror) = open_mirrored().await;
        let digest = fixture.server.push_blob("app", &b"content"[..]).parse().unwrap();
        mirror.push_blob("cache/app", &b"content"[..]);
        mirror.fault(Fault::new("/", effect));
        let (repository, access) = (fixture.repository(), Access::public());
        let found = fixture.registry.blob(&repository, &digest, &access, 10).await;
        assert_eq!(found.unwrap(), "content", "{name}");
        assert_eq!((mirror.count("/"), fixture.server.count("/")), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn errors_are_those_of_the_registry_itself() {
    let (fixture, mirror) = open_mirrored().await;
    mirror.fault(Fault::new("/", status(500)));
    let error = resolve(&fixture, &Access::public()).await.unwrap_err();
    assert_eq!(error, StoreError::NotFound { host: fixture.server.host() });
    fixture.server.fault(Fault::new("/", status(403)));
    let error = resolve(&fixture, &Access::public()).await.unwrap_err();
    assert_eq!(error, StoreError::Denied { host: fixture.server.host(), status: 403 });
}

#[tokio::test]
async fn mirrors_are_asked_in_order() {
    let second = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let first = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let hosts = [first.host(), second.host()];
    let others: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let options = RegistryOptions::default();
    let fixture = fixture_with(options, &others, Timeouts::default(), |config| {
        config.hosts[0].mirrors = hosts.to_vec();
    });
    let fixture = fixture.await;
    let mut expect = Vec::new();
    for server in [&fixture.server, &second, &first] {
        // The one that was filled last comes first, and hides the others.
        let content = json!({ "at": server.host() }).to_string();
        expect.push(server.push_manifest("app", Some("v1"), "application/json", content));
        assert_eq!(resolve(&fixture, &Access::public()).await.ok(), expect.last().cloned());
    }
    let counts = [&first, &second, &fixture.server].map(|server| server.count("/"));
    assert_eq!(counts, [3, 2, 1]);
}

#[tokio::test]
async fn no_password_goes_to_a_mirror_on_another_host() {
    for protected in [with_auth(Auth::Basic(robot())), bearer(Some(robot()))] {
        let (fixture, mirror) = mirrored(protected.clone(), protected).await;
        mirror.push_image("cache/app", "v1");
        let digest = fixture.server.push_image("app", "v1");
        let access = basic("robot", "secret");
        assert_eq!(resolve(&fixture, &access).await, Ok(digest.clone()));
        assert_eq!(resolve(&fixture, &access).await, Ok(digest));
        let sent = mirror.requests();
        assert!(!sent.is_empty());
        assert!(sent.iter().all(|request| request.authorization.is_none()), "{sent:?}");
    }
}

#[tokio::test]
async fn a_mirror_on_the_same_host_gets_the_password_of_that_host() {
    let options = with_auth(Auth::Basic(robot()));
    let server = TestRegistry::start(options).await.unwrap();
    let host = server.host();
    let mut own = listed(&host, true);
    own.mirrors = vec![format!("{host}/cache")];
    let config = RegistryConfig { hosts: vec![own], ..RegistryConfig::default() };
    let (clock, log) = (Arc::<FixedClock>::default(), Arc::<RequestLog>::default());
    let registry = Registry::build(&config, Timeouts::default(), any_root(), log, clock).unwrap();
    let digest = server.push_image("cache/app", "v1");
    let repository = Repository::new(host, "app");
    let access = basic("robot", "secret");
    let found = registry.resolve(&repository, &tag("v1"), &access).await.unwrap();
    assert_eq!(found.digest.to_string(), digest);
    assert_eq!(server.count("/v2/app/"), 0);
}

#[tokio::test]
async fn no_referrers_at_a_mirror_are_no_answer() {
    let without_api = || RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
    for options in [RegistryOptions::default(), without_api()] {
        let (fixture, mirror) = mirrored(RegistryOptions::default(), options).await;
        let digest = fixture.server.push_image("app", "v1");
        mirror.push_image("cache/app", "v1");
        let subject = fixture.subject(&digest);
        assert_eq!(fixture.registry.referrers(&subject).await, Ok(Vec::new()));
        fixture.server.push_referrer("app", &referrers::manifest(&digest, 0));
        assert_eq!(fixture.registry.referrers(&subject).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_mirror_is_no_way_around_the_address_guard() {
    let mirror = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    mirror.push_image("app", "v1");
    let options = RegistryOptions::default();
    let fixture = fixture_with(options, &[], Timeouts::default(), |config| {
        config.hosts[0].mirrors = vec![mirror.host(), "169.254.169.254".into()];
    });
    let fixture = fixture.await;
    let digest = fixture.server.push_image("app", "v1");
    assert_eq!(resolve(&fixture, &Access::public()).await, Ok(digest), "of the registry itself");
    assert!(
        mirror.requests().is_empty(),
        "a mirror on loopback has an entry of its own, or no use"
    );
}
