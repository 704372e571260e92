//! What is looked at: each distinct image once, and nothing that no verdict needs.

use std::sync::Arc;

use assay_core::ReasonCode::{
    self, ImageNotFound, MatchError, RegistryUnreachable, SignatureNotFound, TagNotProven,
};
use assay_core::ports::Selector;
use assay_core::{Digest, Outcome, State, StoreError};
use assay_policy::{
    CacheUse, Decision, LabelSelector, Match, Policy, PolicyId, RuleBody, Snapshot,
};

use crate::fakes::{FakeVerifier, descriptor, digest_of};
use crate::world::{IMAGE, World, assert_admitted, assert_denied, codes, policy, require, rule};

#[tokio::test(start_paused = true)]
async fn looks_at_each_distinct_image_once() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    let other = "registry.example/db:v1";
    let verdict = world.judge(&[IMAGE, other, IMAGE, IMAGE]).await;

    assert_admitted(&verdict, CacheUse::Miss);
    assert_eq!((world.resolves(), verifier.runs()), (2, 2));
    assert_eq!(verdict.images.len(), 2);
}

/// What has more than 20 images is planned elsewhere, and judged alike.
#[tokio::test(start_paused = true)]
async fn judges_many_images_as_few() {
    for count in [20, 21, 100] {
        let verifier = FakeVerifier::new("a");
        let world = World::asking(&verifier);
        let images: Vec<String> =
            (0..count).map(|index| format!("registry.example/app:v{index}")).collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let verdict = world.judge(&images).await;

        assert_admitted(&verdict, CacheUse::Miss);
        assert_eq!((verdict.images.len(), verifier.runs()), (count, count));
        verifier.finds(|_| Outcome::new(State::Missing(SignatureNotFound), "none"));
        let unsigned = [&images[1..], &["registry.example/app:unsigned"]].concat();
        assert_denied(&world.judge(&unsigned).await, &[SignatureNotFound]);
    }
}

