use serde_json::{Value, json};

use super::*;
use crate::identity::IdentityError;

fn statement() -> Value {
    json!({
        "name": "a",
        "registryScopes": ["registry.example/a"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:roots"],
        "trustedIdentities": ["*"],
    })
}

fn document(statements: &[Value]) -> Value {
    json!({"version": "1.0", "trustPolicies": statements})
}

fn parse_oci(document: &Value) -> Result<OciTrustPolicy, TrustPolicyError> {
    OciTrustPolicy::parse(document.to_string().as_bytes())
}

fn parse_blob(document: &Value) -> Result<BlobTrustPolicy, TrustPolicyError> {
    BlobTrustPolicy::parse(document.to_string().as_bytes())
}

/// The statement with the value at `pointer` replaced.
fn with(mut statement: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    statement.pointer_mut(parent).unwrap()[key] = value;
    statement
}

/// Checks that the statement with that change fails for that field, with those words.
fn check_rejects(pointer: &str, value: Value, field: &str, says: &str) {
    let error = parse_oci(&document(&[with(statement(), pointer, value)])).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.field, field, "{text}");
    assert!(text.contains(says), "{text}: {says}");
}

#[test]
fn rejects_each_wrong_field_of_a_statement() {
    let level = "/signatureVerification/level";
    let overrides = "/signatureVerification/override";
    let verify = "/signatureVerification/verifyTimestamp";
    let cases = [
        ("/name", json!(""), "name", "mandatory"),
        ("/name", json!(" "), "name", "mandatory"),
        ("/registryScopes", json!([]), "registryScopes", "mandatory"),
        ("/registryScopes", json!(["a"]), "registryScopes[0]", "`a` is no repository"),
        ("/registryScopes", json!(["r.io/a", "*"]), "registryScopes[1]", "only value"),
        ("/registryScopes", json!(["r.io/a", "r.io/a"]), "registryScopes[1]", "occurs twice"),
        (level, json!(""), "signatureVerification.level", "strict, permissive"),
        (level, json!("STRICT"), "signatureVerification.level", "`STRICT` is no level"),
        (level, json!("skip"), "trustStores", "reads no trust store"),
        (
            overrides,
            json!({"integrity": "enforce"}),
            "signatureVerification.override.integrity",
            "",
        ),
        (overrides, json!({"integrity": "log"}), "signatureVerification.override.integrity", ""),
        (overrides, json!({"expiry": "skip"}), "signatureVerification.override.expiry", "`skip`"),
        (overrides, json!({"revocation": ""}), "signatureVerification.override.revocation", "``"),
        (verify, json!("never"), "signatureVerification.verifyTimestamp", "`never`"),
        ("/trustStores", json!([]), "trustStores", "mandatory"),
        ("/trustStores", json!(["roots"]), "trustStores[0]", "`roots` names no"),
        ("/trustStores", json!(["CA:roots"]), "trustStores[0]", "names no"),
        ("/trustStores", json!(["ca:"]), "trustStores[0]", "names no"),
        ("/trustStores", json!(["ca:../a"]), "trustStores[0]", "names no"),
        ("/trustStores", json!(["ca:a", "tsa:b:c"]), "trustStores[1]", "names no"),
        ("/trustedIdentities", json!([]), "trustedIdentities", "mandatory"),
        ("/trustedIdentities", json!([""]), "trustedIdentities[0]", "mandatory"),
        ("/trustedIdentities", json!(["CN=x"]), "trustedIdentities[0]", "no kind"),
        ("/trustedIdentities", json!(["*", "email:a"]), "trustedIdentities[0]", "only value"),
        ("/trustedIdentities", json!(["email:a", "*"]), "trustedIdentities[1]", "only value"),
        (
            "/trustedIdentities",
            json!(["x509.subject:C=US,ST=WA"]),
            "trustedIdentities[0]",
            "attribute O is missing",
        ),
        (
            "/trustedIdentities",
            json!(["x509.subject:C=US,ST=WA,O=Acme,CN="]),
            "trustedIdentities[0]",
            "attribute CN is empty",
        ),
        (
            "/trustedIdentities",
            json!(["x509.subject:C=US,ST=WA,O=Acme", "x509.subject:OU=x,O=Acme,ST=WA,C=US"]),
            "trustedIdentities[1]",
            "overlaps",
        ),
        (
            "/trustedIdentities",
            json!(["x509.subject:C=US,ST=WA,O=Acme,OU=x", "x509.subject:C=US,ST=WA,O=Acme"]),
            "trustedIdentities[1]",
            "overlaps",
        ),
    ];
    for (pointer, value, field, says) in cases {
        check_rejects(pointer, value, &format!("trustPolicies[0].{field}"), says);
    }
}

