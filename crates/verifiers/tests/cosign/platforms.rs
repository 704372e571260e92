//! Indexes of which every manifest must be signed.

use std::sync::Arc;

use assay_core::ports::Verifier;
use assay_core::{Digest, Outcome, Platforms, ReasonCode, State};
use assay_testkit::cosign::SigningKey;
use assay_testkit::media_type;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::world::{
    ACCEPTED, INVALID, KEY_MISMATCH, NOT_FOUND, World, key, timeout, verifier, verifier_with,
};

const TOO_MANY: State = State::Rejected(ReasonCode::TooManyCandidates);

fn all(keys: &[&SigningKey]) -> Arc<dyn Verifier> {
    verifier_with(keys, |config| config.platforms = Platforms::All)
}

fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

/// The entry of an index for the manifest of this name.
fn entry(name: &str) -> Value {
    json!({
        "mediaType": media_type::MANIFEST, "digest": digest(name), "size": 1,
        "platform": {"os": "linux", "architecture": name},
    })
}

fn attestation(name: &str) -> Value {
    let mut entry = entry(name);
    entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    entry["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    entry
}

/// An index of these entries.
fn index(entries: &[Value]) -> World {
    let mut world = World::new();
    world.become_index(&json!(entries));
    world
}

#[track_caller]
fn check(name: &str, world: &World, verifier: &dyn Verifier, expect: State) -> Outcome {
    let outcome = world.verify_by(verifier);
    assert_eq!(outcome.state, expect, "{name}: {}", outcome.message);
    assert_eq!(!outcome.signers.is_empty(), expect == ACCEPTED, "{name}: signers");
    outcome
}

#[test]
fn asks_for_each_manifest_where_the_policy_does() {
    let key = key();
    let mut world = index(&[entry("amd64"), entry("arm64")]);
    check("nothing signed", &world, &*all(&[&key]), NOT_FOUND);
    world.sign_bundle(&key);
    check("index, where that is enough", &world, &*verifier(&[&key]), ACCEPTED);
    let outcome = check("index alone", &world, &*all(&[&key]), NOT_FOUND);
    let expect = format!("{} of the index: no signature by a key of release-keys", digest("amd64"));
    assert_eq!(outcome.message, expect);

    world.about(&digest("amd64"), |world| world.sign_simple(&key));
    let outcome = check("one of two", &world, &*all(&[&key]), NOT_FOUND);
    assert!(outcome.message.starts_with(&digest("arm64").to_string()), "{}", outcome.message);
    world.about(&digest("arm64"), |world| world.sign_bundle(&crate::world::key()));
    check("the other by a stranger", &world, &*all(&[&key]), KEY_MISMATCH);
    world.about(&digest("arm64"), |world| world.sign_bundle(&key));
    check("all", &world, &*all(&[&key]), ACCEPTED);

    let mut world = index(&[entry("amd64")]);
    world.about(&digest("amd64"), |world| world.sign_bundle(&key));
    check("all but the index", &world, &*all(&[&key]), NOT_FOUND);
}

#[test]
fn does_not_take_the_signature_of_the_index_for_that_of_a_manifest() {
    let key = key();
    let mut world = index(&[entry("amd64")]);
    world.sign_simple(&key);
    let copied = world.simple();
    world.about(&digest("amd64"), |world| world.push_simple(&copied.sign(&key).unwrap()));
    let mismatch = State::Rejected(ReasonCode::SubjectMismatch);
    check("copied", &world, &*all(&[&key]), mismatch);
}

#[test]
fn counts_the_keys_that_signed_everything() {
    let (one, two, three) = (key(), key(), key());
    let mut world = index(&[entry("amd64"), entry("arm64")]);
    for key in [&one, &two, &three] {
        world.sign_simple(key);
    }
    world.about(&digest("amd64"), |world| {
        [&one, &two].into_iter().for_each(|key| world.sign_bundle(key))
    });
    world.about(&digest("arm64"), |world| {
        [&two, &three].into_iter().for_each(|key| world.sign_simple(key))
    });
    let outcome = check("one of three", &world, &*all(&[&one, &two, &three]), ACCEPTED);
    let signer = Digest::sha256(&two.public_key_der().unwrap());
    assert_eq!(outcome.signers.iter().map(|id| &id.0).collect::<Vec<_>>(), [&signer]);
    assert!(outcome.reports.len() > 3);

    let outcome = check("no one", &world, &*all(&[&one, &three]), KEY_MISMATCH);
    let expect = "no one key of release-keys has signed the index and all of its manifests";
    assert_eq!(outcome.message, expect);
    // The key that is missing might have signed what could not be read.
    let others = world.referrers_of_others.get_mut(&digest("amd64")).unwrap();
    *others = Some(Err(timeout()));
    let expect = State::Unavailable(ReasonCode::Timeout);
    world.about(&digest("amd64"), |world| world.sign_simple(&one));
    check("no one as far as is known", &world, &*all(&[&one, &three]), expect);
}

#[test]
fn is_not_remembered_where_a_manifest_might_have_another_signer() {
    let (one, two) = (key(), key());
    let mut world = index(&[entry("amd64")]);
    for key in [&one, &two] {
        world.sign_simple(key);
    }
    world.about(&digest("amd64"), |world| world.sign_simple(&one));
    let verifier = all(&[&one, &two]);
    assert_eq!(check("all read", &world, &*verifier, ACCEPTED).valid_until, None);
    world.referrers_of_others.insert(digest("amd64"), Some(Err(timeout())));
    assert_eq!(check("not all", &world, &*verifier, ACCEPTED).valid_until, Some(world.now));
}

#[test]
fn is_decided_by_what_is_missing_before_what_could_not_be_read() {
    let key = key();
    let mut world = index(&[entry("amd64"), entry("arm64")]);
    world.sign_simple(&key);
    world.referrers_of_others.insert(digest("amd64"), Some(Err(timeout())));
    check("one unread, one missing", &world, &*all(&[&key]), NOT_FOUND);
    world.about(&digest("arm64"), |world| world.sign_simple(&key));
    let expect = State::Unavailable(ReasonCode::Timeout);
    check("one unread", &world, &*all(&[&key]), expect);
}

#[test]
fn leaves_out_attestation_manifests_that_say_so_twice() {
    let key = key();
    let mut unannotated = attestation("unannotated");
    unannotated["annotations"] = json!({});
    let mut for_a_platform = attestation("for-a-platform");
    for_a_platform["platform"] = json!({"os": "linux", "architecture": "unknown"});
    let mut platformless = attestation("platformless");
    platformless["platform"] = Value::Null;
    for (name, other, expect) in [
        ("attestation", attestation("attestation"), ACCEPTED),
        ("unannotated", unannotated, NOT_FOUND),
        ("for-a-platform", for_a_platform, NOT_FOUND),
        ("platformless", platformless, NOT_FOUND),
    ] {
        let mut world = index(&[entry("amd64"), other]);
        world.sign_bundle(&key);
        world.about(&digest("amd64"), |world| world.sign_bundle(&key));
        check(name, &world, &*all(&[&key]), expect);
        world.about(&digest(name), |world| world.sign_bundle(&key));
        check(&format!("{name}, signed"), &world, &*all(&[&key]), ACCEPTED);
    }
}

#[test]
fn asks_no_more_of_a_manifest_than_of_itself() {
    let key = key();
    let mut world = World::new();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": {"mediaType": media_type::CONFIG, "digest": digest("c"), "size": 1}, "layers": [],
    });
    let bytes = Bytes::from(manifest.to_string());
    world.subject.descriptor.digest = Digest::sha256(&bytes);
    world.manifests.insert(world.digest(), Some(Ok(bytes)));
    check("unsigned", &world, &*all(&[&key]), NOT_FOUND);
    world.sign_bundle(&key);
    check("signed", &world, &*all(&[&key]), ACCEPTED);
    // What the registry calls an index decides nothing.
    world.subject.descriptor.media_type = media_type::INDEX.to_owned();
    check("called an index", &world, &*all(&[&key]), ACCEPTED);

    let mut world = index(&[entry("amd64")]);
    world.subject.descriptor.media_type = media_type::MANIFEST.to_owned();
    world.sign_bundle(&key);
    check("an index, called a manifest", &world, &*all(&[&key]), NOT_FOUND);
}

