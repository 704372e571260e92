//! CRLs and their deltas.

use super::*;

fn pki() -> Pki {
    Pki::new(vec![distribution_points(&[CRL_URL])])
}

fn check_crl(spec: &CrlSpec) -> CertificateStatus {
    let pki = pki();
    pki.status(&Net::new(vec![(CRL_URL, spec.sign(&pki.root_key))]))
}

fn revoked(extensions: &[Vec<u8>]) -> CrlSpec {
    let entries =
        vec![entry(1, "250101000000Z", &[]), entry(LEAF_SERIAL, "250201000000Z", extensions)];
    CrlSpec { entries, ..CrlSpec::default() }
}

fn issuing_point(fields: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![extension(oids::ISSUING_DISTRIBUTION_POINT, true, &sequence(&[&fields.concat()]))]
}

#[test]
fn tells_revoked_certificates_from_good_ones() {
    let others = CrlSpec { entries: vec![entry(1, "250101000000Z", &[])], ..CrlSpec::default() };
    let cases = [
        ("empty list", CrlSpec::default(), CertificateStatus::Good),
        ("others only", others, CertificateStatus::Good),
        ("no reason", revoked(&[]), CertificateStatus::Revoked),
        ("compromised", revoked(&[reason(1)]), CertificateStatus::Revoked),
        ("on hold", revoked(&[reason(6)]), CertificateStatus::Revoked),
        ("released", revoked(&[reason(8)]), CertificateStatus::Good),
        ("unheard-of reason", revoked(&[reason(99)]), CertificateStatus::Revoked),
    ];
    for (name, spec, expect) in cases {
        assert_eq!(check_crl(&spec), expect, "{name}");
    }
}

#[test]
fn rejects_lists_that_differ_in_one_fact() {
    use RevocationError::{
        CriticalExtension, DeltaCrl, Expired, Malformed, NoNextUpdate, NotYetValid, OtherIssuer,
        Scope,
    };
    let with = |extensions| CrlSpec { extensions, ..CrlSpec::default() };
    let flag = |number: u8| tlv(0x80 | number, &[&[0xff]]);
    let elsewhere = tlv(0xa0, &[&full_name("http://ca.test/other")]);
    let invalid = RevocationError::Signature(SignatureError::Invalid);
    let cases: Vec<(&str, CrlSpec, RevocationError)> = vec![
        ("version 1", CrlSpec { version: 0, ..CrlSpec::default() }, Malformed("CRL")),
        ("other issuer", CrlSpec { issuer: "Boot", ..CrlSpec::default() }, OtherIssuer),
        ("other key", CrlSpec { other_key: true, ..CrlSpec::default() }, invalid),
        ("no nextUpdate", CrlSpec { next_update: None, ..CrlSpec::default() }, NoNextUpdate),
        ("expired", CrlSpec { next_update: Some("250601115959Z"), ..CrlSpec::default() }, Expired),
        (
            "from the future",
            CrlSpec { this_update: "250601120501Z", ..CrlSpec::default() },
            NotYetValid,
        ),
        ("unknown critical", with(vec![extension(b"\x2a\x03", true, b"")]), CriticalExtension),
        ("delta as base", with(delta_extensions(2, 1)), DeltaCrl),
        ("CAs only", with(issuing_point(&[flag(2)])), Scope),
        ("some reasons", with(issuing_point(&[tlv(0x83, &[&[1, 2]])])), Scope),
        ("indirect", with(issuing_point(&[flag(4)])), Scope),
        ("attribute certificates", with(issuing_point(&[flag(5)])), Scope),
        ("another part", with(issuing_point(&[elsewhere])), Scope),
        (
            "unknown critical of the entry",
            revoked(&[extension(b"\x2a\x03", true, b"")]),
            CriticalExtension,
        ),
    ];
    for (name, spec, expect) in cases {
        assert_eq!(check_crl(&spec), unknown(expect), "{name}");
    }
}

