//! What a level lets pass is warned of, by the code that it would be refused with.

use assay_core::ReasonCode::{
    CertificateExpired, IdentityMismatch, KeyMismatch, RevocationUnknown, SignatureExpired,
};
use assay_core::State::{Accepted, Rejected, Unavailable};
use assay_core::{NotationConfig, ReasonCode, State};
use notation_rs::EnvelopeFormat;
use notation_rs::algorithm::KeyKind;
use notation_rs::signer::{CertificateTemplate, Pki, SigningKey, der};

use crate::world::{World, at, config, document, not_found, pki, stating, timeout, verifier};

/// The server that says whether a certificate of [`revocable`] is revoked.
const RESPONDER: &str = "http://ocsp.warnings.example";

/// The image at this time, signed by `pki` with this expiry.
fn world(pki: &Pki, expiry: Option<&str>, now: &str) -> World {
    let mut world = World::new();
    let envelope = world.envelope(pki, |request| request.expiry = expiry.map(at));
    world.push(&envelope, EnvelopeFormat::Cose);
    world.now = at(now);
    world
}

/// Certificates of which the leaf names a server that says whether it is revoked.
fn revocable() -> Pki {
    const AUTHORITY_INFORMATION: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x01\x01";
    const OCSP: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x30\x01";
    const URI: u8 = 0x86;
    let pki = pki();
    let uri = der::element(URI, &[RESPONDER.as_bytes()]);
    let value = der::sequence(&[&der::sequence(&[&der::oid(OCSP), &uri])]);
    let subject = [("C", "US"), ("ST", "WA"), ("O", "Acme")];
    let [from, to] = ["2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z"].map(at);
    let leaf = CertificateTemplate::new(&subject, from, to)
        .code_signing()
        .with_extension(AUTHORITY_INFORMATION, false, &value)
        .issued_by(&pki.intermediate, SigningKey::generate(KeyKind::P256).unwrap());
    Pki { leaf: leaf.unwrap(), ..pki }
}

fn level(level: &str, overrides: &[(&str, &str)]) -> NotationConfig {
    stating(|statement| {
        statement.level = level.to_owned();
        let overrides = overrides.iter();
        statement.overrides =
            overrides.map(|(check, action)| ((*check).to_owned(), (*action).to_owned())).collect();
    })
}

/// Holds what `check`'s failure leads to at each level against the table of the Notary Project:
/// refused with `strict`, or admitted with `warnings`.
#[track_caller]
fn check_levels(
    check: &str,
    world: &World,
    root: &Pki,
    (strict, warnings): (State, &[ReasonCode]),
    is_logged_by: [bool; 3],
) {
    let levels = ["strict", "permissive", "audit"];
    let logs = levels.into_iter().zip(is_logged_by).flat_map(|(name, is_logged)| {
        let expect = if is_logged { Accepted } else { strict };
        [
            (level(name, &[]), expect),
            (level(name, &[(check, "log")]), Accepted),
            (level(name, &[(check, "enforce")]), strict),
        ]
    });
    for (config, expect) in logs {
        let name = format!("{check} at {config:?}");
        let outcome = world.check(&name, &*verifier(config, root), expect);
        let expect = if expect == Accepted { warnings } else { &[] };
        assert_eq!(outcome.warnings, expect, "{name}");
    }
}

const NOW: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2027-01-01T00:00:01Z";
const PAST: Option<&str> = Some("2025-12-01T00:00:00Z");

#[test]
fn warns_of_what_the_level_logs() {
    let (good, revocable) = (pki(), revocable());
    let logged_below_strict = [false, true, true];
    for (check, world, root, strict, code) in [
        ("expiry", world(&good, PAST, NOW), &good, Rejected(SignatureExpired), SignatureExpired),
        (
            "authenticTimestamp",
            world(&good, None, LATE),
            &good,
            Rejected(CertificateExpired),
            CertificateExpired,
        ),
        (
            "revocation",
            world(&revocable, None, NOW),
            &revocable,
            Unavailable(RevocationUnknown),
            RevocationUnknown,
        ),
    ] {
        check_levels(check, &world, root, (strict, &[code]), logged_below_strict);
    }
}

