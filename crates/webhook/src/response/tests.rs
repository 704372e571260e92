use std::collections::BTreeMap as Map;

use assay_core::{Digest, ReasonCode};
use assay_policy::{CacheUse, Violation};
use serde_json::{Value, json};

use super::*;
use crate::testing::{admit, image, policy, verdict};

const ID: &str = "1a2b3c4d";

fn violation(code: ReasonCode, message: &str) -> Violation {
    Violation { verifier: Some("release-signature".into()), code, message: message.to_owned() }
}

fn answer(verdict: &Verdict) -> Value {
    json_of(&Answer::of(verdict, ID))
}

fn json_of(answer: &Answer) -> Value {
    let json = answer.to_json(&Head { uid: "u-1".to_owned(), ..Head::default() }).unwrap();
    let review: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    review["response"].clone()
}

fn unsigned() -> Vec<Violation> {
    vec![violation(ReasonCode::SignatureNotFound, "no signature by a key of release-keys")]
}

#[test]
fn allows_without_a_word_what_is_admitted() {
    let expect = json!({"uid": "u-1", "allowed": true, "auditAnnotations": {"decision": "allow"}});
    assert_eq!(answer(&verdict(admit(), Vec::new())), expect);
}

#[test]
fn says_why_what_is_denied_is_forbidden() {
    let denied = policy("release-images", Effect::Deny, unsigned());
    let busybox = image("busybox", vec![denied]);
    let digest = Digest::sha256(b"busybox").to_string();
    let message = format!(
        "[release-images] Subject failed verification: docker.io/library/busybox@{digest} \
         (container \"web\"): release-signature: SIGNATURE_NOT_FOUND: no signature by a key of \
         release-keys (request 1a2b3c4d)"
    );
    let expect = json!({
        "uid": "u-1",
        "allowed": false,
        "status": {"code": 403, "reason": "Forbidden", "message": message},
        "auditAnnotations": {
            "decision": "deny",
            "digests": digest,
            "policies": "release-images",
            "reasons": "SIGNATURE_NOT_FOUND",
        },
    });
    assert_eq!(answer(&verdict(Decision::Deny, vec![busybox])), expect);
}

#[test]
fn says_that_what_is_undecided_is_unavailable() {
    let why = vec![violation(ReasonCode::RegistryUnreachable, "docker.io does not answer")];
    let busybox = image("busybox", vec![policy("release-images", Effect::Undecided, why)]);
    let answer = answer(&verdict(Decision::Undecided, vec![busybox]));
    let status = &answer["status"];

    assert_eq!(answer["allowed"], false);
    assert_eq!((&status["code"], &status["reason"]), (&json!(503), &json!("ServiceUnavailable")));
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("REGISTRY_UNREACHABLE: docker.io does not answer"), "{message}");
    assert_eq!(answer["auditAnnotations"]["decision"], "error");
}

#[test]
fn says_that_too_much_is_under_way() {
    let why = |code| vec![violation(code, "not now")];
    let undecided = |code| policy("release-images", Effect::Undecided, why(code));
    let warned = policy("advice", Effect::Warn, why(ReasonCode::Overloaded));
    for (name, policies, expect) in [
        ("bounds", vec![undecided(ReasonCode::Overloaded)], 429),
        ("both", vec![undecided(ReasonCode::Timeout), undecided(ReasonCode::Overloaded)], 429),
        ("as advice only", vec![undecided(ReasonCode::Timeout), warned], 503),
    ] {
        let answer = answer(&verdict(Decision::Undecided, vec![image("busybox", policies)]));
        assert_eq!(answer["status"]["code"], expect, "{name}");
    }
}

#[test]
fn sends_warnings_with_and_without_a_denial() {
    let warning =
        "[advice] container \"web\" docker.io/library/busybox:latest: SIGNATURE_NOT_FOUND";
    let warns = || policy("advice", Effect::Warn, unsigned());
    let denied = policy("release-images", Effect::Deny, unsigned());

    let admitted = answer(&verdict(admit(), vec![image("busybox", vec![warns()])]));
    assert_eq!(admitted["allowed"], true);
    assert_eq!(admitted["status"], json!(null));
    assert_eq!(admitted["warnings"], json!([warning]));
    assert_eq!(admitted["auditAnnotations"]["decision"], "warn");

    let refused = answer(&verdict(Decision::Deny, vec![image("busybox", vec![warns(), denied])]));
    assert_eq!(refused["allowed"], false);
    assert_eq!(refused["warnings"], json!([warning]));
    assert_eq!(refused["auditAnnotations"]["policies"], "advice,release-images");
}

