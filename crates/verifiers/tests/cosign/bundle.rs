//! Signatures in Sigstore bundles that refer to the image.

use assay_core::{Digest, ReasonCode, State, StoreError};
use assay_testkit::cosign::SigningKey;
use assay_testkit::cosign::bundle::{
    BUNDLE_TYPE, Bundle, BundleReferrer, Content, Statement, VULN_PREDICATE_TYPE,
};
use serde_json::{Value, json};

use crate::world::{
    ACCEPTED, INVALID, KEY_MISMATCH, NOT_FOUND, SIGNATURE_INVALID, SUBJECT_MISMATCH, World, key,
};

const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

#[test]
fn accepts_a_bundle_by_the_key_and_rejects_one_by_another() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.sign_bundle(&key);
    let outcome = world.check("signed", &[&key], ACCEPTED);
    let report = &outcome.reports[0];
    assert_eq!(report.artifact_type.as_deref(), Some(BUNDLE_TYPE));
    assert_eq!(report.reference_digest, Some(world.list()[0].digest.clone()));

    world.check("other key", &[&other], KEY_MISMATCH);
}

/// Checks a statement that was changed by `change` before the trusted key signed it.
#[track_caller]
fn check_statement(name: &str, change: impl FnOnce(&mut Statement), expect: State) {
    let (mut world, key) = (World::new(), key());
    let mut statement = world.statement();
    change(&mut statement);
    world.push_bundle(&statement.sign(&key).unwrap());
    world.check(name, &[&key], expect);
}

#[test]
fn rejects_statements_that_are_no_signature_of_the_image() {
    let other = Digest::sha256(b"another image");
    let own = World::new().subject.digest().hex().to_owned();
    check_statement("as Cosign writes it", |_| {}, ACCEPTED);
    check_statement(
        "version 0.1",
        |s| s.statement_type = "https://in-toto.io/Statement/v0.1".to_owned(),
        ACCEPTED,
    );
    check_statement(
        "another version",
        |s| s.statement_type = "https://in-toto.io/Statement/v2".to_owned(),
        INVALID,
    );
    check_statement(
        "one subject of two",
        |s| s.subject = json!([{"digest": {"sha256": other.hex()}}, {"digest": {"sha256": own}}]),
        ACCEPTED,
    );
    check_statement(
        "transplanted",
        |s| s.subject = json!([{"digest": {"sha256": other.hex()}}]),
        SUBJECT_MISMATCH,
    );
    check_statement(
        "another algorithm",
        |s| s.subject = json!([{"digest": {"sha512": own}}]),
        SUBJECT_MISMATCH,
    );
    check_statement("no digest", |s| s.subject = json!([{"name": "x"}]), SUBJECT_MISMATCH);
    check_statement("no subject", |s| s.subject = json!([]), SUBJECT_MISMATCH);
    check_statement("subject is no list", |s| s.subject = json!({}), INVALID);
    check_statement(
        "attestation",
        |s| s.predicate_type = VULN_PREDICATE_TYPE.to_owned(),
        NOT_FOUND,
    );
    check_statement(
        "attestation about another image",
        |s| {
            s.predicate_type = VULN_PREDICATE_TYPE.to_owned();
            s.subject = json!([{"digest": {"sha256": other.hex()}}]);
        },
        NOT_FOUND,
    );
    check_statement(
        "another payload type",
        |s| s.payload_type = "application/json".to_owned(),
        INVALID,
    );
}

#[test]
fn rejects_a_subject_of_another_algorithm() {
    let (mut world, key) = (World::new(), key());
    world.subject.descriptor.digest = Digest::of(assay_core::Algorithm::Sha512, b"the image");
    // The statement names the right digits under the wrong algorithm.
    let hex = world.subject.digest().hex().to_owned();
    let mut statement = world.statement();
    statement.subject = json!([{"digest": {"sha256": hex}}]);
    world.push_bundle(&statement.sign(&key).unwrap());
    world.check("sha512", &[&key], SUBJECT_MISMATCH);
    assert_eq!(world.requested(&format!("manifest {}", world.tag())), 0);
}

/// Checks a bundle, signed by the trusted key, whose JSON was changed by `change`.
#[track_caller]
fn check_json(name: &str, change: impl FnOnce(&mut Value), expect: State) {
    let (mut world, key) = (World::new(), key());
    let bundle = world.statement().sign(&key).unwrap();
    let mut json: Value = serde_json::from_slice(&bundle.to_json()).unwrap();
    change(&mut json);
    world.push_referrer(&BundleReferrer::new(json.to_string()));
    world.check(name, &[&key], expect);
}

