//! What was found, added up: the outcome, and a report on each signature that was looked at.

use std::collections::BTreeSet;

use assay_core::{Digest, Outcome, SignerId, State, Subject, VerifierReport};
use serde_json::{Value, json};

use super::KIND;
use super::flaw::{Flaw, Verdict};

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

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    signers: BTreeSet<SignerId>,
    findings: Vec<Finding>,
}

impl Tally {
    /// Adds one finding.
    pub(super) fn add(&mut self, finding: Finding) {
        if let Ok(signer) = &finding.verdict {
            self.signers.insert(signer.clone());
        }
        self.findings.push(finding);
    }

    /// How many keys have signed.
    pub(super) fn signers(&self) -> usize {
        self.signers.len()
    }

    /// Whether one of the `keys` may have signed what could not be read.
    pub(super) fn is_partial(&self, keys: usize) -> bool {
        let is_unread = |finding: &Finding| {
            finding.verdict.as_ref().is_err_and(|flaw| matches!(flaw.state, State::Unavailable(_)))
        };
        self.signers() < keys && self.findings.iter().any(is_unread)
    }

    /// The outcome: accepted for one signer or more, else the most telling flaw of all.
    pub(super) fn outcome(self, subject: &Subject, stores: &str) -> Outcome {
        let flaws = || self.findings.iter().filter_map(|f| f.verdict.as_ref().err());
        let mut outcome = if self.signers.is_empty() {
            let flaw = flaws().max_by_key(|flaw| flaw.rank());
            let flaw = flaw.unwrap_or(&Flaw::NOT_A_SIGNATURE);
            Outcome::new(flaw.state, flaw.message(stores))
        } else {
            Outcome::new(State::Accepted, SUCCESS)
        };
        outcome.reports = self.reports(subject);
        outcome.signers = self.signers;
        outcome
    }

    /// A report on each signature, the good ones first, at most [`REPORTS_MAX`].
    fn reports(&self, subject: &Subject) -> Vec<VerifierReport> {
        let is_good = |finding: &&Finding| finding.verdict.is_ok();
        let good = self.findings.iter().filter(is_good);
        let bad = self.findings.iter().filter(|finding| !is_good(finding));
        good.chain(bad).filter_map(|finding| finding.report(subject)).take(REPORTS_MAX).collect()
    }
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
