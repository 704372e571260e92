//! Room 6: from a verdict to the AdmissionReview that answers, as the API server reads it.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::ReasonCode;
use assay_policy::{Decision, Effect, PolicyVerdict, Verdict, message};
use http::StatusCode;
use serde::Serialize;

use crate::review::Head;

/// The one version of AdmissionReviews.
pub(crate) const API_VERSION: &str = "admission.k8s.io/v1";

/// Bytes of an audit annotation: the API has no limit, but audit backends cut long events off.
const ANNOTATION_BYTES_MAX: usize = 1024;

/// The code and the reason where too much is under way.
const TOO_MANY: (u16, &str) = (429, "TooManyRequests");

/// How a review is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `allow`, `warn`, `deny` or `error`: in logs, metrics and audit annotations.
    pub(crate) decision: &'static str,
    /// Why it is refused; nothing where it is allowed.
    status: Option<Status>,
    warnings: Vec<String>,
    audit_annotations: BTreeMap<&'static str, String>,
}

/// Why a review is refused, without any verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A defect of Assay.
    Internal,
    /// Too much is under way.
    Overloaded,
    /// No verdict came in time.
    Timeout,
    /// The review is over the limit.
    TooLarge,
    /// What is asked cannot be told.
    Unjudgeable,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: AdmissionResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    audit_annotations: &'a BTreeMap<&'static str, String>,
}

/// The API server shows the code, the reason and the message to whoever asked; a code below 400
/// would become 400.
#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Answer {
    /// The answer that a verdict is, to the request with this id.
    pub(crate) fn of(verdict: &Verdict, id: &str) -> Self {
        let (code, reason) = match verdict.decision {
            Decision::Admit(_) => (200, ""),
            Decision::Deny => (403, "Forbidden"),
            Decision::Undecided if is_full(verdict) => TOO_MANY,
            Decision::Undecided => (503, "ServiceUnavailable"),
        };
        let message = || message::refusal(verdict, id);
        Self {
            decision: decision(verdict),
            status: (!verdict.is_admitted()).then(|| Status { code, reason, message: message() }),
            warnings: message::warnings(verdict),
            audit_annotations: audit_annotations(verdict),
        }
    }

    /// The answer where there is no verdict, because of `cause`, to the request with this id.
    pub(crate) fn refused(refusal: Refusal, cause: &str, id: &str) -> Self {
        let (code, reason, decision) = refusal.status();
        let message = format!("{cause} (request {id})");
        Self {
            decision,
            status: Some(Status { code, reason, message }),
            warnings: Vec::new(),
            audit_annotations: BTreeMap::from([("decision", decision.to_owned())]),
        }
    }

    /// The code and the reason of a refusal: `403 Forbidden`.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.status.as_ref().map(|status| format!("{} {}", status.code, status.reason))
    }

    /// What whoever asked is told; nothing where it is allowed.
    pub(crate) fn message(&self) -> Option<&str> {
        self.status.as_ref().map(|status| status.message.as_str())
    }

    /// The AdmissionReview that answers the review with this head.
    ///
    /// # Errors
    /// None that is known: strings, numbers and a map with string keys always serialise.
    pub(crate) fn to_json(&self, head: &Head) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&AdmissionReview {
            api_version: API_VERSION,
            kind: "AdmissionReview",
            response: AdmissionResponse {
                uid: &head.uid,
                allowed: self.status.is_none(),
                status: self.status.as_ref(),
                warnings: &self.warnings,
                audit_annotations: &self.audit_annotations,
            },
        })
    }
}

impl Refusal {
    /// The status code, the reason that Kubernetes has for it, and the decision.
    fn status(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Internal => (500, "InternalError", "error"),
            Self::Overloaded => (TOO_MANY.0, TOO_MANY.1, "error"),
            Self::Timeout => (503, "ServiceUnavailable", "error"),
            Self::TooLarge => (413, "RequestEntityTooLarge", "deny"),
            Self::Unjudgeable => (403, "Forbidden", "deny"),
        }
    }

    /// The same as an HTTP error, for what is no review.
    pub(crate) fn http_status(self) -> StatusCode {
        StatusCode::from_u16(self.status().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Whether an image was not looked at because too much is under way.
fn is_full(verdict: &Verdict) -> bool {
    let policies = verdict.images.iter().flat_map(|image| &image.policies);
    let undecided = policies.filter(|policy| policy.effect == Effect::Undecided);
    undecided
        .flat_map(|policy| &policy.violations)
        .any(|violation| violation.code == ReasonCode::Overloaded)
}

fn decision(verdict: &Verdict) -> &'static str {
    match verdict.decision {
        Decision::Admit(_) if verdict.effect() == Effect::Warn => "warn",
        Decision::Admit(_) => "allow",
        Decision::Deny => "deny",
        Decision::Undecided => "error",
    }
}

/// What the audit log keeps of a verdict. The same verdict has the same annotations, whatever it
/// cost: the API server may ask twice, and a key cannot be set to two values. It puts the webhook's
/// name and a slash before each key.
fn audit_annotations(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    let policies = || verdict.images.iter().flat_map(|image| &image.policies);
    let codes = policies().flat_map(PolicyVerdict::codes);
    let digests = verdict.images.iter().filter_map(|image| image.digest.as_ref());
    let lists = [
        ("digests", digests.map(ToString::to_string).collect()),
        ("policies", policies().map(|policy| policy.policy.to_string()).collect()),
        ("reasons", codes.map(|code| code.to_string()).collect()),
    ];
    let lists = lists.into_iter().filter(|(_, items): &(_, BTreeSet<_>)| !items.is_empty());
    let lists = lists.map(|(key, items)| (key, list(items, ANNOTATION_BYTES_MAX)));
    lists.chain([("decision", decision(verdict).to_owned())]).collect()
}

/// Those of `items` that fit into `bytes_max` bytes, joined by commas, and an ellipsis for others.
pub(crate) fn list(items: impl IntoIterator<Item = String>, bytes_max: usize) -> String {
    const MORE: &str = ",…";
    let (mut list, is_whole) = fit(items, bytes_max - MORE.len());
    if !is_whole {
        list.push_str(MORE);
    }
    list
}

/// Those of `items` that fit into `bytes_max` bytes, joined by commas, and whether all did.
pub(crate) fn fit(items: impl IntoIterator<Item = String>, bytes_max: usize) -> (String, bool) {
    let (mut joined, mut is_whole) = (String::new(), true);
    for item in items {
        let comma = if joined.is_empty() { "" } else { "," };
        if joined.len() + comma.len() + item.len() > bytes_max {
            is_whole = false;
            continue;
        }
        joined.push_str(comma);
        joined.push_str(&item);
    }
    (joined, is_whole)
}

#[cfg(test)]
mod tests;
