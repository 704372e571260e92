//! Room 5: from what policies ask and what was found to a verdict. Pure and total.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_core::{Digest, ImageReference, Outcome, ReasonCode, SignerId, State, Subject};

use crate::plan::{Ask, Cover, TagProof};
use crate::verdict::{
    Admission, CacheUse, Decision, Effect, ImageVerdict, NamedReport, PolicyVerdict, Verdict,
    Violation,
};
use crate::{
    DefaultAction, EnforcementAction, OnError, Plan, PlannedImage, PolicyId, Quorum, RequireDigest,
    Requirement, RuleBody, Snapshot, Term,
};

/// What was found out about one image.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The digest that the reference stands for, and what else the registry said of it; or why it
    /// could not be had.
    pub subject: Result<Subject, Outcome>,
    /// Whether the tag points at that digest, where that was asked; or why it could not be told.
    pub tag_proven: Option<Result<bool, Outcome>>,
    /// The verifiers' outcomes, by fingerprint.
    pub outcomes: BTreeMap<Digest, Outcome>,
    /// Whether all of it was cached.
    pub cached: bool,
}

/// The verdict on a plan, given what was found for each of its images (by position; `None` where
/// there was no work).
///
/// It does no I/O and cannot fail: what was not found counts as [`ReasonCode::Internal`] and
/// refuses.
pub fn decide(snapshot: &Snapshot, plan: &Plan, findings: &[Option<Finding>]) -> Verdict {
    let finding = |index: usize| findings.get(index).and_then(Option::as_ref);
    let images: Vec<ImageVerdict> = plan
        .images
        .iter()
        .enumerate()
        .map(|(index, image)| Judge { snapshot, image, finding: finding(index) }.verdict())
        .collect();
    let strictest = images.iter().map(ImageVerdict::effect).max().unwrap_or(Effect::Allow);
    let decision = match strictest {
        Effect::Allow | Effect::Dryrun | Effect::Warn => Decision::Admit(Admission(())),
        Effect::Undecided => Decision::Undecided,
        Effect::Deny => Decision::Deny,
    };
    let cache = findings.iter().flatten().map(|finding| match finding.cached {
        true => CacheUse::Hit,
        false => CacheUse::Miss,
    });
    Verdict { decision, images, cache: cache.max().unwrap_or_default() }
}

/// Whether a requirement holds.
enum Truth {
    False(Vec<Violation>),
    True(Basis),
    Undecided(Vec<Violation>),
}

/// What was accepted where a requirement holds.
#[derive(Default)]
struct Basis {
    signers: BTreeSet<SignerId>,
    /// Each once.
    warnings: Vec<ReasonCode>,
}

/// Whether evidence counts that was accepted with a warning.
#[derive(Clone, Copy)]
enum Warned {
    Counts,
    Refused,
}

struct Judge<'a> {
    snapshot: &'a Snapshot,
    image: &'a PlannedImage,
    finding: Option<&'a Finding>,
}

