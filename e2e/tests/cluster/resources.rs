//! The CRDs as the API server takes them: the samples are accepted, and what does not compile is
//! refused where its schema can tell.

use std::fs;
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

/// The path and the text of every sample policy.
fn samples() -> Result<Vec<(String, String)>> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(project("config/policies"))? {
        let path = entry?.path();
        if path.is_file() {
            samples.push((path.to_string_lossy().into_owned(), fs::read_to_string(&path)?));
        }
    }
    Ok(samples)
}

pub(crate) fn api_server_accepts_crds_and_samples(fixture: &mut Fixture) -> Result<()> {
    let cluster = &fixture.cluster;
    cluster.create_namespace("web", &json!({}))?;
    let (of_files, samples): (Vec<_>, Vec<_>) =
        samples()?.into_iter().partition(|(_, text)| text.contains("\n    file: "));
    ensure!(!of_files.is_empty() && !samples.is_empty(), "there is no sample of both kinds");
    let apply = |sample: &str| {
        let apply = ["apply", "--dry-run=server", "--validate=strict", "--filename", sample];
        cluster.kubectl(&apply)
    };
    for (sample, _) in samples {
        // New kinds take the API server a moment after they are established.
        until(&format!("{sample} is accepted"), || Ok(apply(&sample)?.succeeded().ok()))?;
    }
    for (sample, _) in of_files {
        let refused = apply(&sample)?.failed()?;
        ensure!(refused.contains("publicKeys.file"), "files are for files only: {refused}");
    }
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
