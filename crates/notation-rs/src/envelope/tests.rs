mod cose;
mod jws;
mod mutations;

use std::sync::LazyLock;

use jiff::Timestamp;

use super::*;
use crate::EnvelopeFormat::{Cose, Jws};
use crate::algorithm::KeyKind;
use crate::signer::{
    CertificateTemplate, CertifiedKey, Pki, SignRequest, SignerError, SigningKey, Unsigned,
};

/// The payload of all envelopes here.
const PAYLOAD: &[u8] = br#"{"targetArtifact":{"mediaType":"m","digest":"sha256:0","size":7}}"#;

const KEYS: [(Algorithm, KeyKind); 6] = [
    (Algorithm::Es256, KeyKind::P256),
    (Algorithm::Es384, KeyKind::P384),
    (Algorithm::Es512, KeyKind::P521),
    (Algorithm::Ps256, KeyKind::Rsa { bits: 2048 }),
    (Algorithm::Ps384, KeyKind::Rsa { bits: 3072 }),
    (Algorithm::Ps512, KeyKind::Rsa { bits: 4096 }),
];

/// A lone code signing certificate per algorithm: RSA keys take long to make.
static LEAVES: LazyLock<Vec<CertifiedKey>> = LazyLock::new(|| {
    let leaf = |(_, kind)| {
        CertificateTemplate::new(&[("CN", "leaf")], at("2024-01-01"), at("2034-01-01"))
            .code_signing()
            .self_signed(SigningKey::generate(kind).unwrap())
            .unwrap()
    };
    KEYS.into_iter().map(leaf).collect()
});

/// Midnight of a day.
fn at(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

/// The leaf that signs with ES256.
fn es256() -> &'static CertifiedKey {
    &LEAVES[0]
}

fn unsigned(leaf: &CertifiedKey) -> Unsigned<'_> {
    Unsigned {
        chain: std::slice::from_ref(&leaf.certificate),
        signing_agent: None,
        timestamper: None,
    }
}

fn request(format: EnvelopeFormat) -> SignRequest<'static> {
    SignRequest::new(format, PAYLOAD, at("2024-05-01"))
}

fn sign(request: &SignRequest<'_>, leaf: &CertifiedKey) -> Result<Vec<u8>, SignerError> {
    request.sign(&leaf.key, std::slice::from_ref(&leaf.certificate))
}

fn verify(format: EnvelopeFormat, bytes: &[u8]) -> Result<IntactEnvelope, EnvelopeError> {
    Envelope::parse(format, bytes)?.verify_integrity()
}

#[test]
fn accepts_every_algorithm_and_scheme_in_both_formats() {
    for format in [Jws, Cose] {
        for (leaf, (algorithm, _)) in LEAVES.iter().zip(KEYS) {
            for scheme in [SigningScheme::X509, SigningScheme::X509SigningAuthority] {
                let request = SignRequest { scheme, ..request(format) };
                let envelope = verify(format, &sign(&request, leaf).unwrap()).unwrap();
                assert_eq!(envelope.algorithm(), algorithm);
                assert_eq!(envelope.attributes().scheme, scheme);
                assert_eq!(envelope.payload(), PAYLOAD);
            }
        }
    }
}

#[test]
fn reads_back_every_attribute() {
    let pki = Pki::generate(KeyKind::P384, at("2024-01-01"), at("2034-01-01")).unwrap();
    let timestamper = |signature: &[u8]| Some([signature, b"token"].concat());
    for format in [Jws, Cose] {
        let request = SignRequest {
            expiry: Some(at("2025-05-01")),
            extended: &[("critical", "a", true), ("other", "b", false)],
            signing_agent: Some("agent/1"),
            timestamper: Some(&timestamper),
            ..request(format)
        };
        let bytes = request.sign(&pki.leaf.key, &pki.chain()).unwrap();
        let envelope = verify(format, &bytes).unwrap();
        let extended = |name: &str, critical, text: &str| ExtendedAttribute {
            name: name.to_owned(),
            critical,
            text: Some(text.to_owned()),
        };
        let expect = SignedAttributes {
            scheme: SigningScheme::X509,
            signing_time: at("2024-05-01"),
            expiry: Some(at("2025-05-01")),
            extended: vec![extended("critical", true, "a"), extended("other", false, "b")],
        };
        assert_eq!(*envelope.attributes(), expect);
        assert_eq!(envelope.chain(), pki.chain());
        assert_eq!(envelope.content_type(), PAYLOAD_CONTENT_TYPE);
        assert_eq!(envelope.signing_agent(), Some("agent/1"));
        let token = [envelope.signature(), b"token"].concat();
        assert_eq!(envelope.timestamp_signature(), Some(token.as_slice()));
    }
}

#[test]
fn tells_no_timestamp_from_one_without_bytes() {
    let empty = |_: &[u8]| Some(Vec::new());
    for format in [Jws, Cose] {
        let request = SignRequest { timestamper: Some(&empty), ..request(format) };
        let bytes = sign(&request, es256()).unwrap();
        assert_eq!(verify(format, &bytes).unwrap().timestamp_signature(), None);
    }
}

