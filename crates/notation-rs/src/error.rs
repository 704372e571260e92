//! Why a signature was not verified: one variant for each reason, with a code that stays the same.

use jiff::Timestamp;

use crate::algorithm::SignatureError;
use crate::envelope::EnvelopeError;
use crate::identity::IdentityError;
use crate::payload::PayloadError;
use crate::timestamp::TimestampError;
use crate::trust_store::TrustStoreError;
use crate::verify::RevocationFailure;

/// Why a check of a signature failed. Nothing that a remote side wrote is in a message but names of
/// attributes, cut to what is fit to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// A certificate of the chain was not valid at the time that counts.
    #[error("a certificate, valid from {not_before} to {not_after}, is not valid at {time}")]
    CertNotValidAt {
        /// The first second of the certificate's validity.
        not_before: Timestamp,
        /// The last second of it.
        not_after: Timestamp,
        /// Now, or when the signature was made.
        time: Timestamp,
    },
    /// The signature is over another artifact.
    #[error("the signature is over another artifact")]
    DescriptorMismatch,
    /// The signature says of itself that it has expired.
    #[error("the signature expired at {expiry}")]
    Expired {
        /// When.
        expiry: Timestamp,
    },
    /// The subject of the signing certificate can't be compared with any identity.
    #[error("the signing certificate's subject can't be used: {0}")]
    Identity(#[from] IdentityError),
    /// The signer is none of the trusted identities.
    #[error("the signer is not one of the trusted identities")]
    IdentityMismatch,
    /// The envelope is malformed, its signature does not verify, or its certificates are unfit.
    #[error("the signature envelope is not sound: {0}")]
    Integrity(#[from] EnvelopeError),
    /// A wanted piece of user metadata is absent or has another value.
    #[error("user metadata `{key}` is not signed with the wanted value")]
    MetadataMismatch {
        /// The wanted key.
        key: String,
    },
    /// No certificate of the chain is in a trust store of the policy.
    #[error("no certificate of the signature is in a trust store of the policy")]
    NotTrusted,
    /// The payload is not a descriptor.
    #[error("{0}")]
    Payload(#[from] PayloadError),
    /// The signer demands a plugin for verification; there are none here.
    #[error("the signature can only be verified with a plugin, and there are none")]
    PluginUnavailable,
    /// A certificate is revoked, or whether it is can't be told.
    #[error("{0}")]
    Revocation(#[from] RevocationFailure),
    /// Revocation was not asked about, because the addresses to ask are in untrusted certificates.
    #[error("revocation was not checked, because the signer is not trusted")]
    RevocationNotChecked,
    /// The timestamp does not prove anything.
    #[error("{0}")]
    Timestamp(#[from] TimestampError),
    /// The policy demands a timestamp, and there is none.
    #[error("the signature has no timestamp, which the trust policy demands")]
    TimestampAbsent,
    /// The timestamp proves a time at which a certificate of the chain was perhaps not valid.
    #[error("the timestamp is not within the validity of the signature's certificates")]
    TimestampRange,
    /// A certificate of the timestamp authority is revoked, or whether it is can't be told.
    #[error("the timestamp authority: {0}")]
    TimestampRevocation(#[source] RevocationFailure),
    /// The certificates to trust are not at hand.
    #[error("{0}")]
    TrustStore(#[from] TrustStoreError),
    /// An attribute that must be understood is not.
    #[error("the signature has a critical attribute that is not known here")]
    UnknownCritical,
}

impl VerificationError {
    /// The code of the error: a word for reports, which does not change when a message does.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CertNotValidAt { .. } => "CertNotValidAt",
            Self::DescriptorMismatch => "DescriptorMismatch",
            Self::Expired { .. } => "Expired",
            Self::Identity(_) => "UnusableIdentity",
            Self::IdentityMismatch => "IdentityMismatch",
            Self::Integrity(error) => envelope_code(*error),
            Self::MetadataMismatch { .. } => "MetadataMismatch",
            Self::NotTrusted => "NotTrusted",
            Self::Payload(_) => "InvalidPayload",
            Self::PluginUnavailable => "PluginUnavailable",
            Self::Revocation(RevocationFailure::InvalidChain(_)) => "InvalidChain",
            Self::Revocation(RevocationFailure::Revoked { .. }) => "Revoked",
            Self::Revocation(RevocationFailure::Unknown { .. }) => "RevocationUnknown",
            Self::RevocationNotChecked => "RevocationNotChecked",
            Self::Timestamp(_) => "Timestamp",
            Self::TimestampAbsent => "TimestampAbsent",
            Self::TimestampRange => "TimestampRange",
            Self::TimestampRevocation(_) => "TimestampRevocation",
            Self::TrustStore(_) => "TrustStore",
            Self::UnknownCritical => "UnknownCritical",
        }
    }
}

const fn envelope_code(error: EnvelopeError) -> &'static str {
    match error {
        EnvelopeError::Signature(SignatureError::Invalid) => "BadSignature",
        EnvelopeError::Signature(_) => "UnsupportedKey",
        EnvelopeError::UnsupportedAlgorithm | EnvelopeError::AlgorithmMismatch => {
            "UnsupportedAlgorithm"
        }
        EnvelopeError::Chain(_) | EnvelopeError::Certificate { .. } => "InvalidChain",
        EnvelopeError::ContentType => "ContentTypeUnsupported",
        _ => "InvalidEnvelope",
    }
}
