//! OCSP: requests, what an answer must be, and who may sign it.

use super::chains::Memory;
use super::*;

fn pki() -> Pki {
    Pki::new(vec![authority_information(&[OCSP_URL])])
}

fn check_response(spec: &OcspSpec) -> CertificateStatus {
    let pki = pki();
    let response = spec.sign(&pki, &pki.root_key, &[]);
    pki.status(&Net::new(vec![(OCSP_URL, response)]))
}

#[test]
fn takes_the_answer_of_a_responder() {
    let unknown_to_it = OcspSpec { status: tlv(0x82, &[]), ..OcspSpec::default() };
    assert_eq!(check_response(&OcspSpec::default()), CertificateStatus::Good);
    let hash = Some(Hash::Sha256);
    let other_hash = OcspSpec { hash_algorithm: oids::SHA256, hash, ..OcspSpec::default() };
    assert_eq!(check_response(&other_hash), CertificateStatus::Good);
    assert_eq!(check_response(&OcspSpec::revoked()), CertificateStatus::Revoked);
    assert_eq!(check_response(&unknown_to_it), unknown(RevocationError::UnknownToResponder));
}

#[test]
fn rejects_answers_that_differ_in_one_fact() {
    use RevocationError::{
        CriticalExtension, Expired, Malformed, NoNextUpdate, NotYetValid, OtherCertificate,
        ResponseStatus,
    };
    let critical = || vec![extension(b"\x2a\x03", true, b"")];
    let good = OcspSpec::default;
    let cases: Vec<(&str, OcspSpec, RevocationError)> = vec![
        ("tryLater", OcspSpec { response_status: 3, ..good() }, ResponseStatus(3)),
        (
            "other type",
            OcspSpec { response_type: oids::OCSP, ..good() },
            Malformed("OCSP response"),
        ),
        ("other serial", OcspSpec { serial: 1, ..good() }, OtherCertificate),
        ("other issuer name", OcspSpec { issuer_name: Some("Boot"), ..good() }, OtherCertificate),
        ("other issuer key", OcspSpec { issuer_key: Some(b"key"), ..good() }, OtherCertificate),
        (
            "hash under another name",
            OcspSpec { hash_algorithm: oids::SHA256, ..good() },
            OtherCertificate,
        ),
        (
            "name under another hash",
            OcspSpec { hash: Some(Hash::Sha256), ..good() },
            OtherCertificate,
        ),
        ("no answer", OcspSpec { singles: 0, ..good() }, OtherCertificate),
        ("two answers", OcspSpec { singles: 2, ..good() }, Malformed("OCSP response")),
        ("no nextUpdate", OcspSpec { next_update: None, ..good() }, NoNextUpdate),
        ("expired", OcspSpec { next_update: Some("20250601115959Z"), ..good() }, Expired),
        ("from the future", OcspSpec { this_update: "20250601120501Z", ..good() }, NotYetValid),
        (
            "critical extension of the answer",
            OcspSpec { single_extensions: critical(), ..good() },
            CriticalExtension,
        ),
        (
            "critical extension of the response",
            OcspSpec { response_extensions: critical(), ..good() },
            CriticalExtension,
        ),
        (
            "unheard-of status",
            OcspSpec { status: tlv(0x83, &[]), ..good() },
            Malformed("OCSP response"),
        ),
    ];
    for (name, spec, expect) in cases {
        assert_eq!(check_response(&spec), unknown(expect), "{name}");
    }
}

#[test]
fn accepts_answers_at_the_bounds_of_their_time() {
    let cases = [
        ("this update now, by a clock ahead", "20250601120500Z", "20250601130000Z"),
        ("next update now", "20250601110000Z", "20250601120000Z"),
    ];
    for (name, this_update, next_update) in cases {
        let spec = OcspSpec { this_update, next_update: Some(next_update), ..OcspSpec::default() };
        assert_eq!(check_response(&spec), CertificateStatus::Good, "{name}");
    }
}

