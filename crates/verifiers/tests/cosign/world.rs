//! A registry in memory with one image, and the verifier asked about it.

use std::collections::BTreeMap;
use std::future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use assay_core::ports::{
    ArtifactStore, Context, Derived, Fetch, FetchedManifest, Selector, Verifier, VerifierFactory,
};
use assay_core::{
    Access, ConfigError, CosignConfig, Credential, Descriptor, Digest, KeyConfig, KeySource,
    Outcome, ReasonCode, Repository, State, StoreError, Subject, TrustMaterial, TrustStoreMaterial,
    Validity, VerifierConfig,
};
use assay_testkit::cosign::SigningKey;
use assay_testkit::cosign::bundle::{Bundle, BundleReferrer, Statement};
use assay_testkit::cosign::simple::{
    SIGNATURE_ANNOTATION, SimpleSignature, SimpleSigning, signature_tag,
};
use assay_testkit::media_type;
use assay_verifiers::Factory;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const HOST: &str = "registry.example";
pub(crate) const STORE: &str = "release-keys";

/// The artifact type of simple signing in a referrer.
pub(crate) const SIMPLE_ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

pub(crate) const ACCEPTED: State = State::Accepted;
pub(crate) const NOT_FOUND: State = State::Missing(ReasonCode::SignatureNotFound);
pub(crate) const ANNOTATION_MISMATCH: State = State::Rejected(ReasonCode::AnnotationMismatch);
pub(crate) const INVALID: State = State::Rejected(ReasonCode::EvidenceInvalid);
pub(crate) const KEY_MISMATCH: State = State::Rejected(ReasonCode::KeyMismatch);
pub(crate) const SIGNATURE_INVALID: State = State::Rejected(ReasonCode::SignatureInvalid);
pub(crate) const SUBJECT_MISMATCH: State = State::Rejected(ReasonCode::SubjectMismatch);

/// What the registry answers; nothing is no answer, ever.
type Answer<T> = Option<Result<T, StoreError>>;

/// The registry, and the image that the verifier is asked about.
pub(crate) struct World {
    pub(crate) subject: Subject,
    /// By digest or tag.
    pub(crate) manifests: BTreeMap<String, Answer<Bytes>>,
    pub(crate) blobs: BTreeMap<Digest, Answer<Bytes>>,
    pub(crate) referrers: Answer<Vec<Descriptor>>,
    /// Those of what an index holds.
    pub(crate) referrers_of_others: BTreeMap<Digest, Answer<Vec<Descriptor>>>,
    /// The only repository with evidence; the image's own at first.
    pub(crate) place: Repository,
    /// How it is read, where it is another.
    pub(crate) access: Result<Access, Outcome>,
    pub(crate) now: Timestamp,
    /// By tag.
    layers: BTreeMap<String, Vec<Value>>,
    /// What was asked for, in order.
    pub(crate) requests: Mutex<Vec<String>>,
}

impl World {
    /// An image, with nothing about it.
    pub(crate) fn new() -> Self {
        let descriptor = Descriptor {
            media_type: media_type::MANIFEST.to_owned(),
            digest: Digest::sha256(b"the image"),
            size: 9,
            artifact_type: None,
            annotations: BTreeMap::new(),
        };
        let subject = Subject {
            repository: Repository::new(HOST, "app"),
            descriptor,
            access: Access::public(),
        };
        Self {
            subject,
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            referrers: Some(Ok(Vec::new())),
            referrers_of_others: BTreeMap::new(),
            place: Repository::new(HOST, "app"),
            access: Ok(access("reader")),
            now: Timestamp::UNIX_EPOCH,
            layers: BTreeMap::new(),
            requests: Mutex::default(),
        }
    }

    pub(crate) fn digest(&self) -> String {
        self.subject.digest().to_string()
    }

    pub(crate) fn tag(&self) -> String {
        signature_tag(&self.digest())
    }

    /// The facts of a simple signing payload about the image.
    pub(crate) fn simple(&self) -> SimpleSigning {
        SimpleSigning::new(self.subject.repository.to_string(), self.digest())
    }

    /// The facts of a statement about the image.
    pub(crate) fn statement(&self) -> Statement {
        Statement::new(&self.digest())
    }

    /// Signs as Cosign 2 does.
    pub(crate) fn sign_simple(&mut self, key: &SigningKey) {
        let signature = self.simple().sign(key).unwrap();
        self.push_simple(&signature);
    }

    /// Signs as Cosign 3 does.
    pub(crate) fn sign_bundle(&mut self, key: &SigningKey) {
        let bundle = self.statement().sign(key).unwrap();
        self.push_bundle(&bundle);
    }

    /// Appends a layer to the image at the signature tag.
    pub(crate) fn push_simple(&mut self, signature: &SimpleSignature) {
        let layer = self.simple_layer(signature);
        self.push_layer(layer);
    }

    pub(crate) fn simple_layer(&mut self, signature: &SimpleSignature) -> Value {
        let text = STANDARD.encode(&signature.signature);
        let mut layer = self.push_blob(&signature.layer_type, &signature.payload);
        layer["annotations"] = json!({SIGNATURE_ANNOTATION: text});
        layer
    }

