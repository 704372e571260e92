//! What stays of a review when it is answered: one log line and its counts. Never the object.

use std::time::Duration;

use assay_core::ReasonCode;
use assay_core::ports::{AdmissionRecord, Recorder, ViolationRecord};
use assay_policy::{Effect, ImageVerdict, PolicyVerdict, Report, Verdict};
use jiff::Timestamp;

use crate::response::{Answer, fit, list};
use crate::review::Head;

/// Bytes of a field: image references that do not parse are whatever their author wrote, and may
/// fill the whole review.
const FIELD_BYTES_MAX: usize = 64 * 1024;

/// A review that is answered.
pub(crate) struct Answered<'a> {
    pub(crate) head: &'a Head,
    pub(crate) answer: &'a Answer,
    /// What it was answered by; nothing where it was refused without a verdict.
    pub(crate) verdict: Option<&'a Verdict>,
    /// From the last byte of the body to the answer.
    pub(crate) elapsed: Duration,
}

impl Answered<'_> {
    /// Writes the line, whose reports are dated `now`.
    pub(crate) fn log(&self, now: Timestamp) {
        let Self { head, answer, verdict, elapsed } = self;
        tracing::info!(
            request_id = head.id,
            uid = head.uid,
            namespace = head.namespace,
            name = head.name,
            resource = head.resource,
            operation = head.operation,
            dry_run = head.dry_run,
            decision = answer.decision,
            refusal = answer.refusal(),
            images = verdict.map(images),
            cache = self.cache(),
            elapsed_ms = elapsed.as_secs_f64() * 1e3,
            report = verdict.and_then(|verdict| report(verdict, &head.id, now)),
            "answered"
        );
    }

    /// Counts the review, and each violation that a policy did something about.
    pub(crate) fn count(&self, recorder: &dyn Recorder) {
        recorder.admission(&AdmissionRecord {
            resource: self.head.resource,
            operation: self.head.operation,
            decision: self.answer.decision,
            dry_run: self.head.dry_run,
            cache: self.cache(),
            duration: self.elapsed,
        });
        for image in self.verdict.iter().flat_map(|verdict| &verdict.images) {
            for policy in &image.policies {
                let Some(enforcement_action) = enforced(policy.effect) else {
                    continue;
                };
                for violation in &policy.violations {
                    recorder.violation(&ViolationRecord {
                        namespace: &self.head.namespace,
                        policy: &policy.policy.to_string(),
                        enforcement_action,
                        reason: violation.code,
                        registry: &image.registry,
                    });
                }
            }
        }
    }

    fn cache(&self) -> &'static str {
        self.verdict.map_or("none", |verdict| verdict.cache.as_str())
    }
}

/// The enforcement action that an effect amounts to: a workload that breaks a policy with `deny`
/// is warned about.
fn enforced(effect: Effect) -> Option<&'static str> {
    match effect {
        Effect::Allow => None,
        Effect::Deny | Effect::Undecided => Some("deny"),
        Effect::Dryrun => Some("dryrun"),
        Effect::Warn => Some("warn"),
    }
}

/// The images, by digest where it is known.
fn images(verdict: &Verdict) -> String {
    list(verdict.images.iter().map(|image| image.subject.clone()), FIELD_BYTES_MAX)
}

/// Whether a policy says more of an image than that it should be named by digest, which by default is
/// said of all others.
fn is_worth_a_report(policy: &PolicyVerdict) -> bool {
    let is_more = |code: &ReasonCode| *code != ReasonCode::DigestRequired;
    !policy.violations.is_empty() || policy.warnings.iter().any(is_more)
}

/// The reports on the images that a policy has something to say of, as a JSON list.
fn report(verdict: &Verdict, id: &str, now: Timestamp) -> Option<String> {
    let is_told = |image: &&ImageVerdict| image.policies.iter().any(is_worth_a_report);
    let told = verdict.images.iter().filter(is_told);
    // A report is data and always serialises; were it not so, the line would go out without it.
    let reports = told.flat_map(|image| serde_json::to_string(&Report::new(image, id, now)));
    let (reports, _) = fit(reports, FIELD_BYTES_MAX);
    (!reports.is_empty()).then(|| format!("[{reports}]"))
}
