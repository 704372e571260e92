//! Why a candidate is no good signature, and which of many such reasons tells the most.

use std::borrow::Cow;

use assay_core::ReasonCode::{
    AnnotationMismatch, CertificateExpired, CertificateRevoked, DigestMismatch, EvidenceInvalid,
    EvidenceTooLarge, IdentityMismatch, Internal, KeyMismatch, Overloaded, RegistryDenied,
    RevocationUnknown, SignatureExpired, SignatureInvalid, SignatureNotFound, SubjectMismatch,
    TimestampInvalid, TooManyCandidates,
};
use assay_core::State::{Missing, Rejected, Unavailable};
use assay_core::{ReasonCode, State, StoreError};
use notation_rs::VerificationError as Error;
use notation_rs::revocation::{FetchError, RevocationError};
use notation_rs::verify::RevocationFailure;

/// Why something is no good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The outcome that it makes where nothing better is found.
    pub(super) state: State,
    /// The cause, in words of our own.
    pub(super) cause: Cow<'static, str>,
}

impl Flaw {
    /// What is evidence of another kind.
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

    /// How much this tells, against other flaws. What could not be read tells the most, and most of
    /// all a defect of ours, which no `onError` forgives. Neither is remembered.
    pub(super) fn rank(&self) -> usize {
        match self.state {
            Rejected(Internal) => usize::MAX,
            Unavailable(_) => usize::MAX - 1,
            state => TELLING.iter().position(|known| *known == state).unwrap_or(TELLING.len()),
        }
    }

    /// The flaw in one line, with the names of the trust stores that were asked for.
    pub(super) fn message(&self, stores: &str) -> String {
        match self.state {
            Missing(_) => format!("no signature by a certificate of {stores}"),
            Rejected(KeyMismatch) => format!("signed, but by no certificate of {stores}"),
            _ => format!("no good signature by a certificate of {stores} found: {}", self.cause),
        }
    }
}

impl From<StoreError> for Flaw {
    fn from(error: StoreError) -> Self {
        Self { state: error.state(SignatureNotFound), cause: Cow::Owned(error.to_string()) }
    }
}

impl From<&Error> for Flaw {
    fn from(error: &Error) -> Self {
        Self { state: state(error), cause: Cow::Owned(error.to_string()) }
    }
}

/// The outcome that a failed check makes.
fn state(error: &Error) -> State {
    let code = match error {
        Error::CertNotValidAt { .. } => CertificateExpired,
        Error::DescriptorMismatch => SubjectMismatch,
        Error::Expired { .. } => SignatureExpired,
        Error::Identity(_) | Error::IdentityMismatch => IdentityMismatch,
        Error::MetadataMismatch { .. } => AnnotationMismatch,
        Error::NotTrusted | Error::TrustStore(_) => KeyMismatch,
        Error::Revocation(failure) | Error::TimestampRevocation(failure) => {
            return revocation(failure);
        }
        Error::RevocationNotChecked => RevocationUnknown,
        Error::Timestamp(_) | Error::TimestampAbsent | Error::TimestampRange => TimestampInvalid,
        Error::Integrity(_) if error.code() == "BadSignature" => SignatureInvalid,
        // The rest is malformed, or asks for what nobody here understands.
        _ => EvidenceInvalid,
    };
    Rejected(code)
}

fn revocation(failure: &RevocationFailure) -> State {
    match failure {
        RevocationFailure::Revoked { .. } => Rejected(CertificateRevoked),
        RevocationFailure::Unknown { causes, .. } if causes.contains(&OVERLOADED) => {
            Unavailable(Overloaded)
        }
        RevocationFailure::Unknown { causes, .. }
            if !causes.is_empty() && causes.iter().all(is_transient) =>
        {
            Unavailable(RevocationUnknown)
        }
        RevocationFailure::Unknown { .. } => Rejected(RevocationUnknown),
        _ => Rejected(EvidenceInvalid),
    }
}

/// What comes of our own bounds, which no `onError` forgives.
const OVERLOADED: RevocationError = RevocationError::Fetch(FetchError::Overloaded);

/// Whether the next try may well end otherwise. An answer that is garbage is an answer.
fn is_transient(cause: &RevocationError) -> bool {
    matches!(cause, RevocationError::Fetch(FetchError::TimedOut | FetchError::Unreachable))
}

/// What is decided, the least telling first: junk that anybody may push, then strangers'
/// signatures, then what a trusted signer got wrong, then what points at an attack or hides the
/// rest. A code that is not here tells most.
const TELLING: [State; 16] = [
    Missing(SignatureNotFound),
    Rejected(EvidenceInvalid),
    Rejected(EvidenceTooLarge),
    Rejected(DigestMismatch),
    Rejected(SignatureInvalid),
    Rejected(KeyMismatch),
    Rejected(RegistryDenied),
    Rejected(IdentityMismatch),
    Rejected(SignatureExpired),
    Rejected(CertificateExpired),
    Rejected(TimestampInvalid),
    Rejected(RevocationUnknown),
    Rejected(SubjectMismatch),
    Rejected(AnnotationMismatch),
    Rejected(CertificateRevoked),
    Rejected(TooManyCandidates),
];
