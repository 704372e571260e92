//! The ports: everything that a room may ask of the world, as traits. Each is implemented once for
//! the product and once for tests.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    Access, ConfigError, Credential, Descriptor, Digest, Outcome, ReasonCode, Repository, State,
    StoreError, Subject, TrustMaterial, TrustStoreMaterial, VerifierConfig,
};

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The one that has this digest.
    Digest(Digest),
    /// The one that this tag points at now.
    Tag(String),
}

/// A manifest as it was read: the bytes have the descriptor's digest.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// Media type as the registry gave it, digest and size as computed here.
    pub descriptor: Descriptor,
    /// The manifest.
    pub bytes: Bytes,
}

/// Reads from a registry (OCI distribution specification, "Pull" and "Listing Referrers").
///
/// What it returns by digest has that digest. It parses no manifest and judges no evidence.
#[async_trait]
pub trait ArtifactStore: Send + Sync {
    /// The descriptor of the manifest that `at` selects, without its annotations: HEAD, or GET and
    /// hash where HEAD names no digest.
    ///
    /// # Errors
    /// [`StoreError`]; a digest in a header that is not one is malformed.
    async fn resolve(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<Descriptor, StoreError>;

    /// The manifest that `at` selects, at most [`crate::MANIFEST_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`StoreError`], by cause.
    async fn manifest(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
    ) -> Result<FetchedManifest, StoreError>;

    /// Everything that the registry lists as referring to the subject, through the referrers API
    /// or the referrers tag. A hint: whoever counts an entry reads it and looks at its `subject`.
    ///
    /// # Errors
    /// [`StoreError`]; no referrers is an empty list, not an error.
    async fn referrers(&self, subject: &Subject) -> Result<Vec<Descriptor>, StoreError>;

    /// The blob that has `digest`, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`StoreError`], by cause.
    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError>;
}

/// What a server that is no registry may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// The greatest body, in bytes.
    pub bytes_max: u64,
    /// The longest time for all of it: a connection, redirects, head and body.
    pub timeout: Duration,
}

/// Bounded reads from anything that is no registry: OCSP responders, CRLs, TUF mirrors.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The body at `url`, within `limits`.
    ///
    /// # Errors
    /// [`StoreError`], by cause.
    async fn get(&self, url: &str, limits: FetchLimits) -> Result<Bytes, StoreError>;

    /// The answer to `body` posted to `url`, within `limits`.
    ///
    /// # Errors
    /// [`StoreError`], by cause.
    async fn post(
        &self,
        url: &str,
        media_type: &str,
        body: Bytes,
        limits: FetchLimits,
    ) -> Result<Bytes, StoreError>;
}

/// Why credentials could not be had. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A source could not be asked, or did not answer. It may well at the next try.
    #[error("credentials for {host}: {reason}")]
    Unavailable {
        /// The registry's host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// A source answered with something else than credentials. A tenant can bring that about, by a
    /// malformed pull Secret, so it never counts as infrastructure that is missing.
    #[error("credentials for {host}: {reason}")]
    Unusable {
        /// The registry's host.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

/// In whose name an image is pulled, as far as it has registry credentials of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PullIdentity {
    /// The pod's namespace, the only one whose Secrets are its own; empty where it has none.
    pub namespace: String,
    /// The names of its pull Secrets, in order; whether they are names is not checked.
    pub secrets: Vec<String>,
    /// The ServiceAccount whose pull Secrets it gets where it names none itself; `None` where they
    /// are in `secrets` already.
    pub service_account: Option<String>,
}

/// Registry credentials.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The credentials for `repository`, to be tried in turn; none means anonymous access. They are
    /// those of `identity`, where the source knows any of its own, and of nobody else but the
    /// webhook itself.
    ///
    /// # Errors
    /// [`CredentialError`] where a source that may have an entry for the host could not answer.
    async fn credentials(
        &self,
        repository: &Repository,
        identity: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError>;
}

/// A Docker configuration as a pull Secret holds it. Its `Debug` form shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    /// The Secret's name.
    pub name: String,
    /// How it is written.
    pub format: PullSecretFormat,
    /// What it holds; parsed by nobody yet.
    pub bytes: Bytes,
}

