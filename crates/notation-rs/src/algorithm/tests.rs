use super::*;
use crate::signer::{SigningKey, algorithm_identifier, der as write};

#[test]
fn fixes_the_algorithm_of_envelopes_by_the_key() {
    let rsa = |bits| KeyKind::Rsa { bits };
    let cases = [
        (KeyKind::P256, Ok(Algorithm::Es256)),
        (KeyKind::P384, Ok(Algorithm::Es384)),
        (KeyKind::P521, Ok(Algorithm::Es512)),
        (rsa(2048), Ok(Algorithm::Ps256)),
        (rsa(3072), Ok(Algorithm::Ps384)),
        (rsa(4096), Ok(Algorithm::Ps512)),
        (rsa(2560), Err(SignatureError::UnsupportedKey)),
        (rsa(8192), Err(SignatureError::UnsupportedKey)),
        (KeyKind::Ed25519, Err(SignatureError::UnsupportedKey)),
    ];
    for (key, expect) in cases {
        assert_eq!(Algorithm::for_key(key), expect, "{key:?}");
    }
}

/// The `SubjectPublicKeyInfo` of an algorithm's parts and a key.
fn spki(algorithm: &[&[u8]], key: &[u8]) -> Vec<u8> {
    write::sequence(&[&write::sequence(algorithm), &write::bits(key)])
}

#[test]
fn reads_keys_of_the_kinds_and_sizes_that_are_accepted() {
    use SignatureError::{Malformed, UnsupportedKey};
    let rsa = |bytes: usize| {
        let modulus = write::unsigned(&vec![0xff; bytes]);
        let key = write::sequence(&[&modulus, &write::unsigned(&[1, 0, 1])]);
        spki(&[&write::oid(oid::RSA_ENCRYPTION), oid::NULL], &key)
    };
    let ec = |curve: &[u8], first: u8, bytes: usize| {
        let key = [&[first][..], &vec![7; bytes]].concat();
        spki(&[&write::oid(oid::EC_PUBLIC_KEY), &write::oid(curve)], &key)
    };
    let secp256k1: &[u8] = b"\x2b\x81\x04\x00\x0a";
    let p224: &[u8] = b"\x2b\x81\x04\x00\x21";
    let ed25519 = |bytes| spki(&[&write::oid(oid::ED25519)], &vec![7; bytes]);
    let pss = spki(&[&write::oid(oid::RSASSA_PSS)], &[]);
    let cases = [
        ("least RSA", rsa(256), Ok(KeyKind::Rsa { bits: 2048 })),
        ("odd RSA", rsa(320), Ok(KeyKind::Rsa { bits: 2560 })),
        ("most RSA", rsa(1024), Ok(KeyKind::Rsa { bits: 8192 })),
        ("too short RSA", rsa(255), Err(UnsupportedKey)),
        ("too long RSA", rsa(1025), Err(UnsupportedKey)),
        ("RSA for PSS alone", pss, Err(UnsupportedKey)),
        ("P-256", ec(oid::P256, 4, 64), Ok(KeyKind::P256)),
        ("P-384", ec(oid::P384, 4, 96), Ok(KeyKind::P384)),
        ("P-521", ec(oid::P521, 4, 132), Ok(KeyKind::P521)),
        ("compressed point", ec(oid::P256, 2, 32), Err(UnsupportedKey)),
        ("point of another curve", ec(oid::P256, 4, 96), Err(UnsupportedKey)),
        ("P-224", ec(p224, 4, 56), Err(UnsupportedKey)),
        ("secp256k1", ec(secp256k1, 4, 64), Err(UnsupportedKey)),
        ("Ed25519", ed25519(32), Ok(KeyKind::Ed25519)),
        ("short Ed25519", ed25519(31), Err(UnsupportedKey)),
        ("trailing byte", [rsa(256), vec![0]].concat(), Err(Malformed)),
        ("nothing", Vec::new(), Err(Malformed)),
    ];
    for (name, spki, expect) in cases {
        assert_eq!(PublicKey::from_spki(&spki).map(|key| key.kind()), expect, "{name}");
    }
}