#[test]
fn accepts_lists_that_cover_the_certificate() {
    let own = tlv(0xa0, &[&full_name(CRL_URL)]);
    let with = |extensions| CrlSpec { extensions, ..CrlSpec::default() };
    let late =
        |this_update, next_update| CrlSpec { this_update, next_update, ..CrlSpec::default() };
    let cases = [
        ("users only", with(issuing_point(&[tlv(0x81, &[&[0xff]])]))),
        ("this part", with(issuing_point(&[own]))),
        ("unknown extension", with(vec![extension(b"\x2a\x03", false, b"")])),
        ("this update now, by a clock ahead", late("250601120500Z", Some("250601130000Z"))),
        ("next update now", late("250601110000Z", Some("250601120000Z"))),
    ];
    for (name, spec) in cases {
        assert_eq!(check_crl(&spec), CertificateStatus::Good, "{name}");
    }
}

#[test]
fn rejects_a_list_for_users_about_a_ca() {
    let key = Key::new();
    let root = certificate("Root", 1, ca_extensions(), &key, &key);
    let ca = [ca_extensions(), vec![distribution_points(&[CRL_URL])]].concat();
    let ca = certificate("CA", 2, ca, &Key::new(), &key);
    for (number, expect) in [(1, Err(RevocationError::Scope)), (2, Ok(()))] {
        let flag = tlv(0x80 | number, &[&[0xff]]);
        let extensions = issuing_point(&[flag]);
        let list = CrlSpec { extensions, ..CrlSpec::default() }.sign(&key);
        let list = crl::Crl::parse(&list).unwrap();
        assert!(list.check(&root, at(NOW)).is_ok());
        assert_eq!(list.covers(&ca, &[CRL_URL.as_bytes()]), expect);
    }
}

#[test]
fn rejects_a_list_by_an_issuer_that_may_not_sign_any() {
    let cases = [
        ("keyCertSign only", 0x04, unknown(RevocationError::NoCrlSigner)),
        ("cRLSign too", 0x06, CertificateStatus::Good),
    ];
    for (name, usage, expect) in cases {
        let root = vec![test_pki::basic_constraints(true), test_pki::key_usage(usage)];
        let pki = Pki::with_root(root, vec![distribution_points(&[CRL_URL])]);
        let net = Net::new(vec![(CRL_URL, CrlSpec::default().sign(&pki.root_key))]);
        assert_eq!(pki.status(&net), expect, "{name}");
    }
}

#[test]
fn takes_a_certificate_as_good_before_it_became_invalid() {
    let pki = pki();
    let spec = revoked(&[reason(1), invalidity_date("20250601080000Z")]);
    let net = Net::new(vec![(CRL_URL, spec.sign(&pki.root_key))]);
    let cases = [
        (Some("2025-06-01T07:59:59Z"), CertificateStatus::Good),
        (Some("2025-06-01T08:00:00Z"), CertificateStatus::Revoked),
        (None, CertificateStatus::Revoked),
    ];
    for (signed, expect) in cases {
        assert_eq!(pki.status_at(&net, NOW, signed), expect, "{signed:?}");
    }
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    extension(id, id == oids::DELTA_CRL_INDICATOR, &integer(value))
}

fn delta_extensions(own: u64, made_for: u64) -> Vec<Vec<u8>> {
    vec![number(oids::CRL_NUMBER, own), number(oids::DELTA_CRL_INDICATOR, made_for)]
}

/// The status by a base of number 5 with `entries` and a delta.
fn check_delta(entries: &[Vec<u8>], delta: Option<&CrlSpec>) -> CertificateStatus {
    let pki = pki();
    let base = CrlSpec {
        entries: entries.to_vec(),
        extensions: vec![number(oids::CRL_NUMBER, 5), points(oids::FRESHEST_CRL, &[DELTA_URL])],
        ..CrlSpec::default()
    };
    let mut answers = vec![(CRL_URL, base.sign(&pki.root_key))];
    answers.extend(delta.map(|delta| (DELTA_URL, delta.sign(&pki.root_key))));
    pki.status(&Net::new(answers))
}

