//! OCSP (RFC 6960): one question about one certificate, asked without a nonce so that responders
//! may answer from their caches, and the answer checked in full.

use aws_lc_rs::digest;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;

use super::{CLOCK_SKEW, Finding, RevocationError};
use crate::algorithm::{Hash, SignatureAlgorithm};
use crate::asn1::{self, ENUMERATED, NULL};
use crate::certificate::Certificate;
use crate::der::{self, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE};
use crate::{oids, profile};

/// Bytes of a serial number. RFC 5280 (section 4.1.2.2) allows 20; the request's lengths take one
/// byte each up to this.
const SERIAL_BYTES_MAX: usize = 62;

/// Characters of a request in a URL, below which it is sent with GET (RFC 6960, appendix A.1).
const GET_CHARACTERS: usize = 255;

/// The content type of a request that is posted (RFC 6960, appendix C.1).
pub(super) const REQUEST_TYPE: &str = "application/ocsp-request";

/// Which certificate is asked about.
#[derive(Debug)]
pub(super) struct CertificateId<'a> {
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    serial: &'a [u8],
}

impl<'a> CertificateId<'a> {
    pub(super) fn new(certificate: &'a Certificate, issuer: &'a Certificate) -> Self {
        Self {
            issuer_name: issuer.subject_der(),
            issuer_key: issuer.public_key_bits(),
            serial: certificate.serial(),
        }
    }

    /// The DER of an `OCSPRequest` about it. SHA-1 names the issuer: many public responders know no
    /// other, and nothing rests on it, since the answer must also be signed by that issuer.
    ///
    /// # Errors
    /// The serial number is longer than any that is in use.
    pub(super) fn request(&self) -> Result<Vec<u8>, RevocationError> {
        if self.serial.len() > SERIAL_BYTES_MAX {
            return Err(RevocationError::Malformed("serial number"));
        }
        let algorithm = short(SEQUENCE, &[&short(OID, &[oids::SHA1]), &short(NULL, &[])]);
        let id = short(
            SEQUENCE,
            &[
                &algorithm,
                &short(OCTET_STRING, &[&sha1(self.issuer_name)]),
                &short(OCTET_STRING, &[&sha1(self.issuer_key)]),
                &short(INTEGER, &[self.serial]),
            ],
        );
        // OCSPRequest { TBSRequest { requestList { Request { CertID } } } }
        Ok((0..4).fold(id, |inner, _| short(SEQUENCE, &[&inner])))
    }

    /// Whether a `CertID` is about the same certificate: all of it, not the serial number alone. An
    /// answer that was made in advance may name the issuer by another hash than the request.
    fn is(&self, mut other: Reader<'_>) -> Result<bool, Malformed> {
        let algorithm = other.algorithm()?;
        let name = other.content(OCTET_STRING)?;
        let key = other.content(OCTET_STRING)?;
        let serial = other.content(INTEGER)?;
        other.finish()?;
        let digest = |bytes| match Hash::from_oid(algorithm) {
            Some(hash) => Some(hash.digest(bytes)),
            None => (algorithm == oids::SHA1).then(|| sha1(bytes)),
        };
        Ok(digest(self.issuer_name).as_deref() == Some(name)
            && digest(self.issuer_key).as_deref() == Some(key)
            && serial == self.serial)
    }
}

/// The URL of a GET for `request`; none if that is too long and a POST is due.
pub(super) fn get_url(url: &str, request: &[u8]) -> Option<String> {
    let encoded = BASE64_STANDARD.encode(request);
    let escaped = encoded.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    (escaped.len() < GET_CHARACTERS).then(|| format!("{}/{escaped}", url.trim_end_matches('/')))
}

/// A responder's verified answer about one certificate.
#[derive(Clone, Debug)]
pub struct OcspAnswer {
    status: CertificateStatus,
    this_update: Timestamp,
    next_update: Timestamp,
    /// The certificate that signed, if it was not the issuer's.
    responder: Option<Certificate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateStatus {
    Good,
    Revoked { invalid_since: Option<Timestamp> },
    Unknown,
}

impl OcspAnswer {
    /// The last moment at which it counts.
    pub fn fresh_until(&self) -> Timestamp {
        self.next_update
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        let responder = self.responder.as_ref().map_or(0, |responder| responder.der().len());
        size_of::<Self>().saturating_add(responder)
    }

