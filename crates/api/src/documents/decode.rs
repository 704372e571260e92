//! One value into what it says, by its apiVersion and kind.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::{Body, DocumentError, DocumentKind, KeyedData};
use crate::resources::{
    API_VERSION, ClusterImageAdmissionPolicy, ClusterTrustStore, ImageAdmissionPolicy, TrustStore,
};
use crate::yaml;

/// A field and what is wrong with it.
type FieldError = (String, String);
type Decode = fn(Value) -> Result<Body, FieldError>;

/// Every kind that can be read.
const KINDS: [(&str, &str, DocumentKind, Decode); 7] = [
    (API_VERSION, "ClusterImageAdmissionPolicy", DocumentKind::ClusterPolicy, cluster_policy),
    (API_VERSION, "ImageAdmissionPolicy", DocumentKind::Policy, policy),
    (API_VERSION, "ClusterTrustStore", DocumentKind::Other, cluster_trust_store),
    (API_VERSION, "TrustStore", DocumentKind::Other, trust_store),
    ("v1", "Secret", DocumentKind::Other, secret),
    ("v1", "ConfigMap", DocumentKind::Other, config_map),
    ("v1", "Namespace", DocumentKind::Other, namespace),
];

/// The kind of a list of objects of any kind.
const LIST: &str = "List";

/// The documents that `value` is: the items of a list, as `kubectl get -o yaml` writes one, or itself.
pub(super) fn items(mut value: Value) -> Vec<Value> {
    if value.get("kind").and_then(Value::as_str) == Some(LIST)
        && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take)
    {
        return items;
    }
    vec![value]
}

/// What `value` says.
pub(super) fn body(value: Value) -> Result<Body, DocumentError> {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").unwrap_or_default();
    let kind = text("/kind").unwrap_or_default();
    let known = KINDS.iter().find(|known| (known.0, known.1) == (api_version, kind));
    let mut error = DocumentError {
        kind: known.map_or_else(|| taken_for(api_version, kind), |known| known.2),
        namespace: text("/metadata/namespace").map(crate::one_line),
        name: text("/metadata/name").map(crate::one_line),
        enforcement_action: lenient(&value, "/spec/enforcementAction"),
        tier: lenient(&value, "/spec/tier"),
        ..DocumentError::unreadable(String::new())
    };
    let result = match known {
        Some((.., decode)) => decode(value),
        None => Err(("kind".to_owned(), unknown_kind(api_version, kind))),
    };
    result.map_err(|(field, reason)| {
        error.invalid = crate::invalid(field, reason);
        error
    })
}

/// What a document of no known kind must be taken for. One that may have been meant as a policy
/// must not vanish by a slip of the pen; what is clearly somebody else's may.
fn taken_for(api_version: &str, kind: &str) -> DocumentKind {
    let ours = api_version.is_empty() || api_version.starts_with("assay.dev");
    match (kind, ours) {
        ("Configuration", true) => DocumentKind::Other,
        ("ImageAdmissionPolicy", _) => DocumentKind::Policy,
        (_, true) => DocumentKind::ClusterPolicy,
        ("" | LIST, _) => DocumentKind::ClusterPolicy,
        _ if kind.ends_with("ImageAdmissionPolicy") => DocumentKind::ClusterPolicy,
        _ => DocumentKind::Other,
    }
}

fn unknown_kind(api_version: &str, kind: &str) -> String {
    let known: Vec<String> =
        KINDS.iter().map(|(version, kind, ..)| format!("{version} {kind}")).collect();
    let known = known.join(", ");
    format!("apiVersion '{api_version}' and kind '{kind}' are not known here; known are {known}")
}

/// The value at `pointer`, or its default where there is none or it does not fit.
fn lenient<T: DeserializeOwned + Default>(value: &Value, pointer: &str) -> T {
    let value = value.pointer(pointer).cloned();
    value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

/// A resource of ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    spec: S,
    /// The controller's.
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

/// The metadata that users write, and that which the API server adds, so that the output of
/// `kubectl get -o yaml` can be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    #[serde(default, rename = "creationTimestamp")]
    _creation_timestamp: IgnoredAny,
    #[serde(default, rename = "deletionGracePeriodSeconds")]
    _deletion_grace_period_seconds: IgnoredAny,
    #[serde(default, rename = "deletionTimestamp")]
    _deletion_timestamp: IgnoredAny,
    #[serde(default, rename = "finalizers")]
    _finalizers: IgnoredAny,
    #[serde(default, rename = "generateName")]
    _generate_name: IgnoredAny,
    #[serde(default, rename = "generation")]
    _generation: IgnoredAny,
    #[serde(default, rename = "managedFields")]
    _managed_fields: IgnoredAny,
    #[serde(default, rename = "ownerReferences")]
    _owner_references: IgnoredAny,
    #[serde(default, rename = "resourceVersion")]
    _resource_version: IgnoredAny,
    #[serde(default, rename = "uid")]
    _uid: IgnoredAny,
}

