use jiff::Timestamp;

use super::*;
use crate::algorithm::{Hash, KeyKind, SignatureAlgorithm};
use crate::profile::Purpose::{CodeSigning, Timestamping};
use crate::profile::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE};
use crate::signer::{
    CertificateTemplate, CertifiedKey, Pki, SigningKey, basic_constraints, der, extended_key_usage,
    key_usage,
};

fn time(year: i16) -> Timestamp {
    format!("{year}-01-01T00:00:00Z").parse().unwrap()
}

fn template(common_name: &str) -> CertificateTemplate {
    CertificateTemplate::new(&[("C", "US"), ("CN", common_name)], time(2024), time(2034))
}

fn key(kind: KeyKind) -> SigningKey {
    SigningKey::generate(kind).unwrap()
}

fn pki() -> Pki {
    Pki::generate(KeyKind::P256, time(2024), time(2034)).unwrap()
}

fn certificates(chain: &[&CertifiedKey]) -> Vec<Certificate> {
    chain.iter().map(|link| link.certificate.clone()).collect()
}

/// The verdict on a leaf of this template below a sound root.
fn with_leaf(
    leaf: &CertificateTemplate,
    kind: KeyKind,
    purpose: Purpose,
) -> Result<(), ChainError> {
    let root = template("root").ca(None).self_signed(key(KeyKind::P256)).unwrap();
    let leaf = leaf.issued_by(&root, key(kind)).unwrap();
    check_chain(&certificates(&[&leaf, &root]), purpose)
}

/// The verdict on a sound leaf below an intermediate of this template.
fn with_ca(ca: &CertificateTemplate, purpose: Purpose) -> Result<(), ChainError> {
    let root = template("root").ca(None).self_signed(key(KeyKind::P256)).unwrap();
    let ca = ca.issued_by(&root, key(KeyKind::P256)).unwrap();
    let leaf = match purpose {
        CodeSigning => template("leaf").code_signing(),
        Timestamping => template("leaf").timestamping(),
    };
    let leaf = leaf.issued_by(&ca, key(KeyKind::P256)).unwrap();
    check_chain(&certificates(&[&leaf, &ca, &root]), purpose)
}

fn unfit(position: usize, fault: ProfileError) -> Result<(), ChainError> {
    Err(ChainError::Profile { position, fault })
}

/// Extended key usages; the last part of 1.3.6.1.5.5.7.3.
fn purpose(last: u8) -> Vec<u8> {
    vec![0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, last]
}

#[test]
fn accepts_leaves_that_sign_code_and_rejects_others() {
    let sound = || template("leaf").code_signing();
    let usage = |bits| sound().with_extension(KEY_USAGE, true, &key_usage(bits));
    let purposes = |oids: &[&[u8]]| {
        sound().with_extension(EXTENDED_KEY_USAGE, true, &extended_key_usage(oids))
    };
    let constraints = |value: &[u8]| sound().with_extension(BASIC_CONSTRAINTS, false, value);
    let digital = ProfileError::MissingKeyUsage("digitalSignature");
    let cases = [
        ("sound", sound(), Ok(())),
        ("content commitment", usage(0xc000), Ok(())),
        ("no extended key usage", sound().without_extension(EXTENDED_KEY_USAGE), Ok(())),
        ("another purpose", purposes(&[&purpose(0x30)]), Ok(())),
        ("constraints of no CA", constraints(&basic_constraints(false, None)), Ok(())),
        ("unknown critical extension", sound().with_extension(&[0x2a, 3], true, &[5, 0]), Ok(())),
        ("CA", constraints(&basic_constraints(true, None)), unfit(0, ProfileError::LeafIsCa)),
        ("no key usage", sound().without_extension(KEY_USAGE), unfit(0, digital)),
        (
            "key usage not critical",
            sound().with_extension(KEY_USAGE, false, &key_usage(0x8000)),
            unfit(0, ProfileError::KeyUsageNotCritical),
        ),
        ("content commitment alone", usage(0x4000), unfit(0, digital)),
        ("cert sign", usage(0x8400), unfit(0, ProfileError::ForbiddenKeyUsage("keyCertSign"))),
        ("crl sign", usage(0x8200), unfit(0, ProfileError::ForbiddenKeyUsage("cRLSign"))),
        ("agreement", usage(0x8800), unfit(0, ProfileError::ForbiddenKeyUsage("keyAgreement"))),
        ("encipher", usage(0xa000), unfit(0, ProfileError::ForbiddenKeyUsage("keyEncipherment"))),
        ("data", usage(0x9000), unfit(0, ProfileError::ForbiddenKeyUsage("dataEncipherment"))),
        ("encipher only", usage(0x8100), unfit(0, ProfileError::ForbiddenKeyUsage("encipherOnly"))),
        ("decipher only", usage(0x8080), unfit(0, ProfileError::ForbiddenKeyUsage("decipherOnly"))),
        (
            "malformed key usage",
            sound().with_extension(KEY_USAGE, true, &[3, 1, 0]),
            unfit(0, ProfileError::Malformed),
        ),
        (
            "bits that are said to be unused",
            sound().with_extension(KEY_USAGE, true, &[3, 2, 7, 0xc0]),
            unfit(0, ProfileError::Malformed),
        ),
        ("no purpose", purposes(&[]), unfit(0, ProfileError::Malformed)),
    ];
    for (name, leaf, expect) in cases {
        assert_eq!(with_leaf(&leaf, KeyKind::P256, CodeSigning), expect, "{name}");
    }
    let any: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
    let forbidden: [(&[u8], &str); 6] = [
        (any, "anyExtendedKeyUsage"),
        (&purpose(1), "serverAuth"),
        (&purpose(2), "clientAuth"),
        (&purpose(4), "emailProtection"),
        (&purpose(8), "timeStamping"),
        (&purpose(9), "OCSPSigning"),
    ];
    for (oid, name) in forbidden {
        let verdict = with_leaf(&purposes(&[&purpose(3), oid]), KeyKind::P256, CodeSigning);
        assert_eq!(verdict, unfit(0, ProfileError::ForbiddenExtendedKeyUsage(name)));
    }
}

