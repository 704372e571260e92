//! No byte that is signed, and none of a signature, can be changed.

use assay_testkit::cosign::bundle::Content;

use crate::world::{ACCEPTED, World, key};

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

#[test]
fn rejects_every_mutant_of_a_simple_signature() {
    let key = key();
    let world = World::new();
    let good = world.simple().sign(&key).unwrap();
    let check = |payload: Vec<u8>, signature: Vec<u8>| {
        let mut world = World::new();
        let mut mutant = good.clone();
        (mutant.payload, mutant.signature) = (payload, signature);
        world.push_simple(&mutant);
        world.verify(&[&key]).state == ACCEPTED
    };
    assert!(check(good.payload.clone(), good.signature.clone()));
    for mutant in mutants(&good.payload) {
        assert!(!check(mutant, good.signature.clone()));
    }
    for mutant in mutants(&good.signature) {
        assert!(!check(good.payload.clone(), mutant));
    }
}

#[test]
fn rejects_every_mutant_of_a_bundle() {
    let key = key();
    let good = World::new().statement().sign(&key).unwrap();
    let Content::Dsse { payload, payload_type, signatures } = good.content.clone() else {
        unreachable!("statements are signed in envelopes")
    };
    let check = |payload: Vec<u8>, payload_type: String, signature: Vec<u8>| {
        let mut world = World::new();
        let mut mutant = good.clone();
        mutant.content = Content::Dsse { payload, payload_type, signatures: vec![signature] };
        world.push_bundle(&mutant);
        world.verify(&[&key]).state == ACCEPTED
    };
    let signature = &signatures[0];
    assert!(check(payload.clone(), payload_type.clone(), signature.clone()));
    for mutant in mutants(&payload) {
        assert!(!check(mutant, payload_type.clone(), signature.clone()));
    }
    for mutant in mutants(signature) {
        assert!(!check(payload.clone(), payload_type.clone(), mutant));
    }
    // A type with its highest bits set is no text, and JSON cannot carry it.
    for mutant in mutants(payload_type.as_bytes()).filter_map(|m| String::from_utf8(m).ok()) {
        assert!(!check(payload.clone(), mutant, signature.clone()));
    }
}
