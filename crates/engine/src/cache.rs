//! A cache whose entries age by the clock, with single flight: however many ask for one key at
//! once, its value is computed once, in a task that none of them can cancel.

use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assay_core::ports::{Clock, Recorder};
use futures_util::FutureExt;
use jiff::Timestamp;

use crate::CacheStats;

/// How long answers are kept, and how much of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Tag to digest.
    pub tag_ttl: Duration,
    /// Lists of referrers.
    pub referrers_ttl: Duration,
    /// Accepted evidence.
    pub verdict_ttl: Duration,
    /// Bad or missing evidence, and what a registry does not have.
    pub negative_ttl: Duration,
    /// Bytes of all content and answers together.
    pub bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(30),
            referrers_ttl: Duration::from_secs(60),
            verdict_ttl: Duration::from_secs(600),
            negative_ttl: Duration::from_secs(10),
            bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// How long a value may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// From now; zero is not at all.
    pub(crate) ttl: Duration,
    /// Not past this time of day.
    pub(crate) valid_until: Option<Timestamp>,
}

impl Lifetime {
    /// So long, whatever the time of day.
    pub(crate) fn of(ttl: Duration) -> Self {
        Self { ttl, valid_until: None }
    }
}

/// What a cache's values must tell about themselves.
pub(crate) trait Cached: Clone + Send + Sync + 'static {
    /// How long the value may be kept.
    fn lifetime(&self, config: &CacheConfig) -> Lifetime;

    /// About how many bytes it holds.
    fn bytes(&self) -> usize;

    /// The value where its computation panicked or was cut.
    fn internal() -> Self;
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    /// In ticks of the clock.
    expires: Duration,
    valid_until: Option<Timestamp>,
}

/// A bounded cache of `V` by `K`.
pub(crate) struct TtlCache<K, V> {
    name: &'static str,
    config: CacheConfig,
    entries: moka::future::Cache<K, Entry<V>>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
}

/// Bytes that an entry takes beside its value: key, expiry, the cache's own links, and what the
/// allocator rounds up, by the figure of 10,000 digests. It is the least that one weighs, so the bound
/// on bytes is one on entries too: 65,536 of 64 MiB.
const ENTRY_BYTES: usize = 1_024;

/// What an entry weighs, in bytes, whose value holds so many.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes.saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX)
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Cached> TtlCache<K, V> {
    /// An empty cache that holds at most `bytes_max` bytes, as its values tell them.
    pub(crate) fn new(
        name: &'static str,
        config: CacheConfig,
        bytes_max: u64,
        (clock, recorder): (Arc<dyn Clock>, Arc<dyn Recorder>),
    ) -> Self {
        let entries = moka::future::Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|_: &K, entry: &Entry<V>| weight(entry.value.bytes()))
            .build();
        Self { name, config, entries, clock, recorder }
    }

    /// What it holds right now.
    pub(crate) fn stats(&self) -> CacheStats {
        let (entries, bytes) = (self.entries.entry_count(), self.entries.weighted_size());
        CacheStats { name: self.name, entries, bytes }
    }

    /// The value for `key`, where it is cached.
    pub(crate) async fn get(&self, key: &K) -> Option<V> {
        let entry = self.entries.get(key).await?;
        if !self.is_fresh(&entry) {
            self.entries.invalidate(key).await;
            return None;
        }
        self.recorder.cache_request(self.name, true);
        Some(entry.value)
    }

    /// The value for `key`; where it is not cached, what `compute` makes, for everyone who asks
    /// meanwhile.
    pub(crate) async fn get_or<F>(&self, key: K, compute: F) -> V
    where
        F: Future<Output = V> + Send + 'static,
    {
        if let Some(value) = self.get(&key).await {
            return value;
        }
        self.recorder.cache_request(self.name, false);
        self.compute(key, compute).await
    }

    /// What `compute` makes, in a task of its own: a caller that gives up cancels nothing that
    /// others wait for.
    async fn compute<F>(&self, key: K, compute: F) -> V
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (entries, config, clock) = (self.entries.clone(), self.config, self.clock.clone());
        let led = Arc::new(AtomicBool::new(false));
        let leads = led.clone();
        let make = async move {
            leads.store(true, Ordering::Relaxed);
            // A panic is a value too, so that whoever waits for it does not run into it again.
            let compute = AssertUnwindSafe(compute).catch_unwind();
            let value = compute.await.unwrap_or_else(|_| V::internal());
            let lifetime = value.lifetime(&config);
            if lifetime.ttl.is_zero() {
                return Err(value);
            }
            let expires = clock.ticks().saturating_add(lifetime.ttl);
            Ok(Entry { value, expires, valid_until: lifetime.valid_until })
        };
        let task = tokio::spawn(async move {
            let made = entries.try_get_with(key, make).await;
            // Else the bound would hold at some later use only, and content may be large.
            entries.run_pending_tasks().await;
            made
        });
        let value = match task.await {
            Ok(Ok(entry)) => entry.value,
            // Not to be kept, but shared with those who waited for it.
            Ok(Err(value)) => V::clone(&value),
            Err(_) => V::internal(),
        };
        if !led.load(Ordering::Relaxed) {
            self.recorder.coalesced(self.name);
        }
        value
    }

    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        self.clock.ticks() < entry.expires
            && entry.valid_until.is_none_or(|until| self.clock.now() < until)
    }
}