#[test]
fn signer_refuses_what_a_verifier_would_not_take() {
    let token = |_: &[u8]| Some(vec![1]);
    let no_token = |_: &[u8]| None;
    let authority = SigningScheme::X509SigningAuthority;
    for format in [Jws, Cose] {
        let request = request(format);
        let with = |change: fn(&mut SignRequest<'static>)| {
            let mut changed = request.clone();
            change(&mut changed);
            sign(&changed, es256()).map(drop)
        };
        let expiry = Err(SignerError::Envelope(EnvelopeError::ExpiryBeforeSigning));
        assert_eq!(with(|request| request.expiry = Some(request.signing_time)), expiry);
        let empty = Err(SignerError::Envelope(EnvelopeError::Empty));
        assert_eq!(with(|request| request.payload = b""), empty);
        let time = Err(SignerError::SigningTime);
        assert_eq!(with(|request| request.signing_time = at("2023-12-31")), time);
        assert_eq!(with(|request| request.signing_time = at("2034-01-02")), time);
        assert_eq!(with(|request| request.signing_time = at("2034-01-01")), Ok(()));
        let name = Err(SignerError::ExtendedAttribute);
        assert_eq!(with(|request| request.extended = &[("alg", "none", false)]), name);
        let none = SignRequest { timestamper: Some(&no_token), ..request.clone() };
        assert_eq!(sign(&none, es256()), Err(SignerError::Timestamp));
        let unused = SignRequest { timestamper: Some(&token), scheme: authority, ..request };
        assert_eq!(sign(&unused, es256()), Err(SignerError::Timestamp));
        let other = unsigned(&LEAVES[1]).chain;
        let mismatch = SignerError::Envelope(EnvelopeError::AlgorithmMismatch);
        assert_eq!(self::request(format).sign(&es256().key, other), Err(mismatch));
    }
}

#[test]
fn rejects_the_signature_of_another_key() {
    let template = CertificateTemplate::new(&[], at("2024-01-01"), at("2034-01-01"));
    let other = template.code_signing().self_signed(SigningKey::generate(KeyKind::P256).unwrap());
    let invalid = EnvelopeError::Signature(SignatureError::Invalid);
    for format in [Jws, Cose] {
        let chain = unsigned(other.as_ref().unwrap()).chain;
        let error = request(format).sign(&es256().key, chain).unwrap_err();
        assert_eq!(error, SignerError::Envelope(invalid));
    }
}

#[test]
fn rejects_chains_that_may_not_sign() {
    let template = CertificateTemplate::new(&[], at("2024-01-01"), at("2034-01-01"));
    let ca = template.ca(None).self_signed(SigningKey::generate(KeyKind::P256).unwrap()).unwrap();
    for format in [Jws, Cose] {
        let fault = crate::profile::ProfileError::LeafIsCa;
        let chain = EnvelopeError::Chain(ChainError::Profile { position: 0, fault });
        assert_eq!(sign(&request(format), &ca), Err(SignerError::Envelope(chain)));
        let none = request(format).sign(&es256().key, &[]);
        assert_eq!(none, Err(SignerError::Envelope(EnvelopeError::Chain(ChainError::Empty))));
    }
}

#[test]
fn stops_at_its_bounds() {
    let certificate = &es256().certificate;
    for format in [Jws, Cose] {
        let seal = |links: usize, agent: &str| {
            let chain = vec![certificate.clone(); links];
            let (chain, signing_agent) = (chain.as_slice(), Some(agent));
            let unsigned = Unsigned { chain, signing_agent, timestamper: None };
            match format {
                Cose => crate::signer::seal_cose(&cose::sound(), PAYLOAD, &es256().key, &unsigned),
                Jws => crate::signer::seal_jws(&jws::sound(), PAYLOAD, &es256().key, &unsigned),
            }
            .unwrap()
        };
        let parse = |bytes: &[u8]| Envelope::parse(format, bytes).map(drop);
        assert_eq!(parse(&seal(CHAIN_MAX, "")), Ok(()));
        let too_long = EnvelopeError::Chain(ChainError::TooLong);
        assert_eq!(parse(&seal(CHAIN_MAX + 1, "")), Err(too_long));

        let short = "a".repeat(70_000);
        let room = ENVELOPE_BYTES_MAX - seal(1, &short).len();
        let longest = seal(1, &"a".repeat(70_000 + room));
        assert_eq!(longest.len(), ENVELOPE_BYTES_MAX);
        assert_eq!(parse(&longest), Ok(()));
        let longer = seal(1, &"a".repeat(70_001 + room));
        let too_large = |bytes_max| Err(EnvelopeError::TooLarge { bytes_max });
        assert_eq!(parse(&longer), too_large(ENVELOPE_BYTES_MAX));

        let up_to =
            |bytes_max, bytes: &[u8]| Envelope::parse_up_to(bytes_max, format, bytes).map(drop);
        assert_eq!(up_to(longer.len(), &longer), Ok(()));
        let small = seal(1, "");
        assert_eq!(up_to(small.len(), &small), Ok(()));
        assert_eq!(up_to(small.len() - 1, &small), too_large(small.len() - 1));
        // No bound is greater than the limit; there it is bytes that are wrong, not their number.
        let mut most = vec![b' '; ENVELOPE_BYTES_LIMIT];
        assert!(matches!(up_to(usize::MAX, &most), Err(EnvelopeError::Malformed(_))));
        most.push(b' ');
        assert_eq!(up_to(usize::MAX, &most), too_large(ENVELOPE_BYTES_LIMIT));
    }
}
