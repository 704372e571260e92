//! Signatures at the tag `sha256-<hex>.sig`.

use assay_core::{Digest, ReasonCode, State, StoreError};
use assay_testkit::cosign::SigningKey;
use assay_testkit::cosign::simple::{SIGNATURE_ANNOTATION, SimpleSignature, SimpleSigning};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::{
    ACCEPTED, INVALID, KEY_MISMATCH, NOT_FOUND, STORE, SUBJECT_MISMATCH, World, build, key,
};

/// Checks an image with one signature over `payload`, made by the trusted key.
#[track_caller]
fn check_payload(name: &str, payload: &str, expect: State) {
    let (mut world, key) = (World::new(), key());
    let signature = key.sign(payload.as_bytes()).unwrap();
    world.push_simple(&SimpleSignature {
        payload: payload.as_bytes().to_vec(),
        signature,
        ..world.simple().sign(&key).unwrap()
    });
    world.check(name, &[&key], expect);
}

#[test]
fn accepts_a_signature_by_the_key_and_rejects_one_by_another() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.check("unsigned", &[&key], NOT_FOUND);
    world.sign_simple(&key);
    world.check("signed", &[&key], ACCEPTED);

    let outcome = world.check("other key", &[&other], KEY_MISMATCH);
    assert_eq!(outcome.message, "signed, but by no key of release-keys");
}

#[test]
fn reports_in_the_words_that_ratify_users_know() {
    let (mut world, key, other) = (World::new(), key(), key());
    world.sign_simple(&key);
    let manifest = world.manifests[&world.tag()].clone().unwrap().unwrap();
    let payload = Digest::sha256(&world.simple().payload());
    let subject = world.subject.reference();

    let good = world.check("good", &[&key], ACCEPTED);
    let expect = json!([{
        "subject": subject, "isSuccess": true, "type": "cosign",
        "message": "cosign verification success. valid signatures found",
        "extensions": {"signatures": [
            {"bundleVerified": false, "isSuccess": true, "signatureDigest": payload},
        ]},
        "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json",
        "referenceDigest": Digest::sha256(&manifest),
    }]);
    assert_eq!(serde_json::to_value(&good.reports).unwrap(), expect);

    let bad = world.check("bad", &[&other], KEY_MISMATCH);
    let report = serde_json::to_value(&bad.reports[0]).unwrap();
    let found = ["message", "reason", "errorReason", "remediation"].map(|field| &report[field]);
    assert_eq!(
        found,
        [
            "cosign verification failed: no valid signatures found",
            "KEY_MISMATCH",
            "the signature verifies by none of the keys",
            ReasonCode::KeyMismatch.remediation(),
        ]
    );
    assert_eq!(report["extensions"]["signatures"][0]["isSuccess"], false);
}

#[test]
fn rejects_a_signature_transplanted_from_another_image() {
    let (mut world, key) = (World::new(), key());
    let facts =
        SimpleSigning { digest: Digest::sha256(b"another image").to_string(), ..world.simple() };
    world.push_simple(&facts.sign(&key).unwrap());
    let outcome = world.check("transplanted", &[&key], SUBJECT_MISMATCH);
    let expect = "a signature by a key of release-keys is about another image";
    assert_eq!(outcome.message, expect);
}

#[test]
fn rejects_payloads_that_are_no_signature_of_an_image() {
    let payload = String::from_utf8(World::new().simple().payload()).unwrap();
    let digest = World::new().digest();
    let replaced = |from: &str, to: &str| {
        assert!(payload.contains(from), "{from}");
        payload.replacen(from, to, 1)
    };
    check_payload("as Cosign writes it", &payload, ACCEPTED);
    let optional = replaced("\"optional\":null", "\"optional\":{\"env\":[\"prod\"]}");
    check_payload("annotated", &optional, ACCEPTED);

    let cases = [
        ("no JSON", "sha256".to_owned()),
        ("JSON cut short", payload[..payload.len() - 1].to_owned()),
        ("bytes after the JSON", format!("{payload}{{}}")),
        (
            "another type",
            replaced("cosign container image signature", "atomic container signature"),
        ),
        ("no type", replaced(",\"type\":\"cosign container image signature\"", "")),
        ("no digest", replaced("docker-manifest-digest", "manifest-digest")),
        ("a digest that is none", replaced(&digest, "sha256:00")),
        ("a critical member that is not known", replaced("\"type\"", "\"x\":1,\"type\"")),
        ("a member that is not known", replaced("\"optional\"", "\"x\":1,\"optional\"")),
        (
            "a digest that stands twice",
            replaced(
                "{\"docker-manifest-digest\"",
                &format!("{{\"docker-manifest-digest\":\"{digest}\",\"docker-manifest-digest\""),
            ),
        ),
        ("a type that stands twice", replaced("\"type\"", "\"type\":\"x\",\"type\"")),
    ];
    for (name, payload) in &cases {
        check_payload(name, payload, INVALID);
    }
}

