//! Tokens by an authority of our own, each wrong in one fact, and tokens by OpenSSL.

use super::*;
use crate::algorithm::Hash;
use crate::asn1::{NULL, SET};
use crate::der::{INTEGER, context};
use crate::oids;
use crate::profile::{ANY_PURPOSE, ProfileError, TIME_STAMPING};
use crate::test_der::{integer, octets, oid, sequence, tlv};
use crate::test_pki::{self, Fields, Key, basic_constraints, ca_extensions, extended_key_usage};

const SIGNATURE: &[u8] = b"a primitive signature";
const VALIDITY: (&str, &str) = ("240101000000Z", "260101000000Z");
const SHA1: &[u8] = oids::SHA1;
const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
const SIGNING_CERTIFICATE_V1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c";

/// What goes into a token. The default is a right one.
struct Spec {
    leaf_extensions: Vec<Vec<u8>>,
    leaf_validity: (&'static str, &'static str),
    ca_extensions: Vec<Vec<u8>>,
    ca_validity: (&'static str, &'static str),
    time: &'static str,
    /// An INTEGER, or nothing.
    nonce: Vec<u8>,
    imprint_algorithm: &'static [u8],
    imprint: Vec<u8>,
    version: u64,
    contents_type: &'static [u8],
    signer_version: u64,
    digest_algorithm: &'static [u8],
    content_type_attribute: &'static [u8],
    message_digest: Option<Vec<u8>>,
    ess_attribute: &'static [u8],
    ess_issuer_and_serial: bool,
    ess_hash_of: Option<&'static [u8]>,
    signing_time: Option<&'static str>,
    more_attributes: Vec<u8>,
    without_leaf: bool,
    without_ca: bool,
    more_certificates: Vec<u8>,
    signed_by_other_key: bool,
    signers: usize,
    broken_signer_first: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            leaf_extensions: leaf_extensions(true, &[TIME_STAMPING]),
            leaf_validity: VALIDITY,
            ca_extensions: ca_extensions(),
            ca_validity: VALIDITY,
            time: "20250601120000.25Z",
            nonce: Vec::new(),
            imprint_algorithm: oids::SHA256,
            imprint: Hash::Sha256.digest(SIGNATURE),
            version: 3,
            contents_type: oids::TST_INFO,
            signer_version: 1,
            digest_algorithm: oids::SHA256,
            content_type_attribute: oids::TST_INFO,
            message_digest: None,
            ess_attribute: oids::SIGNING_CERTIFICATE_V2,
            ess_issuer_and_serial: true,
            ess_hash_of: None,
            signing_time: None,
            more_attributes: Vec::new(),
            without_leaf: false,
            without_ca: false,
            more_certificates: Vec::new(),
            signed_by_other_key: false,
            signers: 1,
            broken_signer_first: false,
        }
    }
}

fn leaf_extensions(critical: bool, purposes: &[&[u8]]) -> Vec<Vec<u8>> {
    vec![test_pki::key_usage(0x80), extended_key_usage(critical, purposes)]
}

/// Extensions of a CA that is confined to `purposes`.
fn confined(purposes: &[&[u8]]) -> Vec<Vec<u8>> {
    [ca_extensions(), vec![extended_key_usage(false, purposes)]].concat()
}

fn attribute(id: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(id), &tlv(SET, &[value])])
}

