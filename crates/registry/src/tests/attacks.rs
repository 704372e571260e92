//! Everything that a hostile registry is known to try, and the test that holds it off. The thirteen
//! cases of other clients are in `hostile`; what stands in no other file is here.
//!
//! | attack | test |
//! |---|---|
//! | bodies past every limit | `store::manifests_end_at_their_limit_whatever_their_length_claims`, `store::blobs_are_hashed_and_end_at_their_limit`, `referrers::a_page_ends_at_its_limit`, `auth::the_token_endpoint_fails_by_cause_and_never_as_missing_content`, `fetch::reads_by_plain_http_up_to_the_limit` |
//! | endless bodies | `endless_bodies_end` |
//! | 10,000 referrers | `rejects_ten_thousand_referrers`, `referrers::entries_end_at_their_limit` |
//! | endless and circular pages | `referrers::pages_end_at_their_limit`, `rejects_circular_pages` |
//! | redirect loops | `transport::redirects_end_at_their_limit`, `rejects_redirects_in_a_circle` |
//! | downgrade to http | `transport::rejects_redirect_from_tls_to_plain_http` |
//! | redirects to loopback and link-local | `hostile::case_04_rejects_redirect_to_internal_address`, `proxies::a_proxy_is_no_way_to_internal_addresses`, `address::tests` |
//! | a realm elsewhere | `hostile::case_03_rejects_realm_on_another_host`, `auth::tests::passwords_go_to_trusted_realms_only` |
//! | 401 in a loop | `rejects_401_in_a_loop`, `auth::a_token_that_no_longer_holds_is_replaced_once` |
//! | 403 at the token | `hostile::case_12_rejects_refusal_of_the_token_endpoint` |
//! | 429 with and without `Retry-After` | `pressure::a_429_is_respected_for_as_long_as_it_says`, `hostile::case_06_rejects_throttled_fallback_tag` |
//! | 500 | `store::each_status_has_its_cause`, `pressure::failures_in_a_row_end_the_asking_for_a_while` |
//! | resets in the middle of head and body | `answers_cut_anywhere_are_unreachable` |
//! | one byte a second | `a_trickle_ends_with_its_time` |
//! | lying `Docker-Content-Digest` | `hostile::case_10_and_11_reject_a_digest_header_that_is_none`, `store::manifests_are_what_was_asked_for`, `store::a_digest_is_resolved_to_itself_or_not_at_all` |
//! | lying `Content-Length` | `rejects_lengths_that_lie`, `transport::a_length_is_only_a_hint` |
//! | lying media types | `media_types_are_hearsay` |
//! | an index that looks like an image | `hostile::case_08_rejects_index_that_has_layers`, `media_types_are_hearsay` |
//! | deep and duplicate-keyed JSON | `rejects_deep_and_ambiguous_json` |
//! | a fallback tag that lists other images' signatures | `what_a_fallback_tag_lists_is_a_hint` |
//! | wearing out another registry by redirects | `pressure::redirects_wear_out_their_own_registry_only` |

use assay_core::ports::ArtifactStore;
use assay_core::{MANIFEST_BYTES_MAX, Manifest};
use assay_testkit::{Fault, RawAnswer, RawServer, fallback_tag, media_type};
use http::header;
use serde_json::json;

use super::*;
use crate::redirect::REDIRECTS_MAX;
use crate::referrers::REFERRER_PAGES_MAX;

async fn resolve(fixture: &Fixture, access: &Access) -> &'static str {
    kind(fixture.registry.resolve(&fixture.repository(), &tag("v1"), access).await)
}

/// What becomes of a blob, `content`, that is asked of a server with this one answer.
async fn raw_blob(registry: &Registry, answer: RawAnswer) -> &'static str {
    let server = RawServer::start(vec![answer]).await.unwrap();
    let repository = Repository::new(server.host(), "app");
    let (digest, access) = (digest_of(b"content"), Access::public());
    kind(registry.blob(&repository, &digest, &access, 10).await)
}

