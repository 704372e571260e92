//! The CustomResourceDefinitions: those of the repository are those of the code, and they say what
//! users need to know.

use std::path::Path;

use assay_api::resources::{crds, crds_yaml};
use serde_json::Value;

#[test]
fn manifest_is_what_the_code_makes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds.yaml");
    let yaml = crds_yaml().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &yaml).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == yaml, "{} is not up to date: run with UPDATE_EXPECT=1", file.display());
}

#[test]
fn names_are_those_of_the_contract() {
    let names = crds().into_iter().map(|crd| {
        let names = crd.spec.names;
        assert_eq!(names.categories, Some(vec!["assay".to_owned()]));
        (names.kind, crd.spec.scope, names.short_names.unwrap().join(","))
    });
    let expect = [
        ("ClusterImageAdmissionPolicy", "Cluster", "ciap"),
        ("ClusterTrustStore", "Cluster", "ctst"),
        ("ImageAdmissionPolicy", "Namespaced", "iap"),
        ("TrustStore", "Namespaced", "tst"),
    ];
    let expect =
        expect.map(|(kind, scope, short)| (kind.to_owned(), scope.to_owned(), short.to_owned()));
    assert_eq!(names.collect::<Vec<_>>(), expect);
}

/// Calls `visit` with the path and the schema of everything under `schema`.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], visit);
    }
}

fn visit_schemas(visit: &mut dyn FnMut(&str, &Value)) {
    for crd in crds() {
        let crd = serde_json::to_value(&crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(crd["spec"]["names"]["kind"].as_str().unwrap(), schema, visit);
    }
}

#[test]
fn every_field_is_described() {
    visit_schemas(&mut |path, schema| {
        let described = schema["description"].as_str().is_some_and(|text| text.len() > 5);
        assert!(described || path.ends_with("[]"), "{path}");
        assert!(!schema["description"].to_string().contains("\\n"), "{path} has lines");
    });
}

#[test]
fn schemas_are_structural_and_bounded() {
    visit_schemas(&mut |path, schema| {
        for keyword in ["oneOf", "anyOf", "allOf", "not", "$ref"] {
            assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
        }
        let bound = match schema["type"].as_str().unwrap() {
            "array" => "maxItems",
            "string" if schema.get("enum").is_none() => "maxLength",
            "object" if schema.get("additionalProperties").is_some() => "maxProperties",
            _ => return,
        };
        assert!(schema.get(bound).is_some(), "{path} has no {bound}");
    });
}

#[test]
fn enums_and_defaults_are_cased_as_documented() {
    let mut found = Vec::new();
    visit_schemas(&mut |path, schema| {
        let Some(values) = schema["enum"].as_array() else { return };
        if let Some(field) = path.strip_prefix("ClusterImageAdmissionPolicy.spec.") {
            let values: Vec<String> =
                values.iter().map(|value| value.to_string().replace('"', "")).collect();
            found.push(format!("{field}: {} = {}", values.join(" "), schema["default"]));
        }
    });
    let operator = "matchExpressions[].operator: In NotIn Exists DoesNotExist = null";
    let (overriding, actions) = ("override", "enforce log skip = null");
    let document = "verifiers[].notation.trustPolicy.trustPolicies[].signatureVerification";
    assert_eq!(
        found,
        [
            "enforcementAction: deny dryrun warn = \"deny\"",
            &format!("match.labelSelector.{operator}"),
            &format!("match.namespaceSelector.{operator}"),
            "match.scope: * Cluster Namespaced = \"*\"",
            "match.source: All Generated Original = \"All\"",
            "onError: allow deny warn = \"deny\"",
            "requireDigest: allow deny warn = \"warn\"",
            "rules[].allow: true = null",
            "tier: Baseline Mandatory = \"Mandatory\"",
            "verifiers[].cosign.keys[].hashAlgorithm: sha256 sha384 sha512 = null",
            "verifiers[].cosign.platforms: all index = \"index\"",
            "verifiers[].cosign.transparencyLog: ignored optional required = \"ignored\"",
            "verifiers[].notation.clusterTrustStores[].type: ca signingAuthority tsa = null",
            "verifiers[].notation.level: audit permissive skip strict = null",
            &format!("verifiers[].notation.{overriding}.authenticTimestamp: {actions}"),
            &format!("verifiers[].notation.{overriding}.authenticity: {actions}"),
            &format!("verifiers[].notation.{overriding}.expiry: {actions}"),
            &format!("verifiers[].notation.{overriding}.revocation: {actions}"),
            &format!("verifiers[].notation.revocation: {actions}"),
            &format!("{document}.{overriding}.authenticTimestamp: {actions}"),
            &format!("{document}.{overriding}.authenticity: {actions}"),
            &format!("{document}.{overriding}.expiry: {actions}"),
            &format!("{document}.{overriding}.revocation: {actions}"),
            "verifiers[].notation.trustStores[].type: ca signingAuthority tsa = null",
            "verifiers[].notation.verifyTimestamp: afterCertExpiry always = null",
        ]
    );
}

#[test]
fn status_is_a_subresource_and_shows_in_columns() {
    let columns = crds().into_iter().map(|crd| {
        let version = &crd.spec.versions[0];
        assert!(version.subresources.as_ref().is_some_and(|own| own.status.is_some()));
        let columns = version.additional_printer_columns.iter().flatten();
        columns.map(|column| column.name.clone()).collect::<Vec<_>>().join(" ")
    });
    let expect = [
        "Mode Tier Ready Reason Age",
        "Keys Ready Reason Until Age",
        "Mode Ready Reason Age",
        "Keys Ready Reason Until Age",
    ];
    assert_eq!(columns.collect::<Vec<_>>(), expect);
}

#[test]
fn conditions_are_a_map_by_type() {
    let mut found = 0;
    visit_schemas(&mut |path, schema| {
        if path.ends_with(".status.conditions") {
            assert_eq!(schema["x-kubernetes-list-type"], "map", "{path}");
            assert_eq!(schema["x-kubernetes-list-map-keys"][0], "type", "{path}");
            found += 1;
        }
    });
    assert_eq!(found, 4);
}

#[test]
fn only_cluster_policies_have_tiers_and_no_store_has_files() {
    let mut tiers = Vec::new();
    visit_schemas(&mut |path, _| {
        if path.ends_with(".tier") {
            tiers.push(path.to_owned());
        }
        assert!(!path.ends_with(".file"), "{path}");
    });
    assert_eq!(tiers, ["ClusterImageAdmissionPolicy.spec.tier"]);
}

/// CEL reserves `namespace`; the API server wants such a field as `__namespace__`.
#[test]
fn cel_rules_name_fields_as_the_api_server_wants_them() {
    let mut rules = 0;
    visit_schemas(&mut |path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let text = rule["rule"].as_str().unwrap();
            assert!(!text.contains(".namespace"), "{path}: {text}");
            let message = rule["message"].as_str().unwrap();
            assert!(!message.is_empty() && !message.contains('\n'), "{path}: {message}");
            rules += 1;
        }
    });
    assert!(rules > 20, "only {rules} rules");
}
