//! `spec.match`: Gatekeeper's constraint match, field by field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{MATCH_ITEMS_MAX, MATCH_TEXT_LENGTH_MAX};

/// The pattern of Gatekeeper's CRD for the globs of `match`.
const WILDCARD: &str = r"^\*?[-:a-z0-9]*\*?$";

/// Which objects the policy looks at. All conditions that are given must hold; the meaning of each
/// is that of the `match` of a Gatekeeper constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchSpec {
    /// Kinds of objects, any of which must hold; without entries, all kinds. Policies are enforced
    /// on pods. Workloads such as Deployments are shown a warning about the pods that they would
    /// make, unless an entry names their kind: then the policy is enforced on them too. Example:
    /// `[{apiGroups: [""], kinds: ["Pod"]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX))]
    pub kinds: Vec<KindsSpec>,
    /// `Namespaced` for objects in a namespace, `Cluster` for those outside of one, `*` for both.
    #[serde(default)]
    pub scope: Scope,
    /// Namespaces, any of which must match. A `*` stands for anything, at the beginning or end only.
    /// Example: `["app", "team-*"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX))]
    #[schemars(inner(length(max = MATCH_TEXT_LENGTH_MAX), regex(pattern = WILDCARD)))]
    pub namespaces: Vec<String>,
    /// Namespaces, none of which may match; stronger than `namespaces`. Example: `["kube-*"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX))]
    #[schemars(inner(length(max = MATCH_TEXT_LENGTH_MAX), regex(pattern = WILDCARD)))]
    pub excluded_namespaces: Vec<String>,
    /// What the labels of the object itself must be. Whoever creates the object chooses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelectorSpec>,
    /// What the labels of the object's namespace must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelectorSpec>,
    /// What the name of the object must be; a `*` as in `namespaces`. Example: `web-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MATCH_TEXT_LENGTH_MAX), regex(pattern = WILDCARD))]
    pub name: Option<String>,
    /// `Original` for objects as they were sent, `Generated` for the pods that workloads would make,
    /// `All` for both.
    #[serde(default)]
    pub source: Source,
}

/// Kinds of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindsSpec {
    /// API groups, `""` for the core group; none or `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX), inner(length(max = MATCH_TEXT_LENGTH_MAX)))]
    pub api_groups: Vec<String>,
    /// Kinds; none or `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX), inner(length(max = MATCH_TEXT_LENGTH_MAX)))]
    pub kinds: Vec<String>,
}

/// A label selector, as elsewhere in Kubernetes; all its entries must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelectorSpec {
    /// Labels with the values that they must have. Example: `{tier: web}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MATCH_ITEMS_MAX))]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on labels. Example: `[{key: env, operator: In, values: [prod]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX))]
    pub match_expressions: Vec<LabelExpressionSpec>,
}

/// A condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelExpressionSpec {
    /// The label's key.
    #[schemars(length(min = 1, max = MATCH_TEXT_LENGTH_MAX))]
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// The values for `In` and `NotIn`; none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MATCH_ITEMS_MAX), inner(length(max = MATCH_TEXT_LENGTH_MAX)))]
    pub values: Vec<String>,
}

/// Where objects stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Everywhere.
    #[default]
    #[serde(rename = "*")]
    Any,
    /// Outside of namespaces.
    Cluster,
    /// In a namespace.
    Namespaced,
}

/// Where objects come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Source {
    /// Both.
    #[default]
    All,
    /// Made from a workload's pod template.
    Generated,
    /// Sent to the API server.
    Original,
}
