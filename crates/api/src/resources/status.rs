//! What the controller says about a resource: the `status` of the kinds. It never decides anything.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The types of conditions.
pub mod condition {
    /// The resource says something that can be meant.
    pub const ACCEPTED: &str = "Accepted";
    /// Labels or names that users choose decide whether a mandatory policy applies.
    pub const ESCAPABLE: &str = "Escapable";
    /// The resource does what it says; where it does not, what rests on it is refused.
    pub const READY: &str = "Ready";
    /// What the resource names is there and may be read.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
}

/// Conditions of one resource: the four types, and room for those to come.
const CONDITIONS_MAX: usize = 16;
/// Characters of a condition's message, which is cut to that.
pub const MESSAGE_LENGTH_MAX: usize = 1024;

/// What the controller says about a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// What is so, by type: `Accepted`, `ResolvedRefs`, `Ready`, and `Escapable` on policies that are
    /// mandatory. A policy that is not ready fails closed: what it covers is refused, in the manner
    /// of its enforcementAction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// What the policy did of late, as the one replica saw it that writes the status. The metric
    /// `assay_admission_denials_total` has it from all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent: Option<RecentStatus>,
}

/// What a policy did of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentStatus {
    /// Violations that refused.
    pub denied: i64,
    /// Violations that a `dryrun` policy let pass.
    pub dryrun: i64,
    /// Since when these are counted.
    #[schemars(schema_with = "time")]
    pub since: Time,
    /// Violations that a `warn` policy warned of.
    pub warned: i64,
}

/// What the controller says about a trust store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustStoreStatus {
    /// What is so, by type: `Accepted`, `ResolvedRefs`, `Ready`. Policies that rest on a store that is
    /// not ready fail closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// How many keys it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i64>,
    /// When the first of its keys or certificates ceases to count. `Ready` gives the reason
    /// `ExpiresSoon` from 30 days before, and `Expired` from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub not_after: Option<Time>,
}

/// The schema of metav1's conditions, which has no bounds of its own.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    let text = |length: usize, description: &str| json!({"type": "string", "maxLength": length, "description": description});
    json_schema!({
        "type": "array",
        "maxItems": CONDITIONS_MAX,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "Something that is so, or not.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": timestamp("Since when the status is what it is."),
                "message": text(MESSAGE_LENGTH_MAX, "The reason, for people."),
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The metadata.generation that this was said about.",
                },
                "reason": text(64, "The reason, in one word."),
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it is so.",
                },
                "type": text(316, "What: Accepted, ResolvedRefs, Ready or Escapable."),
            },
        },
    })
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 64})
}

fn timestamp(description: &str) -> serde_json::Value {
    json!({"type": "string", "format": "date-time", "maxLength": 64, "description": description})
}