#[tokio::test]
async fn endless_bodies_end() {
    let fixture = fixture(bearer(None), &[]).await;
    let digest = fixture.server.push_image("app", "v1");
    let content = fixture.server.push_blob("app", &b"content"[..]).parse().unwrap();
    let (repository, access) = (fixture.repository(), Access::public());
    let store: &dyn ArtifactStore = &fixture.registry;
    fixture.server.fault(Fault::new("/token", Effect::EndlessBody).times(1));
    assert_eq!(resolve(&fixture, &access).await, "too large", "a token");
    fixture.server.fault(Fault::new("/v2/", status(403)).and(Effect::EndlessBody).times(1));
    assert_eq!(resolve(&fixture, &access).await, "denied", "an error's text");
    assert_eq!(resolve(&fixture, &access).await, "ok");
    fixture.server.fault(Fault::new("/v2/", Effect::EndlessBody));
    for at in [tag("v1"), by_digest(&digest)] {
        assert_eq!(kind(store.manifest(&repository, &at, &access).await), "too large");
    }
    let blob = store.blob(&repository, &content, &access, 10).await;
    assert_eq!(kind(blob), "too large");
    assert_eq!(kind(store.referrers(&fixture.subject(&digest)).await), "too large");
    fixture.server.clear_faults();
    fixture.server.fault(Fault::new("/referrers/", status(404)));
    fixture.server.fault(Fault::new("/manifests/sha256-", Effect::EndlessBody));
    fixture.server.push_image("app", &fallback_tag(&digest));
    assert_eq!(kind(store.referrers(&fixture.subject(&digest)).await), "too large", "the tag");
}

/// A page of `count` referrers that names `next` as the one after it.
fn page(count: usize, next: Option<&str>) -> Effect {
    let entry = json!({"mediaType": media_type::MANIFEST, "digest": digest_of(b""), "size": 0});
    let body = json!({"schemaVersion": 2, "manifests": vec![entry; count]}).to_string();
    let link = next.map(|next| (header::LINK, format!("<{next}>; rel=next").parse().unwrap()));
    Effect::Status(StatusCode::OK, link.into_iter().collect(), body.into())
}

#[tokio::test]
async fn rejects_ten_thousand_referrers() {
    for (name, count, next, asked) in
        [("in one page", 10_000, None, 1), ("in a hundred", 100, Some("/v2/app/referrers/x"), 11)]
    {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/referrers/", page(count, next)));
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(kind(found), "too many", "{name}");
        assert_eq!(fixture.server.requests().len(), asked, "{name}");
    }
}

#[tokio::test]
async fn rejects_circular_pages() {
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let (one, other) = (format!("/v2/app/referrers/{digest}"), "/v2/app/referrers/b");
    fixture.server.fault(Fault::new(&one, page(1, Some(other))));
    fixture.server.fault(Fault::new(other, page(0, Some(&one))));
    let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
    assert_eq!(kind(found), "too many");
    assert_eq!(fixture.server.requests().len(), REFERRER_PAGES_MAX);
}

#[tokio::test]
async fn rejects_redirects_in_a_circle() {
    let other = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    let fixture = fixture(RegistryOptions::default(), &[&other.host()]).await;
    for (from, to) in [(&fixture.server, &other), (&other, &fixture.server)] {
        let there = redirect(format!("http://{}/v2/app/manifests/v1", to.host()));
        from.fault(Fault::new("/", there));
    }
    assert_eq!(resolve(&fixture, &Access::public()).await, "malformed");
    assert_eq!(fixture.server.count("/") + other.count("/"), REDIRECTS_MAX + 1);
}

#[tokio::test]
async fn rejects_401_in_a_loop() {
    for (options, tokens) in [(with_auth(Auth::Basic(robot())), 0), (bearer(Some(robot())), 1)] {
        let fixture = fixture(options.clone(), &[]).await;
        fixture.server.push_image("app", "v1");
        let access = basic("robot", "secret");
        let host = fixture.server.host();
        let again = match options.auth {
            Auth::Basic(_) => challenge("Basic"),
            _ => challenge(&format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"")),
        };
        fixture.server.fault(Fault::new("/manifests/", again));
        assert_eq!(resolve(&fixture, &access).await, "denied");
        assert_eq!(
            (fixture.server.count("/manifests/"), fixture.server.count("/token")),
            (2, tokens)
        );
        fixture.server.clear_faults();
        assert_eq!(resolve(&fixture, &access).await, "ok");
    }
}

