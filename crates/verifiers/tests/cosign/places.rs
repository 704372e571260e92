//! Two places with signatures: a good one in either counts, whatever the other holds or answers.

use assay_core::ports::Context;
use assay_core::{ReasonCode, State, StoreError};
use assay_testkit::cosign::bundle::BundleReferrer;

use crate::world::{
    ACCEPTED, HOST, KEY_MISMATCH, NOT_FOUND, SIGNATURE_INVALID, World, key, not_found, settle,
    timeout, verifier,
};

/// Every class of error, and the state that it makes where nothing good is found.
fn errors() -> [(StoreError, State); 8] {
    let host = || HOST.to_owned();
    [
        (not_found(), NOT_FOUND),
        (timeout(), State::Unavailable(ReasonCode::Timeout)),
        (StoreError::Throttled { host: host() }, State::Unavailable(ReasonCode::RegistryThrottled)),
        (StoreError::Overloaded { host: host() }, State::Unavailable(ReasonCode::Overloaded)),
        (
            StoreError::Unreachable { host: host(), reason: "connect" },
            State::Unavailable(ReasonCode::RegistryUnreachable),
        ),
        (
            StoreError::Denied { host: host(), status: 403 },
            State::Rejected(ReasonCode::RegistryDenied),
        ),
        (
            StoreError::Malformed { host: host(), reason: "no JSON" },
            State::Rejected(ReasonCode::EvidenceInvalid),
        ),
        (
            StoreError::TooMany { what: "referrers", limit: 1000 },
            State::Rejected(ReasonCode::TooManyCandidates),
        ),
    ]
}

#[test]
fn turns_each_error_of_a_place_into_its_state_but_never_hides_the_other() {
    for (error, expect) in errors() {
        let name = error.to_string();
        let key = key();
        let mut world = World::new();
        world.referrers = Some(Err(error.clone()));
        world.check(&name, &[&key], expect);
        world.sign_simple(&key);
        world.check(&name, &[&key], ACCEPTED);

        let mut world = World::new();
        world.manifests.insert(world.tag(), Some(Err(error)));
        world.check(&name, &[&key], expect);
        world.sign_bundle(&key);
        world.check(&name, &[&key], ACCEPTED);
    }
}

#[test]
fn turns_each_error_of_a_candidate_into_its_state_but_never_hides_another() {
    for (error, expect) in errors() {
        let name = error.to_string();
        let key = key();
        for fails in ["manifest", "blob", "payload"] {
            let mut world = World::new();
            let bundle = world.statement().sign(&key).unwrap().to_json();
            let payload = world.simple().payload();
            let answer = Some(Err(error.clone()));
            match fails {
                "manifest" => {
                    let digest = world.push_referrer(&BundleReferrer::new(bundle));
                    world.manifests.insert(digest.to_string(), answer);
                }
                "blob" => {
                    world.push_referrer(&BundleReferrer::new(bundle.clone()));
                    world.blobs.insert(assay_core::Digest::sha256(&bundle), answer);
                }
                _ => {
                    world.sign_simple(&key);
                    world.blobs.insert(assay_core::Digest::sha256(&payload), answer);
                }
            }
            world.check(&format!("{fails}: {name}"), &[&key], expect);
            world.sign_bundle(&key);
            world.check(&format!("{fails}, then good: {name}"), &[&key], ACCEPTED);
        }
    }
}

#[test]
fn is_undecided_where_the_unread_might_have_been_good() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.sign_simple(&other);
    world.check("read", &[&key], KEY_MISMATCH);
    world.referrers = Some(Err(timeout()));
    let expect = State::Unavailable(ReasonCode::Timeout);
    let outcome = world.check("unread", &[&key], expect);
    assert_eq!(
        outcome.message,
        "no good signature by a key of release-keys found: registry.example did not answer in time"
    );
}

#[test]
fn is_not_remembered_where_the_unread_might_have_another_signer() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.sign_simple(&key);
    world.referrers = Some(Err(timeout()));
    assert_eq!(world.check("every key has signed", &[&key], ACCEPTED).valid_until, None);
    let outcome = world.check("one key has not", &[&key, &other], ACCEPTED);
    assert_eq!(outcome.valid_until, Some(world.now()));
    world.referrers = Some(Err(not_found()));
    assert_eq!(world.check("all was read", &[&key, &other], ACCEPTED).valid_until, None);
}

#[test]
fn accepts_a_good_signature_beside_a_bad_one_in_either_place() {
    let (key, other) = (key(), key());
    let mut world = World::new();
    world.sign_simple(&other);
    world.sign_bundle(&key);
    world.check("good bundle", &[&key], ACCEPTED);

    let mut world = World::new();
    world.sign_simple(&key);
    world.sign_bundle(&other);
    world.check("good tag", &[&key], ACCEPTED);

    let mut world = World::new();
    world.sign_bundle(&other);
    world.sign_bundle(&key);
    world.sign_bundle(&other);
    world.check("good bundle among bad ones", &[&key], ACCEPTED);
    world.check("none good", &[&crate::world::key()], KEY_MISMATCH);
}

#[test]
fn names_the_most_telling_flaw_in_any_order() {
    let (key, other) = (key(), key());
    let junk = |world: &mut World| world.push_referrer(&BundleReferrer::new("{}"));
    let corrupted = |world: &mut World| {
        let hint = world.statement().sign(&key).unwrap().hint;
        let stranger = world.statement().sign(&other).unwrap();
        world.push_bundle(&assay_testkit::cosign::bundle::Bundle { hint, ..stranger });
    };
    let mut world = World::new();
    junk(&mut world);
    world.sign_bundle(&other);
    world.check("junk, stranger", &[&key], KEY_MISMATCH);
    corrupted(&mut world);
    world.check("junk, stranger, corrupted", &[&key], SIGNATURE_INVALID);
    world.list().reverse();
    world.check("corrupted, stranger, junk", &[&key], SIGNATURE_INVALID);
}

#[test]
fn asks_both_places_at_once() {
    let mut world = World::new();
    world.referrers = None;
    world.manifests.insert(world.tag(), None);
    assert!(settle(verifier(&[&key()]).verify(&world.subject, &world)).is_none());
    let tag = format!("manifest {}", world.tag());
    assert_eq!((world.requested(&tag), world.requested("referrers")), (1, 1));
}

#[test]
fn accepts_without_waiting_for_the_other_place() {
    let key = key();
    let mut world = World::new();
    world.sign_simple(&key);
    world.referrers = None;
    world.check("referrers never answer", &[&key], ACCEPTED);

    let mut world = World::new();
    world.sign_bundle(&key);
    world.manifests.insert(world.tag(), None);
    world.check("the tag never answers", &[&key], ACCEPTED);
}
