//! A registry in memory with one image, signers, and the verifier asked about it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use assay_core::ports::{
    ArtifactStore, Context, Derived, Fetch, FetchLimits, FetchedManifest, Selector, Verifier,
    VerifierFactory,
};
use assay_core::{
    Access, CertificateKind, CertificateStore, ConfigError, Descriptor, Digest, KeySource,
    NotationConfig, NotationStatement, NotationTrustPolicy, Outcome, Repository, State, StoreError,
    Subject, TrustMaterial, TrustStoreKind, TrustStoreMaterial, VerifierConfig,
};
use assay_testkit::media_type;
use assay_verifiers::Factory;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use notation_rs::algorithm::KeyKind;
use notation_rs::payload::TargetArtifact;
use notation_rs::signer::{self, Pki, SignRequest};
use notation_rs::{ARTIFACT_TYPE, EnvelopeFormat};
use serde_json::{Value, json};

pub(crate) const HOST: &str = "registry.example";
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";
pub(crate) const ACME: &str = "x509.subject: C=US, ST=WA, O=Acme";

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A root, an intermediate and a leaf, valid through 2025 to 2027.
pub(crate) fn pki() -> Pki {
    let ends = [at("2025-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")];
    Pki::generate(KeyKind::P256, ends[0], ends[1]).unwrap()
}

pub(crate) struct World {
    pub(crate) subject: Subject,
    pub(crate) manifests: BTreeMap<String, Result<Bytes, StoreError>>,
    pub(crate) blobs: BTreeMap<Digest, Result<Bytes, StoreError>>,
    pub(crate) referrers: Result<Vec<Descriptor>, StoreError>,
    /// By what URLs begin with; all others cannot be reached.
    pub(crate) pages: Vec<(&'static str, Result<Bytes, StoreError>)>,
    /// What is fetched is not answered while this stands.
    pub(crate) hold: Hold,
    /// What was fetched, and within which limits.
    pub(crate) fetched: Mutex<Vec<(String, FetchLimits)>>,
    pub(crate) now: Timestamp,
    /// How much later it is at each look at the clock.
    pub(crate) tick: SignedDuration,
    pub(crate) looks: Mutex<i32>,
    /// The manifests that were asked for.
    pub(crate) asked: Mutex<usize>,
}

impl World {
    /// An image with nothing about it.
    pub(crate) fn new() -> Self {
        Self::of(Digest::sha256(b"the image"), 9)
    }

    pub(crate) fn of(digest: Digest, size: u64) -> Self {
        let descriptor = Descriptor {
            media_type: media_type::MANIFEST.to_owned(),
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
        };
        let repository = Repository::new(HOST, "app");
        Self {
            subject: Subject { repository, descriptor, access: Access::public() },
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            referrers: Ok(Vec::new()),
            pages: Vec::new(),
            hold: Hold::default(),
            fetched: Mutex::default(),
            now: at(NOW),
            tick: SignedDuration::ZERO,
            looks: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// An envelope over the image, `env=prod` in its payload.
    pub(crate) fn envelope(&self, pki: &Pki, change: impl FnOnce(&mut SignRequest<'_>)) -> Vec<u8> {
        let target = TargetArtifact {
            media_type: self.subject.descriptor.media_type.clone(),
            digest: self.subject.digest().to_string(),
            size: self.subject.descriptor.size,
            annotations: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
            artifact_type: None,
        };
        let payload = signer::payload(&target).unwrap();
        let signed_at = at("2025-06-01T00:00:00Z");
        let mut request = SignRequest::new(EnvelopeFormat::Cose, &payload, signed_at);
        change(&mut request);
        request.sign(&pki.leaf.key, &pki.chain()).unwrap()
    }

    /// Signs the image as `notation sign` does.
    pub(crate) fn sign(&mut self, pki: &Pki) -> Digest {
        let envelope = self.envelope(pki, |_| {});
        self.push(&envelope, EnvelopeFormat::Cose)
    }

    pub(crate) fn push(&mut self, envelope: &[u8], format: EnvelopeFormat) -> Digest {
        let manifest = self.manifest(envelope, format);
        self.push_manifest(&manifest)
    }

    /// The manifest of a signature, in the newer of the two shapes.
    pub(crate) fn manifest(&mut self, envelope: &[u8], format: EnvelopeFormat) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": self.blob(media_type::EMPTY, b"{}"),
            "layers": [self.blob(format.media_type(), envelope)],
            "subject": self.subject.descriptor,
        })
    }

