//! JWS envelopes: what is accepted, and what differs from it in one fact.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::header::{AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME};
use super::*;
use crate::signer::seal_jws;

/// A protected header that is right for ES256.
pub(super) fn sound() -> Vec<u8> {
    header().to_string().into_bytes()
}

fn header() -> Value {
    json!({
        "alg": "ES256",
        "crit": [SIGNING_SCHEME],
        "cty": PAYLOAD_CONTENT_TYPE,
        SIGNING_SCHEME: "notary.x509",
        SIGNING_TIME: "2024-05-01T10:00:00Z",
    })
}

/// The verdict on an envelope of this protected header.
fn check(name: &str, protected: &[u8], expect: Result<(), EnvelopeError>) {
    let bytes = seal_jws(protected, PAYLOAD, &es256().key, &unsigned(es256())).unwrap();
    assert_eq!(verify(Jws, &bytes).map(drop), expect, "{name}");
}

/// The verdict on the sound header with `change` made to it.
fn with(name: &str, change: impl FnOnce(&mut Value), expect: Result<(), EnvelopeError>) {
    let mut header = header();
    change(&mut header);
    check(name, header.to_string().as_bytes(), expect);
}

#[test]
fn writes_the_headers_of_the_reference_implementation() {
    let expect = concat!(
        r#"{"alg":"ES256","crit":["io.cncf.notary.signingScheme"],"#,
        r#""cty":"application/vnd.cncf.notary.payload.v1+json","#,
        r#""io.cncf.notary.signingScheme":"notary.x509","#,
        r#""io.cncf.notary.signingTime":"2024-05-01T10:00:00Z"}"#,
    );
    let signing_time = "2024-05-01T10:00:00.9Z".parse().unwrap();
    let plain = SignRequest { signing_time, ..request(Jws) };
    assert_eq!(protected(&plain, es256()), expect);

    let expect = concat!(
        r#"{"alg":"PS384","crit":["io.cncf.notary.signingScheme","#,
        r#""io.cncf.notary.authenticSigningTime","io.cncf.notary.expiry"],"#,
        r#""cty":"application/vnd.cncf.notary.payload.v1+json","#,
        r#""io.cncf.notary.authenticSigningTime":"2024-05-01T10:00:00Z","#,
        r#""io.cncf.notary.expiry":"2034-05-01T10:00:00Z","#,
        r#""io.cncf.notary.signingScheme":"notary.x509.signingAuthority"}"#,
    );
    let expiring = SignRequest {
        scheme: SigningScheme::X509SigningAuthority,
        expiry: Some("2034-05-01T10:00:00Z".parse().unwrap()),
        ..plain
    };
    assert_eq!(protected(&expiring, &LEAVES[4]), expect);
}

fn protected(request: &SignRequest<'_>, leaf: &CertifiedKey) -> String {
    let envelope: Value = serde_json::from_slice(&sign(request, leaf).unwrap()).unwrap();
    let protected = envelope["protected"].as_str().unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(protected).unwrap()).unwrap()
}

#[test]
fn accepts_headers_within_the_specification() {
    check("sound", &sound(), Ok(()));
    let time = |text: &'static str| move |header: &mut Value| header[SIGNING_TIME] = text.into();
    with("time with an offset", time("2024-05-01T18:00:00+08:00"), Ok(()));
    with("time with a fraction", time("2024-05-01T10:00:00.5Z"), Ok(()));
    let critical = |header: &mut Value| header["crit"] = json!([SIGNING_TIME, SIGNING_SCHEME]);
    with("signing time that is critical", critical, Ok(()));
    with("extended attribute of any type", |header| header["x"] = json!({"y": [1, null]}), Ok(()));
    with(
        "expires within the second",
        |header| {
            header[EXPIRY] = "2024-05-01T10:00:00.5Z".into();
            header["crit"] = json!([SIGNING_SCHEME, EXPIRY]);
        },
        Ok(()),
    );
    with(
        "never expires",
        |header| {
            header[EXPIRY] = "9999-12-31T23:59:59Z".into();
            header["crit"] = json!([SIGNING_SCHEME, EXPIRY]);
        },
        Ok(()),
    );
}