/// Nobody is asked whether the certificates of a stranger are revoked, who names the servers to ask.
#[test]
fn warns_of_strangers_whom_the_level_lets_pass() {
    let (good, stranger) = (revocable(), pki());
    let signed = world(&good, None, NOW);
    for (name, config, root, warnings) in [
        ("audit", level("audit", &[]), &stranger, &[KeyMismatch, RevocationUnknown][..]),
        ("not asked", level("audit", &[("revocation", "skip")]), &stranger, &[KeyMismatch]),
        ("a document's", document("audit", "*"), &stranger, &[KeyMismatch, RevocationUnknown]),
        ("known", level("audit", &[]), &good, &[RevocationUnknown]),
    ] {
        let outcome = signed.check(name, &*verifier(config, root), Accepted);
        assert_eq!(outcome.warnings, warnings, "{name}");
        assert_eq!(outcome.signers.is_empty(), warnings.contains(&KeyMismatch), "{name}");
    }
    let names_nobody = world(&pki(), None, NOW);
    let audit = verifier(level("audit", &[]), &stranger);
    assert_eq!(names_nobody.check("nobody to ask", &*audit, Accepted).warnings, [KeyMismatch]);
    let authenticity = [("authenticity", "enforce")];
    for (name, config) in [
        ("strict", config()),
        ("permissive", level("permissive", &[])),
        ("audit, enforced", level("audit", &authenticity)),
    ] {
        let outcome = signed.check(name, &*verifier(config, &stranger), Rejected(KeyMismatch));
        assert!(outcome.warnings.is_empty(), "{name}");
    }
}

#[test]
fn warns_of_identities_whom_the_level_lets_pass() {
    let good = pki();
    let signed = world(&good, None, NOW);
    let other = |level: &str| {
        stating(|statement| {
            statement.level = level.to_owned();
            statement.trusted_identities = vec!["x509.subject: C=US, ST=WA, O=Other".to_owned()];
        })
    };
    let outcome = signed.check("audit", &*verifier(other("audit"), &good), Accepted);
    assert_eq!(outcome.warnings, [IdentityMismatch]);
    assert!(outcome.signers.is_empty());
    let expect = Rejected(IdentityMismatch);
    let outcome = signed.check("permissive", &*verifier(other("permissive"), &good), expect);
    assert!(outcome.warnings.is_empty());
}

#[test]
fn warns_of_everything_in_the_order_of_the_checks() {
    let (good, stranger) = (revocable(), pki());
    let signed = world(&good, PAST, LATE);
    let audit = level("audit", &[]);
    let outcome = signed.check("all", &*verifier(audit, &stranger), Accepted);
    let all = [KeyMismatch, SignatureExpired, CertificateExpired, RevocationUnknown];
    assert_eq!(outcome.warnings, all);
    let outcome = signed.check("known", &*verifier(level("permissive", &[]), &good), Accepted);
    assert_eq!(outcome.warnings, [SignatureExpired, CertificateExpired, RevocationUnknown]);
    // Integrity, the payload and the wanted metadata are enforced at every level.
    let mut audit = level("audit", &[]);
    audit.user_metadata.insert("env".to_owned(), "test".to_owned());
    let expect = Rejected(ReasonCode::AnnotationMismatch);
    assert!(signed.check("enforced", &*verifier(audit, &good), expect).warnings.is_empty());
}

#[test]
fn prefers_signatures_of_which_there_is_nothing_to_warn() {
    let good = pki();
    for (name, expiries) in [("first", [None, PAST]), ("last", [PAST, None])] {
        let mut world = world(&good, expiries[0], NOW);
        let envelope = world.envelope(&good, |request| request.expiry = expiries[1].map(at));
        world.push(&envelope, EnvelopeFormat::Cose);
        let permissive = verifier(level("permissive", &[]), &good);
        assert!(world.check(name, &*permissive, Accepted).warnings.is_empty(), "{name}");
    }
}

#[test]
fn rests_no_longer_on_a_momentary_failure_than_that_is_remembered() {
    let good = revocable();
    let mut signed = world(&good, None, NOW);
    let soon = at(NOW) + jiff::SignedDuration::from_secs(5);
    for (name, page, expect) in [("away", timeout(), true), ("answered", not_found(), false)] {
        signed.pages = vec![(RESPONDER, Err(page))];
        let outcome = signed.check(name, &*verifier(level("permissive", &[]), &good), Accepted);
        assert_eq!(outcome.warnings, [RevocationUnknown], "{name}");
        assert_eq!(outcome.valid_until == Some(soon), expect, "{name}");
    }
}
