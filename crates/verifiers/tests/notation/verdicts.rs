//! What the configuration changes, and what is said.

use assay_core::{Digest, NotationConfig, ReasonCode, SignerId, State};
use notation_rs::EnvelopeFormat;
use notation_rs::envelope::SigningScheme;
use serde_json::json;

use crate::world::{World, at, build, config, document, pki, stating, store, verifier};

#[test]
fn each_field_changes_the_verdict() {
    use State::Rejected;
    let (pki, stranger) = (pki(), pki());
    let mut signed = World::new();
    let expiry = at("2025-12-01T00:00:00Z");
    let envelope = signed.envelope(&pki, |request| request.expiry = Some(expiry));
    signed.push(&envelope, EnvelopeFormat::Cose);
    let log = |check: &str, level: &str| {
        stating(|statement| {
            statement.level = level.to_owned();
            statement.overrides.insert(check.to_owned(), "log".to_owned());
        })
    };
    let identity = |config: NotationConfig, text: &str| {
        let mut config = config;
        if let assay_core::NotationTrustPolicy::Statement(statement) = &mut config.trust_policy {
            statement.trusted_identities = vec![text.to_owned()];
        }
        config
    };
    let metadata = |value: &str| {
        let mut config = log("expiry", "strict");
        config.user_metadata.insert("env".to_owned(), value.to_owned());
        config
    };
    let level = |level: &str| stating(|statement| statement.level = level.to_owned());
    let other = "x509.subject: C=US, ST=WA, O=Other";
    let cases = [
        ("expired", config(), &pki, Rejected(ReasonCode::SignatureExpired)),
        ("expiry logged", log("expiry", "strict"), &pki, State::Accepted),
        ("permissive", level("permissive"), &pki, State::Accepted),
        (
            "another identity",
            identity(level("permissive"), other),
            &pki,
            Rejected(ReasonCode::IdentityMismatch),
        ),
        ("audit", identity(level("audit"), other), &pki, State::Accepted),
        ("a stranger", level("permissive"), &stranger, Rejected(ReasonCode::KeyMismatch)),
        ("a stranger, audited", level("audit"), &stranger, State::Accepted),
        ("metadata", metadata("prod"), &pki, State::Accepted),
        ("other metadata", metadata("test"), &pki, Rejected(ReasonCode::AnnotationMismatch)),
        ("the document", document("permissive", "*"), &pki, State::Accepted),
        ("its level", document("strict", "*"), &pki, Rejected(ReasonCode::SignatureExpired)),
        ("its scope", document("permissive", "registry.example/app"), &pki, State::Accepted),
        (
            "another scope",
            document("permissive", "registry.example/ap"),
            &pki,
            Rejected(ReasonCode::NotCovered),
        ),
    ];
    for (name, config, root, expect) in cases {
        signed.check(name, &*verifier(config, root), expect);
    }
}

#[test]
fn a_stranger_who_is_let_pass_is_no_signer() {
    let (pki, stranger) = (pki(), pki());
    let mut world = World::new();
    world.sign(&pki);
    let audit = || stating(|statement| statement.level = "audit".to_owned());
    let known = world.check("known", &*verifier(audit(), &pki), State::Accepted);
    let subject = Digest::sha256(pki.leaf.certificate.subject_der());
    assert_eq!(known.signers.into_iter().collect::<Vec<_>>(), [SignerId(subject)]);
    let unknown = world.check("unknown", &*verifier(audit(), &stranger), State::Accepted);
    assert!(unknown.signers.is_empty());
    let expect = "Notation signature verification success, but: authenticity: no certificate of \
                  the signature is in a trust store of the policy";
    assert_eq!(unknown.message, expect);
    assert_eq!(unknown.reports[0].message, expect);
}

#[test]
fn scheme_and_type_of_store_belong_together() {
    use assay_core::CertificateKind::{Ca, SigningAuthority, Tsa};
    let pki = pki();
    for (scheme, good) in
        [(SigningScheme::X509, Ca), (SigningScheme::X509SigningAuthority, SigningAuthority)]
    {
        let mut world = World::new();
        let envelope = world.envelope(&pki, |request| request.scheme = scheme);
        world.push(&envelope, EnvelopeFormat::Cose);
        for kind in [Ca, SigningAuthority, Tsa] {
            let verifier = verifier(NotationConfig { stores: vec![store(kind)], ..config() }, &pki);
            let expect = match kind == good {
                true => State::Accepted,
                false => State::Rejected(ReasonCode::KeyMismatch),
            };
            world.check(kind.as_str(), &*verifier, expect);
        }
    }
}

#[test]
fn asks_for_timestamps_where_there_is_a_tsa_store() {
    use assay_core::CertificateKind::{Ca, Tsa};
    let pki = pki();
    let mut world = World::new();
    world.sign(&pki);
    let stores = vec![store(Ca), store(Tsa)];
    for (when, expect) in [
        ("always", State::Rejected(ReasonCode::TimestampInvalid)),
        ("afterCertExpiry", State::Accepted),
    ] {
        let mut config = stating(|statement| statement.verify_timestamp = when.to_owned());
        config.stores = stores.clone();
        world.check(when, &*verifier(config, &pki), expect);
    }
}

#[test]
fn rests_on_what_expires_first() {
    let pki = pki();
    for (expiry, expect) in
        [(None, "2027-01-01T00:00:00Z"), (Some("2026-02-01T00:00:00Z"), "2026-02-01T00:00:00Z")]
    {
        let mut world = World::new();
        let envelope = world.envelope(&pki, |request| request.expiry = expiry.map(at));
        world.push(&envelope, EnvelopeFormat::Cose);
        let outcome = world.check("in time", &*verifier(config(), &pki), State::Accepted);
        assert_eq!(outcome.valid_until, Some(at(expect)));
        world.now = at("2027-01-01T00:00:01Z");
        assert_ne!(world.verify(&*verifier(config(), &pki)).state, State::Accepted);
    }
    let mut world = World::new();
    world.sign(&pki);
    world.now = at("2027-01-01T00:00:01Z");
    let expect = State::Rejected(ReasonCode::CertificateExpired);
    world.check("too late", &*verifier(config(), &pki), expect);
}

#[test]
fn reports_what_ratify_users_know() {
    let (pki, stranger) = (pki(), pki());
    let mut world = World::new();
    let digest = world.sign(&pki);
    let outcome = world.verify(&*verifier(config(), &pki));
    let report = &outcome.reports[0];
    assert_eq!(
        report.extensions,
        json!({
            "Issuer": "CN=Vec Intermediate,O=Acme,L=Seattle,ST=WA,C=US",
            "SN": "CN=Vec Leaf,O=Acme,L=Seattle,ST=WA,C=US",
        })
    );
    assert_eq!((report.kind, &report.reference_digest), ("notation", &Some(digest)));
    let refused = world.verify(&*verifier(config(), &stranger));
    assert_eq!(refused.message, "signed, but by no certificate of roots");
    assert_eq!(refused.reports[0].reason, Some(ReasonCode::KeyMismatch));
    assert_eq!(refused.reports[0].extensions, json!(null));
}

#[test]
fn the_certificates_are_in_the_fingerprint() {
    let (pki, other) = (pki(), pki());
    let of = |config, der: &[u8]| build(config, der).unwrap().fingerprint().clone();
    let der = pki.root.certificate.der();
    assert_eq!(of(config(), der), of(config(), der));
    assert_ne!(of(config(), der), of(config(), other.root.certificate.der()));
    assert_ne!(of(config(), der), of(document("strict", "*"), der));
}
