//! What was found, added up: the outcome, and a report on each signature that was looked at.

use assay_core::{Digest, Outcome, ReasonCode, SignerId, State, Subject, VerifierReport};
use jiff::Timestamp;
use notation_rs::ARTIFACT_TYPE;
use notation_rs::envelope::IntactEnvelope;
use notation_rs::identity::name_text;
use notation_rs::trust_policy::ValidationType;
use notation_rs::verify;
use serde_json::{Value, json};

use super::KIND;
use super::evidence::FAILURE_TTL;
use super::flaw::Flaw;

/// Reports per verification: enough to see what is wrong, short enough for one line of a log.
const REPORTS_MAX: usize = 10;

/// The texts that Ratify's users know.
const SUCCESS: &str = "Notation signature verification success";
const FAILURE: &str = "Notation signature verification failed";

/// Where a signature stands.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    /// The digest of its manifest.
    pub(super) manifest: Digest,
}

/// What looking at one candidate gave, or why the list of them could not be looked at.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) artifact: Option<Artifact>,
    pub(super) verdict: Result<Signed, Flaw>,
}

/// A signature that passed.
#[derive(Debug)]
pub(super) struct Signed {
    /// The issuer and the subject of the signing certificate.
    names: [String; 2],
    /// Who signed; nobody who is known where the level lets a stranger pass.
    signer: Option<SignerId>,
    /// What the failures that the level lets pass would refuse with, each once.
    warnings: Vec<ReasonCode>,
    /// The same failures in words.
    warning_texts: Vec<String>,
    valid_until: Option<Timestamp>,
}

/// The findings about one subject.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) findings: Vec<Finding>,
}

impl Signed {
    /// What is to be said of `envelope`, which passed at `now` with `outcome`, by revocation data
    /// that is fresh until then.
    pub(super) fn new(
        envelope: &IntactEnvelope,
        outcome: &verify::Outcome,
        now: Timestamp,
        fresh_until: Option<Timestamp>,
    ) -> Self {
        let leaf = envelope.chain().first();
        let is_trusted = outcome.warnings().all(|(check, _)| check != ValidationType::Authenticity);
        let states = || outcome.warnings().map(|(_, error)| Flaw::from(error).state);
        let mut warnings = Vec::new();
        for code in states().filter_map(State::reason) {
            if !warnings.contains(&code) {
                warnings.push(code);
            }
        }
        let is_momentary = states().any(|state| matches!(state, State::Unavailable(_)));
        let moment = is_momentary.then(|| now.saturating_add(FAILURE_TTL).unwrap_or(now));
        // The subject, not the key: who renews a certificate is no second signer.
        let id = leaf.map(|leaf| SignerId(Digest::sha256(leaf.subject_der())));
        let ends = envelope.chain().iter().map(|certificate| certificate.not_after());
        let ends = ends.chain(envelope.attributes().expiry).chain(fresh_until).chain(moment);
        Self {
            names: [
                leaf.map(|leaf| name_text(leaf.issuer_der())).unwrap_or_default(),
                leaf.map(|leaf| name_text(leaf.subject_der())).unwrap_or_default(),
            ],
            signer: id.filter(|_| is_trusted),
            warnings,
            warning_texts: outcome
                .warnings()
                .map(|(check, error)| format!("{check}: {error}"))
                .collect(),
            // What is past at `now` is nothing that this rests on.
            valid_until: ends.filter(|end| *end >= now).min(),
        }
    }

    fn message(&self) -> String {
        match self.warning_texts.is_empty() {
            true => SUCCESS.to_owned(),
            false => format!("{SUCCESS}, but: {}", self.warning_texts.join("; ")),
        }
    }
}

impl Tally {
    /// Whether a signature has passed of which nobody is to be warned: no other is better.
    pub(super) fn is_signed_well(&self) -> bool {
        self.signed().is_some_and(|signed| signed.warnings.is_empty())
    }

    /// The signature that has passed with the fewest warnings.
    fn signed(&self) -> Option<&Signed> {
        let signed = self.findings.iter().filter_map(|finding| finding.verdict.as_ref().ok());
        signed.min_by_key(|signed| signed.warnings.len())
    }

    /// The outcome for `subject`, under trust stores of these names.
    pub(super) fn outcome(&self, subject: &Subject, stores: &str) -> Outcome {
        let mut outcome = match self.signed() {
            Some(signed) => Outcome {
                signers: signed.signer.iter().cloned().collect(),
                warnings: signed.warnings.clone(),
                valid_until: signed.valid_until,
                ..Outcome::new(State::Accepted, signed.message())
            },
            None => {
                let flaws =
                    self.findings.iter().filter_map(|finding| finding.verdict.as_ref().err());
                let flaw = flaws.max_by_key(|flaw| flaw.rank()).unwrap_or(&Flaw::NOT_A_SIGNATURE);
                Outcome::new(flaw.state, flaw.message(stores))
            }
        };
        let reports = |is_good: bool| {
            let reports = self.findings.iter().filter_map(|finding| finding.report(subject));
            reports.filter(move |report| report.is_success == is_good)
        };
        outcome.reports = reports(true).chain(reports(false)).take(REPORTS_MAX).collect();
        outcome
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
        let (message, extensions) = match &self.verdict {
            Ok(signed) => {
                let [issuer, subject] = &signed.names;
                (signed.message(), json!({"Issuer": issuer, "SN": subject}))
            }
            Err(_) => (FAILURE.to_owned(), Value::Null),
        };
        Some(VerifierReport {
            subject: subject.reference(),
            is_success: flaw.is_none(),
            kind: KIND,
            message,
            extensions,
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
            reference_digest: Some(artifact.manifest.clone()),
            reason,
            error_reason: flaw.map(|flaw| flaw.cause.to_string()),
            remediation: reason.map(|code| code.remediation()),
            nested_reports: Vec::new(),
        })
    }
}
