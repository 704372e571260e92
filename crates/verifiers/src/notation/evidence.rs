//! Revocation data that all verifications of a process share: fetched by one for all who wait, and
//! remembered, as are failures for a moment. What is remembered was verified with a trusted chain, and
//! its key says with which certificates, so that it is the same for everyone who asks, and nobody can
//! fill the cache with what they made up.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use assay_core::ports::{Clock, Fetch};
use futures_util::future::select_all;
use futures_util::lock::{Mutex as Turn, MutexGuard as TurnGuard};
use jiff::{SignedDuration, Timestamp};
use notation_rs::revocation::{CacheKey, CrlBundle, Evidence, FetchError, RevocationError};

use super::revocation::Web;
use crate::StaleCrl;

/// Bytes of all revocation data that is remembered for trust stores of the cluster: two of the
/// largest CRLs.
pub(crate) const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// CRLs of theirs that are fetched at once: two chains of the usual length, and as many again.
pub(crate) const CRLS_AT_ONCE_MAX: usize = 8;

/// Bytes that are remembered for all trust stores of namespaces, whose owners may publish CRLs of
/// whatever size: one of the largest.
pub(crate) const TENANTS_CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// CRLs of theirs that are fetched at once. They may name any number of servers that take their time
/// over 16 MiB, and as much of a delta.
pub(crate) const TENANTS_CRLS_AT_ONCE_MAX: usize = 2;

/// Entries that are remembered: one per CRL, and one per certificate that OCSP was asked about. As
/// many failures beside them.
const CACHE_ENTRIES_MAX: usize = 1_024;

/// How long a failure is remembered: one verification of many candidates, and the pods of a
/// rollout. A server that fails for all is left alone for as long.
pub(super) const FAILURE_TTL: SignedDuration = SignedDuration::from_secs(5);

/// How long evidence is kept before what comes later: whoever sets a `nextUpdate` far ahead keeps it no
/// longer than others where there is no room.
const KEPT_FIRST: SignedDuration = SignedDuration::from_hours(24);

/// How long before its end a CRL is fetched anew. CAs publish the next one hours before.
const REFRESH_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// CRLs that are fetched anew in one round; a trusted chain names one to three.
const REFRESHES_MAX: usize = 16;

/// Bytes of a host in a message: the longest DNS name.
const HOST_BYTES_MAX: usize = 255;

/// What is known, and who is about to find out more.
pub(crate) struct EvidenceCache {
    evidence: Mutex<Remembered<CacheKey, Kept>>,
    failures: Mutex<Remembered<CacheKey, RevocationError>>,
    /// Whoever fetches has the turn of the key; it goes with the last who waits for it.
    turns: Mutex<HashMap<CacheKey, Weak<Turn<()>>>>,
    /// Whoever fetches a CRL has one of these.
    crl_places: Places,
}

struct Kept {
    evidence: Evidence,
    /// Whether a verification rested on it since it was fetched.
    used: bool,
}

type Found = Result<Evidence, RevocationError>;

impl EvidenceCache {
    /// A cache of so many bytes of evidence, for which so many CRLs are fetched at once.
    pub(crate) fn new(bytes_max: usize, crls_at_once: usize) -> Self {
        Self {
            evidence: Mutex::new(Remembered::new(bytes_max)),
            failures: Mutex::new(Remembered::new(0)),
            turns: Mutex::default(),
            crl_places: Places::new(crls_at_once),
        }
    }

