//! Why a candidate is no good signature, and which of many such reasons tells the most.

use std::borrow::Cow;

use assay_core::ReasonCode::{
    AnnotationMismatch, DigestMismatch, EvidenceInvalid, EvidenceTooLarge, Internal, KeyMismatch,
    RegistryDenied, SignatureInvalid, SignatureNotFound, SubjectMismatch, TooManyCandidates,
};
use assay_core::State::{Missing, Rejected, Unavailable};
use assay_core::{ReasonCode, State, StoreError};

use super::keys::Signer;

/// Who signed the subject, or why this is no signature of it.
pub(super) type Verdict = Result<Signer, Flaw>;

/// Why something is no good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The outcome that it makes where nothing better is found.
    pub(super) state: State,
    /// The cause, in words of our own.
    pub(super) cause: Cow<'static, str>,
    /// What to say in the place of the usual, where more is known.
    message: Option<String>,
}

impl Flaw {
    const fn new(state: State, cause: Cow<'static, str>) -> Self {
        Self { state, cause, message: None }
    }

    /// What is evidence of another kind: an attestation, an SBOM.
    pub(super) const NOT_A_SIGNATURE: Self =
        Self::new(Missing(SignatureNotFound), Cow::Borrowed("not a signature"));

    /// What is a signature, and bad.
    pub(super) const fn rejected(code: ReasonCode, cause: &'static str) -> Self {
        Self::new(Rejected(code), Cow::Borrowed(cause))
    }

    /// The same, for a cause that is not known before.
    pub(super) fn because(code: ReasonCode, cause: String) -> Self {
        Self::new(Rejected(code), Cow::Owned(cause))
    }

    /// The same flaw, which a message speaks of in these words.
    pub(super) fn with_message(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }

    /// What claims to be a signature and is malformed.
    pub(super) const fn invalid(cause: &'static str) -> Self {
        Self::rejected(EvidenceInvalid, cause)
    }

    /// Whether something could not be read, which might have been the good signature.
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.state, Unavailable(_) | Rejected(Internal))
    }

    /// How much this tells, against other flaws. What could not be read tells the most, and most of
    /// all a defect of ours, which no `onError` forgives. Neither is remembered.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let place = match self.state {
            Rejected(Internal) => usize::MAX,
            Unavailable(_) => usize::MAX - 1,
            state => TELLING.iter().position(|known| *known == state).unwrap_or(TELLING.len()),
        };
        (place, self.message.is_some())
    }

    /// The flaw in one line, with the names of the trust stores that were asked for.
    pub(super) fn message(&self, stores: &str) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
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
        Self::new(error.state(SignatureNotFound), Cow::Owned(error.to_string()))
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
    Rejected(SubjectMismatch),
    Rejected(AnnotationMismatch),
    Rejected(TooManyCandidates),
];
