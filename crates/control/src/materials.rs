//! The Secrets and ConfigMaps that trust stores name, watched one by one, by name: never a list of a
//! namespace, and nothing that nobody names. Of each, only the entry that is named is kept.
//!
//! Assay may read those of its own namespace. Elsewhere the namespace's owner grants it, by binding
//! the ClusterRole [`READER_ROLE`]; until then the API server's 403 is the answer, and what rests on
//! the entry fails closed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_api::limits::TRUST_STORE_BYTES_MAX;
use assay_api::{Body, MaterialKind, MaterialReference, Origin, document_from_value};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::watching::{Failure, Sink, follow};

/// The ClusterRole whose binding lets Assay read the Secrets and ConfigMaps of a namespace.
pub(crate) const READER_ROLE: &str = "assay-trust-material-reader";

/// Entries that are watched, each by a connection of its own.
const WATCHED_MAX: usize = 1_024;
/// Entries that are watched for the trust stores of one namespace, so that no tenant uses up what is
/// there for all.
const NAMESPACE_WATCHED_MAX: usize = 16;
/// Refusals in a row (HTTP 403) after which an entry that was read is given up. An API server that
/// starts may refuse a moment long what it grants.
const REFUSALS_MAX: u32 = 3;

/// What is known of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// What it holds, at most one byte past what a trust store may.
    Held(Vec<u8>),
    /// Whether the Secret or ConfigMap is there, without the key.
    Missing { object: bool },
    /// The first answer is still to come.
    Pending,
    /// The API server does not let us read it.
    Refused,
    /// It never was read, and this is why.
    Unread(String),
}

/// Why an entry cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// In one word, for a condition.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
}

struct Entry {
    /// Which watch brings it, so that one that is being ended says nothing about the next one's.
    watch: u64,
    state: State,
    /// In a row.
    refusals: u32,
    task: AbortHandle,
}

/// Everything that is watched.
pub(crate) struct Materials {
    client: Client,
    entries: Arc<Mutex<BTreeMap<MaterialReference, Entry>>>,
    /// Told of each change.
    changed: Arc<Notify>,
    /// Told of each first answer.
    answered: Arc<Notify>,
    watches: AtomicU64,
}

/// What is wanted, with the namespace of the trust store that wants it; `None` for the cluster's.
pub(crate) type Wanted = BTreeSet<(Option<String>, MaterialReference)>;

impl Materials {
    pub(crate) fn new(client: Client, changed: Arc<Notify>) -> Self {
        Self {
            client,
            entries: Arc::default(),
            changed,
            answered: Arc::default(),
            watches: AtomicU64::default(),
        }
    }

    /// Watches what is `wanted`, within the bounds, and forgets everything else.
    pub(crate) fn want(&self, wanted: &Wanted) {
        let chosen = choose(wanted);
        let mut entries = self.lock();
        entries.retain(|reference, entry| {
            let stays = chosen.contains(reference);
            if !stays {
                entry.task.abort();
            }
            stays
        });
        for reference in chosen {
            entries.entry(reference).or_insert_with_key(|reference| self.watch(reference.clone()));
        }
    }

    /// Waits until each entry had a first answer, but not longer than `time_max`.
    pub(crate) async fn settle(&self, time_max: Duration) {
        let settled = async {
            loop {
                let answered = self.answered.notified();
                if !self.lock().values().any(|entry| entry.state == State::Pending) {
                    return;
                }
                answered.await;
            }
        };
        // What is still to come closes what rests on it, and opens it when it comes.
        let _ = tokio::time::timeout(time_max, settled).await;
    }