    /// Stores a manifest, and lists it as a signature.
    pub(crate) fn push_manifest(&mut self, manifest: &Value) -> Digest {
        let bytes = Bytes::from(manifest.to_string());
        let digest = Digest::sha256(&bytes);
        self.manifests.insert(digest.to_string(), Ok(bytes));
        self.list(&digest);
        digest
    }

    pub(crate) fn list(&mut self, digest: &Digest) {
        let entry = json!({
            "mediaType": media_type::MANIFEST, "digest": digest, "size": 1,
            "artifactType": ARTIFACT_TYPE,
        });
        self.referrers.as_mut().unwrap().push(serde_json::from_value(entry).unwrap());
    }

    pub(crate) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes);
        self.blobs.insert(digest.clone(), Ok(Bytes::copy_from_slice(bytes)));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub(crate) fn verify(&self, verifier: &dyn Verifier) -> Outcome {
        settle(verifier.verify(&self.subject, self))
    }

    #[track_caller]
    pub(crate) fn check(&self, name: &str, verifier: &dyn Verifier, expect: State) -> Outcome {
        let outcome = self.verify(verifier);
        assert_eq!(outcome.state, expect, "{name}: {}", outcome.message);
        let has_good_report = outcome.reports.iter().any(|report| report.is_success);
        assert_eq!(has_good_report, expect == State::Accepted, "{name}: reports");
        outcome
    }
}

/// A configuration that trusts the store `roots` and the identity [`ACME`] at level strict.
pub(crate) fn config() -> NotationConfig {
    let statement = NotationStatement {
        trusted_identities: vec![ACME.to_owned()],
        level: "strict".to_owned(),
        overrides: BTreeMap::new(),
        verify_timestamp: "always".to_owned(),
    };
    NotationConfig {
        stores: vec![store(CertificateKind::Ca)],
        trust_policy: NotationTrustPolicy::Statement(statement),
        user_metadata: BTreeMap::new(),
    }
}

pub(crate) fn store(kind: CertificateKind) -> CertificateStore {
    CertificateStore { kind, source: KeySource::ClusterTrustStore("roots".to_owned()) }
}

/// [`config`], changed in its statement.
pub(crate) fn stating(change: impl FnOnce(&mut NotationStatement)) -> NotationConfig {
    let mut config = config();
    let NotationTrustPolicy::Statement(statement) = &mut config.trust_policy else {
        unreachable!("it is a statement")
    };
    change(statement);
    config
}

/// [`config`], with a document of one statement in the place of its own.
pub(crate) fn document(level: &str, scope: &str) -> NotationConfig {
    let document = json!({"version": "1.0", "trustPolicies": [{
        "name": "a", "registryScopes": [scope], "signatureVerification": {"level": level},
        "trustStores": ["ca:roots"], "trustedIdentities": [ACME],
    }]});
    NotationConfig { trust_policy: NotationTrustPolicy::Document(document.to_string()), ..config() }
}

/// The verifier by `config`, where each store that it names holds these bytes.
pub(crate) fn build(
    config: NotationConfig,
    bytes: &[u8],
) -> Result<Arc<dyn Verifier>, ConfigError> {
    build_with(&Factory::default(), config, bytes)
}

/// The same, by this factory.
pub(crate) fn build_with(
    factory: &Factory,
    config: NotationConfig,
    bytes: &[u8],
) -> Result<Arc<dyn Verifier>, ConfigError> {
    let materials = config.stores.iter().map(|store| material(store, bytes));
    let material = TrustMaterial { stores: materials.collect() };
    factory.build(&VerifierConfig::Notation(config), &material)
}

