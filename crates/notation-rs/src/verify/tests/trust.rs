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
        ("no name", |case| case.nameless = true, ("authenticity", "UnusableIdentity")),
        (
            "no name, but anybody will do",
            |case| {
                case.nameless = true;
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
    let strangers: [Change; 2] = [
        |case| case.anchor = |pki| &pki.stranger.certificate,
        |case| case.identities = vec!["email:a@b"],
    ];
    for change in strangers {
        let mut case = Case { level: "audit", ..Case::default() };
        change(&mut case);
        let (outcome, asked, _) = case.verify();
        assert!(outcome.verdict.is_ok());
        assert_eq!(asked, 0);
        let error = outcome.results.last().and_then(|result| result.error.clone());
        assert_eq!(error, Some(VerificationError::RevocationNotChecked));
    }
    let (_, asked, signing_time) = Case { level: "audit", ..Case::default() }.verify();
    assert_eq!((asked, signing_time), (1, None));
    let skip = Case { overrides: json!({"revocation": "skip"}), ..Case::default() };
    assert_eq!(skip.verify().1, 0);
    // The time is told only where an authority vouches for it.
    let authority = Case { scheme: SigningScheme::X509SigningAuthority, ..Case::default() };
    assert_eq!(authority.verify().2, Some(at("2025-06-01T00:00:00Z")));
}
