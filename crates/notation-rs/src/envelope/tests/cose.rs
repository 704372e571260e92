//! COSE envelopes: what is accepted, and what differs from it in one fact.

use super::super::header::{AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME};
use super::*;
use crate::signer::cose::{array, bytes, encode_map, number, text};
use crate::signer::seal_cose;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Protected headers that are right for ES256.
pub(super) fn sound() -> Vec<u8> {
    encode_map(entries())
}

fn entries() -> Entries {
    Entries::from([
        (number(1), number(-7)),
        (number(2), texts(&[SIGNING_SCHEME])),
        (number(3), text(PAYLOAD_CONTENT_TYPE)),
        (text(SIGNING_SCHEME), text("notary.x509")),
        (text(SIGNING_TIME), epoch(1_714_557_600)),
    ])
}

fn texts(names: &[&str]) -> Vec<u8> {
    array(names.iter().map(|name| text(name)))
}

fn epoch(seconds: i64) -> Vec<u8> {
    [vec![0xc1], number(seconds)].concat()
}

/// The verdict on an envelope of these protected headers.
fn check(name: &str, protected: &[u8], expect: Result<(), EnvelopeError>) {
    let bytes = seal_cose(protected, PAYLOAD, &es256().key, &unsigned(es256())).unwrap();
    assert_eq!(verify(Cose, &bytes).map(drop), expect, "{name}");
}

/// The verdict on the sound headers with these in place of theirs; no bytes remove one.
fn with(name: &str, changes: &[(Vec<u8>, Vec<u8>)], expect: Result<(), EnvelopeError>) {
    let mut entries = entries();
    for (label, value) in changes {
        entries.insert(label.clone(), value.clone());
    }
    entries.retain(|_, value| !value.is_empty());
    check(name, &encode_map(entries), expect);
}

#[test]
fn writes_the_headers_of_the_reference_implementation() {
    let expect: Vec<u8> = [
        b"\xa5\x01\x26\x02\x81\x78\x1cio.cncf.notary.signingScheme".as_slice(),
        b"\x03\x78\x2bapplication/vnd.cncf.notary.payload.v1+json",
        b"\x78\x1aio.cncf.notary.signingTime\xc1\x1a\x66\x32\x12\xa0",
        b"\x78\x1cio.cncf.notary.signingScheme\x6bnotary.x509",
    ]
    .concat();
    assert_eq!(expect.len(), 157);
    let signing_time = "2024-05-01T10:00:00.9Z".parse().unwrap();
    let bytes = sign(&SignRequest { signing_time, ..request(Cose) }, es256()).unwrap();
    assert_eq!(bytes[..4], [0xd2, 0x84, 0x58, 0x9d]);
    assert_eq!(bytes[4..161], expect);
    assert_eq!(bytes[161..164], [0xa1, 0x18, 0x21]);
}

#[test]
fn accepts_headers_within_the_specification() {
    check("sound", &sound(), Ok(()));
    let float = |seconds: f64| [&[0xc1, 0xfb][..], &seconds.to_bits().to_be_bytes()].concat();
    with("time of a float", &[(text(SIGNING_TIME), float(1_714_557_600.5))], Ok(()));
    with("time before 1970", &[(text(SIGNING_TIME), epoch(-1))], Ok(()));
    let never =
        [(number(2), texts(&[SIGNING_SCHEME, EXPIRY])), (text(EXPIRY), epoch(253_402_300_799))];
    with("expiry at the end of year 9999", &never, Ok(()));
    with("extended attribute of any type", &[(number(-70_000), texts(&["x"]))], Ok(()));
    let critical = array([text(SIGNING_SCHEME), number(-70_000)].into_iter());
    with("number that is critical", &[(number(2), critical), (number(-70_000), number(1))], Ok(()));
    // Not sorted, and a label in more bytes than it needs: RFC 9052 asks for neither.
    let mut unsorted = sound();
    assert_eq!(unsorted[..3], [0xa5, 0x01, 0x26]);
    unsorted.splice(1..2, [0x18, 0x01]);
    check("label that is not the shortest", &unsorted, Ok(()));
}

