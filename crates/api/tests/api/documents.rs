//! Documents: what can be read, and what becomes of the rest.

use std::path::Path;

use assay_api::limits::FILE_BYTES_MAX;
use assay_api::{Body, Document, DocumentKind, Origin, read_documents};

use crate::support::documents;

const GOOD: &str = "\
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {name: good}
spec: {rules: [{images: ['**'], allow: true}]}
";

fn names(documents: &[Document]) -> Vec<String> {
    let name = |document: &Document| match &document.body {
        Ok(Body::ClusterImageAdmissionPolicy(policy)) => policy.metadata.name.clone().unwrap(),
        Ok(Body::ConfigMap(data) | Body::Secret(data)) => format!("{data:?}"),
        Ok(Body::Namespace { name, labels }) => format!("{name} {labels:?}"),
        Ok(body) => format!("{body:?}"),
        Err(error) => format!("{:?} {:?}", error.kind, error.name.as_deref().unwrap_or_default()),
    };
    documents.iter().map(name).collect()
}

#[track_caller]
fn check_names(text: &str, expect: &[&str]) {
    assert_eq!(names(&documents(text)), expect, "{text}");
}

#[test]
fn a_bad_document_hides_no_other() {
    for bad in
        ["a: [", "a: 1\n\tb: 2", "\"", "a: |\n x\n y\nb: 'x", "*nothing", "{a: 1, a: 2}", "42"]
    {
        let text = format!("{GOOD}---\n{bad}\n---\n{GOOD}");
        check_names(&text, &["good", "ClusterPolicy \"\"", "good"]);
    }
}

#[test]
fn skips_empty_documents() {
    check_names("", &[]);
    check_names("---\n---\n# nothing\n---\n...\nnull\n", &[]);
    let text = format!("---\n# first\n---\n{GOOD}...\n---\n{GOOD}");
    check_names(&text, &["good", "good"]);
    let index: Vec<usize> = documents(&text)
        .iter()
        .map(|document| match document.origin {
            Origin::File { index, .. } => index,
            Origin::Cluster { .. } => unreachable!("the document is a file's"),
        })
        .collect();
    assert_eq!(index, [0, 1]);
}

#[test]
fn reads_json_and_lists() {
    let json = r#"{"apiVersion": "assay.dev/v1alpha1", "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "good"}, "spec": {"rules": [{"images": ["**"], "allow": true}]}}"#;
    check_names(json, &["good"]);
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{json}, {{}}, {json}]}}"
    );
    check_names(&list, &["good", "ClusterPolicy \"\"", "good"]);
    // A policy is no list, whatever it holds.
    let text = format!("{GOOD}items: [1]\n");
    check_names(&text, &["ClusterPolicy \"good\""]);
}

#[test]
fn reads_what_the_api_server_adds() {
    let text = GOOD.replace(
        "{name: good}",
        "{name: good, uid: u, generation: 1, resourceVersion: '5', creationTimestamp: null, annotations: {a: b}, managedFields: []}",
    );
    check_names(&text, &["good"]);
}