#[test]
fn adds_what_a_delta_says() {
    let hold = entry(LEAF_SERIAL, "250201000000Z", &[reason(6)]);
    let released_later = entry(LEAF_SERIAL, "250301000000Z", &[reason(8)]);
    let released_then = entry(LEAF_SERIAL, "250201000000Z", &[reason(8)]);
    let compromised = entry(LEAF_SERIAL, "250301000000Z", &[reason(1)]);
    let (good, revoked) = (CertificateStatus::Good, CertificateStatus::Revoked);
    let cases = [
        ("nothing", vec![], vec![], good.clone()),
        ("revoked since", vec![], vec![compromised.clone()], revoked.clone()),
        ("held since", vec![], vec![hold.clone()], revoked.clone()),
        ("released since", vec![hold.clone()], vec![released_later], good),
        (
            "released at the time of the hold",
            vec![hold.clone()],
            vec![released_then.clone()],
            revoked.clone(),
        ),
        ("revoked after a hold", vec![hold], vec![compromised.clone()], revoked.clone()),
        ("no way back", vec![compromised], vec![released_then], revoked),
    ];
    for (name, base, entries, expect) in cases {
        let delta = CrlSpec { entries, extensions: delta_extensions(6, 5), ..CrlSpec::default() };
        assert_eq!(check_delta(&base, Some(&delta)), expect, "{name}");
    }
}

#[test]
fn rejects_deltas_that_do_not_belong_to_the_base() {
    use RevocationError::{DeltaCrl, Expired, OtherIssuer};
    let with = |own, made_for| CrlSpec {
        extensions: delta_extensions(own, made_for),
        ..CrlSpec::default()
    };
    let scoped = [delta_extensions(6, 5), issuing_point(&[tlv(0x81, &[&[0xff]])])].concat();
    let no_indicator = vec![number(oids::CRL_NUMBER, 6)];
    let no_number = vec![number(oids::DELTA_CRL_INDICATOR, 5)];
    let cases = [
        ("made for an older base", with(6, 4), Ok(())),
        ("number of two bytes", with(0x100, 5), Ok(())),
        ("made for a newer base", with(7, 6), Err(DeltaCrl)),
        ("no newer than the base", with(5, 5), Err(DeltaCrl)),
        ("other scope", CrlSpec { extensions: scoped, ..CrlSpec::default() }, Err(DeltaCrl)),
        ("no indicator", CrlSpec { extensions: no_indicator, ..CrlSpec::default() }, Err(DeltaCrl)),
        ("no number", CrlSpec { extensions: no_number, ..CrlSpec::default() }, Err(DeltaCrl)),
        ("expired", CrlSpec { next_update: Some("250601115959Z"), ..with(6, 5) }, Err(Expired)),
        ("other issuer", CrlSpec { issuer: "Boot", ..with(6, 5) }, Err(OtherIssuer)),
        (
            "other key",
            CrlSpec { other_key: true, ..with(6, 5) },
            Err(RevocationError::Signature(SignatureError::Invalid)),
        ),
    ];
    for (name, delta, expect) in cases {
        let expect = expect.map_or_else(unknown, |()| CertificateStatus::Good);
        assert_eq!(check_delta(&[], Some(&delta)), expect, "{name}");
    }
    let missing = unknown(RevocationError::Fetch(FetchError::Status(404)));
    assert_eq!(check_delta(&[], None), missing);
}

#[test]
fn rejects_a_base_without_the_delta_that_the_certificate_names() {
    let freshest = points(oids::FRESHEST_CRL, &[DELTA_URL]);
    let pki = Pki::new(vec![distribution_points(&[CRL_URL]), freshest]);
    let net = Net::new(vec![(CRL_URL, CrlSpec::default().sign(&pki.root_key))]);
    assert_eq!(pki.status(&net), unknown(RevocationError::NoDeltaCrl));
}

#[test]
fn rejects_every_flipped_bit_of_a_list() {
    let pki = pki();
    let bytes = revoked(&[reason(1)]).sign(&pki.root_key);
    assert!(crl::Crl::parse(&bytes).unwrap().check(&pki.root, at(NOW)).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let checked = crl::Crl::parse(&flipped).and_then(|list| list.check(&pki.root, at(NOW)));
        assert!(checked.is_err(), "bit {bit}");
    }
}
