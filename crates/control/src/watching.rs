//! One watch, kept up for good, and how long those that matter have not been.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::ports::Clock;
use futures_util::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::runtime::watcher::{self, Config, DefaultBackoff, Event, watcher};
use kube::{Api, Resource};

/// How long the API server keeps one watch request open. The next one starts where it ended, so this
/// is also how long a connection that died silently can go unnoticed.
pub(crate) const WATCH_TIME_MAX: Duration = Duration::from_secs(60);

/// The wait after an error where the library names none.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Takes what a watch brings.
pub(crate) trait Sink<K>: Send + Sync {
    /// Something happened, or was listed.
    fn event(&self, event: Event<K>);

    /// The watch broke. What it brought so far stands, and everything is going to be listed anew.
    fn failed(&self, error: &Failure);
}

/// Why a watch broke, without a word of the answer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The API server's own code, where it gave one.
    pub(crate) code: Option<u16>,
    /// What went wrong.
    pub(crate) reason: String,
}

/// Lists and watches for good.
///
/// After an error it lists everything anew, whatever the error: a version that the API server no
/// longer has (410), and one that a restored etcd does not have yet, are then the same case.
pub(crate) async fn follow<K>(api: Api<K>, config: Config, sink: impl Sink<K>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let seconds = u32::try_from(WATCH_TIME_MAX.as_secs()).unwrap_or(u32::MAX);
    let config = config.timeout(seconds);
    let mut backoff = DefaultBackoff::default();
    loop {
        let mut events = pin!(watcher(api.clone(), config.clone()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => sink.event(event),
                Err(error) => {
                    sink.failed(&Failure::new(&error));
                    break;
                }
            }
        }
        tokio::time::sleep(backoff.next().unwrap_or(BACKOFF_MAX)).await;
    }
}

impl Failure {
    fn new(error: &watcher::Error) -> Self {
        use watcher::Error;
        let (code, reason) = match error {
            Error::InitialListFailed(error)
            | Error::WatchStartFailed(error)
            | Error::WatchFailed(error) => match error {
                kube::Error::Api(status) => (Some(status.code), None),
                kube::Error::SerdeError(_) => {
                    (None, Some("the API server's answer does not decode"))
                }
                _ => (None, Some("the API server cannot be reached")),
            },
            Error::WatchError(status) => (Some(status.code), None),
            Error::NoResourceVersion => (None, Some("the API server's answer has no version")),
        };
        let refused = || match code {
            Some(404) => "the API server does not know the kind: are the CRDs applied?".to_owned(),
            code => format!("the API server refuses (HTTP {})", code.unwrap_or_default()),
        };
        Self { code, reason: reason.map_or_else(refused, str::to_owned) }
    }
}

/// What is out of step, and since when.
pub(crate) struct Freshness {
    clock: Arc<dyn Clock>,
    /// Since when, in ticks of the clock, and why.
    failing: Mutex<BTreeMap<&'static str, (Duration, String)>>,
}

impl Freshness {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failing: Mutex::default() }
    }

    /// Says that `what` failed, once until it works again.
    pub(crate) fn failed(&self, what: &'static str, reason: &str) {
        let now = self.clock.ticks();
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(entry) = failing.entry(what) {
            entry.insert((now, reason.to_owned()));
            tracing::error!(what, reason, "out of step: what was read last stays in force");
        }
    }

    /// Says that `what` works.
    pub(crate) fn works(&self, what: &'static str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.remove(what).is_some() {
            tracing::info!(what, "in step again");
        }
    }

    /// How long something has been out of step; zero where nothing is.
    pub(crate) fn age(&self) -> Duration {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let since = failing.values().map(|(since, _)| *since).min();
        since.map_or(Duration::ZERO, |since| self.clock.ticks().saturating_sub(since))
    }

    /// What failed first of all that does, and why; `None` where nothing does.
    pub(crate) fn failure(&self) -> Option<String> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, (_, reason)) = failing.iter().min_by_key(|(_, (since, _))| *since)?;
        Some(format!("{what}: {reason}"))
    }
}
