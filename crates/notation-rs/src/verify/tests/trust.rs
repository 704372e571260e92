//! Who signed, and whether that is revoked.

use super::*;
use crate::revocation::RevocationError;

#[test]
fn trusts_whom_the_policy_trusts_and_nobody_else() {
    check_verdicts(&[
        ("intermediate", |case| case.anchor = |pki| &pki.intermediate.certificate, PASS),
        (
            "other root of the same name",
            |case| case.anchor = |pki| &pki.stranger.certificate,
            ("authenticity", "NotTrusted"),
        ),
        ("absent store", |case| case.stores = vec!["ca:x"], ("authenticity", "TrustStore")),
        (
            "one absent store",
            |case| case.stores = vec!["ca:roots", "ca:x"],
            ("authenticity", "TrustStore"),
        ),
        (
            "store for other scheme",
            |case| case.stores = vec!["signingAuthority:roots"],
            ("authenticity", "TrustStore"),
        ),
        ("store for this scheme", |case| case.stores = vec!["ca:roots"], PASS),
        (
            "signing authority",
            |case| {
                case.scheme = SigningScheme::X509SigningAuthority;
                case.stores = vec!["signingAuthority:roots"];
            },
            PASS,
        ),
        (
            "signing authority in the store for others",
            |case| {
                case.scheme = SigningScheme::X509SigningAuthority;
                case.stores = vec!["ca:roots"];
            },
            ("authenticity", "TrustStore"),
        ),
        ("anybody", |case| case.identities = vec!["*"], PASS),
        (
            "somebody else",
            |case| case.identities = vec!["x509.subject:C=US,ST=WA,O=Emca"],
            ("authenticity", "IdentityMismatch"),
        ),
        (
            "one of two",
            |case| {
                case.identities =
                    vec!["x509.subject:C=US,ST=WA,O=Emca", "x509.subject:C=US,ST=WA,O=Acme"];
            },
            PASS,
        ),
        (
            "unknown kind only",
            |case| case.identities = vec!["email:a@b"],
            ("authenticity", "IdentityMismatch"),
        ),
        ("no name", |case| case.leaf = |pki| &pki.nameless, ("authenticity", "UnusableIdentity")),
        (
            "no name, but anybody will do",
            |case| {
                case.leaf = |pki| &pki.nameless;
                case.identities = vec!["*"];
            },
            PASS,
        ),
    ]);
}

#[test]
fn fails_revoked_and_unknown_certificates() {
    check_verdicts(&[
        ("not revokable", |case| case.leaf_status = CertificateStatus::NonRevokable, PASS),
        (
            "revoked",
            |case| case.leaf_status = CertificateStatus::Revoked,
            ("revocation", "Revoked"),
        ),
        (
            "unknown",
            |case| case.leaf_status = CertificateStatus::Unknown(vec![RevocationError::Expired]),
            ("revocation", "RevocationUnknown"),
        ),
        (
            "skipped",
            |case| {
                case.leaf_status = CertificateStatus::Revoked;
                case.overrides = json!({"revocation": "skip"});
            },
            PASS,
        ),
    ]);
}

#[test]
fn asks_nobody_about_untrusted_chains() {
    let cases: [(&str, Change, usize, Option<VerificationError>); 3] = [
        (
            "other root",
            |case| case.anchor = |pki| &pki.stranger.certificate,
            0,
            Some(VerificationError::RevocationNotChecked),
        ),
        (
            "other root, but nobody to ask",
            |case| {
                case.anchor = |pki| &pki.stranger.certificate;
                case.leaf = |pki| &pki.nameless;
            },
            0,
            None,
        ),
        ("other signer", |case| case.identities = vec!["email:a@b"], 1, None),
    ];
    for (name, change, times, expect) in cases {
        let mut case = Case { level: "audit", ..Case::default() };
        change(&mut case);
        let (outcome, asked, _) = case.verify();
        assert!(outcome.verdict.is_ok(), "{name}");
        assert_eq!(asked, times, "{name}");
        let error = outcome.results.last().and_then(|result| result.error.clone());
        assert_eq!(error, expect, "{name}");
    }
    let logged = || json!({"authenticity": "log"});
    let mut strict = Case { overrides: logged(), ..Case::default() };
    strict.anchor = |pki| &pki.stranger.certificate;
    assert_eq!(strict.failure(), ("revocation", "RevocationNotChecked"));
    strict.leaf = |pki| &pki.nameless;
    assert_eq!(strict.failure(), PASS);
    let (_, asked, signing_time) = Case { level: "audit", ..Case::default() }.verify();
    assert_eq!((asked, signing_time), (1, None));
    let skip = Case { overrides: json!({"revocation": "skip"}), ..Case::default() };
    assert_eq!(skip.verify().1, 0);
    // The time is told only where an authority vouches for it.
    let authority = Case { scheme: SigningScheme::X509SigningAuthority, ..Case::default() };
    assert_eq!(authority.verify().2, Some(at("2025-06-01T00:00:00Z")));
}

#[test]
fn tells_of_two_failures_the_enforced_one_or_else_the_last() {
    let said = |level, stores: Vec<&'static str>, identities: Vec<&'static str>| {
        let anchor: fn(&Pki) -> &Certificate = |pki| &pki.stranger.certificate;
        let case = Case { level, stores, identities, anchor, ..Case::default() };
        case.verify().0.results[1].error.as_ref().map(VerificationError::code)
    };
    let (roots, nobody) = (vec!["ca:roots"], vec!["email:a@b"]);
    assert_eq!(said("strict", roots.clone(), nobody.clone()), Some("NotTrusted"));
    assert_eq!(said("audit", roots.clone(), nobody.clone()), Some("IdentityMismatch"));
    assert_eq!(said("audit", vec!["ca:x"], nobody), Some("IdentityMismatch"));
    assert_eq!(said("audit", roots, vec!["*"]), Some("NotTrusted"));
}
