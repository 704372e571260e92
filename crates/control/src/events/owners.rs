//! What made a pod, and what made that: the object that its owner knows by name.
//!
//! Who wrote the pod says who its controller is, and may say anything. So only the kinds that Kubernetes
//! has for it count, in the pod's own namespace; what one is controlled by is the API server's word. No
//! chain is longer than these tables, and none goes in a circle.

use std::collections::HashMap;
use std::time::Duration;

use assay_core::ports::{ObjectReference, RefusedPod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use tokio::time::timeout;

use super::REQUEST_TIME_MAX;
use crate::names::is_subdomain;

/// Controllers of pods that nothing of Kubernetes' own controls.
const TOP: [(&str, &str); 3] =
    [("apps/v1", "DaemonSet"), ("apps/v1", "StatefulSet"), ("v1", "ReplicationController")];

/// Controllers of pods that have controllers of their own.
const MIDDLE: [Middle; 2] = [
    Middle { version: "apps/v1", kind: "ReplicaSet", plural: "replicasets", above: "Deployment" },
    Middle { version: "batch/v1", kind: "Job", plural: "jobs", above: "CronJob" },
];

/// A kind, and the one in the same version that may control it.
struct Middle {
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    above: &'static str,
}

/// How long it is believed what was read, and how long that it could not be read.
const READ_TTL: Duration = Duration::from_secs(10 * 60);
const UNREAD_TTL: Duration = Duration::from_secs(60);

/// Controllers that are kept; when there are more, all are read anew. With five names each, 1 MiB.
pub(super) const OWNERS_MAX: usize = 1_024;

/// The longest uid that is repeated, in bytes: a UUID, with room to spare.
const UID_BYTES_MAX: usize = 128;

/// The owners of pods, by their controllers.
#[derive(Default)]
pub(super) struct Owners(HashMap<(String, ObjectReference), Entry>);

struct Entry {
    /// Nothing where there is no such controller.
    owner: Option<ObjectReference>,
    /// In ticks of the clock.
    expires: Duration,
}

/// The refusal with a controller that may be one, or with none.
pub(super) fn sane(mut refused: RefusedPod) -> RefusedPod {
    refused.controller = refused.controller.filter(|controller| {
        let is_top = TOP.iter().any(|top| is(controller, *top));
        let may_be = is_top || Middle::of(controller).is_some();
        // The name becomes a part of a URL's path.
        may_be && is_subdomain(&controller.name) && controller.uid.len() <= UID_BYTES_MAX
    });
    refused
}

impl Owners {
    /// The owner, where that needs no question.
    pub(super) fn known(&self, refused: &RefusedPod, now: Duration) -> Option<ObjectReference> {
        let Some(controller) = &refused.controller else { return Some(refused.pod.clone()) };
        if Middle::of(controller).is_none() {
            return Some(controller.clone());
        }
        let entry = self.0.get(&(refused.namespace.clone(), controller.clone()));
        let entry = entry.filter(|entry| now < entry.expires)?;
        Some(entry.owner.clone().unwrap_or_else(|| refused.pod.clone()))
    }

    /// The owner, by one question at most. Where there is no answer, it is the controller that the pod
    /// names; where there is no such controller, the pod.
    pub(super) async fn ask(
        &mut self,
        client: &Client,
        refused: &RefusedPod,
        now: Duration,
    ) -> ObjectReference {
        let RefusedPod { namespace, pod, controller, .. } = refused;
        let Some((controller, middle)) =
            controller.as_ref().and_then(|controller| Some((controller, Middle::of(controller)?)))
        else {
            return controller.as_ref().unwrap_or(pod).clone();
        };
        let read = timeout(REQUEST_TIME_MAX, middle.owner(client, namespace, controller)).await;
        let (owner, ttl) = match read {
            Ok(Ok(owner)) => (owner, READ_TTL),
            _ => (Some(controller.clone()), UNREAD_TTL),
        };
        if self.0.len() >= OWNERS_MAX {
            self.0.clear();
        }
        let entry = Entry { owner: owner.clone(), expires: now.saturating_add(ttl) };
        self.0.insert((namespace.clone(), controller.clone()), entry);
        owner.unwrap_or_else(|| pod.clone())
    }
}

impl Middle {
    fn of(controller: &ObjectReference) -> Option<&'static Self> {
        MIDDLE.iter().find(|middle| is(controller, (middle.version, middle.kind)))
    }

    /// What controls `controller`, else itself; nothing where it is not there, or another of its name.
    async fn owner(
        &self,
        client: &Client,
        namespace: &str,
        controller: &ObjectReference,
    ) -> kube::Result<Option<ObjectReference>> {
        let (group, version) = self.version.split_once('/').unwrap_or(("", self.version));
        let gvk = GroupVersionKind::gvk(group, version, self.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, self.plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let found = api.get_metadata_opt(&controller.name).await?.map(|object| object.metadata);
        let found = found.filter(|found| found.uid.as_ref() == Some(&controller.uid));
        let Some(found) = found else { return Ok(None) };
        let mut owners = found.owner_references.into_iter().flatten();
        let above = owners.find(|owner| owner.controller == Some(true)).map(reference);
        let above = above.filter(|above| is(above, (self.version, self.above)));
        Ok(Some(above.unwrap_or_else(|| controller.clone())))
    }
}

fn reference(owner: OwnerReference) -> ObjectReference {
    let OwnerReference { api_version, kind, name, uid, .. } = owner;
    ObjectReference { api_version, kind, name, uid }
}

fn is(reference: &ObjectReference, (version, kind): (&str, &str)) -> bool {
    reference.api_version == version && reference.kind == kind
}