impl Judge<'_> {
    fn verdict(&self) -> ImageVerdict {
        let policies = self.image.covers.iter().map(|cover| self.judge(cover));
        let policies = policies.chain(self.default_verdict()).collect();
        let reference = self.image.reference.as_ref().ok();
        let subject = self.finding.and_then(|finding| finding.subject.as_ref().ok());
        let digest = subject.map(|subject| subject.digest().clone());
        let shown = reference.map_or(self.image.written.clone(), ToString::to_string);
        ImageVerdict {
            written: self.image.written.clone(),
            subject: subject.map_or_else(|| shown.clone(), Subject::reference),
            name: reference.map_or(self.image.written.clone(), name_without_digest),
            registry: reference.map_or(String::new(), |image| image.repository().host().to_owned()),
            digest,
            places: self.image.places.clone(),
            covered: !self.image.covers.is_empty(),
            policies,
            reports: self.image.covers.iter().flat_map(|cover| self.reports(cover)).collect(),
        }
    }

    /// What `defaultAction` says, where no enforcing cluster policy covers the image.
    fn default_verdict(&self) -> Option<PolicyVerdict> {
        let advisory = self.image.uncovered?;
        let enforcement_action = match self.snapshot.default_action {
            DefaultAction::Allow => return None,
            DefaultAction::Deny => EnforcementAction::Deny,
            DefaultAction::Warn => EnforcementAction::Warn,
        };
        Some(PolicyVerdict {
            policy: PolicyId { namespace: None, name: "defaultAction".to_owned() },
            rule: None,
            enforcement_action,
            effect: refusal(enforcement_action, advisory, Effect::Deny),
            violations: vec![blame(
                ReasonCode::NotCovered,
                "no enforcing cluster policy covers the image",
            )],
            warnings: Vec::new(),
        })
    }

    fn judge(&self, cover: &Cover) -> PolicyVerdict {
        let policy = &cover.policy;
        let truth = self.digest_demand(cover, self.truth(cover));
        let mut warnings = match policy.require_digest {
            RequireDigest::Warn if self.names_no_digest() => vec![ReasonCode::DigestRequired],
            _ => Vec::new(),
        };
        let (effect, violations) = match truth {
            Truth::True(basis) => {
                warnings.extend(basis.warnings);
                (Effect::Allow, Vec::new())
            }
            Truth::False(violations) => {
                (refusal(policy.enforcement_action, cover.advisory, Effect::Deny), violations)
            }
            Truth::Undecided(violations) => (self.undecided(cover, &violations), violations),
        };
        if policy.enforcement_action == EnforcementAction::Dryrun {
            warnings.clear();
        }
        PolicyVerdict {
            policy: policy.id.clone(),
            rule: match cover.ask {
                Ask::Rule(index, _) => Some(index),
                _ => None,
            },
            enforcement_action: policy.enforcement_action,
            effect,
            violations,
            warnings,
        }
    }

    /// `truth`, and false where the policy asks for a digest and the image names none.
    fn digest_demand(&self, cover: &Cover, truth: Truth) -> Truth {
        if cover.policy.require_digest != RequireDigest::Deny || !self.names_no_digest() {
            return truth;
        }
        let demand = blame(ReasonCode::DigestRequired, "the image must be named by digest");
        match truth {
            Truth::False(mut violations) => {
                violations.push(demand);
                Truth::False(violations)
            }
            Truth::True(_) | Truth::Undecided(_) => Truth::False(vec![demand]),
        }
    }

    fn names_no_digest(&self) -> bool {
        self.image.reference.as_ref().is_ok_and(|reference| reference.digest().is_none())
    }

    /// What an undecided requirement does. `onError` counts for hosts that the configuration names,
    /// and not where it is our own bounds that are reached: those anyone can fill on purpose.
    fn undecided(&self, cover: &Cover, violations: &[Violation]) -> Effect {
        let policy = &cover.policy;
        let host = self.image.reference.as_ref().map(|reference| reference.repository().host());
        let is_named = host.is_ok_and(|host| self.snapshot.registries.contains(host));
        let is_full = violations.iter().any(|found| found.code == ReasonCode::Overloaded);
        let on_error = if is_named && !is_full { policy.on_error } else { OnError::Deny };
        match on_error {
            OnError::Allow => Effect::Allow,
            OnError::Deny => refusal(policy.enforcement_action, cover.advisory, Effect::Undecided),
            OnError::Warn => refusal(policy.enforcement_action, true, Effect::Warn),
        }
    }

    fn truth(&self, cover: &Cover) -> Truth {
        let Some((body, proof)) = cover.body() else {
            return Truth::False(vec![match &cover.ask {
                Ask::MatchError(error) => blame(ReasonCode::MatchError, error),
                Ask::PolicyInvalid(invalid) => blame(ReasonCode::PolicyInvalid, invalid),
                Ask::ReferenceInvalid(error) => blame(ReasonCode::ImageReferenceInvalid, error),
                Ask::Rule(..) => blame(ReasonCode::Internal, "a rule that is not there"),
            }]);
        };
        match body {
            RuleBody::Deny(text) => {
                return Truth::False(vec![blame(ReasonCode::ImageDenied, text)]);
            }
            RuleBody::Invalid(invalid) => {
                return Truth::False(vec![blame(ReasonCode::PolicyInvalid, invalid)]);
            }
            RuleBody::Allow | RuleBody::Require(_) => {}
        }
        match self.tag_truth(proof) {
            Truth::True(_) => {}
            unproven => return unproven,
        }
        let RuleBody::Require(requirement) = body else {
            return Truth::True(Basis::default());
        };
        match self.finding.map(|finding| &finding.subject) {
            None => Truth::False(vec![blame(ReasonCode::Internal, "the image was not looked at")]),
            Some(Err(outcome)) => from_outcome(None, outcome, Warned::Counts),
            // Nobody is warned of what the image does not need.
            Some(Ok(_)) => match self.requirement(requirement, Warned::Refused) {
                Truth::True(basis) => Truth::True(basis),
                _ => self.requirement(requirement, Warned::Counts),
            },
        }
    }

    /// Whether the image carries the tag that the rule's glob names.
    fn tag_truth(&self, proof: TagProof) -> Truth {
        let unproven = |why: &str| Truth::False(vec![blame(ReasonCode::TagNotProven, why)]);
        match proof {
            TagProof::None => Truth::True(Basis::default()),
            TagProof::Unproven => {
                unproven("the rule asks for a tag, and the image names a digest alone")
            }
            TagProof::MustResolve => {
                match self.finding.and_then(|finding| finding.tag_proven.as_ref()) {
                    Some(Ok(true)) => Truth::True(Basis::default()),
                    Some(Ok(false)) => unproven("the tag points at another digest"),
                    Some(Err(outcome)) => from_outcome(None, outcome, Warned::Counts),
                    None => unproven("the tag was not looked at"),
                }
            }
        }
    }

    fn requirement(&self, requirement: &Requirement, warned: Warned) -> Truth {
        let truths = requirement.of.iter().map(|term| self.term(term, warned)).collect();
        match requirement.quorum {
            Quorum::All => all(truths),
            Quorum::Any => at_least(1, truths),
            Quorum::AtLeast(count) => at_least(count, truths),
        }
    }

    fn term(&self, term: &Term, warned: Warned) -> Truth {
        let (name, verifier) = match term {
            Term::Group(requirement) => return self.requirement(requirement, warned),
            Term::Verifier(name, verifier) => (name, verifier),
        };
        let outcomes = self.finding.map(|finding| &finding.outcomes);
        match outcomes.and_then(|outcomes| outcomes.get(verifier.fingerprint())) {
            Some(outcome) => from_outcome(Some(name), outcome, warned),
            None => Truth::False(vec![Violation {
                verifier: Some(name.clone()),
                ..blame(ReasonCode::Internal, "there is no outcome")
            }]),
        }
    }

    fn reports(&self, cover: &Cover) -> Vec<NamedReport> {
        let mut reports = Vec::new();
        let (Some((RuleBody::Require(requirement), _)), Some(finding)) =
            (cover.body(), self.finding)
        else {
            return reports;
        };
        requirement.for_each_verifier(&mut |name, verifier| {
            let outcome = finding.outcomes.get(verifier.fingerprint());
            reports.extend(outcome.iter().flat_map(|outcome| &outcome.reports).map(|report| {
                NamedReport {
                    policy: cover.policy.id.clone(),
                    name: name.clone(),
                    report: report.clone(),
                }
            }));
        });
        reports
    }
}

