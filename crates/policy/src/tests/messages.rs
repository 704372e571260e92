//! What the person whose pod was refused reads.

use std::collections::BTreeMap;

use assay_core::{Outcome, ReasonCode, State};
use jiff::Timestamp;

use super::{IMAGE, World, create, digest, judge, pod, policy, require, snapshot, warned};
use crate::message::{MESSAGE_BYTES_MAX, WARNING_CHARACTERS_MAX, refusal, warnings};
use crate::{EnforcementAction, Policy, Quorum, RuleBody, Verdict, VerificationResult};

fn unsigned() -> Outcome {
    let state = State::Missing(ReasonCode::SignatureNotFound);
    Outcome::new(state, "no signature by a key of release-keys")
}

fn verdict(policies: Vec<Policy>, images: &[&str]) -> Verdict {
    let names = ["a", "b", "c", "d", "e"];
    let outcomes = names.into_iter().map(|name| (name, unsigned())).collect::<BTreeMap<_, _>>();
    let world = World { outcomes, ..World::default() };
    judge(&snapshot(policies), &create(pod(images)), &world)
}

#[test]
fn names_policy_image_container_verifier_code_and_request() {
    let policies = vec![policy("release-images", require(Quorum::All, &["a"]))];
    let expect = format!(
        "[release-images] Subject failed verification: registry.example/app@{} (container \"c0\"): \
         a: SIGNATURE_NOT_FOUND: no signature by a key of release-keys (request 0badf00d)",
        digest()
    );
    assert_eq!(refusal(&verdict(policies, &[IMAGE]), "0badf00d"), expect);
}

#[test]
fn shows_a_static_denial_and_every_container() {
    let policies = vec![policy("p", RuleBody::Deny("images come from elsewhere".to_owned()))];
    let expect = format!(
        "[p] Subject failed verification: {IMAGE} (container \"c0\" and 1 more): \
         IMAGE_DENIED: images come from elsewhere (request 1)"
    );
    assert_eq!(refusal(&verdict(policies, &[IMAGE, IMAGE]), "1"), expect);
}

#[test]
fn counts_violations_after_the_third() {
    let message = |names: &[&'static str]| {
        refusal(&verdict(vec![policy("p", require(Quorum::All, names))], &[IMAGE]), "1")
    };
    assert!(!message(&["a", "b", "c"]).contains("more"));
    assert!(message(&["a", "b", "c", "d"]).contains("; and 1 more (request 1)"));
    assert!(message(&["a", "b", "c", "d", "e"]).contains("; and 2 more (request 1)"));
}

#[test]
fn is_empty_where_the_request_is_admitted() {
    let policies = vec![policy("p", RuleBody::Allow)];
    assert_eq!(refusal(&verdict(policies, &[IMAGE]), "1"), "");
}

#[test]
fn puts_what_decides_first_and_stays_short() {
    let images: Vec<String> =
        (0..40).map(|index| format!("registry.example/app-{index}")).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let policies = vec![policy("p", RuleBody::Deny("no".repeat(40)))];
    let message = refusal(&verdict(policies, &images), "1");
    assert!(message.len() <= MESSAGE_BYTES_MAX, "{}", message.len());
    let shown = message.lines().count() - 1;
    assert!(message.ends_with(&format!("\nand {} more", 40 - shown)), "{message}");
    let policies = vec![policy("p", RuleBody::Deny("ü".repeat(2_000)))];
    let message = refusal(&verdict(policies, &[IMAGE]), "1");
    assert!(message.len() <= MESSAGE_BYTES_MAX && message.ends_with("… (request 1)"), "{message}");
}

#[test]
fn an_author_s_line_breaks_do_not_forge_lines() {
    let policies = vec![policy("p", RuleBody::Allow)];
    let message = refusal(&verdict(policies, &["a\n[other] Subject passed\u{1b}[0m"]), "1");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(!message.contains('\u{1b}'));
}

