//! The cluster when the registry, or the webhook itself, is gone.

use anyhow::{Context, Result, ensure};
use assay_e2e::{FailurePolicy, WEBHOOK_NAME, until};
use serde_json::json;

use crate::fixture::{Fixture, admitted_silently, refusal};
use crate::live::a_changed_policy_takes_effect;

/// What already runs can be changed, though it is unsigned and nothing can be verified; a new image
/// cannot come in.
pub(crate) fn judges_only_new_images_with_registry_down(fixture: &mut Fixture) -> Result<()> {
    fixture.registry.stop();
    let result = change_pods(fixture);
    fixture.registry.resume()?;
    result?;
    admitted_silently("with the registry", fixture.run("enforced", "late", unseen(fixture))?)
}

fn change_pods(fixture: &Fixture) -> Result<()> {
    let change = |arguments: &[&str]| {
        fixture.cluster.kubectl(&[arguments, &["--namespace=enforced"]].concat())
    };
    admitted_silently("a label", change(&["label", "pod", "veteran", "seen=yes"])?)?;
    admitted_silently("an annotation", change(&["annotate", "pod", "veteran", "seen=yes"])?)?;
    let image = unseen(fixture);
    let patch = json!({"spec": {"containers": [{"name": "veteran", "image": image}]}}).to_string();
    let found = refusal(change(&["patch", "pod", "veteran", "--patch", &patch])?)?;
    for text in ["(ServiceUnavailable)", "REGISTRY_UNREACHABLE", image] {
        ensure!(found.contains(text), "no {text} in: {found}");
    }
    Ok(())
}

/// The Snapshot in force grows old, which the metrics say; and what changed meanwhile takes effect.
pub(crate) fn policies_stay_in_force_without_api_server(fixture: &mut Fixture) -> Result<()> {
    let age = |fixture: &Fixture| -> Result<u64> {
        let page = fixture.webhook.metrics()?;
        let age = page.lines().find_map(|line| line.strip_prefix("assay_snapshot_age_seconds "));
        Ok(age.context("no age is exported")?.parse()?)
    };
    until("a Snapshot in step", || Ok((age(fixture)? == 0).then_some(())))?;
    fixture.cluster.stop_api_server();
    let grown = until("a Snapshot out of step", || Ok((age(fixture)? > 0).then_some(())));
    fixture.cluster.resume_api_server()?;
    grown?;
    until("a Snapshot in step again", || Ok((age(fixture)? == 0).then_some(())))?;
    refusal(fixture.try_run("enforced", &fixture.images.unsigned)?)?;
    a_changed_policy_takes_effect(fixture)
}

/// Each step shows a change against the one before, so none can pass by what came earlier.
pub(crate) fn cluster_goes_on_without_webhook(fixture: &mut Fixture) -> Result<()> {
    fixture.webhook.stop();
    let refused = |fixture: &Fixture| -> Result<()> {
        let found = refusal(fixture.try_run("enforced", &fixture.images.unsigned)?)?;
        let expected = format!("failed calling webhook \"{WEBHOOK_NAME}\"");
        ensure!(found.contains(&expected), "{found}");
        Ok(())
    };
    refused(fixture)?;
    let system = fixture.run("kube-system", "system", &fixture.images.unsigned)?;
    admitted_silently("kube-system under Fail", system)?;

    fixture.webhook.register(&fixture.cluster, FailurePolicy::Ignore)?;
    until("pods under Ignore", || admitted(fixture))?;
    admitted_silently("Ignore", fixture.run("enforced", "open", &fixture.images.unsigned)?)?;

    fixture.webhook.register(&fixture.cluster, FailurePolicy::Fail)?;
    until("refusals under Fail", || Ok(refused(fixture).ok()))?;
    let change = ["label", "pod", "veteran", "again=yes", "--namespace=enforced"];
    ensure!(!fixture.cluster.kubectl(&change)?.success, "an update passes under Fail");

    fixture.webhook.unregister(&fixture.cluster)?;
    until("pods without registration", || admitted(fixture))?;
    admitted_silently("free", fixture.run("enforced", "free", &fixture.images.unsigned)?)
}

fn admitted(fixture: &Fixture) -> Result<Option<()>> {
    Ok(fixture.try_run("enforced", &fixture.images.unsigned)?.success.then_some(()))
}

fn unseen(fixture: &Fixture) -> &str {
    &fixture.images.signed_unseen
}