#[test]
fn rejects_what_is_no_index_that_it_can_judge() {
    let key = key();
    let mut nested = entry("amd64");
    nested["mediaType"] = json!(media_type::INDEX);
    let mut world = index(&[nested]);
    world.sign_bundle(&key);
    world.about(&digest("amd64"), |world| world.sign_bundle(&key));
    check("an index within the index", &world, &*all(&[&key]), INVALID);

    let mut world = index(&[entry("amd64")]);
    world.manifests.insert(world.digest(), Some(Ok(Bytes::from_static(b"{}"))));
    world.sign_bundle(&key);
    check("no manifest", &world, &*all(&[&key]), INVALID);
    world.manifests.insert(world.digest(), Some(Err(timeout())));
    check("unread", &world, &*all(&[&key]), State::Unavailable(ReasonCode::Timeout));
}

#[test]
fn looks_at_32_manifests_and_no_more() {
    let key = key();
    for (count, expect) in [(32, ACCEPTED), (33, TOO_MANY)] {
        let names: Vec<String> = (0..count).map(|index| format!("platform{index}")).collect();
        let mut entries: Vec<Value> = names.iter().map(|name| entry(name)).collect();
        // Neither repeated entries nor attestations count.
        entries.extend([entries[0].clone(), attestation("attestation")]);
        let mut world = index(&entries);
        world.sign_simple(&key);
        for name in &names {
            world.about(&digest(name), |world| world.sign_simple(&key));
        }
        check(&format!("{count}"), &world, &*all(&[&key]), expect);
    }
}
