//! What a trust store may hold, and what tells two verifiers apart.

use assay_core::ports::VerifierFactory;
use assay_core::{CosignConfig, KeySource, TrustMaterial, TrustStoreMaterial, VerifierConfig};
use assay_verifiers::Factory;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::world::{ACCEPTED, STORE, World, build, key, settle};

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Checks that a store with this text is refused for `expect`, without repeating the text.
#[track_caller]
fn check_refused(name: &str, text: &str, expect: &str) {
    let error = build(&[(STORE, text)]).err().unwrap();
    assert_eq!(error.field, "cosign.keys[0].trustStore", "{name}");
    let expect = format!("trust store 'release-keys' {expect}");
    assert!(error.reason.starts_with(&expect), "{name}: {}", error.reason);
    assert!(!error.reason.contains("SECRET"), "{name}: {}", error.reason);
}

#[test]
fn accepts_public_keys_with_comments_between_them() {
    let (first, second) = (key(), key());
    let pem = |key: &assay_testkit::cosign::SigningKey| key.public_key_pem().unwrap();
    let windows = pem(&second).replace('\n', "\r\n");
    let text = format!("# ours\n\n{}\n  # theirs\n{windows}{}", pem(&first), pem(&first));
    let verifier = build(&[(STORE, &text)]).unwrap();
    assert_eq!(verifier.kind(), "cosign");
    for key in [&first, &second] {
        let mut world = World::new();
        world.sign_simple(key);
        let outcome = settle(verifier.verify(&world.subject, &world)).unwrap();
        assert_eq!(outcome.state, ACCEPTED);
    }
}

#[test]
fn refuses_text_that_is_not_public_keys_alone() {
    let der = key().public_key_der().unwrap();
    let good = pem("PUBLIC KEY", &der);
    assert!(build(&[(STORE, &good)]).is_ok());

    let private = pem("PRIVATE KEY", b"x");
    let sigstore = pem("ENCRYPTED SIGSTORE PRIVATE KEY", b"x");
    for (name, text, expect) in [
        ("empty", "", "holds no key"),
        ("comments alone", "# soon\n", "holds no key"),
        ("text", "SECRET", "holds text outside"),
        ("text after", &format!("{good}SECRET"), "holds text outside"),
        ("cut short", &good[..60], "holds a PEM block that is cut short"),
        ("two heads", &format!("{}\n{good}", &good[..60]), "holds a PEM block that is cut"),
        ("not base64", &good.replacen("MF", "*F", 1), "holds a PEM block that is cut"),
        ("private", &private, "holds a private key"),
        ("private of cosign", &sigstore, "holds a private key"),
        ("private after public", &format!("{good}{private}"), "holds a private key"),
        ("certificate", &pem("CERTIFICATE", &der), "holds a PEM block of another kind"),
    ] {
        check_refused(name, text, expect);
    }
}

#[test]
fn refuses_what_is_no_p256_public_key() {
    let der = key().public_key_der().unwrap();
    let mut off_curve = der.clone();
    off_curve[90] ^= 1;
    let longer = [&der[..], &[0]].concat();
    let compressed = [&der[..26], &[2], &der[27..59]].concat();
    let rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let p384 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
    let ed25519 = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    for (der, expect) in [
        (&rsa[..], "holds an RSA key: only ECDSA P-256 is supported"),
        (p384, "holds an ECDSA P-384 key: only"),
        (ed25519, "holds an Ed25519 key: only"),
        (&compressed, "holds a key of another kind: only"),
        (&longer, "holds a key of another kind: only"),
        (b"", "holds a key of another kind: only"),
        (&off_curve, "holds an ECDSA P-256 key that is not a point"),
    ] {
        let block = pem("PUBLIC KEY", der);
        check_refused(expect, &block, expect);
        let after_a_good_one = key().public_key_pem().unwrap() + &block;
        check_refused(expect, &after_a_good_one, expect);
    }
}

#[test]
fn refuses_a_store_that_is_missing_and_names_it() {
    let good = key().public_key_pem().unwrap();
    let source = KeySource::ClusterTrustStore(STORE.to_owned());
    // A namespace's store of the same name is another store.
    let other = KeySource::TrustStore(STORE.to_owned());
    let build = |stores: &[&KeySource]| {
        let store = |source: &&KeySource| {
            TrustStoreMaterial::new((*source).clone(), good.clone().into_bytes())
        };
        let material = TrustMaterial { stores: stores.iter().map(store).collect() };
        let keys = vec![source.clone()];
        Factory.build(&VerifierConfig::Cosign(CosignConfig { keys }), &material)
    };
    assert!(build(&[&source]).is_ok());
    for stores in [vec![], vec![&other]] {
        let error = build(&stores).err().unwrap().to_string();
        let expect = "cosign.keys[0].trustStore: trust store 'release-keys' is missing";
        assert_eq!(error, expect);
    }
    let none = crate::world::build(&[]).err().unwrap().to_string();
    assert_eq!(none, "cosign.keys: 0 keys: give 1 to 50");
}

#[test]
fn takes_50_keys_and_no_more() {
    let keys: Vec<String> = (0..51).map(|_| key().public_key_pem().unwrap()).collect();
    assert!(build(&[(STORE, &keys[..50].concat())]).is_ok());
    // The same key twice is one.
    assert!(build(&[(STORE, &keys[..50].concat()), ("more", &keys[0])]).is_ok());
    let error = build(&[(STORE, &keys.concat())]).err().unwrap();
    assert_eq!(error.to_string(), "cosign.keys: 51 keys: give 1 to 50");
}

#[test]
fn fingerprints_differ_by_key_and_by_store() {
    let pem = [key(), key()].map(|key| key.public_key_pem().unwrap());
    let fingerprint = |stores: &[(&str, &str)]| build(stores).unwrap().fingerprint().clone();
    let one = fingerprint(&[("a", &pem[0])]);
    assert_eq!(one, fingerprint(&[("a", &format!("# comment\n{}", pem[0]))]));
    let others = [
        fingerprint(&[("a", &pem[1])]),
        fingerprint(&[("b", &pem[0])]),
        fingerprint(&[("a", &pem.concat())]),
        fingerprint(&[("a", &pem[0]), ("b", &pem[1])]),
        fingerprint(&[("a", &pem[0]), ("a", &pem[0])]),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(one, *other, "{index}");
    }
}
