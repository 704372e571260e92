//! Signed, unsigned and wrongly signed images, in both forms that cosign writes.

use anyhow::{Result, ensure};
use assay_e2e::Form;

use crate::fixture::{Fixture, admitted_silently, check_text, forbidden, not_found, refusal};

/// The images are what their names say, so that a wrongly signed one is not just an unsigned one.
pub(crate) fn cosign_itself_agrees_on_the_images(fixture: &mut Fixture) -> Result<()> {
    let Fixture { images, release, stranger, .. } = fixture;
    for (name, image, signer, form, expected) in [
        ("unsigned, bundle", &images.unsigned, &*release, Form::Bundle, false),
        ("unsigned, tag", &images.unsigned, release, Form::Tag, false),
        ("signed bundle", &images.signed_bundle, release, Form::Bundle, true),
        ("signed tag", &images.signed_tag, release, Form::Tag, true),
        ("unseen bundle", &images.signed_unseen, release, Form::Bundle, true),
        ("wrong bundle, release key", &images.stranger_bundle, release, Form::Bundle, false),
        ("wrong bundle, its own key", &images.stranger_bundle, stranger, Form::Bundle, true),
        ("wrong tag, release key", &images.stranger_tag, release, Form::Tag, false),
        ("wrong tag, its own key", &images.stranger_tag, stranger, Form::Tag, true),
    ] {
        let output = signer.verify(image, form)?;
        ensure!(output.success == expected, "{name}: {}", output.stderr);
    }
    Ok(())
}

pub(crate) fn admits_signed_images(fixture: &mut Fixture) -> Result<()> {
    let images = &fixture.images;
    for (name, image) in [("bundle", &images.signed_bundle), ("tag", &images.signed_tag)] {
        admitted_silently(name, fixture.run("enforced", name, image)?)?;
        fixture.cluster.kubectl(&["get", "pod", name, "--namespace=enforced"])?.succeeded()?;
    }
    Ok(())
}

pub(crate) fn denies_unsigned_image(fixture: &mut Fixture) -> Result<()> {
    let image = &fixture.images.unsigned;
    let found = refusal(fixture.run("enforced", "web", image)?)?;
    check_text("unsigned", &found, &forbidden(&not_found("release-images", image, "web")))
}

pub(crate) fn denies_wrongly_signed_images(fixture: &mut Fixture) -> Result<()> {
    let images = &fixture.images;
    for (name, image) in [("bundle", &images.stranger_bundle), ("tag", &images.stranger_tag)] {
        let expected = forbidden(&format!(
            "[release-images] Subject failed verification: {image} (container \"web\"): \
             release-signature: KEY_MISMATCH: signed, but by no key of release-keys \
             (request xxxxxxxx)"
        ));
        check_text(name, &refusal(fixture.run("enforced", "web", image)?)?, &expected)?;
    }
    Ok(())
}
