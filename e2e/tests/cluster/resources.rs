//! The CRDs as the API server takes them: the samples are accepted, and what does not compile is
//! refused where its schema can tell.

use std::path::Path;

use anyhow::{Result, ensure};
use assay_e2e::until;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// A folder of the project.
fn project(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    path.to_string_lossy().into_owned()
}

pub(crate) fn api_server_accepts_crds_and_samples(fixture: &mut Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    cluster.create_namespace("web", &json!({}))?;
    let apply = |sample: &str| {
        let sample = project(sample);
        let apply = ["apply", "--dry-run=server", "--validate=strict", "--filename", &sample];
        cluster.kubectl(&apply)
    };
    // New kinds take the API server a moment after they are established.
    until("the samples are accepted", || {
        Ok(apply("config/policies/release-images.yaml")?.succeeded().ok())
    })?;
    apply("config/policies/team-web.yaml")?.succeeded()?;
    let refused = apply("config/policies/signed-by-default.yaml")?.failed()?;
    ensure!(refused.contains("publicKeys.file"), "files are for files only: {refused}");
    cluster.kubectl(&["explain", "ciap.spec.rules.require"])?.succeeded()?;
    Ok(())
}

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "candidate"},
        "spec": spec,
    })
}

fn trust_store(public_keys: &Value) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterTrustStore",
        "metadata": {"name": "candidate"},
        "spec": {"publicKeys": public_keys},
    })
}

/// Each differs from a good one in one fact; the text is what the answer must name.
pub(crate) fn api_server_refuses_what_schemas_can_tell(fixture: &mut Fixture) -> Result<()> {
    let good = json!({"rules": [{"images": ["**"], "allow": true}]});
    let with = |change: Value| {
        let mut spec = good.clone();
        for (key, value) in change.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        policy(&spec)
    };
    let bad = [
        (with(json!({"enforcementAction": "audit"})), "enforcementAction"),
        (with(json!({"tier": "Namespace"})), "tier"),
        (with(json!({"onErorr": "warn"})), "onErorr"),
        (with(json!({"rules": []})), "rules"),
        (with(json!({"rules": [{"images": [], "allow": true}]})), "images"),
        (with(json!({"rules": [{"images": ["**"]}]})), "rules[0]"),
        (with(json!({"rules": [{"images": ["**"], "allow": true, "deny": "no"}]})), "rules[0]"),
        (with(json!({"rules": [{"images": ["**"], "require": {}}]})), "require"),
        (
            with(json!({"rules": [{"images": ["**"], "require": {"all": ["a"], "any": ["a"]}}]})),
            "require",
        ),
        (with(json!({"match": {"scope": "Everywhere"}})), "scope"),
        (with(json!({"match": {"namespaces": ["Team"]}})), "namespaces[0]"),
        (with(json!({"verifiers": [{"name": "a", "cosign": {"keys": []}}]})), "keys"),
        (trust_store(&json!({})), "publicKeys"),
        (
            trust_store(
                &json!({"inline": "x", "secretRef": {"namespace": "a", "name": "b", "key": "c"}}),
            ),
            "publicKeys",
        ),
        (trust_store(&json!({"secretRef": {"name": "b", "key": "c"}})), "namespace"),
    ];
    let cluster = &fixture.cluster;
    let dry_run = |object: &Value| {
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "--filename=-"];
        cluster.kubectl_with(&arguments, &object.to_string())
    };
    dry_run(&policy(&good))?.succeeded()?;
    for (object, field) in bad {
        let refused = dry_run(&object)?.failed()?;
        ensure!(refused.contains(field), "no {field} in: {refused}\n{object}");
    }
    Ok(())
}