/// How a pull Secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullSecretFormat {
    /// `kubernetes.io/dockercfg`: entries by registry.
    DockerCfg,
    /// `kubernetes.io/dockerconfigjson`: the same under `auths`.
    DockerConfigJson,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PullSecret({})", self.name)
    }
}

/// The pull Secrets that pods have.
#[async_trait]
pub trait PullSecretSource: Send + Sync {
    /// The pull Secrets of `identity`, in its order, as far as they are there and the administrator
    /// lets them be read; those of its own namespace only. `host` is for the error.
    ///
    /// # Errors
    /// [`CredentialError`] where it cannot be told what they hold.
    async fn secrets(
        &self,
        identity: &PullIdentity,
        host: &str,
    ) -> Result<Vec<Arc<PullSecret>>, CredentialError>;
}

/// Why a namespace's labels could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the labels of namespace '{namespace}' cannot be read: {reason}")]
pub struct NamespaceError {
    /// The namespace.
    pub namespace: String,
    /// What went wrong.
    pub reason: String,
}

/// The labels of namespaces; asked before matching, and only where a policy needs them.
#[async_trait]
pub trait NamespaceSource: Send + Sync {
    /// The labels of `namespace`.
    ///
    /// # Errors
    /// [`NamespaceError`] where there is no such namespace, or it cannot be read.
    async fn labels(
        &self,
        namespace: &str,
    ) -> Result<Arc<BTreeMap<String, String>>, NamespaceError>;
}

/// The time.
pub trait Clock: Send + Sync {
    /// The time of day, against which certificates and reports expire.
    fn now(&self) -> Timestamp;

    /// The time since an arbitrary start; it never goes back. Cache entries age by it.
    fn ticks(&self) -> Duration;
}

/// How an admission ended, for [`Recorder::admission`].
#[derive(Clone, Debug)]
pub struct AdmissionRecord<'a> {
    /// `pods`, `deployments`, … ; `other` for what is none of ours.
    pub resource: &'a str,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: &'a str,
    /// `allow`, `warn`, `deny` or `error`.
    pub decision: &'static str,
    /// Whether the request was a dry run.
    pub dry_run: bool,
    /// `hit` where every verdict was cached, `miss` where one was not, `none` where none was needed.
    pub cache: &'static str,
    /// From the last byte of the body to the answer.
    pub duration: Duration,
}

/// One violation of one policy, for [`Recorder::violation`].
#[derive(Clone, Debug)]
pub struct ViolationRecord<'a> {
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// The policy's name.
    pub policy: &'a str,
    /// `deny`, `warn` or `dryrun`.
    pub enforcement_action: &'static str,
    /// Why.
    pub reason: ReasonCode,
    /// The image's registry.
    pub registry: &'a str,
}