#[test]
fn rejects_wrong_algorithms_types_and_times() {
    use EnvelopeError as E;
    let malformed = E::Malformed("tagged COSE_Sign1");
    // ES256K, EdDSA, RS256, none.
    for algorithm in [-47, -8, -257, 0] {
        with("another", &[(number(1), number(algorithm))], Err(E::UnsupportedAlgorithm));
    }
    with("algorithm of text", &[(number(1), text("ES256"))], Err(E::UnsupportedAlgorithm));
    with("another algorithm", &[(number(1), number(-35))], Err(E::AlgorithmMismatch));
    with("another payload", &[(number(3), text("text/plain"))], Err(E::ContentType));
    with("payload type of a number", &[(number(3), number(0))], Err(E::ContentType));
    let scheme = |value| [(text(SIGNING_SCHEME), value)];
    with("another scheme", &scheme(text("notary.X509")), Err(E::Header(SIGNING_SCHEME)));
    with("scheme of bytes", &scheme(bytes(b"notary.x509")), Err(E::Header(SIGNING_SCHEME)));
    let time = |value| [(text(SIGNING_TIME), value)];
    let bare = || Err(E::Header(SIGNING_TIME));
    with("bare number", &time(number(1_714_557_600)), bare());
    with("bare text", &time(text("2024-05-01T10:00:00Z")), bare());
    with("tag 0", &time([vec![0xc0], text("2024-05-01T10:00:00Z")].concat()), bare());
    with("tag 1 of text", &time([vec![0xc1], text("1714557600")].concat()), bare());
    with("after year 9999", &time(epoch(i64::MAX)), bare());
    let not_a_number = [&[0xc1, 0xfb][..], &f64::NAN.to_bits().to_be_bytes()].concat();
    with("not a number", &time(not_a_number), bare());
    let missing = E::MissingHeader("alg (1)");
    with("no algorithm", &[(number(1), Vec::new())], Err(missing));
    with("no critical list", &[(number(2), Vec::new())], Err(E::Critical));
    with("no payload type", &[(number(3), Vec::new())], Err(E::ContentType));
    with("no time", &time(Vec::new()), Err(E::MissingHeader(SIGNING_TIME)));
    check("no headers", &[], Err(malformed));
    check("headers of an array", &array([number(1)].into_iter()), Err(malformed));
}

#[test]
fn rejects_critical_lists_that_lie() {
    use EnvelopeError::{Critical, NotCritical};
    let check = |name: &str, list: Vec<u8>, expect| {
        with(name, &[(number(2), list), (text("x"), text("y"))], expect);
    };
    check("extended attribute", texts(&[SIGNING_SCHEME, "x"]), Ok(()));
    check("empty", texts(&[]), Err(Critical));
    check("one name twice", texts(&[SIGNING_SCHEME, SIGNING_SCHEME]), Err(Critical));
    check("absent header", texts(&[SIGNING_SCHEME, "absent"]), Err(Critical));
    for standard in [1, 2, 3] {
        let list = array([text(SIGNING_SCHEME), number(standard)].into_iter());
        check("standard header", list, Err(Critical));
    }
    check("without the scheme", texts(&["x"]), Err(NotCritical(SIGNING_SCHEME)));
    check("text", text(SIGNING_SCHEME), Err(Critical));
    check("bytes", array([bytes(b"x")].into_iter()), Err(Critical));
    let expiring = [(text(EXPIRY), epoch(2_000_000_000))];
    with("expiry not critical", &expiring, Err(NotCritical(EXPIRY)));
}

#[test]
fn rejects_the_time_of_the_other_scheme() {
    use EnvelopeError::{ForbiddenHeader, NotCritical};
    let authority = [
        (text(SIGNING_SCHEME), text("notary.x509.signingAuthority")),
        (text(AUTHENTIC_SIGNING_TIME), epoch(1_714_557_600)),
        (number(2), texts(&[SIGNING_SCHEME, AUTHENTIC_SIGNING_TIME])),
        (text(SIGNING_TIME), Vec::new()),
    ];
    let change = |label: Vec<u8>, value: Vec<u8>| {
        let mut changed = authority.clone().to_vec();
        changed.push((label, value));
        changed
    };
    with("sound", &authority, Ok(()));
    let both = Err(ForbiddenHeader(SIGNING_TIME));
    with("both under the authority", &change(text(SIGNING_TIME), epoch(1_714_557_600)), both);
    let both = [authority[1].clone(), authority[2].clone()];
    with("both under x509", &both, Err(ForbiddenHeader(AUTHENTIC_SIGNING_TIME)));
    let not_critical = change(number(2), texts(&[SIGNING_SCHEME]));
    with("not critical", &not_critical, Err(NotCritical(AUTHENTIC_SIGNING_TIME)));
}