#[test]
fn takes_a_certificate_as_good_before_it_became_invalid() {
    let spec = OcspSpec {
        single_extensions: vec![invalidity_date("20250601080000Z")],
        ..OcspSpec::revoked()
    };
    let pki = pki();
    let net = Net::new(vec![(OCSP_URL, spec.sign(&pki, &pki.root_key, &[]))]);
    let cases = [
        (Some("2025-06-01T07:59:59Z"), CertificateStatus::Good),
        (Some("2025-06-01T08:00:00Z"), CertificateStatus::Revoked),
        (None, CertificateStatus::Revoked),
    ];
    for (signed, expect) in cases {
        assert_eq!(pki.status_at(&net, NOW, signed), expect, "{signed:?}");
    }
}

/// A good answer that is signed by a certificate with these extensions.
fn delegated(
    issuer_key: Option<&Key>,
    extensions: Vec<Vec<u8>>,
    validity: (&'static str, &'static str),
    crl: Option<CrlSpec>,
) -> (Pki, Net) {
    let pki = pki();
    let key = Key::new();
    let fields =
        Fields { subject: "Responder", issuer: "Root", serial: vec![77], validity, extensions };
    let responder = test_pki::certificate(&fields, &key, issuer_key.unwrap_or(&pki.root_key));
    let mut answers = vec![(OCSP_URL, OcspSpec::default().sign(&pki, &key, &[&responder]))];
    answers.extend(crl.map(|crl| (CRL_URL, crl.sign(&pki.root_key))));
    (pki, Net::new(answers))
}

/// The extensions of a responder that names a CRL, and more of them.
fn responder_with_crl(more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let signing = test_pki::extended_key_usage(false, &[oids::OCSP_SIGNING]);
    [&[signing, distribution_points(&[CRL_URL])], more].concat()
}

/// A CRL that has the responder on it.
fn revoking_crl() -> CrlSpec {
    CrlSpec { entries: vec![entry(77, "250101000000Z", &[])], ..CrlSpec::default() }
}

#[test]
fn accepts_only_responders_that_the_issuer_certified_for_this() {
    let signing = || test_pki::extended_key_usage(false, &[oids::OCSP_SIGNING]);
    let other = || test_pki::extended_key_usage(false, &[crate::profile::TIME_STAMPING]);
    let over = ("240101000000Z", "250601115959Z");
    let refused = unknown(RevocationError::Responder);
    let stranger = Key::new();
    let cases = [
        ("certified", None, vec![signing()], VALIDITY, CertificateStatus::Good),
        ("other purpose", None, vec![other()], VALIDITY, refused.clone()),
        ("no purpose", None, vec![], VALIDITY, refused.clone()),
        ("expired", None, vec![signing()], over, refused.clone()),
        ("by another CA", Some(&stranger), vec![signing()], VALIDITY, refused),
    ];
    for (name, issuer_key, extensions, validity, expect) in cases {
        let (pki, net) = delegated(issuer_key, extensions, validity, None);
        assert_eq!(pki.status(&net), expect, "{name}");
    }
}

#[test]
fn asks_the_crl_of_a_responder_unless_the_ca_says_not_to() {
    let no_check = extension(oids::OCSP_NO_CHECK, false, &[5, 0]);
    let missing = unknown(RevocationError::Fetch(FetchError::Status(404)));
    let cases = [
        ("not revoked", vec![], Some(CrlSpec::default()), CertificateStatus::Good),
        ("revoked", vec![], Some(revoking_crl()), unknown(RevocationError::Responder)),
        ("no CRL", vec![], None, missing),
        ("revoked, not asked", vec![no_check], Some(revoking_crl()), CertificateStatus::Good),
    ];
    for (name, more, crl, expect) in cases {
        let (pki, net) = delegated(None, responder_with_crl(&more), VALIDITY, crl);
        assert_eq!(pki.status(&net), expect, "{name}");
    }
}