    /// What is known under `key` and fresh at `now`, else what `fetch` gives: to one who fetches and
    /// all who wait meanwhile. Where the one gives up, the next in turn fetches. `clock` is the time
    /// of day, by which failures age.
    pub(super) async fn get_or_fetch(
        &self,
        key: CacheKey,
        now: Timestamp,
        clock: impl Fn() -> Timestamp,
        fetch: impl Future<Output = Found>,
    ) -> Found {
        if let Some(known) = self.known(&key, now, clock()) {
            return known;
        }
        let turn = self.turn(&key);
        let _fetching = turn.lock().await;
        // Whoever had the turn before may have found it out.
        if let Some(known) = self.known(&key, now, clock()) {
            return known;
        }
        let place = match key.is_crl() {
            true => Some(self.crl_places.acquire().await),
            false => None,
        };
        let found = fetch.await;
        drop(place);
        match &found {
            Ok(evidence) => self.keep(key, evidence.clone(), true, clock()),
            // It says nothing of the server.
            Err(RevocationError::Fetch(FetchError::Overloaded)) => {}
            Err(error) => {
                let end = clock().saturating_add(FAILURE_TTL).unwrap_or(Timestamp::MAX);
                lock(&self.failures).put(key, error.clone(), 0, end);
            }
        }
        found
    }

    fn known(&self, key: &CacheKey, now: Timestamp, clock: Timestamp) -> Option<Found> {
        if let Some(kept) = lock(&self.evidence).get_mut(key)
            && now <= kept.evidence.fresh_until()
        {
            kept.used = true;
            return Some(Ok(kept.evidence.clone()));
        }
        let failures = lock(&self.failures);
        let failure = failures.entries.get(key)?;
        // Not after a clock that was ahead went back, either.
        let left = failure.end.duration_since(clock);
        let counts = left.is_positive() && left <= FAILURE_TTL;
        counts.then(|| Err(failure.value.clone()))
    }

    fn keep(&self, key: CacheKey, evidence: Evidence, used: bool, now: Timestamp) {
        let day = now.saturating_add(KEPT_FIRST).unwrap_or(Timestamp::MAX);
        let (bytes, end) = (evidence.size_bytes(), evidence.fresh_until().min(day));
        lock(&self.evidence).put(key, Kept { evidence, used }, bytes, end);
    }

    fn turn(&self, key: &CacheKey) -> Arc<Turn<()>> {
        let mut turns = lock(&self.turns);
        // No more are left than there are verifications that fetch or wait.
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Fetches anew, one after the other, the CRLs that end soon and that a verification rested on
    /// since they were fetched; the first to end first. One that fails stays until its end.
    pub(crate) async fn refresh(&self, fetch: &dyn Fetch, clock: &dyn Clock) -> Vec<StaleCrl> {
        let mut stale = Vec::new();
        for (key, bundle) in self.due(clock.now()) {
            let turn = self.turn(&key);
            // Whoever fetches it already need not be waited for.
            let Some(_fetching) = turn.try_lock() else { continue };
            let now = || clock.now();
            let error = match bundle.refresh(now(), &Web::new(fetch, &now)).await {
                Ok(fresh) if fresh.fresh_until() > bundle.fresh_until() => {
                    self.keep(key, Evidence::Crl(Arc::new(fresh)), false, now());
                    continue;
                }
                // It is asked for again in the next round.
                Ok(_) => "the server has none that ends later".to_owned(),
                Err(error) => error.to_string(),
            };
            stale.push(StaleCrl { host: host_of(key.url()), error, ends: bundle.fresh_until() });
        }
        stale
    }

    fn due(&self, now: Timestamp) -> Vec<(CacheKey, Arc<CrlBundle>)> {
        let soon = now.saturating_add(REFRESH_AHEAD).unwrap_or(Timestamp::MAX);
        let evidence = lock(&self.evidence);
        let mut due: Vec<_> = evidence
            .entries
            .iter()
            .filter(|(_, entry)| entry.value.used)
            .filter_map(|(key, entry)| match &entry.value.evidence {
                Evidence::Crl(bundle) => Some((key.clone(), bundle.clone())),
                _ => None,
            })
            .filter(|(_, bundle)| (now..=soon).contains(&bundle.fresh_until()))
            .collect();
        due.sort_by_key(|(_, bundle)| bundle.fresh_until());
        due.truncate(REFRESHES_MAX);
        due
    }
}

/// Places for so many at once. A semaphore of locks, since nothing here knows a runtime.
struct Places(Vec<Turn<()>>);

impl Places {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Turn::default()).collect())
    }

    /// The first place that is free, until it is dropped.
    async fn acquire(&self) -> TurnGuard<'_, ()> {
        let places = self.0.iter().map(|place| Box::pin(place.lock()));
        let (place, ..) = select_all(places).await;
        place
    }
}