#[test]
fn accepts_a_good_signature_wherever_it_stands_among_bad_ones() {
    let (key, other) = (key(), key());
    for position in 0..3 {
        let mut world = World::new();
        for index in 0..3 {
            world.sign_simple(if index == position { &key } else { &other });
        }
        world.check(&format!("at {position}"), &[&key], ACCEPTED);
        world.check("nobody's", &[&crate::world::key()], KEY_MISMATCH);
        let payload = Digest::sha256(&world.simple().payload());
        // One payload under three signatures: fetched once by each of the two checks.
        assert_eq!(world.requested(&format!("blob {payload}")), 2);
    }
}

#[test]
fn names_every_key_that_signed() {
    let keys: [SigningKey; 3] = [key(), key(), key()];
    let mut world = World::new();
    world.sign_simple(&keys[0]);
    world.sign_bundle(&keys[1]);
    world.sign_simple(&keys[1]);

    let trusted = [&keys[0], &keys[1], &keys[2]];
    let outcome = world.check("two of three", &trusted, ACCEPTED);

    let expect: Vec<_> =
        keys[..2].iter().map(|key| Digest::sha256(&key.public_key_der().unwrap())).collect();
    assert_eq!(outcome.signers.len(), 2);
    assert!(outcome.signers.iter().all(|signer| expect.contains(&signer.0)));
}

#[test]
fn accepts_a_key_of_any_store_and_names_all_in_messages() {
    let (mut world, first, second) = (World::new(), key(), key());
    world.sign_simple(&second);
    let pem = |key: &SigningKey| key.public_key_pem().unwrap();
    let both = build(&[(STORE, &pem(&first)), ("vendor-keys", &pem(&second))]).unwrap();
    let outcome = world.verify_by(&*both);
    assert_eq!(outcome.state, ACCEPTED);

    let others = build(&[(STORE, &pem(&first)), ("vendor-keys", &pem(&key()))]).unwrap();
    let outcome = world.verify_by(&*others);
    assert_eq!(outcome.message, "signed, but by no key of release-keys, vendor-keys");
}

/// Checks an image whose signature layer, good in all else, was changed by `change`.
#[track_caller]
fn check_layer(name: &str, change: impl FnOnce(&mut Value), expect: State) {
    let (mut world, key) = (World::new(), key());
    let signed = world.simple().sign(&key).unwrap();
    let mut layer = world.push_blob(&signed.layer_type, &signed.payload);
    layer["annotations"] = json!({SIGNATURE_ANNOTATION: STANDARD.encode(&signed.signature)});
    change(&mut layer);
    world.push_layer(layer);
    world.check(name, &[&key], expect);
}

#[test]
fn neither_asks_for_log_entries_and_timestamps_nor_lets_them_stand_in_for_a_signature() {
    let log = |layer: &mut Value| {
        let annotations = &mut layer["annotations"];
        annotations["dev.sigstore.cosign/bundle"] = json!("{\"SignedEntryTimestamp\":\"AAAA\"}");
        annotations["dev.sigstore.cosign/rfc3161timestamp"] = json!("{}");
        // As cosign writes it where there is none.
        annotations["dev.sigstore.cosign/chain"] = json!("");
    };
    check_layer("with", log, ACCEPTED);
    check_layer(
        "with, and a signature that is none",
        |layer| {
            log(layer);
            layer["annotations"][SIGNATURE_ANNOTATION] = json!("AAAA");
        },
        KEY_MISMATCH,
    );
}

#[test]
fn rejects_layers_that_carry_no_signature() {
    check_layer("as Cosign writes it", |_| {}, ACCEPTED);
    check_layer(
        "another type",
        |layer| layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar"),
        NOT_FOUND,
    );
    check_layer("no annotation", |layer| layer["annotations"] = json!({}), NOT_FOUND);
    check_layer(
        "not base64",
        |layer| layer["annotations"][SIGNATURE_ANNOTATION] = json!("*"),
        INVALID,
    );
    check_layer(
        "empty",
        |layer| layer["annotations"][SIGNATURE_ANNOTATION] = json!(""),
        KEY_MISMATCH,
    );
}

#[test]
fn rejects_a_tag_that_holds_no_image_manifest() {
    let (mut world, key) = (World::new(), key());
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    for manifest in ["", "{}", &index] {
        let bytes = bytes::Bytes::copy_from_slice(manifest.as_bytes());
        world.manifests.insert(world.tag(), Some(Ok(bytes)));
        world.check(manifest, &[&key], INVALID);
    }
}

#[test]
fn rejects_a_payload_that_does_not_have_its_digest() {
    let (mut world, key) = (World::new(), key());
    world.sign_simple(&key);
    let expected = Digest::sha256(&world.simple().payload());
    let error = StoreError::DigestMismatch { expected: expected.clone() };
    world.blobs.insert(expected, Some(Err(error)));
    world.check("lie", &[&key], State::Rejected(ReasonCode::DigestMismatch));
    world.sign_bundle(&key);
    world.check("lie beside a good one", &[&key], ACCEPTED);
}
