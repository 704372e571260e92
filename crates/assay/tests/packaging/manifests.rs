//! `manifests/`: which requests the webhook is asked about, what it may do, and that the Deployment
//! fits the configuration.

use std::path::Path;
use std::time::Duration;

use assay_api::{Configuration, WebhookConfiguration};
use assay_policy::{Object, Role};
use serde_json::{Value, json};

use crate::{items, objects, read, strings};

/// What the pod needs after `drainDelay`, as the README says.
const STOP_TIME: Duration = Duration::from_secs(35);

/// The one object of a kind with a name.
fn object(kind: &str, name: &str) -> Value {
    let is_it = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
    let mut found = objects().into_iter().filter(is_it);
    let object = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "two of {kind} {name}");
    object
}

fn configuration() -> Configuration {
    let config_map = object("ConfigMap", "assay");
    let text = config_map["data"]["configuration.yaml"].as_str().unwrap();
    Configuration::parse(text, Path::new("/etc/assay/configuration/configuration.yaml")).unwrap()
}

fn pod() -> Value {
    object("Deployment", "assay")["spec"]["template"]["spec"].take()
}

#[test]
fn applies_namespace_first_and_registration_last() {
    let kinds: Vec<Value> = objects().iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(kinds.first().unwrap(), "Namespace");
    assert_eq!(kinds.last().unwrap(), "ValidatingWebhookConfiguration");
}

#[test]
fn stays_in_its_own_namespace() {
    const CLUSTER_SCOPED: [&str; 5] = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Namespace",
        "ValidatingWebhookConfiguration",
    ];
    for object in objects() {
        let is_cluster_scoped = CLUSTER_SCOPED.contains(&object["kind"].as_str().unwrap());
        let expect = if is_cluster_scoped { Value::Null } else { json!("assay-system") };
        assert_eq!(object["metadata"]["namespace"], expect, "{object}");
    }
}

#[test]
fn configures_defaults_but_for_files_and_cluster() {
    let defaults = Configuration::default();
    let tls = |name: &str| Path::new("/etc/assay/tls").join(name);
    let expect = Configuration {
        kubernetes: Some(true),
        docker_config_file: Some("/etc/assay/credentials/config.json".into()),
        webhook: WebhookConfiguration {
            tls_files: Some((tls("tls.crt"), tls("tls.key"))),
            ..defaults.webhook.clone()
        },
        ..defaults
    };
    assert_eq!(configuration(), expect);
}

#[test]
fn deployment_fits_the_configuration() {
    let (pod, configuration) = (pod(), configuration());
    let container = &pod["containers"][0];
    let ports: Vec<(&str, u64)> = items(&container["ports"])
        .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_u64().unwrap()))
        .collect();
    let webhook = &configuration.webhook;
    let expect = [
        ("webhook", webhook.listen.port().into()),
        ("metrics", configuration.metrics_listen.port().into()),
        ("health", configuration.health_listen.port().into()),
    ];
    assert_eq!(ports, expect);

    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(Duration::from_secs(grace) >= webhook.drain_delay + STOP_TIME, "{grace} s");
    let memory = container["resources"]["limits"]["memory"].as_str().unwrap();
    let mebibytes: u64 = memory.strip_suffix("Mi").unwrap().parse().unwrap();
    assert!(mebibytes * 1024 * 1024 >= 4 * configuration.cache.bytes_max, "{memory}");
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "health"}));
    }

    let image = container["image"].as_str().unwrap();
    assert!(image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))), "{image}");
    let mounted =
        |folder: &str| items(&container["volumeMounts"]).any(|mount| mount["mountPath"] == folder);
    let (certificate, key) = webhook.tls_files.as_ref().unwrap();
    for file in [certificate, key, configuration.docker_config_file.as_ref().unwrap()] {
        assert!(mounted(&file.parent().unwrap().to_string_lossy()), "{}", file.display());
    }
}