#[tokio::test(start_paused = true)]
async fn verifies_two_tags_of_one_digest_once() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    world.store.resolves(|_, _, _| Ok(descriptor(digest_of("same"))));
    let verdict = world.judge(&["registry.example/app:v1", "registry.example/app:v2"]).await;

    assert_admitted(&verdict, CacheUse::Miss);
    assert_eq!((world.resolves(), verifier.runs()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn verifies_once_for_policies_of_one_fingerprint() {
    let (first, same, other) =
        (FakeVerifier::new("a"), FakeVerifier::new("a"), FakeVerifier::new("b"));
    let world = World::new([
        policy("one", [require([first.clone() as _])]),
        policy("same", [require([same.clone() as _])]),
        policy("other", [require([other.clone() as _])]),
    ]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    assert_eq!((first.runs() + same.runs(), other.runs()), (1, 1));
    assert_eq!(world.resolves(), 1);
}

#[tokio::test(start_paused = true)]
async fn verifies_the_digest_that_the_tag_points_at() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    let verdict = world.judge(&[IMAGE]).await;

    let digest = digest_of("v1");
    assert_eq!(verdict.images[0].digest.as_ref(), Some(&digest));
    assert_eq!(verifier.log.lines(), [format!("registry.example/app@{digest} as public")]);
}

/// What an image costs under a rule that needs no evidence.
async fn check_costs_nothing(body: RuleBody, is_admitted: bool) {
    let world = World::new([policy("one", [rule("**", body)])]);
    let verdict = world.judge(&[IMAGE]).await;
    assert_eq!(verdict.is_admitted(), is_admitted);
    assert_eq!((world.resolves(), verdict.cache), (0, CacheUse::None));
}

#[tokio::test(start_paused = true)]
async fn asks_nothing_where_no_evidence_is_needed() {
    check_costs_nothing(RuleBody::Allow, true).await;
    check_costs_nothing(RuleBody::Deny("no".to_owned()), false).await;
}

#[tokio::test(start_paused = true)]
async fn judges_images_apart() {
    let verifier = FakeVerifier::new("a");
    verifier.finds(|subject| match subject.repository.path() {
        "bad" => Outcome::new(State::Missing(SignatureNotFound), ""),
        _ => Outcome::new(State::Accepted, ""),
    });
    let world = World::asking(&verifier);
    let verdict = world.judge(&["registry.example/good", "registry.example/bad"]).await;
    assert_denied(&verdict, &[SignatureNotFound]);
    assert!(verdict.images[0].is_success() && !verdict.images[1].is_success());
}

#[tokio::test(start_paused = true)]
async fn rejects_image_that_is_not_there() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    world.store.resolves(|_, _, _| Err(not_found()));
    assert_denied(&world.judge(&[IMAGE]).await, &[ImageNotFound]);
    assert_eq!(verifier.runs(), 0);
}

fn not_found() -> StoreError {
    StoreError::NotFound { host: "registry.example".to_owned() }
}

/// An image by digest and tag, under a rule on the tag, where the tag resolves to `tagged`.
async fn check_tag_proof(
    tagged: Result<Digest, StoreError>,
    expect: Result<(), (Decision, ReasonCode)>,
) {
    let world = World::new([policy("one", [rule(IMAGE, RuleBody::Allow)])]);
    world.store.resolves(move |_, at, _| match at {
        Selector::Digest(digest) => Ok(descriptor(digest.clone())),
        Selector::Tag(tag) => {
            assert_eq!(tag, "v1");
            tagged.clone().map(descriptor)
        }
    });
    let verdict = world.judge(&[&format!("{IMAGE}@{}", digest_of("v1"))]).await;
    match expect {
        Ok(()) => assert!(verdict.is_admitted(), "{verdict:#?}"),
        Err((decision, code)) => {
            assert_eq!((&verdict.decision, codes(&verdict)), (&decision, vec![code]));
        }
    }
    assert_eq!(world.resolves(), 2);
}

#[tokio::test(start_paused = true)]
async fn proves_that_the_tag_points_at_the_digest() {
    let host = "registry.example".to_owned();
    let unreachable = StoreError::Unreachable { host, reason: "no connection" };
    let unproven = || Err((Decision::Deny, TagNotProven));
    check_tag_proof(Ok(digest_of("v1")), Ok(())).await;
    check_tag_proof(Ok(digest_of("v2")), unproven()).await;
    check_tag_proof(Err(not_found()), unproven()).await;
    check_tag_proof(Err(unreachable), Err((Decision::Undecided, RegistryUnreachable))).await;
}

/// A policy that denies every image in namespaces labelled `env: prod`.
fn in_production() -> Policy {
    let labels = [("env".to_owned(), "prod".to_owned())].into();
    Policy {
        matcher: Ok(Match {
            namespace_selector: Some(LabelSelector::new(labels, Vec::new()).unwrap()),
            ..Match::default()
        }),
        ..policy("production", [rule("**", RuleBody::Deny("no".to_owned()))])
    }
}

#[tokio::test(start_paused = true)]
async fn asks_for_labels_where_a_policy_needs_them() {
    let cases = [
        (Some("prod"), vec![ReasonCode::ImageDenied]),
        (Some("dev"), vec![]),
        (None, vec![MatchError]),
    ];
    for (env, expect) in cases {
        let world = World::new([in_production()]);
        *world.namespaces.env.lock().unwrap() = env;
        let verdict = world.judge(&[IMAGE]).await;
        assert_eq!(codes(&verdict), expect, "{env:?}");
        assert_eq!(verdict.is_admitted(), expect.is_empty(), "{env:?}");
        assert_eq!(world.namespaces.log.lines(), ["team-a"], "{env:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn asks_for_no_labels_where_no_policy_needs_them() {
    let world = World::asking(&FakeVerifier::new("a"));
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);

    let elsewhere = Policy {
        id: PolicyId { namespace: Some("team-b".to_owned()), name: "other".to_owned() },
        ..in_production()
    };
    let other = World::new([elsewhere]);
    assert_admitted(&other.judge(&[IMAGE]).await, CacheUse::None);
    for world in [world, other] {
        assert_eq!(world.namespaces.log.lines(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn denies_where_labels_do_not_come_in_time() {
    let world = World::new([in_production()]);
    *world.namespaces.env.lock().unwrap() = Some("dev");
    world.namespaces.gate.shut();
    assert_denied(&world.judge(&[IMAGE]).await, &[MatchError]);
}

#[tokio::test(start_paused = true)]
async fn judges_by_the_snapshot_in_force() {
    let (old, new) = (FakeVerifier::new("old"), FakeVerifier::new("new"));
    new.finds(|_| Outcome::new(State::Missing(SignatureNotFound), ""));
    let snapshot = |verifier: &Arc<FakeVerifier>| Snapshot {
        policies: vec![Arc::new(policy("one", [require([verifier.clone() as _])]))].into(),
        ..Default::default()
    };
    let world = World::new([]);
    world.snapshots.store(Arc::new(snapshot(&old)));
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);

    world.snapshots.store(Arc::new(snapshot(&new)));
    assert_denied(&world.judge(&[IMAGE]).await, &[SignatureNotFound]);
}
