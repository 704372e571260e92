//! Listing referrers: the API, the tag in its place, and what must never look like "none".

use assay_core::ports::ArtifactStore;
use assay_testkit::{Fault, media_type};
use http::header;
use serde_json::{Value, json};

use super::*;
use crate::referrers::{REFERRER_PAGES_MAX, REFERRERS_MAX};

/// A manifest that refers to `subject`, one per `number`.
pub(super) fn manifest(subject: &str, number: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": "application/vnd.example",
        "config": {"mediaType": media_type::EMPTY, "digest": digest_of(b"{}"), "size": 2},
        "layers": [],
        "subject": {"mediaType": media_type::MANIFEST, "digest": subject, "size": 0},
        "annotations": {"number": number.to_string()},
    })
}

fn without_api() -> RegistryOptions {
    RegistryOptions { referrers_api: false, ..RegistryOptions::default() }
}

/// An index of `count` entries.
fn index(count: usize) -> Effect {
    let entry = json!({"mediaType": media_type::MANIFEST, "digest": digest_of(b""), "size": 0});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": vec![entry; count],
    });
    Effect::Status(StatusCode::OK, Vec::new(), index.to_string().into())
}

#[tokio::test]
async fn lists_by_api_or_by_tag() {
    for (options, requests) in [
        (RegistryOptions::default(), vec!["referrers 200"]),
        (without_api(), vec!["referrers 404", "manifest 200"]),
    ] {
        let fixture = fixture(options, &[]).await;
        let digest = fixture.server.push_image("app", "v1");
        let mut expect: Vec<String> = (0..2)
            .map(|number| fixture.server.push_referrer("app", &manifest(&digest, number)))
            .collect();
        expect.sort();
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await.unwrap();
        assert!(
            found
                .iter()
                .all(|entry| { entry.artifact_type.as_deref() == Some("application/vnd.example") })
        );
        let mut found: Vec<_> = found.iter().map(|entry| entry.digest.to_string()).collect();
        found.sort();
        assert_eq!(found, expect);
        assert_eq!(fixture.requests(), requests);
    }
}

#[tokio::test]
async fn none_is_an_empty_list() {
    for options in [RegistryOptions::default(), without_api()] {
        let fixture = fixture(options, &[]).await;
        let digest = fixture.server.push_image("app", "v1");
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(found, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn errors_never_look_like_none() {
    for (code, expect) in [
        (400, "ok"),
        (401, "denied"),
        (403, "denied"),
        (404, "ok"),
        (405, "ok"),
        (406, "malformed"),
        (429, "throttled"),
        (500, "unreachable"),
    ] {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1");
        let subject = fixture.subject(&digest);
        fixture.server.fault(Fault::new("/referrers/", status(code)));
        assert_eq!(kind(fixture.registry.referrers(&subject).await), expect, "API, {code}");
    }
    for (code, expect) in [
        (400, "malformed"),
        (401, "denied"),
        (403, "denied"),
        (429, "throttled"),
        (500, "unreachable"),
    ] {
        let fixture = fixture(without_api(), &[]).await;
        let digest = fixture.server.push_image("app", "v1");
        let subject = fixture.subject(&digest);
        fixture.server.fault(Fault::new("/manifests/sha256-", status(code)));
        assert_eq!(kind(fixture.registry.referrers(&subject).await), expect, "tag, {code}");
    }
}

#[tokio::test]
async fn rejects_what_is_no_index() {
    for body in ["", "{}", "<html>", "[]", r#"{"schemaVersion":2,"manifests":[{}]}"#] {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/referrers/", Effect::WrongBody(body.into())));
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(kind(found), "malformed", "{body}");
    }
    let fixture = fixture(without_api(), &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    let fallback = digest.replace(':', "-");
    fixture.server.push_image("app", &fallback);
    let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
    assert_eq!(kind(found), "malformed", "an image at the referrers tag");
}

#[tokio::test]
async fn entries_end_at_their_limit() {
    for (path, options) in
        [("/referrers/", RegistryOptions::default()), ("/manifests/sha256-", without_api())]
    {
        for (count, expect) in [(REFERRERS_MAX, "ok"), (REFERRERS_MAX + 1, "too many")] {
            let fixture = fixture(options.clone(), &[]).await;
            let digest = fixture.server.push_image("app", "v1");
            fixture.server.fault(Fault::new(path, index(count)));
            let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
            assert_eq!(kind(found), expect, "{path} {count}");
        }
    }
}

#[tokio::test]
async fn pages_end_at_their_limit() {
    let options = RegistryOptions { referrers_per_page: 1, ..RegistryOptions::default() };
    let fixture = fixture(options, &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    for number in 1..=REFERRER_PAGES_MAX {
        fixture.server.push_referrer("app", &manifest(&digest, number));
    }
    let subject = fixture.subject(&digest);
    assert_eq!(fixture.registry.referrers(&subject).await.unwrap().len(), REFERRER_PAGES_MAX);
    fixture.server.push_referrer("app", &manifest(&digest, 0));
    fixture.server.clear_requests();
    assert_eq!(kind(fixture.registry.referrers(&subject).await), "too many");
    assert_eq!(fixture.server.count("/referrers/"), REFERRER_PAGES_MAX);
}

#[tokio::test]
async fn a_page_ends_at_its_limit() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    for (size, expect) in [(4 * 1024 * 1024, "ok"), (4 * 1024 * 1024 + 1, "too large")] {
        let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []});
        let body = padded(&index.to_string(), size);
        fixture.server.clear_faults();
        fixture.server.fault(Fault::new("/referrers/", Effect::WrongBody(body.into())));
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(kind(found), expect, "{size}");
    }
}

#[tokio::test]
async fn rejects_a_next_page_elsewhere_or_nowhere() {
    let other = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let fixture = fixture(RegistryOptions::default(), &[&other.host()]).await;
    let digest = fixture.server.push_image("app", "v1");
    let first = format!("/referrers/{digest}");
    for (target, expect) in [
        (format!("http://{}{first}", other.host()), "malformed"),
        (format!("https://{}{first}", fixture.server.host()), "malformed"),
        ("http://[".to_owned(), "malformed"),
        ("/nowhere".to_owned(), "malformed"),
        (format!("/v2/app{first}?page=1"), "ok"),
    ] {
        fixture.server.clear_faults();
        let link =
            Effect::Header(header::LINK, format!("<{target}>; rel=\"next\"").parse().unwrap());
        fixture.server.fault(Fault::new(&first, link).times(1));
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(kind(found), expect, "{target}");
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn referrers_are_listed_with_the_access_of_their_subject() {
    let fixture = fixture(bearer(Some(robot())), &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    fixture.server.push_referrer("app", &manifest(&digest, 0));
    let mut subject = fixture.subject(&digest);
    assert_eq!(kind(fixture.registry.referrers(&subject).await), "denied");
    subject.access = basic("robot", "secret");
    assert_eq!(fixture.registry.referrers(&subject).await.unwrap().len(), 1);
}
