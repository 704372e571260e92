//! What a trust store may hold, and what tells two verifiers apart.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::ports::VerifierFactory;
use assay_core::{
    CosignConfig, HashAlgorithm, KeyConfig, KeySource, Platforms, Repository, SignatureRepository,
    TrustMaterial, TrustStoreMaterial, Validity, VerifierConfig,
};
use assay_testkit::cosign::{KeyKind, SigningKey};
use assay_verifiers::Factory;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::world::{ACCEPTED, KEY_MISMATCH, STORE, World, build, build_with, key, settle};

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
    let pem = |key: &SigningKey| key.public_key_pem().unwrap();
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
fn refuses_keys_of_other_kinds_and_malformed_ones() {
    let der = |kind| SigningKey::of(kind).unwrap().public_key_der().unwrap();
    let p256 = der(KeyKind::P256);
    let mut off_curve = p256.clone();
    off_curve[90] ^= 1;
    let longer = [&p256[..], &[0]].concat();
    let compressed = [&p256[..26], &[2], &p256[27..59]].concat();
    // The point alone, which the library would take for a key.
    let (point, raw) = (&p256[26..], &der(KeyKind::Ed25519)[12..]);
    let secp256k1 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a";
    let ed448 = b"\x30\x05\x06\x03\x2b\x65\x71";
    let ed25519 = |point: [u8; 32]| [&der(KeyKind::Ed25519)[..12], &point].concat();
    let mut identity = [0; 32];
    identity[0] = 1;
    // The same point with a coordinate that is not reduced: 2^255 - 18 for 1.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    let mut shortened = der(KeyKind::Ed25519);
    shortened.pop();
    let malformed = "that is malformed";
    for (name, der, expect) in [
        ("secp256k1", &secp256k1[..], "holds a key of another kind: give RSA, ECDSA P-256"),
        ("Ed448", ed448, "holds a key of another kind"),
        ("nothing", b"", "holds a key of another kind"),
        ("a bare point", point, "holds a key of another kind"),
        ("a raw key", raw, "holds a key of another kind"),
        ("compressed", &compressed, "holds an ECDSA P-256 key that is malformed"),
        ("longer", &longer, "holds an ECDSA P-256 key that is malformed"),
        ("off the curve", &off_curve, "holds an ECDSA P-256 key that is malformed"),
        ("weak", &ed25519(identity), "holds an Ed25519 key that is malformed"),
        ("another form", &ed25519(unreduced), "holds an Ed25519 key that is malformed"),
        ("no point", &ed25519([2; 32]), "holds an Ed25519 key that is malformed"),
        ("shorter", &shortened, "holds an Ed25519 key that is malformed"),
    ] {
        let block = pem("PUBLIC KEY", der);
        check_refused(name, &block, expect);
        let after_a_good_one = key().public_key_pem().unwrap() + &block;
        check_refused(name, &after_a_good_one, expect);
    }
    for kind in KeyKind::ALL {
        let der = der(kind);
        assert!(build(&[(STORE, &pem("PUBLIC KEY", &der))]).is_ok(), "{kind:?}");
        let longer = [&der[..], &[0]].concat();
        let error = build(&[(STORE, &pem("PUBLIC KEY", &longer))]).err().unwrap();
        assert!(error.reason.ends_with(malformed), "{kind:?}: {}", error.reason);
    }
}

/// DER of `tag` around `content`.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..128] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