#[test]
fn reads_back_the_identifier_of_every_algorithm() {
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        for algorithm in [
            SignatureAlgorithm::Ecdsa(hash),
            SignatureAlgorithm::RsaPkcs1(hash),
            SignatureAlgorithm::RsaPss(hash),
            SignatureAlgorithm::Ed25519,
        ] {
            let identifier = algorithm_identifier(algorithm);
            assert_eq!(SignatureAlgorithm::from_identifier(&identifier), Ok(algorithm));
        }
    }
    let ecdsa_with_null =
        write::sequence(&[&write::oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x02"), oid::NULL]);
    let verdict = SignatureAlgorithm::from_identifier(&ecdsa_with_null);
    assert_eq!(verdict, Err(SignatureError::Malformed));
}

#[test]
fn takes_pss_with_one_hash_and_a_salt_of_its_length_only() {
    const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
    let hash = |oid: &[u8]| write::sequence(&[&write::oid(oid), oid::NULL]);
    let parameters = |name: &[u8], mask: &[u8], salt: u8, trailer: &[u8]| {
        let mask = write::sequence(&[&write::oid(oid::MGF1), &hash(mask)]);
        let parameters = write::sequence(&[
            &write::element(0xa0, &[&hash(name)]),
            &write::element(0xa1, &[&mask]),
            &write::element(0xa2, &[&write::unsigned(&[salt])]),
            trailer,
        ]);
        write::sequence(&[&write::oid(oid::RSASSA_PSS), &parameters])
    };
    let (sha256, sha384) = (Hash::Sha256.oid(), Hash::Sha384.oid());
    let defaults = write::sequence(&[&write::oid(oid::RSASSA_PSS), &write::sequence(&[])]);
    let trailer = |value: u8| write::element(0xa3, &[&write::unsigned(&[value])]);
    let cases = [
        ("sound", parameters(sha256, sha256, 32, &[]), true),
        ("the only trailer", parameters(sha256, sha256, 32, &trailer(1)), true),
        ("another trailer", parameters(sha256, sha256, 32, &trailer(2)), false),
        ("short salt", parameters(sha256, sha256, 20, &[]), false),
        ("another mask hash", parameters(sha256, sha384, 32, &[]), false),
        ("SHA-1", parameters(SHA1, SHA1, 20, &[]), false),
        ("SHA-1 by default", defaults, false),
    ];
    for (name, identifier, expect) in cases {
        let verdict = SignatureAlgorithm::from_identifier(&identifier);
        let unsupported = Err(SignatureError::UnsupportedAlgorithm);
        let expect =
            if expect { Ok(SignatureAlgorithm::RsaPss(Hash::Sha256)) } else { unsupported };
        assert_eq!(verdict, expect, "{name}");
    }
}

#[test]
fn rejects_pss_signatures_whose_salt_is_not_as_long_as_the_hash() {
    let spki = include_bytes!("../../tests/data/pss-salt/spki.der");
    let message = include_bytes!("../../tests/data/pss-salt/message");
    let key = PublicKey::from_spki(spki).unwrap();
    let verify = |signature: &[u8]| {
        let certificate = key.verify(SignatureAlgorithm::RsaPss(Hash::Sha256), message, signature);
        assert_eq!(Algorithm::Ps256.verify(&key, message, signature), certificate);
        certificate
    };
    assert_eq!(verify(include_bytes!("../../tests/data/pss-salt/salt-32.sig")), Ok(()));
    let short = include_bytes!("../../tests/data/pss-salt/salt-20.sig");
    assert_eq!(verify(short), Err(SignatureError::Invalid));
}

#[test]
fn rejects_algorithms_of_other_keys() {
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let signature = key.sign(key.usual_algorithm(), b"message").unwrap();
    let spki = key.spki();
    let public = PublicKey::from_spki(&spki).unwrap();
    let cases = [
        (SignatureAlgorithm::Ecdsa(Hash::Sha256), Ok(())),
        (SignatureAlgorithm::Ecdsa(Hash::Sha384), Err(SignatureError::Invalid)),
        (SignatureAlgorithm::RsaPss(Hash::Sha256), Err(SignatureError::UnsupportedAlgorithm)),
        (SignatureAlgorithm::Ed25519, Err(SignatureError::UnsupportedAlgorithm)),
    ];
    for (algorithm, expect) in cases {
        assert_eq!(public.verify(algorithm, b"message", &signature), expect, "{algorithm:?}");
    }
    assert_eq!(
        Algorithm::Es384.verify(&public, b"message", &signature),
        Err(SignatureError::UnsupportedAlgorithm),
    );
}

#[test]
fn names_hashes_as_descriptors_do() {
    for (hash, name, bytes) in
        [(Hash::Sha256, "sha256", 32), (Hash::Sha384, "sha384", 48), (Hash::Sha512, "sha512", 64)]
    {
        assert_eq!((hash.name(), hash.digest(b"").len()), (name, bytes));
    }
}
