//! Writes each object's status, by one replica, where it is not what it should be, and not faster than
//! the API server likes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::Clock;
use assay_policy::PolicyId;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Activity;
use crate::lease::Leadership;
use crate::namespaces::{Labels, WatchedNamespaces};
use crate::objects::{ObjectId, Objects};
use crate::status::{Built, Circumstances, normalised};

/// Who owns the fields of the status, for server-side apply.
const FIELD_MANAGER: &str = "assay";
/// The least time between two writes: 20 in a second, where a client of the API server gets 20 to 50
/// by default.
const WRITE_INTERVAL: Duration = Duration::from_millis(50);
/// How often statuses are looked at where nothing was compiled: for counts, for namespaces, for what
/// others wrote, and after an error.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How old a status has to be to be written for its counts alone.
const RECENT_INTERVAL: Duration = Duration::from_secs(60);
/// How long one write may take.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);

/// Writes statuses.
pub(crate) struct StatusWriter {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) namespaces: Arc<WatchedNamespaces>,
    pub(crate) objects: Arc<Objects>,
}

/// What was written, and what of.
struct Written {
    /// The version that the object had, which it keeps here until the watch brings what was written.
    resource_version: String,
    /// In ticks of the clock.
    at: Duration,
}

/// How far the writer has got.
#[derive(Default)]
struct Progress {
    written: BTreeMap<ObjectId, Written>,
    /// The object that was looked at last, after which the next pass begins, so that one that changes
    /// all the time keeps no other from its turn.
    last: Option<ObjectId>,
}

/// A status that is to be written.
struct Due {
    status: Value,
    resource_version: String,
}

impl StatusWriter {
    /// Writes what `built` says, for good.
    pub(crate) async fn run(self, mut built: watch::Receiver<Option<Arc<Built>>>) {
        let mut progress = Progress::default();
        loop {
            tokio::select! {
                // Nothing is built any longer where this fails; the statuses stay looked after.
                Ok(()) = built.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let current = built.borrow_and_update().clone();
            if let Some(current) = current {
                self.pass(&current, &built, &mut progress).await;
            }
        }
    }

    /// Looks at each object once, or until there is something newer to say.
    async fn pass(
        &self,
        current: &Built,
        built: &watch::Receiver<Option<Arc<Built>>>,
        progress: &mut Progress,
    ) {
        progress.written.retain(|id, _| current.said.contains_key(id));
        let namespaces = self.namespaces.all();
        let start = progress.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = current.said.range((start.clone(), Bound::Unbounded));
        let begin = match start {
            Bound::Excluded(last) => (Bound::Unbounded, Bound::Included(last)),
            _ => (Bound::Unbounded, Bound::Unbounded),
        };
        let ids: Vec<&ObjectId> = rest.chain(current.said.range(begin)).map(|(id, _)| id).collect();
        for id in ids.into_iter().take(current.said.len()) {
            if !self.leadership.is_held() || built.has_changed().unwrap_or(false) {
                return;
            }
            progress.last = Some(id.clone());
            tokio::task::yield_now().await;
            let Some(due) = self.due(current, id, &namespaces, progress) else { continue };
            if !self.write(id, &due).await {
                return;
            }
            let at = self.clock.ticks();
            let written = Written { resource_version: due.resource_version, at };
            progress.written.insert(id.clone(), written);
            tokio::time::sleep(WRITE_INTERVAL).await;
        }
    }

    /// The status that `id` lacks; `None` where it lacks none, or has changed since.
    fn due(
        &self,
        current: &Built,
        id: &ObjectId,
        namespaces: &[(String, Labels)],
        progress: &Progress,
    ) -> Option<Due> {
        let said = current.said.get(id)?;
        let held = self.objects.held(id).filter(|held| held.version == said.version)?;
        let written = progress.written.get(id);
        if written.is_some_and(|written| written.resource_version == held.resource_version) {
            return None;
        }
        let policy = PolicyId { namespace: id.namespace.clone(), name: id.name.clone() };
        let now = self.clock.now();
        let recent = self.activity.of(&policy.to_string());
        let circumstances = Circumstances { now, recent, namespaces };
        let status = current.status(id, said, &held.status, circumstances);
        let before = normalised(id.kind, &held.status);
        if status == before {
            return None;
        }
        let is_young =
            |written: &Written| self.clock.ticks().saturating_sub(written.at) < RECENT_INTERVAL;
        if without_recent(&status) == without_recent(&before) && written.is_some_and(is_young) {
            return None;
        }
        Some(Due { status, resource_version: held.resource_version })
    }

    /// Writes a status. Whether to go on with others: not where the API server does not answer.
    async fn write(&self, id: &ObjectId, due: &Due) -> bool {
        let resource = id.kind.resource();
        let client = self.client.clone();
        let (api, metadata): (Api<DynamicObject>, Value) = match &id.namespace {
            Some(namespace) => (
                Api::namespaced_with(client, namespace, &resource),
                json!({"name": id.name, "namespace": namespace}),
            ),
            None => (Api::all_with(client, &resource), json!({"name": id.name})),
        };
        let apply = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            "status": due.status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&apply);
        let write = api.patch_status(&id.name, &parameters, &patch);
        match tokio::time::timeout(WRITE_TIME_MAX, write).await {
            Ok(Ok(_)) => true,
            // Gone, or replaced: the watch brings it.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => true,
            Ok(Err(error)) => {
                tracing::warn!(object = %id, %error, "status not written");
                false
            }
            Err(_) => {
                tracing::warn!(object = %id, "status not written in time");
                false
            }
        }
    }
}

/// The status without what a policy did of late.
fn without_recent(status: &Value) -> Value {
    let mut status = status.clone();
    if let Value::Object(fields) = &mut status {
        fields.remove("recent");
    }
    status
}
