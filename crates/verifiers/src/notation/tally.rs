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
    /// The failures that the level lets pass: what they would refuse with, each once, and in words.
    warnings: Vec<ReasonCode>,
    logged: Vec<String>,
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
        let mut warnings = Vec::new();
        for code in outcome.warnings().filter_map(|(_, error)| Flaw::from(error).state.reason()) {
            if !warnings.contains(&code) {
                warnings.push(code);
            }
        }
        // The subject, not the key: who renews a certificate is no second signer.
        let id = leaf.map(|leaf| SignerId(Digest::sha256(leaf.subject_der())));
        let ends = envelope.chain().iter().map(|certificate| certificate.not_after());
        let ends = ends.chain(envelope.attributes().expiry).chain(fresh_until);
        Self {
            names: [
                leaf.map(|leaf| name_text(leaf.issuer_der())).unwrap_or_default(),
                leaf.map(|leaf| name_text(leaf.subject_der())).unwrap_or_default(),
            ],
            signer: id.filter(|_| is_trusted),
            warnings,
            logged: outcome.warnings().map(|(check, error)| format!("{check}: {error}")).collect(),
            // What is past at `now` is nothing that this rests on.
            valid_until: ends.filter(|end| *end >= now).min(),
        }
    }

    fn message(&self) -> String {
        match self.logged.is_empty() {
            true => SUCCESS.to_owned(),
            false => format!("{SUCCESS}, but: {}", self.logged.join("; ")),
        }
    }
}

impl Tally {
    /// Whether a signature has passed.
    pub(super) fn is_signed(&self) -> bool {
        self.signed().is_some()
    }

    fn signed(&self) -> Option<&Signed> {
        self.findings.iter().find_map(|finding| finding.verdict.as_ref().ok())
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