#[test]
fn reads_secrets_config_maps_and_namespaces() {
    let text = "\
{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n}, type: Opaque, data: {a: UFVC, b: eA==}, stringData: {b: plain}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: text}, binaryData: {b: \"UF\\nVC\"}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: n, labels: {env: prod}}, spec: {finalizers: []}}
";
    let read = documents(text);
    check_names(text, &["n/s [\"a\", \"b\"]", "default/c [\"a\", \"b\"]", "n {\"env\": \"prod\"}"]);
    let data = |index: usize, key: &str| match &read[index].body {
        Ok(Body::Secret(data) | Body::ConfigMap(data)) => data.data[key].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(data(0, "a"), b"PUB");
    assert_eq!(data(0, "b"), b"plain", "stringData is the stronger");
    assert_eq!(data(1, "a"), b"text");
    assert_eq!(data(1, "b"), b"PUB");
    assert!(!format!("{read:?}").contains("plain"), "no values in Debug");
}

#[track_caller]
fn check_error(text: &str, kind: DocumentKind, expect: &str) {
    let read = documents(text);
    let [document] = read.as_slice() else { panic!("{text}: {read:?}") };
    let error = document.body.as_ref().unwrap_err();
    assert_eq!(error.kind, kind, "{text}");
    let message = error.invalid.to_string();
    assert!(message.starts_with(expect), "{text}\n{message}");
}

#[test]
fn names_the_field_that_does_not_fit() {
    for (from, to, expect) in [
        ("spec:", "more: 1\nspec:", "more: unknown field `more`"),
        ("{name: good}", "{name: good, nmae: x}", "metadata.nmae: unknown field"),
        ("{name: good}", "{}", "metadata: missing field `name`"),
        ("{name: good}", "{name: ''}", "metadata.name: is empty"),
        ("{name: good}", r#"{name: "go\nod"}"#, "metadata.name: is no name"),
        ("{name: good}", r#"{name: "go\Nod"}"#, "metadata.name: is no name"),
        ("{name: good}", "{name: good, namespace: n}", "metadata.namespace: must not be given"),
        (
            "{rules:",
            "{rule: 1, rules:",
            "spec.rule: unknown field `rule`, expected one of `enforcementAction`",
        ),
        ("{rules:", "{match: {kind: []}, rules:", "spec.match.kind: unknown field"),
        (
            "{rules:",
            "{match: {kinds: [{versions: []}]}, rules:",
            "spec.match.kinds[0].versions: unknown field",
        ),
        (
            "{rules:",
            "{match: {labelSelector: {labels: {}}}, rules:",
            "spec.match.labelSelector.labels: unknown field",
        ),
        ("{rules:", "{match: {scope: namespaced}, rules:", "spec.match.scope: unknown variant"),
        ("{rules:", "{match: {source: Any}, rules:", "spec.match.source: unknown variant"),
        (
            "{rules:",
            "{enforcementAction: Deny, rules:",
            "spec.enforcementAction: unknown variant `Deny`",
        ),
        ("{rules:", "{enforcementAction: audit, rules:", "spec.enforcementAction: unknown variant"),
        ("{rules:", "{tier: baseline, rules:", "spec.tier: unknown variant"),
        ("{rules:", "{onError: ignore, rules:", "spec.onError: unknown variant"),
        ("{rules:", "{requireDigest: yes, rules:", "spec.requireDigest"),
        (
            "{rules:",
            "{verifiers: [{name: a, keyless: {}}], rules:",
            "spec.verifiers[0].keyless: unknown field",
        ),
        (
            "{rules:",
            "{verifiers: [{name: a, cosign: {key: x}}], rules:",
            "spec.verifiers[0].cosign.key: unknown field",
        ),
        (
            "{rules:",
            "{verifiers: [{name: a, cosign: {keys: [{secret: x}]}}], rules:",
            "spec.verifiers[0].cosign.keys[0].secret: unknown field",
        ),
        (
            "{rules:",
            "{groups: [{name: a, atLeast: {count: -1, of: []}}], rules:",
            "spec.groups[0].atLeast.count: invalid value",
        ),
        ("allow: true", "allow: 'true'", "spec.rules[0].allow: invalid type"),
        ("allow: true", "require: {allOf: []}", "spec.rules[0].require.allOf: unknown field"),
        ("['**']", "'**'", "spec.rules[0].images: invalid type"),
        ("spec:", "spce:", "spce: unknown field"),
    ] {
        check_error(&GOOD.replace(from, to), DocumentKind::ClusterPolicy, expect);
    }
    check_names(&GOOD.replace("{rules:", "{enforcementAction: '', rules:"), &["good"]);
}

#[test]
fn takes_what_may_be_a_policy_for_one() {
    let at = |api_version: &str, kind: &str| {
        format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x}}, spec: {{}}}}")
    };
    for (api_version, kind, expect) in [
        ("assay.dev/v1alpha1", "ClusterImageAdmissionPolcy", DocumentKind::ClusterPolicy),
        ("assay.dev/v1", "ClusterImageAdmissionPolicy", DocumentKind::ClusterPolicy),
        ("asay.dev/v1alpha1", "ClusterImageAdmissionPolicy", DocumentKind::ClusterPolicy),
        ("asay.dev/v1alpha1", "ImageAdmissionPolicy", DocumentKind::Policy),
        ("v1", "''", DocumentKind::ClusterPolicy),
        ("''", "Deployment", DocumentKind::ClusterPolicy),
        ("v1", "List", DocumentKind::ClusterPolicy),
        ("assay.dev/v1alpha1", "Configuration", DocumentKind::Other),
        ("apps/v1", "Deployment", DocumentKind::Other),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", DocumentKind::Other),
        ("v1", "ServiceAccount", DocumentKind::Other),
    ] {
        check_error(&at(api_version, kind), expect, "kind: apiVersion ");
    }
    let unknown = documents(&at("apps/v1", "Deployment"));
    let message = unknown[0].body.as_ref().unwrap_err().invalid.to_string();
    assert!(message.contains("'apps/v1' and kind 'Deployment'"), "{message}");
    assert!(message.contains("assay.dev/v1alpha1 ClusterImageAdmissionPolicy, "), "{message}");
}