    pub(super) fn responder(&self) -> Option<&Certificate> {
        self.responder.as_ref()
    }

    /// The answer in an `OCSPResponse` about `id`, signed by `issuer` or by a responder that it
    /// certified for this. Checks no time: [`Self::finding`] does.
    pub(super) fn verify(
        response: &[u8],
        id: &CertificateId<'_>,
        issuer: &Certificate,
    ) -> Result<Self, RevocationError> {
        let malformed = |_| RevocationError::Malformed("OCSP response");
        let basic = Basic::parse(basic_response(response)?).map_err(malformed)?;
        let responder = basic.responder(issuer)?;
        let data = ResponseData::parse(basic.data).map_err(malformed)?;
        if asn1::has_unknown_critical(&data.extensions, &[]) {
            return Err(RevocationError::CriticalExtension);
        }
        let mut ours = None;
        let mut singles = data.singles;
        while !singles.is_empty() {
            let mut single = singles.sequence().map_err(malformed)?;
            let about = single.sequence().map_err(malformed)?;
            if id.is(about).map_err(malformed)? && ours.replace(single).is_some() {
                return Err(RevocationError::Malformed("OCSP response"));
            }
        }
        read_status(ours.ok_or(RevocationError::OtherCertificate)?, responder)
    }

    /// What it says at `now` about a signature made at `signing_time`, if that is known.
    pub(super) fn finding(
        &self,
        now: Timestamp,
        signing_time: Option<Timestamp>,
    ) -> Result<Finding, RevocationError> {
        let latest = now.saturating_add(CLOCK_SKEW).unwrap_or(now);
        if self.this_update > latest {
            return Err(RevocationError::NotYetValid);
        }
        if now > self.next_update {
            return Err(RevocationError::Expired);
        }
        if self.responder.as_ref().is_some_and(|responder| !responder.is_valid_at(now)) {
            return Err(RevocationError::Responder);
        }
        match self.status {
            CertificateStatus::Good => Ok(Finding::Good),
            CertificateStatus::Revoked { invalid_since } => {
                let before = signing_time.zip(invalid_since).is_some_and(|(at, since)| at < since);
                Ok(if before { Finding::Good } else { Finding::Revoked })
            }
            CertificateStatus::Unknown => Err(RevocationError::UnknownToResponder),
        }
    }
}

/// A `BasicOCSPResponse`, of which nothing is verified yet.
struct Basic<'a> {
    /// `ResponseData`, tag and length included.
    data: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    /// The first certificate that came along; others are not looked at.
    certificate: Option<&'a [u8]>,
}

impl<'a> Basic<'a> {
    fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut basic = der::only(SEQUENCE, input)?.reader();
        let data = basic.expect(SEQUENCE)?.whole;
        let signature_algorithm = basic.expect(SEQUENCE)?.whole;
        let signature = basic.bit_string()?;
        let certificate = match basic.optional(der::context(0))? {
            Some(explicit) => {
                let mut explicit = explicit.reader();
                let mut list = explicit.sequence()?;
                explicit.finish()?;
                list.optional(SEQUENCE)?.map(|first| first.whole)
            }
            None => None,
        };
        basic.finish()?;
        Ok(Self { data, signature_algorithm, signature, certificate })
    }

    /// The certificate that signed the response: none for `issuer` itself, or the embedded one if
    /// `issuer` certified it for signing OCSP responses (RFC 6960, section 4.2.2.2). Without the
    /// purpose, any certificate of the CA could vouch for any other.
    fn responder(&self, issuer: &Certificate) -> Result<Option<Certificate>, RevocationError> {
        let Err(error) = self.verify_signed_by(issuer) else { return Ok(None) };
        let Some(embedded) = self.certificate else { return Err(error) };
        let responder = Certificate::from_der(embedded).map_err(|_| RevocationError::Responder)?;
        if responder == *issuer {
            return Err(error);
        }
        let purposes = profile::extended_key_usage(&responder).ok().flatten();
        let delegated = responder.issuer_der() == issuer.subject_der()
            && purposes.is_some_and(|(_, purposes)| purposes.contains(&oids::OCSP_SIGNING))
            && responder.verify_signed_by(issuer).is_ok();
        if !delegated {
            return Err(RevocationError::Responder);
        }
        self.verify_signed_by(&responder)?;
        Ok(Some(responder))
    }

    fn verify_signed_by(&self, signer: &Certificate) -> Result<(), RevocationError> {
        let algorithm = SignatureAlgorithm::from_identifier(self.signature_algorithm)?;
        Ok(signer.public_key()?.verify(algorithm, self.data, self.signature)?)
    }
}