#[test]
fn rejects_what_is_not_of_the_form() {
    let cases = [
        ("/", json!(1), "unknown field"),
        ("/globalPolicy", json!(true), "unknown field `globalPolicy`"),
        ("/registryscopes", json!([]), "unknown field"),
        ("/registryScopes", json!("*"), "expected a sequence"),
        ("/signatureVerification", json!(["strict"]), "expected an object"),
        ("/signatureVerification/override", json!(["log"]), "expected an object"),
        (
            "/signatureVerification/override",
            json!({"signature": "log"}),
            "unknown field `signature`",
        ),
        ("/signatureVerification/timestamp", json!(""), "unknown field `timestamp`"),
    ];
    for (pointer, value, says) in cases {
        check_rejects(pointer, value, "document", says);
    }
    let array = parse_oci(&json!(["1.0", [statement()]])).unwrap_err();
    assert_eq!(array.field, "document", "{array}");
    let twice = br#"{"version":"1.0","version":"1.0","trustPolicies":[]}"#;
    let error = OciTrustPolicy::parse(twice).unwrap_err().to_string();
    assert!(error.contains("duplicate field `version`"), "{error}");
}

#[test]
fn accepts_what_the_rejected_differ_from() {
    let cases = [
        ("/registryScopes", json!(["*"])),
        ("/registryScopes", json!(["r.io/a", "r.io/b"])),
        ("/signatureVerification/override", json!({})),
        ("/signatureVerification/override", json!({"revocation": "skip", "expiry": "log"})),
        ("/signatureVerification/verifyTimestamp", json!("")),
        ("/trustStores", json!(["ca:a.b_C-1", "signingAuthority:x", "tsa:t"])),
        ("/trustedIdentities", json!(["email:a", "x509.subject:C=US,ST=WA,O=Acme"])),
        (
            "/trustedIdentities",
            json!(["x509.subject:C=US,ST=WA,O=A", "x509.subject:C=US,ST=WA,O=B"]),
        ),
    ];
    for (pointer, value) in cases {
        let seen = parse_oci(&document(&[with(statement(), pointer, value.clone())]));
        assert!(seen.is_ok(), "{pointer} {value} {seen:?}");
    }
}

#[test]
fn rejects_documents_as_a_whole() {
    let second = |scope: &str, name: &str| {
        with(with(statement(), "/name", json!(name)), "/registryScopes", json!([scope]))
    };
    let everything = with(statement(), "/registryScopes", json!(["*"]));
    let cases = [
        (json!({"version": "1.0"}), "trustPolicies"),
        (json!({"trustPolicies": [statement()]}), "version"),
        (json!({"version": "1.1", "trustPolicies": [statement()]}), "version"),
        (document(&[]), "trustPolicies"),
        (document(&[statement(), second("r.io/b", "a")]), "trustPolicies[1].name"),
        (
            document(&[statement(), second("registry.example/a", "b")]),
            "trustPolicies[1].registryScopes[0]",
        ),
        (document(&[everything, second("*", "b")]), "trustPolicies[1].registryScopes[0]"),
    ];
    for (document, field) in cases {
        assert_eq!(parse_oci(&document).unwrap_err().field, field, "{document}");
    }
    assert!(parse_oci(&document(&[statement(), second("r.io/b", "b")])).is_ok());
}

#[test]
fn rejects_skipping_everything() {
    let skip = json!({
        "name": "a",
        "registryScopes": ["registry.example/a"],
        "signatureVerification": {"level": "skip"},
    });
    assert!(parse_oci(&document(std::slice::from_ref(&skip))).is_ok());
    let all = with(skip.clone(), "/registryScopes", json!(["*"]));
    let error = parse_oci(&document(&[all])).unwrap_err();
    assert_eq!(error.defect, PolicyDefect::SkipsEverything);
    let identity = with(skip.clone(), "/trustedIdentities", json!(["*"]));
    assert_eq!(parse_oci(&document(&[identity])).unwrap_err().defect, PolicyDefect::HasNoEffect);
    let overridden = with(skip, "/signatureVerification/override", json!({"expiry": "log"}));
    let error = parse_oci(&document(&[overridden])).unwrap_err();
    assert_eq!(error.defect, PolicyDefect::Override { value: "log".to_owned() });

    let blob = json!({"name": "a", "signatureVerification": {"level": "skip"}});
    assert!(parse_blob(&document(std::slice::from_ref(&blob))).is_ok());
    let global = with(blob, "/globalPolicy", json!(true));
    assert_eq!(parse_blob(&document(&[global])).unwrap_err().defect, PolicyDefect::SkipsEverything);
}

