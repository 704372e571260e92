//! Images that only the pod's own pull Secrets open.

use anyhow::{Result, ensure};
use assay_e2e::{Form, Output, PRIVATE_LOGIN, PULLING_NAMESPACE};
use serde_json::json;

use crate::fixture::{Fixture, refusal};
use crate::live::{admitted, refused};

/// A namespace whose Secrets are not granted.
const OTHER: &str = "not-pulling";

pub(crate) fn reads_private_images_with_the_secrets_of_pods(fixture: &mut Fixture) -> Result<()> {
    let Fixture { cluster, private_registry, release, .. } = &*fixture;
    let host = private_registry.host();
    release.log_in(host, PRIVATE_LOGIN)?;
    let image = private_registry.push("pulled", "signed")?;
    release.sign(&image, Form::Bundle)?;
    let (user, password) = PRIVATE_LOGIN.split_once(':').unwrap_or_default();
    for namespace in [PULLING_NAMESPACE, OTHER] {
        cluster.create_namespace(namespace, &json!({}))?;
        for (name, password) in [("good", password), ("bad", "wrong")] {
            let secret = [
                "create",
                "secret",
                "docker-registry",
                name,
                "--namespace",
                namespace,
                &format!("--docker-server={host}"),
                &format!("--docker-username={user}"),
                &format!("--docker-password={password}"),
            ];
            cluster.kubectl(&secret)?.succeeded()?;
        }
    }
    let policy = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "pulled-images"},
        "spec": {
            "match": {"namespaces": [PULLING_NAMESPACE, OTHER]},
            "verifiers": [{"name": "signature", "cosign": {"keys": [{"trustStore": "release-keys"}]}}],
            "rules": [{"images": ["**"], "require": {"all": ["signature"]}}],
        },
    });
    cluster.apply(&policy)?.succeeded()?;
    refused(fixture, PULLING_NAMESPACE, &image, "REGISTRY_DENIED")?;
    let bind = [
        "create",
        "rolebinding",
        "assay-pull-secrets",
        "--clusterrole=assay-pull-secret-reader",
        "--serviceaccount=assay-system:assay",
    ];
    for namespace in [PULLING_NAMESPACE, OTHER] {
        cluster.kubectl(&[&bind[..], &["--namespace", namespace]].concat())?.succeeded()?;
    }
    // In turn, as kubelet tries them.
    pull(fixture, PULLING_NAMESPACE, &image, &["bad", "good"])?.succeeded()?;
    for (namespace, secrets) in
        [(PULLING_NAMESPACE, &["bad"][..]), (PULLING_NAMESPACE, &[]), (OTHER, &["good"])]
    {
        let found = refusal(pull(fixture, namespace, &image, secrets)?)?;
        ensure!(found.contains("REGISTRY_DENIED"), "{namespace} {secrets:?}: {found}");
    }
    // What the ServiceAccount has, the API server puts into the pod.
    let account = ["patch", "serviceaccount", "default", "--namespace", PULLING_NAMESPACE];
    let patch = json!({"imagePullSecrets": [{"name": "good"}]}).to_string();
    cluster.kubectl(&[&account[..], &["--patch", &patch]].concat())?.succeeded()?;
    admitted(fixture, PULLING_NAMESPACE, &image)?;
    // And what the pods of a Deployment will have, is looked up.
    let image = format!("--image={image}");
    let deployment = ["create", "deployment", "pulled", "--dry-run=server", &image];
    let made = cluster.kubectl(&[&deployment[..], &["--namespace", PULLING_NAMESPACE]].concat())?;
    ensure!(made.success && !made.stderr.contains("Warning"), "{}", made.stderr);
    Ok(())
}

/// What kubectl prints for a pod with these pull Secrets, which is not stored.
fn pull(fixture: &Fixture, namespace: &str, image: &str, secrets: &[&str]) -> Result<Output> {
    let secrets: Vec<_> = secrets.iter().map(|name| json!({"name": name})).collect();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pulling", "namespace": namespace},
        "spec": {
            "containers": [{"name": "web", "image": image}],
            "imagePullSecrets": secrets,
        },
    });
    let create = ["create", "--dry-run=server", "--filename=-"];
    fixture.cluster.kubectl_with(&create, &pod.to_string())
}
