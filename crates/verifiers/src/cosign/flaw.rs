//! Why a candidate is no good signature, and which of many such reasons tells the most.

use std::borrow::Cow;

use assay_core::ReasonCode::{
    DigestMismatch, EvidenceInvalid, EvidenceTooLarge, Internal, KeyMismatch, RegistryDenied,
    SignatureInvalid, SignatureNotFound, SubjectMismatch, TooManyCandidates,
};
use assay_core::State::{Missing, Rejected, Unavailable};
use assay_core::{ReasonCode, SignerId, State, StoreError};

/// Who signed the subject, or why this is no signature of it.
pub(super) type Verdict = Result<SignerId, Flaw>;

/// Why something is no good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The outcome that it makes where nothing better is found.
    pub(super) state: State,
    /// The cause, in words of our own.
    pub(super) cause: Cow<'static, str>,
}

impl Flaw {
    /// What is evidence of another kind: an attestation, an SBOM.
    pub(super) const NOT_A_SIGNATURE: Self =
        Self { state: Missing(SignatureNotFound), cause: Cow::Borrowed("not a signature") };

    /// What is a signature, and bad.
    pub(super) const fn rejected(code: ReasonCode, cause: &'static str) -> Self {
        Self { state: Rejected(code), cause: Cow::Borrowed(cause) }
    }

    /// What claims to be a signature and is malformed.
    pub(super) const fn invalid(cause: &'static str) -> Self {
        Self::rejected(EvidenceInvalid, cause)
    }

    /// How much this tells, against other flaws. An undecided one tells the most: what could not
    /// be read might have been the good signature.
    pub(super) fn rank(&self) -> usize {
        match self.state {
            Unavailable(_) => usize::MAX,
            state => TELLING.iter().position(|known| *known == state).unwrap_or(TELLING.len()),
        }
    }

    /// The flaw in one line, with the names of the trust stores that were asked for.
    pub(super) fn message(&self, stores: &str) -> String {
        match self.state {
            Missing(_) => format!("no signature by a key of {stores}"),
            Rejected(KeyMismatch) => format!("signed, but by no key of {stores}"),
            Rejected(SignatureInvalid) => {
                format!("a signature that names a key of {stores} does not verify")
            }
            Rejected(SubjectMismatch) => {
                format!("a signature by a key of {stores} is about another image")
            }
            _ => format!("no good signature by a key of {stores} found: {}", self.cause),
        }
    }
}

impl From<StoreError> for Flaw {
    fn from(error: StoreError) -> Self {
        Self { state: error.state(SignatureNotFound), cause: Cow::Owned(error.to_string()) }
    }
}

/// What is decided, the least telling first: junk that anybody may push, then strangers'
/// signatures, then what points at an attack or hides the rest. A code that is not here tells most.
const TELLING: [State; 10] = [
    Missing(SignatureNotFound),
    Rejected(EvidenceInvalid),
    Rejected(EvidenceTooLarge),
    Rejected(DigestMismatch),
    Rejected(KeyMismatch),
    Rejected(SignatureInvalid),
    Rejected(RegistryDenied),
    Rejected(Internal),
    Rejected(SubjectMismatch),
    Rejected(TooManyCandidates),
];
