//! The artifact store that verifiers see: the registry's, behind caches. One access scope's entries
//! never answer another's request, for content by digest too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{ArtifactStore, Clock, FetchedManifest, Recorder, Selector};
use assay_core::{Access, AccessScope, Descriptor, Digest, Repository, StoreError, Subject};
use async_trait::async_trait;
use bytes::Bytes;

use crate::cache::{Cached, Lifetime, TtlCache};
use crate::{CacheConfig, CacheStats};

/// How long one read may take, whoever waits for it: as long as a verification, which nobody would
/// see the end of otherwise.
const READ_TIME_MAX: Duration = Duration::from_secs(60);

/// What an answer was about, and in whose scope it was read.
type Scoped<T> = (Repository, T, AccessScope);

/// An [`ArtifactStore`] that remembers what another one answered.
pub(crate) struct CachedStore {
    inner: Arc<dyn ArtifactStore>,
    /// By digest, and by the limit that they were read under.
    blobs: TtlCache<Scoped<(Digest, u64)>, Answer<Bytes>>,
    manifests: TtlCache<Scoped<Digest>, Answer<FetchedManifest>>,
    referrers: TtlCache<Scoped<Digest>, Answer<Arc<[Descriptor]>>>,
    /// Manifests by a tag that stands for a list of evidence: cosign's `.sig`.
    tagged: TtlCache<Scoped<String>, Answer<FetchedManifest>>,
    resolved: TtlCache<Scoped<Selector>, Answer<Descriptor>>,
}

/// What a store answered, and how long it may be kept where it is no error.
#[derive(Clone)]
struct Answer<T> {
    read: Result<T, StoreError>,
    kept: Kept,
}

#[derive(Clone, Copy)]
enum Kept {
    /// Content by digest never changes: it goes when room is needed.
    Always,
    NegativeTtl,
    ReferrersTtl,
    TagTtl,
}

/// What `read` ends in, in time.
async fn in_time<T>(
    repository: &Repository,
    read: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Timeout { host: repository.host().to_owned() };
    tokio::time::timeout(READ_TIME_MAX, read).await.unwrap_or_else(|_| Err(late()))
}

/// How many bytes an answer holds.
trait Weight {
    fn bytes(&self) -> usize;
}

/// Bytes that a descriptor takes beside its texts.
const DESCRIPTOR_BYTES: usize = 512;

/// Bytes that an annotation takes beside its texts.
const ANNOTATION_BYTES: usize = 64;

impl Weight for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Weight for FetchedManifest {
    fn bytes(&self) -> usize {
        self.bytes.len().saturating_add(self.descriptor.bytes())
    }
}

impl Weight for Arc<[Descriptor]> {
    fn bytes(&self) -> usize {
        self.iter().map(Weight::bytes).sum()
    }
}

impl Weight for Descriptor {
    fn bytes(&self) -> usize {
        let annotations = self.annotations.iter();
        let annotations: usize =
            annotations.map(|(key, value)| key.len() + value.len() + ANNOTATION_BYTES).sum();
        let artifact_type = self.artifact_type.as_ref().map_or(0, String::len);
        DESCRIPTOR_BYTES + self.media_type.len() + artifact_type + annotations
    }
}

impl<T: Weight + Clone + Send + Sync + 'static> Cached for Answer<T> {
    fn lifetime(&self, config: &CacheConfig) -> Lifetime {
        Lifetime::of(match (&self.read, self.kept) {
            // What may well be better at the next try is not kept.
            (Err(error), _) if error.is_transient() => Duration::ZERO,
            (Err(_), _) | (Ok(_), Kept::NegativeTtl) => config.negative_ttl,
            (Ok(_), Kept::Always) => Duration::MAX,
            (Ok(_), Kept::ReferrersTtl) => config.referrers_ttl,
            (Ok(_), Kept::TagTtl) => config.tag_ttl,
        })
    }

    fn bytes(&self) -> usize {
        self.read.as_ref().map_or(0, Weight::bytes)
    }

    fn internal() -> Self {
        Self { read: Err(StoreError::Internal), kept: Kept::NegativeTtl }
    }
}

