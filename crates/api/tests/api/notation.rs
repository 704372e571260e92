//! The `notation` verifier and stores of certificates: what compiles, to what, and what does not.

use std::collections::BTreeSet;

use assay_api::{CompileOptions, StoreId};

use crate::support::{compiled, compiled_with, documents};

fn store(name: &str, kind: &str) -> String {
    format!(
        "---\napiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: {name}}}\n\
         spec: {{certificates: {{type: {kind}, inline: CERTIFICATE of {name}}}}}\n"
    )
}

fn stores() -> String {
    let own = store("own", "ca")
        .replace("ClusterTrustStore", "TrustStore")
        .replace("{name: own}", "{name: own, namespace: n}");
    let keys = "---\napiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {name: keys}\n\
                spec: {publicKeys: {inline: PUBLIC KEY}}\n";
    [&store("roots", "ca"), &store("other", "ca"), &store("stamps", "tsa"), &own, keys].concat()
}

fn policy(kind: &str, metadata: &str, notation: &str) -> String {
    format!(
        "{}---\napiVersion: assay.dev/v1alpha1\nkind: {kind}\nmetadata: {metadata}\nspec:\n  verifiers: \
         [{{name: v, notation: {notation}}}]\n  rules: [{{images: ['**'], require: {{all: [v]}}}}]\n",
        stores()
    )
}

fn cluster(notation: &str) -> String {
    policy("ClusterImageAdmissionPolicy", "{name: p}", notation)
}

/// The rules with their verifiers' fingerprints.
#[track_caller]
fn built(text: &str) -> String {
    let compiled = compiled(text);
    assert_eq!(compiled.problems, [], "{text}");
    format!("{:?}", compiled.snapshot.policies[0].rules)
}

/// A whole trust policy of one statement.
fn document(statement: &str) -> String {
    format!("{{trustPolicy: {{version: '1.0', trustPolicies: [{statement}]}}}}")
}

const STATEMENT: &str = "{name: a, registryScopes: ['*'], signatureVerification: {level: strict}, \
                         trustStores: ['ca:roots'], trustedIdentities: ['*']}";

#[test]
fn every_field_changes_the_verifier() {
    let with = |more: &str| {
        built(&cluster(&format!(
            "{{trustStores: [{{type: ca, name: roots}}], trustedIdentities: ['*']{more}}}"
        )))
    };
    let of = |statement: &str| built(&cluster(&document(statement)));
    let change = |from: &str, to: &str| {
        assert!(STATEMENT.contains(from));
        of(&STATEMENT.replace(from, to))
    };
    let all = [
        with(""),
        with(", level: permissive"),
        with(", level: audit"),
        with(", override: {authenticity: log}"),
        with(", override: {authenticTimestamp: log}"),
        with(", override: {expiry: log}"),
        with(", override: {revocation: log}"),
        with(", revocation: skip"),
        with(", verifyTimestamp: afterCertExpiry"),
        with(", userMetadata: {a: b}"),
        built(&cluster("{trustStores: [{type: ca, name: other}], trustedIdentities: ['*']}")),
        built(&cluster("{trustStores: [{type: tsa, name: stamps}], trustedIdentities: ['*']}")),
        built(&cluster("{trustStores: [{type: ca, name: roots}], trustedIdentities: ['a:b']}")),
        of(STATEMENT),
        change("name: a", "name: b"),
        change("'*'], sig", "'r.io/a'], sig"),
        change("level: strict", "level: audit"),
        change("level: strict", "level: strict, override: {expiry: log}"),
        change("level: strict", "level: strict, verifyTimestamp: afterCertExpiry"),
        change("ca:roots", "ca:other"),
        change("trustedIdentities: ['*']", "trustedIdentities: ['a:b']"),
    ];
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:#?}");
    assert_eq!(all[0], with(", level: strict, verifyTimestamp: always"));
    assert_eq!(all[6], with(", revocation: log"), "two ways to say one thing");
}

#[track_caller]
fn check(text: &str, field: &str, says: &str) {
    let compiled = compiled(text);
    let [problem] = &compiled.problems[..] else { panic!("{text}: {:#?}", compiled.problems) };
    assert_eq!(problem.invalid.field, format!("spec.verifiers[0].{field}"), "{text}");
    assert!(problem.invalid.reason.contains(says), "{}", problem.invalid.reason);
    assert!(!compiled.snapshot.policies[0].problems().is_empty(), "it is open");
}

