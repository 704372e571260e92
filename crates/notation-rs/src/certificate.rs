//! X.509 certificates (RFC 5280), kept as the bytes that came: what is compared, hashed and signed is
//! always a part of them. Nothing here trusts a certificate or looks at the time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::algorithm::{PublicKey, SignatureAlgorithm, SignatureError};
use crate::der::{
    self, BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader,
    SEQUENCE, UTC_TIME,
};
use crate::time;

/// Bytes of one certificate; those in use have 1 to 4 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Extensions of one certificate; those in use have about ten. They are compared with each other.
pub const EXTENSIONS_MAX: usize = 64;

/// Why bytes are not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// An extension occurs twice (RFC 5280, section 4.2 forbids it).
    #[error("a certificate has the same extension twice")]
    DuplicateExtension,
    /// Not a DER certificate, or bytes follow it.
    #[error("a certificate is malformed")]
    Malformed,
    /// Over [`CERTIFICATE_BYTES_MAX`] or [`EXTENSIONS_MAX`].
    #[error(
        "a certificate has more than {CERTIFICATE_BYTES_MAX} bytes or {EXTENSIONS_MAX} extensions"
    )]
    TooLarge,
}

impl From<Malformed> for CertificateError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A certificate. Two are equal if their bytes are; cloning copies no bytes.
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

struct Parts {
    der: Vec<u8>,
    version: u8,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    public_key_bits: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    not_before: Timestamp,
    not_after: Timestamp,
    extensions: Vec<Extension>,
}

struct Extension {
    oid: Range<usize>,
    critical: bool,
    value: Range<usize>,
}

