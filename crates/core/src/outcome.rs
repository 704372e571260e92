//! What a verifier found: bad evidence, no evidence and no infrastructure never share a variant.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::{Digest, ReasonCode, StoreError, VerifierReport};

/// The four ways in which a verification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The evidence is there and good.
    Accepted,
    /// There is evidence, and it is bad.
    Rejected(ReasonCode),
    /// There is no evidence.
    Missing(ReasonCode),
    /// It could not be decided.
    Unavailable(ReasonCode),
}

/// Who signed: the hash of the key, or of the identity, that a signature was verified with.
/// Two verifiers that found the same signer count once where a policy counts signers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignerId(pub Digest);

/// What a verifier found about one subject.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub state: State,
    /// What a person needs to know, in one line, without the code: `no signature by a key of
    /// release-keys`. It never holds text from a registry.
    pub message: String,
    /// Who signed; empty where the evidence has no signer.
    pub signers: BTreeSet<SignerId>,
    /// What the verifier's configuration lets pass in what is accepted, each code once, in the order
    /// of the checks; empty where nothing is accepted.
    pub warnings: Vec<ReasonCode>,
    /// What was looked at, in order.
    pub reports: Vec<VerifierReport>,
    /// When the first thing that this outcome rests on expires.
    pub valid_until: Option<Timestamp>,
}

impl State {
    /// The reason code, where there is one.
    pub fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::Accepted => None,
            Self::Rejected(code) | Self::Missing(code) | Self::Unavailable(code) => Some(code),
        }
    }

    /// The state as metrics and logs show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected(_) => "rejected",
            Self::Missing(_) => "missing",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl Outcome {
    /// An outcome that rests on no signer and no expiry, and warns of nothing.
    pub fn new(state: State, message: impl Into<String>) -> Self {
        Self {
            state,
            message: message.into(),
            signers: BTreeSet::new(),
            warnings: Vec::new(),
            reports: Vec::new(),
            valid_until: None,
        }
    }

    /// The outcome where evidence, or the list of it, could not be read; `missing` is the code
    /// where the registry says that there is none.
    pub fn unread(error: &StoreError, missing: ReasonCode) -> Self {
        Self::new(error.state(missing), error.to_string())
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