    /// What the entry holds.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn bytes(&self, reference: &MaterialReference) -> Result<Vec<u8>, Unresolved> {
        let entries = self.lock();
        let state = entries.get(reference).map(|entry| &entry.state);
        let MaterialReference { kind, namespace, name, key } = reference;
        let what = format!("{} '{name}' of namespace '{namespace}'", kind.as_str());
        let (reason, message) = match state {
            Some(State::Held(bytes)) => return Ok(bytes.clone()),
            Some(State::Missing { object: false }) => {
                ("RefNotFound", format!("{what} does not exist"))
            }
            Some(State::Missing { object: true }) => {
                ("RefNotFound", format!("{what} has no key '{key}'"))
            }
            Some(State::Pending) => ("RefNotRead", format!("{what} is not read yet")),
            Some(State::Refused) => (
                "RefNotPermitted",
                format!(
                    "{what} may not be read: bind the ClusterRole {READER_ROLE} in that namespace"
                ),
            ),
            Some(State::Unread(reason)) => {
                ("RefNotRead", format!("{what} cannot be read: {reason}"))
            }
            None => (
                "TooManyRefs",
                format!(
                    "{what} is not watched: at most {NAMESPACE_WATCHED_MAX} entries are for the \
                     trust stores of one namespace, and {WATCHED_MAX} for all"
                ),
            ),
        };
        Err(Unresolved { reason, message })
    }

    fn watch(&self, reference: MaterialReference) -> Entry {
        let resource = match reference.kind {
            MaterialKind::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            MaterialKind::Secret => ApiResource::erase::<Secret>(&()),
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &reference.namespace, &resource);
        let config = Config::default().fields(&format!("metadata.name={}", reference.name));
        let watch = self.watches.fetch_add(1, Ordering::Relaxed);
        let sink = EntrySink {
            watch,
            reference,
            seen: Mutex::default(),
            entries: self.entries.clone(),
            changed: self.changed.clone(),
            answered: self.answered.clone(),
        };
        let task = tokio::spawn(follow(api, config, sink)).abort_handle();
        Entry { watch, state: State::Pending, refusals: 0, task }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MaterialReference, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Materials {
    fn drop(&mut self) {
        self.lock().values().for_each(|entry| entry.task.abort());
    }
}

/// What is watched of what is wanted: the cluster's own first, then one entry of each namespace, then
/// a second one of each, and so on, so that nobody takes another's place.
fn choose(wanted: &Wanted) -> BTreeSet<MaterialReference> {
    let mut places: BTreeMap<&Option<String>, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, &MaterialReference)> = Vec::new();
    for (owner, reference) in wanted {
        let place = places.entry(owner).or_default();
        match owner {
            None => ranked.push((0, reference)),
            Some(_) if *place < NAMESPACE_WATCHED_MAX => ranked.push((*place + 1, reference)),
            Some(_) => {}
        }
        *place += 1;
    }
    ranked.sort();
    ranked.into_iter().take(WATCHED_MAX).map(|(_, reference)| reference.clone()).collect()
}

/// Takes what the watch on one entry brings.
struct EntrySink {
    watch: u64,
    reference: MaterialReference,
    /// What the list that is under way has brought.
    seen: Mutex<Option<State>>,
    entries: Arc<Mutex<BTreeMap<MaterialReference, Entry>>>,
    changed: Arc<Notify>,
    answered: Arc<Notify>,
}

impl Sink<DynamicObject> for EntrySink {
    fn event(&self, event: Event<DynamicObject>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => *seen = None,
            Event::InitApply(object) if self.is_meant(&object) => {
                *seen = Some(self.decode(object));
            }
            Event::InitDone => self.set(seen.take().unwrap_or(State::Missing { object: false })),
            Event::Apply(object) if self.is_meant(&object) => self.set(self.decode(object)),
            Event::Delete(object) if self.is_meant(&object) => {
                self.set(State::Missing { object: false });
            }
            Event::InitApply(_) | Event::Apply(_) | Event::Delete(_) => {}
        }
    }

    fn failed(&self, failure: &Failure) {
        let refused = failure.code == Some(403);
        let known = self.with_entry(|entry| {
            entry.refusals = if refused { entry.refusals.saturating_add(1) } else { 0 };
            (entry.state.clone(), entry.refusals)
        });
        let Some((state, refusals)) = known else { return };
        match state {
            State::Held(_) if refused && refusals >= REFUSALS_MAX => self.set(State::Refused),
            State::Held(_) => {}
            _ if refused => self.set(State::Refused),
            State::Pending | State::Unread(_) => self.set(State::Unread(failure.reason.clone())),
            State::Missing { .. } | State::Refused => {}
        }
    }
}

