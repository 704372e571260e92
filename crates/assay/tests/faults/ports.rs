//! The world, every call to which may go wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{
    AdmissionRecord, ArtifactStore, Clock, Context, CredentialError, CredentialSource, Fetch,
    FetchLimits, FetchedManifest, NamespaceError, NamespaceSource, PullIdentity, Recorder,
    Selector, Verifier, VerifierFactory, ViolationRecord,
};
use assay_core::{
    Access, ConfigError, Credential, Descriptor, Digest, Outcome, ReasonCode, Repository, State,
    StoreError, Subject, TrustMaterial, VerifierConfig,
};
use assay_testkit::{TestRegistry, fallback_tag};
use assay_verifiers::Factory;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::faults::{Faults, Port};

/// Whom the registry lets in, and whom it does not.
pub(crate) const ALICE: &str = "alice";
pub(crate) const MALLORY: &str = "mallory";

/// A registry's content, and the other ports.
pub(crate) struct Outside {
    pub(crate) faults: Arc<Faults>,
    pub(crate) registry: TestRegistry,
    /// In the order in which they are tried.
    pub(crate) users: Vec<&'static str>,
    /// The label `env` of every namespace.
    pub(crate) env: &'static str,
    pub(crate) start: Instant,
}

impl Outside {
    fn not_found(&self) -> StoreError {
        StoreError::NotFound { host: self.registry.host() }
    }

    fn read(&self, repository: &Repository, at: &str) -> Result<FetchedManifest, StoreError> {
        let stored = self.registry.manifest(repository.path(), at);
        let stored = stored.ok_or_else(|| self.not_found())?;
        let descriptor = Descriptor {
            media_type: stored.media_type,
            digest: Digest::sha256(&stored.bytes),
            size: stored.bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        };
        Ok(FetchedManifest { descriptor, bytes: stored.bytes })
    }

    async fn call(&self, access: &Access) -> Result<(), StoreError> {
        self.faults.call(Port::Store).await?;
        match access.credential() {
            Some(Credential::Basic { username, .. }) if username == MALLORY => {
                Err(StoreError::Denied { host: self.registry.host(), status: 403 })
            }
            _ => Ok(()),
        }
    }
}

fn text(at: &Selector) -> String {
    match at {
        Selector::Digest(digest) => digest.to_string(),
        Selector::Tag(tag) => tag.clone(),
    }
}

#[async_trait]
impl ArtifactStore for Outside {
    async fn resolve(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<Descriptor, StoreError> {
        self.call(access).await?;
        Ok(self.read(repository, &text(at))?.descriptor)
    }

    async fn manifest(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        self.call(access).await?;
        self.read(repository, &text(at))
    }

    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        self.call(&subject.access).await?;
        let tag = fallback_tag(&subject.digest().to_string());
        let index = self.registry.manifest(subject.repository.path(), &tag);
        let list = index.map(|index| index.json()["manifests"].clone());
        Ok(list.map(|list| serde_json::from_value(list).unwrap()).unwrap_or_default())
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
        _: u64,
    ) -> Result<Bytes, StoreError> {
        self.call(access).await?;
        let blob = self.registry.blob(repository.path(), &digest.to_string());
        blob.ok_or_else(|| self.not_found())
    }
}

#[async_trait]
impl Fetch for Outside {
    async fn get(&self, _: &str, _: FetchLimits) -> Result<Bytes, StoreError> {
        self.faults.call(Port::Fetch).await.map(|()| Bytes::new())
    }

    async fn post(&self, _: &str, _: &str, _: Bytes, _: FetchLimits) -> Result<Bytes, StoreError> {
        self.faults.call(Port::Fetch).await.map(|()| Bytes::new())
    }
}

#[async_trait]
impl CredentialSource for Outside {
    async fn credentials(
        &self,
        repository: &Repository,
        _: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        self.faults.call(Port::Credentials).await.map_err(|error| {
            let host = repository.host().to_owned();
            CredentialError::Unavailable { host, reason: error.to_string() }
        })?;
        let credential = |user: &&str| Credential::Basic {
            username: (*user).to_owned(),
            password: String::new(),
        };
        Ok(self.users.iter().map(credential).collect())
    }
}

#[async_trait]
impl NamespaceSource for Outside {
    async fn labels(
        &self,
        namespace: &str,
    ) -> Result<Arc<BTreeMap<String, String>>, NamespaceError> {
        self.faults.call(Port::Namespaces).await.map_err(|error| NamespaceError {
            namespace: namespace.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Arc::new([("env".to_owned(), self.env.to_owned())].into()))
    }
}

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.ticks()).unwrap()
    }

    fn ticks(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Nothing is counted.
pub(crate) struct Nobody;

impl Recorder for Nobody {
    fn admission(&self, _: &AdmissionRecord<'_>) {}
    fn violation(&self, _: &ViolationRecord<'_>) {}
    fn verification(&self, _: &'static str, _: State, _: Duration) {}
    fn registry_request(&self, _: &str, _: &'static str, _: u16, _: Duration) {}
    fn cache_request(&self, _: &'static str, _: bool) {}
    fn coalesced(&self, _: &'static str) {}
}

/// Builds verifiers that may go wrong.
pub(crate) struct Faulty(pub(crate) Arc<Faults>);

impl VerifierFactory for Faulty {
    fn build(
        &self,
        config: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError> {
        let inner = Factory::default().build(config, material)?;
        let fingerprint = Digest::sha256(format!("checked {}", inner.fingerprint()).as_bytes());
        Ok(Arc::new(Checked { faults: self.0.clone(), fingerprint, inner }))
    }
}

/// A verifier that reads a list of what was revoked, which is empty, and then asks another.
struct Checked {
    faults: Arc<Faults>,
    fingerprint: Digest,
    inner: Arc<dyn Verifier>,
}

#[async_trait]
impl Verifier for Checked {
    fn kind(&self) -> &'static str {
        "checked"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        let checked = async {
            self.faults.call(Port::Verifier).await?;
            let limits = FetchLimits { bytes_max: 1, timeout: Duration::from_secs(1) };
            context.fetch().get("https://crl.example", limits).await
        };
        match checked.await {
            Ok(_) => context.nested(&self.inner, subject).await,
            Err(error) => Outcome::unread(&error, ReasonCode::SignatureNotFound),
        }
    }
}
