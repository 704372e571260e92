//! How much goes on at once: for each registry, so many requests under way, so many waiting, so
//! long; and none at all while it is to be left alone.
//!
//! Everything done on a registry's behalf counts as the registry's, its token endpoint and what it
//! redirects to included. Nobody can wear out another's by redirecting to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_core::ports::Clock;
use assay_core::{AccessScope, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::health::{Health, Refusal};

/// Requests that wait for one registry: as many as there are images in flight at once.
pub(crate) const QUEUE_MAX: usize = 512;

/// Registries that are kept count of; the least recently used that is idle goes first.
pub(crate) const GATES_MAX: usize = 1024;

/// On whose behalf something is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// The registry that references call so.
    Registry(String),
    /// A server of this host that is no registry.
    Server(String),
}

/// The way to all parties.
pub(crate) struct Gates {
    gates: Mutex<HashMap<Party, (Arc<Gate>, Duration)>>,
    /// How long to wait for a place.
    patience: Duration,
    clock: Arc<dyn Clock>,
}

/// The way to one party.
struct Gate {
    host: String,
    places: Arc<Semaphore>,
    queue: Semaphore,
    health: Mutex<Health>,
}

/// One request under way. It has its place until it leaves or is dropped.
pub(crate) struct Flight {
    gate: Arc<Gate>,
    scope: AccessScope,
    place: Option<OwnedSemaphorePermit>,
    clock: Arc<dyn Clock>,
}

impl Gates {
    /// Gates at which nobody waits longer than `patience`.
    pub(crate) fn new(patience: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { gates: Mutex::default(), patience, clock }
    }

    /// A place among the `places` of `party`.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] where there is none in time; [`StoreError::Unreachable`] and
    /// [`StoreError::Throttled`], at once, where the party is to be left alone.
    pub(crate) async fn enter(
        &self,
        party: Party,
        places: usize,
        scope: &AccessScope,
    ) -> Result<Flight, StoreError> {
        let gate = self.gate(party, places)?;
        let refusal = lock(&gate.health).refusal(scope, self.clock.ticks());
        if let Some(refusal) = refusal {
            return Err(gate.refused(refusal));
        }
        let place = gate.place(self.patience).await.ok_or_else(|| gate.overloaded())?;
        let admitted = lock(&gate.health).admit(scope, self.clock.ticks());
        admitted.map_err(|refusal| gate.refused(refusal))?;
        let clock = Arc::clone(&self.clock);
        Ok(Flight { gate, scope: scope.clone(), place: Some(place), clock })
    }

    fn gate(&self, party: Party, places: usize) -> Result<Arc<Gate>, StoreError> {
        let now = self.clock.ticks();
        let mut gates = lock(&self.gates);
        if let Some((gate, used)) = gates.get_mut(&party) {
            *used = now;
            return Ok(Arc::clone(gate));
        }
        let gate = Arc::new(Gate::new(party.host(), places));
        if gates.len() >= GATES_MAX {
            let idle = gates.iter().filter(|(_, (gate, _))| Arc::strong_count(gate) == 1);
            let idle = idle.min_by_key(|(_, (_, used))| *used).map(|(party, _)| party.clone());
            gates.remove(&idle.ok_or_else(|| gate.overloaded())?);
        }
        gates.insert(party, (Arc::clone(&gate), now));
        Ok(gate)
    }
}

impl Party {
    fn host(&self) -> &str {
        match self {
            Self::Registry(host) | Self::Server(host) => host,
        }
    }
}

impl Gate {
    fn new(host: &str, places: usize) -> Self {
        Self {
            host: host.to_owned(),
            places: Arc::new(Semaphore::new(places)),
            queue: Semaphore::new(QUEUE_MAX),
            health: Mutex::default(),
        }
    }

    async fn place(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = self.queue.try_acquire().ok()?;
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout(patience, place).await.ok()?.ok()
    }

    fn refused(&self, refusal: Refusal) -> StoreError {
        let host = self.host.clone();
        match refusal {
            Refusal::Failing => {
                StoreError::Unreachable { host, reason: "it has failed too often just now" }
            }
            Refusal::Throttled => StoreError::Throttled { host },
        }
    }

    fn overloaded(&self) -> StoreError {
        StoreError::Overloaded { host: self.host.clone() }
    }
}