#[test]
fn accepts_leaves_that_timestamp_and_rejects_others() {
    let sound = || template("leaf").timestamping();
    let purposes = |critical, oids: &[&[u8]]| {
        sound().with_extension(EXTENDED_KEY_USAGE, critical, &extended_key_usage(oids))
    };
    let not_alone = || unfit(0, ProfileError::ExtendedKeyUsageNotTimestamping);
    let cases = [
        ("sound", sound(), Ok(())),
        (
            "key usage not critical",
            sound().with_extension(KEY_USAGE, false, &key_usage(0x8000)),
            Ok(()),
        ),
        (
            "purpose not critical",
            purposes(false, &[&purpose(8)]),
            unfit(0, ProfileError::ExtendedKeyUsageNotCritical),
        ),
        ("two purposes", purposes(true, &[&purpose(8), &purpose(3)]), not_alone()),
        ("another purpose", purposes(true, &[&purpose(3)]), not_alone()),
        ("no extended key usage", sound().without_extension(EXTENDED_KEY_USAGE), not_alone()),
        (
            "cert sign",
            sound().with_extension(KEY_USAGE, true, &key_usage(0x8400)),
            unfit(0, ProfileError::ForbiddenKeyUsage("keyCertSign")),
        ),
    ];
    for (name, leaf, expect) in cases {
        assert_eq!(with_leaf(&leaf, KeyKind::P256, Timestamping), expect, "{name}");
    }
}

#[test]
fn accepts_cas_and_rejects_what_may_not_issue() {
    let sound = || template("ca").ca(Some(0));
    let no_cert_sign = sound().with_extension(KEY_USAGE, true, &key_usage(0x0200));
    let usage_not_critical = sound().with_extension(KEY_USAGE, false, &key_usage(0x0400));
    let constraints =
        |critical, value: &[u8]| sound().with_extension(BASIC_CONSTRAINTS, critical, value);
    let missing = ProfileError::MissingKeyUsage("keyCertSign");
    let huge = der::sequence(&[&der::element(1, &[&[0xff]]), &der::unsigned(&[9; 20])]);
    let negative = der::sequence(&[&der::element(1, &[&[0xff]]), &der::element(2, &[&[0xff]])]);
    let cases = [
        ("sound", sound(), Ok(())),
        ("no path length", template("ca").ca(None), Ok(())),
        ("endless path length", constraints(true, &huge), Ok(())),
        ("negative path length", constraints(true, &negative), unfit(1, ProfileError::Malformed)),
        (
            "constraints not critical",
            constraints(false, &basic_constraints(true, None)),
            unfit(1, ProfileError::BasicConstraintsNotCritical),
        ),
        (
            "constraints of no CA",
            constraints(true, &basic_constraints(false, None)),
            unfit(1, ProfileError::NotCa),
        ),
        (
            "no constraints",
            sound().without_extension(BASIC_CONSTRAINTS),
            unfit(1, ProfileError::NotCa),
        ),
        ("no key usage", sound().without_extension(KEY_USAGE), unfit(1, missing)),
        ("no cert sign", no_cert_sign, unfit(1, missing)),
    ];
    for (name, ca, expect) in cases {
        assert_eq!(with_ca(&ca, CodeSigning), expect, "{name}");
    }
    let not_critical = unfit(1, ProfileError::KeyUsageNotCritical);
    assert_eq!(with_ca(&usage_not_critical, CodeSigning), not_critical);
    assert_eq!(with_ca(&usage_not_critical, Timestamping), Ok(()));
}

