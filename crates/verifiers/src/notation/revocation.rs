//! Revocation data for `notation-rs`: through the `Context`'s bounded reads, and from what all
//! verifications share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assay_core::StoreError;
use assay_core::ports::{Context, Fetch, FetchLimits};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use notation_rs::revocation::{
    BoxFuture, Cache, CacheKey, Evidence, FetchError, FetchRequest, Fetcher, RevocationError,
};

use super::evidence::EvidenceCache;

/// Where one verification has revocation data from.
pub(super) struct Revocation<'a> {
    evidence: &'a EvidenceCache,
    context: &'a dyn Context,
    /// When the first of the data used so far stops to count.
    fresh_until: Mutex<Option<Timestamp>>,
}

impl<'a> Revocation<'a> {
    pub(super) fn new(evidence: &'a EvidenceCache, context: &'a dyn Context) -> Self {
        Self { evidence, context, fresh_until: Mutex::default() }
    }

    /// When the first of the data that was used stops to count.
    pub(super) fn fresh_until(&self) -> Option<Timestamp> {
        *self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, evidence: &Evidence) {
        let mut first = self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner);
        *first = [*first, Some(evidence.fresh_until())].into_iter().flatten().min();
    }
}

impl Cache for Revocation<'_> {
    fn get_or_fetch<'a>(
        &'a self,
        key: CacheKey,
        now: Timestamp,
        fetch: BoxFuture<'a, Result<Evidence, RevocationError>>,
    ) -> BoxFuture<'a, Result<Evidence, RevocationError>> {
        Box::pin(async move {
            let clock = || self.context.now();
            let evidence = self.evidence.get_or_fetch(key, now, clock, fetch).await?;
            self.note(&evidence);
            Ok(evidence)
        })
    }
}

/// The time that one verification, or one CRL that is fetched anew, may spend on reading revocation
/// data: two CRLs that take all of theirs. A certificate may name many more servers.
const REVOCATION_TIME_MAX: SignedDuration = SignedDuration::from_secs(10);

/// What reads revocation data from servers, until its time is over.
pub(super) struct Web<'a> {
    fetch: &'a dyn Fetch,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    until: Timestamp,
}

impl<'a> Web<'a> {
    /// What reads by `fetch`, from now on by `clock`.
    pub(super) fn new(fetch: &'a dyn Fetch, clock: &'a (dyn Fn() -> Timestamp + Sync)) -> Self {
        let until = clock().saturating_add(REVOCATION_TIME_MAX).unwrap_or(Timestamp::MAX);
        Self { fetch, clock, until }
    }

    /// The time that is left of it; none if it is over.
    fn left(&self) -> Option<Duration> {
        let left = self.until.duration_since((self.clock)());
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }
}

impl Fetcher for Web<'_> {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            let bytes_max = u64::try_from(request.body_bytes_max).unwrap_or(u64::MAX);
            let left = self.left().ok_or(FetchError::TimedOut)?;
            let limits = FetchLimits { bytes_max, timeout: request.timeout.min(left) };
            let answer = match request.post {
                None => self.fetch.get(request.url, limits).await,
                Some((media_type, body)) => {
                    let body = Bytes::copy_from_slice(body);
                    self.fetch.post(request.url, media_type, body, limits).await
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
        StoreError::Throttled { .. } | StoreError::Unreachable { .. } => FetchError::Unreachable,
        StoreError::Overloaded { .. } => FetchError::Overloaded,
        _ => FetchError::Refused,
    }
}
