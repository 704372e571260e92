//! No byte that is signed, and none of a signature, can be changed: for each kind of key, in each
//! form.

use assay_core::ports::Verifier;
use assay_testkit::cosign::bundle::Content;
use assay_testkit::cosign::simple::SimpleSignature;
use assay_testkit::cosign::{KeyKind, SigningKey};

use crate::world::{ACCEPTED, World, verifier};

/// Every copy of `bytes` that differs in one byte, in its lowest and in its highest bit.
fn mutants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).flat_map(|index| {
        [0x01, 0x80].map(|bit| {
            let mut mutant = bytes.to_vec();
            mutant[index] ^= bit;
            mutant
        })
    })
}

/// Calls `check` with a key of each kind and the verifier that trusts it.
fn each_kind(check: impl Fn(KeyKind, &SigningKey, &dyn Verifier)) {
    for kind in KeyKind::ALL {
        let key = SigningKey::of(kind).unwrap();
        check(kind, &key, &*verifier(&[&key]));
    }
}

/// Checks every mutant of a simple signature that `push` puts where it belongs.
#[track_caller]
fn check_simple(push: fn(&mut World, &SimpleSignature)) {
    each_kind(|kind, key, verifier| {
        let good = World::new().simple().sign(key).unwrap();
        let is_accepted = |payload: &[u8], signature: &[u8]| {
            let mut world = World::new();
            let (payload, signature) = (payload.to_vec(), signature.to_vec());
            push(&mut world, &SimpleSignature { payload, signature, ..good.clone() });
            world.verify_by(verifier).state == ACCEPTED
        };
        assert!(is_accepted(&good.payload, &good.signature), "{kind:?}");
        for mutant in mutants(&good.payload) {
            assert!(!is_accepted(&mutant, &good.signature), "{kind:?}");
        }
        for mutant in mutants(&good.signature) {
            assert!(!is_accepted(&good.payload, &mutant), "{kind:?}");
        }
    });
}

#[test]
fn rejects_every_mutant_of_a_simple_signature_at_the_tag() {
    check_simple(World::push_simple);
}

#[test]
fn rejects_every_mutant_of_a_simple_signature_in_a_referrer() {
    check_simple(|world, signature| {
        let manifest = world.simple_referrer(std::slice::from_ref(signature));
        world.push_referrer_manifest(&manifest);
    });
}

#[test]
fn rejects_every_mutant_of_a_bundle() {
    each_kind(|kind, key, verifier| {
        let good = World::new().statement().sign(key).unwrap();
        let Content::Dsse { payload, payload_type, signatures } = &good.content else {
            unreachable!("statements are signed in envelopes")
        };
        let is_accepted = |payload: &[u8], payload_type: &str, signature: &[u8]| {
            let mut world = World::new();
            let mut mutant = good.clone();
            mutant.content = Content::Dsse {
                payload: payload.to_vec(),
                payload_type: payload_type.to_owned(),
                signatures: vec![signature.to_vec()],
            };
            world.push_bundle(&mutant);
            world.verify_by(verifier).state == ACCEPTED
        };
        let signature = &signatures[0];
        assert!(is_accepted(payload, payload_type, signature), "{kind:?}");
        for mutant in mutants(payload) {
            assert!(!is_accepted(&mutant, payload_type, signature), "{kind:?}");
        }
        for mutant in mutants(signature) {
            assert!(!is_accepted(payload, payload_type, &mutant), "{kind:?}");
        }
        // A type with its highest bits set is no text, and JSON cannot carry it.
        let types = mutants(payload_type.as_bytes());
        for mutant in types.filter_map(|mutant| String::from_utf8(mutant).ok()) {
            assert!(!is_accepted(payload, &mutant, signature), "{kind:?}");
        }
    });
}