#[test]
fn rejects_more_cas_than_a_path_length_allows() {
    for (limit, expect) in [(1, Ok(())), (0, unfit(2, ProfileError::PathLength))] {
        let root = template("root").ca(Some(limit)).self_signed(key(KeyKind::P256)).unwrap();
        let ca = template("ca").ca(None).issued_by(&root, key(KeyKind::P256)).unwrap();
        let leaf = template("leaf").code_signing().issued_by(&ca, key(KeyKind::P256)).unwrap();
        assert_eq!(check_chain(&certificates(&[&leaf, &ca, &root]), CodeSigning), expect);
    }
}

#[test]
fn rejects_chains_that_are_not_in_order_or_not_complete() {
    let pki = pki();
    let other = self::pki();
    let not_issued = |position| Err(ChainError::NotIssuedByNext { position });
    let signature =
        |position| Err(ChainError::Signature { position, fault: SignatureError::Invalid });
    let cases: [(&str, &[&CertifiedKey], Result<(), ChainError>); 8] = [
        ("sound", &[&pki.leaf, &pki.intermediate, &pki.root], Ok(())),
        ("nothing", &[], Err(ChainError::Empty)),
        ("no root", &[&pki.leaf, &pki.intermediate], Err(ChainError::NotRooted)),
        ("leaf alone", &[&pki.leaf], Err(ChainError::NotRooted)),
        ("gap", &[&pki.leaf, &pki.root], not_issued(0)),
        ("root alone", &[&pki.root], unfit(0, ProfileError::LeafIsCa)),
        ("other leaf of one name", &[&other.leaf, &pki.intermediate, &pki.root], signature(0)),
        ("other root of one name", &[&pki.leaf, &pki.intermediate, &other.root], signature(1)),
    ];
    for (name, chain, expect) in cases {
        assert_eq!(check_chain(&certificates(chain), CodeSigning), expect, "{name}");
    }
    let two_roots = [&pki.leaf, &pki.intermediate, &pki.root, &pki.root];
    let verdict = check_chain(&certificates(&two_roots), CodeSigning);
    assert_eq!(verdict, Err(ChainError::SelfSigned { position: 2 }));
}

#[test]
fn decides_by_the_signature_whether_a_certificate_is_self_signed() {
    let root = template("one name").ca(None).self_signed(key(KeyKind::P256)).unwrap();
    let leaf = template("one name").code_signing().issued_by(&root, key(KeyKind::P256)).unwrap();
    assert_eq!(check_chain(&certificates(&[&leaf, &root]), CodeSigning), Ok(()));
    assert_eq!(
        check_chain(&certificates(&[&leaf]), CodeSigning),
        Err(ChainError::NotRooted),
        "its own name as issuer does not make it self-signed",
    );
    let alone = template("leaf").code_signing().self_signed(key(KeyKind::P256)).unwrap();
    assert_eq!(check_chain(&certificates(&[&alone]), CodeSigning), Ok(()));
}

#[test]
fn stops_at_the_longest_chain() {
    let mut chain = vec![template("root").ca(None).self_signed(key(KeyKind::P256)).unwrap()];
    for position in 0..CHAIN_MAX - 1 {
        let issuer = chain.last().unwrap();
        let last = position == CHAIN_MAX - 2;
        let template = template(&position.to_string());
        let template = if last { template.code_signing() } else { template.ca(None) };
        let next = template.issued_by(issuer, key(KeyKind::P256)).unwrap();
        chain.push(next);
    }
    let mut links: Vec<&CertifiedKey> = chain.iter().rev().collect();
    assert_eq!(check_chain(&certificates(&links), CodeSigning), Ok(()));
    links.push(&chain[0]);
    assert_eq!(check_chain(&certificates(&links), CodeSigning), Err(ChainError::TooLong));
}

