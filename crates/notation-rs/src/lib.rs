//! Notary Project signature verification: bytes and the time in, a result out. No network, no
//! clock, no runtime, and nothing of the rest of this workspace, so that it can be published alone.
//!
//! [`verify::Verifier`] holds one signature against one statement of a
//! [`trust_policy`], with certificates of [`trust_store`]s. Which signatures an artifact has, and
//! where they lie, is the caller's to find out.
//!
//! Specifications: <https://github.com/notaryproject/specifications>.

#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic
    )
)]

pub mod algorithm;
mod asn1;
pub mod certificate;
pub mod chain;
mod der;
pub mod envelope;
mod error;
pub mod identity;
mod json;
mod oids;
pub mod payload;
pub mod plugin;
pub mod profile;
pub mod revocation;
#[cfg(any(test, feature = "signer"))]
pub mod signer;
#[cfg(test)]
mod test_der;
#[cfg(test)]
mod test_pki;
mod time;
pub mod timestamp;
pub mod trust_policy;
pub mod trust_store;
pub mod verify;

pub use error::VerificationError;

/// The artifact type of a signature: of its manifest, or in the older shape of its configuration.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";

/// The annotation of a signature's manifest that lists the SHA-256 of each certificate of its chain: a
/// JSON array of hexadecimal digests, of either case. Whoever pushed the signature wrote it, so that
/// it may tell which of many to look at first, and nothing else.
pub const THUMBPRINTS_ANNOTATION: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// The content type of every payload that a signature is made over.
pub const PAYLOAD_CONTENT_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";

/// The envelope formats. The media type of a signature manifest's one layer tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnvelopeFormat {
    /// `COSE_Sign1`, tagged (RFC 9052).
    Cose,
    /// A flattened JSON Web Signature (RFC 7515, section 7.2.2).
    Jws,
}

impl EnvelopeFormat {
    /// The media type of the format.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Cose => "application/cose",
            Self::Jws => "application/jose+json",
        }
    }

    /// The format that `media_type` names exactly; none for any other text.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        [Self::Cose, Self::Jws].into_iter().find(|format| format.media_type() == media_type)
    }
}

/// The example of the README, which has to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
#[test]
fn tells_formats_by_their_exact_media_type() {
    use EnvelopeFormat::{Cose, Jws};
    let cases = [
        ("application/cose", Some(Cose)),
        ("application/jose+json", Some(Jws)),
        ("application/COSE", None),
        ("application/jose", None),
    ];
    for (media_type, expect) in cases {
        assert_eq!(EnvelopeFormat::from_media_type(media_type), expect);
    }
}
