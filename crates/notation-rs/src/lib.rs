//! Notary Project signature verification: bytes and the time in, a result out. No network, no
//! clock, no runtime, and nothing of the rest of this workspace, so that it can be published alone.
//!
//! It will hold the JWS and COSE envelopes, certificate chains, revocation, timestamps, and the
//! trust policy. Today it holds names and the ways to fail; **it verifies nothing yet.**
//!
//! Specifications: <https://github.com/notaryproject/specifications>.

/// The artifact type of a signature: of its manifest, or in the older shape of its configuration.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";

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

/// Which check of a trust policy's verification level failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// No certificate of the chain is in a trust store of the policy, or none of its identities is
    /// trusted.
    #[error("the signer is not trusted")]
    Authenticity,
    /// A certificate was not valid when the signature was made, or that time is not proven.
    #[error("the signing time is not within the validity of the certificates")]
    AuthenticTimestamp,
    /// The signature says of itself that it has expired.
    #[error("the signature has expired")]
    Expiry,
    /// The envelope is malformed, or its signature does not verify.
    #[error("the signature envelope is malformed or does not verify")]
    Integrity,
    /// A certificate is revoked, or whether it is cannot be told.
    #[error("a certificate is revoked, or its revocation status is unknown")]
    Revocation,
}

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
