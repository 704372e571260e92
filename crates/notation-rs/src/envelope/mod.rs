//! Signature envelopes: what both formats share. Parsing ([`Envelope::parse`]) says what an envelope
//! claims; only [`Envelope::verify_integrity`] says that the leaf's key signed it. Neither trusts
//! that key.

mod cbor;
pub(crate) mod cose;
mod jws;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::algorithm::{Algorithm, SignatureError};
use crate::certificate::{Certificate, CertificateError};
use crate::chain::{self, CHAIN_MAX, ChainError};
use crate::profile::Purpose;
use crate::{EnvelopeFormat, PAYLOAD_CONTENT_TYPE};
use header::{AUTHENTIC_SIGNING_TIME, EXPIRY, SIGNING_SCHEME, SIGNING_TIME};

/// Bytes of one envelope, unless the caller sets another bound: those in use have 2 to 20 KiB.
pub const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The greatest bound that a caller can set: that of the Notary Project's own library.
pub const ENVELOPE_BYTES_LIMIT: usize = 32 * 1024 * 1024;

/// Headers of one envelope, protected or not, each; those in use have up to ten.
pub const HEADERS_MAX: usize = 64;

/// Why an envelope is not intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The header names another algorithm than the one that the leaf's key signs with.
    #[error("the envelope's algorithm is not the one of the signing certificate's key")]
    AlgorithmMismatch,
    /// A certificate of the chain cannot be read.
    #[error("certificate {position} of the envelope: {fault}")]
    Certificate {
        /// Where in the chain; the leaf is 0.
        position: usize,
        /// What is wrong with it.
        fault: CertificateError,
    },
    /// The certificates are no chain that may sign.
    #[error("{0}")]
    Chain(ChainError),
    /// The payload's type is not the one of Notary Project payloads.
    #[error("the payload's content type is not {PAYLOAD_CONTENT_TYPE}")]
    ContentType,
    /// The list of critical headers is empty, has a name twice, or names one that is not there or
    /// must not be listed.
    #[error("the list of critical headers is malformed")]
    Critical,
    /// Payload or signature has no bytes.
    #[error("the payload or the signature is empty")]
    Empty,
    /// It expires before it is signed, or at that moment.
    #[error("the signature's expiry is not after its signing time")]
    ExpiryBeforeSigning,
    /// A header of this name is there under the other signing scheme, twice, or protected and
    /// unprotected.
    #[error("the header {0} must not be here")]
    ForbiddenHeader(&'static str),
    /// A header that the specification knows has a wrong type or value.
    #[error("the header {0} has a wrong type or value")]
    Header(&'static str),
    /// The bytes are not the format that they should be.
    #[error("the envelope is not a {0}")]
    Malformed(&'static str),
    /// A header that must be there is not.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// A header that must be listed as critical is not.
    #[error("the header {0} is not critical")]
    NotCritical(&'static str),
    /// The signature is not by the leaf's key over these bytes.
    #[error("{0}")]
    Signature(SignatureError),
    /// More bytes than are read.
    #[error("the envelope has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The algorithm is none of the six.
    #[error("the envelope's algorithm is none of PS256, PS384, PS512, ES256, ES384 and ES512")]
    UnsupportedAlgorithm,
    /// The media type is that of no envelope: for callers that find it beside the envelope.
    #[error("the signature's media type is neither that of a COSE nor that of a JWS envelope")]
    UnsupportedFormat,
}

/// How the time of signing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningScheme {
    /// `notary.x509`: the signer says it, and a timestamp may prove it.
    X509,
    /// `notary.x509.signingAuthority`: the signer is trusted to say it.
    X509SigningAuthority,
}

impl SigningScheme {
    /// The name in envelopes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X509 => "notary.x509",
            Self::X509SigningAuthority => "notary.x509.signingAuthority",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::X509, Self::X509SigningAuthority].into_iter().find(|scheme| scheme.name() == name)
    }

    /// The header with the time of signing.
    pub(crate) const fn time_header(self) -> &'static str {
        match self {
            Self::X509 => SIGNING_TIME,
            Self::X509SigningAuthority => AUTHENTIC_SIGNING_TIME,
        }
    }
}