/// What a violation does, given that it would otherwise have the effect `strict`.
fn refusal(action: EnforcementAction, advisory: bool, strict: Effect) -> Effect {
    match (action, advisory) {
        (EnforcementAction::Deny, false) => strict,
        (EnforcementAction::Deny, true) | (EnforcementAction::Warn, _) => Effect::Warn,
        (EnforcementAction::Dryrun, _) => Effect::Dryrun,
    }
}

fn blame(code: ReasonCode, message: impl ToString) -> Violation {
    Violation { verifier: None, code, message: message.to_string() }
}

fn from_outcome(name: Option<&Arc<str>>, outcome: &Outcome, warned: Warned) -> Truth {
    let violation =
        |code| vec![Violation { verifier: name.cloned(), code, message: outcome.message.clone() }];
    match outcome.state {
        State::Accepted => match (warned, outcome.warnings.first()) {
            (Warned::Refused, Some(code)) => Truth::False(violation(*code)),
            _ => Truth::True(Basis::of(outcome)),
        },
        State::Missing(code) | State::Rejected(code) => Truth::False(violation(code)),
        State::Unavailable(code) => Truth::Undecided(violation(code)),
    }
}

impl Basis {
    fn of(outcome: &Outcome) -> Self {
        Self { signers: outcome.signers.clone(), warnings: outcome.warnings.clone() }
    }
}

