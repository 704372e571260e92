//! The ports: each answers what its test says, writes down what it was asked, and waits at a gate
//! where the test shuts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_core::ports::{
    AdmissionRecord, ArtifactStore, Context, CredentialError, CredentialSource, Fetch, FetchLimits,
    FetchedManifest, NamespaceError, NamespaceSource, PullIdentity, Recorder, Selector, Verifier,
    ViolationRecord,
};
use assay_core::{
    Access, AccessScope, Credential, Descriptor, Digest, Outcome, Repository, State, StoreError,
    Subject,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

/// Where whoever comes waits, while it is shut.
pub(crate) struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// What was asked, in order.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<String>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(prefix)).count()
    }
}

/// An answer that a test can change.
pub(crate) type Answer<F> = Mutex<Arc<F>>;

type Resolve =
    dyn Fn(&Repository, &Selector, &Access) -> Result<Descriptor, StoreError> + Send + Sync;

/// Registries: any digest is there; any tag points at the digest of its own name.
pub(crate) struct FakeStore {
    /// What content ends in, where it does not end well.
    pub(crate) error: Mutex<Option<StoreError>>,
    pub(crate) gate: Gate,
    /// Where whoever asks a registry waits whose name begins with `slow`.
    pub(crate) slow_gate: Gate,
    pub(crate) log: Log,
    pub(crate) referrers: Mutex<Vec<Descriptor>>,
    resolve: Answer<Resolve>,
}

pub(crate) fn descriptor(digest: Digest) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest,
        size: 2,
        artifact_type: None,
        annotations: BTreeMap::new(),
    }
}

/// The digest that a tag points at unless a test says otherwise.
pub(crate) fn digest_of(tag: &str) -> Digest {
    Digest::sha256(tag.as_bytes())
}

impl Default for FakeStore {
    fn default() -> Self {
        let resolve = |_: &Repository, at: &Selector, _: &Access| {
            Ok(descriptor(match at {
                Selector::Digest(digest) => digest.clone(),
                Selector::Tag(tag) => digest_of(tag),
            }))
        };
        Self {
            error: Mutex::default(),
            gate: Gate::default(),
            slow_gate: Gate::default(),
            log: Log::default(),
            referrers: Mutex::default(),
            resolve: Mutex::new(Arc::new(resolve)),
        }
    }
}

impl FakeStore {
    pub(crate) fn resolves(
        &self,
        resolve: impl Fn(&Repository, &Selector, &Access) -> Result<Descriptor, StoreError>
        + Send
        + Sync
        + 'static,
    ) {
        *self.resolve.lock().unwrap() = Arc::new(resolve);
    }

    async fn asked(&self, what: &str, about: impl std::fmt::Debug, access: &Access) {
        self.log.add(format!("{what} {about:?} as {}", name_of(access)));
        self.gate.pass().await;
    }

    fn content<T>(&self, content: T) -> Result<T, StoreError> {
        self.error.lock().unwrap().clone().map_or(Ok(content), Err)
    }
}

/// `public`, or the user that the credential names.
pub(crate) fn name_of(access: &Access) -> &str {
    match (access.scope(), access.credential()) {
        (AccessScope::Public, None) => "public",
        (AccessScope::Credentials(_), Some(Credential::Basic { username, .. })) => username,
        other => panic!("{other:?}"),
    }
}