#[tokio::test]
async fn answers_cut_anywhere_are_unreachable() {
    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent";
    let registry = command_line(Timeouts::default());
    for end in 0..WHOLE.len() {
        for cut in [RawAnswer::Close(WHOLE[..end].into()), RawAnswer::Reset(WHOLE[..end].into())] {
            let name = format!("{cut:?}");
            assert_eq!(raw_blob(&registry, cut).await, "unreachable", "{name}");
        }
    }
    let whole = RawAnswer::Close(WHOLE.into());
    assert_eq!(raw_blob(&registry, whole).await, "ok");
}

#[tokio::test]
async fn a_trickle_ends_with_its_time() {
    const PAUSE: Duration = Duration::from_millis(10);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec();
    let whole = [head.clone(), b" ".repeat(1000)].concat();
    let mut timeouts = Timeouts { exchange: Duration::from_millis(300), ..Timeouts::default() };
    let drip = || RawAnswer::Drip(whole.clone(), PAUSE);
    assert_eq!(raw_blob(&command_line(timeouts), drip()).await, "timeout", "of the head");

    let fixture = fixture_with(RegistryOptions::default(), &[], timeouts, |_| ()).await;
    let blob: Digest = fixture.server.push_blob("app", vec![b' '; 1000]).parse().unwrap();
    let (repository, access) = (fixture.repository(), Access::public());
    let read = async || fixture.registry.blob(&repository, &blob, &access, 1000).await;
    assert_eq!(kind(read().await), "ok");
    fixture.server.fault(Fault::new("/blobs/", Effect::Drip(PAUSE)));
    assert_eq!(kind(read().await), "timeout", "of the body, though no byte was late");
    fixture.server.clear_faults();
    let error = Fault::new("/blobs/", status(500));
    let error = error.and(Effect::WrongBody(vec![b' '; 1000].into()));
    fixture.server.fault(error.and(Effect::Drip(PAUSE)));
    assert_eq!(kind(read().await), "unreachable", "of an error's text");

    timeouts = Timeouts { read: PAUSE / 10, exchange: Duration::from_secs(60), ..timeouts };
    assert_eq!(raw_blob(&command_line(timeouts), drip()).await, "timeout", "one byte was late");
}

#[tokio::test]
async fn rejects_lengths_that_lie() {
    let registry = command_line(Timeouts::default());
    for (name, headers, body, expect) in [
        ("the truth", "Content-Length: 7", "content", "ok"),
        ("no length", "X: y", "content", "ok"),
        ("chunks", "Transfer-Encoding: chunked", "7\r\ncontent\r\n0\r\n\r\n", "ok"),
        ("too short", "Content-Length: 6", "content", "digest mismatch"),
        ("too long", "Content-Length: 8", "content", "unreachable"),
        ("past the limit", "Content-Length: 11", "content+more", "too large"),
        ("below zero", "Content-Length: -7", "content", "unreachable"),
        ("no number", "Content-Length: many", "content", "unreachable"),
        ("two", "Content-Length: 7\r\nContent-Length: 8", "content", "unreachable"),
        ("a chunk without end", "Transfer-Encoding: chunked", "ffffffff\r\ncon", "unreachable"),
        (
            "a chunk past counting",
            "Transfer-Encoding: chunked",
            "fffffffffffffffff\r\n",
            "unreachable",
        ),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}").into_bytes();
        let found = raw_blob(&registry, RawAnswer::Close(answer)).await;
        assert_eq!(found, expect, "{name}");
    }
    // A compressed body is not inflated: its bytes are what is hashed.
    let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\ncontent";
    assert_eq!(raw_blob(&registry, RawAnswer::Close(gzip.to_vec())).await, "ok");
    // What HEAD says of a size bounds nothing.
    let fixture = open().await;
    let digest = fixture.server.push_image("app", "v1");
    let head = format!(
        "HTTP/1.1 200 OK\r\nDocker-Content-Digest: {digest}\r\nContent-Length: {}\r\n\r\n",
        u64::MAX
    );
    let server = RawServer::start(vec![RawAnswer::Close(head.into_bytes())]).await.unwrap();
    let repository = Repository::new(server.host(), "app");
    let found = registry.resolve(&repository, &tag("v1"), &Access::public()).await;
    assert_eq!(found.unwrap().digest.to_string(), digest);
}

