use serde_json::{Value, json};

use super::*;

/// A pod as the API server sends it.
const POD: &str = r#"{
  "kind": "Pod", "apiVersion": "v1",
  "metadata": {
    "name": "web-7c5ddbdf54-x2xkz", "generateName": "web-7c5ddbdf54-", "namespace": "shop",
    "creationTimestamp": null,
    "labels": {"app": "web", "quoted\u002fkey": "a \"value\""},
    "annotations": {"note": "image: evil"},
    "ownerReferences": [
      {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"},
      {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "2", "controller": true}],
    "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}}}}]},
  "spec": {
    "volumes": [
      {"name": "data", "emptyDir": {}},
      {"name": "model", "image": {"reference": "registry.example/model:v1", "pullPolicy": "Always"}}],
    "initContainers": [{"name": "init", "image": "busybox", "command": ["sh"]}],
    "containers": [
      {"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}], "resources": {}},
      {"name": "side", "image": "ghcr.io\/corp\/side", "env": [{"name": "image", "value": "x"}]}],
    "ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "web"}],
    "restartPolicy": "Always", "serviceAccountName": "default"},
  "status": {"containerStatuses": [{"image": "not-counted"}]}
}"#;

fn images(object: &Object) -> Vec<(&str, &str)> {
    object.images.iter().map(|i| (i.name.as_str(), i.reference.as_str())).collect()
}

fn parse(value: &Value) -> Result<Object, ObjectError> {
    Object::parse(&value.to_string())
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
}

#[test]
fn reads_a_pod_with_every_kind_of_image() {
    let object = Object::parse(POD).unwrap();
    assert_eq!((object.group.as_str(), object.kind.as_str()), ("", "Pod"));
    assert_eq!((object.namespace.as_str(), object.name.as_str()), ("shop", "web-7c5ddbdf54-x2xkz"));
    assert_eq!(object.generate_name, "web-7c5ddbdf54-");
    assert_eq!(object.labels["app"], "web");
    assert_eq!(object.labels["quoted/key"], "a \"value\"");
    assert_eq!(object.source, Source::Original);
    assert!(object.controlled);
    assert_eq!(object.template_labels, None);
    assert_eq!(
        images(&object),
        [
            ("web", "nginx:1.27"),
            ("side", "ghcr.io/corp/side"),
            ("init", "busybox"),
            ("debug", "busybox"),
            ("model", "registry.example/model:v1"),
        ]
    );
    assert_eq!(object.generated_pod(), None);
}

/// `(apiVersion, kind, role, where the pod template stands)`.
const KINDS: [(&str, &str, Role, &str); 16] = [
    ("v1", "Pod", Role::Pod, ""),
    ("v1", "PodTemplate", Role::Workload, "/template"),
    ("v1", "ReplicationController", Role::Workload, "/spec/template"),
    ("apps/v1", "DaemonSet", Role::Workload, "/spec/template"),
    ("apps/v1", "Deployment", Role::Workload, "/spec/template"),
    ("apps/v1beta2", "Deployment", Role::Workload, "/spec/template"),
    ("apps/v1", "ReplicaSet", Role::Workload, "/spec/template"),
    ("apps/v1", "StatefulSet", Role::Workload, "/spec/template"),
    ("batch/v1", "Job", Role::Workload, "/spec/template"),
    ("batch/v1", "CronJob", Role::Workload, "/spec/jobTemplate/spec/template"),
    ("apps/v1", "Pod", Role::Other, ""),
    ("v1", "Deployment", Role::Other, "/spec/template"),
    ("example.dev/v1", "Job", Role::Other, "/spec/template"),
    ("v1", "pod", Role::Other, ""),
    ("autoscaling/v1", "Scale", Role::Other, "/spec/template"),
    ("v1", "Namespace", Role::Other, ""),
];

/// `template` at `pointer` in an otherwise empty object.
fn nested(pointer: &str, template: Value) -> Value {
    pointer
        .rsplit('/')
        .filter(|key| !key.is_empty())
        .fold(template, |inner, key| json!({key: inner}))
}

#[test]
fn finds_the_images_of_the_kinds_it_knows_and_of_no_others() {
    for (api_version, kind, role, pointer) in KINDS {
        let template = json!({
            "metadata": {"labels": {"from": "template"}, "namespace": "ignored"},
            "spec": {"containers": [{"name": "c", "image": "busybox"}]},
        });
        let mut object = nested(pointer, template);
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": "n", "namespace": "ns", "labels": {"from": "object"}});
        let object = parse(&object).unwrap();
        assert_eq!(object.role(), role, "{api_version} {kind}");
        let expect: &[_] = if role == Role::Other { &[] } else { &[("c", "busybox")] };
        assert_eq!(images(&object), expect, "{api_version} {kind}");
        assert_eq!(object.labels["from"], "object");
        let generated = object.generated_pod();
        assert_eq!(generated.is_some(), role == Role::Workload, "{api_version} {kind}");
        assert_eq!(object.is_namespace(), kind == "Namespace");
        let Some(pod) = generated else { continue };
        assert_eq!((pod.group.as_str(), pod.kind.as_str(), pod.role()), ("", "Pod", Role::Pod));
        assert_eq!((pod.namespace.as_str(), pod.name.as_str()), ("ns", ""));
        assert_eq!(pod.generate_name, "n-");
        assert_eq!(pod.labels["from"], "template");
        assert_eq!(pod.source, Source::Generated);
        assert_eq!(images(&pod), expect);
    }
}

#[test]
fn only_the_core_namespace_is_a_namespace_object() {
    for (api_version, expect) in [("v1", true), ("v2", true), ("example.dev/v1", false)] {
        let object = parse(&json!({"apiVersion": api_version, "kind": "Namespace"})).unwrap();
        assert_eq!(object.is_namespace(), expect, "{api_version}");
    }
}

#[test]
fn generates_a_pod_of_a_nameless_or_empty_workload() {
    for (metadata, expect) in [
        (json!({"generateName": "web-"}), "web-"),
        (json!({"name": "web-x", "generateName": "web-"}), "web-x-"),
    ] {
        let deployment =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
        let pod = parse(&deployment).unwrap().generated_pod().unwrap();
        assert_eq!(pod.generate_name, expect);
        assert!(pod.labels.is_empty() && pod.images.is_empty());
    }
}

#[test]
fn a_controller_is_the_owner_that_says_so() {
    for (owners, expect) in [
        (json!(null), false),
        (json!([]), false),
        (json!([null, {"kind": "Node"}]), false),
        (json!([{"controller": false}, {"controller": null}]), false),
        (json!([{"controller": false}, {"controller": true}]), true),
    ] {
        let metadata = json!({"ownerReferences": owners});
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
        assert_eq!(parse(&object).unwrap().controlled, expect, "{owners}");
    }
}

#[test]
fn takes_null_for_absence() {
    for (object, expect) in [
        (json!({"apiVersion": "v1", "kind": "Pod", "metadata": null, "spec": null}), 0),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": null, "namespace": null, "generateName": null, "labels": null}}),
            0,
        ),
        (pod(json!({"containers": null, "initContainers": null, "ephemeralContainers": null})), 0),
        (pod(json!({"containers": [], "volumes": null})), 0),
        (pod(json!({"volumes": [null, {}, {"image": null}]})), 0),
        (json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": null}}), 0),
        (json!({"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": null}}), 0),
        // An image field that is absent or empty is an image that will not parse.
        (pod(json!({"containers": [null]})), 1),
        (pod(json!({"containers": [{"name": "c"}, {"image": null}, {"image": ""}]})), 3),
        (pod(json!({"volumes": [{"image": {}}, {"image": {"reference": null}}]})), 2),
    ] {
        let images = parse(&object).unwrap().images;
        assert_eq!(images.len(), expect, "{object}");
        assert!(images.iter().all(|image| image.reference.is_empty()), "{object}");
    }
    let null_label =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": null}}});
    assert_eq!(parse(&null_label).unwrap().labels["a"], "");
}

#[track_caller]
fn check_rejects(json: &str, expect: &str) {
    let error = Object::parse(json).unwrap_err().to_string();
    assert!(error.contains(expect), "{json}: {error}");
}

#[test]
fn rejects_an_object_that_does_not_say_what_it_is() {
    for (json, expect) in [
        (r#"{"kind": "Pod"}"#, "apiVersion"),
        (r#"{"kind": "Pod", "apiVersion": null}"#, "apiVersion"),
        (r#"{"kind": "Pod", "apiVersion": ""}"#, "apiVersion"),
        (r#"{"kind": "Pod", "apiVersion": "/"}"#, "apiVersion"),
        (r#"{"kind": "Pod", "apiVersion": "apps/"}"#, "apiVersion"),
        (r#"{"kind": "Pod", "apiVersion": "a/b/c"}"#, "apiVersion"),
        (r#"{"apiVersion": "v1"}"#, "kind"),
        (r#"{"apiVersion": "v1", "kind": null}"#, "kind"),
        (r#"{"apiVersion": "v1", "kind": ""}"#, "kind"),
        (r#"{"apiVersion": "v1", "Kind": "Pod"}"#, "kind"),
    ] {
        check_rejects(json, expect);
    }
}

#[test]
fn rejects_garbage() {
    let truncated = &POD[..POD.len() - 1];
    let trailing = format!("{POD}{{}}");
    for json in ["", " ", "null", "7", "\"Pod\"", "[]", "{", "}", "\0", truncated, &trailing] {
        check_rejects(json, "does not decode");
    }
}

#[test]
fn rejects_fields_of_another_type() {
    let typed = |fields: &str| format!(r#"{{"apiVersion": "v1", "kind": "Pod", {fields}}}"#);
    for fields in [
        r#""spec": {"containers": [{"name": "c", "image": 7}]}"#,
        r#""spec": {"containers": [{"name": "c", "image": ["busybox"]}]}"#,
        r#""spec": {"containers": [{"name": "c", "image": {"reference": "busybox"}}]}"#,
        r#""spec": {"containers": {"c": {"image": "busybox"}}}"#,
        r#""spec": {"containers": "busybox"}"#,
        r#""spec": {"initContainers": [["busybox"], 7]}"#,
        r#""spec": {"volumes": [{"image": "busybox"}]}"#,
        r#""spec": {"volumes": [{"image": {"reference": false}}]}"#,
        r#""spec": "busybox""#,
        r#""spec": 1"#,
        r#""metadata": {"labels": {"a": 1}}"#,
        r#""metadata": {"labels": []}"#,
        r#""metadata": {"namespace": 1}"#,
        r#""metadata": {"ownerReferences": [{"controller": "true"}]}"#,
        r#""metadata": "m""#,
    ] {
        check_rejects(&typed(fields), "does not decode");
    }
}

/// Two readers of one object must not see two images in one field.
#[test]
fn rejects_a_field_that_stands_twice() {
    for json in [
        r#"{"apiVersion": "v1", "kind": "Pod", "kind": "Service"}"#,
        r#"{"apiVersion": "v1", "kind": "Pod", "spec": {}, "spec": {}}"#,
        r#"{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [], "containers": []}}"#,
        r#"{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "a", "image": "b"}]}}"#,
    ] {
        check_rejects(json, "duplicate field");
    }
}

#[test]
fn keeps_the_reason_short() {
    let object = pod(json!({"containers": "x".repeat(10_000)})).to_string();
    let Err(ObjectError::Decode { reason }) = Object::parse(&object) else { panic!("decoded") };
    assert_eq!(reason.chars().count(), 200);
}

#[test]
fn stops_at_256_images() {
    let containers = |count: usize| vec![json!({"image": "busybox"}); count];
    let volumes = |count: usize| vec![json!({"image": {"reference": "busybox"}}); count];
    for (spec, expect) in [
        (json!({"containers": containers(256)}), Some(256)),
        (json!({"containers": containers(257)}), None),
        (
            json!({"containers": containers(100), "initContainers": containers(100),
            "ephemeralContainers": containers(28), "volumes": volumes(28)}),
            Some(256),
        ),
        (
            json!({"containers": containers(100), "initContainers": containers(100),
            "ephemeralContainers": containers(28), "volumes": volumes(29)}),
            None,
        ),
        (json!({"volumes": volumes(257)}), None),
        // Volumes without images do not count.
        (json!({"volumes": vec![json!({"emptyDir": {}}); 1000]}), Some(0)),
        (json!({"containers": vec![json!(null); 100_000]}), None),
    ] {
        let parsed = parse(&pod(spec)).map(|object| object.images.len());
        assert_eq!(parsed, expect.ok_or(ObjectError::TooManyImages));
    }
    // What stands past the bound is still read as JSON.
    let broken = format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "spec": {{"containers": [{}{{]}}}}"#,
        "{},".repeat(300)
    );
    check_rejects(&broken, "does not decode");
}

#[test]
fn survives_deep_nesting() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let object = |image: &str, extra: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "status": {extra},
            "spec": {{"affinity": {extra}, "containers": [{{"image": {image}, "env": {extra}}}]}}}}"#
        )
    };
    let parsed = Object::parse(&object(r#""busybox""#, &deep(100_000))).unwrap();
    assert_eq!(images(&parsed), [("", "busybox")]);
    check_rejects(&object(&deep(100_000), "1"), "does not decode");
}

#[test]
fn reads_whose_pull_secrets_a_pod_has() {
    let named = |names: &[&str]| {
        let entries = names.iter().map(|name| json!({"name": name}));
        entries.collect::<Vec<_>>()
    };
    let long = "a".repeat(253);
    let longer = "a".repeat(254);
    // The spec; the Secrets; the account of a template.
    for (spec, secrets, account) in [
        (json!({}), vec![], Some("default")),
        (json!({"serviceAccountName": ""}), vec![], Some("default")),
        (json!({"serviceAccountName": "robot"}), vec![], Some("robot")),
        (json!({"serviceAccountName": long}), vec![], Some(long.as_str())),
        (json!({"serviceAccountName": longer}), vec![], None),
        (json!({"imagePullSecrets": null}), vec![], Some("default")),
        (json!({"imagePullSecrets": []}), vec![], Some("default")),
        (json!({"imagePullSecrets": named(&["b", "a", "b"])}), vec!["b", "a"], None),
        (
            json!({"imagePullSecrets": named(&["a"]), "serviceAccountName": "robot"}),
            vec!["a"],
            None,
        ),
        // Admission counts entries, kubelet passes over those that name nothing.
        (json!({"imagePullSecrets": [null, {}, {"name": ""}]}), vec![], None),
        (json!({"imagePullSecrets": named(&[&long, &longer])}), vec![long.as_str()], None),
    ] {
        let own = parse(&pod(spec.clone())).unwrap();
        assert_eq!(own.pull_secrets, secrets, "{spec}");
        assert_eq!(own.service_account, None, "{spec}: the API server has given it its own");
        let template = nested("/spec/template/spec", spec.clone());
        let mut workload = template;
        workload["apiVersion"] = json!("apps/v1");
        workload["kind"] = json!("Deployment");
        let workload = parse(&workload).unwrap();
        for object in [&workload, &workload.generated_pod().unwrap()] {
            assert_eq!(object.pull_secrets, secrets, "{spec}");
            assert_eq!(object.service_account.as_deref(), account, "{spec}");
        }
    }
    for wrong in [json!({"imagePullSecrets": {}}), json!({"imagePullSecrets": ["a"]})] {
        assert!(matches!(parse(&pod(wrong)), Err(ObjectError::Decode { .. })));
    }
}

#[test]
fn keeps_one_pull_secret_more_than_there_may_be() {
    for (count, expect) in [
        (PULL_SECRETS_MAX, PULL_SECRETS_MAX),
        (PULL_SECRETS_MAX + 1, PULL_SECRETS_MAX + 1),
        (PULL_SECRETS_MAX + 2, PULL_SECRETS_MAX + 1),
    ] {
        let names: Vec<_> = (0..count).map(|index| json!({"name": format!("s{index}")})).collect();
        let object = parse(&pod(json!({"imagePullSecrets": names}))).unwrap();
        assert_eq!(object.pull_secrets.len(), expect);
    }
}