#[test]
fn rejects_chains_in_protected_headers_and_labels_in_both() {
    let chain = array([bytes(es256().certificate.der())].into_iter());
    let expect = Err(EnvelopeError::ForbiddenHeader("x5chain (33)"));
    with("chain", &[(number(33), chain)], expect);

    let agent = text("io.cncf.notary.signingAgent");
    let mut protected = entries();
    protected.insert(agent, text("a"));
    let unsigned = Unsigned { signing_agent: Some("b"), ..unsigned(es256()) };
    let both = seal_cose(&encode_map(protected), PAYLOAD, &es256().key, &unsigned).unwrap();
    let malformed = EnvelopeError::Malformed("tagged COSE_Sign1");
    assert_eq!(verify(Cose, &both).unwrap_err(), malformed);
}

#[test]
fn stops_at_its_headers() {
    let malformed = EnvelopeError::Malformed("tagged COSE_Sign1");
    let fill = |count: i64| -> Vec<_> {
        (0..count - 5).map(|index| (number(index + 100), number(0))).collect()
    };
    let most = i64::try_from(HEADERS_MAX).unwrap();
    with("the most", &fill(most), Ok(()));
    with("one more", &fill(most + 1), Err(malformed));
}

#[test]
fn rejects_envelopes_of_another_shape() {
    let sound = sign(&request(Cose), es256()).unwrap();
    let certificate = bytes(es256().certificate.der());
    let chain = array([certificate.clone()].into_iter());
    let message = |unprotected: Entries, payload: Vec<u8>, signature: Vec<u8>| {
        let parts = [bytes(&self::sound()), encode_map(unprotected), payload, signature];
        [vec![0xd2], array(parts.into_iter())].concat()
    };
    let headers = |value: Vec<u8>| Entries::from([(number(33), value)]);
    let payload = || bytes(PAYLOAD);
    let signature = || bytes(&[1; 64]);
    let malformed = EnvelopeError::Malformed("tagged COSE_Sign1");
    let token = "io.cncf.notary.timestampSignature";
    let mut token_of_text = headers(chain.clone());
    token_of_text.insert(text(token), text("x"));
    let invalid = EnvelopeError::Signature(SignatureError::Invalid);
    let no_chain = EnvelopeError::MissingHeader("x5chain (33)");
    let lone = EnvelopeError::Header("x5chain (33)");
    let cases = [
        ("another signature", message(headers(chain.clone()), payload(), signature()), invalid),
        ("no tag", sound[1..].to_vec(), malformed),
        ("another tag", [&[0xd1], &sound[1..]].concat(), malformed),
        ("tag twice", [&[0xd2], &sound[..]].concat(), malformed),
        ("tag in two bytes", [&[0xd8, 18], &sound[1..]].concat(), malformed),
        ("trailing byte", [&sound[..], &[0]].concat(), malformed),
        ("detached payload", message(headers(chain.clone()), vec![0xf6], signature()), malformed),
        ("payload of text", message(headers(chain.clone()), text("{}"), signature()), malformed),
        (
            "no payload",
            message(headers(chain.clone()), bytes(&[]), signature()),
            EnvelopeError::Empty,
        ),
        ("no signature", message(headers(chain), payload(), bytes(&[])), EnvelopeError::Empty),
        ("no chain", message(Entries::new(), payload(), signature()), no_chain),
        ("lone certificate", message(headers(certificate), payload(), signature()), lone),
        ("chain of text", message(headers(texts(&["x"])), payload(), signature()), lone),
        (
            "token of text",
            message(token_of_text, payload(), signature()),
            EnvelopeError::Header(token),
        ),
        ("nothing", Vec::new(), malformed),
        ("a JWS", sign(&request(Jws), es256()).unwrap(), malformed),
    ];
    for (name, bytes, expect) in cases {
        assert_eq!(verify(Cose, &bytes).unwrap_err(), expect, "{name}");
    }
}

#[test]
fn signs_the_structure_of_rfc_9052() {
    let structure = super::super::cose::to_be_signed;
    let expect = [&b"\x84\x6aSignature1\x58\x9d"[..], &[7; 157], b"\x40\x42{}"].concat();
    assert_eq!(structure(&[7; 157], b"{}"), expect);
    let long = vec![8; 0x1_0000];
    let expect = [&b"\x84\x6aSignature1\x41\x07\x40\x5a\x00\x01\x00\x00"[..], &long].concat();
    assert_eq!(structure(&[7], &long), expect);
    let expect = [&b"\x84\x6aSignature1\x41\x07\x40\x59\xff\xff"[..], &long[1..]].concat();
    assert_eq!(structure(&[7], &long[1..]), expect);
}
