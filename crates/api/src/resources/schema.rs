//! JSON Schemas of the kinds, for editors.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

use super::{API_VERSION, crds};

/// The dialect of the schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What the schemas' names begin with.
const SCHEMAS: &str = "https://assay.dev/schemas/v1alpha1";

/// The JSON Schema (draft 2020-12) of each kind, by kind, in order: what the API server checks, with
/// unknown fields refused and without its own vocabulary (CEL rules, list types), which no editor
/// knows. Of `metadata` it says only what a file must give.
pub fn schemas() -> Vec<(String, Value)> {
    crds().into_iter().map(|crd| (crd.spec.names.kind.clone(), of_kind(&crd))).collect()
}

/// The JSON Schema (draft 2020-12) of all kinds in one, for files that hold several.
pub fn schema() -> Value {
    let kinds = schemas();
    let references = kinds.iter().map(|(kind, _)| json!({"$ref": format!("#/$defs/{kind}")}));
    let references: Vec<Value> = references.collect();
    let definition = |(kind, mut schema): (String, Value)| {
        // They are of this document now.
        for own in ["$schema", "$id"] {
            schema.as_object_mut().map(|fields| fields.remove(own));
        }
        (kind, schema)
    };
    let definitions: Map<String, Value> = kinds.into_iter().map(definition).collect();
    json!({
        "$schema": DIALECT,
        "$id": format!("{SCHEMAS}/all.json"),
        "title": "Assay",
        "oneOf": references,
        "$defs": definitions,
    })
}

fn of_kind(crd: &CustomResourceDefinition) -> Value {
    let version = crd.spec.versions.first();
    let own = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    // A schema is data and always a value.
    let mut own = serde_json::to_value(own).unwrap_or_default();
    for_editors(&mut own);
    let kind = &crd.spec.names.kind;
    let part = |name: &str| own.pointer(name).cloned().unwrap_or_default();
    json!({
        "$schema": DIALECT,
        "$id": format!("{SCHEMAS}/{}.json", kind.to_lowercase()),
        "title": kind,
        "description": part("/description"),
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "minLength": 1},
                "namespace": {"type": "string", "minLength": 1},
            }},
            "spec": part("/properties/spec"),
            "status": {"type": "object", "description": "The controller's; ignored in files."},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

/// Turns a structural schema into a plain one: `nullable` and `x-kubernetes-*` are OpenAPI's and the
/// API server's.
fn for_editors(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.retain(|name, _| !name.starts_with("x-kubernetes-"));
    if fields.remove("nullable") == Some(Value::Bool(true)) {
        nullable(fields);
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(for_editors);
        fields.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            for_editors(inner);
        }
    }
}

fn nullable(fields: &mut Map<String, Value>) {
    if let Some(kind) = fields.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.push(Value::Null);
    }
}
