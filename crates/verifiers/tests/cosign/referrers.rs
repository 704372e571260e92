//! Simple signing in manifests that refer to the image: what Cosign 2 writes for registries of
//! OCI 1.1.

use assay_core::{Digest, ReasonCode, State};
use assay_testkit::cosign::SigningKey;
use assay_testkit::cosign::bundle::{BUNDLE_TYPE, BundleReferrer};
use assay_testkit::cosign::simple::{SIGNATURE_ANNOTATION, SimpleSigning};
use serde_json::{Value, json};

use crate::world::{
    ACCEPTED, INVALID, KEY_MISMATCH, NOT_FOUND, SIMPLE_ARTIFACT_TYPE, SUBJECT_MISMATCH, World, key,
};

const TOO_MANY: State = State::Rejected(ReasonCode::TooManyCandidates);

/// Adds a referrer with a signature by each of these keys.
fn refer(world: &mut World, keys: &[&SigningKey]) -> Digest {
    let signatures: Vec<_> = keys.iter().map(|key| world.simple().sign(key).unwrap()).collect();
    let manifest = world.simple_referrer(&signatures);
    world.push_referrer_manifest(&manifest)
}

#[test]
fn accepts_a_signature_by_the_key_and_rejects_one_by_another() {
    let (mut world, key, other) = (World::new(), key(), key());
    let referrer = refer(&mut world, &[&key]);
    let outcome = world.check("signed", &[&key], ACCEPTED);
    let report = &outcome.reports[0];
    assert_eq!(report.artifact_type.as_deref(), Some(SIMPLE_ARTIFACT_TYPE));
    assert_eq!(report.reference_digest, Some(referrer));
    world.check("other key", &[&other], KEY_MISMATCH);
}

#[test]
fn counts_several_signatures_in_one_referrer_and_in_several() {
    let (one, two, three) = (key(), key(), key());
    let mut world = World::new();
    refer(&mut world, &[&one, &two]);
    refer(&mut world, &[&three]);
    let outcome = world.check("all", &[&one, &two, &three], ACCEPTED);
    assert_eq!(outcome.signers.len(), 3);
    world.check("none", &[&key()], KEY_MISMATCH);
}

/// Checks a referrer whose manifest, good in all else, was changed by `change`.
#[track_caller]
fn check_manifest(name: &str, change: impl FnOnce(&mut Value), expect: State) {
    let (mut world, key) = (World::new(), key());
    let signature = world.simple().sign(&key).unwrap();
    let mut manifest = world.simple_referrer(&[signature]);
    change(&mut manifest);
    world.push_referrer_manifest(&manifest);
    world.check(name, &[&key], expect);
}

#[test]
fn judges_a_referrer_by_its_subject_and_layers() {
    let other = Digest::sha256(b"another image");
    check_manifest("as Cosign writes it", |_| {}, ACCEPTED);
    check_manifest("another subject", |m| m["subject"]["digest"] = json!(other), INVALID);
    check_manifest("no subject", |m| m["subject"] = Value::Null, INVALID);
    check_manifest("no layer", |m| m["layers"] = json!([]), NOT_FOUND);
    check_manifest("an index", |m| *m = json!({"schemaVersion": 2, "manifests": []}), INVALID);
    check_manifest("no type of its own", |m| m["artifactType"] = Value::Null, ACCEPTED);
    check_manifest("called a bundle", |m| m["artifactType"] = json!(BUNDLE_TYPE), ACCEPTED);
    check_manifest(
        "called an SBOM",
        |m| m["artifactType"] = json!("application/spdx+json"),
        NOT_FOUND,
    );
    check_manifest("no signature", |m| m["layers"][0]["annotations"] = json!({}), NOT_FOUND);
    check_manifest(
        "another signature",
        |m| m["layers"][0]["annotations"][SIGNATURE_ANNOTATION] = json!("AAAA"),
        KEY_MISMATCH,
    );
}

#[test]
fn rejects_a_signature_of_another_image_under_a_true_subject() {
    let (mut world, key) = (World::new(), key());
    let digest = Digest::sha256(b"another image").to_string();
    let facts = SimpleSigning { digest, ..world.simple() };
    let manifest = world.simple_referrer(&[facts.sign(&key).unwrap()]);
    world.push_referrer_manifest(&manifest);
    world.check("transplanted", &[&key], SUBJECT_MISMATCH);
    refer(&mut world, &[&key]);
    world.check("beside a good one", &[&key], ACCEPTED);
}

/// Layers of a referrer are the registry's to choose, so it is signatures that are counted.
#[test]
fn looks_at_50_signatures_over_all_referrers() {
    let (key, other) = (key(), key());
    let others = [&other; 10];
    for (count, expect) in [(49, ACCEPTED), (50, TOO_MANY)] {
        let mut world = World::new();
        for index in 0..count / 10 {
            refer(&mut world, &others);
            world.list().last_mut().unwrap().size = index;
        }
        for _ in 0..count % 10 {
            world.push_referrer(&BundleReferrer::new("junk"));
        }
        // As the last that is listed, and so the last that is read.
        refer(&mut world, &[&key]);
        world.list().last_mut().unwrap().size = u64::MAX;
        world.list().iter_mut().for_each(|entry| entry.artifact_type = None);
        world.check(&format!("{count}"), &[&key], expect);
    }
    let mut world = World::new();
    refer(&mut world, &[&other; 51]);
    world.check("51 in one", &[&key], TOO_MANY);
    world.sign_simple(&key);
    world.check("and a good one at the tag", &[&key], ACCEPTED);
}