    /// The manifest with these signatures that refers to the image, as Cosign 2 writes it for
    /// registries of OCI 1.1.
    pub(crate) fn simple_referrer(&mut self, signatures: &[SimpleSignature]) -> Value {
        let layers: Vec<Value> =
            signatures.iter().map(|signature| self.simple_layer(signature)).collect();
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": SIMPLE_ARTIFACT_TYPE,
            "config": self.push_blob(SIMPLE_ARTIFACT_TYPE, b"{}"),
            "layers": layers,
            "subject": self.subject.descriptor,
        })
    }

    /// Makes the image an index of these.
    pub(crate) fn become_index(&mut self, manifests: &Value) {
        let index = json!({
            "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests,
        });
        let bytes = Bytes::from(index.to_string());
        self.subject.descriptor.digest = Digest::sha256(&bytes);
        self.manifests.insert(self.digest(), Some(Ok(bytes)));
    }

    /// Has `sign` sign `other`, which the index holds, in the place of the index.
    pub(crate) fn about(&mut self, other: &Digest, sign: impl FnOnce(&mut Self)) {
        let own = std::mem::replace(&mut self.subject.descriptor.digest, other.clone());
        let none = Some(Ok(Vec::new()));
        let others = self.referrers_of_others.remove(other).unwrap_or(none);
        let own_referrers = std::mem::replace(&mut self.referrers, others);
        sign(self);
        let others = std::mem::replace(&mut self.referrers, own_referrers);
        self.referrers_of_others.insert(other.clone(), others);
        self.subject.descriptor.digest = own;
    }

    pub(crate) fn push_layer(&mut self, layer: Value) {
        let config = self.push_blob(media_type::CONFIG, b"{}");
        let layers = self.layers.entry(self.tag()).or_default();
        layers.push(layer);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": config, "layers": layers,
        });
        let manifest = Bytes::from(manifest.to_string());
        self.manifests.insert(self.tag(), Some(Ok(manifest)));
    }

    pub(crate) fn push_bundle(&mut self, bundle: &Bundle) {
        self.push_referrer(&BundleReferrer::new(bundle.to_json()));
    }

    pub(crate) fn push_referrer(&mut self, referrer: &BundleReferrer) -> Digest {
        let manifest = self.referrer_manifest(referrer);
        self.push_referrer_manifest(&manifest)
    }

    pub(crate) fn referrer_manifest(&mut self, referrer: &BundleReferrer) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": referrer.artifact_type,
            "config": self.push_blob(media_type::EMPTY, b"{}"),
            "layers": [self.push_blob(&referrer.layer_type, &referrer.bundle)],
            "subject": self.subject.descriptor,
            "annotations": {"dev.sigstore.bundle.predicateType": referrer.predicate_type},
        })
    }

    /// Stores a manifest, and lists it as registries with no annotations in their lists do.
    pub(crate) fn push_referrer_manifest(&mut self, manifest: &Value) -> Digest {
        let bytes = Bytes::from(manifest.to_string());
        let digest = Digest::sha256(&bytes);
        let entry = json!({
            "mediaType": media_type::MANIFEST, "digest": digest, "size": bytes.len(),
            "artifactType": manifest["artifactType"],
        });
        self.manifests.insert(digest.to_string(), Some(Ok(bytes)));
        self.list().push(serde_json::from_value(entry).unwrap());
        digest
    }

    /// The list of referrers, as the registry will give it.
    pub(crate) fn list(&mut self) -> &mut Vec<Descriptor> {
        self.referrers.as_mut().unwrap().as_mut().unwrap()
    }

    pub(crate) fn push_blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes);
        let bytes = Bytes::copy_from_slice(bytes);
        self.blobs.insert(digest.clone(), Some(Ok(bytes.clone())));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// The outcome under these keys.
    pub(crate) fn verify(&self, keys: &[&SigningKey]) -> Outcome {
        self.verify_by(&*verifier(keys))
    }

    /// The outcome of this verifier.
    pub(crate) fn verify_by(&self, verifier: &dyn Verifier) -> Outcome {
        settle(verifier.verify(&self.subject, self)).unwrap()
    }

    #[track_caller]
    pub(crate) fn check(&self, name: &str, keys: &[&SigningKey], expect: State) -> Outcome {
        self.check_by(name, &*verifier(keys), expect)
    }

    #[track_caller]
    pub(crate) fn check_by(&self, name: &str, verifier: &dyn Verifier, expect: State) -> Outcome {
        let outcome = self.verify_by(verifier);
        assert_eq!(outcome.state, expect, "{name}: {}", outcome.message);
        let accepted = expect == State::Accepted;
        assert_eq!(!outcome.signers.is_empty(), accepted, "{name}: signers");
        let has_good_report = outcome.reports.iter().any(|report| report.is_success);
        assert_eq!(has_good_report, accepted, "{name}: reports");
        assert!(outcome.warnings.is_empty(), "{name}: it has no levels");
        outcome
    }

    fn fetched(&self, bytes: Bytes) -> FetchedManifest {
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor { digest, size: 0, ..self.subject.descriptor.clone() };
        FetchedManifest { descriptor, bytes }
    }

    pub(crate) fn requested(&self, request: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|known| *known == request).count()
    }

    /// What is there for whoever asks in the right place, in the right name.
    async fn answer<T: Clone>(
        &self,
        (repository, asked_as): (&Repository, &Access),
        request: String,
        answer: Option<&Answer<T>>,
    ) -> Result<T, StoreError> {
        self.requests.lock().unwrap().push(request);
        let is_own = *repository == self.subject.repository;
        let expected = if is_own { &self.subject.access } else { self.access.as_ref().unwrap() };
        if asked_as.scope() != expected.scope() {
            return Err(StoreError::Denied { host: HOST.to_owned(), status: 403 });
        }
        match answer.filter(|_| *repository == self.place) {
            None => Err(not_found()),
            Some(None) => future::pending().await,
            Some(Some(answer)) => answer.clone(),
        }
    }
}

