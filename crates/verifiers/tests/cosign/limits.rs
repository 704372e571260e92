//! Bounds on what is read, each at the bound and one past it.

use assay_core::{Digest, ReasonCode, State};
use assay_testkit::cosign::bundle::{BUNDLE_TYPE, BundleReferrer, SIGN_PREDICATE_TYPE};
use assay_testkit::cosign::{KeyKind, SigningKey};

use crate::world::{ACCEPTED, KEY_MISMATCH, World, key};

const TOO_MANY: State = State::Rejected(ReasonCode::TooManyCandidates);
const TOO_LARGE: State = State::Rejected(ReasonCode::EvidenceTooLarge);
const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Signatures at the tag by `other`, and one by `key` as the last of `count`.
fn signed_at_the_tag(count: usize, key: &SigningKey, other: &SigningKey) -> World {
    let mut world = World::new();
    for _ in 1..count {
        world.sign_simple(other);
    }
    world.sign_simple(key);
    world
}

/// Bundles by `other`, and one by `key` as the last of `count` in size and position.
fn signed_by_bundles(count: usize, key: &SigningKey, other: &SigningKey) -> World {
    let mut world = World::new();
    for _ in 1..count {
        world.sign_bundle(other);
    }
    world.sign_bundle(key);
    world.list().last_mut().unwrap().size = u64::MAX;
    world
}

#[test]
fn looks_at_50_candidates_of_a_place_and_says_when_there_are_more() {
    let (key, other, third) = (key(), key(), key());
    for signed in [signed_at_the_tag, signed_by_bundles] {
        let world = signed(50, &key, &other);
        world.check("good, the 50th", &[&key], ACCEPTED);
        world.check("50 and none good", &[&third], KEY_MISMATCH);
        let mut world = signed(51, &key, &other);
        world.check("good, the 51st", &[&key], TOO_MANY);
        world.check("good among the first", &[&other], ACCEPTED);
        world.check("51 and none good", &[&third], TOO_MANY);
        // What could not be read might have been the good one.
        world.referrers = Some(Err(crate::world::timeout()));
        let state = world.verify(&[&third]).state;
        assert_eq!(state, State::Unavailable(ReasonCode::Timeout));
    }
}

#[test]
fn gives_each_place_50_of_its_own() {
    let (key, other) = (key(), key());
    let mut world = signed_at_the_tag(50, &other, &other);
    world.sign_bundle(&other);
    world.check("none good", &[&key], KEY_MISMATCH);
    world.sign_bundle(&key);
    world.check("good bundle", &[&key], ACCEPTED);

    let mut world = signed_by_bundles(50, &other, &other);
    world.sign_simple(&other);
    world.check("none good", &[&key], KEY_MISMATCH);
    world.sign_simple(&key);
    world.check("good at the tag", &[&key], ACCEPTED);
}

#[test]
fn reads_the_likeliest_first_so_that_junk_does_not_hide_a_good_one() {
    let key = key();
    for likeliest in ["type", "annotation", "size"] {
        let mut world = World::new();
        world.sign_bundle(&key);
        let good = world.list().remove(0);
        for index in 0..60 {
            world.push_referrer(&BundleReferrer::new(format!("junk {index:1000}")));
        }
        for junk in world.list() {
            match likeliest {
                "type" => (junk.artifact_type, junk.size) = (None, 0),
                "annotation" => {
                    junk.annotations.insert("dev.sigstore.bundle.predicateType".into(), "x".into());
                    junk.size = 0;
                }
                _ => junk.size = good.size + 1,
            }
        }
        world.list().push(good);
        world.check(likeliest, &[&key], ACCEPTED);
    }
}

#[test]
fn prefers_what_is_announced_as_a_signature() {
    let key = key();
    let mut world = World::new();
    world.sign_bundle(&key);
    let mut good = world.list().remove(0);
    for index in 0..50 {
        world.push_referrer(&BundleReferrer::new(format!("{index}")));
    }
    world.list().push(good.clone());
    world.list().iter_mut().for_each(|entry| entry.size = 1);
    world.check("not announced", &[&key], TOO_MANY);

    good.annotations.insert("dev.sigstore.bundle.predicateType".into(), SIGN_PREDICATE_TYPE.into());
    *world.list().last_mut().unwrap() = good;
    world.check("announced", &[&key], ACCEPTED);
}

#[test]
fn does_not_read_evidence_of_other_kinds_nor_one_referrer_twice() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.sign_bundle(&other);
    let repeated = world.list()[0].clone();
    world.list().extend(vec![repeated.clone(); 100]);
    for index in 0..100 {
        let mut sbom = BundleReferrer::new(format!("sbom {index}"));
        sbom.artifact_type = "application/spdx+json".to_owned();
        world.push_referrer(&sbom);
    }
    world.check("no good one", &[&key], KEY_MISMATCH);
    assert_eq!(world.requested(&format!("manifest {}", repeated.digest)), 1);
    // The tag, the list, one manifest, one bundle.
    assert_eq!(world.requests.lock().unwrap().len(), 4);
    world.sign_bundle(&key);
    world.check("a good one", &[&key], ACCEPTED);
}