#[test]
fn rejects_wrong_algorithms_types_and_times() {
    use EnvelopeError as E;
    let set = |name: &'static str, value: Value| move |header: &mut Value| header[name] = value;
    for algorithm in ["none", "RS256", "HS256", "es256", "EdDSA", ""] {
        with(algorithm, set("alg", algorithm.into()), Err(E::UnsupportedAlgorithm));
    }
    with("another algorithm", set("alg", "ES384".into()), Err(E::AlgorithmMismatch));
    with("algorithm of a number", set("alg", json!(-7)), Err(E::UnsupportedAlgorithm));
    with("another payload", set("cty", "text/plain".into()), Err(E::ContentType));
    with("payload type of a number", set("cty", json!(1)), Err(E::Header("cty")));
    with(
        "another scheme",
        set(SIGNING_SCHEME, "notary.X509".into()),
        Err(E::Header(SIGNING_SCHEME)),
    );
    with("scheme of a number", set(SIGNING_SCHEME, json!(1)), Err(E::Header(SIGNING_SCHEME)));
    with("epoch time", set(SIGNING_TIME, json!(1_714_557_600)), Err(E::Header(SIGNING_TIME)));
    with("date", set(SIGNING_TIME, "2024-05-01".into()), Err(E::Header(SIGNING_TIME)));
    for (name, error) in [
        ("alg", E::MissingHeader("alg")),
        ("cty", E::ContentType),
        ("crit", E::Critical),
        (SIGNING_SCHEME, E::Critical),
        (SIGNING_TIME, E::MissingHeader(SIGNING_TIME)),
    ] {
        let remove = |header: &mut Value| {
            header.as_object_mut().unwrap().remove(name);
        };
        with(name, remove, Err(error));
    }
}

#[test]
fn rejects_critical_lists_that_lie() {
    use EnvelopeError::{Critical, NotCritical};
    let list = |names: &'static [&'static str]| {
        move |header: &mut Value| {
            header["crit"] = json!(names);
            header["x"] = "y".into();
        }
    };
    with("extended attribute", list(&[SIGNING_SCHEME, "x"]), Ok(()));
    with("empty", list(&[]), Err(Critical));
    with("one name twice", list(&[SIGNING_SCHEME, SIGNING_SCHEME]), Err(Critical));
    with("absent header", list(&[SIGNING_SCHEME, "absent"]), Err(Critical));
    for standard in ["alg", "cty", "crit"] {
        let list = |header: &mut Value| header["crit"] = json!([SIGNING_SCHEME, standard]);
        with(standard, list, Err(Critical));
    }
    with("without the scheme", list(&["x"]), Err(NotCritical(SIGNING_SCHEME)));
    with("text", |header| header["crit"] = SIGNING_SCHEME.into(), Err(Critical));
    with("number", |header| header["crit"] = json!([SIGNING_SCHEME, 1]), Err(Critical));
    let expiring = |header: &mut Value| header[EXPIRY] = "2034-05-01T10:00:00Z".into();
    with("expiry not critical", expiring, Err(NotCritical(EXPIRY)));
}

#[test]
fn rejects_the_time_of_the_other_scheme() {
    use EnvelopeError::{ForbiddenHeader, MissingHeader, NotCritical};
    let authority = |header: &mut Value| {
        header[SIGNING_SCHEME] = "notary.x509.signingAuthority".into();
        header[AUTHENTIC_SIGNING_TIME] = "2024-05-01T10:00:00Z".into();
        header["crit"] = json!([SIGNING_SCHEME, AUTHENTIC_SIGNING_TIME]);
        header.as_object_mut().unwrap().remove(SIGNING_TIME);
    };
    with("sound", authority, Ok(()));
    let both = |header: &mut Value| {
        authority(header);
        header[SIGNING_TIME] = "2024-05-01T10:00:00Z".into();
    };
    with("both under the authority", both, Err(ForbiddenHeader(SIGNING_TIME)));
    let x509 = |header: &mut Value| {
        both(header);
        header[SIGNING_SCHEME] = "notary.x509".into();
    };
    with("both under x509", x509, Err(ForbiddenHeader(AUTHENTIC_SIGNING_TIME)));
    let not_critical = |header: &mut Value| {
        authority(header);
        header["crit"] = json!([SIGNING_SCHEME]);
    };
    with("not critical", not_critical, Err(NotCritical(AUTHENTIC_SIGNING_TIME)));
    let none = |header: &mut Value| header[SIGNING_SCHEME] = "notary.x509.signingAuthority".into();
    with("none", none, Err(ForbiddenHeader(SIGNING_TIME)));
    let absent = |header: &mut Value| {
        authority(header);
        header["crit"] = json!([SIGNING_SCHEME]);
        header.as_object_mut().unwrap().remove(AUTHENTIC_SIGNING_TIME);
    };
    with("absent", absent, Err(MissingHeader(AUTHENTIC_SIGNING_TIME)));
}