#[test]
fn reads_documents_up_to_the_limit() {
    let mut text = document(&[statement()]).to_string().into_bytes();
    text.resize(TRUST_POLICY_BYTES_MAX, b' ');
    assert!(OciTrustPolicy::parse(&text).is_ok());
    text.push(b' ');
    let expect = PolicyDefect::TooLarge { bytes: TRUST_POLICY_BYTES_MAX + 1 };
    assert_eq!(OciTrustPolicy::parse(&text).unwrap_err().defect, expect);
}

#[test]
fn selects_the_repository_before_the_wildcard() {
    let named = |name: &str, scopes: Value| {
        with(with(statement(), "/name", json!(name)), "/registryScopes", scopes)
    };
    let all = named("all", json!(["*"]));
    let one = named("one", json!(["localhost:5000/a/b", "registry.example/a"]));
    let policy = parse_oci(&document(&[all, one.clone()])).unwrap();
    let cases = [
        ("registry.example/a@sha256:00", Some("one")),
        ("localhost:5000/a/b@sha256:00", Some("one")),
        ("registry.example/a/b@sha256:00", Some("all")),
        ("Registry.example/a@sha256:00", Some("all")),
        ("registry.example/a", None),
        ("registry.example/a:tag", None),
        ("registry.example/a:tag@sha256:00", None),
        ("registry.example/a@sha256:00@sha256:00", None),
        ("registry.example/a@", None),
        ("a@sha256:00", None),
    ];
    for (reference, expect) in cases {
        assert_eq!(policy.select(reference).ok().map(Statement::name), expect, "{reference}");
    }
    let policy = parse_oci(&document(&[one])).unwrap();
    assert!(policy.select("registry.example/a@sha256:00").is_ok());
    assert_eq!(
        policy.select("registry.example/b@sha256:00").unwrap_err(),
        NoApplicableTrustPolicy::Oci { repository: "registry.example/b".to_owned() }
    );
}

#[test]
fn selects_blob_statements_by_name() {
    let blob = |name: &str, global: bool| {
        let mut statement = with(statement(), "/name", json!(name));
        statement.as_object_mut().unwrap().remove("registryScopes");
        with(statement, "/globalPolicy", json!(global))
    };
    let policy = parse_blob(&document(&[blob("a", false), blob("b", true)])).unwrap();
    let cases =
        [(Some("a"), Some("a")), (Some("b"), Some("b")), (None, Some("b")), (Some("c"), None)];
    for (name, expect) in cases {
        assert_eq!(policy.select(name).ok().map(Statement::name), expect, "{name:?}");
    }
    assert_eq!(
        policy.select(Some("")).unwrap_err().to_string(),
        "the trust policy has no statement ``"
    );
    let none_global = parse_blob(&document(&[blob("a", false)])).unwrap();
    assert_eq!(none_global.select(None), Err(NoApplicableTrustPolicy::NoGlobal));
    let error = parse_blob(&document(&[blob("a", true), blob("b", true)])).unwrap_err();
    assert_eq!(error.field, "trustPolicies[1].globalPolicy");
}

#[test]
fn takes_statements_without_a_document() {
    let strict = SignatureVerification { level: "strict".to_owned(), ..Default::default() };
    let stores = ["ca:a".to_owned(), "tsa:b".to_owned()];
    let statement = Statement::new("", &strict, &stores, &["*".to_owned()]).unwrap();
    assert_eq!(statement.level(), &VerificationLevel::STRICT);
    assert_eq!(statement.verify_timestamp(), VerifyTimestamp::Always);
    assert_eq!(
        statement.trust_stores().iter().map(ToString::to_string).collect::<Vec<_>>(),
        stores
    );
    let late = SignatureVerification {
        verify_timestamp: Some("afterCertExpiry".to_owned()),
        ..strict.clone()
    };
    let late = Statement::new("", &late, &stores, &["*".to_owned()]).unwrap();
    assert_eq!(late.verify_timestamp(), VerifyTimestamp::AfterCertExpiry);
    let wrong =
        Statement::new("", &strict, &stores, &["x509.subject:C=US".to_owned()]).unwrap_err();
    assert_eq!(wrong.field, "trustedIdentities[0]");
    let reason = IdentityError::Missing { name: "ST" };
    assert!(
        matches!(wrong.defect, PolicyDefect::Identity { reason: found, .. } if found == reason)
    );
}