impl EntrySink {
    fn is_meant(&self, object: &DynamicObject) -> bool {
        object.metadata.name.as_ref() == Some(&self.reference.name)
            && object.metadata.namespace.as_ref() == Some(&self.reference.namespace)
    }

    fn decode(&self, object: DynamicObject) -> State {
        let MaterialReference { kind, namespace, name, key } = &self.reference;
        let mut value = object.data;
        let metadata = json!({"name": name, "namespace": namespace});
        for (field, own) in
            [("apiVersion", "v1".into()), ("kind", kind.as_str().into()), ("metadata", metadata)]
        {
            if let Value::Object(fields) = &mut value {
                fields.insert(field.to_owned(), own);
            }
        }
        let origin = Origin::Cluster {
            kind: kind.as_str(),
            namespace: Some(namespace.clone()),
            name: name.clone(),
        };
        match document_from_value(origin, value).body {
            Ok(Body::Secret(mut data) | Body::ConfigMap(mut data)) => match data.data.remove(key) {
                Some(mut bytes) => {
                    bytes.truncate(TRUST_STORE_BYTES_MAX.saturating_add(1));
                    State::Held(bytes)
                }
                None => State::Missing { object: true },
            },
            // The error may quote what it stumbled over.
            _ => State::Unread("it does not decode".to_owned()),
        }
    }

    fn set(&self, state: State) {
        let changed = self.with_entry(|entry| {
            if state != State::Refused {
                entry.refusals = 0;
            }
            let changed = entry.state != state;
            entry.state = state;
            changed
        });
        if changed == Some(true) {
            self.answered.notify_waiters();
            self.changed.notify_one();
        }
    }

    /// `None` where nobody wants the entry any longer.
    fn with_entry<T>(&self, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get_mut(&self.reference).filter(|entry| entry.watch == self.watch).map(act)
    }
}

impl Drop for EntrySink {
    /// The watch ended, which it only does where nobody wants it or it is broken: then what it brought
    /// is no longer known to be so.
    fn drop(&mut self) {
        self.set(State::Unread("its watch ended".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(owner: Option<&str>, count: usize) -> Wanted {
        let reference = |index: usize| MaterialReference {
            kind: MaterialKind::Secret,
            namespace: owner.unwrap_or("assay").to_owned(),
            name: format!("s{index:05}"),
            key: "key".to_owned(),
        };
        (0..count).map(|index| (owner.map(str::to_owned), reference(index))).collect()
    }

    #[test]
    fn watches_a_bounded_number_for_each_namespace() {
        for (count, expect) in
            [(NAMESPACE_WATCHED_MAX, NAMESPACE_WATCHED_MAX), (1_000, NAMESPACE_WATCHED_MAX)]
        {
            assert_eq!(choose(&wanted(Some("team"), count)).len(), expect);
        }
        assert_eq!(
            choose(&wanted(None, NAMESPACE_WATCHED_MAX + 1)).len(),
            NAMESPACE_WATCHED_MAX + 1
        );
    }

    #[test]
    fn watches_a_bounded_number_in_all() {
        for (count, expect) in [(WATCHED_MAX, WATCHED_MAX), (WATCHED_MAX + 1, WATCHED_MAX)] {
            assert_eq!(choose(&wanted(None, count)).len(), expect);
        }
    }

    #[test]
    fn nobody_takes_anothers_place() {
        let mut all = wanted(None, 3);
        // More greedy namespaces than there is room for, and a modest one that sorts last.
        for index in 0..WATCHED_MAX / 2 {
            all.extend(wanted(Some(&format!("greedy-{index:05}")), NAMESPACE_WATCHED_MAX));
        }
        all.extend(wanted(Some("modest"), 1));
        let chosen = choose(&all);
        assert_eq!(chosen.len(), WATCHED_MAX);
        let of = |namespace: &str| {
            chosen.iter().filter(|reference| reference.namespace == namespace).count()
        };
        assert_eq!((of("assay"), of("modest")), (3, 1));
    }
}
