//! Revocation data for `notation-rs`: through the `Context`'s bounded reads, and from what all
//! verifications share.

use std::sync::{Mutex, PoisonError};

use assay_core::StoreError;
use assay_core::ports::{Context, Fetch, FetchLimits};
use bytes::Bytes;
use jiff::Timestamp;
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

/// What reads revocation data from servers.
pub(super) struct Web<'a>(pub(super) &'a dyn Fetch);

impl Fetcher for Web<'_> {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            let bytes_max = u64::try_from(request.body_bytes_max).unwrap_or(u64::MAX);
            let limits = FetchLimits { bytes_max, timeout: request.timeout };
            let answer = match request.post {
                None => self.0.get(request.url, limits).await,
                Some((media_type, body)) => {
                    let body = Bytes::copy_from_slice(body);
                    self.0.post(request.url, media_type, body, limits).await
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
        StoreError::Overloaded { .. }
        | StoreError::Throttled { .. }
        | StoreError::Unreachable { .. } => FetchError::Unreachable,
        _ => FetchError::Refused,
    }
}
