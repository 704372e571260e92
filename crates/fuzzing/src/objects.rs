//! Kubernetes objects, which anybody who may create one writes.

use assay_policy::{OBJECT_IMAGES_MAX, Object, PULL_SECRETS_MAX, Role};
use serde_json::Value;

/// Objects, most of which have images.
pub const OBJECTS: &[&str] = &[
    r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-1","generateName":"web-","namespace":"shop","labels":{"app":"web"},"ownerReferences":[{"kind":"ReplicaSet","controller":true}]},"spec":{"volumes":[{"name":"data","emptyDir":{}},{"name":"model","image":{"reference":"registry.example/model:v1"}}],"initContainers":[{"name":"init","image":"busybox"}],"imagePullSecrets":[{"name":"pull"},null,{"name":""},{"name":"more"},{"name":"pull"}],"containers":[{"name":"web","image":"nginx:1.27","env":[{"name":"image","value":"x"}]},{"name":"side","image":"ghcr.io\/corp\/side"}],"ephemeralContainers":[{"name":"debug"}]},"status":{"containerStatuses":[{"image":"not-counted"}]}}"#,
    r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"nginx"},null]}}}}"#,
    r#"{"apiVersion":"batch/v1","kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"image":"nginx"}],"initContainers":null}}}}}}"#,
    r#"{"apiVersion":"v1","kind":"PodTemplate","template":{"spec":{"containers":[{"image":"nginx"}]}}}"#,
    r#"{"apiVersion":"v1","kind":"ReplicationController","metadata":null,"spec":{"template":null}}"#,
    r#"{"apiVersion":"example.com/v1","kind":"Pod","spec":{"containers":[{"image":"nginx"}]}}"#,
];

/// An object has the images that stand in its JSON, each, in order, and no others; and the names of the
/// pull Secrets.
pub fn object(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(object) = Object::parse(text) else { return false };
    // What is nested too deeply for a tree of values cannot be compared.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return true };
    let found: Vec<&str> = object.images.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(found, images(&value));
    assert!(found.len() <= OBJECT_IMAGES_MAX);
    assert!(object.role() != Role::Other || found.is_empty());
    assert_eq!(object.pull_secrets, pull_secrets(&value));
    let pod = object.generated_pod();
    assert_eq!(pod.is_some(), object.role() == Role::Workload);
    assert!(pod.is_none_or(|pod| pod.images == object.images));
    true
}

/// The pull Secrets in a tree of values.
fn pull_secrets(object: &Value) -> Vec<&str> {
    let items = pod(object)["imagePullSecrets"].as_array().into_iter().flatten();
    let mut names = Vec::new();
    for name in items.filter_map(|item| item["name"].as_str()) {
        let is_new = !names.contains(&name) && names.len() <= PULL_SECRETS_MAX;
        if is_new && !name.is_empty() && name.len() <= 253 {
            names.push(name);
        }
    }
    names
}

/// The pod specification in a tree of values.
fn pod(object: &Value) -> &Value {
    let text = |field| object[field].as_str().unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text("kind")) {
        ("", "Pod") => &object["spec"],
        ("", "PodTemplate") => &object["template"]["spec"],
        ("", "ReplicationController")
        | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
        | ("batch", "Job") => &object["spec"]["template"]["spec"],
        ("batch", "CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &Value::Null,
    }
}

/// The images in a tree of values.
fn images(object: &Value) -> Vec<&str> {
    let pod = pod(object);
    let items = |field| pod[field].as_array().into_iter().flatten();
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    let containers = containers.into_iter().flat_map(items).map(|container| &container["image"]);
    let volumes = items("volumes").map(|volume| &volume["image"]).filter(|image| image.is_object());
    let images = containers.chain(volumes.map(|image| &image["reference"]));
    images.map(|image| image.as_str().unwrap_or_default()).collect()
}