impl Certificate {
    /// The certificate that `der` is.
    ///
    /// # Errors
    /// See [`CertificateError`]. A key or a signature algorithm that nobody supports is no error
    /// here: it is one when it is used.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge);
        }
        parse(der).map(|parts| Self(Arc::new(parts)))
    }

    /// The whole certificate, as it came.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The part that is signed.
    pub fn tbs(&self) -> &[u8] {
        self.part(&self.0.tbs)
    }

    /// The version: 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// The serial number: the content of its INTEGER, big endian, two's complement.
    pub fn serial(&self) -> &[u8] {
        self.part(&self.0.serial)
    }

    /// The issuer's name: a whole DER `Name`.
    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.0.issuer)
    }

    /// The subject's name: a whole DER `Name`.
    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.0.subject)
    }

    /// The public key: a whole DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.0.spki)
    }

    /// The content of the public key's BIT STRING, which OCSP hashes.
    pub fn public_key_bits(&self) -> &[u8] {
        self.part(&self.0.public_key_bits)
    }

    /// The first second of the validity; before 1950 only if `GeneralizedTime` says so.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// The last second of the validity. "Never" (the end of year 9999) is [`Timestamp::MAX`].
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Whether `time` is within the validity, bounds included.
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        (self.not_before()..=self.not_after()).contains(&time)
    }

    /// Whether the extension of `oid` (content octets) is critical, and its value; none if there is
    /// no such extension.
    pub fn extension(&self, oid: &[u8]) -> Option<(bool, &[u8])> {
        let extension = self.0.extensions.iter().find(|found| self.part(&found.oid) == oid)?;
        Some((extension.critical, self.part(&extension.value)))
    }

    /// The public key.
    ///
    /// # Errors
    /// [`SignatureError::UnsupportedKey`], [`SignatureError::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey<'_>, SignatureError> {
        PublicKey::from_spki(self.spki_der())
    }

    /// Nothing, if the key of `issuer` signed this certificate. Compares no names, and does not ask
    /// whether `issuer` may sign certificates: [`crate::chain::check_issued_by`] does.
    ///
    /// # Errors
    /// [`SignatureError`]: SHA-1 is `UnsupportedAlgorithm`.
    pub fn verify_signed_by(&self, issuer: &Self) -> Result<(), SignatureError> {
        let algorithm =
            SignatureAlgorithm::from_identifier(self.part(&self.0.signature_algorithm))?;
        issuer.public_key()?.verify(algorithm, self.tbs(), self.part(&self.0.signature))
    }

    /// Whether issuer and subject have one name, and the certificate's own key signed it.
    pub fn is_self_signed(&self) -> bool {
        self.issuer_der() == self.subject_der() && self.verify_signed_by(self).is_ok()
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("bytes", &self.der().len())
            .field("not_before", &self.not_before())
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

/// The parts of a `Certificate` (RFC 5280, section 4.1).
fn parse(der: Vec<u8>) -> Result<Parts, CertificateError> {
    let mut outer = der::only(SEQUENCE, &der)?.reader();
    let tbs = outer.expect(SEQUENCE)?;
    let signature_algorithm = outer.expect(SEQUENCE)?;
    let signature = outer.expect(BIT_STRING)?;
    der::whole_bits(signature.content)?;
    outer.finish()?;

    let mut fields = tbs.reader();
    let version = match fields.optional(der::context(0))? {
        Some(version) => der::small_integer(der::only(INTEGER, version.content)?.content)?,
        None => 0,
    };
    let serial = fields.expect(INTEGER)?;
    let signed_algorithm = fields.expect(SEQUENCE)?;
    let issuer = fields.expect(SEQUENCE)?;
    let mut validity = fields.expect(SEQUENCE)?.reader();
    let (not_before, not_after) = (read_time(&mut validity)?, read_time(&mut validity)?);
    validity.finish()?;
    let subject = fields.expect(SEQUENCE)?;
    let spki = fields.expect(SEQUENCE)?;
    let mut key = spki.reader();
    key.expect(SEQUENCE)?;
    let public_key = key.expect(BIT_STRING)?;
    der::whole_bits(public_key.content)?;
    key.finish()?;
    // The unique identifiers of version 2.
    fields.optional(0x81)?;
    fields.optional(0x82)?;
    let extensions = match fields.optional(der::context(3))? {
        Some(extensions) => read_extensions(&der, extensions.reader())?,
        None => Vec::new(),
    };
    fields.finish()?;

    // RFC 5280, sections 4.1.1.2 (one algorithm, said twice) and 4.1.2.1 (extensions are of v3).
    let consistent = signed_algorithm.whole == signature_algorithm.whole
        && version <= 2
        && (version == 2 || extensions.is_empty())
        && is_minimal(serial.content);
    if !consistent {
        return Err(CertificateError::Malformed);
    }
    Ok(Parts {
        version: version.saturating_add(1),
        tbs: tbs.range(),
        serial: serial.content_range(),
        issuer: issuer.range(),
        subject: subject.range(),
        spki: spki.range(),
        public_key_bits: after_unused_bits(&public_key.content_range()),
        signature_algorithm: signature_algorithm.range(),
        signature: after_unused_bits(&signature.content_range()),
        not_before,
        not_after,
        extensions,
        der,
    })
}

/// Whether an INTEGER's content is in its shortest form (X.690, section 8.3.2): revocation compares
/// serial numbers as bytes.
const fn is_minimal(integer: &[u8]) -> bool {
    !matches!(integer, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

fn after_unused_bits(content: &Range<usize>) -> Range<usize> {
    content.start.saturating_add(1)..content.end
}

fn read_time(reader: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    let element = reader.any()?;
    match element.tag {
        UTC_TIME => time::utc_time(element.content),
        GENERALIZED_TIME => time::generalized_time(element.content),
        _ => None,
    }
    .ok_or(Malformed)
}

fn read_extensions(der: &[u8], mut outer: Reader<'_>) -> Result<Vec<Extension>, CertificateError> {
    let mut list = outer.expect(SEQUENCE)?.reader();
    outer.finish()?;
    let mut extensions: Vec<Extension> = Vec::new();
    while !list.is_empty() {
        if extensions.len() == EXTENSIONS_MAX {
            return Err(CertificateError::TooLarge);
        }
        let mut fields = list.expect(SEQUENCE)?.reader();
        let oid = fields.expect(OID)?;
        let critical = match fields.optional(BOOLEAN)? {
            Some(critical) => der::boolean(critical.content)?,
            None => false,
        };
        let value = fields.expect(OCTET_STRING)?.content_range();
        fields.finish()?;
        if extensions.iter().any(|known| der.get(known.oid.clone()) == Some(oid.content)) {
            return Err(CertificateError::DuplicateExtension);
        }
        extensions.push(Extension { oid: oid.content_range(), critical, value });
    }
    Ok(extensions)
}

#[cfg(test)]
mod tests;