#[async_trait]
impl ArtifactStore for FakeStore {
    async fn resolve(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<Descriptor, StoreError> {
        self.asked("resolve", at, access).await;
        if repository.host().starts_with("slow") {
            self.slow_gate.pass().await;
        }
        let resolve = self.resolve.lock().unwrap().clone();
        resolve(repository, at, access)
    }

    async fn manifest(
        &self,
        _: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError> {
        self.asked("manifest", at, access).await;
        self.content(FetchedManifest {
            descriptor: descriptor(Digest::sha256(b"{}")),
            bytes: Bytes::from_static(b"{}"),
        })
    }

    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError> {
        self.asked("referrers", subject.digest(), &subject.access).await;
        self.content(self.referrers.lock().unwrap().clone())
    }

    async fn blob(
        &self,
        _: &Repository,
        digest: &Digest,
        access: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        const BLOB: &[u8] = b"four";
        self.asked("blob", digest, access).await;
        match bytes_max {
            0..4 => Err(StoreError::TooLarge { limit: bytes_max }),
            _ => self.content(Bytes::from_static(BLOB)),
        }
    }
}

/// Nothing is fetched here.
pub(crate) struct NoFetch;

#[async_trait]
impl Fetch for NoFetch {
    async fn get(&self, url: &str, _: FetchLimits) -> Result<Bytes, StoreError> {
        panic!("GET {url}")
    }

    async fn post(
        &self,
        url: &str,
        _: &str,
        _: Bytes,
        _: FetchLimits,
    ) -> Result<Bytes, StoreError> {
        panic!("POST {url}")
    }
}

type Credentials =
    dyn Fn(&Repository, &PullIdentity) -> Result<Vec<Credential>, CredentialError> + Send + Sync;

/// No credentials, unless a test says otherwise.
pub(crate) struct FakeCredentials {
    pub(crate) gate: Gate,
    pub(crate) log: Log,
    credentials: Answer<Credentials>,
}

impl Default for FakeCredentials {
    fn default() -> Self {
        let credentials = Mutex::new(Arc::new(|_: &_, _: &_| Ok(Vec::new())) as Arc<Credentials>);
        Self { gate: Gate::default(), log: Log::default(), credentials }
    }
}

impl FakeCredentials {
    pub(crate) fn are(
        &self,
        credentials: impl Fn() -> Result<Vec<Credential>, CredentialError> + Send + Sync + 'static,
    ) {
        self.answer(move |_, _| credentials());
    }

    /// The credentials by repository and by whose request it is.
    pub(crate) fn answer(
        &self,
        credentials: impl Fn(&Repository, &PullIdentity) -> Result<Vec<Credential>, CredentialError>
        + Send
        + Sync
        + 'static,
    ) {
        *self.credentials.lock().unwrap() = Arc::new(credentials);
    }

    /// The credentials of these users.
    pub(crate) fn of(&self, users: &'static [&'static str]) {
        self.are(move || Ok(users.iter().map(|user| credential(user)).collect()));
    }
}

pub(crate) fn credential(user: &str) -> Credential {
    Credential::Basic { username: user.to_owned(), password: "secret".to_owned() }
}

#[async_trait]
impl CredentialSource for FakeCredentials {
    async fn credentials(
        &self,
        repository: &Repository,
        identity: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        self.log.add(repository.to_string());
        self.gate.pass().await;
        let credentials = self.credentials.lock().unwrap().clone();
        credentials(repository, identity)
    }
}

/// One namespace's labels: `env` and a value, or none that can be read.
#[derive(Default)]
pub(crate) struct FakeNamespaces {
    pub(crate) env: Mutex<Option<&'static str>>,
    pub(crate) gate: Gate,
    pub(crate) log: Log,
}

#[async_trait]
impl NamespaceSource for FakeNamespaces {
    async fn labels(
        &self,
        namespace: &str,
    ) -> Result<Arc<BTreeMap<String, String>>, NamespaceError> {
        self.log.add(namespace.to_owned());
        self.gate.pass().await;
        match *self.env.lock().unwrap() {
            Some(env) => Ok(Arc::new(BTreeMap::from([("env".to_owned(), env.to_owned())]))),
            None => Err(NamespaceError {
                namespace: namespace.to_owned(),
                reason: "it is not there".to_owned(),
            }),
        }
    }
}

/// Counts what the engine reports.
#[derive(Default)]
pub(crate) struct Spy(pub(crate) Log);

impl Recorder for Spy {
    fn admission(&self, _: &AdmissionRecord<'_>) {}

    fn violation(&self, _: &ViolationRecord<'_>) {}

    fn verification(&self, verifier: &'static str, state: State, _: Duration) {
        self.0.add(format!("{verifier} {}", state.as_str()));
    }

    fn registry_request(&self, _: &str, _: &'static str, _: u16, _: Duration) {}

    fn cache_request(&self, cache: &'static str, hit: bool) {
        self.0.add(format!("{cache} {}", if hit { "hit" } else { "miss" }));
    }

    fn coalesced(&self, cache: &'static str) {
        self.0.add(format!("{cache} coalesced"));
    }
}

type Verify = dyn Fn(&Subject) -> Outcome + Send + Sync;

/// A verifier that accepts, unless a test says otherwise.
pub(crate) struct FakeVerifier {
    fingerprint: Digest,
    pub(crate) gate: Gate,
    pub(crate) log: Log,
    verify: Answer<Verify>,
}

pub(crate) fn accepted() -> Outcome {
    Outcome::new(State::Accepted, "")
}

impl FakeVerifier {
    pub(crate) fn new(fingerprint: &str) -> Arc<Self> {
        Arc::new(Self {
            fingerprint: Digest::sha256(fingerprint.as_bytes()),
            gate: Gate::default(),
            log: Log::default(),
            verify: Mutex::new(Arc::new(|_| accepted())),
        })
    }

    pub(crate) fn finds(&self, verify: impl Fn(&Subject) -> Outcome + Send + Sync + 'static) {
        *self.verify.lock().unwrap() = Arc::new(verify);
    }

    pub(crate) fn runs(&self) -> usize {
        self.log.count("")
    }
}

#[async_trait]
impl Verifier for FakeVerifier {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    async fn verify(&self, subject: &Subject, _: &dyn Context) -> Outcome {
        self.log.add(format!("{} as {}", subject.reference(), name_of(&subject.access)));
        self.gate.pass().await;
        let verify = self.verify.lock().unwrap().clone();
        verify(subject)
    }
}