#[test]
fn keeps_no_answer_of_a_revoked_responder() {
    for (name, crl, expect) in [("good", CrlSpec::default(), 2), ("revoked", revoking_crl(), 1)] {
        let (pki, net) = delegated(None, responder_with_crl(&[]), VALIDITY, Some(crl));
        let cache = Memory::default();
        let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &cache };
        check(&pki.chain(), Purpose::CodeSigning, &context).now_or_never().unwrap().unwrap();
        assert_eq!(cache.0.lock().unwrap().len(), expect, "{name}");
    }
}

#[test]
fn rejects_an_answer_signed_by_nobody_known() {
    let pki = pki();
    let response = OcspSpec::default().sign(&pki, &Key::new(), &[]);
    let invalid = unknown(RevocationError::Signature(SignatureError::Invalid));
    assert_eq!(pki.status(&Net::new(vec![(OCSP_URL, response)])), invalid);
    let embedded = OcspSpec::default().sign(&pki, &Key::new(), &[&pki.root]);
    assert_eq!(pki.status(&Net::new(vec![(OCSP_URL, embedded)])), invalid);
}

#[test]
fn rejects_every_flipped_bit_of_an_answer() {
    let pki = pki();
    let response = OcspSpec::default().sign(&pki, &pki.root_key, &[]);
    let id = CertificateId::new(&pki.leaf, &pki.root);
    assert!(OcspAnswer::verify(&response, &id, &pki.root).is_ok());
    for bit in 0..response.len() * 8 {
        let mut flipped = response.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(OcspAnswer::verify(&flipped, &id, &pki.root).is_err(), "bit {bit}");
    }
}

#[test]
fn asks_with_get_while_the_request_is_short_and_posts_otherwise() {
    let request = CertificateId::new(&pki().leaf, &pki().root).request().unwrap();
    let url = ocsp::get_url("http://ocsp.test/", &request).unwrap();
    assert!(url.starts_with("http://ocsp.test/ME"), "{url}");
    assert!(!url["http://ocsp.test/".len()..].contains(['+', '/', '=']), "{url}");
    let escaped = |bytes: usize| ocsp::get_url("http://a", &vec![0; bytes]).map(|url| url.len());
    // 189 bytes are 252 characters without padding; one more is 256 with it, escaped to more.
    assert_eq!(escaped(189), Some("http://a/".len() + 252));
    assert_eq!(escaped(190), None);
}

/// A leaf whose serial number has this many bytes, as many as can be that a URL must escape.
fn with_serial(pki: &Pki, bytes: usize) -> Certificate {
    let fields = Fields {
        subject: "Leaf",
        issuer: "Root",
        serial: [&[0x7f_u8][..], &vec![0xff; bytes - 1]].concat(),
        validity: VALIDITY,
        extensions: vec![test_pki::key_usage(0x80), authority_information(&[OCSP_URL])],
    };
    test_pki::certificate(&fields, &Key::new(), &pki.root_key)
}

#[test]
fn refuses_serial_numbers_past_62_bytes() {
    let pki = pki();
    let request = |bytes| {
        let leaf = with_serial(&pki, bytes);
        CertificateId::new(&leaf, &pki.root).request()
    };
    let longest = request(62).unwrap();
    assert!(crate::der::only(0x30, &longest).is_ok());
    assert_eq!(longest.len(), 129);
    assert_eq!(request(63), Err(RevocationError::Malformed("serial number")));
}

#[test]
fn sends_requests_by_the_method_for_their_length() {
    for (bytes, posted) in [(20, false), (62, true)] {
        let mut pki = pki();
        pki.leaf = with_serial(&pki, bytes);
        let net = Net::default();
        pki.status(&net);
        assert_eq!(net.asked().len(), 1);
        assert_eq!(net.asked()[0] == format!("POST {OCSP_URL}"), posted, "{:?}", net.asked());
    }
}