/// The token of `spec` and the root of its authority.
fn make(spec: &Spec) -> (Vec<u8>, Certificate) {
    let keys = [Key::new(), Key::new(), Key::new()];
    let [root_key, ca_key, leaf_key] = &keys;
    let fields = |subject, issuer, serial, validity, extensions: &Vec<Vec<u8>>| Fields {
        subject,
        issuer,
        serial: vec![serial],
        validity,
        extensions: extensions.clone(),
    };
    let root = fields("Root", "Root", 1, VALIDITY, &ca_extensions());
    let root = test_pki::certificate(&root, root_key, root_key);
    let ca = fields("CA", "Root", 2, spec.ca_validity, &spec.ca_extensions);
    let ca = test_pki::certificate(&ca, ca_key, root_key);
    let leaf = fields("TSA", "CA", 3, spec.leaf_validity, &spec.leaf_extensions);
    let leaf = test_pki::certificate(&leaf, leaf_key, ca_key);

    let hash = sequence(&[&oid(spec.imprint_algorithm), &tlv(NULL, &[])]);
    let contents = sequence(&[
        &integer(1),
        &oid(b"\x2a\x03"),
        &sequence(&[&hash, &octets(&spec.imprint)]),
        &integer(7),
        &tlv(0x18, &[spec.time.as_bytes()]),
        &sequence(&[&integer(2)]),
        &spec.nonce,
    ]);
    let signer_key = if spec.signed_by_other_key { ca_key } else { leaf_key };
    let signer = signer_info(spec, &contents, &leaf, signer_key);
    let broken = if spec.broken_signer_first {
        signer_info(spec, &contents, &leaf, root_key)
    } else {
        Vec::new()
    };
    let mut certificates = Vec::new();
    if !spec.without_ca {
        certificates.extend(ca.der());
    }
    if !spec.without_leaf {
        certificates.extend(leaf.der());
    }
    certificates.extend(&spec.more_certificates);
    let data = sequence(&[
        &integer(spec.version),
        &tlv(SET, &[]),
        &sequence(&[&oid(spec.contents_type), &tlv(context(0), &[&octets(&contents)])]),
        &tlv(context(0), &[&certificates]),
        &tlv(SET, &[&broken, &signer.repeat(spec.signers)]),
    ]);
    (sequence(&[&oid(oids::SIGNED_DATA), &tlv(context(0), &[&data])]), root)
}

/// A right token over `signature` at `time`, to two seconds, and the root of its authority.
pub(crate) fn token(signature: &[u8], time: &'static str) -> (Vec<u8>, Certificate) {
    make(&Spec { imprint: Hash::Sha256.digest(signature), time, ..Spec::default() })
}

/// A right token over `signature` with that nonce, and the root of its authority.
pub(super) fn token_with_nonce(signature: &[u8], nonce: &[u8]) -> (Vec<u8>, Certificate) {
    let imprint = Hash::Sha256.digest(signature);
    make(&Spec { imprint, nonce: nonce.to_vec(), ..Spec::default() })
}

fn signer_info(spec: &Spec, contents: &[u8], leaf: &Certificate, key: &Key) -> Vec<u8> {
    let digest = spec.message_digest.clone().unwrap_or_else(|| Hash::Sha256.digest(contents));
    let serial = tlv(INTEGER, &[leaf.serial()]);
    let ess_hash = Hash::Sha256.digest(spec.ess_hash_of.unwrap_or(leaf.der()));
    let names = sequence(&[&tlv(context(4), &[leaf.issuer_der()])]);
    let issuer_and_serial =
        if spec.ess_issuer_and_serial { sequence(&[&names, &serial]) } else { Vec::new() };
    let id = sequence(&[&octets(&ess_hash), &issuer_and_serial]);
    let mut attributes = [
        attribute(oids::CONTENT_TYPE, &oid(spec.content_type_attribute)),
        attribute(oids::MESSAGE_DIGEST, &octets(&digest)),
        attribute(spec.ess_attribute, &sequence(&[&sequence(&[&id])])),
    ]
    .concat();
    if let Some(time) = spec.signing_time {
        attributes.extend(attribute(oids::SIGNING_TIME, &test_pki::utc(time)));
    }
    attributes.extend(&spec.more_attributes);
    sequence(&[
        &integer(spec.signer_version),
        &sequence(&[leaf.issuer_der(), &serial]),
        &sequence(&[&oid(spec.digest_algorithm)]),
        &tlv(context(0), &[&attributes]),
        &test_pki::ecdsa_sha256(),
        &octets(&key.sign(&tlv(SET, &[&attributes]))),
    ])
}

fn check(spec: &Spec) -> Result<VerifiedTimestamp, TimestampError> {
    let (token, root) = make(spec);
    verify(&token, SIGNATURE, &[root])
}

#[test]
fn accepts_a_token_and_tells_its_range_and_chain() {
    let (token, root) = make(&Spec::default());
    let verified = verify(&token, SIGNATURE, std::slice::from_ref(&root)).unwrap();
    assert_eq!(verified.range.earliest.to_string(), "2025-06-01T11:59:58.25Z");
    assert_eq!(verified.range.latest.to_string(), "2025-06-01T12:00:02.25Z");
    assert_eq!(verified.chain.len(), 3);
    assert_eq!(verified.chain.last(), Some(&root));
}