#[test]
fn what_cannot_be_meant_closes_the_rules() {
    let with = |more: &str| {
        cluster(&format!(
            "{{trustStores: [{{type: ca, name: roots}}], trustedIdentities: ['*']{more}}}"
        ))
    };
    let named = |kind: &str, name: &str| {
        cluster(&format!(
            "{{trustStores: [{{type: {kind}, name: {name}}}], trustedIdentities: ['*']}}"
        ))
    };
    let twice = "{trustStores: [{type: ca, name: roots}, {type: ca, name: roots}]}";
    let both = document(STATEMENT).replacen('{', "{level: strict, ", 1);
    for (text, field, says) in [
        (with(", level: skip"), "notation.level", "allow: true"),
        (
            with(", revocation: log, override: {revocation: log}"),
            "notation.revocation",
            "given twice",
        ),
        (with(", userMetadata: {'': a}"), "notation.userMetadata", "empty"),
        (
            with(", clusterTrustStores: [{type: ca, name: other}]"),
            "notation.clusterTrustStores",
            "ImageAdmissionPolicy",
        ),
        (cluster("{}"), "notation.trustStores", "trustPolicy"),
        (cluster(twice), "notation.trustStores", "twice"),
        (cluster(&both), "notation.trustPolicy", "stands alone"),
        (named("ca", "none"), "notation.trustStores", "does not exist"),
        (named("ca", "keys"), "notation.trustStores", "holds public keys"),
        (
            named("ca", "stamps"),
            "notation.trustStores",
            "holds certificates of type tsa, and certificates of type ca are needed",
        ),
        (
            cluster(&document(&STATEMENT.replace("ca:roots", "ca:none"))),
            "notation.trustPolicy",
            "does not exist",
        ),
        (
            cluster("{trustStores: []}, cosign: {keys: [{trustStore: keys}]}"),
            "cosign",
            "exactly one",
        ),
    ] {
        check(&text, field, says);
    }
    let cosign = cluster("{}").replace("notation: {}", "cosign: {keys: [{trustStore: roots}]}");
    check(&cosign, "cosign.keys[0]", "holds certificates of type ca");
}

#[test]
fn stores_are_those_of_the_scope() {
    let tenant =
        |notation: &str| policy("ImageAdmissionPolicy", "{name: p, namespace: n}", notation);
    let identities = "trustedIdentities: ['*']";
    let own = tenant(&format!("{{trustStores: [{{type: ca, name: own}}], {identities}}}"));
    let of_cluster =
        tenant(&format!("{{clusterTrustStores: [{{type: ca, name: roots}}], {identities}}}"));
    let own_document = tenant(&document(&STATEMENT.replace("ca:roots", "ca:own")));
    for (text, expect) in [
        (&own, "TrustStore n/own"),
        (&of_cluster, "ClusterTrustStore roots"),
        (&own_document, "TrustStore n/own"),
    ] {
        built(text);
        let documents = documents(text);
        let references = documents.last().unwrap().store_references();
        let found: Vec<String> = references.iter().map(|own| own.store.to_string()).collect();
        assert_eq!(found, [expect]);
    }
    let foreign = tenant(&format!("{{trustStores: [{{type: ca, name: roots}}], {identities}}}"));
    check(&foreign, "notation.trustStores", "TrustStore n/roots does not exist");
    let foreign = tenant(&document(STATEMENT));
    check(&foreign, "notation.trustPolicy", "TrustStore n/roots does not exist");
}

#[test]
fn takes_as_much_as_the_limits_say() {
    let repeat = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    };
    let identities = |count: usize| {
        let identities = repeat(count, &|index| format!("'a:{index}'"));
        cluster(&format!(
            "{{trustStores: [{{type: ca, name: roots}}], trustedIdentities: [{identities}]}}"
        ))
    };
    built(&identities(50));
    check(&identities(51), "notation.trustedIdentities", "51 identities, and may have 50");
    let statements = |count: usize| cluster(&document(&repeat(count, &|_| STATEMENT.to_owned())));
    built(&statements(50));
    check(&statements(51), "notation.trustPolicy", "51 trust stores, and may have 50");
    let empty = STATEMENT.replace("'ca:roots'", "");
    let bare = cluster(&document(&repeat(51, &|_| empty.clone())));
    check(&bare, "notation.trustPolicy", "51 statements, and may have 50");
    let scopes = |count: usize| {
        let scopes = repeat(count, &|index| format!("'r.io/{index}'"));
        cluster(&document(&STATEMENT.replace("'*'], sig", &format!("{scopes}], sig"))))
    };
    built(&scopes(100));
    check(&scopes(101), "notation.trustPolicy", "101 scopes in one, and may have 100");
    let many = |count: usize| {
        let named = repeat(count, &|index| format!("{{type: ca, name: s{index}}}"));
        let policy = cluster(&format!("{{trustStores: [{named}], trustedIdentities: ['*']}}"));
        let stores: String = (0..count).map(|index| store(&format!("s{index}"), "ca")).collect();
        format!("{stores}{policy}")
    };
    built(&many(50));
    check(&many(51), "notation.trustStores", "51 trust stores, and may have 50");
    let inner = STATEMENT.replace(
        "trustedIdentities: ['*']",
        &format!("trustedIdentities: [{}]", repeat(51, &|index| format!("'a:{index}'"))),
    );
    check(&cluster(&document(&inner)), "notation.trustPolicy", "51 identities in a statement");
}

#[test]
fn a_stand_in_is_of_the_type_that_is_named() {
    let text = cluster(
        "{trustStores: [{type: ca, name: new}, {type: tsa, name: new}], trustedIdentities: ['*']}",
    );
    let id: StoreId = "new".parse().unwrap();
    let options = CompileOptions {
        stand_ins: [(id, b"CERTIFICATE".to_vec())].into(),
        ..CompileOptions::default()
    };
    assert_eq!(compiled_with(&text, &options, None).problems, []);
}

#[test]
fn the_snapshot_says_when_certificates_expire() {
    let text = store("roots", "ca").replace("of roots", "until 2027-01-01T00:00:00Z");
    let compiled = compiled(&text);
    let expiries: Vec<_> = compiled.snapshot.expiries.into_iter().collect();
    assert_eq!(expiries, [("roots".to_owned(), "2027-01-01T00:00:00Z".parse().unwrap())]);
}
