//! A maker of certificates, right ones and wrong ones.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{SignerError, SigningKey, der};
use crate::algorithm::{Hash, SignatureAlgorithm, oid};
use crate::certificate::Certificate;
use crate::der::{BIT_STRING, BOOLEAN, GENERALIZED_TIME, UTC_TIME, context};
use crate::profile::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, TIME_STAMPING};

/// A certificate and its private key.
#[derive(Debug)]
pub struct CertifiedKey {
    /// The certificate.
    pub certificate: Certificate,
    /// The key that it certifies.
    pub key: SigningKey,
}

/// What a certificate is made of. The constructors give one that meets its profile.
#[derive(Clone, Debug)]
pub struct CertificateTemplate {
    /// The content of the serial number's INTEGER.
    pub serial: Vec<u8>,
    /// The subject: a whole DER `Name`; see [`name`].
    pub subject: Vec<u8>,
    /// The first second of the validity.
    pub not_before: Timestamp,
    /// The last second of the validity.
    pub not_after: Timestamp,
    /// The algorithm that signs it; none for the issuing key's usual one.
    pub algorithm: Option<SignatureAlgorithm>,
    /// A DER `AlgorithmIdentifier` to write in place of the one that signs, to make one that lies.
    pub claimed_algorithm: Option<Vec<u8>>,
    /// The extensions: content octets of the identifier, criticality, value.
    pub extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
}

impl CertificateTemplate {
    /// A template of this subject with no extensions.
    pub fn new(subject: &[(&str, &str)], not_before: Timestamp, not_after: Timestamp) -> Self {
        Self {
            serial: vec![1],
            subject: name(subject),
            not_before,
            not_after,
            algorithm: None,
            claimed_algorithm: None,
            extensions: Vec::new(),
        }
    }

    /// The same with what a CA has; `path_length` is the number of CAs that may be below it.
    #[must_use]
    pub fn ca(self, path_length: Option<u8>) -> Self {
        self.with_extension(BASIC_CONSTRAINTS, true, &basic_constraints(true, path_length))
            .with_extension(KEY_USAGE, true, &key_usage(0x0600))
    }

    /// The same with what a code signing leaf has.
    #[must_use]
    pub fn code_signing(self) -> Self {
        self.with_extension(KEY_USAGE, true, &key_usage(0x8000)).with_extension(
            EXTENDED_KEY_USAGE,
            false,
            &extended_key_usage(&[oid::CODE_SIGNING]),
        )
    }

    /// The same with what a timestamping leaf has.
    #[must_use]
    pub fn timestamping(self) -> Self {
        self.with_extension(KEY_USAGE, true, &key_usage(0x8000)).with_extension(
            EXTENDED_KEY_USAGE,
            true,
            &extended_key_usage(&[TIME_STAMPING]),
        )
    }

    /// The same with this extension, in place of any of its kind.
    #[must_use]
    pub fn with_extension(self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        let mut template = self.without_extension(oid);
        template.extensions.push((oid.to_vec(), critical, value.to_vec()));
        template
    }

    /// The same without this extension.
    #[must_use]
    pub fn without_extension(mut self, oid: &[u8]) -> Self {
        self.extensions.retain(|(known, ..)| known != oid);
        self
    }

    /// The certificate of `key`, signed by itself.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn self_signed(&self, key: SigningKey) -> Result<CertifiedKey, SignerError> {
        let certificate = self.make(&key, &self.subject, &key)?;
        Ok(CertifiedKey { certificate, key })
    }

    /// The certificate of `key`, signed by `issuer`, whatever that is.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn issued_by(
        &self,
        issuer: &CertifiedKey,
        key: SigningKey,
    ) -> Result<CertifiedKey, SignerError> {
        let certificate = self.make(&key, issuer.certificate.subject_der(), &issuer.key)?;
        Ok(CertifiedKey { certificate, key })
    }

    fn make(
        &self,
        key: &SigningKey,
        issuer: &[u8],
        signer: &SigningKey,
    ) -> Result<Certificate, SignerError> {
        let algorithm = self.algorithm.unwrap_or_else(|| signer.usual_algorithm());
        let claimed =
            self.claimed_algorithm.clone().unwrap_or_else(|| algorithm_identifier(algorithm));
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(extension).collect();
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let tbs = der::sequence(&[
            &der::element(context(0), &[&der::unsigned(&[2])]),
            &der::element(crate::der::INTEGER, &[&self.serial]),
            &claimed,
            issuer,
            &der::sequence(&[&time(self.not_before), &time(self.not_after)]),
            &self.subject,
            &key.spki(),
            &der::element(context(3), &[&der::sequence(&extensions)]),
        ]);
        let signature = signer.sign(algorithm, &tbs)?;
        let certificate = der::sequence(&[&tbs, &claimed, &der::bits(&signature)]);
        Certificate::from_der(certificate).map_err(SignerError::Certificate)
    }
}

