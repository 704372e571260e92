//! Policies that cannot be meant, as users of other projects have written them: each is refused when
//! it is applied or, where a schema cannot say it, closes what it would have judged. Where there is
//! no API server that refuses it, it always closes.

use assay_api::resources::crds;
use assay_api::{Document, document_from_value};
use serde_json::{Value, json};

use crate::support::compile_all;

/// Where the API server refuses, and by which keyword or rule.
enum Refused<'a> {
    /// By this keyword of the schema.
    Schema(&'a str, &'a str),
    /// By the CEL rule with this message, at this place.
    Rule(&'a str, &'a str),
    /// It does not; the status says what is wrong.
    Never,
}

use Refused::{Never, Rule, Schema};

/// Every keyword that `value` breaks, as `path keyword`.
fn broken(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut breaks = |keyword: &str, holds: bool| {
        if schema.get(keyword).is_some() && !holds {
            found.push(format!("{path} {keyword}"));
        }
    };
    let bound = |keyword: &str| schema[keyword].as_u64().and_then(|bound| bound.try_into().ok());
    let least = |keyword, count: usize| bound(keyword).is_none_or(|bound| count >= bound);
    let most = |keyword, count: usize| bound(keyword).is_none_or(|bound| count <= bound);
    breaks("enum", schema["enum"].as_array().is_some_and(|known| known.contains(value)));
    match value {
        Value::Array(items) => {
            breaks("minItems", least("minItems", items.len()));
            breaks("maxItems", most("maxItems", items.len()));
            for item in items {
                broken(&schema["items"], item, &format!("{path}[]"), found);
            }
        }
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let has = |name: &Value| fields.contains_key(name.as_str().unwrap());
            breaks("required", required.into_iter().all(has));
            for (name, value) in fields {
                match schema["properties"].get(name) {
                    Some(schema) => broken(schema, value, &format!("{path}.{name}"), found),
                    None if schema.get("properties").is_none() => {}
                    None => found.push(format!("{path}.{name} unknown")),
                }
            }
        }
        Value::String(text) => {
            breaks("minLength", least("minLength", text.len()));
            breaks("maxLength", most("maxLength", text.len()));
        }
        Value::Number(number) => {
            breaks("minimum", number.as_f64() >= schema["minimum"].as_f64());
        }
        Value::Bool(_) | Value::Null => {}
    }
}

/// The schema at `path` below that of `kind`'s `spec`.
fn at<'a>(spec: &'a Value, path: &str) -> &'a Value {
    let pointer = path.replace("[]", "/items").replace('.', "/properties/");
    spec.pointer(pointer.strip_prefix("spec").unwrap()).unwrap()
}

fn spec_of(kind: &str) -> Value {
    let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let crd = serde_json::to_value(&crd).unwrap();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap().clone()
}

fn document(kind: &str, name: &str, spec: &Value) -> Document {
    let origin = assay_api::Origin::File { file: format!("{name}.yaml").into(), index: 0 };
    let value = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    document_from_value(origin, value)
}

/// Holds a spec of `kind`, beside a good policy and a good store of the names `policy` and `store`,
/// against where the API server refuses it and which field closes the policy.
#[track_caller]
fn check(name: &str, kind: &str, spec: &Value, refused: &Refused<'_>, field: &str) {
    let schema = spec_of(kind);
    let mut found = Vec::new();
    broken(&schema, spec, "spec", &mut found);
    match refused {
        Schema(path, keyword) => assert_eq!(found, [format!("{path} {keyword}")], "{name}"),
        Rule(path, message) => {
            assert_eq!(found, [""; 0], "{name}");
            let rules = at(&schema, path)["x-kubernetes-validations"].as_array().unwrap();
            let said = |rule: &Value| rule["message"].as_str().unwrap().contains(message);
            assert!(rules.iter().any(said), "{name}: {rules:?}");
        }
        Never => assert_eq!(found, [""; 0], "{name}"),
    }
    let mut specs = [("ClusterTrustStore", good_store()), ("ClusterImageAdmissionPolicy", good())];
    specs.iter_mut().filter(|(own, _)| *own == kind).for_each(|own| own.1 = spec.clone());
    let documents = specs.map(|(kind, spec)| {
        let name = if kind == "ClusterTrustStore" { "store" } else { "policy" };
        document(kind, name, &spec)
    });
    let compiled = compile_all(&documents);
    let problems: Vec<String> =
        compiled.problems.iter().map(|problem| problem.invalid.field.clone()).collect();
    assert!(problems.iter().any(|own| own == field), "{name}: {:#?}", compiled.problems);
    let [policy] = &compiled.snapshot.policies[..] else { panic!("{name}: not one policy") };
    assert!(!policy.problems().is_empty(), "{name}: it is open");
}

fn good_store() -> Value {
    json!({"publicKeys": {"inline": "PUBLIC KEY"}})
}

