//! What the engine holds right now, for metrics.

/// What the engine holds right now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Verifications under way, those that verifiers asked for too.
    pub verifications_in_flight: usize,
    /// The caches; two of one name are one to whoever looks from outside.
    pub caches: Vec<CacheStats>,
}

/// What a cache holds right now, within what the cache has not yet put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStats {
    /// The name, as in the metrics.
    pub name: &'static str,
    /// Entries.
    pub entries: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}
