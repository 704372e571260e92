//! What cosign and OpenSSL wrote: see the `README.md` of each folder of `tests/data`.

use assay_core::{HashAlgorithm, State, Validity};
use assay_testkit::cosign::simple::{LAYER_TYPE, SimpleSignature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::{KINDS, data, image, image_of, public_key, push_referrers, push_tag, text};
use crate::world::{
    ACCEPTED, ANNOTATION_MISMATCH, KEY_MISMATCH, NOT_FOUND, STORE, SUBJECT_MISMATCH, World, build,
    build_with,
};

/// Checks that `kind` has signed the image by what `push` adds, and nobody else, nor another image.
#[track_caller]
fn check(kind: &str, push: impl Fn(&mut World)) {
    let verifier = |kind: &str| build(&[(STORE, &public_key(kind))]).unwrap();
    let mut world = image();
    world.check_by(kind, &*verifier(kind), NOT_FOUND);
    push(&mut world);
    world.check_by(kind, &*verifier(kind), ACCEPTED);
    for other in KINDS.into_iter().filter(|other| *other != kind) {
        world.check_by(&format!("{kind} for {other}"), &*verifier(other), KEY_MISMATCH);
    }
    let mut other = image_of(b"another image");
    push(&mut other);
    // What is listed for the other image is about the first one.
    other.manifests.extend(world.manifests.get(&world.tag()).map(|it| (other.tag(), it.clone())));
    let state = other.verify_by(&*verifier(kind)).state;
    assert!(state != ACCEPTED && matches!(state, State::Rejected(_)), "{kind}: {state:?}");
}

#[test]
fn accepts_what_cosign_signed_with_each_kind_of_key_in_each_form_and_nothing_else() {
    for kind in KINDS {
        check(kind, |world| push_tag(world, kind));
        check(kind, |world| push_referrers(world, kind, "bundle.json"));
    }
    check("p256", |world| push_referrers(world, "oci-1-1", "payload.json"));
}

#[test]
fn accepts_the_annotations_that_cosign_signed_and_no_others() {
    let annotated = |kind: &str, value: &str| {
        let stores = [(STORE, &*public_key(kind), Validity::default())];
        let annotations = [("env".to_owned(), value.to_owned())].into();
        build_with(&stores, |config| config.annotations = annotations).unwrap()
    };
    for kind in KINDS {
        for push in [push_tag as fn(&mut World, &str), |world, kind| {
            push_referrers(world, kind, "bundle.json");
        }] {
            let mut world = image();
            push(&mut world, kind);
            world.check_by(kind, &*annotated(kind, "prod"), ACCEPTED);
            world.check_by(kind, &*annotated(kind, "test"), ANNOTATION_MISMATCH);
        }
    }
}

#[test]
fn rejects_a_signature_at_the_tag_of_another_image() {
    let mut world = image_of(b"another image");
    push_tag(&mut world, "p256");
    let verifier = build(&[(STORE, &public_key("p256"))]).unwrap();
    world.check_by("transplanted", &*verifier, SUBJECT_MISMATCH);
}

/// Checks the signature of an OpenSSL file over cosign's payload, under this hash.
#[track_caller]
fn check_hash(kind: &str, file: &str, hash_algorithm: Option<HashAlgorithm>, expect: State) {
    let stores = [(STORE, &*public_key(kind), Validity::default())];
    let verifier =
        build_with(&stores, |config| config.keys[0].hash_algorithm = hash_algorithm).unwrap();
    let signature = text(&format!("openssl-3.0.19/{file}.b64"));
    let mut world = image();
    world.push_simple(&SimpleSignature {
        layer_type: LAYER_TYPE.to_owned(),
        payload: data(&format!("cosign-3.1.3/{kind}/payload.json")),
        signature: STANDARD.decode(signature.trim()).unwrap(),
    });
    world.check_by(&format!("{file} by {hash_algorithm:?}"), &*verifier, expect);
}

#[test]
fn takes_the_hash_of_the_key_unless_the_policy_names_another() {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    for (kind, usual, others) in [
        ("p256", Sha256, [Sha384, Sha512]),
        ("p384", Sha384, [Sha256, Sha512]),
        ("p521", Sha512, [Sha256, Sha384]),
        ("rsa-2048", Sha256, [Sha384, Sha512]),
    ] {
        let verifier = |hash| {
            let stores = [(STORE, &*public_key(kind), Validity::default())];
            build_with(&stores, |config| config.keys[0].hash_algorithm = hash).unwrap()
        };
        let mut world = image();
        push_tag(&mut world, kind);
        world.check_by(kind, &*verifier(None), ACCEPTED);
        world.check_by(kind, &*verifier(Some(usual)), ACCEPTED);
        for (other, another) in [(others[0], others[1]), (others[1], others[0])] {
            world.check_by(kind, &*verifier(Some(other)), KEY_MISMATCH);
            let file = format!("{kind}-{}", other.as_str());
            check_hash(kind, &file, Some(other), ACCEPTED);
            check_hash(kind, &file, Some(another), KEY_MISMATCH);
            check_hash(kind, &file, None, KEY_MISMATCH);
        }
    }
}

#[test]
fn accepts_a_pure_ed25519_signature_but_no_rsa_pss() {
    check_hash("ed25519", "ed25519-pure", None, ACCEPTED);
    check_hash("rsa-2048", "rsa-2048-pss", None, KEY_MISMATCH);
}
