//! `compile`: what each rule of "a policy that does not compile" closes. Each text that is refused
//! stands beside one that is taken and differs in one fact.

use std::collections::BTreeMap;

use assay_api::limits::{
    ANNOTATION_LENGTH_MAX, ANNOTATIONS_MAX, DENY_LENGTH_MAX, GLOBS_MAX, GROUPS_MAX, KEYS_MAX,
    MATCH_ITEMS_MAX, NAME_LENGTH_MAX, NAMES_MAX, NAMESPACE_GLOBS_MAX, NAMESPACE_POLICIES_MAX,
    REQUIREMENT_VERIFIERS_MAX, RULES_MAX, TRUST_STORE_BYTES_MAX, VERIFIERS_MAX,
};
use assay_api::{CompileOptions, Compiled};
use assay_policy::{
    DefaultAction, EnforcementAction, OnError, Policy, Quorum, RequireDigest, RuleBody, Tier,
};

use crate::support::{compiled, compiled_with};

const STORE: &str = "\
---
apiVersion: assay.dev/v1alpha1
kind: ClusterTrustStore
metadata: {name: keys}
spec: {publicKeys: {inline: PUBLIC KEY}}
";
const VERIFIERS: &str = "verifiers: [{name: a, cosign: {keys: [{trustStore: keys}]}}, {name: b, cosign: {keys: [{trustStore: keys}]}}]";
const RULES: &str = "rules: [{images: ['r.example/**'], require: {all: [a]}}]";