impl fmt::Debug for EvidenceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvidenceCache")
    }
}

/// The host in an `http` URL of a certificate, and nothing else of it.
fn host_of(url: &str) -> String {
    let authority = url.split(['/', '\\', '?', '#']).nth(2).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.chars().take(HOST_BYTES_MAX).collect()
}

/// What is known by key, within the two bounds; what has the earliest end goes first.
struct Remembered<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Of all entries.
    bytes: usize,
    bytes_max: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    end: Timestamp,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, bytes_max }
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Keeps `value`, of so many bytes, which counts until `end`.
    fn put(&mut self, key: K, value: V, bytes: usize, end: Timestamp) {
        if bytes > self.bytes_max {
            return;
        }
        self.remove(&key);
        while self.entries.len() >= CACHE_ENTRIES_MAX
            || self.bytes.saturating_add(bytes) > self.bytes_max
        {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.end);
            let Some(first) = first.map(|(key, _)| key.clone()) else { break };
            self.remove(&first);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries.insert(key, Entry { value, bytes, end });
    }

    fn remove(&mut self, key: &K) {
        if let Some(gone) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(gone.bytes);
        }
    }
}

/// The content, also after a panic elsewhere: every entry is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the entries, given by size and by the second at which they end, are left.
    #[track_caller]
    fn check(name: &str, entries: &[(usize, i64)], expect: &[usize]) {
        let mut remembered = Remembered::new(CACHE_BYTES_MAX);
        for (key, (bytes, end)) in entries.iter().enumerate() {
            remembered.put(key, (), *bytes, Timestamp::new(*end, 0).unwrap());
        }
        let left = (0..entries.len()).filter(|key| remembered.entries.contains_key(key));
        assert_eq!(left.collect::<Vec<_>>(), expect, "{name}");
        let bytes: usize = expect.iter().map(|key| entries[*key].0).sum();
        assert_eq!(remembered.bytes, bytes, "{name}");
    }

    #[test]
    fn forgets_what_ends_first_where_there_is_too_much() {
        const MAX: usize = CACHE_BYTES_MAX;
        check("all of it", &[(MAX, 1)], &[0]);
        check("more", &[(MAX + 1, 1)], &[]);
        check("at the bound", &[(MAX - 1, 2), (1, 1)], &[0, 1]);
        check("one past it", &[(MAX - 2, 2), (2, 1), (1, 3)], &[0, 2]);
        let many: Vec<(usize, i64)> = (0..CACHE_ENTRIES_MAX).map(|_| (1, 9)).collect();
        check("so many", &many, &(0..CACHE_ENTRIES_MAX).collect::<Vec<_>>());
        let more = [&[(1, 1)], &many[..]].concat();
        check("one more", &more, &(1..=CACHE_ENTRIES_MAX).collect::<Vec<_>>());
    }

    #[test]
    fn replaces_what_it_knows() {
        let mut remembered = Remembered::new(10);
        for value in [1, 2] {
            remembered.put("key", value, 10, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(remembered.bytes, 10);
        assert_eq!(remembered.get_mut(&"key"), Some(&mut 2));
    }

    #[test]
    fn tells_the_host_and_nothing_else_of_a_url() {
        let longest = "h".repeat(HOST_BYTES_MAX);
        for (url, expect) in [
            ("http://crl.example/root.crl", "crl.example"),
            ("HTTP://crl.example:8080", "crl.example:8080"),
            ("http://crl.example?token", "crl.example"),
            ("http://crl.example#token", "crl.example"),
            ("http://crl.example\\token", "crl.example"),
            ("http://user:token@crl.example/a@b", "crl.example"),
            ("http://[2001:db8::1]:80/", "[2001:db8::1]:80"),
            ("http:///token", ""),
            (&format!("http://{longest}"), &longest),
            (&format!("http://{longest}h"), &longest),
        ] {
            assert_eq!(host_of(url), expect, "{url}");
        }
    }
}
