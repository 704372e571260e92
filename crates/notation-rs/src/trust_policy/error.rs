//! What is wrong with a trust policy document, and where.

use crate::identity::IdentityError;

/// A trust policy document that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {defect}")]
pub struct TrustPolicyError {
    /// The path of the field in the document, or `document`.
    pub field: String,
    /// What is wrong with it.
    pub defect: PolicyDefect,
}

impl TrustPolicyError {
    pub(super) fn new(field: impl Into<String>, defect: PolicyDefect) -> Self {
        Self { field: field.into(), defect }
    }

    /// The same, for a field below `parent`.
    pub(super) fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}

/// What is wrong with a field of a trust policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyDefect {
    /// A statement that skips has trust stores or identities, which it would ignore.
    #[error("level `skip` reads no trust store and no identity; remove them, or choose a level")]
    HasNoEffect,
    /// An identity that is no distinguished name.
    #[error("`{value}`: {reason}")]
    Identity {
        /// The identity.
        value: String,
        /// What is wrong with it.
        reason: IdentityError,
    },
    /// An unknown level.
    #[error("`{value}` is no level; choose strict, permissive, audit or skip")]
    Level {
        /// The level.
        value: String,
    },
    /// Not JSON of the document's form: an unknown or repeated member, or a wrong type.
    #[error("not a trust policy document: {reason}")]
    Malformed {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A mandatory field is absent or empty.
    #[error("is mandatory and must not be empty")]
    NoValue,
    /// `*` beside other values, which it would make pointless.
    #[error("`*` must be the only value")]
    NotAlone,
    /// One identity says all that the other says.
    #[error("`{value}` overlaps with `{other}`; remove one of them")]
    Overlap {
        /// The identity.
        value: String,
        /// The other one.
        other: String,
    },
    /// An override that is not allowed.
    #[error(
        "`{value}` can't be the action here; authenticity, authenticTimestamp and expiry can be \
         enforce or log, revocation also skip, integrity and level skip can't be overridden"
    )]
    Override {
        /// The action.
        value: String,
    },
    /// A value that must be unique occurs twice.
    #[error("`{value}` occurs twice")]
    Repeated {
        /// The value.
        value: String,
    },
    /// Not a repository.
    #[error(
        "`{value}` is no repository; write domain/repository in full, without scheme, tag, digest or \
         wildcard, or `*` alone"
    )]
    Scope {
        /// The scope.
        value: String,
    },
    /// A statement that skips is for all that has no other.
    #[error("level `skip` can't be for everything; name its repositories, or choose a level")]
    SkipsEverything,
    /// More bytes than [`TRUST_POLICY_BYTES_MAX`](super::TRUST_POLICY_BYTES_MAX).
    #[error("has {bytes} bytes; at most 1 MiB are read")]
    TooLarge {
        /// The bytes it has.
        bytes: usize,
    },
    /// Not the name of a trust store.
    #[error(
        "`{value}` names no trust store; write ca:NAME, signingAuthority:NAME or tsa:NAME, where NAME \
         is letters, digits, dot, hyphen and underscore"
    )]
    TrustStore {
        /// The name.
        value: String,
    },
    /// An unknown time of verifying timestamps.
    #[error("`{value}` is unknown; choose always or afterCertExpiry")]
    VerifyTimestamp {
        /// The value.
        value: String,
    },
    /// Another version than 1.0.
    #[error("version `{value}` is not supported; write 1.0")]
    Version {
        /// The version.
        value: String,
    },
}

/// No statement of a trust policy speaks for an artifact. What it signs is then not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoApplicableTrustPolicy {
    /// No statement has that name, or none is global.
    #[error("the trust policy has no statement `{name}`")]
    Blob {
        /// The name that was asked for.
        name: String,
    },
    /// No statement is global, and none was asked for by name.
    #[error("the trust policy has no global statement")]
    NoGlobal,
    /// No statement has that repository among its scopes, and none has `*`.
    #[error("the trust policy has no statement for repository {repository}")]
    Oci {
        /// The repository.
        repository: String,
    },
    /// Not a reference in full, with a digest and without tag.
    #[error("`{reference}` is not domain/repository@digest")]
    Reference {
        /// The reference.
        reference: String,
    },
}
