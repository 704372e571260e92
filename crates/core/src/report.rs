//! What a verifier says of one piece of evidence.

use serde::Serialize;

use crate::{Digest, ReasonCode};

/// One verifier's report on one artifact. Field names and shapes are those that Ratify's users
/// know; which policy asked, and under which name, is added where the whole report is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifierReport {
    /// The subject by digest.
    pub subject: String,
    /// Whether the evidence is good.
    pub is_success: bool,
    /// The verifier's type: `cosign`, `notation`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What a person needs to know, in one line.
    pub message: String,
    /// What the verifier's type adds.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub extensions: serde_json::Value,
    /// The artifact's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The digest of the artifact's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_digest: Option<Digest>,
    /// The code, where the evidence is not good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The cause behind the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<&'static str>,
    /// Reports on evidence about this evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nested_reports: Vec<Self>,
}