/// What the signature covers besides the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAttributes {
    /// The signing scheme.
    pub scheme: SigningScheme,
    /// When it was signed: proven under [`SigningScheme::X509SigningAuthority`] if its signer is
    /// trusted, otherwise only said.
    pub signing_time: Timestamp,
    /// When it stops to count.
    pub expiry: Option<Timestamp>,
    /// All other protected headers, by name. The critical ones that nobody processes must fail the
    /// signature, which is not done here.
    pub extended: Vec<ExtendedAttribute>,
}

/// A protected header that the envelope itself does not give a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedAttribute {
    /// Its name; a number for a COSE label that is one.
    pub name: String,
    /// Whether a verifier that does not know it must fail.
    pub critical: bool,
    /// Its value, if that is text.
    pub text: Option<String>,
}

/// An envelope as it was parsed: every part of it is a claim.
#[derive(Clone, Debug)]
pub struct Envelope {
    algorithm: Algorithm,
    attributes: SignedAttributes,
    chain: Vec<Certificate>,
    content_type: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signing_agent: Option<String>,
    timestamp_signature: Option<Vec<u8>>,
    /// The bytes that the signature is over, exactly as received.
    to_be_signed: Vec<u8>,
}

impl Envelope {
    /// The envelope of `format` that `bytes` are, of which there may be [`ENVELOPE_BYTES_MAX`].
    /// Verifies nothing.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn parse(format: EnvelopeFormat, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::parse_up_to(ENVELOPE_BYTES_MAX, format, bytes)
    }

    /// The same with another bound on the number of bytes, which counts as [`ENVELOPE_BYTES_LIMIT`]
    /// if it is above that.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn parse_up_to(
        bytes_max: usize,
        format: EnvelopeFormat,
        bytes: &[u8],
    ) -> Result<Self, EnvelopeError> {
        let bytes_max = bytes_max.min(ENVELOPE_BYTES_LIMIT);
        if bytes.len() > bytes_max {
            return Err(EnvelopeError::TooLarge { bytes_max });
        }
        match format {
            EnvelopeFormat::Cose => cose::parse(bytes),
            EnvelopeFormat::Jws => jws::parse(bytes),
        }
    }

    /// The envelope, if the key of its first certificate signed it, and:
    ///
    /// 1. payload and signature are not empty, and the payload has the type that it must have;
    /// 2. expiry, if any, is after the signing time;
    /// 3. its certificates are a chain that may sign code ([`chain::check_chain`]);
    /// 4. its algorithm is the one of the leaf's key.
    ///
    /// Looks at no clock, no trust store, no critical header that it does not know, and not into the
    /// payload.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub fn verify_integrity(self) -> Result<IntactEnvelope, EnvelopeError> {
        if self.payload.is_empty() || self.signature.is_empty() {
            return Err(EnvelopeError::Empty);
        }
        if self.content_type != PAYLOAD_CONTENT_TYPE {
            return Err(EnvelopeError::ContentType);
        }
        if self.attributes.expiry.is_some_and(|expiry| expiry <= self.attributes.signing_time) {
            return Err(EnvelopeError::ExpiryBeforeSigning);
        }
        chain::check_chain(&self.chain, Purpose::CodeSigning).map_err(EnvelopeError::Chain)?;
        let leaf = self.chain.first().ok_or(EnvelopeError::Chain(ChainError::Empty))?;
        let key = leaf.public_key().map_err(EnvelopeError::Signature)?;
        if Algorithm::for_key(key.kind()) != Ok(self.algorithm) {
            return Err(EnvelopeError::AlgorithmMismatch);
        }
        self.algorithm
            .verify(&key, &self.to_be_signed, &self.signature)
            .map_err(EnvelopeError::Signature)?;
        Ok(IntactEnvelope(self))
    }

    /// The algorithm that the header names.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What is signed besides the payload.
    pub const fn attributes(&self) -> &SignedAttributes {
        &self.attributes
    }

    /// The certificates, leaf first. Not covered by the signature.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The payload's content type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature, whose bytes a timestamp is made over.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The program that says it signed. Anybody may have written it.
    pub fn signing_agent(&self) -> Option<&str> {
        self.signing_agent.as_deref()
    }

    /// The timestamp token, as it came; none if there is none or it has no bytes.
    pub fn timestamp_signature(&self) -> Option<&[u8]> {
        self.timestamp_signature.as_deref().filter(|token| !token.is_empty())
    }
}

/// An envelope that the key of its leaf signed: the only way to one is
/// [`Envelope::verify_integrity`].
#[derive(Clone, Debug)]
pub struct IntactEnvelope(Envelope);