#[test]
fn deployment_is_restricted_and_never_without_a_replica() {
    let labels = &object("Namespace", "assay-system")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let spec = &object("Deployment", "assay")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let pod = pod();
    let user = &pod["securityContext"];
    assert_eq!((&user["runAsNonRoot"], &user["runAsUser"]), (&json!(true), &json!(65532)));
    assert_eq!(user["seccompProfile"]["type"], "RuntimeDefault");
    let expect = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(pod["containers"][0]["securityContext"], expect);
}

/// Kinds of Kubernetes, of which some can hold images.
const KINDS: [(&str, &str, &str); 30] = [
    ("", "bindings", "Binding"),
    ("", "configmaps", "ConfigMap"),
    ("", "endpoints", "Endpoints"),
    ("", "events", "Event"),
    ("", "limitranges", "LimitRange"),
    ("", "namespaces", "Namespace"),
    ("", "nodes", "Node"),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "persistentvolumes", "PersistentVolume"),
    ("", "pods", "Pod"),
    ("", "podtemplates", "PodTemplate"),
    ("", "replicationcontrollers", "ReplicationController"),
    ("", "resourcequotas", "ResourceQuota"),
    ("", "secrets", "Secret"),
    ("", "serviceaccounts", "ServiceAccount"),
    ("", "services", "Service"),
    ("apps", "controllerrevisions", "ControllerRevision"),
    ("apps", "daemonsets", "DaemonSet"),
    ("apps", "deployments", "Deployment"),
    ("apps", "replicasets", "ReplicaSet"),
    ("apps", "statefulsets", "StatefulSet"),
    ("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("batch", "cronjobs", "CronJob"),
    ("batch", "jobs", "Job"),
    ("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    ("networking.k8s.io", "ingresses", "Ingress"),
    ("networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    ("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "roles", "Role"),
    ("storage.k8s.io", "storageclasses", "StorageClass"),
];

/// Whether an entry of the registration is asked about a new object of this resource.
fn asks(webhook: &Value, group: &str, resource: &str) -> bool {
    items(&webhook["rules"]).any(|rule| {
        let operations = strings(&rule["operations"]);
        strings(&rule["apiGroups"]).contains(&group)
            && strings(&rule["resources"]).contains(&resource)
            && operations == ["CREATE", "UPDATE"]
    })
}

#[test]
fn webhook_is_asked_about_exactly_what_has_images() {
    let registration = object("ValidatingWebhookConfiguration", "assay");
    let [pods, workloads] = registration["webhooks"].as_array().unwrap().as_slice() else {
        panic!("not two entries");
    };
    assert_eq!(pods["name"], "validate.assay.dev");
    for (group, resource, kind) in KINDS {
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        let text = json!({"apiVersion": version, "kind": kind}).to_string();
        let role = Object::parse(&text).unwrap().role();
        assert_eq!(asks(pods, group, resource), role == Role::Pod, "{kind}");
        assert_eq!(asks(workloads, group, resource), role == Role::Workload, "{kind}");
    }
    let all: usize = items(&registration["webhooks"])
        .flat_map(|webhook| items(&webhook["rules"]))
        .map(|rule| strings(&rule["resources"]).len())
        .sum();
    let known = KINDS.iter().filter(|(group, resource, _)| {
        asks(pods, group, resource) || asks(workloads, group, resource)
    });
    assert_eq!(all, known.count() + 1, "each of them, and pods/ephemeralcontainers");
    let debugging = json!({
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods/ephemeralcontainers"],
        "operations": ["UPDATE"],
        "scope": "Namespaced",
    });
    assert!(items(&pods["rules"]).any(|rule| *rule == debugging));
}

#[test]
fn webhook_leaves_out_what_must_come_up_without_it() {
    let registration = object("ValidatingWebhookConfiguration", "assay");
    let service = object("Service", "assay-webhook");
    for webhook in items(&registration["webhooks"]) {
        let expect = json!({"matchExpressions": [{
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": ["kube-system", "kube-node-lease", "assay-system"],
        }]});
        assert_eq!(webhook["namespaceSelector"], expect);
        assert_eq!(webhook["objectSelector"], Value::Null, "users choose labels");
        assert_eq!(webhook["sideEffects"], "NoneOnDryRun");
        assert_eq!(webhook["matchPolicy"], "Equivalent");
        let expect = json!({
            "namespace": service["metadata"]["namespace"],
            "name": service["metadata"]["name"],
            "path": "/validate",
            "port": service["spec"]["ports"][0]["port"],
        });
        assert_eq!(webhook["clientConfig"]["service"], expect);
        assert!((1..=10).contains(&webhook["timeoutSeconds"].as_u64().unwrap()));
        assert_eq!(webhook["failurePolicy"], "Ignore", "the switch is the user's");
    }
}

/// The documented command replaces this text, once.
#[test]
fn one_line_switches_to_fail() {
    let line = "failurePolicy: Ignore  # for pods";
    assert_eq!(read("manifests/webhook.yaml").matches(&format!("{line}\n")).count(), 1);
    assert!(read("docs/installation.md").contains(&format!("s/{line}/")));
}

#[test]
fn grants_name_what_they_are_for() {
    for object in objects() {
        for rule in items(&object["rules"]) {
            for field in ["apiGroups", "resources", "verbs"] {
                let named = strings(&rule[field]);
                assert!(!named.is_empty() && !named.contains(&"*"), "{rule}");
            }
        }
    }
}

/// Whether a role has `verb` on `resource` without naming the object.
fn grants(role: &Value, verb: &str, resource: &str) -> bool {
    items(&role["rules"]).any(|rule| {
        strings(&rule["verbs"]).contains(&verb)
            && strings(&rule["resources"]).contains(&resource)
            && rule["resourceNames"].is_null()
    })
}

#[test]
fn reads_secrets_of_others_only_where_they_say_so() {
    let cluster = object("ClusterRole", "assay");
    for verb in ["get", "list", "watch"] {
        for resource in ["secrets", "configmaps", "pods", "serviceaccounts"] {
            assert!(!grants(&cluster, verb, resource), "{verb} {resource}");
        }
    }
    let own = object("Role", "assay");
    assert!(grants(&own, "list", "secrets") && grants(&own, "watch", "configmaps"));
    assert!(!grants(&own, "update", "leases") && !grants(&own, "get", "secrets"));
    let bound: Vec<Value> = objects()
        .into_iter()
        .filter(|object| object["roleRef"].is_object())
        .map(|object| object["roleRef"]["name"].clone())
        .collect();
    assert_eq!(bound, ["assay", "assay"], "the readers are for others to bind");
    let pulls = object("ClusterRole", "assay-pull-secret-reader");
    assert!(grants(&pulls, "get", "secrets") && !grants(&pulls, "list", "secrets"));
}

/// The names by which the controller asks for what only a name is granted for.
#[test]
fn grants_go_by_the_names_that_the_controller_uses() {
    for (name, file) in [
        ("assay-status-writer", "crates/control/src/lease.rs"),
        ("assay-trust-material-reader", "crates/control/src/materials.rs"),
    ] {
        assert!(read(file).contains(&format!("\"{name}\"")), "{file}");
        assert!(read("manifests/access.yaml").contains(name), "{name}");
    }
}

#[test]
fn namespace_owners_write_their_own_kinds() {
    let aggregated = |name: &str, to: &str| {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
        object("ClusterRole", name)["metadata"]["labels"][label] == "true"
    };
    assert!(aggregated("assay-view", "view") && !aggregated("assay-edit", "view"));
    assert!(aggregated("assay-edit", "edit") && aggregated("assay-edit", "admin"));
    for (role, verb) in [("assay-view", "watch"), ("assay-edit", "create")] {
        let role = object("ClusterRole", role);
        for resource in ["imageadmissionpolicies", "truststores"] {
            assert!(grants(&role, verb, resource), "{resource}");
        }
        for resource in ["clusterimageadmissionpolicies", "clustertruststores"] {
            assert!(!grants(&role, verb, resource), "{resource}");
        }
    }
}
