//! The JSON Schemas for editors.

use assay_api::resources::{schema, schemas};
use serde_json::Value;

/// Calls `visit` with every schema under `schema`.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&format!("{path}[]"), &schema[inner], visit);
        }
    }
}

#[test]
fn there_is_one_for_each_kind() {
    let kinds: Vec<String> = schemas().into_iter().map(|(kind, _)| kind).collect();
    let expect =
        ["ClusterImageAdmissionPolicy", "ClusterTrustStore", "ImageAdmissionPolicy", "TrustStore"];
    assert_eq!(kinds, expect);
}

#[test]
fn they_are_plain_json_schema_that_refuses_unknown_fields() {
    for (kind, schema) in schemas() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["properties"]["kind"]["const"], *kind);
        walk(&kind, &schema, &mut |path, schema| {
            for key in schema.as_object().into_iter().flatten().map(|(key, _)| key) {
                assert!(!key.starts_with("x-") && key != "nullable", "{path}: {key}");
            }
            let open = path.ends_with(".metadata") || path.ends_with(".status");
            if schema.get("properties").is_some() && !open {
                assert_eq!(schema["additionalProperties"], false, "{path}");
            }
        });
    }
}

#[test]
fn one_of_all_kinds_holds_those_of_each() {
    let all = schema();
    let references = all["oneOf"].as_array().unwrap();
    assert_eq!(references.len(), schemas().len());
    for ((kind, own), reference) in schemas().into_iter().zip(references) {
        assert_eq!(reference["$ref"], format!("#/$defs/{kind}"));
        let definition = &all["$defs"][&kind];
        assert_eq!((&definition["properties"], definition.get("$id")), (&own["properties"], None));
    }
}

#[test]
fn what_may_be_absent_may_be_null() {
    let (_, schema) = schemas().swap_remove(0);
    let spec = &schema["properties"]["spec"]["properties"];
    assert_eq!(spec["match"]["type"], serde_json::json!(["object", "null"]));
    assert_eq!(spec["rules"]["type"], "array");
}
