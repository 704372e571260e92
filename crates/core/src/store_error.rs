//! Why something could not be read, and which outcome that makes.

use crate::{Digest, ReasonCode, State};

/// Why an artifact store could not answer. No variant holds text from a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address that the host resolves to, or that a redirect names, is not to be connected to.
    #[error("connection to {host} is not allowed: {reason}")]
    Blocked {
        /// The host.
        host: String,
        /// Which rule forbids it.
        reason: &'static str,
    },
    /// 401 or 403, of the registry or of its token endpoint.
    #[error("{host} refuses access (HTTP {status})")]
    Denied {
        /// The host that refused.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes do not have the digest that they were asked for by.
    #[error("content does not have the digest {expected}")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
    },
    /// A defect here: a task that panicked or was cut.
    #[error("internal error")]
    Internal,
    /// The answer is not what the specification asks for.
    #[error("{host} sent a malformed answer: {reason}")]
    Malformed {
        /// The host.
        host: String,
        /// What is wrong, in words of our own.
        reason: &'static str,
    },
    /// 404.
    #[error("{host} does not have it")]
    NotFound {
        /// The host.
        host: String,
    },
    /// Too much work is under way for this host or namespace.
    #[error("too many requests to {host} are under way")]
    Overloaded {
        /// The host.
        host: String,
    },
    /// 429.
    #[error("{host} asks for fewer requests (HTTP 429)")]
    Throttled {
        /// The host.
        host: String,
    },
    /// No answer in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host.
        host: String,
    },
    /// A list is longer than its limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit, in items.
        limit: usize,
    },
    /// Content is larger than its limit.
    #[error("content exceeds {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// No connection, no TLS, an answer cut short, or a 5xx.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Which step failed, in words of our own.
        reason: &'static str,
    },
}

impl StoreError {
    /// The outcome that this error makes; `missing` is the code where there is no such content.
    ///
    /// Only what may well be better at the next try is undecided: everything else is evidence that
    /// is bad or not there, so that nobody can push a decision to `onError` by sending garbage.
    pub fn state(&self, missing: ReasonCode) -> State {
        match self {
            Self::NotFound { .. } => State::Missing(missing),
            Self::Overloaded { .. } => State::Unavailable(ReasonCode::Overloaded),
            Self::Throttled { .. } => State::Unavailable(ReasonCode::RegistryThrottled),
            Self::Timeout { .. } => State::Unavailable(ReasonCode::Timeout),
            Self::Unreachable { .. } => State::Unavailable(ReasonCode::RegistryUnreachable),
            Self::Blocked { .. } | Self::Denied { .. } => {
                State::Rejected(ReasonCode::RegistryDenied)
            }
            Self::DigestMismatch { .. } => State::Rejected(ReasonCode::DigestMismatch),
            Self::Internal => State::Rejected(ReasonCode::Internal),
            Self::Malformed { .. } => State::Rejected(ReasonCode::EvidenceInvalid),
            Self::TooMany { .. } => State::Rejected(ReasonCode::TooManyCandidates),
            Self::TooLarge { .. } => State::Rejected(ReasonCode::EvidenceTooLarge),
        }
    }

    /// Whether the next try may well end otherwise: such an answer is never cached.
    pub fn is_transient(&self) -> bool {
        matches!(self.state(ReasonCode::ImageNotFound), State::Unavailable(_))
            || *self == Self::Internal
    }
}
