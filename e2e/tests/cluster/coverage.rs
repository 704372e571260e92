//! Images that do not stand in `containers`, and pods that users do not make themselves.

use anyhow::{Result, ensure};
use assay_e2e::{Output, WEBHOOK_NAME, until};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, admitted_silently, check_text, forbidden, masked, not_found, refusal, warnings,
};

pub(crate) fn judges_ephemeral_containers(fixture: &mut Fixture) -> Result<()> {
    let Fixture { images, cluster, .. } = &*fixture;
    admitted_silently("the pod", fixture.run("enforced", "debugged", &images.signed_tag)?)?;
    let debug = |container: &str, image: &str| {
        cluster.kubectl(&[
            "debug",
            "debugged",
            "--namespace=enforced",
            "--profile=general",
            &format!("--container={container}"),
            &format!("--image={image}"),
        ])
    };
    let found = refusal(debug("intruder", &images.unsigned)?)?;
    let message = not_found("release-images", &images.unsigned, "intruder");
    check_text("unsigned", &found, &forbidden(&message))?;
    admitted_silently("a signed image", debug("helper", &images.signed_bundle)?)
}

pub(crate) fn judges_image_volumes(fixture: &mut Fixture) -> Result<()> {
    let images = &fixture.images;
    let found = refusal(mount(fixture, "intruder", &images.unsigned)?)?;
    for text in [
        "(Forbidden)",
        &format!("[release-images] Subject failed verification: {} ", images.unsigned),
        "SIGNATURE_NOT_FOUND",
    ] {
        ensure!(found.contains(text), "no {text} in: {found}");
    }
    admitted_silently("a signed image", mount(fixture, "mounted", &images.signed_bundle)?)
}

/// Whoever applies the Deployment sees a warning; the ReplicaSet's event holds the refusal.
pub(crate) fn warns_at_deployment_and_denies_its_pods(fixture: &mut Fixture) -> Result<()> {
    let image = &fixture.images.unsigned;
    let (name, _digest) = image.split_once('@').unwrap_or_default();
    let image_flag = format!("--image={image}");
    let arguments = ["create", "deployment", "shop", "--namespace=enforced", &image_flag];
    let output = fixture.cluster.kubectl(&arguments)?;
    ensure!(output.success, "refused: {}", output.stderr);
    // kubectl names the container by the image's last path segment.
    let expected = format!("[release-images] container \"app\" {name}: SIGNATURE_NOT_FOUND");
    check_text("the warnings", &warnings(&output.stderr).join("\n"), &expected)?;
    let event = until("the ReplicaSet's FailedCreate event", || failed_create(fixture))?;
    let message = not_found("release-images", image, "app");
    let expected = format!(
        "Error creating: admission webhook \"{WEBHOOK_NAME}\" denied the request: {message}"
    );
    check_text("the event", &masked(&event), &expected)
}

/// The Deployment of the case before: whoever made it looks there, and not at its ReplicaSet.
pub(crate) fn tells_the_deployment_by_an_event(fixture: &mut Fixture) -> Result<()> {
    let arguments = [
        "get",
        "events",
        "--namespace=enforced",
        "--field-selector=reason=ImageDenied,involvedObject.kind=Deployment",
        "--output=json",
    ];
    let event = until("the Deployment's event", || {
        let events = fixture.cluster.kubectl(&arguments)?.succeeded()?;
        let events: Value = serde_json::from_str(&events)?;
        Ok(events["items"].get(0).cloned())
    })?;
    let message = event["message"].as_str().unwrap_or_default();
    let name = &event["involvedObject"]["name"];
    ensure!(name == "shop" && event["type"] == "Warning", "{event}");
    ensure!(message.contains("SIGNATURE_NOT_FOUND"), "{message}");
    Ok(())
}

/// A pod whose container is signed and which mounts `image`.
fn mount(fixture: &Fixture, name: &str, image: &str) -> Result<Output> {
    fixture.cluster.apply(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "enforced"},
        "spec": {
            "containers": [{
                "name": "web",
                "image": fixture.images.signed_bundle,
                "volumeMounts": [{"name": "model", "mountPath": "/model"}],
            }],
            "volumes": [{"name": "model", "image": {"reference": image}}],
        },
    }))
}

fn failed_create(fixture: &Fixture) -> Result<Option<String>> {
    let arguments = [
        "get",
        "events",
        "--namespace=enforced",
        "--field-selector=reason=FailedCreate,involvedObject.kind=ReplicaSet",
        "--output=json",
    ];
    let events: Value = serde_json::from_str(&fixture.cluster.kubectl(&arguments)?.succeeded()?)?;
    Ok(events["items"][0]["message"].as_str().map(str::to_owned))
}
