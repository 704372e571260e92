//! What a verifier may ask for while it works, and the cache of what verifiers found.

use std::sync::Arc;

use assay_core::ports::{
    ArtifactStore, Clock, Context, Derived, Fetch, NESTING_DEPTH_MAX, Recorder, Verifier,
};
use assay_core::{AccessScope, Digest, Outcome, ReasonCode, Repository, State, Subject};
use async_trait::async_trait;
use jiff::Timestamp;

use crate::CacheConfig;
use crate::cache::{Cached, Lifetime, TtlCache};
use crate::store::CachedStore;

/// Documents of which the extract is kept.
const DERIVED_ENTRIES_MAX: u64 = 1_024;

/// How long one verification may take, whoever waits for it: twice the longest admission deadline,
/// so that a slow registry fills the cache for the retry and holds no task for longer.
const VERIFICATION_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Repository of the evidence, digest, fingerprint, access scope; and depth, since less fits below
/// what is deep already. Who waits for another's verification waits for a deeper one, so that even
/// verifiers that call each other come to an end.
type VerdictKey = (Repository, Digest, Digest, AccessScope, usize);

/// Verifies, once for everyone who asks.
pub(crate) struct Verifications {
    store: CachedStore,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    outcomes: TtlCache<VerdictKey, Arc<Outcome>>,
    derived: moka::future::Cache<(Digest, &'static str, u32), Derived>,
}

impl Cached for Arc<Outcome> {
    fn lifetime(&self, config: &CacheConfig) -> Lifetime {
        let ttl = match self.state {
            State::Accepted => config.verdict_ttl,
            State::Unavailable(_) | State::Rejected(ReasonCode::Internal) => {
                std::time::Duration::ZERO
            }
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
            outcomes: TtlCache::new(
                "verdict",
                config,
                config.bytes_max / 8,
                (clock.clone(), recorder.clone()),
            ),
            derived: moka::future::Cache::new(DERIVED_ENTRIES_MAX),
        }
    }

    /// Where evidence is read from.
    pub(crate) fn store(&self) -> &dyn ArtifactStore {
        &self.store
    }

    /// What `verifier` finds about `subject`, and whether that was known already.
    pub(crate) async fn outcome(
        self: &Arc<Self>,
        verifier: &Arc<dyn Verifier>,
        subject: &Subject,
        depth: usize,
    ) -> (Arc<Outcome>, bool) {
        let key = (
            subject.repository.clone(),
            subject.digest().clone(),
            verifier.fingerprint().clone(),
            subject.access.scope().clone(),
            depth,
        );
        let (all, verifier, subject) = (self.clone(), verifier.clone(), subject.clone());
        let verify = async move {
            let start = all.clock.ticks();
            let context = VerifierContext { all: all.clone(), depth };
            let verify = verifier.verify(&subject, &context);
            let outcome =
                tokio::time::timeout(VERIFICATION_TIME_MAX, verify).await.unwrap_or_else(|_| {
                    Outcome::new(
                        State::Unavailable(ReasonCode::Timeout),
                        "verification takes too long",
                    )
                });
            let duration = all.clock.ticks().saturating_sub(start);
            all.recorder.verification(verifier.kind(), outcome.state, duration);
            Arc::new(outcome)
        };
        self.outcomes.get_or(key, verify).await
    }
}

/// One verification's view of the engine.
struct VerifierContext {
    all: Arc<Verifications>,
    depth: usize,
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

    async fn nested(&self, verifier: &Arc<dyn Verifier>, subject: &Subject) -> Outcome {
        let depth = self.depth.saturating_add(1);
        if depth > NESTING_DEPTH_MAX {
            return Outcome::new(
                State::Rejected(ReasonCode::EvidenceInvalid),
                format!("evidence about evidence is more than {NESTING_DEPTH_MAX} deep"),
            );
        }
        Outcome::clone(&*self.all.outcome(verifier, subject, depth).await.0)
    }

    async fn derived(
        &self,
        digest: &Digest,
        parser: &'static str,
        version: u32,
        compute: Box<dyn FnOnce() -> Derived + Send>,
    ) -> Derived {
        let key = (digest.clone(), parser, version);
        self.all.derived.get_with(key, async move { compute() }).await
    }
}