/// Counts what happens; one method per metric, or per pair that is counted and timed at once.
pub trait Recorder: Send + Sync {
    /// `assay_admission_requests_total` and `assay_admission_duration_seconds`.
    fn admission(&self, record: &AdmissionRecord<'_>);

    /// `assay_admission_denials_total`.
    fn violation(&self, record: &ViolationRecord<'_>);

    /// `assay_image_verifications_total` and `assay_verification_duration_seconds`.
    fn verification(&self, verifier: &'static str, state: State, duration: Duration);

    /// `assay_registry_requests_total` and `assay_registry_request_duration_seconds`; `code` is the
    /// HTTP status, or 0 where none came.
    fn registry_request(
        &self,
        registry: &str,
        operation: &'static str,
        code: u16,
        duration: Duration,
    );

    /// `assay_cache_requests_total`.
    fn cache_request(&self, cache: &'static str, hit: bool);

    /// `assay_singleflight_coalesced_total`.
    fn coalesced(&self, cache: &'static str);
}

/// An object of a known namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectReference {
    /// `apps/v1`, or `v1` in the core group.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid; empty where it does not exist yet.
    pub uid: String,
}

/// A pod that was refused, for [`Events::refused`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPod {
    /// Its namespace.
    pub namespace: String,
    /// The pod; it exists only where an update was refused.
    pub pod: ObjectReference,
    /// Its controller: a claim of whoever wrote the pod.
    pub controller: Option<ObjectReference>,
    /// Which policies refuse it, by which codes: the same for what is refused for the same cause.
    pub cause: String,
    /// What whoever asked was told.
    pub message: String,
}

/// Tells a cluster's users what was refused, in the place where they look.
pub trait Events: Send + Sync {
    /// Has it written, some time or never: it waits for nothing and nobody.
    fn refused(&self, refused: RefusedPod);
}

/// Verifies one kind of evidence, by one configuration and its keys.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// The verifier's type, as policies and metrics name it: `cosign`.
    fn kind(&self) -> &'static str;

    /// The hash of all that the verdict depends on besides the subject and the time: the
    /// configuration and the keys behind it.
    fn fingerprint(&self) -> &Digest;

    /// Every repository beside the subject's own that the verifier, or one that it asks, reads
    /// evidence from. The verdict depends on who may read there, so [`Context::access`] refuses any
    /// other.
    fn repositories(&self) -> &[Repository] {
        &[]
    }

    /// What the evidence for `subject` is worth. It never returns an error: what it cannot decide
    /// is [`State::Unavailable`].
    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome;
}

/// What was extracted from a document.
#[derive(Clone)]
pub struct Derived {
    /// Of whatever type its parser makes.
    pub value: Arc<dyn Any + Send + Sync>,
    /// About how many bytes it takes; who keeps it has a bound on them.
    pub bytes: usize,
}

/// What a verifier may ask for while it works.
#[async_trait]
pub trait Context: Send + Sync {
    /// Where evidence is read from.
    fn store(&self) -> &dyn ArtifactStore;

    /// Where revocation data is read from.
    fn fetch(&self) -> &dyn Fetch;

    /// The time of day.
    fn now(&self) -> Timestamp;

    /// How evidence about `subject` is read from `repository`: from the subject's own as the
    /// subject is, from one of [`Verifier::repositories`] with the credentials for that one.
    ///
    /// # Errors
    /// The outcome where no credentials could be had, or none of several is let in.
    async fn access(&self, subject: &Subject, repository: &Repository) -> Result<Access, Outcome>;

    /// The outcome of another verifier, of evidence about evidence; at most [`NESTING_DEPTH_MAX`]
    /// deep.
    async fn nested(&self, verifier: &Arc<dyn Verifier>, subject: &Subject) -> Outcome;

    /// What `parser` at `version` makes of the document with `digest`, computed once.
    async fn derived(
        &self,
        digest: &Digest,
        parser: &'static str,
        version: u32,
        compute: Box<dyn FnOnce() -> Derived + Send>,
    ) -> Derived;
}

/// How deep verifiers may call verifiers: a signature on a signature on a report.
pub const NESTING_DEPTH_MAX: usize = 3;

/// Builds verifiers: the one place where configuration and key bytes become something that
/// verifies, so that an unreadable key is an error of the policy and not of a request.
pub trait VerifierFactory: Send + Sync {
    /// The verifier that `config` describes, with the keys in `material`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field: no key, an unreadable key, a key of an unknown kind.
    fn build(
        &self,
        config: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError>;

    /// When the first certificate of a trust store expires; `None` where it holds none that can be
    /// read.
    fn expiry(&self, _: &TrustStoreMaterial) -> Option<Timestamp> {
        None
    }
}
