//! Why a signature was not verified: one variant for each reason, with a code that stays the same.

use jiff::Timestamp;

use crate::algorithm::SignatureError;
use crate::chain::ChainError;
use crate::envelope::EnvelopeError;
use crate::identity::IdentityError;
use crate::payload::PayloadError;
use crate::plugin::{Capability, PluginError};
use crate::profile::ProfileError;
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
    /// The plugin that the signer demands gave no answer.
    #[error("verification plugin {plugin} tells nothing: {error}")]
    PluginFailed {
        /// Its name.
        plugin: String,
        /// Why.
        #[source]
        error: PluginError,
    },
    /// A header by which a signer demands a plugin is not what it must be.
    #[error("the header {header} is not critical, or its value is not what it must be")]
    PluginHeader {
        /// The header.
        header: &'static str,
    },
    /// The plugin that the signer demands says no.
    #[error("verification plugin {plugin} says no to {capability}: {reason}")]
    PluginRejected {
        /// Its name.
        plugin: String,
        /// What it checked.
        capability: Capability,
        /// Why, in its own words.
        reason: String,
    },
    /// The signer demands a plugin for verification that is not here.
    #[error("the signature can only be verified with a plugin that is not here")]
    PluginUnavailable,
    /// The plugin is older than the signer demands.
    #[error("verification plugin {plugin} {version} is older than the signature demands")]
    PluginVersion {
        /// Its name.
        plugin: String,
        /// Its version.
        version: String,
    },
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
            Self::PluginFailed { .. } => "PluginFailed",
            Self::PluginHeader { .. } => "PluginHeader",
            Self::PluginRejected { .. } => "PluginRejected",
            Self::PluginUnavailable => "PluginUnavailable",
            Self::PluginVersion { .. } => "PluginVersion",
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
        EnvelopeError::Signature(_)
        | EnvelopeError::Chain(ChainError::Profile { fault: ProfileError::Key(_), .. }) => {
            "UnsupportedKey"
        }
        EnvelopeError::UnsupportedAlgorithm | EnvelopeError::AlgorithmMismatch => {
            "UnsupportedAlgorithm"
        }
        EnvelopeError::Chain(_) | EnvelopeError::Certificate { .. } => "InvalidChain",
        EnvelopeError::ContentType => "ContentTypeUnsupported",
        EnvelopeError::UnsupportedFormat => "UnsupportedFormat",
        _ => "InvalidEnvelope",
    }
}

#[cfg(test)]
#[test]
fn tells_unfit_keys_from_other_faults_of_a_chain() {
    let key = ProfileError::Key(SignatureError::UnsupportedKey);
    for (fault, expect) in [(key, "UnsupportedKey"), (ProfileError::LeafIsCa, "InvalidChain")] {
        let error = EnvelopeError::Chain(ChainError::Profile { position: 0, fault });
        assert_eq!(VerificationError::from(error).code(), expect);
    }
}
