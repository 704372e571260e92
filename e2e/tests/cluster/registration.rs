//! The match conditions of `manifests/webhook.yaml`, as the API server evaluates them: which requests
//! Assay is asked about, and which pass without it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use assay_e2e::until;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Where nobody listens: whoever is asked about is refused.
const NOBODY: &str = "https://127.0.0.1:1/validate";

/// The namespace that the registration is confined to.
const NAMESPACE: &str = "registered";

/// What stands there before anybody is asked: each workload without pods.
fn objects() -> Value {
    let pod = json!({"containers": [{"name": "web", "image": "registry.example/web:v1"}]});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod});
    let mut batch_template = template.clone();
    batch_template["spec"]["restartPolicy"] = json!("Never");
    let selector = json!({"matchLabels": {"app": "web"}});
    let object = |version: &str, kind: &str, part: (&str, Value)| {
        let metadata = json!({"name": "web", "namespace": NAMESPACE});
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
        object[part.0] = part.1;
        object
    };
    let workload = |mut spec: Value| {
        spec["template"] = template.clone();
        ("spec", spec)
    };
    let mut with_finalizer = object("v1", "Pod", ("spec", pod));
    with_finalizer["metadata"]["finalizers"] = json!(["registry.example/finalizer"]);
    let idle = json!({"replicas": 0, "selector": selector});
    let named = json!({"replicas": 0, "selector": selector, "serviceName": "web"});
    let suspended = json!({"suspend": true, "template": batch_template});
    let monthly = json!({
        "schedule": "0 0 1 1 *",
        "jobTemplate": {"spec": {"template": batch_template}},
    });
    let items = [
        with_finalizer,
        object("v1", "PodTemplate", ("template", template.clone())),
        object("v1", "ReplicationController", workload(json!({"replicas": 0}))),
        object("apps/v1", "Deployment", workload(idle.clone())),
        object("apps/v1", "ReplicaSet", workload(idle)),
        object("apps/v1", "StatefulSet", workload(named)),
        object("batch/v1", "Job", ("spec", suspended)),
        object("batch/v1", "CronJob", ("spec", monthly)),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The registration of the manifests, confined to the namespace, and to nobody.
fn registration(fixture: &Fixture) -> Result<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/webhook.yaml");
    let file = file.to_string_lossy();
    let read = ["create", "--dry-run=client", "--output=json", "--filename", &file];
    let mut registration: Value =
        serde_json::from_str(&fixture.cluster.kubectl(&read)?.succeeded()?)?;
    registration["metadata"] = json!({"name": NAMESPACE});
    let webhooks = registration["webhooks"].as_array_mut().context("no webhooks")?;
    for webhook in webhooks {
        webhook["clientConfig"] = json!({"url": NOBODY});
        webhook["failurePolicy"] = json!("Fail");
        webhook["namespaceSelector"] =
            json!({"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}});
    }
    Ok(registration)
}

/// Changes, one kubectl call each, with whether Assay is asked. None that is refused is stored.
const CHANGES: &[(&str, &str, bool)] = &[
    ("pod", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("pod", r#"{"metadata": {"finalizers": null}}"#, false),
    ("pod", r#"{"spec": {"activeDeadlineSeconds": 1000}}"#, false),
    ("pod", r#"{"metadata": {"labels": {"a": "b"}}}"#, true),
    (
        "pod",
        r#"{"spec": {"containers": [{"name": "web", "image": "registry.example/web:v2"}]}}"#,
        true,
    ),
    ("deployment", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("deployment", r#"{"spec": {"minReadySeconds": 1, "replicas": 0}}"#, false),
    ("deployment", r#"{"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}"#, false),
    ("deployment", r#"{"metadata": {"labels": {"a": "b"}}}"#, true),
    ("deployment", r#"{"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}"#, true),
    ("deployment", INIT_CONTAINER, true),
    ("deployment", IMAGE_VOLUME, true),
    ("deployment", IMAGE, true),
    ("replicaset", r#"{"spec": {"replicas": 0, "minReadySeconds": 1}}"#, false),
    ("replicaset", IMAGE, true),
    ("statefulset", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("statefulset", IMAGE, true),
    ("replicationcontroller", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("replicationcontroller", IMAGE, true),
    ("job", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("job", r#"{"metadata": {"labels": {"a": "b"}}}"#, true),
    ("cronjob", r#"{"spec": {"suspend": true}}"#, false),
    ("cronjob", CRON_JOB_IMAGE, true),
    ("podtemplate", r#"{"metadata": {"annotations": {"a": "b"}}}"#, false),
    ("podtemplate", POD_TEMPLATE_IMAGE, true),
];

const IMAGE: &str =
    r#"{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "other"}]}}}}"#;
const INIT_CONTAINER: &str =
    r#"{"spec": {"template": {"spec": {"initContainers": [{"name": "init", "image": "other"}]}}}}"#;
const IMAGE_VOLUME: &str = r#"{"spec": {"template": {"spec": {"volumes": [{"name": "data", "image": {"reference": "other"}}]}}}}"#;
const CRON_JOB_IMAGE: &str = r#"{"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "other"}]}}}}}}"#;
const POD_TEMPLATE_IMAGE: &str =
    r#"{"template": {"spec": {"containers": [{"name": "web", "image": "other"}]}}}"#;

pub(crate) fn asks_about_changes_of_images_and_labels_only(fixture: &mut Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    cluster.create_namespace(NAMESPACE, &json!({}))?;
    cluster.apply(&objects())?.succeeded()?;
    cluster.apply(&registration(fixture)?)?.succeeded()?;
    let result = check_changes(fixture);
    cluster.kubectl(&["delete", "validatingwebhookconfiguration", NAMESPACE])?.succeeded()?;
    result
}

fn check_changes(fixture: &Fixture) -> Result<()> {
    let kubectl = |arguments: &[&str]| {
        let all = [arguments, &["--namespace", NAMESPACE]].concat();
        fixture.cluster.kubectl(&all)
    };
    let check = |arguments: &[&str], is_asked: bool| -> Result<()> {
        let output = kubectl(arguments)?;
        let found = output.stderr.contains("failed calling webhook");
        ensure!(found == is_asked, "{arguments:?}: {}", output.stderr);
        ensure!(output.success != found, "{arguments:?}: {}", output.stderr);
        Ok(())
    };
    let image = "--image=registry.example/web:v1";
    until("the registration", || Ok(check(&["run", "new", image], true).ok()))?;
    check(&["create", "deployment", "new", image], true)?;
    check(&["debug", "web", "--profile=general", image], true)?;
    for (kind, change, is_asked) in CHANGES {
        check(&["patch", kind, "web", "--patch", change], *is_asked)?;
    }
    check(&["scale", "deployment", "web", "--replicas=0"], false)?;
    check(&["delete", "pod", "web", "--wait=false"], false)
}