/// A new key.
pub(crate) fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

/// The verifier that trusts these keys, all of one store.
pub(crate) fn verifier(keys: &[&SigningKey]) -> Arc<dyn Verifier> {
    build(&[(STORE, &pem(keys))]).unwrap()
}

/// The public keys, in PEM.
pub(crate) fn pem(keys: &[&SigningKey]) -> String {
    keys.iter().map(|key| key.public_key_pem().unwrap()).collect()
}

/// The verifier that trusts these stores, given as name and PEM.
pub(crate) fn build(stores: &[(&str, &str)]) -> Result<Arc<dyn Verifier>, ConfigError> {
    let stores: Vec<_> =
        stores.iter().map(|(name, pem)| (*name, *pem, Validity::default())).collect();
    build_with(&stores, |_| {})
}

/// The verifier that trusts these stores, as far as they are valid, and by a configuration that was
/// changed by `change`.
pub(crate) fn build_with(
    stores: &[(&str, &str, Validity)],
    change: impl FnOnce(&mut CosignConfig),
) -> Result<Arc<dyn Verifier>, ConfigError> {
    let source = |name: &str| KeySource::ClusterTrustStore(name.to_owned());
    let entry = |name| KeyConfig { source: source(name), hash_algorithm: None };
    let keys = stores.iter().map(|(name, ..)| entry(name)).collect();
    let mut config = CosignConfig { keys, ..CosignConfig::default() };
    change(&mut config);
    let stores = stores.iter().map(|(name, pem, validity)| {
        TrustStoreMaterial::new(source(name), pem.as_bytes().to_vec()).within(*validity)
    });
    let material = TrustMaterial { stores: stores.collect() };
    Factory::default().build(&VerifierConfig::Cosign(config), &material)
}

/// The verifier that trusts these keys, by a configuration that was changed by `change`.
pub(crate) fn verifier_with(
    keys: &[&SigningKey],
    change: impl FnOnce(&mut CosignConfig),
) -> Arc<dyn Verifier> {
    build_with(&[(STORE, &pem(keys), Validity::default())], change).unwrap()
}

/// The access of this user.
pub(crate) fn access(username: &str) -> Access {
    Access::with(Credential::Basic { username: username.to_owned(), password: String::new() })
}

/// The output of a future that needs no help from outside; nothing where it waits for some.
pub(crate) fn settle<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    // Streams yield now and then out of courtesy, so one poll is not enough.
    (0..10_000).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
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
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        let at = match at {
            Selector::Digest(digest) => digest.to_string(),
            Selector::Tag(tag) => tag.clone(),
        };
        let request = format!("manifest {at}");
        if at == self.digest() && *repository == self.subject.repository {
            // The image itself is where it always was.
            return Ok(self.fetched(self.manifests[&at].clone().unwrap()?));
        }
        let answer = self.manifests.get(&at);
        let bytes = self.answer((repository, access), request, answer).await?;
        Ok(self.fetched(bytes))
    }

    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        let place = (&subject.repository, &subject.access);
        let none = Some(Ok(Vec::new()));
        let answer = match self.referrers_of_others.get(subject.digest()) {
            _ if subject.digest() == self.subject.digest() => &self.referrers,
            Some(others) => others,
            None => &none,
        };
        self.answer(place, "referrers".to_owned(), Some(answer)).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        let request = format!("blob {digest}");
        let bytes = self.answer((repository, access), request, self.blobs.get(digest)).await?;
        if bytes.len() as u64 > bytes_max {
            return Err(StoreError::TooLarge { limit: bytes_max });
        }
        Ok(bytes)
    }
}

#[async_trait]
impl Context for World {
    fn store(&self) -> &dyn ArtifactStore {
        self
    }

    fn fetch(&self) -> &dyn Fetch {
        unreachable!("keys are not revoked")
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    async fn access(&self, _: &Subject, _: &Repository) -> Result<Access, Outcome> {
        self.access.clone()
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