struct ResponseData<'a> {
    singles: Reader<'a>,
    extensions: Vec<asn1::Extension<'a>>,
}

impl<'a> ResponseData<'a> {
    /// Parses `ResponseData`. The responder's name and the time of production decide nothing: the
    /// signature tells who answered, and each answer has its own times.
    fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut data = der::only(SEQUENCE, input)?.reader();
        if let Some(version) = data.optional(der::context(0))?
            && version.content != [INTEGER, 1, 0]
        {
            return Err(Malformed);
        }
        if ![der::context(1), der::context(2)].contains(&data.any()?.tag) {
            return Err(Malformed);
        }
        data.time()?;
        let singles = data.sequence()?;
        let extensions = data.explicit_extensions(der::context(1))?;
        data.finish()?;
        Ok(Self { singles, extensions })
    }
}

/// The contents of the basic response in a successful `OCSPResponse`.
fn basic_response(response: &[u8]) -> Result<&[u8], RevocationError> {
    let parse = || -> Result<_, Malformed> {
        let mut response = der::only(SEQUENCE, response)?.reader();
        let status = asn1::unsigned(response.content(ENUMERATED)?)?;
        let bytes = response.optional(der::context(0))?;
        response.finish()?;
        let Some(bytes) = bytes.filter(|_| status == 0) else { return Ok((status, None)) };
        let mut explicit = bytes.reader();
        let mut typed = explicit.sequence()?;
        explicit.finish()?;
        let kind = typed.content(OID)?;
        let basic = typed.content(OCTET_STRING)?;
        typed.finish()?;
        Ok((status, (kind == oids::OCSP_BASIC).then_some(basic)))
    };
    match parse() {
        Ok((0, Some(basic))) => Ok(basic),
        Ok((status, None)) if status != 0 => Err(RevocationError::ResponseStatus(status)),
        _ => Err(RevocationError::Malformed("OCSP response")),
    }
}

/// The rest of a `SingleResponse`, after its `CertID`.
fn read_status(
    mut single: Reader<'_>,
    responder: Option<Certificate>,
) -> Result<OcspAnswer, RevocationError> {
    let mut parse = || -> Result<_, Malformed> {
        let status = single.any()?;
        let this_update = single.time()?;
        let next_update = match single.optional(der::context(0))? {
            Some(explicit) => Some(only_time(explicit.reader())?),
            None => None,
        };
        let extensions = single.explicit_extensions(der::context(1))?;
        single.finish()?;
        let invalid_since = match asn1::find(&extensions, oids::INVALIDITY_DATE) {
            Some(date) => Some(only_time(Reader::new(date))?),
            None => None,
        };
        let status = match (status.tag, status.content) {
            (GOOD, []) => CertificateStatus::Good,
            (REVOKED, _) => CertificateStatus::Revoked { invalid_since },
            (UNKNOWN, []) => CertificateStatus::Unknown,
            _ => return Err(Malformed),
        };
        Ok((status, this_update, next_update, extensions))
    };
    let (status, this_update, next_update, extensions) =
        parse().map_err(|_| RevocationError::Malformed("OCSP response"))?;
    if asn1::has_unknown_critical(&extensions, &[oids::INVALIDITY_DATE]) {
        return Err(RevocationError::CriticalExtension);
    }
    let next_update = next_update.ok_or(RevocationError::NoNextUpdate)?;
    Ok(OcspAnswer { status, this_update, next_update, responder })
}

const GOOD: u8 = asn1::primitive(0);
const REVOKED: u8 = der::context(1);
const UNKNOWN: u8 = asn1::primitive(2);

fn only_time(mut reader: Reader<'_>) -> Result<Timestamp, Malformed> {
    let time = reader.time()?;
    reader.finish()?;
    Ok(time)
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// An element whose content has fewer than 128 bytes, as all of a request have.
fn short(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, length], &content[..]].concat()
}