#[test]
fn rejects_tokens_that_differ_in_one_fact() {
    let container = TimestampError::Malformed("container");
    let cases: Vec<(&str, Spec, TimestampError)> = vec![
        ("version of the data", Spec { version: 1, ..Spec::default() }, container.clone()),
        (
            "contents of another type",
            Spec { contents_type: oids::SIGNED_DATA, ..Spec::default() },
            container.clone(),
        ),
        ("no signer", Spec { signers: 0, ..Spec::default() }, TimestampError::NoSigner),
        ("more signers than are tried", Spec { signers: 5, ..Spec::default() }, container),
        (
            "time without zone",
            Spec { time: "20250601120000", ..Spec::default() },
            TimestampError::Malformed("TSTInfo"),
        ),
        (
            "imprint of something else",
            Spec { imprint: Hash::Sha256.digest(b"else"), ..Spec::default() },
            TimestampError::Imprint,
        ),
        (
            "imprint by another hash",
            Spec { imprint_algorithm: SHA384, ..Spec::default() },
            TimestampError::Imprint,
        ),
        (
            "SHA-1 imprint",
            Spec { imprint_algorithm: SHA1, ..Spec::default() },
            TimestampError::Imprint,
        ),
        (
            "one broken certificate",
            Spec { more_certificates: sequence(&[]), ..Spec::default() },
            TimestampError::Certificate(CertificateError::Malformed),
        ),
    ];
    for (name, spec, expect) in cases {
        assert_eq!(check(&spec), Err(expect), "{name}");
    }
}

#[test]
fn rejects_signers_that_differ_in_one_fact() {
    let missing = TimestampError::SigningCertificate;
    let cases: Vec<(&str, Spec, TimestampError)> = vec![
        ("version 3", Spec { signer_version: 3, ..Spec::default() }, missing.clone()),
        (
            "signing certificate attribute of version 1",
            Spec { ess_attribute: SIGNING_CERTIFICATE_V1, ..Spec::default() },
            missing.clone(),
        ),
        (
            "hash of another certificate",
            Spec { ess_hash_of: Some(b"x"), ..Spec::default() },
            missing.clone(),
        ),
        ("certificate left out", Spec { without_leaf: true, ..Spec::default() }, missing),
        (
            "attribute twice",
            Spec {
                more_attributes: attribute(oids::MESSAGE_DIGEST, &octets(b"x")),
                ..Spec::default()
            },
            TimestampError::Malformed("signed attribute"),
        ),
        (
            "content type of something else",
            Spec { content_type_attribute: oids::SIGNED_DATA, ..Spec::default() },
            TimestampError::Contents,
        ),
        (
            "digest of other contents",
            Spec { message_digest: Some(vec![0; 32]), ..Spec::default() },
            TimestampError::Contents,
        ),
        (
            "digest by SHA-1",
            Spec { digest_algorithm: SHA1, ..Spec::default() },
            TimestampError::Contents,
        ),
        (
            "digest by another hash",
            Spec { digest_algorithm: SHA384, ..Spec::default() },
            TimestampError::Contents,
        ),
        (
            "signature by another key",
            Spec { signed_by_other_key: true, ..Spec::default() },
            TimestampError::Signature(SignatureError::Invalid),
        ),
        (
            "signing time after expiry",
            Spec { signing_time: Some("260101000001Z"), ..Spec::default() },
            TimestampError::SigningTime,
        ),
    ];
    for (name, spec, expect) in cases {
        assert_eq!(check(&spec), Err(expect), "{name}");
    }
}

#[test]
fn accepts_what_may_differ() {
    let cases = [
        (
            "issuer and serial from the signer",
            Spec { ess_issuer_and_serial: false, ..Spec::default() },
        ),
        ("signing time at expiry", Spec { signing_time: Some("260101000000Z"), ..Spec::default() }),
        ("second signer", Spec { broken_signer_first: true, ..Spec::default() }),
        ("several signers", Spec { signers: 4, ..Spec::default() }),
        (
            "CA for timestamping too",
            Spec {
                ca_extensions: confined(&[oids::OCSP_SIGNING, TIME_STAMPING]),
                ..Spec::default()
            },
        ),
        ("CA for all", Spec { ca_extensions: confined(&[ANY_PURPOSE]), ..Spec::default() }),
        ("generated at the end of validity", Spec { time: "20260101000000Z", ..Spec::default() }),
        ("generated at the start of validity", Spec { time: "20240101000000Z", ..Spec::default() }),
        (
            "imprint by SHA-384",
            Spec {
                imprint_algorithm: SHA384,
                imprint: Hash::Sha384.digest(SIGNATURE),
                ..Spec::default()
            },
        ),
    ];
    for (name, spec) in cases {
        assert_eq!(check(&spec).map(|verified| verified.chain.len()), Ok(3), "{name}");
    }
}