impl CachedStore {
    /// `inner` behind caches that share nine sixteenths of `config.bytes_max`. What a repeated
    /// admission asks for, tags, has most of it; what only a new verification reads goes first.
    pub(crate) fn new(
        inner: Arc<dyn ArtifactStore>,
        config: CacheConfig,
        clock: &Arc<dyn Clock>,
        recorder: &Arc<dyn Recorder>,
    ) -> Self {
        let share = config.bytes_max / 16;
        let ports = || (clock.clone(), recorder.clone());
        Self {
            inner,
            blobs: TtlCache::new("blob", config, share.saturating_mul(2), ports()),
            manifests: TtlCache::new("manifest", config, share, ports()),
            referrers: TtlCache::new("referrers", config, share, ports()),
            tagged: TtlCache::new("referrers", config, share, ports()),
            resolved: TtlCache::new("tag", config, share.saturating_mul(4), ports()),
        }
    }

    /// What the caches hold right now.
    pub(crate) fn stats(&self) -> Vec<CacheStats> {
        vec![
            self.blobs.stats(),
            self.manifests.stats(),
            self.referrers.stats(),
            self.tagged.stats(),
            self.resolved.stats(),
        ]
    }

    /// What [`Self::resolve`] would answer from the cache.
    pub(crate) async fn resolved(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Option<Result<Descriptor, StoreError>> {
        let key = (repository.clone(), at.clone(), access.scope().clone());
        Some(self.resolved.get(&key).await?.read)
    }
}

#[async_trait]
impl ArtifactStore for CachedStore {
    async fn resolve(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<Descriptor, StoreError> {
        let key = (repository.clone(), at.clone(), access.scope().clone());
        let (inner, repository, at, access) =
            (self.inner.clone(), repository.clone(), at.clone(), access.clone());
        let resolve = async move {
            let read = in_time(&repository, inner.resolve(&repository, &at, &access)).await;
            Answer { read, kept: Kept::TagTtl }
        };
        self.resolved.get_or(key, resolve).await.read
    }

    async fn manifest(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        let (inner, place, selector, reader) =
            (self.inner.clone(), repository.clone(), at.clone(), access.clone());
        let read = |kept| async move {
            let read = in_time(&place, inner.manifest(&place, &selector, &reader)).await;
            Answer { read, kept }
        };
        let scope = access.scope().clone();
        let answer = match at {
            Selector::Tag(tag) => {
                let key = (repository.clone(), tag.clone(), scope);
                self.tagged.get_or(key, read(Kept::ReferrersTtl)).await
            }
            Selector::Digest(digest) => {
                let key = (repository.clone(), digest.clone(), scope);
                self.manifests.get_or(key, read(Kept::Always)).await
            }
        };
        answer.read
    }

    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        let scope = subject.access.scope().clone();
        let key = (subject.repository.clone(), subject.digest().clone(), scope);
        let (inner, subject) = (self.inner.clone(), subject.clone());
        let list = async move {
            let read = in_time(&subject.repository, inner.referrers(&subject)).await;
            let read: Result<Arc<[Descriptor]>, _> = read.map(Into::into);
            // "No referrers yet" is what whoever just signed waits to see the end of.
            let is_empty = read.as_ref().is_ok_and(|list| list.is_empty());
            Answer { read, kept: if is_empty { Kept::NegativeTtl } else { Kept::ReferrersTtl } }
        };
        self.referrers.get_or(key, list).await.read.map(|list| list.to_vec())
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        // Under another limit the answer may be another.
        let key = (repository.clone(), (digest.clone(), bytes_max), access.scope().clone());
        let (inner, repository, digest, access) =
            (self.inner.clone(), repository.clone(), digest.clone(), access.clone());
        let read = async move {
            let blob = inner.blob(&repository, &digest, &access, bytes_max);
            let read = in_time(&repository, blob).await;
            Answer { read, kept: Kept::Always }
        };
        self.blobs.get_or(key, read).await.read
    }
}
