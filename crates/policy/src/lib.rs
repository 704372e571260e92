//! Pure policy: what an object is and which images stand in it, which policies look at it, what
//! they ask, and what follows from what was found. No I/O, no time, no runtime.
//!
//! Architecture invariant: [`Decision::Admit`] holds a proof that only [`decide`] can make.

mod decide;
mod image_glob;
mod matching;
pub mod message;
mod object;
mod plan;
mod policies;
mod report;
mod request;
mod selector;
mod snapshot;
#[cfg(test)]
mod tests;
mod verdict;
mod wildcard;

pub use decide::{Finding, decide};
pub use image_glob::{GlobError, GlobMatch, ImageGlob};
pub use matching::{KindSelector, Match, MatchError, Namespace, Scope, SourceSelector};
pub use object::{
    ImageField, OBJECT_IMAGES_MAX, Object, ObjectError, ObjectImage, PULL_SECRETS_MAX, Role, Source,
};
pub use plan::{Plan, PlannedImage, Work};
pub use policies::Policies;
pub use report::{Report, VerificationResult};
pub use request::{Operation, Request};
pub use selector::{LabelExpression, LabelSelector, SelectorError};
pub use snapshot::{
    DefaultAction, EXEMPT_NAMESPACES, EnforcementAction, Invalid, OnError, Policy, PolicyId,
    Quorum, RequireDigest, Requirement, Rule, RuleBody, Snapshot, Term, Tier, VisitVerifier,
};
pub use verdict::{
    Admission, CacheUse, Decision, Effect, ImageVerdict, NamedReport, PolicyVerdict, Verdict,
    Violation,
};
pub use wildcard::{Wildcard, WildcardError};