#[test]
fn rejects_authorities_that_are_not_trusted_at_the_time() {
    let late = ("250701000000Z", "260101000000Z");
    let cases = [
        ("after expiry", Spec { time: "20260101000000.5Z", ..Spec::default() }),
        ("before validity", Spec { time: "20231231235959Z", ..Spec::default() }),
        ("leaf not valid yet", Spec { leaf_validity: late, ..Spec::default() }),
        ("CA not valid yet", Spec { ca_validity: late, ..Spec::default() }),
        ("CA left out", Spec { without_ca: true, ..Spec::default() }),
        (
            "CA that is none",
            Spec { ca_extensions: vec![basic_constraints(false)], ..Spec::default() },
        ),
        (
            "CA for another purpose",
            Spec { ca_extensions: confined(&[oids::OCSP_SIGNING]), ..Spec::default() },
        ),
    ];
    for (name, spec) in cases {
        assert_eq!(check(&spec), Err(TimestampError::Untrusted), "{name}");
    }
    let (token, _) = make(&Spec::default());
    let (_, other_root) = make(&Spec::default());
    assert_eq!(verify(&token, SIGNATURE, &[other_root]), Err(TimestampError::Untrusted));
    assert_eq!(verify(&token, SIGNATURE, &[]), Err(TimestampError::Untrusted));
}

#[test]
fn rejects_authorities_that_break_the_profile() {
    let not_alone = ProfileError::ExtendedKeyUsageNotTimestamping;
    let cases = [
        (
            "purpose not critical",
            leaf_extensions(false, &[TIME_STAMPING]),
            ProfileError::ExtendedKeyUsageNotCritical,
        ),
        ("two purposes", leaf_extensions(true, &[TIME_STAMPING, oids::OCSP_SIGNING]), not_alone),
        ("other purpose", leaf_extensions(true, &[oids::OCSP_SIGNING]), not_alone),
        ("no purpose", vec![test_pki::key_usage(0x80)], not_alone),
        (
            "no digitalSignature",
            vec![test_pki::key_usage(0x40), extended_key_usage(true, &[TIME_STAMPING])],
            ProfileError::MissingKeyUsage("digitalSignature"),
        ),
    ];
    for (name, leaf_extensions, fault) in cases {
        let expect = TimestampError::Chain(ChainError::Profile { position: 0, fault });
        assert_eq!(check(&Spec { leaf_extensions, ..Spec::default() }), Err(expect), "{name}");
    }
}

#[test]
fn bounds_the_size_of_a_token() {
    let at = verify(&vec![0; TOKEN_BYTES_MAX], SIGNATURE, &[]);
    assert_eq!(at, Err(TimestampError::Malformed("container")));
    let past = verify(&vec![0; TOKEN_BYTES_MAX + 1], SIGNATURE, &[]);
    assert_eq!(past, Err(TimestampError::TooLarge));
}

#[test]
fn bounds_the_certificates_of_a_token() {
    let more = |count: usize| {
        let key = Key::new();
        let one = Fields {
            subject: "CA",
            issuer: "CA",
            serial: vec![9],
            validity: VALIDITY,
            extensions: ca_extensions(),
        };
        test_pki::certificate(&one, &key, &key).der().repeat(count)
    };
    let at = Spec { more_certificates: more(18), ..Spec::default() };
    assert_eq!(check(&at).map(|verified| verified.chain.len()), Ok(3));
    let past = Spec { more_certificates: more(19), ..Spec::default() };
    assert_eq!(check(&past), Err(TimestampError::Malformed("container")));
}

#[test]
fn bounds_the_length_of_a_path() {
    const NAMES: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let key = Key::new();
    // Each is issued by the next, and the last by itself.
    let chain: Vec<Certificate> = (0..NAMES.len())
        .map(|at| {
            let fields = Fields {
                subject: NAMES[at],
                issuer: NAMES[(at + 1).min(NAMES.len() - 1)],
                serial: vec![1],
                validity: VALIDITY,
                extensions: ca_extensions(),
            };
            test_pki::certificate(&fields, &key, &key)
        })
        .collect();
    let time = "2025-01-01T00:00:00Z".parse().unwrap();
    let length = |first: usize, mut checks: usize| {
        let path = path::find(&chain[first], &chain, &chain[10..], time, &mut checks);
        path.map(|path| path.len())
    };
    assert_eq!(length(1, 9), Some(10));
    assert_eq!(length(1, 8), None, "one check of a signature less");
    assert_eq!(length(0, usize::MAX), None);
}

