//! One signer of a token: which certificate it means, whether that is trusted, and whether it
//! signed these contents (RFC 5652, section 5.4; RFC 5816).

use jiff::Timestamp;

use super::cms::{EssCertificateId, IssuerAndSerial, SignerInfo};
use super::{TimestampError, malformed, path};
use crate::algorithm::{Hash, SignatureAlgorithm, SignatureError};
use crate::asn1::SET;
use crate::certificate::Certificate;
use crate::chain::check_chain;
use crate::der::{self, OCTET_STRING, OID, Reader};
use crate::oids;
use crate::profile::Purpose;

/// What all signers of a token share.
pub(super) struct Token<'a> {
    pub(super) certificates: &'a [Certificate],
    pub(super) content: &'a [u8],
    pub(super) time: Timestamp,
}

/// The chain of `signer`, its certificate first and one of `roots` last, if it signed the token; found
/// with at most `checks_left` checks of signatures.
pub(super) fn verify(
    signer: &SignerInfo<'_>,
    token: &Token<'_>,
    roots: &[Certificate],
    checks_left: &mut usize,
) -> Result<Vec<Certificate>, TimestampError> {
    let certificate = signing_certificate(signer, token.certificates)?;
    check_contents(signer, token.content)?;
    check_signature(signer, certificate).map_err(TimestampError::Signature)?;
    let chain = path::find(certificate, token.certificates, roots, token.time, checks_left)
        .ok_or(TimestampError::Untrusted)?;
    check_chain(&chain, Purpose::Timestamping).map_err(TimestampError::Chain)?;
    check_signing_time(signer, &chain)?;
    Ok(chain)
}

/// The certificate that the signed attribute `signingCertificateV2` names. Without that attribute
/// the signer may claim one key under any certificate, so version 1 (SHA-1) does not do.
fn signing_certificate<'a>(
    signer: &SignerInfo<'_>,
    certificates: &'a [Certificate],
) -> Result<&'a Certificate, TimestampError> {
    let missing = TimestampError::SigningCertificate;
    let malformed_id = malformed("signing certificate attribute");
    if signer.version != 1 {
        return Err(missing);
    }
    let value = signer.attribute(oids::SIGNING_CERTIFICATE_V2).map_err(&malformed_id)?;
    let id = EssCertificateId::parse(value.ok_or(missing.clone())?).map_err(&malformed_id)?;
    let wanted = match id.issuer_and_serial {
        Some(wanted) => wanted,
        None => {
            IssuerAndSerial::parse(signer.identifier).map_err(malformed("signer identifier"))?
        }
    };
    let certificate = certificates
        .iter()
        .find(|one| one.issuer_der() == wanted.issuer && one.serial() == wanted.serial)
        .ok_or(missing.clone())?;
    let hash = Hash::from_oid(id.hash_algorithm).ok_or(missing.clone())?;
    if hash.digest(certificate.der()) == id.hash { Ok(certificate) } else { Err(missing) }
}

/// Refuses attributes that do not say "a timestamp, with these contents".
fn check_contents(signer: &SignerInfo<'_>, content: &[u8]) -> Result<(), TimestampError> {
    let part = malformed("signed attribute");
    let read = |oid, tag| match signer.attribute(oid)? {
        Some(value) => der::only(tag, value).map(|element| Some(element.content)),
        None => Ok(None),
    };
    let content_type = read(oids::CONTENT_TYPE, OID).map_err(&part)?;
    let message_digest = read(oids::MESSAGE_DIGEST, OCTET_STRING).map_err(&part)?;
    let digest = Hash::from_oid(signer.digest_algorithm).map(|hash| hash.digest(content));
    let same = digest.is_some() && digest.as_deref() == message_digest;
    if same && content_type == Some(oids::TST_INFO) {
        Ok(())
    } else {
        Err(TimestampError::Contents)
    }
}

/// Checks the signature over the attributes as they were received, under the tag of a SET in place
/// of the one that they have in the token (RFC 5652, section 5.4).
fn check_signature(
    signer: &SignerInfo<'_>,
    certificate: &Certificate,
) -> Result<(), SignatureError> {
    let attributes = signer.signed_attributes.ok_or(SignatureError::Malformed)?;
    let message = match attributes.split_first() {
        Some((_, rest)) => [&[SET], rest].concat(),
        None => return Err(SignatureError::Malformed),
    };
    let algorithm = signature_algorithm(signer)?;
    certificate.public_key()?.verify(algorithm, &message, signer.signature)
}

/// The algorithm of the signature. `rsaEncryption` alone names no hash: it is PKCS#1 v1.5 with the
/// signer's digest algorithm (RFC 3370, section 3.2).
fn signature_algorithm(signer: &SignerInfo<'_>) -> Result<SignatureAlgorithm, SignatureError> {
    let mut reader = Reader::new(signer.signature_algorithm);
    match reader.algorithm() {
        Ok(oids::RSA_ENCRYPTION) => Hash::from_oid(signer.digest_algorithm)
            .map(SignatureAlgorithm::RsaPkcs1)
            .ok_or(SignatureError::UnsupportedAlgorithm),
        _ => SignatureAlgorithm::from_identifier(signer.signature_algorithm),
    }
}

/// Refuses a signing time, where the signer names one, outside the validity of a certificate.
fn check_signing_time(
    signer: &SignerInfo<'_>,
    chain: &[Certificate],
) -> Result<(), TimestampError> {
    let part = malformed("signing time");
    let Some(value) = signer.attribute(oids::SIGNING_TIME).map_err(&part)? else { return Ok(()) };
    let time = Reader::new(value).time().map_err(&part)?;
    if chain.iter().all(|certificate| certificate.is_valid_at(time)) {
        Ok(())
    } else {
        Err(TimestampError::SigningTime)
    }
}
