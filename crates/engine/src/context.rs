//! What a verifier may ask for while it works, and the cache of what verifiers found.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assay_core::ports::{
    ArtifactStore, Clock, Context, Derived, Fetch, NESTING_DEPTH_MAX, Recorder, Selector, Verifier,
};
use assay_core::{
    Access, AccessScope, Digest, Outcome, ReasonCode, Repository, State, StoreError, Subject,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;

use crate::accesses::{Elsewhere, Scopes};
use crate::cache::{Cached, Lifetime, TtlCache, weight};
use crate::store::CachedStore;
use crate::{CacheConfig, CacheStats, Stats};

/// How long one verification may take, whoever waits for it: twice the longest admission deadline,
/// so that a slow registry fills the cache for the retry and holds no task for longer.
pub(crate) const VERIFICATION_TIME_MAX: Duration = Duration::from_secs(60);

/// Repository, digest, fingerprint, and access scope, there and where else evidence is read; and depth,
/// since less fits below what is deep already. Who waits for another's verification waits for a deeper
/// one, so that even verifiers that call each other come to an end.
type VerdictKey = (Repository, Digest, Digest, AccessScope, Scopes, usize);

/// Verifies, once for everyone who asks.
pub(crate) struct Verifications {
    store: CachedStore,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    in_flight: AtomicUsize,
    outcomes: TtlCache<VerdictKey, Arc<Outcome>>,
    derived: moka::future::Cache<(Digest, &'static str, u32), Derived>,
}

impl Cached for Arc<Outcome> {
    fn lifetime(&self, config: &CacheConfig) -> Lifetime {
        let ttl = match self.state {
            State::Accepted => config.verdict_ttl,
            State::Unavailable(_) | State::Rejected(ReasonCode::Internal) => Duration::ZERO,
            State::Missing(_) | State::Rejected(_) => config.negative_ttl,
        };
        Lifetime { ttl, valid_until: self.valid_until }
    }

    fn bytes(&self) -> usize {
        const REPORT_BYTES: usize = 1_024;
        self.message.len().saturating_add(self.reports.len().saturating_mul(REPORT_BYTES))
    }

    fn internal() -> Self {
        Self::new(Outcome::new(State::Rejected(ReasonCode::Internal), "internal error"))
    }
}

impl Verifications {
    /// Verifications through `store`, remembered as `config` says.
    pub(crate) fn new(
        store: Arc<dyn ArtifactStore>,
        fetch: Arc<dyn Fetch>,
        config: CacheConfig,
        clock: &Arc<dyn Clock>,
        recorder: &Arc<dyn Recorder>,
    ) -> Self {
        Self {
            store: CachedStore::new(store, config, clock, recorder),
            fetch,
            clock: clock.clone(),
            recorder: recorder.clone(),
            in_flight: AtomicUsize::new(0),
            outcomes: TtlCache::new(
                "verdict",
                config,
                config.bytes_max / 16 * 6,
                (clock.clone(), recorder.clone()),
            ),
            derived: moka::future::Cache::builder()
                .max_capacity(config.bytes_max / 16)
                .weigher(|_, derived: &Derived| weight(derived.bytes))
                .build(),
        }
    }

    /// What is under way and remembered right now.
    pub(crate) fn stats(&self) -> Stats {
        let derived = CacheStats {
            name: "derived",
            entries: self.derived.entry_count(),
            bytes: self.derived.weighted_size(),
        };
        let mut caches = self.store.stats();
        caches.extend([self.outcomes.stats(), derived]);
        Stats { verifications_in_flight: self.in_flight.load(Ordering::Relaxed), caches }
    }

    /// Where evidence is read from.
    pub(crate) fn store(&self) -> &CachedStore {
        &self.store
    }

    /// What is known of what `verifier` finds about `subject`.
    pub(crate) async fn known(
        &self,
        verifier: &Arc<dyn Verifier>,
        subject: &Subject,
        elsewhere: &Elsewhere,
    ) -> Option<Arc<Outcome>> {
        self.outcomes.get(&key(&**verifier, subject, elsewhere, 0)).await
    }

    /// What `verifier` finds about `subject`.
    pub(crate) async fn outcome(
        self: &Arc<Self>,
        verifier: &Arc<dyn Verifier>,
        subject: &Subject,
        elsewhere: &Arc<Elsewhere>,
        depth: usize,
    ) -> Arc<Outcome> {
        let key = key(&**verifier, subject, elsewhere, depth);
        let (all, verifier, subject) = (self.clone(), verifier.clone(), subject.clone());
        let elsewhere = elsewhere.clone();
        let verify = async move {
            let start = all.clock.ticks();
            let _in_flight = InFlight::new(&all.in_flight);
            let (all, reader) = (all.clone(), verifier.clone());
            let context = VerifierContext { all: all.clone(), reader, elsewhere, depth };
            // A panic is counted as what it is. What follows sees only the outcome.
            let verify = AssertUnwindSafe(verifier.verify(&subject, &context)).catch_unwind();
            let outcome = match tokio::time::timeout(VERIFICATION_TIME_MAX, verify).await {
                Ok(ended) => ended.unwrap_or_else(|_| {
                    Outcome::new(State::Rejected(ReasonCode::Internal), "internal error")
                }),
                Err(_) => Outcome::new(
                    State::Unavailable(ReasonCode::Timeout),
                    "verification takes too long",
                ),
            };
            let duration = all.clock.ticks().saturating_sub(start);
            all.recorder.verification(verifier.kind(), outcome.state, duration);
            Arc::new(outcome)
        };
        self.outcomes.get_or(key, verify).await
    }
}

/// Counts a verification for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn key(
    verifier: &dyn Verifier,
    subject: &Subject,
    elsewhere: &Elsewhere,
    depth: usize,
) -> VerdictKey {
    let (repository, digest) = (subject.repository.clone(), subject.digest().clone());
    let scopes = elsewhere.scopes_of(verifier, subject);
    let scope = subject.access.scope().clone();
    (repository, digest, verifier.fingerprint().clone(), scope, scopes, depth)
}

/// One verification's view of the engine.
struct VerifierContext {
    all: Arc<Verifications>,
    reader: Arc<dyn Verifier>,
    elsewhere: Arc<Elsewhere>,
    depth: usize,
}

/// The outcome of what a verifier may not ask for: its verdict is cached for whoever sees what it says
/// that it depends on, and would tell others more.
fn undeclared() -> Outcome {
    Outcome::new(State::Rejected(ReasonCode::Internal), "internal error")
}

#[async_trait]
impl Context for VerifierContext {
    fn store(&self) -> &dyn ArtifactStore {
        &self.all.store
    }

    fn fetch(&self) -> &dyn Fetch {
        &*self.all.fetch
    }

    fn now(&self) -> Timestamp {
        self.all.clock.now()
    }

    async fn access(&self, subject: &Subject, repository: &Repository) -> Result<Access, Outcome> {
        if subject.repository == *repository {
            return Ok(subject.access.clone());
        }
        let accesses = self.elsewhere.accesses(repository, &*self.reader);
        let accesses = accesses.ok_or_else(undeclared)?;
        if let [only] = accesses {
            return Ok(only.clone());
        }
        // Which of several is let in shows when one asks. The subject need not be there.
        let at = Selector::Digest(subject.digest().clone());
        let mut denied = StoreError::Internal;
        for access in accesses {
            match self.store().resolve(repository, &at, access).await {
                Err(error @ StoreError::Denied { .. }) => denied = error,
                _ => return Ok(access.clone()),
            }
        }
        Err(Outcome::unread(&denied, ReasonCode::SignatureNotFound))
    }

    async fn nested(&self, verifier: &Arc<dyn Verifier>, subject: &Subject) -> Outcome {
        let depth = self.depth.saturating_add(1);
        if depth > NESTING_DEPTH_MAX {
            return Outcome::new(
                State::Rejected(ReasonCode::EvidenceInvalid),
                format!("evidence about evidence is more than {NESTING_DEPTH_MAX} deep"),
            );
        }
        let own = self.reader.repositories();
        if verifier.repositories().iter().any(|other| !own.contains(other)) {
            return undeclared();
        }
        Outcome::clone(&*self.all.outcome(verifier, subject, &self.elsewhere, depth).await)
    }

    async fn derived(
        &self,
        digest: &Digest,
        parser: &'static str,
        version: u32,
        compute: Box<dyn FnOnce() -> Derived + Send>,
    ) -> Derived {
        let key = (digest.clone(), parser, version);
        let derived = self.all.derived.get_with(key, async move { compute() }).await;
        // Else the bound would hold at some later use only.
        self.all.derived.run_pending_tasks().await;
        derived
    }
}