pub(crate) fn material(store: &CertificateStore, bytes: &[u8]) -> TrustStoreMaterial {
    TrustStoreMaterial::new(store.source.clone(), bytes.to_vec())
        .of_kind(TrustStoreKind::Certificates(store.kind))
}

/// The verifier by `config` that trusts the root of `pki`.
pub(crate) fn verifier(config: NotationConfig, pki: &Pki) -> Arc<dyn Verifier> {
    build(config, pki.root.certificate.der()).unwrap()
}

/// Holds up whoever waits for it, until it is let go.
#[derive(Default)]
pub(crate) struct Hold(Mutex<Option<Vec<Waker>>>);

impl Hold {
    pub(crate) fn set(&self) {
        *self.0.lock().unwrap() = Some(Vec::new());
    }

    pub(crate) fn let_go(&self) {
        let waiting = self.0.lock().unwrap().take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|context| match &mut *self.0.lock().unwrap() {
            None => Poll::Ready(()),
            Some(waiting) => {
                waiting.push(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

/// The output of a future that needs no help from outside.
pub(crate) fn settle<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    let found = (0..10_000).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    });
    found.unwrap()
}

pub(crate) fn not_found() -> StoreError {
    StoreError::NotFound { host: HOST.to_owned() }
}

pub(crate) fn timeout() -> StoreError {
    StoreError::Timeout { host: HOST.to_owned() }
}

#[async_trait]
impl ArtifactStore for World {
    async fn resolve(
        &self,
        _: &Repository,
        _: &Selector,
        _: &Access,
    ) -> Result<Descriptor, StoreError> {
        unreachable!("the subject is resolved already")
    }

    async fn manifest(
        &self,
        _: &Repository,
        at: &Selector,
        _: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        *self.asked.lock().unwrap() += 1;
        let Selector::Digest(digest) = at else { unreachable!("nothing is asked for by tag") };
        let bytes = self.manifests.get(&digest.to_string()).cloned();
        let bytes = bytes.unwrap_or_else(|| Err(not_found()))?;
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor { digest, ..self.subject.descriptor.clone() };
        Ok(FetchedManifest { descriptor, bytes })
    }

    async fn referrers(&self, _: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        self.referrers.clone()
    }

    async fn blob(
        &self,
        _: &Repository,
        digest: &Digest,
        _: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        let bytes = self.blobs.get(digest).cloned().unwrap_or_else(|| Err(not_found()))?;
        match u64::try_from(bytes.len()).unwrap() > bytes_max {
            true => Err(StoreError::TooLarge { limit: bytes_max }),
            false => Ok(bytes),
        }
    }
}

#[async_trait]
impl Fetch for World {
    async fn get(&self, url: &str, limits: FetchLimits) -> Result<Bytes, StoreError> {
        self.fetched.lock().unwrap().push((url.to_owned(), limits));
        self.hold.pass().await;
        let page = self.pages.iter().find(|(prefix, _)| url.starts_with(prefix));
        page.map_or_else(|| Err(timeout()), |(_, page)| page.clone())
    }

    async fn post(
        &self,
        url: &str,
        _: &str,
        _: Bytes,
        limits: FetchLimits,
    ) -> Result<Bytes, StoreError> {
        self.get(url, limits).await
    }
}

#[async_trait]
impl Context for World {
    fn store(&self) -> &dyn ArtifactStore {
        self
    }

    fn fetch(&self) -> &dyn Fetch {
        self
    }

    fn now(&self) -> Timestamp {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        self.now + self.tick * *looks
    }

    async fn access(&self, _: &Subject, _: &Repository) -> Result<Access, Outcome> {
        unreachable!("signatures are beside the image")
    }

    async fn nested(&self, _: &Arc<dyn Verifier>, _: &Subject) -> Outcome {
        unreachable!("signatures are not signed")
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
