//! Where things are read: at each mirror in turn, and at last at the registry itself.
//!
//! A mirror is a short cut that the administrator chose. What it answers counts, tags too; whatever
//! else happens there, the next place is asked, so that a mirror is never the reason of an error and
//! no message names one. Content read by digest is hashed wherever it comes from. The request's
//! credentials are the registry's own: a mirror on another host gets none, and serves whom it likes.

use assay_core::ports::{ArtifactStore, FetchedManifest, Selector};
use assay_core::{Access, Descriptor, Digest, Repository, StoreError, Subject};
use async_trait::async_trait;
use bytes::Bytes;

use crate::store::Registry;

/// Where something is read, and by what credential.
pub(crate) struct Place {
    pub(crate) repository: Repository,
    pub(crate) access: Access,
}

impl Registry {
    /// The mirrors of `repository`, in order.
    fn mirrors(&self, repository: &Repository, access: &Access) -> Vec<Place> {
        let place = |mirror: Repository| {
            let own = mirror.host() == repository.host();
            let access = if own { access.clone() } else { Access::public() };
            Place { repository: mirror, access }
        };
        self.http.hosts.mirrors(repository).into_iter().map(place).collect()
    }
}

impl Place {
    /// `repository` itself.
    fn origin(repository: &Repository, access: &Access) -> Self {
        Self { repository: repository.clone(), access: access.clone() }
    }
}

#[async_trait]
impl ArtifactStore for Registry {
    async fn resolve(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<Descriptor, StoreError> {
        for mirror in self.mirrors(repository, access) {
            if let Ok(found) = self.read_descriptor(&mirror, at).await {
                return Ok(found);
            }
        }
        self.read_descriptor(&Place::origin(repository, access), at).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        for mirror in self.mirrors(repository, access) {
            if let Ok(found) = self.read_manifest(&mirror, at).await {
                return Ok(found);
            }
        }
        self.read_manifest(&Place::origin(repository, access), at).await
    }

    /// Caches often hold images without what refers to them, so that a mirror's "none" counts for
    /// nothing.
    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        for mirror in self.mirrors(&subject.repository, &subject.access) {
            match self.list_referrers(&mirror, subject.digest()).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                _ => continue,
            }
        }
        let origin = Place::origin(&subject.repository, &subject.access);
        self.list_referrers(&origin, subject.digest()).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        for mirror in self.mirrors(repository, access) {
            if let Ok(found) = self.read_blob(&mirror, digest, bytes_max).await {
                return Ok(found);
            }
        }
        self.read_blob(&Place::origin(repository, access), digest, bytes_max).await
    }
}
