//! A registry in memory that holds an image, and what is said about it, true or not.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};

use assay_core::ports::{
    ArtifactStore, Context, Derived, Fetch, FetchedManifest, Selector, Verifier,
};
use assay_core::{Access, Descriptor, Digest, Outcome, Repository, State, StoreError, Subject};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

const HOST: &str = "registry.example";

/// Polls of a verification at most. Nothing here is waited for, but streams yield out of courtesy.
const POLLS_MAX: usize = 10_000;

/// The registry.
pub(crate) struct Registry {
    subject: Subject,
    /// By digest or tag.
    manifests: BTreeMap<String, Bytes>,
    blobs: BTreeMap<Digest, Bytes>,
    referrers: Vec<Descriptor>,
}

impl Registry {
    /// A registry with the image that has this manifest, and nothing else.
    pub(crate) fn with_image(manifest: &[u8]) -> Self {
        let subject = Subject {
            repository: Repository::new(HOST, "app"),
            descriptor: descriptor(manifest),
            access: Access::public(),
        };
        Self { subject, manifests: BTreeMap::new(), blobs: BTreeMap::new(), referrers: Vec::new() }
    }

    /// Adds a blob.
    pub(crate) fn blob(mut self, bytes: &[u8]) -> Self {
        self.blobs.insert(Digest::sha256(bytes), Bytes::copy_from_slice(bytes));
        self
    }

    /// Adds a manifest, under its digest.
    pub(crate) fn manifest(mut self, bytes: &[u8]) -> Self {
        let digest = Digest::sha256(bytes).to_string();
        self.manifests.insert(digest, Bytes::copy_from_slice(bytes));
        self
    }

    /// Adds a manifest, under the tag where Cosign keeps the image's signatures.
    pub(crate) fn signature_tag(mut self, bytes: &[u8]) -> Self {
        let tag = format!("sha256-{}.sig", self.subject.digest().hex());
        self.manifests.insert(tag, Bytes::copy_from_slice(bytes));
        self
    }

    /// Lists these as referring to the image.
    pub(crate) fn referrers(self, referrers: Vec<Descriptor>) -> Self {
        Self { referrers, ..self }
    }

    /// Lists the manifest of these bytes as referring to the image, and holds it.
    pub(crate) fn referrer(self, bytes: &[u8]) -> Self {
        self.manifest(bytes).referrers(vec![descriptor(bytes)])
    }

    /// Whether `verifier` accepts the image.
    pub(crate) fn accepts(&self, verifier: &Arc<dyn Verifier>) -> bool {
        let mut verification = pin!(verifier.verify(&self.subject, self));
        let mut task = Task::from_waker(Waker::noop());
        let mut polls = (0..POLLS_MAX).map(|_| verification.as_mut().poll(&mut task));
        let outcome = polls.find_map(|poll| match poll {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        });
        let outcome = outcome.expect("a verification ends");
        let is_accepted = outcome.state == State::Accepted;
        assert_eq!(is_accepted, !outcome.signers.is_empty(), "only what is accepted has signers");
        is_accepted
    }
}

/// The descriptor of an image manifest.
fn descriptor(manifest: &[u8]) -> Descriptor {
    Descriptor {
        media_type: assay_core::media_type::OCI_MANIFEST.to_owned(),
        digest: Digest::sha256(manifest),
        size: manifest.len() as u64,
        artifact_type: None,
        annotations: BTreeMap::new(),
    }
}

fn found<T: Clone>(held: Option<&T>) -> Result<T, StoreError> {
    held.cloned().ok_or_else(|| StoreError::NotFound { host: HOST.to_owned() })
}

#[async_trait]
impl ArtifactStore for Registry {
    async fn resolve(
        &self,
        _: &Repository,
        _: &Selector,
        _: &Access,
    ) -> Result<Descriptor, StoreError> {
        Ok(self.subject.descriptor.clone())
    }

    async fn manifest(
        &self,
        _: &Repository,
        at: &Selector,
        _: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        let at = match at {
            Selector::Digest(digest) => digest.to_string(),
            Selector::Tag(tag) => tag.clone(),
        };
        let bytes = found(self.manifests.get(&at))?;
        Ok(FetchedManifest { descriptor: descriptor(&bytes), bytes })
    }

    async fn referrers(&self, _: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.referrers.clone())
    }

    async fn blob(
        &self,
        _: &Repository,
        digest: &Digest,
        _: &Access,
        _: u64,
    ) -> Result<Bytes, StoreError> {
        found(self.blobs.get(digest))
    }
}

#[async_trait]
impl Context for Registry {
    fn store(&self) -> &dyn ArtifactStore {
        self
    }

    fn fetch(&self) -> &dyn Fetch {
        unreachable!("a key needs nothing fetched")
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn access(&self, subject: &Subject, _: &Repository) -> Result<Access, Outcome> {
        Ok(subject.access.clone())
    }

    async fn nested(&self, verifier: &Arc<dyn Verifier>, subject: &Subject) -> Outcome {
        verifier.verify(subject, self).await
    }

    async fn derived(
        &self,
        _: &Digest,
        _: &'static str,
        _: u32,
        compute: Box<dyn FnOnce() -> Derived + Send>,
    ) -> Derived {
        compute()
    }
}