#[test]
fn reads_4_mib_of_a_bundle_and_no_more() {
    for (bytes, expect) in [(ENVELOPE_BYTES_MAX, ACCEPTED), (ENVELOPE_BYTES_MAX + 1, TOO_LARGE)] {
        let (mut world, key) = (World::new(), key());
        let mut bundle = world.statement().sign(&key).unwrap().to_json();
        bundle.resize(bytes, b' ');
        world.push_referrer(&BundleReferrer::new(bundle));
        world.check(&format!("{bytes} bytes"), &[&key], expect);
        world.sign_simple(&key);
        world.check("beside a small one", &[&key], ACCEPTED);
    }
}

#[test]
fn reads_4_mib_of_a_payload_and_no_more() {
    for (bytes, expect) in [(ENVELOPE_BYTES_MAX, ACCEPTED), (ENVELOPE_BYTES_MAX + 1, TOO_LARGE)] {
        let (mut world, key) = (World::new(), key());
        let mut signature = world.simple().sign(&key).unwrap();
        signature.payload.resize(bytes, b' ');
        signature.signature = key.sign(&signature.payload).unwrap();
        world.push_simple(&signature);
        world.check(&format!("{bytes} bytes"), &[&key], expect);
    }
}

/// A pre-hashed message is hashed once; a pure one anew by each key and signature, and so only while
/// it is short.
#[test]
fn looks_for_a_pure_ed25519_signature_over_64_kib_and_no_more() {
    const PURE_MESSAGE_BYTES_MAX: usize = 64 * 1024;
    for (kind, bytes, expect) in [
        (KeyKind::Ed25519, PURE_MESSAGE_BYTES_MAX, ACCEPTED),
        (KeyKind::Ed25519, PURE_MESSAGE_BYTES_MAX + 1, KEY_MISMATCH),
        (KeyKind::Ed25519ph, PURE_MESSAGE_BYTES_MAX + 1, ACCEPTED),
    ] {
        let (mut world, key) = (World::new(), SigningKey::of(kind).unwrap());
        let mut signature = world.simple().sign(&key).unwrap();
        signature.payload.resize(bytes, b' ');
        signature.signature = key.sign(&signature.payload).unwrap();
        world.push_simple(&signature);
        world.check(&format!("{kind:?}, {bytes} bytes"), &[&key], expect);
    }
}

#[test]
fn reads_8_candidates_of_a_place_at_a_time_and_stops_when_it_has_enough() {
    let (key, other) = (key(), key());
    let mut world = signed_by_bundles(50, &other, &other);
    for answer in world.manifests.values_mut() {
        *answer = None;
    }
    let verifier = crate::world::verifier(&[&key]);
    assert!(crate::world::settle(verifier.verify(&world.subject, &world)).is_none());
    // The tag, the list, and eight manifests that never come.
    assert_eq!(world.requests.lock().unwrap().len(), 2 + 8);

    let mut world = signed_by_bundles(50, &other, &other);
    world.sign_bundle(&key);
    let good = world.list().last_mut().unwrap();
    (good.size, good.artifact_type) = (0, Some(BUNDLE_TYPE.to_owned()));
    world.check("good, the first", &[&key], ACCEPTED);
    let requests = world.requests.lock().unwrap().len();
    assert!(requests <= 2 + 2 * 8 + 8, "{requests}");
}

#[test]
fn reports_ten_signatures_the_good_one_among_them() {
    let (key, other, third) = (key(), key(), key());
    for (count, expect) in [(9, 10), (10, 10), (12, 10)] {
        let world = signed_at_the_tag(count + 1, &key, &other);
        // A third key that has not signed keeps the search going to the end.
        let outcome = world.check("reports", &[&key, &third], ACCEPTED);
        assert_eq!(outcome.reports.len(), expect, "{count}");
        assert!(outcome.reports[0].is_success);
    }
    let world = signed_at_the_tag(9, &key, &other);
    assert_eq!(world.verify(&[&third]).reports.len(), 9);
}

#[test]
fn repeats_nothing_that_the_registry_or_a_signer_wrote() {
    let key = key();
    let mut world = World::new();
    let mut referrer = BundleReferrer::new("{\"mediaType\": \"<hostile>\"}");
    referrer.layer_type = "application/vnd.dev.sigstore.bundle<hostile>".to_owned();
    world.push_referrer(&referrer);
    world.push_referrer(&BundleReferrer::new("{\"mediaType\": \"<hostile>\"}"));
    let mut facts = world.simple();
    facts.critical_type = "<hostile>".to_owned();
    world.push_simple(&facts.sign(&key).unwrap());
    let expected = Digest::sha256(b"x");
    world.push_layer(serde_json::json!({
        "mediaType": "<hostile>", "digest": expected, "size": 1,
    }));
    let outcome = world.check("hostile", &[&key], State::Rejected(ReasonCode::EvidenceInvalid));
    assert!(outcome.reports.len() >= 3);
    let text = format!("{outcome:?}");
    assert!(!text.contains("hostile"), "{text}");
}
