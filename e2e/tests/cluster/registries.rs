//! Registries that ask who one is, and that take their time.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_e2e::{Form, PRIVATE_LOGIN, until};

use crate::fixture::{Fixture, admitted_silently, refusal};

pub(crate) fn reads_private_registry_with_credentials_only(fixture: &mut Fixture) -> Result<()> {
    let Fixture { private_registry, release, webhook, .. } = &*fixture;
    let host = private_registry.host();
    release.log_in(host, PRIVATE_LOGIN)?;
    let signed = private_registry.push("app", "signed")?;
    release.sign(&signed, Form::Bundle)?;
    let unsigned = private_registry.push("app", "unsigned")?;
    let found = refusal(fixture.try_run("enforced", &signed)?)?;
    ensure!(found.contains("REGISTRY_DENIED"), "without credentials: {found}");
    webhook.log_in(host, "robot:wrong")?;
    let found = refusal(fixture.try_run("enforced", &signed)?)?;
    ensure!(found.contains("REGISTRY_DENIED"), "by a wrong password: {found}");
    webhook.log_in(host, PRIVATE_LOGIN)?;
    until("the image to be admitted", || {
        Ok(fixture.try_run("enforced", &signed)?.success.then_some(()))
    })?;
    let found = refusal(fixture.try_run("enforced", &unsigned)?)?;
    ensure!(found.contains("SIGNATURE_NOT_FOUND"), "unsigned: {found}");
    Ok(())
}

/// The answer is ours and not the API server's that waited in vain; images elsewhere do not wait; and
/// what was begun goes on, so that trying again succeeds.
pub(crate) fn answers_in_time_with_registry_slow(fixture: &mut Fixture) -> Result<()> {
    // Past the answer's deadline, and within what one request to a registry may take.
    const DELAY: Duration = Duration::from_millis(9_500);
    let pushed = fixture.registry.push("app", "slow")?;
    fixture.release.sign(&pushed, Form::Bundle)?;
    let image = pushed.replacen(fixture.registry.host(), &fixture.slow_line.host(), 1);
    fixture.slow_line.delay(DELAY);
    let found = refusal(fixture.try_run("enforced", &image)?)?;
    for text in ["(ServiceUnavailable)", "TIMEOUT", image.as_str()] {
        ensure!(found.contains(text), "no {text} in: {found}");
    }
    let elsewhere = &fixture.images.signed_bundle;
    admitted_silently("elsewhere", fixture.try_run("enforced", elsewhere)?)?;
    fixture.slow_line.delay(Duration::ZERO);
    until("the image to be admitted", || {
        Ok(fixture.try_run("enforced", &image)?.success.then_some(()))
    })
}
