//! What the owner of a namespace can bring about in it, and cannot anywhere else.

use anyhow::{Result, ensure};
use assay_e2e::until;
use serde_json::{Value, json};

use crate::fixture::{Fixture, refusal};
use crate::live::{admitted, refused, secret};

/// The namespace that the tenant of these cases owns.
const OWN: &str = "tenant";

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ImageAdmissionPolicy",
        "metadata": {"name": "own", "namespace": OWN},
        "spec": spec,
    })
}

fn signed_by(store: &str) -> Value {
    policy(&json!({
        "verifiers": [{"name": "signature", "cosign": {"keys": [{"trustStore": store}]}}],
        "rules": [{"images": ["**"], "require": {"all": ["signature"]}}],
    }))
}

fn store(namespace: &str, name: &str, public_keys: &Value) -> Value {
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "TrustStore",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"publicKeys": public_keys},
    })
}

/// The reason of a condition of a tenant's store.
fn reason(fixture: &Fixture, name: &str, condition: &str) -> Result<String> {
    let path = format!("jsonpath={{.status.conditions[?(@.type==\"{condition}\")].reason}}");
    let get = ["get", "tst", name, "--namespace", OWN, "--output", &path];
    fixture.cluster.kubectl(&get)?.succeeded()
}

pub(crate) fn reads_secrets_only_where_their_owner_lets_it(fixture: &mut Fixture) -> Result<()> {
    let Fixture { cluster, images, release, .. } = &*fixture;
    cluster.create_namespace(OWN, &json!({}))?;
    cluster.apply(&secret(OWN, "keys", "cosign.pub", &release.public_key()?))?.succeeded()?;
    let reference = json!({"secretRef": {"name": "keys", "key": "cosign.pub"}});
    cluster.apply(&store(OWN, "own-keys", &reference))?.succeeded()?;
    cluster.apply(&signed_by("own-keys"))?.succeeded()?;
    refused(fixture, OWN, &images.signed_bundle, "POLICY_INVALID")?;
    until("the reason", || {
        Ok((reason(fixture, "own-keys", "ResolvedRefs")? == "RefNotPermitted").then_some(()))
    })?;
    let_assay_read(fixture, OWN)?;
    admitted(fixture, OWN, &images.signed_bundle)?;
    refused(fixture, OWN, &images.stranger_bundle, "KEY_MISMATCH")?;
    Ok(())
}

/// Lets Assay read the Secrets and ConfigMaps of a namespace, as the documentation has it.
pub(crate) fn let_assay_read(fixture: &Fixture, namespace: &str) -> Result<()> {
    let bind = [
        "create",
        "rolebinding",
        "assay-trust-material",
        "--clusterrole=assay-trust-material-reader",
        "--serviceaccount=assay-system:assay",
        "--namespace",
        namespace,
    ];
    fixture.cluster.kubectl(&bind)?.succeeded()?;
    Ok(())
}

/// Neither another namespace's store nor the cluster's of the same name stands in for one's own.
pub(crate) fn keeps_to_stores_of_the_own_namespace(fixture: &mut Fixture) -> Result<()> {
    let Fixture { cluster, images, release, .. } = &*fixture;
    let inline = json!({"inline": release.public_key()?});
    cluster.apply(&store("staging", "foreign", &inline))?.succeeded()?;
    for name in ["foreign", "release-keys"] {
        cluster.apply(&signed_by(name))?.succeeded()?;
        let text = format!("TrustStore {OWN}/{name} does not exist");
        refused(fixture, OWN, &images.signed_bundle, &text)?;
    }
    cluster.apply(&store(OWN, "foreign", &inline))?.succeeded()?;
    cluster.apply(&signed_by("foreign"))?.succeeded()?;
    admitted(fixture, OWN, &images.signed_bundle)
}

/// `allow: true` over everything, in a namespace that a Mandatory policy covers.
pub(crate) fn admits_nothing_by_a_policy_of_the_tenant_alone(fixture: &mut Fixture) -> Result<()> {
    let Fixture { cluster, images, .. } = &*fixture;
    let all = policy(&json!({"rules": [{"images": ["**"], "allow": true}]}));
    cluster.apply(&all)?.succeeded()?;
    admitted(fixture, OWN, &images.unsigned)?;
    let mut enforced = all;
    enforced["metadata"]["namespace"] = "enforced".into();
    cluster.apply(&enforced)?.succeeded()?;
    let ready = ["wait", "--for=condition=Ready", "iap", "own", "--namespace=enforced"];
    cluster.kubectl(&[&ready[..], &["--timeout=30s"]].concat())?.succeeded()?;
    let found = refusal(fixture.try_run("enforced", &images.unsigned)?)?;
    ensure!(found.contains("[release-images]"), "{found}");
    cluster.kubectl(&["delete", "iap", "own", "--namespace=enforced"])?.succeeded()?;
    Ok(())
}

/// By the roles that every cluster has: `edit` in a namespace, and nothing of the cluster's.
pub(crate) fn lets_owners_of_namespaces_write_their_kinds_alone(
    fixture: &mut Fixture,
) -> Result<()> {
    let cluster = &fixture.cluster;
    let namespace = format!("--namespace={OWN}");
    let bind = ["create", "rolebinding", "owner", "--clusterrole=edit", "--user=owner", &namespace];
    cluster.kubectl(&bind)?.succeeded()?;
    let can = |verb: &str, resource: &str, namespace: &str| -> Result<bool> {
        let resource = format!("{resource}.assay.dev");
        let arguments = ["auth", "can-i", verb, &resource, "--as=owner", "--namespace", namespace];
        Ok(cluster.kubectl(&arguments)?.success)
    };
    // The roles are put together by a controller.
    until("the role", || Ok(can("create", "imageadmissionpolicies", OWN)?.then_some(())))?;
    for (verb, resource, namespace, expected) in [
        ("create", "truststores", OWN, true),
        ("list", "imageadmissionpolicies", OWN, true),
        ("create", "imageadmissionpolicies", "staging", false),
        ("create", "clusterimageadmissionpolicies", OWN, false),
        ("update", "clustertruststores", OWN, false),
    ] {
        let found = can(verb, resource, namespace)?;
        ensure!(found == expected, "{verb} {resource} in {namespace}: {found}");
    }
    Ok(())
}
