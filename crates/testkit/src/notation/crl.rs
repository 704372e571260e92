//! Certificate revocation lists, and certificates that name them (RFC 5280, sections 5 and 4.2.1.13).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use notation_rs::algorithm::KeyKind;
use notation_rs::signer::{
    CertificateTemplate, CertifiedKey, Pki, SignerError, SigningKey, algorithm_identifier, der,
};

/// A CRL by `issuer` that revokes nothing, from 2000 until `next_update`, which is before 2050.
///
/// # Errors
/// [`SignerError::Key`].
pub fn empty_crl(issuer: &CertifiedKey, next_update: Timestamp) -> Result<Vec<u8>, SignerError> {
    let algorithm = issuer.key.usual_algorithm();
    let identifier = algorithm_identifier(algorithm);
    let list = der::sequence(&[
        &der::unsigned(&[VERSION_2]),
        &identifier,
        issuer.certificate.subject_der(),
        &utc_time(super::VALIDITY[0]),
        &utc_time(next_update),
    ]);
    let signature = issuer.key.sign(algorithm, &list)?;
    Ok(der::sequence(&[&list, &identifier, &der::bits(&signature)]))
}

/// Has the CA of `pki` certify another key, the leaf's subject, with these addresses of CRLs.
///
/// # Errors
/// [`SignerError`], where none can be made.
pub fn name_crls(pki: &mut Pki, urls: &[&str]) -> Result<(), SignerError> {
    let names: Vec<_> = urls.iter().map(|url| der::element(URI, &[url.as_bytes()])).collect();
    let full_name = der::element(CONSTRUCTED_0, &[&names.concat()]);
    let point = der::sequence(&[&der::element(CONSTRUCTED_0, &[&full_name])]);
    let leaf = &pki.leaf.certificate;
    let mut template = CertificateTemplate::new(&[], leaf.not_before(), leaf.not_after());
    template.subject = leaf.subject_der().to_vec();
    pki.leaf = template
        .code_signing()
        .with_extension(CRL_DISTRIBUTION_POINTS, false, &der::sequence(&[&point]))
        .issued_by(&pki.intermediate, SigningKey::generate(KeyKind::P256)?)?;
    Ok(())
}

fn utc_time(time: Timestamp) -> Vec<u8> {
    let text = time.to_zoned(TimeZone::UTC).strftime("%y%m%d%H%M%SZ").to_string();
    der::element(UTC_TIME, &[text.as_bytes()])
}

/// Version 2, as it is written.
const VERSION_2: u8 = 1;

/// 2.5.29.31
const CRL_DISTRIBUTION_POINTS: &[u8] = b"\x55\x1d\x1f";

const UTC_TIME: u8 = 0x17;
const URI: u8 = 0x86;
const CONSTRUCTED_0: u8 = 0xa0;
