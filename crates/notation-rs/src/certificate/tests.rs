use super::*;
use crate::algorithm::KeyKind;
use crate::signer::{CertificateTemplate, CertifiedKey, SigningKey, der};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn template() -> CertificateTemplate {
    let mut template = CertificateTemplate::new(
        &[("C", "US"), ("CN", "one")],
        at("2024-05-01T10:00:00Z"),
        at("2055-05-01T10:00:00Z"),
    )
    .code_signing();
    template.serial = vec![0x7f, 2, 3];
    template
}

fn made(template: &CertificateTemplate) -> Result<Certificate, CertificateError> {
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    match template.self_signed(key) {
        Ok(CertifiedKey { certificate, .. }) => Ok(certificate),
        Err(crate::signer::SignerError::Certificate(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn reads_every_part() {
    let certificate = made(&template()).unwrap();
    assert_eq!(certificate.version(), 3);
    assert_eq!(certificate.serial(), [0x7f, 2, 3]);
    assert_eq!(certificate.subject_der(), template().subject);
    assert_eq!(certificate.issuer_der(), certificate.subject_der());
    assert_eq!(certificate.not_before(), template().not_before);
    assert_eq!(certificate.not_after(), template().not_after);
    assert_eq!(certificate.public_key().unwrap().kind(), KeyKind::P256);
    assert_eq!(certificate.public_key_bits().len(), 65);
    assert!(certificate.spki_der().ends_with(certificate.public_key_bits()));
    assert!(certificate.extension(&[0x55, 0x1d, 0x0f]).is_some_and(|(critical, _)| critical));
    assert!(certificate.extension(&[0x55, 0x1d, 0x25]).is_some_and(|(critical, _)| !critical));
    assert_eq!(certificate.extension(&[0x55, 0x1d, 0x13]), None);
    assert!(certificate.is_self_signed());
    assert_eq!(Certificate::from_der(certificate.der()).unwrap(), certificate);
}

#[test]
fn is_valid_from_the_first_second_to_the_last() {
    let certificate = made(&template()).unwrap();
    let cases = [
        ("2024-05-01T09:59:59Z", false),
        ("2024-05-01T10:00:00Z", true),
        ("2055-05-01T10:00:00Z", true),
        ("2055-05-01T10:00:00.000000001Z", false),
    ];
    for (time, expect) in cases {
        assert_eq!(certificate.is_valid_at(at(time)), expect, "{time}");
    }
}

#[test]
fn rejects_what_is_malformed() {
    let good = made(&template()).unwrap();
    let trailing = [good.der(), &[0]].concat();
    let mut twice = template();
    twice.extensions.push(twice.extensions[0].clone());
    let mut no_serial = template();
    no_serial.serial.clear();
    let der = |bytes: &[u8]| Certificate::from_der(bytes);
    assert_eq!(der(&trailing), Err(CertificateError::Malformed));
    assert_eq!(der(&good.der()[1..]), Err(CertificateError::Malformed));
    assert_eq!(der(&[]), Err(CertificateError::Malformed));
    assert_eq!(made(&twice), Err(CertificateError::DuplicateExtension));
    assert_eq!(made(&no_serial), Err(CertificateError::Malformed));
}

#[test]
fn rejects_serial_numbers_that_have_another_spelling() {
    let cases: [(&[u8], bool); 7] = [
        (&[0], true),
        (&[0, 0x80], true),
        (&[0x80], true),
        (&[0xff, 0x7f], true),
        (&[0, 0x7f], false),
        (&[0, 0], false),
        (&[0xff, 0x80], false),
    ];
    for (serial, expect) in cases {
        let certificate = made(&CertificateTemplate { serial: serial.to_vec(), ..template() });
        assert_eq!(certificate.is_ok(), expect, "{serial:02x?}");
    }
}

/// A certificate of version `version` (0 is 1) whose outer algorithm is `outer`.
fn rewritten(
    good: &Certificate,
    version: u8,
    outer: &[u8],
) -> Result<Certificate, CertificateError> {
    let mut outer_fields = crate::der::only(SEQUENCE, good.der()).unwrap().reader();
    let tbs = outer_fields.any().unwrap();
    let algorithm = outer_fields.any().unwrap().whole;
    let signature = outer_fields.any().unwrap().whole;
    let mut fields = tbs.reader();
    fields.any().unwrap();
    let mut parts = vec![der::element(0xa0, &[&der::unsigned(&[version])])];
    while !fields.is_empty() {
        parts.push(fields.any().unwrap().whole.to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let outer = if outer.is_empty() { algorithm } else { outer };
    Certificate::from_der(der::sequence(&[&der::sequence(&parts), outer, signature]))
}

#[test]
fn rejects_extensions_before_version_3_and_two_algorithms() {
    let good = made(&template()).unwrap();
    assert_eq!(rewritten(&good, 2, &[]).unwrap().der(), good.der());
    assert_eq!(rewritten(&good, 1, &[]), Err(CertificateError::Malformed));
    assert_eq!(rewritten(&good, 3, &[]), Err(CertificateError::Malformed));
    // ecdsa-with-SHA384 outside, ecdsa-with-SHA256 inside.
    let other = der::sequence(&[&der::oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x03")]);
    assert_eq!(rewritten(&good, 2, &other), Err(CertificateError::Malformed));
}

#[test]
fn stops_at_its_bounds() {
    let with = |extensions: usize| {
        let mut template = template();
        let number = |index| u8::try_from(index).unwrap();
        template.extensions =
            (0..extensions).map(|index| (vec![0x2a, number(index)], false, vec![5, 0])).collect();
        made(&template)
    };
    assert!(with(EXTENSIONS_MAX).is_ok());
    assert_eq!(with(EXTENSIONS_MAX + 1), Err(CertificateError::TooLarge));

    let padded = |bytes: usize| {
        let template = template();
        made(&template.with_extension(&[0x2a, 3], false, &vec![0; bytes]))
    };
    let room = (CERTIFICATE_BYTES_MAX - 2000..).find(|bytes| padded(*bytes).is_err()).unwrap();
    // ECDSA signatures differ by some bytes in length.
    assert_eq!(padded(room + 8), Err(CertificateError::TooLarge));
    assert!(padded(room - 8).unwrap().der().len() > CERTIFICATE_BYTES_MAX - 16);
}

#[test]
fn rejects_every_flipped_bit_of_a_self_signed_certificate() {
    let good = made(&template()).unwrap();
    let accepted: Vec<usize> = (0..good.der().len() * 8)
        .filter(|bit| {
            let mut der = good.der().to_vec();
            der[bit / 8] ^= 1 << (bit % 8);
            Certificate::from_der(der).is_ok_and(|flipped| flipped.is_self_signed())
        })
        .collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}
