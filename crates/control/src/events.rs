//! Events on what made a refused pod, so that `kubectl describe deployment` says why nothing comes up.
//!
//! `kube::runtime::events::Recorder` is not used: it keeps the message that an Event began with, whose
//! request is soon in no log any more; adds one occurrence by one request, however many pods are
//! refused at once; and reads the clock by itself. Events of `v1`, not of `events.k8s.io`, for the same
//! reason: the message of the latter cannot change. `kubectl describe` shows both alike.

mod owners;
mod queue;
mod spam;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::ports::{Clock, ObjectReference, RefusedPod};
use assay_policy::message::MESSAGE_BYTES_MAX;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference as Involved};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use owners::Owners;
use queue::{Queue, Waiting};
use spam::Spam;

/// How long one request may take: as for a Lease, and longer than any API server that is well needs.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(4);

/// How often an Event that goes on is brought up to date.
const UPDATE_INTERVAL: Duration = Duration::from_secs(60);

/// How long after the last occurrence the next one is a new Event (as in client-go).
const SERIES_TIME: Duration = Duration::from_secs(10 * 60);

/// Events that may go on at once; the one that was quiet for longest makes room. With a message and a
/// cause each, that is 4 MiB at most.
const SERIES_MAX: usize = 1_024;

/// How often somebody looks whether an Event is due to be brought up to date.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Why the Event is there, as `kubectl describe` shows it.
const REASON: &str = "ImageDenied";

/// Bytes of an Event's message in either API group.
const EVENT_MESSAGE_BYTES_MAX: usize = 1024;
const _: () = assert!(MESSAGE_BYTES_MAX <= EVENT_MESSAGE_BYTES_MAX);

/// Is told what became of refusals, and of how many: `sent` as a new Event, `aggregated` into one that
/// there is, `dropped` because there were too many, or `failed`.
pub type CountEvents = dyn Fn(&'static str, u64) + Send + Sync;

/// Writes Events about refused pods, as far as the API server keeps up.
pub struct EventWriter {
    client: Client,
    /// This replica's name.
    identity: String,
    clock: Arc<dyn Clock>,
    count: Arc<CountEvents>,
    queue: Mutex<Queue>,
    waiting: Notify,
}

/// What one Event is about: namespace, object and cause.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    owner: ObjectReference,
    cause: String,
}

/// An Event that was written, and may go on.
struct Series {
    name: String,
    /// Occurrences that the Event says.
    count: i32,
    /// Those that it does not say yet.
    unsaid: u32,
    message: String,
    /// When the last occurrence was, and the last request, in ticks of the clock.
    seen: Duration,
    written: Duration,
}

/// What the one task that writes keeps.
#[derive(Default)]
struct Books {
    owners: Owners,
    series: HashMap<Key, Series>,
    spam: Spam,
}

impl EventWriter {
    /// A writer for this replica that has nothing to write yet, and needs to [run](Self::run).
    ///
    /// Of the cluster it needs, in every namespace: `create` and `patch` on `events` of the core
    /// group, `get` on `replicasets.apps` and `jobs.batch`. Without the latter two, Events are on
    /// ReplicaSets and Jobs, and not on the Deployments and CronJobs above them.
    pub fn new(
        client: Client,
        identity: String,
        clock: Arc<dyn Clock>,
        count: Arc<CountEvents>,
    ) -> Self {
        let (queue, waiting) = (Mutex::default(), Notify::new());
        Self { client, identity, clock, count, queue, waiting }
    }

    /// Writes for good.
    pub async fn run(&self) {
        let mut books = Books::default();
        loop {
            while self.step(&mut books).await {}
            // Whether something came or the time is up: both are looked at.
            let _ = timeout(LOOK_INTERVAL, self.waiting.notified()).await;
        }
    }

    /// Writes what is most urgent: what is new before what goes on. Whether there was anything.
    async fn step(&self, books: &mut Books) -> bool {
        let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(waiting) = next {
            self.take(books, waiting).await;
            return true;
        }
        let now = self.clock.ticks();
        let is_due = |series: &Series| now.saturating_sub(series.written) >= UPDATE_INTERVAL;
        let due = books.series.iter().filter(|(_, series)| series.unsaid > 0 && is_due(series));
        let due = due.min_by_key(|(_, series)| series.written).map(|(key, _)| key.clone());
        let Some(key) = due else { return false };
        self.update(books, &key).await;
        true
    }

    /// Adds to the Event that goes on, or makes one.
    async fn take(&self, books: &mut Books, waiting: Waiting) {
        let Waiting { refused, times } = waiting;
        let now = self.clock.ticks();
        let known = books.owners.known(&refused, now);
        let goes_on = known.clone().map(|owner| Key::new(&refused, owner));
        if goes_on.is_some_and(|key| books.goes_on(&key, &refused.message, times, now)) {
            return;
        }
        // Before anything is asked of the API server: who owns what is asked as well.
        if !books.spam.admits(&refused.namespace, now) {
            return self.tell("dropped", times);
        }
        let owner = match known {
            Some(owner) => owner,
            None => books.owners.ask(&self.client, &refused, now).await,
        };
        let key = Key::new(&refused, owner);
        if !books.goes_on(&key, &refused.message, times, now) {
            self.create(books, key, refused.message, times).await;
        }
    }

