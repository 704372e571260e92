//! The resources of the group `assay.dev` as users write them: the wire format of the cluster and
//! of files. Nothing here judges; [`crate::compile`] lowers it to what does.
//!
//! Doc comments on fields are what `kubectl explain` prints, so they are written for users.

mod matching;
mod notation;
#[expect(clippy::duplicated_attributes, reason = "columns of one type")]
mod policy;
mod schema;
mod status;
#[expect(clippy::duplicated_attributes, reason = "columns of one type")]
mod trust_store;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

pub use matching::{KindsSpec, LabelExpressionSpec, LabelSelectorSpec, MatchSpec, Scope, Source};
pub(crate) use notation::LEVEL_SKIP;
pub use notation::{
    Action, CertificateStoreSpec, Level, NotationSpec, OverrideSpec, SignatureVerificationSpec,
    StatementSpec, TrustPolicySpec, VerifyTimestamp,
};
pub(crate) use policy::TRANSPARENCY_LOG_LATER;
pub use policy::{
    AtLeastSpec, ClusterImageAdmissionPolicy, ClusterImageAdmissionPolicySpec, CosignSpec,
    EnforcementAction, GroupSpec, HashAlgorithm, ImageAdmissionPolicy, ImageAdmissionPolicySpec,
    KeySpec, OnError, Platforms, RequireDigest, RequirementSpec, RuleSpec, Tier, TransparencyLog,
    VerifierSpec,
};
pub use schema::{schema, schemas};
pub use status::{MESSAGE_LENGTH_MAX, PolicyStatus, RecentStatus, TrustStoreStatus, condition};
pub(crate) use trust_store::MaterialSpec;
pub use trust_store::{
    CertificateKind, CertificatesSpec, ClusterTrustStore, ClusterTrustStoreSpec, KeyReference,
    PublicKeysSpec, TrustStore, TrustStoreSpec,
};

/// The group and version of the resources, and of the configuration file.
pub const API_VERSION: &str = "assay.dev/v1alpha1";

/// The CustomResourceDefinitions of all kinds, in order of name.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        ClusterImageAdmissionPolicy::crd(),
        ClusterTrustStore::crd(),
        ImageAdmissionPolicy::crd(),
        TrustStore::crd(),
    ];
    let versions = crds.iter_mut().flat_map(|crd| &mut crd.spec.versions);
    let schemas = versions.filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(unwrap_lines);
    crds
}

/// Takes the line breaks of the source out of what `kubectl explain` wraps by itself.
fn unwrap_lines(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        *text = text.replace('\n', " ");
    }
    schema.properties.iter_mut().flat_map(BTreeMap::values_mut).for_each(unwrap_lines);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        unwrap_lines(items);
    }
}

/// [`crds`] as a YAML stream, byte by byte the same on every call: `manifests/crds.yaml`.
///
/// # Errors
/// The definitions cannot be written as YAML, which the tests exclude.
pub fn crds_yaml() -> Result<String, serde_saphyr::SerializeError> {
    let mut yaml = String::new();
    for crd in crds() {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(&crd)?);
    }
    Ok(yaml)
}

/// A CEL rule, as a schema's `x-kubernetes-validations` holds it.
fn cel(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// The CEL rule that exactly one of `fields` is given. (`oneOf` would not be structural.)
fn exactly_one(fields: &[&str]) -> Value {
    let given: Vec<String> = fields.iter().map(|field| format!("has(self.{field})")).collect();
    let message = match fields {
        [field] => format!("{field} is needed"),
        _ => format!("exactly one of {} is needed", fields.join(", ")),
    };
    cel(&format!("[{}].filter(given, given).size() == 1", given.join(", ")), &message)
}