fn cluster_policy(spec: &str) -> String {
    format!(
        "---\napiVersion: assay.dev/v1alpha1\nkind: ClusterImageAdmissionPolicy\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
    )
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: assay.dev/v1alpha1\nkind: ImageAdmissionPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

fn trust_store(head: &str, public_keys: &str) -> String {
    format!(
        "---\napiVersion: assay.dev/v1alpha1\n{head}\nspec: {{publicKeys: {{{public_keys}}}}}\n"
    )
}

/// What of the policies is closed, and by which field: `match FIELD`, `rules FIELD`, or `rule N FIELD`.
fn closed(compiled: &Compiled) -> Vec<String> {
    let mut closed = Vec::new();
    for policy in &compiled.snapshot.policies {
        closed.extend(
            policy.matcher.as_ref().err().map(|invalid| format!("match {}", invalid.field)),
        );
        closed
            .extend(policy.rules.as_ref().err().map(|invalid| format!("rules {}", invalid.field)));
        for (index, rule) in policy.rules.iter().flatten().enumerate() {
            if let RuleBody::Invalid(invalid) = &rule.body {
                closed.push(format!("rule {index} {}", invalid.field));
            }
        }
    }
    closed
}

#[track_caller]
fn check_closed(text: &str, expect: &[&str]) {
    let compiled = compiled(text);
    assert_eq!(closed(&compiled), expect, "{text}\n{:#?}", compiled.problems);
    // Whatever closes something is among the problems, and nothing is where all is well.
    let reported: Vec<&str> =
        compiled.problems.iter().map(|problem| problem.invalid.field.as_str()).collect();
    for field in expect.iter().filter_map(|expect| expect.rsplit(' ').next()) {
        assert!(reported.contains(&field), "{field} is not among {reported:?}");
    }
    assert_eq!(expect.is_empty(), reported.is_empty(), "{text}\n{reported:?}");
}

/// A cluster policy with the verifiers `a` and `b`.
#[track_caller]
fn check(spec: &str, expect: &[&str]) {
    check_closed(&format!("{STORE}{}", cluster_policy(&format!("{VERIFIERS}, {spec}"))), expect);
}

#[track_caller]
fn check_rules(rules: &str, expect: &[&str]) {
    check(&format!("rules: [{rules}]"), expect);
}

#[test]
fn rules() {
    check(RULES, &[]);
    check("rules: []", &["rules spec.rules"]);
    for (rule, expect) in [
        ("images: ['**'], allow: true", [].as_slice()),
        ("images: ['**'], allow: false", &["rules spec.rules[0].allow"]),
        ("images: [], allow: true", &["rules spec.rules[0].images"]),
        ("images: ['docker.io/vendor/*'], allow: true", &[]),
        ("images: ['**', 'vendor/*'], allow: true", &["rules spec.rules[0].images[1]"]),
        ("images: ['**'], deny: no", &[]),
        ("images: ['**'], deny: ''", &["rules spec.rules[0].deny"]),
        ("images: ['**'], deny: \" \\n\"", &["rules spec.rules[0].deny"]),
        ("images: ['**']", &["rules spec.rules[0]"]),
        ("images: ['**'], require: {all: [a]}, allow: true", &["rules spec.rules[0]"]),
        ("images: ['**'], require: {all: [a]}, deny: no", &["rules spec.rules[0]"]),
        ("images: ['**'], allow: true, deny: no", &["rules spec.rules[0]"]),
        ("images: ['**'], require: {}", &["rules spec.rules[0].require"]),
        ("images: ['**'], require: {all: [a]}", &[]),
        ("images: ['**'], require: {any: [a, b]}", &[]),
        ("images: ['**'], require: {all: [a], any: [b]}", &["rules spec.rules[0].require"]),
        (
            "images: ['**'], require: {any: [a], atLeast: {count: 1, of: [b]}}",
            &["rules spec.rules[0].require"],
        ),
        ("images: ['**'], require: {all: []}", &["rules spec.rules[0].require.all"]),
        ("images: ['**'], require: {any: []}", &["rules spec.rules[0].require.any"]),
        ("images: ['**'], require: {all: [a, c]}", &["rules spec.rules[0].require.all[1]"]),
        ("images: ['**'], require: {all: [A]}", &["rules spec.rules[0].require.all[0]"]),
        ("images: ['**'], require: {any: [a, b, a]}", &["rules spec.rules[0].require.any[2]"]),
        ("images: ['**'], require: {atLeast: {count: 2, of: [a, b]}}", &[]),
        (
            "images: ['**'], require: {atLeast: {count: 3, of: [a, b]}}",
            &["rules spec.rules[0].require.atLeast.count"],
        ),
        (
            "images: ['**'], require: {atLeast: {count: 0, of: [a, b]}}",
            &["rules spec.rules[0].require.atLeast.count"],
        ),
        (
            "images: ['**'], require: {atLeast: {count: 1, of: [a, a]}}",
            &["rules spec.rules[0].require.atLeast.of[1]"],
        ),
        (
            "images: ['**'], require: {atLeast: {count: 1, of: []}}",
            &["rules spec.rules[0].require.atLeast.count"],
        ),
    ] {
        check_rules(&format!("{{{rule}}}"), expect);
    }
    // One bad rule closes the policy, not the rule.
    check_rules(
        "{images: ['**'], allow: true}, {images: ['x'], allow: true}",
        &["rules spec.rules[1].images[0]"],
    );
}

#[test]
fn groups() {
    let rule = "rules: [{images: ['**'], require: {all: [g]}}]";
    for (groups, expect) in [
        ("{name: g, any: [a, b]}", [].as_slice()),
        ("{name: f, all: [a]}, {name: g, any: [f, b]}", &[]),
        ("{name: g, any: [f, b]}, {name: f, all: [a]}", &["rules spec.groups[0].any[0]"]),
        ("{name: g, any: [g, b]}", &["rules spec.groups[0].any[0]"]),
        ("{name: g, any: [c]}", &["rules spec.groups[0].any[0]"]),
        ("{name: g, any: []}", &["rules spec.groups[0].any"]),
        ("{name: g, any: [a, a]}", &["rules spec.groups[0].any[1]"]),
        ("{name: g}", &["rules spec.groups[0]"]),
        ("{name: g, any: [a], all: [b]}", &["rules spec.groups[0]"]),
        ("{name: g, atLeast: {count: 1, of: [a, b]}}", &[]),
        ("{name: g, atLeast: {count: 0, of: [a, b]}}", &["rules spec.groups[0].atLeast.count"]),
        ("{name: g, atLeast: {count: 3, of: [a, b]}}", &["rules spec.groups[0].atLeast.count"]),
        ("{name: g, any: [a]}, {name: g, any: [b]}", &["rules spec.groups[1].name"]),
        ("{name: g, any: [a]}, {name: b, any: [a]}", &["rules spec.groups[1].name"]),
        ("{name: g, any: [a]}, {name: 'x y', any: [b]}", &["rules spec.groups[1].name"]),
        ("{name: h, any: [a]}", &["rules spec.rules[0].require.all[0]"]),
    ] {
        check(&format!("groups: [{groups}], {rule}"), expect);
    }
}

/// A policy with a good verifier and another one, of which rules name one, both, or a group.
#[track_caller]
fn check_verifier(documents: &str, verifier: &str, field: &str) {
    let expect_one = |expect: Vec<String>, rules: &str| {
        let spec = format!(
            "verifiers: [{{name: good, cosign: {{keys: [{{trustStore: keys}}]}}}}, {verifier}], \
             groups: [{{name: inner, any: [good, v]}}, {{name: g, any: [inner]}}], rules: [{rules}]"
        );
        let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        let compiled = compiled(&format!("{STORE}{documents}{}", cluster_policy(&spec)));
        assert_eq!(closed(&compiled), expect, "{verifier} {:#?}", compiled.problems);
        let reported = compiled.problems.iter().any(|problem| problem.invalid.field == field);
        assert_eq!(reported, !field.is_empty(), "{verifier} {:#?}", compiled.problems);
    };
    let closes =
        |rule: usize| if field.is_empty() { vec![] } else { vec![format!("rule {rule} {field}")] };
    expect_one(vec![], "{images: ['**'], require: {all: [good]}}");
    expect_one(closes(0), "{images: ['**'], require: {all: [v]}}");
    expect_one(closes(0), "{images: ['**'], require: {any: [good, v]}}");
    expect_one(
        closes(1),
        "{images: ['r.example/*'], require: {all: [good]}}, {images: ['**'], require: {any: [g]}}",
    );
    expect_one(vec![], "{images: ['**'], allow: true}");
}

#[test]
fn a_verifier_that_cannot_be_built_closes_the_rules_that_name_it() {
    let no_keys = trust_store("kind: ClusterTrustStore\nmetadata: {name: other}", "inline: junk");
    let empty = trust_store("kind: ClusterTrustStore\nmetadata: {name: other}", "inline: \" \\n\"");
    let same_name = trust_store(
        "kind: TrustStore\nmetadata: {name: other, namespace: n}",
        "inline: PUBLIC KEY",
    );
    let good =
        trust_store("kind: ClusterTrustStore\nmetadata: {name: other}", "inline: PUBLIC KEY");
    let twice = format!("{good}{good}");
    let other = "{name: v, cosign: {keys: [{trustStore: keys}, {trustStore: other}]}}";
    let key = "spec.verifiers[1].cosign.keys[1]";
    for (documents, verifier, field) in [
        ("", "{name: v, cosign: {keys: [{trustStore: keys}]}}", ""),
        ("", "{name: v, cosign: {keys: []}}", "spec.verifiers[1].cosign.keys"),
        ("", "{name: v, cosign: {keys: [{}]}}", "spec.verifiers[1].cosign.keys[0]"),
        (
            "",
            "{name: v, cosign: {keys: [{trustStore: keys, clusterTrustStore: keys}]}}",
            "spec.verifiers[1].cosign.keys[0]",
        ),
        (
            "",
            "{name: v, cosign: {keys: [{clusterTrustStore: keys}]}}",
            "spec.verifiers[1].cosign.keys[0].clusterTrustStore",
        ),
        ("", "{name: v, cosign: {keys: [{trustStore: keys}, {trustStore: keys}]}}", key),
        ("", "{name: v}", "spec.verifiers[1].cosign"),
        (good.as_str(), other, ""),
        ("", other, key),
        (no_keys.as_str(), other, key),
        (empty.as_str(), other, key),
        (same_name.as_str(), other, key),
        (twice.as_str(), other, key),
    ] {
        check_verifier(documents, verifier, field);
    }
}

#[test]
fn fields_of_cosign_that_do_not_compile_close_the_rules_that_name_it() {
    let long = "x".repeat(ANNOTATION_LENGTH_MAX);
    let entries = |count: usize| repeat(count, |index| format!("k{index}: v"));
    let too_many = format!("annotations: {{{}}}", entries(ANNOTATIONS_MAX + 1));
    let most = format!("annotations: {{{}}}", entries(ANNOTATIONS_MAX));
    for (field, wrong, right) in [
        (
            "keys[1]",
            "keys: [{trustStore: keys, hashAlgorithm: sha256}, {trustStore: keys, hashAlgorithm: sha256}]",
            "keys: [{trustStore: keys, hashAlgorithm: sha256}, {trustStore: keys, hashAlgorithm: sha384}]",
        ),
        ("transparencyLog", "transparencyLog: optional", "transparencyLog: ignored"),
        ("transparencyLog", "transparencyLog: required", "platforms: all"),
        ("annotations", &too_many, &most),
        (
            "annotations",
            &format!("annotations: {{k: {long}x}}"),
            &format!("annotations: {{k: {long}}}"),
        ),
        (
            "annotations",
            &format!("annotations: {{{long}x: v}}"),
            &format!("annotations: {{{long}: v}}"),
        ),
        ("annotations", "annotations: {'': v}", "annotations: {k: ''}"),
        ("annotations", r#"annotations: {"k\n": v}"#, "annotations: {'k ': v}"),
        (
            "signatureRepository",
            "signatureRepository: signatures",
            "signatureRepository: r.example/signatures",
        ),
        (
            "signatureRepository",
            "signatureRepository: r.example/signatures:v1",
            "signatureRepository: 'r.example:5000/signatures'",
        ),
        (
            "signatureRepository",
            "signatureRepository: 'https://r.example/signatures'",
            "signatureRepository: docker.io/corp/signatures",
        ),
        ("signatureRepository", "signatureRepository: ''", "signatureRepository: localhost/a"),
    ] {
        let verifier = |fields: &str| {
            let keys = "keys: [{trustStore: keys}], ";
            let keys = if fields.starts_with("keys") { "" } else { keys };
            format!("{{name: v, cosign: {{{keys}{fields}}}}}")
        };
        check_verifier("", &verifier(right), "");
        check_verifier("", &verifier(wrong), &format!("spec.verifiers[1].cosign.{field}"));
    }
}

#[test]
fn says_that_transparency_logs_come_later() {
    let verifier = "verifiers: [{name: v, cosign: {keys: [{trustStore: keys}], transparencyLog: required}}], rules: [{images: ['**'], require: {all: [v]}}]";
    let compiled = compiled(&format!("{STORE}{}", cluster_policy(verifier)));
    let reason = &compiled.problems[0].invalid.reason;
    assert!(reason.contains("come in a later version"), "{reason}");
}

/// What the rules of a policy came to, with the fingerprints of their verifiers.
#[track_caller]
fn built(text: &str, registries: &[&str]) -> String {
    let registries = registries.iter().map(|host| (*host).to_owned()).collect();
    let options = CompileOptions { registries, ..CompileOptions::default() };
    let compiled = compiled_with(text, &options, None);
    assert!(compiled.problems.is_empty(), "{:?}", compiled.problems);
    format!("{:?}", compiled.snapshot.policies[0].rules)
}

#[test]
fn every_field_of_cosign_and_of_a_store_changes_the_verifier() {
    let built = |cosign: &str, store: &str| {
        let store = STORE.replace("inline: PUBLIC KEY", &format!("inline: PUBLIC KEY{store}"));
        let spec = format!(
            "verifiers: [{{name: v, cosign: {{keys: [{{trustStore: keys{cosign}, rules: [{{images: ['**'], require: {{all: [v]}}}}]"
        );
        built(&format!("{store}{}", cluster_policy(&spec)), &[])
    };
    let all = [
        built("}]}}]", ""),
        built(", hashAlgorithm: sha256}]}}]", ""),
        built(", hashAlgorithm: sha384}]}}]", ""),
        built(", hashAlgorithm: sha512}]}}]", ""),
        built("}], annotations: {a: b}}}]", ""),
        built("}], annotations: {a: c}}}]", ""),
        built("}], signatureRepository: r.example/a}}]", ""),
        built("}], signatureRepository: r.example/b}}]", ""),
        built("}], platforms: all}}]", ""),
        built("}]}}]", ", notBefore: '2026-01-01T00:00:00Z'"),
        built("}]}}]", ", notBefore: '2027-01-01T00:00:00Z'"),
        built("}]}}]", ", notAfter: '2027-01-01T00:00:00Z'"),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:#?}");
    assert_eq!(all[0], built("}], transparencyLog: ignored, platforms: index}}]", ""));
}

#[test]
fn keeps_the_signature_repository_of_a_tenant_to_known_hosts() {
    let spec = "verifiers: [{name: v, cosign: {keys: [{FIELD: keys}], signatureRepository: s.example/all}}], rules: [{images: ['**'], require: {all: [v]}}]";
    let tenant =
        format!("{STORE}{}", policy("n", "p", &spec.replace("FIELD", "clusterTrustStore")));
    let cluster = format!("{STORE}{}", cluster_policy(&spec.replace("FIELD", "trustStore")));
    assert_eq!(built(&cluster, &[]), built(&cluster, &["s.example"]));
    // What the administrator may name anywhere, a tenant may on the hosts of the configuration.
    assert_eq!(built(&tenant, &["s.example"]), built(&cluster, &[]));
    assert_ne!(built(&tenant, &[]), built(&cluster, &[]));
    assert_eq!(built(&tenant, &["s.example:5000", "example"]), built(&tenant, &[]));
}

#[test]
fn a_doubled_or_misnamed_verifier_closes_the_rules_that_name_it() {
    let cosign = "cosign: {keys: [{trustStore: keys}]}";
    let verifiers = |first: &str, second: &str| {
        format!(
            "verifiers: [{{name: {first}, {cosign}}}, {{name: {second}, {cosign}}}], rules: [{{images: ['r.example/*'], require: {{all: [{first}]}}}}, {{images: ['**'], allow: true}}]"
        )
    };
    let long = "x".repeat(NAME_LENGTH_MAX + 1);
    for (first, second, expect) in [
        ("a", "b", None),
        ("a", "a", Some("rule 0 spec.verifiers[1].name")),
        ("A.b_c-1", "a", None),
        ("'x y'", "a", Some("rule 0 spec.verifiers[0].name")),
        ("-x", "a", Some("rule 0 spec.verifiers[0].name")),
        (&long[1..], "a", None),
        (&long, "a", Some("rule 0 spec.verifiers[0].name")),
    ] {
        let text = format!("{STORE}{}", cluster_policy(&verifiers(first, second)));
        let closed = closed(&compiled(&text));
        assert_eq!(closed.first().map(String::as_str), expect, "{first} {second}");
    }
}

/// A policy that names the one store of its scope.
#[track_caller]
fn check_store(head: &str, public_keys: &str, beside: &str, expect: &str) {
    let verifier = "verifiers: [{name: v, cosign: {keys: [{trustStore: s}]}}], rules: [{images: ['**'], require: {all: [v]}}]";
    let policy = if head.contains("ClusterTrustStore") {
        cluster_policy(verifier)
    } else {
        policy("n", "p", verifier)
    };
    let compiled = compiled(&format!("{}{policy}{beside}", trust_store(head, public_keys)));
    let field = "rule 0 spec.verifiers[0].cosign.keys[0]";
    let closed = closed(&compiled);
    if expect.is_empty() {
        assert_eq!((closed, compiled.problems), (vec![], vec![]), "{public_keys}");
        return;
    }
    assert_eq!(closed, [field], "{public_keys}");
    let problems: Vec<String> =
        compiled.problems.iter().map(|problem| problem.to_string()).collect();
    assert!(problems[0].starts_with("policies/p.yaml, document 1: "), "{problems:?}");
    assert!(problems[0].contains(expect), "{public_keys}: {problems:?}");
    assert!(problems[1].contains(expect), "the policy's problem says why: {problems:?}");
}

#[test]
fn trust_stores_and_their_sources() {
    let cluster = "kind: ClusterTrustStore\nmetadata: {name: s}";
    let own = "kind: TrustStore\nmetadata: {name: s, namespace: n}";
    let secret = "---\n{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: n}, stringData: {k: PUBLIC KEY, empty: ''}}\n";
    let map = "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: n}, data: {k: PUBLIC KEY}}\n";
    let elsewhere = secret.replace("namespace: n", "namespace: m");
    let twice = format!("{secret}{secret}");
    let at_bound = format!("inline: 'PUBLIC KEY{}'", "x".repeat(TRUST_STORE_BYTES_MAX - 10));
    let past_it = format!("inline: 'PUBLIC KEY{}'", "x".repeat(TRUST_STORE_BYTES_MAX - 9));
    for (head, public_keys, beside, expect) in [
        (cluster, "inline: PUBLIC KEY", "", ""),
        (cluster, "inline: ''", "", "publicKeys.inline: is empty"),
        (cluster, at_bound.as_str(), "", ""),
        (cluster, past_it.as_str(), "", "publicKeys.inline: has more than"),
        (cluster, "", "", "publicKeys: needs exactly one of"),
        (cluster, "inline: PUBLIC KEY, file: good.pub", "", "publicKeys: needs exactly one of"),
        (cluster, "file: good.pub", "", ""),
        (cluster, "file: none.pub", "", "publicKeys.file: policies/none.pub cannot be read"),
        (cluster, "secretRef: {name: x, key: k, namespace: n}", secret, ""),
        (
            cluster,
            "secretRef: {name: x, key: k, namespace: n}",
            map,
            "publicKeys.secretRef: Secret 'x' of namespace 'n' is not among",
        ),
        (cluster, "secretRef: {name: x, key: k, namespace: n}", &elsewhere, "is not among"),
        (cluster, "secretRef: {name: x, key: k, namespace: n}", &twice, "is given twice"),
        (cluster, "secretRef: {name: y, key: k, namespace: n}", secret, "is not among"),
        (cluster, "secretRef: {name: x, key: l, namespace: n}", secret, "has no key 'l'"),
        (
            cluster,
            "secretRef: {name: x, key: empty, namespace: n}",
            secret,
            "publicKeys.secretRef: is empty",
        ),
        (cluster, "secretRef: {name: x, key: k}", secret, "secretRef.namespace: is needed"),
        (cluster, "configMapRef: {name: x, key: k, namespace: n}", map, ""),
        (
            cluster,
            "configMapRef: {name: x, key: k, namespace: n}",
            secret,
            "publicKeys.configMapRef: ConfigMap 'x'",
        ),
        (cluster, "configMapRef: {name: x, key: k}", map, "configMapRef.namespace: is needed"),
        (own, "inline: PUBLIC KEY", "", ""),
        (own, "secretRef: {name: x, key: k}", secret, ""),
        (own, "secretRef: {name: x, key: k}", &elsewhere, "is not among"),
        (
            own,
            "secretRef: {name: x, key: k, namespace: n}",
            secret,
            "secretRef.namespace: must not be given",
        ),
        (
            own,
            "secretRef: {name: x, key: k, namespace: m}",
            &elsewhere,
            "secretRef.namespace: must not be given",
        ),
        (own, "configMapRef: {name: x, key: k}", map, ""),
        (
            own,
            "configMapRef: {name: x, key: k, namespace: n}",
            map,
            "configMapRef.namespace: must not be given",
        ),
    ] {
        check_store(head, public_keys, beside, expect);
    }
}

#[test]
fn windows_of_keys() {
    let cluster = "kind: ClusterTrustStore\nmetadata: {name: s}";
    for (window, expect) in [
        ("", ""),
        ("notBefore: '2026-01-01T00:00:00Z'", ""),
        ("notBefore: 2026-01-01T00:00:00Z", ""),
        ("notAfter: '2026-01-01T00:00:00.5+01:00'", ""),
        ("notBefore: '2026-01-01T00:00:00Z', notAfter: '2026-01-01T00:00:00Z'", ""),
        (
            "notBefore: '2026-01-01T00:00:01Z', notAfter: '2026-01-01T00:00:00Z'",
            "publicKeys.notAfter: is before notBefore",
        ),
        ("notBefore: '2026-01-01'", "publicKeys.notBefore: is no time"),
        ("notAfter: '2026-01-01T00:00:00'", "publicKeys.notAfter: is no time"),
        ("notAfter: '2026-13-01T00:00:00Z'", "publicKeys.notAfter: is no time"),
        ("notAfter: '2026-01-01 00:00:00Z'", "publicKeys.notAfter: is no time"),
        ("notAfter: '2026-01-01T00:00:00+00:00[UTC]'", "publicKeys.notAfter: is no time"),
        ("notAfter: ''", "publicKeys.notAfter: is no time"),
        ("notAfter: tomorrow", "publicKeys.notAfter: is no time"),
    ] {
        let public_keys = format!("inline: PUBLIC KEY, {window}");
        check_store(cluster, &public_keys, "", expect);
    }
}

#[test]
fn the_snapshot_says_when_stores_expire() {
    let store =
        |head: &str, window: &str| trust_store(head, &format!("inline: PUBLIC KEY{window}"));
    let documents = [
        store("kind: ClusterTrustStore\nmetadata: {name: s}", ", notAfter: '2027-01-01T00:00:00Z'"),
        store(
            "kind: TrustStore\nmetadata: {name: s, namespace: n}",
            ", notAfter: '2026-01-01T00:00:00Z'",
        ),
        store(
            "kind: TrustStore\nmetadata: {name: t, namespace: n}",
            ", notBefore: '2026-01-01T00:00:00Z'",
        ),
    ];
    let expiries = compiled(&documents.concat()).snapshot.expiries;
    let expiries: Vec<String> =
        expiries.iter().map(|(store, expiry)| format!("{store} {expiry}")).collect();
    assert_eq!(expiries, ["n/s 2026-01-01T00:00:00Z", "s 2027-01-01T00:00:00Z"]);
}

#[test]
fn stores_of_the_cluster_and_of_a_namespace_never_stand_in_for_each_other() {
    let cluster = trust_store("kind: ClusterTrustStore\nmetadata: {name: s}", "inline: PUBLIC KEY");
    let own =
        trust_store("kind: TrustStore\nmetadata: {name: s, namespace: n}", "inline: PUBLIC KEY");
    let foreign =
        trust_store("kind: TrustStore\nmetadata: {name: s, namespace: m}", "inline: PUBLIC KEY");
    let spec = |field: &str| {
        format!(
            "verifiers: [{{name: v, cosign: {{keys: [{{{field}: s}}]}}}}], rules: [{{images: ['**'], require: {{all: [v]}}}}]"
        )
    };
    for (store, policy, good) in [
        (&cluster, cluster_policy(&spec("trustStore")), true),
        (&own, cluster_policy(&spec("trustStore")), false),
        (&cluster, cluster_policy(&spec("clusterTrustStore")), false),
        (&own, policy("n", "p", &spec("trustStore")), true),
        (&foreign, policy("n", "p", &spec("trustStore")), false),
        (&cluster, policy("n", "p", &spec("trustStore")), false),
        (&cluster, policy("n", "p", &spec("clusterTrustStore")), true),
        (&own, policy("n", "p", &spec("clusterTrustStore")), false),
    ] {
        let compiled = compiled(&format!("{store}{policy}"));
        assert_eq!(closed(&compiled).is_empty(), good, "{store}{policy}{:#?}", compiled.problems);
    }
}

#[test]
fn a_store_given_on_the_command_line_stands_in_for_its_document() {
    let broken = trust_store("kind: ClusterTrustStore\nmetadata: {name: s}", "file: none.pub");
    let cluster = "verifiers: [{name: v, cosign: {keys: [{trustStore: s}]}}], rules: [{images: ['**'], require: {all: [v]}}]";
    let check = |text: &str, store: &str, bytes: &str, good: bool| {
        let stand_ins = BTreeMap::from([(store.parse().unwrap(), bytes.as_bytes().to_vec())]);
        let options = CompileOptions { stand_ins, ..CompileOptions::default() };
        let closed = closed(&compiled_with(text, &options, None));
        assert_eq!(closed.is_empty(), good, "{text} {store}: {closed:?}");
    };
    for text in [cluster_policy(cluster), format!("{broken}{}", cluster_policy(cluster))] {
        check(&text, "s", "PUBLIC KEY", true);
        check(&text, "s", "", false);
        check(&text, "s", "junk", false);
        check(&text, "t", "PUBLIC KEY", false);
        check(&text, "n/s", "PUBLIC KEY", false);
    }
    check(&policy("n", "p", cluster), "n/s", "PUBLIC KEY", true);
    check(&policy("n", "p", cluster), "s", "PUBLIC KEY", false);
    for text in ["", "/s", "n/", "a/b/c"] {
        assert!(text.parse::<assay_api::StoreId>().is_err(), "{text:?}");
    }
}

#[test]
fn a_broken_store_that_nothing_names_is_reported_and_closes_nothing() {
    for (public_keys, expect) in [
        (
            "file: none.pub",
            "policies/p.yaml, document 3: ClusterTrustStore lost: spec.publicKeys.file: policies/none.pub cannot be read",
        ),
        (
            "inline: junk",
            "policies/p.yaml, document 3: ClusterTrustStore lost: spec.publicKeys: holds no public key",
        ),
    ] {
        let lost = trust_store("kind: ClusterTrustStore\nmetadata: {name: lost}", public_keys);
        let policy = cluster_policy(&format!("{VERIFIERS}, {RULES}"));
        let compiled = compiled(&format!("{STORE}{policy}{lost}"));
        assert_eq!(closed(&compiled), [""; 0]);
        let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, [expect]);
    }
}

#[test]
fn matches() {
    for (matching, expect) in [
        ("{}", [].as_slice()),
        ("{kinds: [{apiGroups: [''], kinds: [Pod]}]}", &[]),
        ("{kinds: [{apiGroups: ['*'], kinds: ['*']}, {}]}", &[]),
        ("{kinds: [{apiGroups: ['', apps], kinds: [Pod, Deployment]}]}", &[]),
        ("{kinds: [{apiGroups: [''], kinds: [Pod, Deployment]}]}", &["rules spec.match.kinds[0]"]),
        ("{kinds: [{kinds: [CronJob]}, {kinds: [Ingress]}]}", &["rules spec.match.kinds[1]"]),
        ("{kinds: [{apiGroups: [apps], kinds: [Pod]}]}", &["rules spec.match.kinds[0]"]),
        ("{namespaces: ['team-*', '*x*']}", &[]),
        ("{namespaces: [a, 'te*am']}", &["match spec.match.namespaces[1]"]),
        ("{namespaces: [Team]}", &["match spec.match.namespaces[0]"]),
        ("{excludedNamespaces: ['kube-*']}", &[]),
        ("{excludedNamespaces: ['k?be']}", &["match spec.match.excludedNamespaces[0]"]),
        ("{name: 'web-*'}", &[]),
        ("{name: 'we*b'}", &["match spec.match.name"]),
        ("{labelSelector: {matchExpressions: [{key: a, operator: Exists}]}}", &[]),
        (
            "{labelSelector: {matchExpressions: [{key: a, operator: exists}]}}",
            &["match spec.match.labelSelector"],
        ),
        (
            "{labelSelector: {matchExpressions: [{key: a, operator: In}]}}",
            &["match spec.match.labelSelector"],
        ),
        ("{labelSelector: {matchLabels: {'a b': c}}}", &["match spec.match.labelSelector"]),
        ("{namespaceSelector: {matchLabels: {a: b}}}", &[]),
        ("{namespaceSelector: {matchLabels: {a: b c}}}", &["match spec.match.namespaceSelector"]),
    ] {
        check(&format!("match: {matching}, {RULES}"), expect);
    }
}

#[test]
fn known_kinds_are_those_in_which_images_are_read() {
    for (api_version, kind) in [
        ("v1", "Pod"),
        ("v1", "PodTemplate"),
        ("v1", "ReplicationController"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
        ("v1", "Service"),
        ("networking.k8s.io/v1", "Ingress"),
    ] {
        let pod_spec = "\"spec\": {\"containers\": [{\"name\": \"c\", \"image\": \"busybox\"}]}";
        let template = format!("\"template\": {{{pod_spec}}}");
        let json = format!(
            "{{\"apiVersion\": \"{api_version}\", \"kind\": \"{kind}\", \"metadata\": {{\"name\": \"x\"}}, {}}}",
            match kind {
                "Pod" => pod_spec.to_owned(),
                "PodTemplate" => template,
                "CronJob" => format!("\"spec\": {{\"jobTemplate\": {{\"spec\": {{{template}}}}}}}"),
                _ => format!("\"spec\": {{{template}}}"),
            }
        );
        let object = assay_policy::Object::parse(&json).unwrap();
        let known = object.role() != assay_policy::Role::Other;
        let spec = format!("{VERIFIERS}, {RULES}, match: {{kinds: [{{kinds: [{kind}]}}]}}");
        let compiled = compiled(&format!("{STORE}{}", cluster_policy(&spec)));
        assert_eq!(closed(&compiled).is_empty(), known, "{kind}");
    }
}

#[test]
fn a_match_that_does_not_compile_keeps_its_last_good_form() {
    let good = format!(
        "{STORE}{}",
        cluster_policy(&format!("{VERIFIERS}, {RULES}, match: {{name: web}}"))
    );
    let last_good = compiled(&good).snapshot;
    let matcher = |text: &str, last_good| {
        let compiled = compiled_with(text, &CompileOptions::default(), last_good);
        assert_eq!(compiled.problems.len(), 1, "{text}");
        compiled.snapshot.policies[0].matcher.clone().ok()
    };
    let expect = last_good.policies[0].matcher.clone().ok();
    assert!(expect.is_some());
    for bad in [good.replace("name: web", "name: w*b"), good.replace("match: ", "mach: ")] {
        assert_eq!(matcher(&bad, Some(&last_good)), expect, "{bad}");
        assert_eq!(matcher(&bad, None), None, "{bad}");
        let renamed = bad.replace("{name: p}", "{name: q}");
        assert_eq!(matcher(&renamed, Some(&last_good)), None, "{renamed}");
    }
    // The form that was kept is kept again.
    let bad = good.replace("name: web", "name: w*b");
    let kept = compiled_with(&bad, &CompileOptions::default(), Some(&last_good)).snapshot;
    assert_eq!(matcher(&bad, Some(&kept)), expect);
}

#[test]
fn a_policy_that_does_not_decode_closes_everything() {
    let spec = format!("enforcementAction: dryrun, tier: Baseline, {VERIFIERS}, {RULES}");
    let good = format!("{STORE}{}", cluster_policy(&spec));
    check_closed(&good, &[]);
    for (text, name, action, tier) in [
        (good.replace("rules:", "rulez:"), "p", EnforcementAction::Dryrun, Tier::Baseline),
        (
            good.replace("{name: p}", "{nmae: p}"),
            "p.yaml#2",
            EnforcementAction::Dryrun,
            Tier::Baseline,
        ),
        (
            good.replace("kind: ClusterImageAdmissionPolicy", "kind: ImagePolicy"),
            "p",
            EnforcementAction::Dryrun,
            Tier::Baseline,
        ),
        (
            good.replace("spec: {enf", "spec: {{enf"),
            "p.yaml#2",
            EnforcementAction::Deny,
            Tier::Mandatory,
        ),
        (good.replace("dryrun", "dryRun"), "p", EnforcementAction::Deny, Tier::Baseline),
    ] {
        let compiled = compiled(&text);
        let [policy] = &*compiled.snapshot.policies else { panic!("{text}") };
        assert!(policy.matcher.is_err() && policy.rules.is_err(), "{text}");
        assert_eq!(
            (policy.id.to_string().as_str(), policy.enforcement_action, policy.tier),
            (name, action, tier),
            "{text}"
        );
        assert_eq!(policy.on_error, OnError::Deny);
    }
    let twice = compiled("a: [\n---\nb: [\n").snapshot;
    let names: Vec<String> = twice.policies.iter().map(|policy| policy.id.to_string()).collect();
    assert_eq!(names, ["p.yaml#1", "p.yaml#2"], "these are not two of one name");
    let own = policy("n", "p", &format!("tier: Baseline, {RULES}"));
    let snapshot = compiled(&own).snapshot;
    let policy = &snapshot.policies[0];
    assert_eq!((policy.id.to_string().as_str(), policy.tier), ("n/p", Tier::Namespace));
    assert!(policy.concerns("n") && !policy.concerns("m"));
    let snapshot = compiled(&own.replace(", namespace: n", "")).snapshot;
    let policy = &snapshot.policies[0];
    assert!(policy.matcher.is_err() && policy.concerns("n") && policy.concerns("m"));
}

#[test]
fn other_documents_that_cannot_be_read_are_reported_and_close_nothing() {
    let good = format!("{STORE}{}", cluster_policy(&format!("{VERIFIERS}, {RULES}")));
    for other in [
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
        "{apiVersion: assay.dev/v1alpha1, kind: Configuration}",
        "{apiVersion: v1, kind: Secret, metadata: {name: web}, data: {a: '%'}}",
    ] {
        let compiled = compiled(&format!("{good}---\n{other}\n"));
        assert_eq!((closed(&compiled).len(), compiled.problems.len()), (0, 1), "{other}");
        assert_eq!(compiled.snapshot.policies.len(), 1);
    }
}

#[test]
fn policies_of_one_name_are_all_closed() {
    let spec = format!("{VERIFIERS}, {RULES}");
    let one = cluster_policy(&spec);
    let own = "rules: [{images: ['**'], deny: no}]";
    let field = "rules metadata.name";
    check_closed(&format!("{STORE}{one}{}", one.replace("{name: p}", "{name: q}")), &[]);
    check_closed(&format!("{STORE}{one}{one}"), &[field, field]);
    check_closed(&format!("{}{}", policy("n", "p", own), policy("m", "p", own)), &[]);
    check_closed(&format!("{STORE}{one}{}", policy("n", "p", own)), &[]);
    check_closed(&format!("{}{}", policy("n", "p", own), policy("n", "p", own)), &[field, field]);
    let problems = compiled(&format!("{STORE}{one}{one}")).problems;
    assert_eq!(
        problems[0].to_string(),
        "policies/p.yaml, document 2: ClusterImageAdmissionPolicy p: metadata.name: is given 2 times: policies/p.yaml, document 2; policies/p.yaml, document 3"
    );
}

fn repeat(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn limits_of_a_policy() {
    let deny = |count: usize| {
        format!("rules: [{}]", repeat(count, |_| "{images: ['**'], deny: no}".to_owned()))
    };
    check(&deny(RULES_MAX), &[]);
    check(&deny(RULES_MAX + 1), &["rules spec.rules"]);

    let globs = |count: usize| {
        let globs = repeat(count, |index| format!("r.example/a{index}"));
        format!("rules: [{{images: [{globs}], deny: no}}, {{images: ['**'], allow: true}}]")
    };
    check(&globs(GLOBS_MAX - 1), &[]);
    check(&globs(GLOBS_MAX), &["rules spec.rules"]);

    let text = |count: usize| format!("rules: [{{images: ['**'], deny: '{}'}}]", "é".repeat(count));
    check(&text(DENY_LENGTH_MAX), &[]);
    check(&text(DENY_LENGTH_MAX + 1), &["rules spec.rules[0].deny"]);

    let groups = |count: usize| {
        format!(
            "groups: [{}], {RULES}",
            repeat(count, |index| format!("{{name: g{index}, any: [a]}}"))
        )
    };
    check(&groups(GROUPS_MAX), &[]);
    check(&groups(GROUPS_MAX + 1), &["rules spec.groups"]);

    let kinds = |count: usize| {
        format!("match: {{kinds: [{}]}}, {RULES}", repeat(count, |_| "{}".to_owned()))
    };
    check(&kinds(MATCH_ITEMS_MAX), &[]);
    check(&kinds(MATCH_ITEMS_MAX + 1), &["match spec.match.kinds"]);
    for list in ["namespaces", "excludedNamespaces"] {
        let names = |count: usize| {
            format!("match: {{{list}: [{}]}}, {RULES}", repeat(count, |_| "x".to_owned()))
        };
        check(&names(MATCH_ITEMS_MAX), &[]);
        check(&names(MATCH_ITEMS_MAX + 1), &[&format!("match spec.match.{list}")]);
    }
}

#[test]
fn limits_of_verifiers_and_names() {
    let with = |verifiers: String, rules: String| {
        let stores = (0..KEYS_MAX + 1).map(|index| {
            trust_store(
                &format!("kind: ClusterTrustStore\nmetadata: {{name: k{index}}}"),
                "inline: PUBLIC KEY",
            )
        });
        let policy = cluster_policy(&format!("verifiers: [{verifiers}], rules: [{rules}]"));
        format!("{}{policy}", stores.collect::<String>())
    };
    let verifier =
        |index: usize| format!("{{name: v{index}, cosign: {{keys: [{{trustStore: k0}}]}}}}");
    let allow = || "{images: ['**'], allow: true}".to_owned();
    check_closed(&with(repeat(VERIFIERS_MAX, verifier), allow()), &[]);
    check_closed(&with(repeat(VERIFIERS_MAX + 1, verifier), allow()), &["rules spec.verifiers"]);

    let keys = |count: usize| {
        format!(
            "{{name: v, cosign: {{keys: [{}]}}}}",
            repeat(count, |index| format!("{{trustStore: k{index}}}"))
        )
    };
    check_closed(&with(keys(KEYS_MAX), allow()), &[]);
    check_closed(&with(keys(KEYS_MAX + 1), allow()), &["rules spec.verifiers"]);

    let names = |count: usize| {
        format!(
            "{{images: ['**'], require: {{any: [{}]}}}}",
            repeat(count, |index| format!("v{index}"))
        )
    };
    check_closed(&with(repeat(VERIFIERS_MAX, verifier), names(NAMES_MAX)), &[]);
    check_closed(
        &with(repeat(VERIFIERS_MAX, verifier), names(NAMES_MAX + 1)),
        &["rules spec.rules[0].require.any"],
    );
}

/// Groups that name all groups above them come to twice as many verifiers at each level.
#[test]
fn limits_what_groups_of_groups_come_to() {
    let doubling = |levels: usize| {
        let group = |level: usize| {
            let above: String = (0..level).map(|above| format!(", g{above}")).collect();
            format!("{{name: g{level}, any: [a{above}]}}")
        };
        format!(
            "groups: [{}], rules: [{{images: ['**'], require: {{all: [g{}]}}}}]",
            repeat(levels, group),
            levels - 1
        )
    };
    let levels = REQUIREMENT_VERIFIERS_MAX.ilog2() as usize + 1;
    check(&doubling(levels), &[]);
    check(&doubling(levels + 1), &[&format!("rules spec.groups[{levels}].any")]);
    check(&doubling(GROUPS_MAX), &[&format!("rules spec.groups[{levels}].any")]);
}

#[test]
fn limits_policies_of_a_namespace() {
    let policies = |namespace: &str, count: usize| {
        let name = |index| {
            policy(namespace, &format!("p{index:03}"), "rules: [{images: ['**'], deny: no}]")
        };
        (0..count).map(name).collect::<String>()
    };
    check_closed(&policies("n", NAMESPACE_POLICIES_MAX), &[]);
    let text = format!("{}{}", policies("n", NAMESPACE_POLICIES_MAX + 1), policies("o", 1));
    check_closed(&text, &["rules metadata.namespace"]);

    // However many there are, one of them closes for each enforcement action, and each says why.
    let trial = policies("n", 300).replace("name: p2", "name: trial-2");
    let text = trial.replace("deny: no}]", "deny: no}], enforcementAction: ACTION");
    let action = |text: &str| {
        let action = if text.contains("name: trial-") { "dryrun" } else { "deny" };
        text.replace("ACTION", action)
    };
    let text: String = text.split_inclusive("\n---").map(action).collect();
    let compiled = compiled(&text);
    assert_eq!(compiled.problems.len(), 200);
    assert_eq!(compiled.snapshot.policies.len(), NAMESPACE_POLICIES_MAX + 2);
    assert_eq!(closed(&compiled), ["rules metadata.namespace"; 2]);

    let cluster = |index| {
        cluster_policy("rules: [{images: ['**'], deny: no}]")
            .replace("{name: p}", &format!("{{name: p{index}}}"))
    };
    check_closed(&(0..=NAMESPACE_POLICIES_MAX).map(cluster).collect::<String>(), &[]);
}

#[test]
fn limits_image_globs_of_a_namespace() {
    let own = |index: usize, globs: usize| {
        let globs = vec!["'**'"; globs].join(", ");
        policy("n", &format!("p{index:03}"), &format!("rules: [{{images: [{globs}], deny: no}}]"))
    };
    let most = NAMESPACE_GLOBS_MAX / GLOBS_MAX;
    let full: String = (0..most).map(|index| own(index, GLOBS_MAX)).collect();
    check_closed(&full, &[]);
    check_closed(&format!("{full}{}", own(most, 1)), &["rules metadata.namespace"]);
    let other = policy("o", "p", "rules: [{images: ['**'], deny: no}]");
    check_closed(&format!("{full}{other}"), &[]);
}

#[test]
fn a_key_that_sets_off_a_defect_closes_what_needs_it_alone() {
    let bomb = trust_store("kind: TrustStore\nmetadata: {name: own, namespace: n}", "inline: BOMB");
    let rules = "verifiers: [{name: v, cosign: {keys: [{trustStore: own}]}}], rules: [{images: ['**'], require: {all: [v]}}]";
    let other = cluster_policy(&format!("{VERIFIERS}, {RULES}"));
    let text = format!("{STORE}{bomb}{}{other}", policy("n", "p", rules));
    check_closed(&text, &["rule 0 spec.verifiers[0].cosign"]);
}

fn only_policy(text: &str) -> Policy {
    let compiled = compiled(text);
    assert_eq!(compiled.problems, [], "{text}");
    Policy::clone(compiled.snapshot.policies.last().unwrap())
}

#[test]
fn every_field_changes_the_policy() {
    let base = "verifiers: [{name: a, cosign: {keys: [{trustStore: keys}]}}, {name: b, cosign: {keys: [{trustStore: more}]}}]";
    let fields = [
        "rules: [{images: ['r.example/**'], require: {all: [a]}}]",
        "rules: [{images: ['r.example/*'], require: {all: [a]}}]",
        "rules: [{images: ['r.example/**'], require: {all: [b]}}]",
        "rules: [{images: ['r.example/**'], require: {any: [a, b]}}]",
        "rules: [{images: ['r.example/**'], require: {all: [a, b]}}]",
        "rules: [{images: ['r.example/**'], require: {atLeast: {count: 1, of: [a, b]}}}]",
        "rules: [{images: ['r.example/**'], require: {atLeast: {count: 2, of: [a, b]}}}]",
        "rules: [{images: ['r.example/**'], allow: true}]",
        "rules: [{images: ['r.example/**'], deny: one}]",
        "rules: [{images: ['r.example/**'], deny: two}]",
        "RULES, enforcementAction: warn",
        "RULES, enforcementAction: dryrun",
        "RULES, tier: Baseline",
        "RULES, onError: warn",
        "RULES, onError: allow",
        "RULES, requireDigest: deny",
        "RULES, requireDigest: allow",
        "RULES, match: {kinds: [{kinds: [Pod]}]}",
        "RULES, match: {kinds: [{apiGroups: ['']}]}",
        "RULES, match: {scope: Cluster}",
        "RULES, match: {scope: Namespaced}",
        "RULES, match: {namespaces: [a]}",
        "RULES, match: {excludedNamespaces: [a]}",
        "RULES, match: {labelSelector: {matchLabels: {a: b}}}",
        "RULES, match: {labelSelector: {matchExpressions: [{key: a, operator: Exists}]}}",
        "RULES, match: {namespaceSelector: {matchLabels: {a: b}}}",
        "RULES, match: {namespaceSelector: {matchExpressions: [{key: a, operator: NotIn, values: [c]}]}}",
        "RULES, match: {namespaceSelector: {matchExpressions: [{key: a, operator: NotIn, values: [d]}]}}",
        "RULES, match: {name: a}",
        "RULES, match: {source: Original}",
        "RULES, match: {source: Generated}",
        "groups: [{name: g, any: [a]}], rules: [{images: ['r.example/**'], require: {all: [g]}}]",
        "groups: [{name: g, all: [a]}], rules: [{images: ['r.example/**'], require: {all: [g]}}]",
        "groups: [{name: g, atLeast: {count: 1, of: [a]}}], rules: [{images: ['r.example/**'], require: {all: [g]}}]",
    ];
    let more =
        trust_store("kind: ClusterTrustStore\nmetadata: {name: more}", "inline: PUBLIC KEY 2");
    let mut seen: Vec<(String, &str)> = Vec::new();
    for field in fields {
        let spec = format!("{base}, {}", field.replace("RULES", RULES));
        let policy =
            format!("{:?}", only_policy(&format!("{STORE}{more}{}", cluster_policy(&spec))));
        let same = seen.iter().find(|(earlier, _)| *earlier == policy);
        assert!(same.is_none(), "{field} makes the same policy as {same:?}");
        seen.push((policy, field));
    }
}

#[test]
fn defaults_and_ids_are_those_of_the_contract() {
    let cluster =
        only_policy(&format!("{STORE}{}", cluster_policy(&format!("{VERIFIERS}, {RULES}"))));
    assert_eq!(cluster.id.to_string(), "p");
    assert_eq!(cluster.tier, Tier::Mandatory);
    assert_eq!(cluster.enforcement_action, EnforcementAction::Deny);
    assert_eq!(cluster.on_error, OnError::Deny);
    assert_eq!(cluster.require_digest, RequireDigest::Warn);
    assert_eq!(cluster.matcher.unwrap(), assay_policy::Match::default());
    let own =
        only_policy(&policy("n", "p", "rules: [{images: ['**'], deny: \"go\\n elsewhere\"}]"));
    assert_eq!((own.id.to_string().as_str(), own.tier), ("n/p", Tier::Namespace));
    let rules = own.rules.unwrap();
    assert!(matches!(&rules[0].body, RuleBody::Deny(text) if text == "go elsewhere"), "{rules:?}");
}

#[test]
fn lowers_quorums_and_keys() {
    let spec = format!(
        "{VERIFIERS}, groups: [{{name: g, any: [a, b]}}], rules: [{{images: ['**'], require: {{atLeast: {{count: 2, of: [g, b]}}}}}}]"
    );
    let policy = only_policy(&format!("{STORE}{}", cluster_policy(&spec)));
    let rules = policy.rules.unwrap();
    let RuleBody::Require(requirement) = &rules[0].body else { panic!("{rules:?}") };
    assert_eq!(requirement.quorum, Quorum::AtLeast(2));
    let mut names = Vec::new();
    requirement.for_each_verifier(&mut |name, _| names.push(name.to_string()));
    assert_eq!(names, ["a", "b", "b"]);
    // The key's bytes are in the fingerprint, so that a new key is a new verifier.
    let text = |key: &str| {
        format!(
            "{}{}",
            STORE.replace("PUBLIC KEY", key),
            cluster_policy(&format!("{VERIFIERS}, {RULES}"))
        )
    };
    let debug = |key: &str| format!("{:?}", only_policy(&text(key)).rules);
    assert_eq!(debug("PUBLIC KEY 1"), debug("PUBLIC KEY 1"));
    assert_ne!(debug("PUBLIC KEY 1"), debug("PUBLIC KEY 2"));
}

#[test]
fn options_reach_the_snapshot_and_policies_are_sorted() {
    let deny = "rules: [{images: ['**'], deny: no}]";
    let text = format!(
        "{}{}{}",
        policy("b", "a", deny),
        policy("a", "z", deny),
        cluster_policy(deny).replace("{name: p}", "{name: z}")
    );
    let options = CompileOptions {
        default_action: DefaultAction::Deny,
        registries: ["r.example".to_owned()].into(),
        exempt_namespaces: ["assay".to_owned()].into(),
        ..CompileOptions::default()
    };
    let snapshot = compiled_with(&text, &options, None).snapshot;
    assert_eq!(snapshot.default_action, DefaultAction::Deny);
    assert!(snapshot.registries.contains("r.example") && snapshot.exempts("assay"));
    let names: Vec<String> = snapshot.policies.iter().map(|policy| policy.id.to_string()).collect();
    assert_eq!(names, ["z", "a/z", "b/a"]);
}

#[test]
fn texts_of_documents_stay_on_one_line() {
    let spec = format!(
        "{VERIFIERS}, rules: [{{images: ['**'], require: {{all: [\"a\\n[other] allowed\"]}}}}]"
    );
    let compiled = compiled(&format!("{STORE}{}", cluster_policy(&spec)));
    let message = compiled.problems[0].to_string();
    assert!(!message.contains(char::is_control), "{message:?}");
}