    async fn create(&self, books: &mut Books, key: Key, message: String, times: u32) {
        let count = i32::try_from(times).unwrap_or(i32::MAX);
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
        let event = self.event(&key, &message, count);
        let parameters = PostParams::default();
        let written = timeout(REQUEST_TIME_MAX, api.create(&parameters, &event)).await;
        let error = match written {
            Ok(Ok(Event { metadata: ObjectMeta { name: Some(name), .. }, .. })) => {
                self.tell("sent", 1);
                self.tell("aggregated", times.saturating_sub(1));
                let now = self.clock.ticks();
                let series = Series { name, count, unsaid: 0, message, seen: now, written: now };
                let lost = books.keep(key, series);
                return self.tell("dropped", lost);
            }
            Ok(Ok(_)) => "the API server's answer has no name".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the API server did not answer in time".to_owned(),
        };
        tracing::warn!(namespace = key.namespace, error, "event not written");
        self.tell("failed", times);
    }

    async fn update(&self, books: &mut Books, key: &Key) {
        let Some(series) = books.series.get_mut(key) else { return };
        let times = std::mem::take(&mut series.unsaid);
        let count = series.count.saturating_add(i32::try_from(times).unwrap_or(i32::MAX));
        series.written = self.clock.ticks();
        let patch = Patch::Merge(json!({
            "count": count,
            "lastTimestamp": Time(self.clock.now()),
            "message": series.message,
        }));
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
        let parameters = PatchParams::default();
        let write = api.patch(&series.name, &parameters, &patch);
        let error = match timeout(REQUEST_TIME_MAX, write).await {
            Ok(Ok(_)) => {
                series.count = count;
                return self.tell("aggregated", times);
            }
            Ok(Err(error)) => {
                // Deleted by somebody, or expired: the next occurrence is a new Event.
                if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                    books.series.remove(key);
                }
                error.to_string()
            }
            Err(_) => "the API server did not answer in time".to_owned(),
        };
        tracing::warn!(namespace = key.namespace, error, "event not updated");
        self.tell("failed", times);
    }

    fn tell(&self, result: &'static str, times: u32) {
        if times > 0 {
            (self.count)(result, times.into());
        }
    }

    fn event(&self, key: &Key, message: &str, count: i32) -> Event {
        let now = Some(Time(self.clock.now()));
        let Key { namespace, owner, .. } = key;
        Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}.", owner.name)),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: Involved {
                api_version: Some(owner.api_version.clone()),
                kind: Some(owner.kind.clone()),
                name: Some(owner.name.clone()),
                namespace: Some(namespace.clone()),
                uid: Some(owner.uid.clone()).filter(|uid| !uid.is_empty()),
                ..Involved::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some(REASON.to_owned()),
            message: Some(message.to_owned()),
            count: Some(count),
            first_timestamp: now.clone(),
            last_timestamp: now,
            source: Some(EventSource { component: Some("assay".to_owned()), host: None }),
            reporting_component: Some("assay".to_owned()),
            reporting_instance: Some(self.identity.clone()),
            ..Event::default()
        }
    }
}

impl assay_core::ports::Events for EventWriter {
    fn refused(&self, refused: RefusedPod) {
        let waiting = Waiting { refused: owners::sane(refused), times: 1 };
        let queued = self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        if !queued {
            return self.tell("dropped", 1);
        }
        self.waiting.notify_one();
    }
}

impl Key {
    fn new(refused: &RefusedPod, owner: ObjectReference) -> Self {
        let RefusedPod { namespace, cause, .. } = refused;
        Self { namespace: namespace.clone(), owner, cause: cause.clone() }
    }
}

impl Books {
    /// Adds so many occurrences to the Event, where it goes on.
    fn goes_on(&mut self, key: &Key, message: &str, times: u32, now: Duration) -> bool {
        let Some(series) = self.series.get_mut(key) else { return false };
        if now.saturating_sub(series.seen) >= SERIES_TIME {
            return false;
        }
        series.unsaid = series.unsaid.saturating_add(times);
        series.seen = now;
        message.clone_into(&mut series.message);
        true
    }

    /// Keeps the Event; how many occurrences of others are forgotten for it without being said.
    fn keep(&mut self, key: Key, series: Series) -> u32 {
        let before = self.series.insert(key, series);
        if self.series.len() <= SERIES_MAX {
            return before.map_or(0, |series| series.unsaid);
        }
        let quiet = self.series.iter().min_by_key(|(_, series)| series.seen);
        let quiet = quiet.map(|(key, _)| key.clone());
        let quiet = quiet.and_then(|key| self.series.remove(&key));
        quiet.map_or(0, |series| series.unsaid)
    }
}

#[cfg(test)]
mod tests;