/// Adds what a transparency log and a timestamp authority would have said of the signature.
fn log(bundle: &mut Value) {
    let material = &mut bundle["verificationMaterial"];
    material["tlogEntries"] = json!([{
        "logIndex": "1", "logId": {"keyId": "AAAA"}, "integratedTime": "1",
        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
        "inclusionPromise": {"signedEntryTimestamp": "AAAA"}, "canonicalizedBody": "AAAA",
    }]);
    material["timestampVerificationData"] =
        json!({"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]});
}

#[test]
fn neither_asks_for_log_entries_and_timestamps_nor_lets_them_stand_in_for_a_signature() {
    check_json("without", |_| {}, ACCEPTED);
    check_json("with", log, ACCEPTED);
    check_json(
        "with, and a signature that is none",
        |b| {
            log(b);
            b["dsseEnvelope"]["signatures"][0]["sig"] = json!("AAAA");
        },
        SIGNATURE_INVALID,
    );
    check_json(
        "with, and no signature",
        |b| {
            log(b);
            b["dsseEnvelope"]["signatures"] = json!([]);
        },
        INVALID,
    );
}

#[test]
fn rejects_bundles_of_another_shape() {
    check_json("as Cosign writes it", |_| {}, ACCEPTED);
    check_json("version 0.1 inside", |b| b["mediaType"] = json!(V01), INVALID);
    check_json("null", |b| *b = Value::Null, INVALID);
    check_json("no material", |b| b["verificationMaterial"] = Value::Null, INVALID);
    check_json("no envelope", |b| b["dsseEnvelope"] = Value::Null, INVALID);
    check_json("no signature", |b| b["dsseEnvelope"]["signatures"] = json!([]), INVALID);
    check_json(
        "two signatures",
        |b| {
            let signature = b["dsseEnvelope"]["signatures"][0].clone();
            b["dsseEnvelope"]["signatures"] = json!([signature, signature]);
        },
        INVALID,
    );
    check_json(
        "a message signature beside the envelope",
        |b| b["messageSignature"] = json!({}),
        INVALID,
    );
    check_json(
        "a payload that is not base64",
        |b| b["dsseEnvelope"]["payload"] = json!("*"),
        INVALID,
    );
    check_json(
        "another payload type than was signed",
        |b| b["dsseEnvelope"]["payloadType"] = json!("application/json"),
        INVALID,
    );
    check_json(
        "a certificate beside the key",
        |b| b["verificationMaterial"]["certificate"] = json!({"rawBytes": ""}),
        KEY_MISMATCH,
    );
    check_json(
        "a certificate chain beside the key",
        |b| b["verificationMaterial"]["x509CertificateChain"] = json!({"certificates": []}),
        KEY_MISMATCH,
    );
    check_json(
        "a certificate in place of the key",
        |b| b["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}}),
        KEY_MISMATCH,
    );
    check_json("no hint", |b| b["verificationMaterial"]["publicKey"] = json!({}), ACCEPTED);
}

/// The JSON in `text` with the member at `pointer` standing twice, alike both times.
fn doubled(text: &str, pointer: &str) -> String {
    let json: Value = serde_json::from_str(text).unwrap();
    let (_, name) = pointer.rsplit_once('/').unwrap();
    let member = format!("{}:{}", json!(name), json.pointer(pointer).unwrap());
    assert!(text.contains(&member), "{pointer}");
    text.replacen(&member, &format!("{member},{member}"), 1)
}

#[test]
fn rejects_members_that_stand_twice() {
    let (mut world, key) = (World::new(), key());
    let bundle = world.statement().sign(&key).unwrap().to_json();
    let bundle = String::from_utf8(bundle).unwrap();
    for member in [
        "/mediaType",
        "/verificationMaterial",
        "/verificationMaterial/publicKey",
        "/dsseEnvelope",
        "/dsseEnvelope/payload",
        "/dsseEnvelope/payloadType",
        "/dsseEnvelope/signatures",
        "/dsseEnvelope/signatures/0/sig",
    ] {
        world.list().clear();
        world.push_referrer(&BundleReferrer::new(doubled(&bundle, member)));
        world.check(member, &[&key], INVALID);
    }
    // Likewise in the payload, although its signature is good.
    let payload = String::from_utf8(world.statement().payload()).unwrap();
    for member in ["/_type", "/predicateType", "/subject", "/subject/0/digest/sha256"] {
        world.list().clear();
        let payload = doubled(&payload, member).into_bytes();
        world.push_bundle(&signed(&world, &key, payload));
        world.check(member, &[&key], INVALID);
    }
    world.list().clear();
    world.push_bundle(&signed(&world, &key, payload.into_bytes()));
    world.check("none twice", &[&key], ACCEPTED);
}

/// A bundle whose payload is `payload`, signed by `key`.
fn signed(world: &World, key: &SigningKey, payload: Vec<u8>) -> Bundle {
    let payload_type = world.statement().payload_type;
    let message = assay_testkit::cosign::pre_authentication_encoding(&payload_type, &payload);
    let signatures = vec![key.sign(&message).unwrap()];
    Bundle {
        content: Content::Dsse { payload, payload_type, signatures },
        ..world.statement().sign(key).unwrap()
    }
}

#[test]
fn rejects_a_signature_over_a_bare_message() {
    let (mut world, key) = (World::new(), key());
    world.push_bundle(&Bundle::over_message(&key, b"the image").unwrap());
    world.check("the manifest itself", &[&key], INVALID);
}

#[test]
fn tells_a_corrupted_signature_from_a_strangers_by_the_hint() {
    let (mut world, key, other) = (World::new(), key(), key());
    let own_hint = world.statement().sign(&key).unwrap().hint;
    let stranger = world.statement().sign(&other).unwrap();
    world.push_bundle(&Bundle { hint: own_hint, ..stranger.clone() });
    let outcome = world.check("names our key", &[&key], SIGNATURE_INVALID);
    let expect = "a signature that names a key of release-keys does not verify";
    assert_eq!(outcome.message, expect);

    world.list().clear();
    world.push_bundle(&stranger);
    world.check("names its own key", &[&key], KEY_MISMATCH);
}

/// Checks a referrer, good in all else, that was changed by `change`.
#[track_caller]
fn check_referrer(name: &str, change: impl FnOnce(&mut BundleReferrer), expect: State) {
    let (mut world, key) = (World::new(), key());
    let bundle = world.statement().sign(&key).unwrap();
    let mut referrer = BundleReferrer::new(bundle.to_json());
    change(&mut referrer);
    world.push_referrer(&referrer);
    world.check(name, &[&key], expect);
}

#[test]
fn judges_a_referrer_by_its_layer_and_not_by_its_hints() {
    let empty = "application/vnd.oci.empty.v1+json";
    check_referrer("as Cosign writes it", |_| {}, ACCEPTED);
    check_referrer("empty type", |r| r.artifact_type = empty.to_owned(), ACCEPTED);
    check_referrer("no type", |r| r.artifact_type = String::new(), ACCEPTED);
    check_referrer(
        "the type of an SBOM",
        |r| r.artifact_type = "application/spdx+json".to_owned(),
        NOT_FOUND,
    );
    check_referrer("layer of version 0.1", |r| r.layer_type = V01.to_owned(), INVALID);
    check_referrer(
        "all of version 0.1",
        |r| {
            r.layer_type = V01.to_owned();
            r.artifact_type = V01.to_owned();
        },
        INVALID,
    );
    check_referrer(
        "layer of another kind",
        |r| r.layer_type = "application/spdx+json".to_owned(),
        NOT_FOUND,
    );
    check_referrer(
        "a signature that is announced as an attestation",
        |r| r.predicate_type = VULN_PREDICATE_TYPE.to_owned(),
        ACCEPTED,
    );
}

#[test]
fn does_not_take_an_attestation_for_a_signature() {
    let (mut world, key, other) = (World::new(), key(), key());
    let mut statement = world.statement();
    statement.predicate_type = VULN_PREDICATE_TYPE.to_owned();
    let bundle = statement.sign(&key).unwrap();
    let mut referrer = BundleReferrer::new(bundle.to_json());
    // Announced as a signature, but the signed payload decides.
    world.push_referrer(&referrer);
    let outcome = world.check("by our key", &[&key], NOT_FOUND);
    assert_eq!(outcome.message, "no signature by a key of release-keys");
    assert!(outcome.reports.is_empty());

    world.list().clear();
    referrer.predicate_type = VULN_PREDICATE_TYPE.to_owned();
    world.push_referrer(&referrer);
    world.check("by a stranger", &[&other], NOT_FOUND);

    world.sign_simple(&key);
    world.check("beside a signature", &[&key], ACCEPTED);
}

/// Checks a referrer whose manifest, good in all else, was changed by `change`.
#[track_caller]
fn check_manifest(name: &str, change: impl FnOnce(&mut Value), expect: State) {
    let (mut world, key) = (World::new(), key());
    let bundle = world.statement().sign(&key).unwrap();
    let mut manifest = world.referrer_manifest(&BundleReferrer::new(bundle.to_json()));
    change(&mut manifest);
    world.push_referrer_manifest(&manifest);
    world.check(name, &[&key], expect);
}

#[test]
fn rejects_listed_manifests_that_are_not_about_the_image() {
    let other = Digest::sha256(b"another image");
    check_manifest("as Cosign writes it", |_| {}, ACCEPTED);
    check_manifest("another subject", |m| m["subject"]["digest"] = json!(other), INVALID);
    check_manifest("no subject", |m| m["subject"] = Value::Null, INVALID);
    check_manifest("no layer", |m| m["layers"] = json!([]), NOT_FOUND);
    check_manifest(
        "two bundles",
        |m| m["layers"] = json!([m["layers"][0], m["layers"][0]]),
        INVALID,
    );
    check_manifest("no manifest", |m| *m = json!({}), INVALID);
}

#[test]
fn rejects_a_bundle_that_does_not_have_its_digest() {
    let (mut world, key) = (World::new(), key());
    let bundle = world.statement().sign(&key).unwrap();
    world.push_bundle(&bundle);
    let expected = Digest::sha256(&bundle.to_json());
    let error = StoreError::DigestMismatch { expected: expected.clone() };
    world.blobs.insert(expected, Some(Err(error)));
    world.check("lie", &[&key], State::Rejected(ReasonCode::DigestMismatch));
    world.sign_bundle(&key);
    world.check("lie beside a good one", &[&key], ACCEPTED);
}
