//! Revocation data for `notation-rs`: through the `Context`'s bounded reads, and remembered for all
//! requests. What is remembered was verified, under a key that says by which certificates, so that it
//! is the same for everyone who asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{LazyLock, Mutex, PoisonError};

use assay_core::StoreError;
use assay_core::ports::Fetch;
use bytes::Bytes;
use jiff::Timestamp;
use notation_rs::revocation::Fetcher;
use notation_rs::revocation::{BoxFuture, Cache, CacheKey, Evidence, FetchError, FetchRequest};

/// Bytes of all revocation data that is remembered: two of the largest CRLs.
const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Entries that are remembered: one per CRL, and one per certificate that OCSP was asked about.
const CACHE_ENTRIES_MAX: usize = 1_024;

/// What all verifications of the process share: snapshots and verifiers come and go.
static EVIDENCE: LazyLock<Mutex<Remembered<CacheKey, Evidence>>> = LazyLock::new(Mutex::default);

/// Where one verification has revocation data from.
pub(super) struct Revocation<'a> {
    fetch: &'a dyn Fetch,
    now: Timestamp,
    /// When the first of the data used so far stops to count.
    fresh_until: Mutex<Option<Timestamp>>,
}

impl<'a> Revocation<'a> {
    pub(super) fn new(fetch: &'a dyn Fetch, now: Timestamp) -> Self {
        Self { fetch, now, fresh_until: Mutex::default() }
    }

    /// When the first of the data that was used stops to count.
    pub(super) fn fresh_until(&self) -> Option<Timestamp> {
        *self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, evidence: &Evidence) {
        // What is stale was fetched anew, and is noted then.
        let end = Some(evidence.fresh_until()).filter(|end| *end >= self.now);
        let mut first = self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner);
        *first = [*first, end].into_iter().flatten().min();
    }
}

impl Fetcher for Revocation<'_> {
    /// The time of a request is bounded by the port, whose limits are longer than those asked for.
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            let bytes_max = u64::try_from(request.body_bytes_max).unwrap_or(u64::MAX);
            let answer = match request.post {
                None => self.fetch.get(request.url, bytes_max).await,
                Some((media_type, body)) => {
                    let body = Bytes::copy_from_slice(body);
                    self.fetch.post(request.url, media_type, body, bytes_max).await
                }
            };
            answer.map(Vec::from).map_err(|error| fetch_error(&error))
        })
    }
}

fn fetch_error(error: &StoreError) -> FetchError {
    match error {
        StoreError::Denied { status, .. } => FetchError::Status(*status),
        StoreError::NotFound { .. } => FetchError::Status(404),
        StoreError::Timeout { .. } => FetchError::TimedOut,
        StoreError::TooLarge { .. } => FetchError::TooLarge,
        error if error.is_transient() => FetchError::Unreachable,
        _ => FetchError::Refused,
    }
}

impl Cache for Revocation<'_> {
    fn get(&self, key: &CacheKey) -> Option<Evidence> {
        let found = EVIDENCE.lock().unwrap_or_else(PoisonError::into_inner).get(key)?;
        self.note(&found);
        Some(found)
    }

    fn put(&self, key: CacheKey, evidence: Evidence) {
        self.note(&evidence);
        let (bytes, end) = (evidence.size_bytes(), evidence.fresh_until());
        let mut remembered = EVIDENCE.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.put(key, evidence, bytes, end);
    }
}

/// What is known by key, within the two bounds; what stops to count first goes first.
struct Remembered<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Of all entries.
    bytes: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    end: Timestamp,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), bytes: 0 }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|entry| entry.value.clone())
    }

    /// Keeps `value`, of so many bytes, which counts until `end`.
    fn put(&mut self, key: K, value: V, bytes: usize, end: Timestamp) {
        if bytes > CACHE_BYTES_MAX {
            return;
        }
        self.remove(&key);
        while self.entries.len() >= CACHE_ENTRIES_MAX
            || self.bytes.saturating_add(bytes) > CACHE_BYTES_MAX
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the entries, given by size and by the second at which they end, are left.
    #[track_caller]
    fn check(name: &str, entries: &[(usize, i64)], expect: &[usize]) {
        let mut remembered = Remembered::default();
        for (key, (bytes, end)) in entries.iter().enumerate() {
            remembered.put(key, (), *bytes, Timestamp::new(*end, 0).unwrap());
        }
        let left = (0..entries.len()).filter(|key| remembered.get(key).is_some());
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
        let mut remembered = Remembered::default();
        for value in [1, 2] {
            remembered.put("key", value, 10, Timestamp::UNIX_EPOCH);
        }
        assert_eq!((remembered.get(&"key"), remembered.bytes), (Some(2), 10));
    }
}
