//! Reviews as large as the API server can make them. It writes `<` as six bytes, so that what a user
//! may post, 3 MiB, can be a review of 18.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::fixture::{Fixture, masked, not_found};

const MEBIBYTE: usize = 1024 * 1024;

/// A pod whose review has about so many bytes.
fn pod(image: &str, review_bytes: usize) -> Value {
    let padding = "<".repeat(review_bytes / r"\u003c".len());
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "large"},
        "spec": {"containers": [{
            "name": "web",
            "image": image,
            "env": [{"name": "PADDING", "value": padding}],
        }]},
    })
}

fn create(fixture: &Fixture, image: &str, review_bytes: usize) -> Result<(u16, String)> {
    let door = fixture.cluster.open()?;
    door.try_create("api/v1/namespaces/enforced/pods", &pod(image, review_bytes))
}

pub(crate) fn judges_review_of_six_mebibytes(fixture: &mut Fixture) -> Result<()> {
    let images = &fixture.images;
    let (status, _) = create(fixture, &images.signed_bundle, 6 * MEBIBYTE)?;
    ensure!(status == 201, "signed: {status}");
    let (status, text) = create(fixture, &images.unsigned, 6 * MEBIBYTE)?;
    let found: Value = serde_json::from_str(&text)?;
    let message = masked(found["message"].as_str().unwrap_or_default());
    let expected = not_found("release-images", &images.unsigned, "web");
    ensure!(status == 403 && message.ends_with(&expected), "unsigned: {status} {message}");
    Ok(())
}

/// A signed image: the size alone refuses, and by the webhook's own word, so under
/// `failurePolicy: Ignore` as well.
pub(crate) fn refuses_review_past_seven_mebibytes_in_the_review(
    fixture: &mut Fixture,
) -> Result<()> {
    let signed = &fixture.images.signed_bundle;
    let (status, text) = create(fixture, signed, 7 * MEBIBYTE + MEBIBYTE / 2)?;
    let found: Value = serde_json::from_str(&text)?;
    let message = found["message"].as_str().unwrap_or_default();
    ensure!(status == 413 && message.contains("denied the request"), "{status} {message}");
    Ok(())
}
