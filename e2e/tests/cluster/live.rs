//! What changes in the cluster takes effect with no restart.

use anyhow::{Result, ensure};
use assay_e2e::until;
use base64::Engine;
use serde_json::{Value, json};

use crate::fixture::{Fixture, admitted_silently, refusal};

/// Waits until a pod with `image` is refused in `namespace`, and the refusal contains `text`.
pub(crate) fn refused(
    fixture: &Fixture,
    namespace: &str,
    image: &str,
    text: &str,
) -> Result<String> {
    let found = until(&format!("a refusal in {namespace}: {text}"), || {
        let output = fixture.try_run(namespace, image)?;
        Ok((!output.success && output.stderr.contains(text)).then_some(output))
    })?;
    refusal(found)
}

/// Waits until a pod with `image` is admitted in `namespace`.
pub(crate) fn admitted(fixture: &Fixture, namespace: &str, image: &str) -> Result<()> {
    until(&format!("an admission in {namespace}"), || {
        Ok(fixture.try_run(namespace, image)?.success.then_some(()))
    })
}

/// A Secret with one key.
pub(crate) fn secret(namespace: &str, name: &str, key: &str, text: &str) -> Value {
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: text},
    })
}

/// A cluster policy for one namespace.
pub(crate) fn policy(name: &str, namespace: &str, spec: Value) -> Value {
    let mut policy = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": name},
        "spec": spec,
    });
    policy["spec"]["match"] = json!({"namespaces": [namespace]});
    policy
}

pub(crate) fn a_changed_policy_takes_effect(fixture: &mut Fixture) -> Result<()> {
    let (cluster, image) = (&fixture.cluster, &fixture.images.unsigned);
    cluster.create_namespace("changing", &json!({}))?;
    let with = |rule: Value| policy("changing", "changing", json!({"rules": [rule]}));
    admitted_silently("no policy", fixture.try_run("changing", image)?)?;
    cluster.apply(&with(json!({"images": ["**"], "deny": "closed for today"})))?.succeeded()?;
    refused(fixture, "changing", image, "IMAGE_DENIED: closed for today")?;
    cluster.apply(&with(json!({"images": ["**"], "allow": true})))?.succeeded()?;
    admitted(fixture, "changing", image)?;
    cluster.apply(&with(json!({"images": ["**"], "deny": "closed again"})))?.succeeded()?;
    refused(fixture, "changing", image, "IMAGE_DENIED: closed again")?;
    cluster.kubectl(&["delete", "ciap", "changing"])?.succeeded()?;
    admitted(fixture, "changing", image)
}

pub(crate) fn a_relabelled_namespace_takes_effect(fixture: &mut Fixture) -> Result<()> {
    let (cluster, image) = (&fixture.cluster, &fixture.images.unsigned);
    cluster.create_namespace("relabelled", &json!({"env": "staging"}))?;
    let label = |value: &str| {
        let label = format!("env={value}");
        cluster.kubectl(&["label", "--overwrite", "namespace", "relabelled", &label])?.succeeded()
    };
    admitted_silently("staging", fixture.try_run("relabelled", image)?)?;
    label("prod")?;
    refused(fixture, "relabelled", image, "[prod-images]")?;
    label("staging")?;
    admitted(fixture, "relabelled", image)
}

/// A ClusterTrustStore whose key is in a Secret of Assay's own namespace.
pub(crate) fn a_rotated_and_a_revoked_secret_take_effect(fixture: &mut Fixture) -> Result<()> {
    let Fixture { cluster, images, release, stranger, .. } = &*fixture;
    let image = &images.signed_bundle;
    cluster.create_namespace("rotating", &json!({}))?;
    let keys = |key: &str| secret("assay-system", "rotating-keys", "cosign.pub", key);
    let reference =
        json!({"namespace": "assay-system", "name": "rotating-keys", "key": "cosign.pub"});
    cluster.apply(&keys(&stranger.public_key()?))?.succeeded()?;
    cluster
        .apply(&json!({
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "ClusterTrustStore",
            "metadata": {"name": "rotating"},
            "spec": {"publicKeys": {"secretRef": reference}},
        }))?
        .succeeded()?;
    let spec = json!({
        "verifiers": [{"name": "signature", "cosign": {"keys": [{"trustStore": "rotating"}]}}],
        "rules": [{"images": ["**"], "require": {"all": ["signature"]}}],
    });
    cluster.apply(&policy("rotating", "rotating", spec))?.succeeded()?;
    refused(fixture, "rotating", image, "KEY_MISMATCH: signed, but by no key of rotating")?;
    cluster.apply(&keys(&release.public_key()?))?.succeeded()?;
    admitted(fixture, "rotating", image)?;
    check_ready(fixture, "True")?;
    let delete = ["delete", "secret", "rotating-keys", "--namespace=assay-system"];
    cluster.kubectl(&delete)?.succeeded()?;
    refused(fixture, "rotating", image, "POLICY_INVALID")?;
    check_ready(fixture, "False")?;
    cluster.apply(&keys(&release.public_key()?))?.succeeded()?;
    admitted(fixture, "rotating", image)
}

/// Waits until store and policy say in their status whether they are ready.
fn check_ready(fixture: &Fixture, expected: &str) -> Result<()> {
    for kind in ["ctst", "ciap"] {
        let status = format!("--for=condition=Ready={expected}");
        let wait = ["wait", &status, kind, "rotating", "--timeout=30s"];
        fixture.cluster.kubectl(&wait)?.succeeded()?;
        let table = fixture.cluster.kubectl(&["get", kind, "rotating"])?.succeeded()?;
        ensure!(table.contains(expected), "kubectl get {kind}:\n{table}");
    }
    Ok(())
}
