//! What the users of a cluster are told about a refused pod, beside the answer: a controller that
//! makes pods keeps its answers to itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use assay_core::ports::{ObjectReference, RefusedPod};
use assay_policy::{Effect, Verdict};
use serde::Deserialize;

use crate::response::{Answer, list};
use crate::review::Head;

/// Bytes of a cause, which is compared and never shown.
const CAUSE_BYTES_MAX: usize = 1024;

// Read once more from the review, and only where a pod is refused: what is admitted pays nothing.

#[derive(Deserialize)]
struct WireReview<'a> {
    #[serde(borrow)]
    request: WireRequest<'a>,
}

#[derive(Deserialize)]
struct WireRequest<'a> {
    #[serde(borrow)]
    object: WireObject<'a>,
}

#[derive(Deserialize)]
struct WireObject<'a> {
    #[serde(borrow)]
    metadata: Option<WireMetadata<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    uid: Option<String>,
    #[serde(borrow)]
    owner_references: Option<Vec<WireOwner<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOwner<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    controller: Option<bool>,
}

/// The pod that `answer` refuses in the review `body`; nothing where it is admitted, is no pod, or
/// would not have been stored.
pub(crate) fn refused_pod(
    body: &[u8],
    head: &Head,
    answer: &Answer,
    verdict: &Verdict,
) -> Option<RefusedPod> {
    let message = answer.message()?;
    if head.dry_run || head.resource != "pods" {
        return None;
    }
    let review: WireReview<'_> = serde_json::from_slice(body).ok()?;
    let metadata = review.request.object.metadata.unwrap_or_default();
    // What is refused on its creation never exists, whatever uid it would have had.
    let uid = metadata.uid.filter(|_| head.operation == "UPDATE").unwrap_or_default();
    let mut owners = metadata.owner_references.into_iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    Some(RefusedPod {
        namespace: head.namespace.clone(),
        pod: ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: head.name.clone(),
            uid,
        },
        controller: controller.map(|owner| ObjectReference {
            api_version: owner.api_version.into_owned(),
            kind: owner.kind.into_owned(),
            name: owner.name.into_owned(),
            uid: owner.uid.into_owned(),
        }),
        cause: cause(verdict),
        message: message.to_owned(),
    })
}

/// The policies that refuse, and why, in order.
fn cause(verdict: &Verdict) -> String {
    let policies = verdict.images.iter().flat_map(|image| &image.policies);
    let refusing = policies.filter(|policy| policy.effect >= Effect::Undecided);
    let causes = refusing.flat_map(|policy| {
        let violations = policy.violations.iter();
        violations.map(|violation| format!("{} {}", policy.policy, violation.code))
    });
    list(causes.collect::<BTreeSet<_>>(), CAUSE_BYTES_MAX)
}
