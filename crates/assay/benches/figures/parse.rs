//! Reading a review: the webhook's partial parse, which borrows, beside typed Kubernetes objects.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::numbers::{micros, ratio, time_of};
use crate::table::Figure;
use crate::world::review;

/// An AdmissionReview with a typed pod: what a webhook has that deserialises all of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedReview {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    request: TypedRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read from JSON, which is what is timed")]
struct TypedRequest {
    uid: String,
    kind: Kind,
    resource: Resource,
    sub_resource: Option<String>,
    request_kind: Option<Kind>,
    request_resource: Option<Resource>,
    request_sub_resource: Option<String>,
    #[serde(default)]
    name: String,
    namespace: Option<String>,
    operation: String,
    user_info: UserInfo,
    object: Option<Pod>,
    old_object: Option<Pod>,
    #[serde(default)]
    dry_run: bool,
    options: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read from JSON, which is what is timed")]
struct Kind {
    group: String,
    version: String,
    kind: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read from JSON, which is what is timed")]
struct Resource {
    group: String,
    version: String,
    resource: String,
}

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let review = review(["registry.example/shop/web:v1", "registry.example/shop/proxy:v1"]);
    let bytes = review.as_bytes();
    let partial = || assay_webhook::read_request(bytes);
    let typed = || serde_json::from_slice::<TypedReview>(bytes);
    let images = partial().map_err(anyhow::Error::msg)?.object.context("no object")?.images;
    let containers = typed()?.request.object.and_then(|pod| pod.spec).context("no pod")?.containers;
    ensure!(images.len() == 2 && containers.len() == 2, "two containers");
    let [partial, typed, skimmed] =
        [time_of(partial), time_of(typed), time_of(|| serde_json::from_slice::<IgnoredAny>(bytes))];
    let what = format!("parse of a review of {:.1} KB", bytes.len() as f64 / 1000.0);
    let skim = |skimmed: Duration| format!("skipping every value: {}", micros(skimmed));
    Ok(vec![
        Figure::new(what, micros(partial))
            .beside(format!("typed Pod: {}; {}", micros(typed), skim(skimmed)))
            .ratio(ratio(partial, typed)),
    ])
}