#[test]
fn warns_of_what_is_admitted_nonetheless() {
    let expired = vec![ReasonCode::SignatureExpired];
    let lenient =
        PolicyVerdict { warnings: expired, ..policy("lenient", Effect::Allow, Vec::new()) };
    let admitted = answer(&verdict(admit(), vec![image("busybox", vec![lenient])]));
    assert_eq!(admitted["allowed"], true);
    let warning = "[lenient] container \"web\" docker.io/library/busybox:latest: SIGNATURE_EXPIRED";
    assert_eq!(admitted["warnings"], json!([warning]));
    assert_eq!(admitted["auditAnnotations"]["decision"], "allow");
    assert_eq!(admitted["auditAnnotations"]["reasons"], "SIGNATURE_EXPIRED");
}

#[test]
fn is_silent_about_a_dryrun_but_in_the_audit_log() {
    let dryrun = policy("trial", Effect::Dryrun, unsigned());
    let answer = answer(&verdict(admit(), vec![image("busybox", vec![dryrun])]));
    assert_eq!(answer["allowed"], true);
    assert_eq!(answer["warnings"], json!(null));
    assert_eq!(answer["auditAnnotations"]["decision"], "allow");
    assert_eq!(answer["auditAnnotations"]["reasons"], "SIGNATURE_NOT_FOUND");
}

#[test]
fn annotates_alike_whatever_the_verdict_cost() {
    let judged = |cache, images| Verdict { cache, ..verdict(Decision::Deny, images) };
    let images = || {
        let names = ["b", "a", "a"];
        names.map(|name| image(name, vec![policy("p", Effect::Deny, unsigned())])).into()
    };
    let miss = answer(&judged(CacheUse::Miss, images()));
    assert_eq!(miss, answer(&judged(CacheUse::Hit, images())));
    let mut digests = [b"a", b"b"].map(|name| Digest::sha256(name).to_string());
    digests.sort();
    assert_eq!(miss["auditAnnotations"]["digests"], digests.join(","));
}

#[test]
fn keeps_annotations_that_kubernetes_takes() {
    let policies = |count: usize| -> Vec<PolicyVerdict> {
        let name = |index| format!("{index:0>63}");
        (0..count).map(|index| policy(&name(index), Effect::Allow, Vec::new())).collect()
    };
    // 64 bytes each, with the comma; the ellipsis takes 4.
    for (count, is_whole) in [(15, true), (16, false), (100, false)] {
        let verdict = verdict(admit(), vec![image("busybox", policies(count))]);
        let annotations = audit_annotations(&verdict);
        let policies = &annotations["policies"];
        assert!(policies.len() <= ANNOTATION_BYTES_MAX, "{}", policies.len());
        assert_eq!(!policies.ends_with(",…"), is_whole, "{policies}");
        assert!(policies.matches("000").count() >= 15);
        let is_plain = |key: &str| key.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(annotations.keys().all(|key| is_plain(key)));
    }
}

#[track_caller]
fn check_refused(refusal: Refusal, code: u16, reason: &str, decision: &str) {
    let answer = Answer::refused(refusal, "the cause", ID);
    assert_eq!(answer.refusal(), Some(format!("{code} {reason}")));
    let expect = json!({
        "uid": "u-1",
        "allowed": false,
        "status": {"code": code, "reason": reason, "message": "the cause (request 1a2b3c4d)"},
        "auditAnnotations": {"decision": decision},
    });
    assert_eq!(json_of(&answer), expect);
}

#[test]
fn refuses_where_there_is_no_verdict() {
    check_refused(Refusal::Internal, 500, "InternalError", "error");
    check_refused(Refusal::Timeout, 503, "ServiceUnavailable", "error");
    check_refused(Refusal::TooLarge, 413, "RequestEntityTooLarge", "deny");
    check_refused(Refusal::Unjudgeable, 403, "Forbidden", "deny");
}

#[test]
fn lists_what_fits() {
    let items =
        |sizes: &[usize]| -> Vec<String> { sizes.iter().map(|size| "x".repeat(*size)).collect() };
    let sizes: Map<&str, (Vec<String>, (usize, bool))> = Map::from([
        ("none", (items(&[]), (0, true))),
        ("one that fits", (items(&[10]), (10, true))),
        ("one that does not", (items(&[11]), (0, false))),
        ("two that fit", (items(&[4, 5]), (10, true))),
        ("two that do not", (items(&[5, 5]), (5, false))),
        ("one between that does not", (items(&[4, 11, 5]), (10, false))),
    ]);
    for (name, (items, expect)) in sizes {
        let (joined, is_whole) = fit(items, 10);
        assert_eq!((joined.len(), is_whole), expect, "{name}");
    }
}