impl Flight {
    /// Notes that the party answered.
    pub(crate) fn succeeded(&self) {
        lock(&self.gate.health).succeeded();
    }

    /// Notes that the party failed, if `error` is a failure of its own and not bad content.
    pub(crate) fn failed(&self, error: &StoreError) {
        if matches!(error, StoreError::Timeout { .. } | StoreError::Unreachable { .. }) {
            lock(&self.gate.health).failed(self.clock.ticks());
        }
    }

    /// Notes that the party asks to come back in `wait`.
    pub(crate) fn throttled(&self, wait: Duration) {
        lock(&self.gate.health).throttled(&self.scope, self.clock.ticks(), wait);
    }

    /// Leaves the place to the next.
    pub(crate) fn leave(&mut self) {
        self.place = None;
    }
}

/// The content, also after a panic elsewhere: no invariant spans two fields.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_testkit::FixedClock;

    const PUBLIC: AccessScope = AccessScope::Public;
    const LONG: Duration = Duration::from_secs(60);

    fn registry(number: usize) -> Party {
        Party::Registry(format!("r{number}.example"))
    }

    fn gates() -> (Arc<Gates>, Arc<FixedClock>) {
        let clock = Arc::<FixedClock>::default();
        (Arc::new(Gates::new(LONG, clock.clone())), clock)
    }

    fn overloaded(number: usize) -> Option<StoreError> {
        Some(StoreError::Overloaded { host: registry(number).host().into() })
    }

    #[tokio::test]
    async fn waiting_ends_at_its_limit_and_goes_on_in_turn() {
        let (gates, _) = gates();
        let first = gates.enter(registry(0), 1, &PUBLIC).await.unwrap();
        let waiting: Vec<_> = (0..QUEUE_MAX)
            .map(|_| {
                let gates = gates.clone();
                tokio::spawn(async move { gates.enter(registry(0), 1, &PUBLIC).await.is_ok() })
            })
            .collect();
        while first.gate.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let past = gates.enter(registry(0), 1, &PUBLIC).await;
        assert_eq!(past.err(), overloaded(0), "one past the limit, at once");
        assert!(gates.enter(registry(1), 1, &PUBLIC).await.is_ok(), "another registry is free");
        drop(first);
        for waiting in waiting {
            assert!(waiting.await.unwrap(), "at the limit");
        }
    }

    #[tokio::test]
    async fn waiting_ends_in_time() {
        let gates = Gates::new(Duration::ZERO, Arc::<FixedClock>::default());
        let mut first = gates.enter(registry(0), 1, &PUBLIC).await.unwrap();
        assert_eq!(gates.enter(registry(0), 1, &PUBLIC).await.err(), overloaded(0));
        first.leave();
        assert!(gates.enter(registry(0), 1, &PUBLIC).await.is_ok());
    }

    #[tokio::test]
    async fn registries_end_at_their_limit_and_idle_ones_make_room() {
        let (gates, clock) = gates();
        let mut flights = Vec::new();
        for number in 0..GATES_MAX {
            clock.advance(Duration::from_nanos(1));
            flights.push(gates.enter(registry(number), 1, &PUBLIC).await.unwrap());
        }
        let past = gates.enter(registry(GATES_MAX), 1, &PUBLIC).await;
        assert_eq!(past.err(), overloaded(GATES_MAX), "none is idle");
        for flight in flights.drain(..2) {
            flight.throttled(LONG);
        }
        assert!(gates.enter(registry(0), 1, &PUBLIC).await.is_err(), "it is used again");
        assert!(gates.enter(registry(GATES_MAX), 1, &PUBLIC).await.is_ok());
        assert_eq!(lock(&gates.gates).len(), GATES_MAX);
        let known = |number| lock(&gates.gates).contains_key(&registry(number));
        assert!(known(0) && !known(1), "the one that was used least recently went");
    }

    #[tokio::test]
    async fn a_registry_and_a_server_of_one_name_are_two_parties() {
        let (gates, _) = gates();
        let one = gates.enter(Party::Server("r0.example".into()), 1, &PUBLIC).await.unwrap();
        one.throttled(LONG);
        assert!(gates.enter(registry(0), 1, &PUBLIC).await.is_ok());
    }
}