impl std::ops::Deref for IntactEnvelope {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.0
    }
}

/// The name of a header: text in JWS, text or a number in COSE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Number(i64),
    Text(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A protected header's value, as far as it matters which.
#[derive(Debug)]
enum Value {
    Other,
    Text(String),
    Time(Timestamp),
}

/// The protected headers but algorithm, content type and the list of critical ones, in the order of
/// their labels, each once.
type Headers = BTreeMap<Label, Value>;

/// Whether the header `label` holds a time.
fn is_time(label: &Label) -> bool {
    let Label::Text(name) = label else { return false };
    [SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY].contains(&name.as_str())
}

/// The attributes that `headers` hold, with the rules for critical ones: something is listed,
/// nothing twice, nothing that is not in `headers`, and everything that must be.
fn signed_attributes(
    mut headers: Headers,
    mut critical: Vec<Label>,
) -> Result<SignedAttributes, EnvelopeError> {
    let listed = critical.len();
    critical.sort();
    critical.dedup();
    if listed == 0
        || critical.len() != listed
        || !critical.iter().all(|label| headers.contains_key(label))
    {
        return Err(EnvelopeError::Critical);
    }
    let is_critical = |label: &Label| critical.contains(label);

    let scheme = match take(&mut headers, SIGNING_SCHEME) {
        None => return Err(EnvelopeError::MissingHeader(SIGNING_SCHEME)),
        Some((label, _)) if !is_critical(&label) => {
            return Err(EnvelopeError::NotCritical(SIGNING_SCHEME));
        }
        Some((_, Value::Text(name))) => SigningScheme::from_name(&name),
        Some(_) => None,
    }
    .ok_or(EnvelopeError::Header(SIGNING_SCHEME))?;
    let mut time = |header, must_be_critical| match take(&mut headers, header) {
        None => Ok(None),
        Some((label, _)) if must_be_critical && !is_critical(&label) => {
            Err(EnvelopeError::NotCritical(header))
        }
        Some((_, Value::Time(time))) => Ok(Some(time)),
        Some(_) => Err(EnvelopeError::Header(header)),
    };
    let expiry = time(EXPIRY, true)?;
    let said = time(SIGNING_TIME, false)?;
    let authentic = time(AUTHENTIC_SIGNING_TIME, true)?;
    let signing_time = match (scheme, said, authentic) {
        (SigningScheme::X509, _, Some(_)) => {
            return Err(EnvelopeError::ForbiddenHeader(AUTHENTIC_SIGNING_TIME));
        }
        (SigningScheme::X509SigningAuthority, Some(_), _) => {
            return Err(EnvelopeError::ForbiddenHeader(SIGNING_TIME));
        }
        (SigningScheme::X509, said, None) => said,
        (SigningScheme::X509SigningAuthority, None, authentic) => authentic,
    }
    .ok_or(EnvelopeError::MissingHeader(scheme.time_header()))?;
    let extended = headers.into_iter().map(|(label, value)| ExtendedAttribute {
        critical: is_critical(&label),
        name: label.to_string(),
        text: if let Value::Text(text) = value { Some(text) } else { None },
    });
    Ok(SignedAttributes { scheme, signing_time, expiry, extended: extended.collect() })
}

fn take(headers: &mut Headers, name: &str) -> Option<(Label, Value)> {
    headers.remove_entry(&Label::Text(name.to_owned()))
}

/// The chain of the certificates' bytes. None is looked at if they are too many.
fn read_chain(ders: Vec<Vec<u8>>) -> Result<Vec<Certificate>, EnvelopeError> {
    if ders.len() > CHAIN_MAX {
        return Err(EnvelopeError::Chain(ChainError::TooLong));
    }
    let read = |(position, der)| {
        Certificate::from_der(der).map_err(|fault| EnvelopeError::Certificate { position, fault })
    };
    ders.into_iter().enumerate().map(read).collect()
}

/// Names of headers.
pub(crate) mod header {
    pub(crate) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
    pub(crate) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
    pub(crate) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
    pub(crate) const EXPIRY: &str = "io.cncf.notary.expiry";
    pub(crate) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
    pub(crate) const PLUGIN_MIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
    pub(crate) const TIMESTAMP_SIGNATURE: &str = "io.cncf.notary.timestampSignature";
    pub(crate) const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";
}

#[cfg(test)]
mod tests;