impl FromIterator<Self> for Basis {
    fn from_iter<T: IntoIterator<Item = Self>>(parts: T) -> Self {
        let mut whole = Self::default();
        for Self { signers, warnings } in parts {
            whole.signers.extend(signers);
            for code in warnings {
                if !whole.warnings.contains(&code) {
                    whole.warnings.push(code);
                }
            }
        }
        whole
    }
}

fn all(truths: Vec<Truth>) -> Truth {
    let mut accepted = Vec::new();
    let (mut violations, mut undecided) = (Vec::new(), Vec::new());
    for truth in truths {
        match truth {
            Truth::False(found) => violations.extend(found),
            Truth::True(basis) => accepted.push(basis),
            Truth::Undecided(found) => undecided.extend(found),
        }
    }
    match (violations.is_empty(), undecided.is_empty()) {
        (false, _) => Truth::False(violations),
        (true, false) => Truth::Undecided(undecided),
        (true, true) => Truth::True(accepted.into_iter().collect()),
    }
}

fn at_least(count: usize, truths: Vec<Truth>) -> Truth {
    let (mut accepted, mut violations, mut undecided) = (Vec::new(), Vec::new(), 0_usize);
    for truth in truths {
        match truth {
            Truth::False(found) => violations.extend(found),
            Truth::True(basis) => accepted.push(basis),
            Truth::Undecided(found) => {
                undecided += 1;
                violations.extend(found);
            }
        }
    }
    let distinct = distinct_signers(&accepted);
    if distinct >= count {
        return Truth::True(accepted.into_iter().collect());
    }
    if violations.is_empty() || accepted.len() + undecided >= count && undecided == 0 {
        let message = format!("{distinct} distinct signers, and {count} are needed");
        violations.push(blame(ReasonCode::KeyMismatch, message));
    }
    if distinct + undecided < count {
        Truth::False(violations)
    } else {
        Truth::Undecided(violations)
    }
}

/// How many of `accepted` can be told apart by a signer of their own: the size of a maximum
/// matching between terms and signers. A term without signers (evidence that nobody signs) stands
/// for itself.
fn distinct_signers(accepted: &[Basis]) -> usize {
    let mut taken: BTreeMap<&SignerId, usize> = BTreeMap::new();
    let signed = |term: &usize| accepted.get(*term).is_some_and(|basis| !basis.signers.is_empty());
    let (signed, unsigned): (Vec<usize>, Vec<usize>) = (0..accepted.len()).partition(signed);
    let matched = signed
        .into_iter()
        .filter(|term| find_signer(*term, accepted, &mut taken, &mut BTreeSet::new()))
        .count();
    matched + unsigned.len()
}

/// Whether `term` can have a signer of its own, others moving to another of theirs where they must
/// (an augmenting path; as deep as there are terms, 32 at most).
fn find_signer<'a>(
    term: usize,
    accepted: &'a [Basis],
    taken: &mut BTreeMap<&'a SignerId, usize>,
    tried: &mut BTreeSet<&'a SignerId>,
) -> bool {
    for signer in accepted.get(term).into_iter().flat_map(|basis| &basis.signers) {
        if !tried.insert(signer) {
            continue;
        }
        let free = match taken.get(signer).copied() {
            None => true,
            Some(holder) => find_signer(holder, accepted, taken, tried),
        };
        if free {
            taken.insert(signer, term);
            return true;
        }
    }
    false
}

fn name_without_digest(reference: &ImageReference) -> String {
    match reference.tag() {
        Some(tag) => format!("{}:{tag}", reference.repository()),
        None => reference.repository().to_string(),
    }
}
