//! Resolving, manifests and blobs: what is proven, and each status by its cause.

use assay_core::MANIFEST_BYTES_MAX;
use assay_core::ports::ArtifactStore;
use assay_testkit::{Fault, media_type};
use http::{HeaderName, Method, header};

use super::*;
use crate::health::THROTTLE_MIN;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The answer's headers without a digest.
fn without_digest(body: &'static [u8]) -> Effect {
    let media_type = format!("{}; charset=utf-8", media_type::MANIFEST);
    let headers = vec![(header::CONTENT_TYPE, media_type.parse().unwrap())];
    Effect::Status(StatusCode::OK, headers, Bytes::from_static(body))
}

#[tokio::test]
async fn resolves_a_tag_by_head_alone() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let size = fixture.server.manifest("app", "v1").unwrap().bytes.len();
    let repository = fixture.repository();
    for at in [tag("v1"), by_digest(&digest)] {
        let found = fixture.registry.resolve(&repository, &at, &Access::public()).await.unwrap();
        assert_eq!(found.digest.to_string(), digest);
        assert_eq!(found.media_type, media_type::MANIFEST);
        assert_eq!(found.size, size as u64);
    }
    assert_eq!(fixture.requests(), ["head_manifest 200", "head_manifest 200"]);
}

#[tokio::test]
async fn resolves_by_get_and_hash_where_head_names_no_digest() {
    let fixture = open().await;
    fixture.server.fault(Fault::new("/manifests/v1", without_digest(b"content")));
    let (repository, access) = (fixture.repository(), Access::public());
    let at = tag("v1");
    let found = fixture.registry.resolve(&repository, &at, &access).await.unwrap();
    assert_eq!(found.digest, digest_of(b"content"));
    assert_eq!(found.size, 7);
    assert_eq!(found.media_type, media_type::MANIFEST, "parameters are dropped");
    assert_eq!(fixture.requests(), ["head_manifest 200", "manifest 200"]);
}

#[tokio::test]
async fn a_digest_is_resolved_to_itself_or_not_at_all() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let other = digest_of(b"other").to_string();
    let resolve = async || {
        let (repository, at) = (fixture.repository(), by_digest(&digest));
        kind(fixture.registry.resolve(&repository, &at, &Access::public()).await)
    };
    assert_eq!(resolve().await, "ok");
    fixture
        .server
        .fault(Fault::new("/manifests/", Effect::Header(CONTENT_DIGEST, other.parse().unwrap())));
    assert_eq!(resolve().await, "digest mismatch");
    fixture.server.clear_faults();
    fixture.server.fault(Fault::new("/manifests/", without_digest(b"content")));
    assert_eq!(resolve().await, "digest mismatch", "without a header it is read and hashed");
}

#[tokio::test]
async fn manifests_are_what_was_asked_for() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let read = async |at| {
        let (repository, access) = (fixture.repository(), Access::public());
        fixture.registry.manifest(&repository, &at, &access).await
    };
    for at in [tag("v1"), by_digest(&digest)] {
        let found = read(at).await.unwrap();
        assert_eq!(found.descriptor.digest.to_string(), digest);
        assert_eq!(found.bytes, fixture.server.manifest("app", "v1").unwrap().bytes);
        assert_eq!(found.descriptor.size, found.bytes.len() as u64);
    }
    let wrong = Effect::WrongBody(Bytes::from_static(b"remote body"));
    fixture.server.fault(Fault::new("/manifests/", wrong));
    assert_eq!(kind(read(tag("v1")).await), "digest mismatch", "the header's digest");
    assert_eq!(kind(read(by_digest(&digest)).await), "digest mismatch");
}

#[tokio::test]
async fn manifests_end_at_their_limit_whatever_their_length_claims() {
    let fixture = open().await;
    let limit = MANIFEST_BYTES_MAX as usize;
    for (tag_name, size, expect) in [("fits", limit, "ok"), ("long", limit + 1, "too large")] {
        let bytes = vec![b' '; size];
        fixture.server.push_manifest("app", Some(tag_name), media_type::MANIFEST, bytes);
        let (repository, access) = (fixture.repository(), Access::public());
        let found = fixture.registry.manifest(&repository, &tag(tag_name), &access).await;
        assert_eq!(kind(found), expect, "{size}");
    }
}

