//! What was found, added up: the outcome, and a report on each signature that was looked at.

use std::collections::BTreeMap;

use assay_core::{Digest, Outcome, ReasonCode, SignerId, State, Subject, VerifierReport};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::KIND;
use super::flaw::{Flaw, Verdict};
use super::keys::{Keys, Signer};

/// Where a signature stands.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    /// The type of the artifact that carries it.
    pub(super) kind: &'static str,
    /// The digest of that artifact's manifest.
    pub(super) manifest: Digest,
    /// The digest of the layer with the signature, where the manifest could be read.
    pub(super) layer: Option<Digest>,
}

/// What looking at one candidate gave, or why a whole place could not be looked at.
#[derive(Debug)]
pub(super) struct Finding {
    /// The candidate; nothing for a whole place.
    pub(super) artifact: Option<Artifact>,
    /// What it is worth.
    pub(super) verdict: Verdict,
}

/// The findings about one subject, so far.
#[derive(Debug)]
pub(super) struct Tally {
    subject: Subject,
    /// Each with the time until which it counts.
    signers: BTreeMap<SignerId, Timestamp>,
    findings: Vec<Finding>,
}

impl Tally {
    /// Nothing so far.
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, signers: BTreeMap::new(), findings: Vec::new() }
    }

    /// Adds one finding.
    pub(super) fn add(&mut self, finding: Finding) {
        if let Ok(Signer { id, valid_until }) = &finding.verdict {
            self.signers.insert(id.clone(), *valid_until);
        }
        self.findings.push(finding);
    }

    /// Whether any key has signed.
    pub(super) fn is_signed(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Whether so many keys have signed that no further one can have.
    pub(super) fn is_complete(&self, keys: usize) -> bool {
        self.is_signed() && self.signers.len() >= keys
    }

    /// What could not be read, and might have been signed by one of the `keys` that is missing yet.
    fn unread(&self, keys: usize) -> Option<&Flaw> {
        let flaws = self.flaws().filter(|_| !self.is_complete(keys));
        flaws.into_iter().find(|flaw| flaw.is_unread())
    }

    fn flaws(&self) -> impl Iterator<Item = &Flaw> {
        self.findings.iter().filter_map(|finding| finding.verdict.as_ref().err())
    }

    /// The most telling flaw of all.
    fn flaw(&self) -> Flaw {
        let flaw = self.flaws().max_by_key(|flaw| flaw.rank());
        flaw.cloned().unwrap_or(Flaw::NOT_A_SIGNATURE)
    }
}

/// The outcome for one subject, or for an index and all that it holds, the index first: accepted
/// where a key has signed every one of them.
///
/// `valid_until` is when the first of the keys that the acceptance rests on expires, and `now` where
/// the next attempt may find more signers than this one could read.
pub(super) fn outcome(parts: &[Tally], keys: &Keys, now: Timestamp) -> Outcome {
    let signers = parts.iter().map(|part| part.signers.clone()).reduce(common).unwrap_or_default();
    let count = keys.count(now);
    let unread = parts.iter().find_map(|part| part.unread(count));
    let mut outcome = match signers.values().min() {
        None => unaccepted(parts, unread, keys.stores()),
        Some(first_end) => {
            let end = if unread.is_some() { now } else { *first_end };
            let valid_until = (end < Timestamp::MAX).then_some(end);
            Outcome { valid_until, ..Outcome::new(State::Accepted, SUCCESS) }
        }
    };
    outcome.reports = reports(parts);
    outcome.signers = signers.into_keys().collect();
    outcome
}

/// Who stands in both, until the sooner of the two ends.
fn common(
    mut one: BTreeMap<SignerId, Timestamp>,
    other: BTreeMap<SignerId, Timestamp>,
) -> BTreeMap<SignerId, Timestamp> {
    one.retain(|id, end| {
        other.get(id).is_some_and(|other| {
            *end = (*end).min(*other);
            true
        })
    });
    one
}

/// Why no key has signed all parts. What is decided comes before what is not, so that nobody can
/// push the decision to `onError` by keeping one of several parts from being read.
fn unaccepted(parts: &[Tally], unread: Option<&Flaw>, stores: &str) -> Outcome {
    let unsigned = parts.iter().enumerate().filter(|(_, part)| !part.is_signed());
    let flaws = unsigned.map(|(index, part)| (index, part, part.flaw()));
    let first = flaws.min_by_key(|(_, _, flaw)| matches!(flaw.state, State::Unavailable(_)));
    match (first, unread) {
        (Some((0, _, flaw)), _) => Outcome::new(flaw.state, flaw.message(stores)),
        (Some((_, part, flaw)), _) => {
            let message = flaw.message(stores);
            Outcome::new(flaw.state, format!("{} of the index: {message}", part.subject.digest()))
        }
        (None, Some(flaw)) => Outcome::new(flaw.state, flaw.message(stores)),
        (None, None) => Outcome::new(
            State::Rejected(ReasonCode::KeyMismatch),
            format!("no one key of {stores} has signed the index and all of its manifests"),
        ),
    }
}

/// A report on each signature, the good ones first, at most [`REPORTS_MAX`].
fn reports(parts: &[Tally]) -> Vec<VerifierReport> {
    let reports = |is_good: bool| {
        let findings = parts.iter().flat_map(|part| {
            part.findings.iter().filter_map(|finding| finding.report(&part.subject))
        });
        findings.filter(move |report| report.is_success == is_good)
    };
    reports(true).chain(reports(false)).take(REPORTS_MAX).collect()
}

impl Finding {
    /// The report; none on what is no signature, or not a single artifact.
    fn report(&self, subject: &Subject) -> Option<VerifierReport> {
        let artifact = self.artifact.as_ref()?;
        let flaw = self.verdict.as_ref().err();
        let reason = match flaw.map(|flaw| flaw.state) {
            Some(State::Missing(_)) => return None,
            state => state.and_then(State::reason),
        };
        Some(VerifierReport {
            subject: subject.reference(),
            is_success: flaw.is_none(),
            kind: KIND,
            message: flaw.map_or(SUCCESS, |_| FAILURE).to_owned(),
            extensions: artifact.extensions(flaw.is_none()),
            artifact_type: Some(artifact.kind.to_owned()),
            reference_digest: Some(artifact.manifest.clone()),
            reason,
            error_reason: flaw.map(|flaw| flaw.cause.to_string()),
            remediation: reason.map(|code| code.remediation()),
            nested_reports: Vec::new(),
        })
    }
}

impl Artifact {
    /// The extensions of a report. `bundleVerified` is about a log entry, and none is looked at.
    fn extensions(&self, is_success: bool) -> Value {
        let Some(digest) = &self.layer else {
            return Value::Null;
        };
        json!({"signatures": [
            {"bundleVerified": false, "isSuccess": is_success, "signatureDigest": digest},
        ]})
    }
}

/// Reports per verification: enough to see what is wrong, short enough for one line of a log.
const REPORTS_MAX: usize = 10;

/// The texts that Ratify's users know.
const SUCCESS: &str = "cosign verification success. valid signatures found";
const FAILURE: &str = "cosign verification failed: no valid signatures found";