#[test]
fn ends_the_search_among_certificates_that_issue_each_other() {
    // Nineteen CAs of one name and key: each issued each, and none leads to the root.
    let key = Key::new();
    let ring: Vec<Certificate> = (0..19)
        .map(|serial| {
            let fields = Fields {
                subject: "Ring",
                issuer: "Ring",
                serial: vec![serial],
                validity: VALIDITY,
                extensions: ca_extensions(),
            };
            test_pki::certificate(&fields, &key, &key)
        })
        .collect();
    let time = "2025-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(path::find(&ring[0], &ring, &[], time, &mut 32), None);
    let path = path::find(&ring[0], &ring, &ring[18..], time, &mut 32).unwrap();
    assert_eq!(path.len(), 2);
}

#[test]
fn finds_the_way_over_a_cross_signed_authority() {
    let (own_key, one, other) = (Key::new(), Key::new(), Key::new());
    let certificate = |subject, issuer, key, issuer_key| {
        let extensions = ca_extensions();
        let fields = Fields { subject, issuer, serial: vec![1], validity: VALIDITY, extensions };
        test_pki::certificate(&fields, key, issuer_key)
    };
    let leaf = certificate("Leaf", "One", &own_key, &one);
    let own = certificate("One", "One", &one, &one);
    let crossed = certificate("One", "Other", &one, &other);
    let root = certificate("Other", "Other", &other, &other);
    let time = "2025-01-01T00:00:00Z".parse().unwrap();
    for intermediates in [[own.clone(), crossed.clone()], [crossed.clone(), own]] {
        let path = path::find(&leaf, &intermediates, std::slice::from_ref(&root), time, &mut 32);
        assert_eq!(path.unwrap(), [leaf.clone(), crossed.clone(), root.clone()]);
    }
}

#[test]
fn rejects_every_flipped_bit_of_what_is_signed() {
    let (token, root) = make(&Spec::default());
    let data = SignedData::parse(&token).unwrap();
    let attributes = data.signers[0].signed_attributes.unwrap();
    let roots = [root];
    for part in [data.content, attributes, data.signers[0].signature] {
        let start = part.as_ptr() as usize - token.as_ptr() as usize;
        for bit in 0..part.len() * 8 {
            let mut flipped = token.clone();
            flipped[start + bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&flipped, SIGNATURE, &roots).is_err(), "bit {bit} of {start}");
        }
    }
}

#[test]
fn survives_any_bytes() {
    let (token, root) = make(&Spec::default());
    let mut seed: u64 = 0x5eed;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for round in 0..20_000 {
        let mut bytes = token.clone();
        for _ in 0..=random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(if round % 3 == 0 { random() % bytes.len() } else { bytes.len() });
        // Only the parts before any signature is checked, which costs the time.
        if let Ok(data) = SignedData::parse(&bytes) {
            let _ = TstInfo::parse(data.content).map(|info| info.range());
            for signer in &data.signers {
                let value = signer.attribute(oids::SIGNING_CERTIFICATE_V2);
                let _ = value.map(|value| value.map(cms::EssCertificateId::parse));
            }
        }
        if round % 100 == 0 {
            let _ = verify(&bytes, SIGNATURE, std::slice::from_ref(&root));
        }
    }
}

#[test]
fn accepts_a_token_of_openssl() {
    let token = include_bytes!("../../tests/data/openssl/token.der");
    let root = Certificate::from_der(*include_bytes!("../../tests/data/openssl/root.der")).unwrap();
    let roots = [root];
    let verified = verify(token, b"the signature", &roots).unwrap();
    assert_eq!(verified.chain.len(), 2);
    let accuracy = verified.range.latest.duration_since(verified.range.earliest);
    assert_eq!(accuracy.as_micros(), 2 * 1_500_100);
    assert_eq!(verify(token, b"the signaturE", &roots), Err(TimestampError::Imprint));
}

#[test]
fn rejects_a_token_of_openssl_that_names_its_certificate_by_sha1() {
    let token = include_bytes!("../../tests/data/openssl/token-ess-v1.der");
    let root = Certificate::from_der(*include_bytes!("../../tests/data/openssl/root.der")).unwrap();
    let verified = verify(token, b"the signature", &[root]);
    assert_eq!(verified, Err(TimestampError::SigningCertificate));
}