#[tokio::test]
async fn blobs_are_hashed_and_end_at_their_limit() {
    let fixture = open().await;
    let digest: Digest = fixture.server.push_blob("app", &b"0123456789"[..]).parse().unwrap();
    let read = async |limit| {
        let (repository, access) = (fixture.repository(), Access::public());
        fixture.registry.blob(&repository, &digest, &access, limit).await
    };
    assert_eq!(read(10).await.unwrap(), "0123456789");
    assert_eq!(kind(read(9).await), "too large");
    fixture.server.fault(Fault::new("/blobs/", Effect::EndlessBody));
    assert_eq!(kind(read(1024 * 1024).await), "too large");
    fixture.server.clear_faults();
    fixture.server.fault(Fault::new("/blobs/", Effect::WrongBody("0123456788".into())));
    assert_eq!(kind(read(10).await), "digest mismatch");
}

#[tokio::test]
async fn each_status_has_its_cause() {
    for (code, expect) in [
        (204, "malformed"),
        (206, "malformed"),
        (304, "malformed"),
        (400, "malformed"),
        (401, "denied"),
        (403, "denied"),
        (404, "not found"),
        (418, "malformed"),
        (429, "throttled"),
        (500, "unreachable"),
        (503, "unreachable"),
    ] {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1").parse().unwrap();
        fixture.server.fault(Fault::new("/v2/", status(code)));
        let (repository, access) = (fixture.repository(), Access::public());
        let store: &dyn ArtifactStore = &fixture.registry;
        let resolved = store.resolve(&repository, &tag("v1"), &access).await;
        assert_eq!(kind(resolved), expect, "{code}");
        fixture.clock.advance(THROTTLE_MIN);
        let manifest = store.manifest(&repository, &tag("v1"), &access).await;
        assert_eq!(kind(manifest), expect, "{code}");
        fixture.clock.advance(THROTTLE_MIN);
        let blob = store.blob(&repository, &digest, &access, 10).await;
        assert_eq!(kind(blob), expect, "{code}");
        let expect =
            [format!("head_manifest {code}"), format!("manifest {code}"), format!("blob {code}")];
        assert_eq!(fixture.requests(), expect);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let fixture = open().await;
    let (repository, access) = (fixture.repository(), Access::public());
    let digest = digest_of(b"absent");
    let blob = fixture.registry.blob(&repository, &digest, &access, 10).await;
    assert_eq!(kind(blob), "not found");
    let resolved = fixture.registry.resolve(&repository, &tag("v1"), &access).await;
    assert_eq!(kind(resolved), "not found");
}

#[tokio::test]
async fn rejects_names_that_lead_to_another_path() {
    let fixture = open().await;
    let access = Access::public();
    for (path, name) in [
        ("app", "../../../other/manifests/v1"),
        ("app", "v1?x"),
        ("app", "v1#x"),
        ("../v2/app", "v1"),
        ("app/..", "v1"),
    ] {
        let repository = Repository::new(fixture.server.host(), path);
        let found = fixture.registry.resolve(&repository, &tag(name), &access).await;
        assert_eq!(kind(found), "blocked", "{path} {name}");
    }
    let repository = Repository::new("registry.example@evil.example", "app");
    let found = fixture.registry.resolve(&repository, &tag("v1"), &access).await;
    assert_eq!(kind(found), "blocked");
    assert!(fixture.server.requests().is_empty());
}

#[tokio::test]
async fn resolving_does_not_count_as_a_pull() {
    let fixture = open().await;
    fixture.server.push_image("app", "v1");
    let (repository, access) = (fixture.repository(), Access::public());
    fixture.registry.resolve(&repository, &tag("v1"), &access).await.unwrap();
    fixture.registry.manifest(&repository, &tag("v1"), &access).await.unwrap();
    let methods: Vec<_> = fixture.server.requests().into_iter().map(|found| found.method).collect();
    assert_eq!(methods, [Method::HEAD, Method::GET]);
}