#[test]
fn warns_in_few_words_and_once() {
    let warn = |name: &str| Policy {
        enforcement_action: EnforcementAction::Warn,
        ..policy(name, require(Quorum::All, &["a", "b"]))
    };
    let expect = "[p] container \"c0\" registry.example/app:v1: SIGNATURE_NOT_FOUND";
    assert_eq!(warnings(&verdict(vec![warn("p")], &[IMAGE])), [expect]);
    let long = warnings(&verdict(vec![warn(&"p".repeat(200))], &[IMAGE]));
    assert!(long[0].chars().count() <= WARNING_CHARACTERS_MAX, "{long:?}");
    assert!(long[0].ends_with("…SIGNATURE_NOT_FOUND"), "{long:?}");
    assert!(warnings(&verdict(vec![policy("p", RuleBody::Allow)], &[IMAGE])).is_empty());
}

/// The verdict on an image whose evidence is accepted but for two facts.
fn warned_verdict(name: &str) -> Verdict {
    let codes = [ReasonCode::KeyMismatch, ReasonCode::RevocationUnknown];
    let world =
        World { outcomes: BTreeMap::from([("a", warned(&[], &codes))]), ..World::default() };
    let policies = vec![policy(name, require(Quorum::All, &["a"]))];
    judge(&snapshot(policies), &create(pod(&[IMAGE])), &world)
}

#[test]
fn warns_of_what_an_admission_rests_on() {
    let expect = [
        "[p] container \"c0\" registry.example/app:v1: KEY_MISMATCH",
        "[p] container \"c0\" registry.example/app:v1: REVOCATION_UNKNOWN",
    ];
    let verdict = warned_verdict("p");
    assert!(verdict.is_admitted() && verdict.images[0].is_success());
    assert_eq!(warnings(&verdict), expect);
    let long = warnings(&warned_verdict(&"p".repeat(200)));
    assert!(long.iter().all(|text| text.chars().count() <= WARNING_CHARACTERS_MAX), "{long:?}");
    assert!(long[1].ends_with("…REVOCATION_UNKNOWN"), "{long:?}");
}

#[test]
fn reports_what_is_warned_of() {
    let verdict = warned_verdict("p");
    let result = VerificationResult::new(&[&verdict], "0badf00d", Timestamp::UNIX_EPOCH);
    let report = serde_json::to_value(&result).unwrap();
    let expect = serde_json::json!([{
        "name": "p",
        "rule": 0,
        "decision": "allow",
        "violations": [],
        "warnings": [
            {
                "code": "KEY_MISMATCH",
                "remediation": "sign the image with a key that the policy trusts",
            },
            {
                "code": "REVOCATION_UNKNOWN",
                "remediation": "try again when the servers of the certificate authority answer",
            },
        ],
    }]);
    assert_eq!(report["images"][0]["policies"], expect);
    assert_eq!(report["images"][0]["isSuccess"], true);
}

#[test]
fn reports_in_the_shape_that_users_know() {
    let policies = vec![policy("release-images", require(Quorum::All, &["a"]))];
    let verdict = verdict(policies, &[IMAGE]);
    let result = VerificationResult::new(&[&verdict], "0badf00d", Timestamp::UNIX_EPOCH);
    let subject = format!("registry.example/app@{}", digest());
    let expect = serde_json::json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "VerificationResult",
        "decision": "deny",
        "images": [{
            "version": "1.0.0",
            "image": IMAGE,
            "subject": subject,
            "isSuccess": false,
            "decision": "deny",
            "code": "REFERRERS_NOT_FOUND",
            "policies": [{
                "name": "release-images",
                "rule": 0,
                "decision": "deny",
                "violations": [{
                    "verifier": "a",
                    "code": "SIGNATURE_NOT_FOUND",
                    "message": "no signature by a key of release-keys",
                    "remediation": "sign the image",
                }],
            }],
            "verifierReports": [],
            "traceID": "0badf00d",
            "timestamp": "1970-01-01T00:00:00Z",
        }],
    });
    assert_eq!(serde_json::to_value(&result).unwrap(), expect);
}
