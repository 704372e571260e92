//! Which configurations make a verifier, and where the others are wrong.

use assay_core::ports::VerifierFactory;
use assay_core::{
    CertificateKind, NotationConfig, TrustMaterial, TrustStoreKind, TrustStoreMaterial,
    VerifierConfig,
};
use assay_verifiers::Factory;

use crate::world::{at, build, config, document, material, pki, stating, store};

#[track_caller]
fn check(config: NotationConfig, bytes: &[u8], field: &str, says: &str) {
    let error = build(config, bytes).err().unwrap();
    assert_eq!(error.field, field, "{error}");
    assert!(error.reason.contains(says), "{error}");
}

#[test]
fn refuses_what_cannot_be_meant() {
    let pki = pki();
    let der = pki.root.certificate.der();
    assert!(build(config(), der).is_ok() && build(document("strict", "*"), der).is_ok());
    let level = |level: &str| stating(|statement| statement.level = level.to_owned());
    let overriding = |check: &str, action: &str| {
        stating(|statement| {
            statement.overrides.insert(check.to_owned(), action.to_owned());
        })
    };
    let identities = |identities: &[&str]| {
        stating(|statement| {
            statement.trusted_identities = identities.iter().map(|it| (*it).to_owned()).collect();
        })
    };
    let no_stores = NotationConfig { stores: Vec::new(), ..config() };
    let timestamp = stating(|statement| statement.verify_timestamp = "never".to_owned());
    for (config, field, says) in [
        (level("skip"), "notation.level", "allow: true"),
        (level("loose"), "notation.level", "loose"),
        (overriding("expiry", "skip"), "notation.override.expiry", "skip"),
        (overriding("integrity", "log"), "notation.override.integrity", ""),
        (identities(&[]), "notation.trustedIdentities", ""),
        (identities(&["*", "x"]), "notation.trustedIdentities[0]", ""),
        (identities(&["x509.subject: C=US"]), "notation.trustedIdentities[0]", "ST"),
        (timestamp, "notation.verifyTimestamp", "never"),
        (no_stores, "notation.trustStores", ""),
        (
            document("strict", "https://a/b"),
            "notation.trustPolicy.trustPolicies[0].registryScopes[0]",
            "https://a/b",
        ),
    ] {
        check(config, der, field, says);
    }
    let skip = r#"{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["r.io/a"],
        "signatureVerification":{"level":"skip"}}]}"#;
    let skip = assay_core::NotationTrustPolicy::Document(skip.to_owned());
    check(
        NotationConfig { trust_policy: skip, stores: Vec::new(), ..config() },
        der,
        "notation.trustPolicy.trustPolicies[0].signatureVerification.level",
        "allow: true",
    );
}

#[test]
fn refuses_stores_that_do_not_hold_what_they_should() {
    let pki = pki();
    check(config(), b"junk", "notation.trustStores", "trust store 'roots'");
    check(config(), pki.leaf.certificate.der(), "notation.trustStores", "neither a CA's");
    check(document("strict", "*"), b"", "notation.trustPolicy", "trust store 'roots'");
    let tsa = material(&store(CertificateKind::Tsa), pki.root.certificate.der());
    let keys = tsa.clone().of_kind(TrustStoreKind::PublicKeys);
    for stores in [vec![], vec![tsa], vec![keys]] {
        let built = Factory::default()
            .build(&VerifierConfig::Notation(config()), &TrustMaterial { stores });
        let error = built.err().unwrap().to_string();
        assert!(error.contains("does not hold certificates of type ca"), "{error}");
    }
}

#[test]
fn says_when_a_store_expires() {
    let pki = pki();
    let held = |bytes: &[u8]| material(&store(CertificateKind::Ca), bytes);
    let root = held(pki.root.certificate.der());
    assert_eq!(Factory::default().expiry(&root), Some(at("2027-01-01T00:00:00Z")));
    assert_eq!(Factory::default().expiry(&held(b"junk")), None);
    let keys: TrustStoreMaterial = root.of_kind(TrustStoreKind::PublicKeys);
    assert_eq!(Factory::default().expiry(&keys), None);
}
