//! Timestamps by a third party (RFC 3161): the proof that a signature existed before its
//! certificates expired. A token is verified against the trusted roots that the caller names;
//! whether the authority's certificates are revoked is the caller's next question
//! ([`crate::revocation`]).

mod cms;
mod path;
#[cfg(any(test, feature = "signer"))]
pub(crate) mod query;
mod signer;
mod tst_info;

#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;

use crate::algorithm::SignatureError;
use crate::certificate::{Certificate, CertificateError};
use crate::chain::ChainError;
use crate::der::Malformed;

use cms::SignedData;
use tst_info::TstInfo;

/// Bytes of one token. Real ones have 1 to 8 KiB; the specification sets no limit.
pub const TOKEN_BYTES_MAX: usize = 256 * 1024;

/// Why a timestamp token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// A certificate in the token cannot be parsed; one is enough to refuse the token.
    #[error("a certificate in the timestamp token is unusable")]
    Certificate(#[source] CertificateError),
    /// The authority's certificates do not fit their purpose.
    #[error("the timestamp authority's certificates break the profile for timestamping")]
    Chain(#[source] ChainError),
    /// The signer signed other contents, or not as a timestamp.
    #[error("the timestamp token's signer signed something else")]
    Contents,
    /// The token is over something else, or by a hash other than SHA-256, SHA-384 and SHA-512.
    #[error("the timestamp token is not over this signature")]
    Imprint,
    /// Not the DER of a `TimeStampToken`; the field says which part is not.
    #[error("the timestamp token has a malformed {0}")]
    Malformed(&'static str),
    /// Nobody signed the token.
    #[error("the timestamp token has no signer")]
    NoSigner,
    /// The authority's signature is not by its certificate, or by an algorithm that is not
    /// supported.
    #[error("the timestamp authority's signature is not accepted")]
    Signature(#[source] SignatureError),
    /// The token's signing certificate is missing, or is not the one that the signer meant.
    #[error("the timestamp token does not hold the certificate that signed it")]
    SigningCertificate,
    /// The signer names a time at which one of the authority's certificates was not valid.
    #[error("the timestamp authority's certificates were not valid at its signing time")]
    SigningTime,
    /// Over [`TOKEN_BYTES_MAX`].
    #[error("the timestamp token has more than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// No chain from the signing certificate to a trusted root was valid at the token's time.
    #[error("the timestamp authority is not trusted")]
    Untrusted,
}

/// The span that holds the true time of a signature, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The token's time less its accuracy.
    pub earliest: Timestamp,
    /// The token's time plus its accuracy.
    pub latest: Timestamp,
}

impl TimeRange {
    /// Whether `certificate` is valid during all of it, bounds included.
    pub fn is_within_validity_of(&self, certificate: &Certificate) -> bool {
        certificate.not_before() <= self.earliest && self.latest <= certificate.not_after()
    }
}

/// What a verified token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTimestamp {
    /// The authority's certificates, the signer's first and the trusted root last. Whether they are
    /// revoked has not been asked.
    pub chain: Vec<Certificate>,
    /// When the signature existed.
    pub range: TimeRange,
}

/// What `token`, a DER `TimeStampToken`, proves about `signature`, the primitive signature of an
/// envelope, if one of `roots` vouches for its authority.
///
/// 1. The token is signed CMS data around a `TSTInfo` (RFC 3161, section 2.4.2).
/// 2. Its imprint is the SHA-2 hash of `signature`.
/// 3. The first signer that passes counts: it names its certificate by hash (RFC 5816), and the
///    certificate leads to a root at the token's time, fits the profile for timestamping, and made
///    the signature over attributes that name the contents.
///
/// Does not check revocation, and does not compare the range with the signing certificates.
///
/// # Errors
/// [`TimestampError`]: that of the first signer if all fail.
pub fn verify(
    token: &[u8],
    signature: &[u8],
    roots: &[Certificate],
) -> Result<VerifiedTimestamp, TimestampError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TimestampError::TooLarge);
    }
    let data = SignedData::parse(token).map_err(malformed("container"))?;
    let info = TstInfo::parse(data.content).map_err(malformed("TSTInfo"))?;
    let imprint = info.hash.map(|hash| hash.digest(signature));
    if imprint.as_deref() != Some(info.hashed_message) {
        return Err(TimestampError::Imprint);
    }
    let range = info.range().ok_or(TimestampError::Malformed("accuracy"))?;
    let certificates = data
        .certificates
        .iter()
        .map(|&der| Certificate::from_der(der).map_err(TimestampError::Certificate))
        .collect::<Result<Vec<_>, _>>()?;
    let token =
        signer::Token { content: data.content, time: info.generated, certificates: &certificates };
    let (mut first_error, mut checks_left) = (None, path::SIGNATURE_CHECKS_MAX);
    for signer in &data.signers {
        match signer::verify(signer, &token, roots, &mut checks_left) {
            Ok(chain) => return Ok(VerifiedTimestamp { chain, range }),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(TimestampError::NoSigner))
}

fn malformed(part: &'static str) -> impl Fn(Malformed) -> TimestampError {
    move |_| TimestampError::Malformed(part)
}