impl Metadata {
    fn object_meta(self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name),
            namespace: self.namespace,
            labels: Some(self.labels),
            ..ObjectMeta::default()
        }
    }
}

/// Decodes a resource of ours, which has a namespace where it is `namespaced`, and else none.
fn resource<S: DeserializeOwned>(
    value: Value,
    namespaced: bool,
) -> Result<(ObjectMeta, S), FieldError> {
    let Resource { metadata, spec, .. } = yaml::decode::<Resource<S>>(value)?;
    let wrong = |field: &str, reason: &str| Err((field.to_owned(), reason.to_owned()));
    let has_namespace = metadata.namespace.as_ref().is_some_and(|namespace| !namespace.is_empty());
    match (namespaced, has_namespace) {
        _ if metadata.name.is_empty() => wrong("metadata.name", "is empty"),
        _ if !is_one_line(&metadata.name) => wrong("metadata.name", "is no name"),
        _ if !metadata.namespace.as_deref().is_none_or(is_one_line) => {
            wrong("metadata.namespace", "is no name")
        }
        (true, false) => wrong("metadata.namespace", "is needed: the kind is namespaced"),
        (false, true) => {
            wrong("metadata.namespace", "must not be given: the kind is cluster-scoped")
        }
        _ => Ok((metadata.object_meta(), spec)),
    }
}

/// Whether `name` can stand in messages between words of ours. What else the API server asks of
/// names is not looked at.
fn is_one_line(name: &str) -> bool {
    crate::one_line(name) == name
}

fn cluster_policy(value: Value) -> Result<Body, FieldError> {
    let (metadata, spec) = resource(value, false)?;
    let policy = ClusterImageAdmissionPolicy { metadata, spec, status: None };
    Ok(Body::ClusterImageAdmissionPolicy(Box::new(policy)))
}

fn policy(value: Value) -> Result<Body, FieldError> {
    let (metadata, spec) = resource(value, true)?;
    Ok(Body::ImageAdmissionPolicy(Box::new(ImageAdmissionPolicy { metadata, spec, status: None })))
}

fn cluster_trust_store(value: Value) -> Result<Body, FieldError> {
    let (metadata, spec) = resource(value, false)?;
    Ok(Body::ClusterTrustStore(Box::new(ClusterTrustStore { metadata, spec, status: None })))
}

fn trust_store(value: Value) -> Result<Body, FieldError> {
    let (metadata, spec) = resource(value, true)?;
    Ok(Body::TrustStore(Box::new(TrustStore { metadata, spec, status: None })))
}

/// A Secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Secret {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    string_data: BTreeMap<String, String>,
    #[serde(default, rename = "type")]
    _type: IgnoredAny,
    #[serde(default, rename = "immutable")]
    _immutable: IgnoredAny,
}

fn secret(value: Value) -> Result<Body, FieldError> {
    let Secret { metadata, data, string_data, .. } = yaml::decode(value)?;
    Ok(Body::Secret(keyed_data(metadata, ("data", data), string_data)?))
}

/// A ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigMap {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    binary_data: BTreeMap<String, String>,
    #[serde(default, rename = "immutable")]
    _immutable: IgnoredAny,
}

fn config_map(value: Value) -> Result<Body, FieldError> {
    let ConfigMap { metadata, data, binary_data, .. } = yaml::decode(value)?;
    Ok(Body::ConfigMap(keyed_data(metadata, ("binaryData", binary_data), data)?))
}

/// A Namespace. Its `spec` and `status` are the API server's.
#[derive(Deserialize)]
struct NamespaceObject {
    metadata: Metadata,
}

fn namespace(value: Value) -> Result<Body, FieldError> {
    let NamespaceObject { metadata } = yaml::decode(value)?;
    Ok(Body::Namespace { name: metadata.name, labels: metadata.labels })
}

/// The entries of a base64 field and of a plain one, which is the stronger.
fn keyed_data(
    metadata: Metadata,
    (field, encoded): (&str, BTreeMap<String, String>),
    plain: BTreeMap<String, String>,
) -> Result<KeyedData, FieldError> {
    let mut data = BTreeMap::new();
    for (key, text) in encoded {
        let text: String = text.chars().filter(|char| !matches!(char, '\n' | '\r')).collect();
        let bytes = BASE64_STANDARD
            .decode(text)
            .map_err(|_| (format!("{field}.{key}"), "is not base64".to_owned()))?;
        data.insert(key, bytes);
    }
    data.extend(plain.into_iter().map(|(key, text)| (key, text.into_bytes())));
    let namespace = metadata.namespace.unwrap_or_else(|| "default".to_owned());
    Ok(KeyedData { namespace, name: metadata.name, data })
}
