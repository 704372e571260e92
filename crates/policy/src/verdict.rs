//! What was decided, image by image and policy by policy, in words that messages, reports and
//! metrics share.

use std::sync::Arc;

use assay_core::{Digest, ReasonCode, VerifierReport};

use crate::{EnforcementAction, PolicyId};

/// What was decided about a request, and why.
#[derive(Debug)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The images that were judged, in the object's order.
    pub images: Vec<ImageVerdict>,
    /// Whether cached verdicts sufficed.
    pub cache: CacheUse,
}

/// What a verdict cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheUse {
    /// No evidence was asked for.
    #[default]
    None,
    /// Every answer was cached.
    Hit,
    /// Something had to be asked for.
    Miss,
}

/// The decision on a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may go on. Only [`crate::decide`] can make the proof.
    Admit(Admission),
    /// It may not.
    Deny,
    /// It may not, for want of an answer: the next try may end otherwise.
    Undecided,
}

/// Proof that every image of a request was judged and admitted.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission(pub(crate) ());

/// What one policy does about one image, from mildest to strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    Allow,
    /// It would refuse, and only says so to whoever reads logs and metrics.
    Dryrun,
    /// It warns.
    Warn,
    /// It refuses, for want of an answer.
    Undecided,
    /// It refuses.
    Deny,
}

/// What was decided about one image.
#[derive(Debug)]
pub struct ImageVerdict {
    /// The reference as written.
    pub written: String,
    /// The reference by digest, else normalised, else as written.
    pub subject: String,
    /// The normalised reference without its digest; as written where it does not parse.
    pub name: String,
    /// The registry's host; empty where the reference does not parse.
    pub registry: String,
    /// The digest that every check spoke of.
    pub digest: Option<Digest>,
    /// Where the image stands: `container "web"`.
    pub places: Vec<String>,
    /// Whether any policy, the namespace's too, covers it.
    pub covered: bool,
    /// Each policy that covers it, in order.
    pub policies: Vec<PolicyVerdict>,
    /// What the verifiers say, by policy and by the verifier's name in it.
    pub reports: Vec<NamedReport>,
}

/// What one policy decided about one image.
#[derive(Clone, Debug)]
pub struct PolicyVerdict {
    /// Which policy.
    pub policy: PolicyId,
    /// The rule that decided, from 0.
    pub rule: Option<usize>,
    /// The policy's enforcement action.
    pub enforcement_action: EnforcementAction,
    /// What it does.
    pub effect: Effect,
    /// Why.
    pub violations: Vec<Violation>,
    /// What is worth a warning, whatever the effect.
    pub warnings: Vec<ReasonCode>,
}

/// Why a policy does not admit an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The verifier's name in the policy, where one is to blame.
    pub verifier: Option<Arc<str>>,
    /// The code.
    pub code: ReasonCode,
    /// What a person needs to know.
    pub message: String,
}

/// A verifier's report under the name that a policy gives the verifier.
#[derive(Clone, Debug)]
pub struct NamedReport {
    /// The policy.
    pub policy: PolicyId,
    /// The verifier's name in it.
    pub name: Arc<str>,
    /// The report.
    pub report: VerifierReport,
}

impl Verdict {
    /// Whether the request may go on.
    pub fn is_admitted(&self) -> bool {
        matches!(self.decision, Decision::Admit(_))
    }

    /// The strictest effect of any policy on any image.
    pub fn effect(&self) -> Effect {
        self.images.iter().map(ImageVerdict::effect).max().unwrap_or(Effect::Allow)
    }
}

impl PolicyVerdict {
    /// The codes of all that it has to say of the image, against it and as a warning.
    pub fn codes(&self) -> impl Iterator<Item = ReasonCode> {
        let violations = self.violations.iter().map(|violation| violation.code);
        violations.chain(self.warnings.iter().copied())
    }
}

impl ImageVerdict {
    /// The strictest effect of any policy.
    pub fn effect(&self) -> Effect {
        self.policies.iter().map(|policy| policy.effect).max().unwrap_or(Effect::Allow)
    }

    /// Whether no policy found anything to complain about, whatever its action.
    pub fn is_success(&self) -> bool {
        self.policies.iter().all(|policy| policy.violations.is_empty())
    }
}

impl Effect {
    /// The effect as reports and metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Dryrun => "dryrun",
            Self::Warn => "warn",
            Self::Undecided => "undecided",
            Self::Deny => "deny",
        }
    }
}

impl CacheUse {
    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}