#[test]
fn rejects_protected_headers_that_parsers_differ_on() {
    const MALFORMED: EnvelopeError = EnvelopeError::Malformed("flattened JSON web signature");
    let text = String::from_utf8(sound()).unwrap();
    let edit = |from: &str, to: &str| {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text);
        edited
    };
    let cases = [
        ("twice", edit("{", r#"{"alg":"ES256","#), MALFORMED),
        ("twice in two spellings", edit("{", r#"{"\u0061lg":"ES256","#), MALFORMED),
        ("another case", edit("{", r#"{"ALG":"ES256","#), EnvelopeError::ForbiddenHeader("alg")),
        (
            "another case of a Notary header",
            edit("{", r#"{"io.cncf.notary.Expiry":"2000-01-01T00:00:00Z","#),
            EnvelopeError::ForbiddenHeader(EXPIRY),
        ),
        ("in both headers", edit("{", r#"{"x5c":[],"#), MALFORMED),
        ("trailing data", format!("{text}{{}}"), MALFORMED),
        ("an array", format!("[{text}]"), MALFORMED),
        ("nothing", String::new(), MALFORMED),
    ];
    for (name, protected, expect) in cases {
        check(name, protected.as_bytes(), Err(expect));
    }
}

#[test]
fn stops_at_its_headers() {
    const MALFORMED: EnvelopeError = EnvelopeError::Malformed("flattened JSON web signature");
    let fill = |count: usize| {
        move |header: &mut Value| {
            for index in header.as_object().unwrap().len()..count {
                header[format!("x{index}")] = index.into();
            }
        }
    };
    with("the most", fill(HEADERS_MAX), Ok(()));
    with("one more", fill(HEADERS_MAX + 1), Err(MALFORMED));
    let deep = |levels: usize| {
        let protected = String::from_utf8(sound()).unwrap();
        let value = format!(r#"{{"x":{}{},"#, "[".repeat(levels), "]".repeat(levels));
        protected.replacen('{', &value, 1).into_bytes()
    };
    check("deepest", &deep(15), Ok(()));
    check("one level more", &deep(16), Err(MALFORMED));
}

#[test]
fn rejects_envelopes_of_another_shape() {
    const MALFORMED: EnvelopeError = EnvelopeError::Malformed("flattened JSON web signature");
    let bytes = sign(&request(Jws), es256()).unwrap();
    let sound: Value = serde_json::from_slice(&bytes).unwrap();
    let check = |name: &str, text: &str, expect: Result<(), EnvelopeError>| {
        assert_eq!(verify(Jws, text.as_bytes()).map(drop), expect, "{name}");
    };
    let with = |name: &str, change: &dyn Fn(&mut Value), expect| {
        let mut envelope = sound.clone();
        change(&mut envelope);
        check(name, &envelope.to_string(), expect);
    };
    let part = |name: &str| sound[name].as_str().unwrap().to_owned();
    with("sound", &|_| (), Ok(()));
    with("unknown unprotected member", &|jws| jws["header"]["x"] = json!([1]), Ok(()));
    check("whitespace between members", &serde_json::to_string_pretty(&sound).unwrap(), Ok(()));

    with("another member", &|jws| jws["x"] = json!(1), Err(MALFORMED));
    with("signatures", &|jws| jws["signatures"] = json!([]), Err(MALFORMED));
    for name in ["payload", "protected", "header", "signature"] {
        let remove = |jws: &mut Value| {
            jws.as_object_mut().unwrap().remove(name);
        };
        with(name, &remove, Err(MALFORMED));
        let text = sound.to_string();
        check(
            name,
            &text.replacen('{', &format!("{{\"{name}\":{},", sound[name]), 1),
            Err(MALFORMED),
        );
        let upper =
            text.replacen(&format!("\"{name}\""), &format!("\"{}\"", name.to_uppercase()), 1);
        check(name, &upper, Err(MALFORMED));
    }
    for name in ["payload", "protected", "signature"] {
        for suffix in ["=", "\n", " ", "+", "A"] {
            let changed = |jws: &mut Value| jws[name] = (part(name) + suffix).into();
            let mut envelope = sound.clone();
            changed(&mut envelope);
            assert!(verify(Jws, envelope.to_string().as_bytes()).is_err(), "{name} {suffix:?}");
        }
    }
    let compact = format!("{}.{}.{}", part("protected"), part("payload"), part("signature"));
    check("compact form", &compact, Err(MALFORMED));
    check("trailing data", &format!("{sound}{{}}"), Err(MALFORMED));
    let array = json!([part("payload"), part("protected"), sound["header"], part("signature")]);
    check("an array", &array.to_string(), Err(MALFORMED));
    with("no payload", &|jws| jws["payload"] = "".into(), Err(EnvelopeError::Empty));
    with("no signature", &|jws| jws["signature"] = "".into(), Err(EnvelopeError::Empty));
}

#[test]
fn rejects_malformed_unprotected_headers() {
    use EnvelopeError::{Certificate, Chain, ForbiddenHeader, Header, MissingHeader};
    const TOKEN: &str = "io.cncf.notary.timestampSignature";
    let sound: Value = serde_json::from_slice(&sign(&request(Jws), es256()).unwrap()).unwrap();
    let leaf = es256().certificate.der();
    let trailing = STANDARD.encode([leaf, &[0]].concat());
    let url_safe = URL_SAFE_NO_PAD.encode(leaf);
    let cases = [
        ("no chain", json!({}), MissingHeader("x5c")),
        ("empty chain", json!({"x5c": []}), Chain(ChainError::Empty)),
        ("chain of text", json!({"x5c": STANDARD.encode(leaf)}), Header("x5c")),
        ("long chain", json!({"x5c": vec![""; HEADERS_MAX]}), Chain(ChainError::TooLong)),
        ("longer list than any", json!({"x5c": vec![""; HEADERS_MAX + 1]}), Header("x5c")),
        ("chain of numbers", json!({"x5c": [1]}), Header("x5c")),
        ("another alphabet", json!({"x5c": [format!("{url_safe}_")]}), Header("x5c")),
        ("newline", json!({"x5c": [format!("{}\n", STANDARD.encode(leaf))]}), Header("x5c")),
        (
            "no certificate",
            json!({"x5c": [trailing]}),
            Certificate { position: 0, fault: CertificateError::Malformed },
        ),
        (
            "another case",
            json!({"X5c": [], "x5c": [STANDARD.encode(leaf)]}),
            ForbiddenHeader("x5c"),
        ),
        (
            "token in another case",
            json!({TOKEN.to_uppercase(): "", "x5c": [STANDARD.encode(leaf)]}),
            ForbiddenHeader(TOKEN),
        ),
        ("token of a number", json!({TOKEN: 1, "x5c": [STANDARD.encode(leaf)]}), Header(TOKEN)),
        (
            "token with a newline",
            json!({TOKEN: "AA==\n", "x5c": [STANDARD.encode(leaf)]}),
            Header(TOKEN),
        ),
    ];
    for (name, header, expect) in cases {
        let mut envelope = sound.clone();
        envelope["header"] = header;
        assert_eq!(verify(Jws, envelope.to_string().as_bytes()).unwrap_err(), expect, "{name}");
    }
}

#[test]
fn takes_unprotected_headers_that_decide_nothing() {
    let sound: Value = serde_json::from_slice(&sign(&request(Jws), es256()).unwrap()).unwrap();
    for (name, value) in [
        ("io.cncf.notary.SigningAgent", json!("Notation/1.0.0")),
        ("kid", json!("1")),
        ("x5u", json!({"a": [1, null]})),
    ] {
        let mut envelope = sound.clone();
        envelope["header"][name] = value;
        assert_eq!(verify(Jws, envelope.to_string().as_bytes()).err(), None, "{name}");
    }
}

#[test]
fn rejects_ecdsa_signatures_in_der() {
    let mut envelope: Value =
        serde_json::from_slice(&sign(&request(Jws), es256()).unwrap()).unwrap();
    let part = |name: &str| envelope[name].as_str().unwrap().to_owned();
    let input = format!("{}.{}", part("protected"), part("payload"));
    let key = &es256().key;
    let signature = key.sign(key.usual_algorithm(), input.as_bytes()).unwrap();
    envelope["signature"] = URL_SAFE_NO_PAD.encode(signature).into();
    let expect = EnvelopeError::Signature(SignatureError::Invalid);
    assert_eq!(verify(Jws, envelope.to_string().as_bytes()).unwrap_err(), expect);
}
