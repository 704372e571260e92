//! What failures lead to.

use super::*;
use crate::trust_policy::VerificationLevel;

#[test]
fn does_with_failures_what_the_level_says() {
    use ValidationType as T;
    let failures: [(T, Change); 4] = [
        (T::Authenticity, |case| case.identities = vec!["email:a@b"]),
        (T::Expiry, |case| case.expiry = Some("2025-12-31T00:00:00Z")),
        (T::AuthenticTimestamp, |case| case.now = "2027-01-01T00:00:01Z"),
        (T::Revocation, |case| case.leaf_status = CertificateStatus::Revoked),
    ];
    // Which of the four are enforced, at each level and with each override.
    let levels = [
        ("strict", json!({}), [true, true, true, true]),
        ("permissive", json!({}), [true, false, false, false]),
        ("audit", json!({}), [false, false, false, false]),
        ("strict", json!({"authenticity": "log"}), [false, true, true, true]),
        ("strict", json!({"expiry": "log"}), [true, false, true, true]),
        ("strict", json!({"authenticTimestamp": "log"}), [true, true, false, true]),
        ("strict", json!({"revocation": "log"}), [true, true, true, false]),
        (
            "audit",
            json!({"expiry": "enforce", "revocation": "enforce"}),
            [false, true, false, true],
        ),
    ];
    for (level, overrides, enforced) in levels {
        for ((check, change), is_enforced) in failures.iter().zip(enforced) {
            let mut case = Case { level, overrides: overrides.clone(), ..Case::default() };
            change(&mut case);
            let (outcome, _, _) = case.verify();
            let context = format!("{level} {overrides} {check}");
            assert_eq!(outcome.verdict.is_err(), is_enforced, "{context}");
            let warned = outcome.warnings().any(|(warning, _)| warning == *check);
            assert_eq!(warned, !is_enforced, "{context}");
        }
    }
}

#[test]
fn enforces_at_every_level_what_no_level_decides_over() {
    let failures: [(&str, Change); 5] = [
        ("integrity", |case| case.tamper = Vec::clear),
        ("plugin", |case| case.extended = vec![("io.cncf.notary.verificationPlugin", "x", true)]),
        ("critical", |case| case.extended = vec![("a", "b", true)]),
        ("payload", |case| case.subject.2 = 3),
        ("metadata", |case| case.metadata = vec![("a", "b")]),
    ];
    for level in ["strict", "permissive", "audit"] {
        for (stage, change) in failures {
            let mut case = Case { level, ..Case::default() };
            change(&mut case);
            assert_eq!(case.failure().0, stage, "{level}");
        }
    }
}

#[test]
fn skips_without_reading_anything() {
    let case = Case {
        level: "skip",
        stores: Vec::new(),
        identities: Vec::new(),
        tamper: Vec::clear,
        ..Case::default()
    };
    let (outcome, asked, _) = case.verify();
    assert!(matches!(outcome.verdict, Ok(Verdict::Skipped)));
    assert_eq!((outcome.results.len(), asked), (0, 0));
    assert!(outcome.envelope.is_none());
}

#[test]
fn refuses_formats_that_are_no_envelopes_unless_all_is_skipped() {
    for (level, expect) in [
        (VerificationLevel::STRICT, Some(("integrity", "UnsupportedFormat"))),
        (VerificationLevel::AUDIT, Some(("integrity", "UnsupportedFormat"))),
        (VerificationLevel::SKIP, None),
    ] {
        let outcome = Outcome::of_unsupported_format(level);
        let failure = outcome.verdict.err();
        let seen = failure.as_ref().map(|it| (it.stage.as_str(), it.error.code()));
        assert_eq!(seen, expect, "{}", level.name());
        assert_eq!(outcome.results.len(), usize::from(expect.is_some()));
    }
}

#[test]
fn reports_checks_in_order_up_to_the_enforced_failure() {
    use ValidationType as T;
    let checks = |case: Case| -> Vec<T> {
        case.verify().0.results.iter().map(|result| result.check).collect()
    };
    assert_eq!(checks(Case::default()), T::ALL);
    let skipped = Case { overrides: json!({"revocation": "skip"}), ..Case::default() };
    assert_eq!(checks(skipped), T::ALL[..4]);
    let expired = Case { expiry: Some("2025-12-31T00:00:00Z"), ..Case::default() };
    assert_eq!(checks(expired), T::ALL[..3]);
    let audited = Case { expiry: Some("2025-12-31T00:00:00Z"), level: "audit", ..Case::default() };
    assert_eq!(checks(audited), T::ALL);
}

#[test]
fn gives_back_the_envelope_if_it_is_intact() {
    let expired = Case { expiry: Some("2025-12-31T00:00:00Z"), ..Case::default() };
    let leaf = expired.verify().0.envelope.and_then(|envelope| envelope.chain().first().cloned());
    assert_eq!(leaf.as_ref(), Some(&pki().leaf.certificate));
    let broken = Case { tamper: |bytes| *bytes.last_mut().unwrap() ^= 1, ..Case::default() };
    assert!(broken.verify().0.envelope.is_none());
    let Ok(Verdict::Verified(signature)) = Case::default().verify().0.verdict else {
        panic!("the default passes");
    };
    assert_eq!(signature.target.annotations["env"], "prod");
    assert_eq!(signature.envelope.chain().len(), 3);
}
