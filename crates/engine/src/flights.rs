//! Work under way, so much of it and no more. Who asks for what is under way already joins it, at no
//! cost; who gives up on it ends nothing that others wait for.
//!
//! A flight counts for the namespace that began it, and for the registry that it asks, until it has
//! landed, whether or not anyone still waits. So neither a slow registry nor a busy tenant takes the
//! place of others.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_core::ports::Recorder;
use futures_util::FutureExt;
use tokio::sync::watch;

/// Flights at once: four namespaces' share.
const IMAGES_IN_FLIGHT_MAX: usize = 1_024;

/// Flights of one namespace: the images of one object, at most
/// ([`assay_policy::OBJECT_IMAGES_MAX`]).
const NAMESPACE_IMAGES_MAX: usize = IMAGES_IN_FLIGHT_MAX / 4;

/// Flights to one registry: two namespaces' share, so that none can use it up alone.
const HOST_IMAGES_MAX: usize = IMAGES_IN_FLIGHT_MAX / 2;

/// Flights by `K`, each of which tells its progress, a `P`.
pub(crate) struct Flights<K, P> {
    name: &'static str,
    /// The longest that a flight may take.
    limit: Duration,
    recorder: Arc<dyn Recorder>,
    under_way: Arc<Mutex<HashMap<K, UnderWay<P>>>>,
}

struct UnderWay<P> {
    payer: Payer,
    flight: Flight<P>,
}

/// For whom a flight counts.
#[derive(Clone, Debug)]
pub(crate) struct Payer {
    /// The namespace of the request.
    pub(crate) namespace: String,
    /// The registry's host.
    pub(crate) host: String,
}

/// Why there is no room for a flight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    All,
    Host(String),
    Namespace(String),
}

/// A flight, as who waits for it sees it.
#[derive(Clone)]
pub(crate) struct Flight<P>(watch::Receiver<State<P>>);

/// A flight, as it sees itself: what it says of its progress, all who wait see.
pub(crate) struct Pilot<P>(watch::Sender<State<P>>);

#[derive(Clone)]
struct State<P> {
    progress: P,
    ended: Option<Ended>,
}

/// How a flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did what it was for.
    Done,
    /// It took longer than it may.
    Late,
    /// It panicked, or was cut.
    Panicked,
}

impl<K, P> Flights<K, P>
where
    K: Clone + Eq + Hash + Send + 'static,
    P: Clone + Send + Sync + 'static,
{
    /// No flights yet; none will take longer than `limit`. Metrics know them as `name`.
    pub(crate) fn new(name: &'static str, limit: Duration, recorder: Arc<dyn Recorder>) -> Self {
        Self { name, limit, recorder, under_way: Arc::default() }
    }

    /// The flight of `key`: the one under way, else a new one that `fly` makes, in a task of its own
    /// unless it ends at once, and that begins with the progress `start`.
    ///
    /// # Errors
    /// [`Full`] where there is none under way, and no room for another.
    pub(crate) fn join<F>(
        &self,
        key: K,
        payer: &Payer,
        start: P,
        fly: impl FnOnce(Pilot<P>) -> F,
    ) -> Result<Flight<P>, Full>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let sender = watch::Sender::new(State { progress: start, ended: None });
        let flight = Flight(sender.subscribe());
        {
            let mut under_way = lock(&self.under_way);
            if let Some(known) = under_way.get(&key) {
                self.recorder.coalesced(self.name);
                return Ok(known.flight.clone());
            }
            check_room(under_way.values().map(|other| &other.payer), payer)?;
            let known = UnderWay { payer: payer.clone(), flight: flight.clone() };
            under_way.insert(key.clone(), known);
        }
        let under_way = self.under_way.clone();
        let landing = Landing { key, under_way, sender: sender.clone(), ended: Ended::Panicked };
        let fly = AssertUnwindSafe(tokio::time::timeout(self.limit, fly(Pilot(sender))));
        let mut fly = Box::pin(async move {
            landing.end(match fly.catch_unwind().await {
                Ok(Ok(())) => Ended::Done,
                Ok(Err(_)) => Ended::Late,
                Err(_) => Ended::Panicked,
            });
        });
        // What has all that it needs at hand needs no task.
        if fly.as_mut().now_or_never().is_none() {
            tokio::spawn(fly);
        }
        Ok(flight)
    }
}

impl<P: Clone> Flight<P> {
    /// How the flight ended, once it has.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = self.0.wait_for(|state| state.ended.is_some()).await;
        ended.ok().and_then(|state| state.ended).unwrap_or(Ended::Panicked)
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> P {
        self.0.borrow().progress.clone()
    }
}

impl<P> Pilot<P> {
    /// Changes the progress.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut P)) {
        self.0.send_modify(|state| change(&mut state.progress));
    }
}

/// Ends a flight, even one that is cut.
struct Landing<K: Eq + Hash, P> {
    key: K,
    under_way: Arc<Mutex<HashMap<K, UnderWay<P>>>>,
    sender: watch::Sender<State<P>>,
    ended: Ended,
}

impl<K: Eq + Hash, P> Landing<K, P> {
    fn end(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl<K: Eq + Hash, P> Drop for Landing<K, P> {
    fn drop(&mut self) {
        // First the room, then the news: who is told may come again at once.
        lock(&self.under_way).remove(&self.key);
        self.sender.send_modify(|state| state.ended = Some(self.ended));
    }
}

/// Whether there is room for one more flight, for `payer`, beside those of `others`.
fn check_room<'a>(others: impl Iterator<Item = &'a Payer>, payer: &Payer) -> Result<(), Full> {
    let (mut all, mut of_namespace, mut to_host) = (0_usize, 0_usize, 0_usize);
    for other in others {
        all += 1;
        of_namespace += usize::from(other.namespace == payer.namespace);
        to_host += usize::from(other.host == payer.host);
    }
    if of_namespace >= NAMESPACE_IMAGES_MAX {
        return Err(Full::Namespace(payer.namespace.clone()));
    }
    if to_host >= HOST_IMAGES_MAX {
        return Err(Full::Host(payer.host.clone()));
    }
    if all >= IMAGES_IN_FLIGHT_MAX { Err(Full::All) } else { Ok(()) }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("too many images are being verified"),
            Self::Host(host) => write!(f, "too many images of {host} are being verified"),
            Self::Namespace(namespace) => {
                write!(f, "too many images of namespace '{namespace}' are being verified")
            }
        }
    }
}

/// The content, also after a panic elsewhere: no invariant spans two entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