/// A DER `Name` with one attribute per RDN, in this order. Attributes are named `C`, `ST`, `L`, `O`,
/// `OU` or `CN`; any other name makes a `serialNumber`.
pub fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let rdn = |(name, value): &(&str, &str)| {
        let last = match *name {
            "CN" => 3,
            "C" => 6,
            "L" => 7,
            "ST" => 8,
            "O" => 10,
            "OU" => 11,
            _ => 5,
        };
        let value = der::element(UTF8_STRING, &[value.as_bytes()]);
        der::element(SET, &[&der::sequence(&[&der::oid(&[0x55, 0x04, last]), &value])])
    };
    der::sequence(&[&attributes.iter().map(rdn).collect::<Vec<_>>().concat()])
}

/// The value of a basic constraints extension.
pub fn basic_constraints(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca = if ca { der::element(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    let path_length = path_length.map_or_else(Vec::new, |limit| der::unsigned(&[limit]));
    der::sequence(&[&ca, &path_length])
}

/// The value of a key usage extension; the first usage, `digitalSignature`, is the highest bit.
pub fn key_usage(usages: u16) -> Vec<u8> {
    let [high, low] = usages.to_be_bytes();
    let unused = |byte: u8| u8::try_from(byte.trailing_zeros().min(7)).unwrap_or(7);
    match low {
        0 => der::element(BIT_STRING, &[&[unused(high), high]]),
        _ => der::element(BIT_STRING, &[&[unused(low), high, low]]),
    }
}

/// The value of an extended key usage extension.
pub fn extended_key_usage(purposes: &[&[u8]]) -> Vec<u8> {
    der::sequence(&[&purposes.iter().map(|purpose| der::oid(purpose)).collect::<Vec<_>>().concat()])
}

/// The DER `AlgorithmIdentifier` of an algorithm.
pub fn algorithm_identifier(algorithm: SignatureAlgorithm) -> Vec<u8> {
    if let SignatureAlgorithm::RsaPss(hash) = algorithm {
        return der::sequence(&[&der::oid(oid::RSASSA_PSS), &pss_parameters(hash)]);
    }
    let known = oid::SIGNATURES.iter().find(|(_, known)| *known == algorithm);
    let oid = known.map_or_else(Vec::new, |(oid, _)| der::oid(oid));
    let parameters = if let SignatureAlgorithm::RsaPkcs1(_) = algorithm { oid::NULL } else { &[] };
    der::sequence(&[&oid, parameters])
}

fn pss_parameters(hash: Hash) -> Vec<u8> {
    let hash_identifier = der::sequence(&[&der::oid(hash.oid()), oid::NULL]);
    let mask = der::sequence(&[&der::oid(oid::MGF1), &hash_identifier]);
    der::sequence(&[
        &der::element(context(0), &[&hash_identifier]),
        &der::element(context(1), &[&mask]),
        &der::element(context(2), &[&der::unsigned(&[hash.size()])]),
    ])
}

fn extension((oid, critical, value): &(Vec<u8>, bool, Vec<u8>)) -> Vec<u8> {
    let critical = if *critical { der::element(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    der::sequence(&[&der::oid(oid), &critical, &der::octets(value)])
}

/// A `Time` (RFC 5280, section 4.1.2.5): `UTCTime` through 2049.
fn time(time: Timestamp) -> Vec<u8> {
    let year = time.to_zoned(TimeZone::UTC).year();
    let (tag, format) = if (1950..2050).contains(&year) {
        (UTC_TIME, "%y%m%d%H%M%SZ")
    } else {
        (GENERALIZED_TIME, "%Y%m%d%H%M%SZ")
    };
    der::element(tag, &[time.strftime(format).to_string().as_bytes()])
}

const UTF8_STRING: u8 = 0x0c;
const SET: u8 = 0x31;