fn good() -> Value {
    json!({
        "verifiers": [{"name": "v", "cosign": {"keys": [{"trustStore": "store"}]}}],
        "rules": [{"images": ["r.example/**"], "require": {"all": ["v"]}}],
    })
}

#[test]
fn what_is_good_is_refused_nowhere() {
    for (kind, spec) in
        [("ClusterImageAdmissionPolicy", good()), ("ClusterTrustStore", good_store())]
    {
        let mut found = Vec::new();
        broken(&spec_of(kind), &spec, "spec", &mut found);
        assert_eq!(found, [""; 0]);
    }
    let documents = [
        document("ClusterTrustStore", "store", &good_store()),
        document("ClusterImageAdmissionPolicy", "policy", &good()),
    ];
    assert_eq!(compile_all(&documents).problems, []);
}

/// A good policy with another `part`. Paths are given from there on; both `[]` and `[0]` are the one
/// entry of a list.
#[track_caller]
fn check_part(
    (part, place): (&str, &str),
    (name, value, refused, field): (&str, Value, Refused<'_>, &str),
) {
    let mut spec = good();
    spec[part] = value;
    let path = |path: &str| format!("spec.{}{path}", place.replace("[0]", "[]"));
    let field = format!("spec.{place}{field}");
    let check = |refused| check(name, "ClusterImageAdmissionPolicy", &spec, &refused, &field);
    match refused {
        Schema(own, keyword) => check(Schema(&path(own), keyword)),
        Rule(own, message) => check(Rule(&path(own), message)),
        Never => check(Never),
    }
}

#[test]
fn verifiers_that_cannot_be_meant() {
    const ONE: &str = "exactly one of trustStore, clusterTrustStore";
    let key = json!({"trustStore": "store"});
    let with = |field: &str, value: Value| {
        let mut cosign = json!({"keys": [key]});
        cosign[field] = value;
        cosign
    };
    let of_key = |key: Value| json!({"keys": [key]});
    for (name, cosign, refused, field) in [
        ("no keys", json!({"keys": []}), Schema(".keys", "minItems"), ".keys"),
        ("an empty key", of_key(json!({})), Rule(".keys[]", ONE), ".keys[0]"),
        (
            "a key of two stores",
            of_key(json!({"trustStore": "store", "clusterTrustStore": "store"})),
            Rule(".keys[]", ONE),
            ".keys[0]",
        ),
        ("a store that is not there", of_key(json!({"trustStore": "none"})), Never, ".keys[0]"),
        (
            "an unknown hash algorithm",
            of_key(json!({"trustStore": "store", "hashAlgorithm": "md5"})),
            Schema(".keys[].hashAlgorithm", "enum"),
            ".keys[0].hashAlgorithm",
        ),
        (
            "keys and identities",
            with("identities", json!([{}])),
            Schema(".identities", "unknown"),
            ".identities",
        ),
        (
            "signatures at a URL",
            with("signatureRepository", json!("http://a/b")),
            Never,
            ".signatureRepository",
        ),
        (
            "a log, which comes later",
            with("transparencyLog", json!("required")),
            Rule("", "later version"),
            ".transparencyLog",
        ),
    ] {
        let verifiers = json!([{"name": "v", "cosign": cosign}]);
        check_part(("verifiers", "verifiers[0].cosign"), (name, verifiers, refused, field));
    }
    for (name, verifier, refused, field) in [
        ("no type", json!({"name": "v"}), Rule("", "exactly one of cosign, notation"), ".cosign"),
        (
            "an unknown type",
            json!({"name": "v", "keyless": {}}),
            Schema(".keyless", "unknown"),
            ".keyless",
        ),
    ] {
        check_part(("verifiers", "verifiers[0]"), (name, json!([verifier]), refused, field));
    }
}

#[test]
fn rules_that_cannot_be_meant() {
    const BODY: &str = "exactly one of require, allow, deny";
    const QUORUM: &str = "exactly one of all, any, atLeast";
    const COUNT: &str = ".require.atLeast.count";
    let of = |images: Value| json!({"images": images, "allow": true});
    let require = |require: Value| json!({"images": ["**"], "require": require});
    let both = json!({"images": ["**"], "allow": true, "require": {"all": ["v"]}});
    let at_least = |count: u32| require(json!({"atLeast": {"count": count, "of": ["v"]}}));
    for (name, rule, refused, field) in [
        ("a bad glob", of(json!(["***/a"])), Never, ".images[0]"),
        ("an empty glob", of(json!([""])), Schema(".images[]", "minLength"), ".images[0]"),
        ("no globs", of(json!([])), Schema(".images", "minItems"), ".images"),
        ("two bodies", both, Rule("", BODY), ""),
        ("no body", json!({"images": ["**"]}), Rule("", BODY), ""),
        (
            "two quorums",
            require(json!({"all": ["v"], "any": ["v"]})),
            Rule(".require", QUORUM),
            ".require",
        ),
        (
            "a count above the names",
            at_least(2),
            Rule(".require.atLeast", "count is above the number of names"),
            COUNT,
        ),
        ("a count of none", at_least(0), Schema(COUNT, "minimum"), COUNT),
        ("a verifier of nobody", require(json!({"all": ["w"]})), Never, ".require.all[0]"),
    ] {
        check_part(("rules", "rules[0]"), (name, json!([rule]), refused, field));
    }
}

#[test]
fn other_parts_that_cannot_be_meant() {
    let kinds = json!({"kinds": [{"kinds": ["ConfigMap"]}]});
    let expression = json!({"key": "a", "operator": "Is"});
    let selector = json!({"labelSelector": {"matchExpressions": [expression]}});
    let operator = Schema(".labelSelector.matchExpressions[].operator", "enum");
    for (part, value, refused, field) in [
        ("rules", json!([]), Schema("", "minItems"), ""),
        ("enforcementAction", json!("enforce"), Schema("", "enum"), ""),
        ("tier", json!("Namespace"), Schema("", "enum"), ""),
        ("match", kinds, Never, ".kinds[0]"),
        ("match", selector, operator, ".labelSelector"),
        ("policy", json!({"type": "cue", "data": "x"}), Schema("", "unknown"), ""),
    ] {
        check_part((part, part), (part, value, refused, field));
    }
}

#[test]
fn trust_stores_that_cannot_be_meant() {
    const ONE: &str = "exactly one of inline, secretRef, configMapRef";
    let reference = json!({"namespace": "n", "name": "s", "key": "k"});
    let cases = [
        ("nothing", json!({}), Rule("spec", "exactly one of publicKeys, certificates"), "spec"),
        (
            "both",
            json!({"publicKeys": {"inline": "PUBLIC KEY"},
                "certificates": {"type": "ca", "inline": "CERTIFICATE"}}),
            Rule("spec", "exactly one of publicKeys, certificates"),
            "spec",
        ),
        ("no source", json!({"publicKeys": {}}), Rule("spec.publicKeys", ONE), "spec.publicKeys"),
        (
            "two sources",
            json!({"publicKeys": {"inline": "PUBLIC KEY", "secretRef": reference}}),
            Rule("spec.publicKeys", ONE),
            "spec.publicKeys",
        ),
        (
            "no key",
            json!({"publicKeys": {"inline": ""}}),
            Schema("spec.publicKeys.inline", "minLength"),
            "spec.publicKeys.inline",
        ),
        ("a bad PEM", json!({"publicKeys": {"inline": "---BEGIN"}}), Never, "spec.publicKeys"),
        (
            "a key of a KMS",
            json!({"publicKeys": {"kms": "awskms:///x"}}),
            Schema("spec.publicKeys.kms", "unknown"),
            "spec.publicKeys.kms",
        ),
        (
            "a Secret of no namespace",
            json!({"publicKeys": {"secretRef": {"name": "s", "key": "k"}}}),
            Rule("spec", "a reference of a ClusterTrustStore needs its namespace"),
            "spec.publicKeys.secretRef.namespace",
        ),
        (
            "a Secret without its key",
            json!({"publicKeys": {"secretRef": {"namespace": "n", "name": "s"}}}),
            Schema("spec.publicKeys.secretRef", "required"),
            "spec.publicKeys.secretRef",
        ),
        (
            "a Secret that does not exist",
            json!({"publicKeys": {"secretRef": reference}}),
            Never,
            "spec.publicKeys.secretRef",
        ),
        (
            "a time that is none",
            json!({"publicKeys": {"inline": "PUBLIC KEY", "notAfter": "tomorrow"}}),
            Never,
            "spec.publicKeys.notAfter",
        ),
    ];
    for (name, spec, refused, field) in cases {
        check(name, "ClusterTrustStore", &spec, &refused, field);
    }
}

#[test]
fn stores_of_certificates_that_cannot_be_meant() {
    let cases = [
        (
            "certificates of no type",
            json!({"certificates": {"inline": "CERTIFICATE"}}),
            Schema("spec.certificates", "required"),
            "spec.certificates",
        ),
        (
            "certificates of an unknown type",
            json!({"certificates": {"type": "tls", "inline": "CERTIFICATE"}}),
            Schema("spec.certificates.type", "enum"),
            "spec.certificates.type",
        ),
        (
            "certificates that are none",
            json!({"certificates": {"type": "ca", "inline": "PUBLIC KEY"}}),
            Never,
            "spec.certificates",
        ),
        (
            "certificates in a Secret of no namespace",
            json!({"certificates": {"type": "ca", "secretRef": {"name": "s", "key": "k"}}}),
            Rule("spec", "a reference of a ClusterTrustStore needs its namespace"),
            "spec.certificates.secretRef.namespace",
        ),
    ];
    for (name, spec, refused, field) in cases {
        check(name, "ClusterTrustStore", &spec, &refused, field);
    }
}