#[tokio::test]
async fn media_types_are_hearsay() {
    let fixture = open().await;
    let image = fixture.server.push_image("app", "v1");
    let bytes = fixture.server.manifest("app", "v1").unwrap().bytes;
    let (repository, access) = (fixture.repository(), Access::public());
    let lie = |text: &str| Effect::Header(header::CONTENT_TYPE, text.parse().unwrap());
    for said in [media_type::INDEX, "text/html", ""] {
        fixture.server.clear_faults();
        fixture.server.fault(Fault::new("/", lie(said)));
        let found = fixture.registry.manifest(&repository, &tag("v1"), &access).await.unwrap();
        assert_eq!(found.descriptor.media_type, said, "it is passed on for what it is");
        assert!(matches!(Manifest::parse(&found.bytes), Ok(Manifest::Image { .. })), "{said}");
        let found = fixture.registry.referrers(&fixture.subject(&image)).await;
        assert_eq!(found, Ok(Vec::new()), "an index by its content: {said}");
        // An image under an index's type is no list of referrers.
        let confused = Effect::WrongBody(bytes.clone());
        fixture.server.clear_faults();
        fixture.server.fault(Fault::new("/referrers/", lie(said)).and(confused));
        let found = fixture.registry.referrers(&fixture.subject(&image)).await;
        assert_eq!(kind(found), "malformed", "{said}");
    }
}

#[tokio::test]
async fn rejects_deep_and_ambiguous_json() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"schemaVersion":2,"manifests":[],"x":{open}{close}}}"#)
    };
    let entry = format!(r#""mediaType":"a","digest":"{}","size":0"#, digest_of(b""));
    let list = |entry: &str| format!(r#"{{"schemaVersion":2,"manifests":[{{{entry}}}]}}"#);
    for (name, body, expect) in [
        ("128 levels", nested(128), "ok"),
        ("129 levels", nested(129), "malformed"),
        ("as deep as it may be long", nested(MANIFEST_BYTES_MAX as usize / 2 - 100), "malformed"),
        ("one entry", list(&entry), "ok"),
        ("two digests", list(&format!(r#"{entry},"digest":"{}""#, digest_of(b"x"))), "malformed"),
        ("an annotation", list(&format!(r#"{entry},"annotations":{{"a":"1"}}"#)), "ok"),
        ("one twice", list(&format!(r#"{entry},"annotations":{{"a":"1","a":"2"}}"#)), "malformed"),
        ("two lists", r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#.into(), "malformed"),
        ("something behind it", list(&entry) + "{}", "malformed"),
    ] {
        let fixture = open().await;
        let digest = fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/referrers/", Effect::WrongBody(body.into())));
        let found = fixture.registry.referrers(&fixture.subject(&digest)).await;
        assert_eq!(kind(found), expect, "{name}");
    }
    for (name, token, expect) in [
        ("one token", r#"{"token":"a"}"#.to_owned(), "denied"),
        ("two tokens", r#"{"token":"a","token":"b"}"#.to_owned(), "malformed"),
        ("a deep token", format!(r#"{{"token":{}"#, "[".repeat(30_000)), "malformed"),
    ] {
        let fixture = fixture(bearer(None), &[]).await;
        fixture.server.push_image("app", "v1");
        fixture.server.fault(Fault::new("/token", Effect::WrongBody(token.into())));
        assert_eq!(resolve(&fixture, &Access::public()).await, expect, "{name}");
    }
}

#[tokio::test]
async fn what_a_fallback_tag_lists_is_a_hint() {
    let options = RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
    let fixture = fixture(options, &[]).await;
    let (mine, other) =
        (fixture.server.push_image("app", "v1"), fixture.server.push_image("app", "v2"));
    let signature = fixture.server.push_referrer("app", &referrers::manifest(&other, 0));
    let stolen = fixture.server.manifest("app", &fallback_tag(&other)).unwrap();
    let tag_of_mine = fallback_tag(&mine);
    fixture.server.push_manifest("app", Some(&tag_of_mine), media_type::INDEX, stolen.bytes);
    let found = fixture.registry.referrers(&fixture.subject(&mine)).await.unwrap();
    assert_eq!(found.len(), 1, "the list is passed on");
    // Whoever counts an entry reads it, and there it says whose it is.
    let (repository, access) = (fixture.repository(), Access::public());
    let at = by_digest(&signature);
    let read = fixture.registry.manifest(&repository, &at, &access).await.unwrap();
    let Manifest::Image { subject: Some(subject), .. } = Manifest::parse(&read.bytes).unwrap()
    else {
        panic!("no subject");
    };
    assert_eq!(subject.digest.to_string(), other);
}
