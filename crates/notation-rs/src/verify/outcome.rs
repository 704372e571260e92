//! What a verification came to.

use std::sync::Arc;

use crate::envelope::{EnvelopeError, IntactEnvelope};
use crate::error::VerificationError;
use crate::payload::TargetArtifact;
use crate::trust_policy::{ValidationAction, ValidationType, VerificationLevel};

/// What the checks of one signature came to.
#[derive(Clone, Debug)]
#[must_use]
pub struct Outcome {
    /// The level that decided.
    pub level: VerificationLevel,
    /// The checks that were made, in their order. Those after an enforced failure were not, nor is
    /// revocation where the level skips it.
    pub results: Vec<ValidationResult>,
    /// The envelope, if it is intact. Whether its signer is trusted is in the verdict.
    pub envelope: Option<Arc<IntactEnvelope>>,
    /// The verdict: only `Ok` lets the artifact pass.
    pub verdict: Result<Verdict, Failure>,
}

impl Outcome {
    /// What comes of a signature whose media type is that of no envelope: the check of its integrity
    /// fails, unless the level skips everything.
    pub fn of_unsupported_format(level: VerificationLevel) -> Self {
        let mut results = Results::new(level);
        let unsupported = Err(EnvelopeError::UnsupportedFormat.into());
        let verdict = match level.is_skip() {
            true => Ok(Verdict::Skipped),
            false => results.require(ValidationType::Integrity, unsupported),
        };
        results.into_outcome(verdict)
    }

    /// The failures that the level lets pass, to be reported as warnings.
    pub fn warnings(&self) -> impl Iterator<Item = (ValidationType, &VerificationError)> {
        let logged = self.results.iter().filter(|result| result.action == ValidationAction::Log);
        logged.filter_map(|result| Some((result.check, result.error.as_ref()?)))
    }
}

/// Why an artifact may pass.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The level demands nothing, and nothing was read.
    Skipped,
    /// All that the level enforces was verified.
    Verified(Box<VerifiedSignature>),
}

/// A signature that passed, with what it says.
#[derive(Clone, Debug)]
pub struct VerifiedSignature {
    /// The envelope.
    pub envelope: Arc<IntactEnvelope>,
    /// The artifact that it names, with all its metadata.
    pub target: TargetArtifact,
}

/// Why an artifact may not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Where in the procedure.
    pub stage: Stage,
    /// Why.
    pub error: VerificationError,
}

/// The part of the procedure that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// One of the checks that the level decides over.
    Check(ValidationType),
    /// The signature asks for a plugin: wrongly, or for one that is not here or gives no answer.
    Plugin,
    /// An attribute that must be understood is not.
    Critical,
    /// The signature is over something else.
    Payload,
    /// The wanted user metadata is not signed.
    Metadata,
}

impl Stage {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check(check) => check.as_str(),
            Self::Plugin => "plugin",
            Self::Critical => "critical",
            Self::Payload => "payload",
            Self::Metadata => "metadata",
        }
    }
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationResult {
    /// The check.
    pub check: ValidationType,
    /// What its failure leads to.
    pub action: ValidationAction,
    /// Its failure.
    pub error: Option<VerificationError>,
}

/// The results so far.
pub(super) struct Results {
    level: VerificationLevel,
    results: Vec<ValidationResult>,
    pub(super) envelope: Option<Arc<IntactEnvelope>>,
}

impl Results {
    pub(super) const fn new(level: VerificationLevel) -> Self {
        Self { level, results: Vec::new(), envelope: None }
    }

    /// Notes how `check` ended, whose failure is the end.
    pub(super) fn require<T>(
        &mut self,
        check: ValidationType,
        result: Result<T, VerificationError>,
    ) -> Result<T, Failure> {
        let (action, error) = (self.level.action(check), result.as_ref().err().cloned());
        self.results.push(ValidationResult { check, action, error });
        result.map_err(|error| Failure { stage: Stage::Check(check), error })
    }

    /// Notes how `check` ended, whose failure is the end unless it is to be logged only.
    pub(super) fn record(
        &mut self,
        check: ValidationType,
        result: Result<(), VerificationError>,
    ) -> Result<(), Failure> {
        let result = self.require(check, result);
        if self.level.action(check) == ValidationAction::Log { Ok(()) } else { result }
    }

    /// Notes how `check`, noted before, ended after all, if it failed.
    pub(super) fn revise(
        &mut self,
        check: ValidationType,
        result: Result<(), VerificationError>,
    ) -> Result<(), Failure> {
        let Err(error) = result else { return Ok(()) };
        for noted in self.results.iter_mut().filter(|noted| noted.check == check) {
            noted.error = Some(error.clone());
        }
        match self.level.action(check) {
            ValidationAction::Log => Ok(()),
            _ => Err(Failure { stage: Stage::Check(check), error }),
        }
    }

    pub(super) fn into_outcome(self, verdict: Result<Verdict, Failure>) -> Outcome {
        let Self { level, results, envelope } = self;
        Outcome { level, results, envelope, verdict }
    }
}