#[test]
fn reads_of_a_bad_policy_what_can_be_read() {
    let text = GOOD.replace("{rules:", "{enforcementAction: warn, tier: Baseline, typo: 1, rules:");
    let read = documents(&text);
    let error = read[0].body.as_ref().unwrap_err();
    assert_eq!(error.name.as_deref(), Some("good"));
    let said = format!("{:?} {:?}", error.enforcement_action, error.tier);
    assert_eq!(said, "Warn Baseline");
    let unreadable = documents("enforcementAction: [");
    let error = unreadable[0].body.as_ref().unwrap_err();
    assert_eq!(format!("{:?} {:?}", error.enforcement_action, error.tier), "Deny Mandatory");
}

#[test]
fn rejects_other_documents_that_do_not_fit() {
    for (text, kind, expect) in [
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: '%'}}",
            DocumentKind::Other,
            "data.a: is not base64",
        ),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringdata: {a: b}}",
            DocumentKind::Other,
            "stringdata: unknown field",
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: s}, stringData: {a: b}}",
            DocumentKind::Other,
            "stringData: unknown field",
        ),
        (
            "{apiVersion: assay.dev/v1alpha1, kind: ClusterTrustStore, metadata: {name: s}, spec: {keys: x}}",
            DocumentKind::Other,
            "spec.keys: unknown field",
        ),
        (
            "{apiVersion: assay.dev/v1alpha1, kind: TrustStore, metadata: {name: s}, spec: {}}",
            DocumentKind::Other,
            "metadata.namespace: is needed",
        ),
        (
            "{apiVersion: assay.dev/v1alpha1, kind: ImageAdmissionPolicy, metadata: {name: s}, spec: {rules: []}}",
            DocumentKind::Policy,
            "metadata.namespace: is needed",
        ),
        (
            "{apiVersion: assay.dev/v1alpha1, kind: ImageAdmissionPolicy, metadata: {name: s, namespace: n}, spec: {tier: Mandatory, rules: []}}",
            DocumentKind::Policy,
            "spec.tier: unknown field",
        ),
    ] {
        check_error(text, kind, expect);
    }
}

#[test]
fn bounds_a_file() {
    let file = Path::new("p.yaml");
    let mut text = GOOD.as_bytes().to_vec();
    text.resize(FILE_BYTES_MAX, b'\n');
    assert_eq!(names(&read_documents(file, &text)), ["good"]);
    text.push(b'\n');
    assert_eq!(names(&read_documents(file, &text)), ["ClusterPolicy \"\""]);
    assert_eq!(names(&read_documents(file, b"\xff")), ["ClusterPolicy \"\""]);
}