/// An RSA key whose modulus has so many bits, with this exponent. It need not have prime factors.
fn rsa(bits: usize, exponent: u8) -> String {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let key = der(0x30, &[der(2, &modulus), der(2, &[exponent])].concat());
    let algorithm = der(0x30, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
    let bits = der(3, &[vec![0], key].concat());
    pem("PUBLIC KEY", &der(0x30, &[algorithm, bits].concat()))
}

#[test]
fn takes_rsa_keys_of_2048_to_4096_bits() {
    for bits in [2048, 2049, 3072, 4096] {
        assert!(build(&[(STORE, &rsa(bits, 3))]).is_ok(), "{bits}");
    }
    for bits in [1024, 2047, 4097, 8192] {
        let expect = format!("holds an RSA key of {bits} bits: give one of 2048 to 4096");
        check_refused("size", &rsa(bits, 3), &expect);
    }
    for exponent in [1, 2] {
        check_refused("exponent", &rsa(2048, exponent), "holds an RSA key that is malformed");
    }
}

#[test]
fn refuses_a_hash_for_a_key_that_has_its_own() {
    let pem = |kind| SigningKey::of(kind).unwrap().public_key_pem().unwrap();
    let with_hash = |text: &str| {
        let stores = [(STORE, text, Validity::default())];
        build_with(&stores, |config| config.keys[0].hash_algorithm = Some(HashAlgorithm::Sha512))
    };
    let (rsa, ed25519) = (pem(KeyKind::Rsa2048), pem(KeyKind::Ed25519));
    assert!(with_hash(&rsa).is_ok());
    assert!(build(&[(STORE, &ed25519)]).is_ok());
    for text in [&ed25519, &format!("{rsa}{ed25519}")] {
        let error = with_hash(text).err().unwrap().to_string();
        let expect = "cosign.keys[0].hashAlgorithm: trust store 'release-keys' holds an Ed25519 \
                      key, which hashes by SHA-512 always: leave out hashAlgorithm";
        assert_eq!(error, expect);
    }
}

#[test]
fn accepts_each_kind_of_key_in_each_form_and_no_other_key_of_the_kind() {
    for kind in KeyKind::ALL {
        let [key, other] = [(); 2].map(|()| SigningKey::of(kind).unwrap());
        let (mut tagged, mut bundled) = (World::new(), World::new());
        tagged.sign_simple(&key);
        bundled.sign_bundle(&key);
        for world in [&tagged, &bundled] {
            world.check(&format!("{kind:?}"), &[&key], ACCEPTED);
            world.check(&format!("{kind:?}"), &[&other], KEY_MISMATCH);
        }
    }
}

#[test]
fn takes_a_store_of_all_kinds_at_once() {
    let keys = KeyKind::ALL.map(|kind| SigningKey::of(kind).unwrap());
    let trusted = keys.each_ref();
    let mut world = World::new();
    for key in &keys {
        world.sign_simple(key);
        world.sign_bundle(key);
    }
    assert_eq!(world.check("all", &trusted, ACCEPTED).signers.len(), KeyKind::ALL.len());
    world.check("none", &[&key()], KEY_MISMATCH);
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
        let keys = vec![KeyConfig { source: source.clone(), hash_algorithm: None }];
        let config = CosignConfig { keys, ..CosignConfig::default() };
        Factory::default().build(&VerifierConfig::Cosign(config), &material)
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
fn fingerprints_differ_by_every_part() {
    let pem = [key(), key()].map(|key| key.public_key_pem().unwrap());
    let fingerprint = |stores: &[(&str, &str)]| build(stores).unwrap().fingerprint().clone();
    let changed = |change: &dyn Fn(&mut CosignConfig)| {
        let stores = [("a", &*pem[0], Validity::default())];
        build_with(&stores, change).unwrap().fingerprint().clone()
    };
    let annotations = |annotations: &[(&str, &str)]| {
        let owned = annotations.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let owned: BTreeMap<String, String> = owned.collect();
        changed(&move |config| config.annotations = owned.clone())
    };
    let elsewhere = |path: &str, own_host_only| {
        let repository = Repository::new("registry.example", path);
        let place = SignatureRepository { repository, own_host_only };
        changed(&move |config| config.signature_repository = Some(place.clone()))
    };
    let hash = |hash| changed(&move |config| config.keys[0].hash_algorithm = Some(hash));
    let all = [
        fingerprint(&[("a", &pem[0])]),
        fingerprint(&[("a", &pem[1])]),
        fingerprint(&[("b", &pem[0])]),
        fingerprint(&[("a", &pem.concat())]),
        fingerprint(&[("a", &pem[0]), ("b", &pem[1])]),
        fingerprint(&[("a", &pem[0]), ("a", &pem[0])]),
        changed(&|config| config.platforms = Platforms::All),
        hash(HashAlgorithm::Sha256),
        hash(HashAlgorithm::Sha384),
        annotations(&[("env", "prod")]),
        annotations(&[("env", "test")]),
        annotations(&[("e", "nvprod")]),
        annotations(&[("env", "prod"), ("x", "")]),
        elsewhere("a", false),
        elsewhere("a", true),
        elsewhere("b", false),
    ];
    assert_eq!(all[0], fingerprint(&[("a", &format!("# comment\n{}", pem[0]))]));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}
