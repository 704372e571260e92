//! The report: one JSON document per subject, the same in the webhook's log, from `assay verify`
//! and for Rego. Names and shapes that Ratify's users know are kept.

use assay_core::{ReasonCode, VerifierReport};
use jiff::Timestamp;
use serde::Serialize;

use crate::verdict::{Decision, ImageVerdict, PolicyVerdict, Verdict, Violation};

/// The version of the report's shape.
const REPORT_VERSION: &str = "1.0.0";

/// What `assay verify -o json` prints: one report per image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationResult {
    api_version: &'static str,
    kind: &'static str,
    decision: &'static str,
    images: Vec<Report>,
}

/// The report on one image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: &'static str,
    image: String,
    subject: String,
    is_success: bool,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    policies: Vec<PolicyReport>,
    verifier_reports: Vec<NamedVerifierReport>,
    #[serde(rename = "traceID")]
    trace_id: String,
    timestamp: String,
}

#[derive(Debug, Serialize)]
struct PolicyReport {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    decision: &'static str,
    violations: Vec<ViolationReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningReport>,
}

#[derive(Debug, Serialize)]
struct WarningReport {
    code: ReasonCode,
    remediation: &'static str,
}

#[derive(Debug, Serialize)]
struct ViolationReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
    code: ReasonCode,
    message: String,
    remediation: &'static str,
}

#[derive(Debug, Serialize)]
struct NamedVerifierReport {
    name: String,
    policy: String,
    #[serde(flatten)]
    report: VerifierReport,
}

impl VerificationResult {
    /// The result of one or more verdicts, taken at `timestamp` under the request id `id`.
    pub fn new(verdicts: &[&Verdict], id: &str, timestamp: Timestamp) -> Self {
        let images = verdicts.iter().flat_map(|verdict| &verdict.images);
        Self {
            api_version: "assay.dev/v1alpha1",
            kind: "VerificationResult",
            decision: verdicts
                .iter()
                .map(|verdict| decision(verdict))
                .max_by_key(|text| strictness(text))
                .unwrap_or("allow"),
            images: images.map(|image| Report::new(image, id, timestamp)).collect(),
        }
    }
}

fn decision(verdict: &Verdict) -> &'static str {
    match verdict.decision {
        Decision::Deny | Decision::Undecided => verdict.effect().as_str(),
        Decision::Admit(_) => "allow",
    }
}

fn strictness(decision: &str) -> usize {
    ["allow", "undecided", "deny"].iter().position(|known| *known == decision).unwrap_or_default()
}

impl Report {
    /// The report on one image, taken at `timestamp` under the request id `id`.
    pub fn new(image: &ImageVerdict, id: &str, timestamp: Timestamp) -> Self {
        Self {
            version: REPORT_VERSION,
            image: image.written.clone(),
            subject: image.subject.clone(),
            is_success: image.is_success(),
            decision: image.effect().as_str(),
            code: has_no_evidence(image).then_some("REFERRERS_NOT_FOUND"),
            policies: image.policies.iter().map(PolicyReport::new).collect(),
            verifier_reports: image.reports.iter().map(NamedVerifierReport::new).collect(),
            trace_id: id.to_owned(),
            timestamp: timestamp.to_string(),
        }
    }
}

/// Whether verifiers asked for evidence, and there was none of any kind.
fn has_no_evidence(image: &ImageVerdict) -> bool {
    let violations = image.policies.iter().flat_map(|policy| &policy.violations);
    let mut verified = violations.filter(|violation| violation.verifier.is_some()).peekable();
    image.reports.is_empty()
        && verified.peek().is_some()
        && verified.all(|violation| violation.code == ReasonCode::SignatureNotFound)
}

impl PolicyReport {
    fn new(policy: &PolicyVerdict) -> Self {
        Self {
            name: policy.policy.name.clone(),
            namespace: policy.policy.namespace.clone(),
            rule: policy.rule,
            decision: policy.effect.as_str(),
            violations: policy.violations.iter().map(ViolationReport::new).collect(),
            warnings: policy.warnings.iter().copied().map(WarningReport::new).collect(),
        }
    }
}

impl WarningReport {
    fn new(code: ReasonCode) -> Self {
        Self { code, remediation: code.remediation() }
    }
}

impl ViolationReport {
    fn new(violation: &Violation) -> Self {
        Self {
            verifier: violation.verifier.as_deref().map(str::to_owned),
            code: violation.code,
            message: violation.message.clone(),
            remediation: violation.code.remediation(),
        }
    }
}

impl NamedVerifierReport {
    fn new(named: &crate::verdict::NamedReport) -> Self {
        Self {
            name: named.name.to_string(),
            policy: named.policy.to_string(),
            report: named.report.clone(),
        }
    }
}