#[test]
fn accepts_every_algorithm_that_signs_certificates_and_no_sha1() {
    use SignatureAlgorithm::{RsaPkcs1, RsaPss};
    let rsa = key(KeyKind::Rsa { bits: 2048 }).to_pkcs8().unwrap();
    let rsa = || SigningKey::from_pkcs8(KeyKind::Rsa { bits: 2048 }, &rsa).unwrap();
    let check = |name: &str, key: SigningKey, algorithm, expect: Result<(), ChainError>| {
        let mut root = template("root").ca(None);
        root.algorithm = algorithm;
        let root = root.self_signed(key).unwrap();
        let leaf = template("leaf").code_signing();
        let leaf = leaf.issued_by(&root, self::key(KeyKind::P256)).unwrap();
        assert_eq!(check_chain(&certificates(&[&leaf, &root]), CodeSigning), expect, "{name}");
    };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519] {
        check("usual", key(kind), None, Ok(()));
    }
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        check("PKCS#1", rsa(), Some(RsaPkcs1(hash)), Ok(()));
        check("PSS", rsa(), Some(RsaPss(hash)), Ok(()));
    }

    // sha1WithRSAEncryption, ecdsa-with-SHA1 and md5WithRSAEncryption, on a lone leaf too.
    let weak: [&[u8]; 3] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
        b"\x2a\x86\x48\xce\x3d\x04\x01",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04",
    ];
    for oid in weak {
        let claimed = der::sequence(&[&der::oid(oid), &[5, 0]]);
        let mut leaf = template("leaf").code_signing();
        leaf.claimed_algorithm = Some(claimed);
        let leaf = leaf.self_signed(rsa()).unwrap();
        let fault = SignatureError::UnsupportedAlgorithm;
        let expect = Err(ChainError::Signature { position: 0, fault });
        assert_eq!(check_chain(&certificates(&[&leaf]), CodeSigning), expect);
    }
}

#[test]
fn rejects_leaf_keys_that_sign_no_envelopes() {
    let leaf = template("leaf").code_signing();
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa { bits: 2048 }] {
        assert_eq!(with_leaf(&leaf, kind, CodeSigning), Ok(()), "{kind:?}");
    }
    let unsupported = unfit(0, ProfileError::Key(SignatureError::UnsupportedKey));
    assert_eq!(with_leaf(&leaf, KeyKind::Ed25519, CodeSigning), unsupported);
}

#[test]
fn tells_who_issued_a_certificate() {
    let pki = pki();
    let [leaf, intermediate, root] =
        [&pki.leaf, &pki.intermediate, &pki.root].map(|link| &link.certificate);
    assert_eq!(check_issued_by(leaf, intermediate), Ok(()));
    assert_eq!(check_issued_by(root, root), Ok(()));
    assert_eq!(check_issued_by(leaf, root), Err(ChainError::NotIssuedByNext { position: 0 }));
    let alone = template("leaf").code_signing().self_signed(key(KeyKind::P256)).unwrap();
    let alone = alone.certificate;
    assert_eq!(check_issued_by(&alone, &alone), unfit(1, ProfileError::NotCa));
    let other = self::pki().intermediate.certificate;
    let fault = SignatureError::Invalid;
    assert_eq!(check_issued_by(leaf, &other), Err(ChainError::Signature { position: 0, fault }));
}

#[test]
fn accepts_a_chain_that_openssl_made() {
    let leaf = include_bytes!("../../tests/data/openssl-chain/leaf.der");
    let root = include_bytes!("../../tests/data/openssl-chain/root.der");
    let [leaf, root] = [&leaf[..], &root[..]].map(|der| Certificate::from_der(der).unwrap());
    assert_eq!(check_chain(&[leaf.clone(), root.clone()], CodeSigning), Ok(()));
    assert_eq!(leaf.public_key().unwrap().kind(), KeyKind::P521);
    assert_eq!(root.public_key().unwrap().kind(), KeyKind::Rsa { bits: 3072 });
    assert_eq!(leaf.serial(), [0x7b]);
    assert!(leaf.not_after() > time(2120));
    assert_eq!(check_chain(&[leaf], CodeSigning), Err(ChainError::NotRooted));
    assert_eq!(check_chain(&[root], CodeSigning), unfit(0, ProfileError::LeafIsCa));
}
