//! What a violation does: warn, dryrun, and a policy that selects namespaces by label.

use anyhow::{Result, ensure};

use crate::fixture::{
    Fixture, admitted_silently, check_text, forbidden, not_found, refusal, warnings,
};

pub(crate) fn warns_and_admits_under_warn(fixture: &mut Fixture) -> Result<()> {
    let image = &fixture.images.unsigned;
    let output = fixture.run("warned", "web", image)?;
    ensure!(output.success, "refused: {}", output.stderr);
    let (name, _digest) = image.split_once('@').unwrap_or_default();
    let expected = format!("[warned-images] container \"web\" {name}: SIGNATURE_NOT_FOUND");
    check_text("the warnings", &warnings(&output.stderr).join("\n"), &expected)?;
    let signed = fixture.run("warned", "signed", &fixture.images.signed_bundle)?;
    admitted_silently("a signed image", signed)
}

pub(crate) fn admits_silently_and_counts_under_dryrun(fixture: &mut Fixture) -> Result<()> {
    ensure!(trial_denials(fixture)?.is_empty(), "counted before the first violation");
    admitted_silently("signed", fixture.run("trial", "signed", &fixture.images.signed_bundle)?)?;
    ensure!(trial_denials(fixture)?.is_empty(), "a signed image counts as a violation");
    admitted_silently("unsigned", fixture.run("trial", "web", &fixture.images.unsigned)?)?;
    let samples = trial_denials(fixture)?;
    ensure!(matches!(samples.as_slice(), [one] if one.ends_with(" 1")), "{samples:?}");
    Ok(())
}

/// The policy names no namespace, so only the label, read live, tells the two apart.
pub(crate) fn denies_by_namespace_label_alone(fixture: &mut Fixture) -> Result<()> {
    let image = &fixture.images.unsigned;
    let found = refusal(fixture.run("production", "web", image)?)?;
    check_text("env=prod", &found, &forbidden(&not_found("prod-images", image, "web")))?;
    admitted_silently("env=staging", fixture.run("staging", "web", image)?)
}

/// The samples that count unsigned images under the trial policy.
fn trial_denials(fixture: &Fixture) -> Result<Vec<String>> {
    const LABELS: [&str; 4] = [
        "enforcement_action=\"dryrun\"",
        "namespace=\"trial\"",
        "policy=\"trial-images\"",
        "reason=\"SIGNATURE_NOT_FOUND\"",
    ];
    let page = fixture.webhook.metrics()?;
    let samples = page.lines().filter(|line| {
        line.starts_with("assay_admission_denials_total{")
            && LABELS.iter().all(|label| line.contains(label))
    });
    Ok(samples.map(str::to_owned).collect())
}
