//! From an image's name to its digest: one, of which every check of a request speaks, read with the
//! first of the credentials that may.

use assay_core::ports::{ArtifactStore, Selector};
use assay_core::{Access, Descriptor, Digest, Outcome, ReasonCode, StoreError, Subject};
use assay_policy::Work;

use crate::store::CachedStore;

/// What an image's name stands for.
#[derive(Clone, Debug)]
pub(crate) struct Resolution {
    /// The image; or why it could not be had.
    pub(crate) subject: Result<Subject, Outcome>,
    /// Whether its tag points there, where that is asked; or why it could not be told.
    pub(crate) tag_proven: Option<Result<bool, Outcome>>,
}

/// Who is asked.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    /// The cache alone.
    Cache,
    /// The registry, where the cache does not know.
    Registry,
}

/// Resolves one image.
pub(crate) struct Resolver<'a> {
    pub(crate) store: &'a CachedStore,
    pub(crate) work: &'a Work,
    /// Tried in turn; never empty.
    pub(crate) accesses: &'a [Access],
    pub(crate) ask: Ask,
}

impl Resolution {
    /// The resolution where there is no image to be had.
    pub(crate) fn failed(outcome: Outcome) -> Self {
        Self { subject: Err(outcome), tag_proven: None }
    }
}

impl Resolver<'_> {
    /// The resolution; `None` where whoever is asked does not know.
    pub(crate) async fn resolve(&self) -> Option<Resolution> {
        let reference = &self.work.reference;
        let (descriptor, access) = match self.accessible().await? {
            Ok(found) => found,
            Err(outcome) => return Some(Resolution::failed(outcome)),
        };
        let tag_proven = match reference.tag().filter(|_| self.work.prove_tag) {
            Some(tag) => Some(self.carries(tag, &descriptor.digest, &access).await?),
            None => None,
        };
        let repository = reference.repository().clone();
        Some(Resolution { subject: Ok(Subject { repository, descriptor, access }), tag_proven })
    }

    /// The image, read with the first of the accesses that are let in.
    async fn accessible(&self) -> Option<Result<(Descriptor, Access), Outcome>> {
        let reference = &self.work.reference;
        let at = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Selector::Digest(digest.clone()),
            (None, tag) => Selector::Tag(tag.unwrap_or("latest").to_owned()),
        };
        let mut refused = StoreError::Internal;
        for access in self.accesses {
            match self.read(&at, access).await? {
                Ok(descriptor) => return Some(Ok((descriptor, access.clone()))),
                // Where one may not look, some registries say that there is nothing, as kubelet knows.
                Err(error @ StoreError::NotFound { .. }) => refused = error,
                Err(error @ StoreError::Denied { .. }) => {
                    if !matches!(refused, StoreError::NotFound { .. }) {
                        refused = error;
                    }
                }
                Err(error) => return Some(Err(Outcome::unread(&error, ReasonCode::ImageNotFound))),
            }
        }
        Some(Err(Outcome::unread(&refused, ReasonCode::ImageNotFound)))
    }

    /// Whether `tag` points at `digest`.
    async fn carries(
        &self,
        tag: &str,
        digest: &Digest,
        access: &Access,
    ) -> Option<Result<bool, Outcome>> {
        Some(match self.read(&Selector::Tag(tag.to_owned()), access).await? {
            Ok(found) => Ok(found.digest == *digest),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(Outcome::unread(&error, ReasonCode::TagNotProven)),
        })
    }

    async fn read(&self, at: &Selector, access: &Access) -> Option<Result<Descriptor, StoreError>> {
        let repository = self.work.reference.repository();
        match self.ask {
            Ask::Cache => self.store.resolved(repository, at, access).await,
            Ask::Registry => Some(self.store.resolve(repository, at, access).await),
        }
    }
}
