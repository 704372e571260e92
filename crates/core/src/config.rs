//! What a verifier is built from: its configuration, and the trust material that it names.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::{Digest, Repository};

/// A verifier's configuration, typed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierConfig {
    /// Cosign and Sigstore signatures.
    Cosign(CosignConfig),
    /// Notary Project signatures.
    Notation(NotationConfig),
}

/// The configuration of a `notation` verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationConfig {
    /// Where each trust store is that the trust policy names.
    pub stores: Vec<CertificateStore>,
    /// What a signature has to meet.
    pub trust_policy: NotationTrustPolicy,
    /// What the signed payload must say, by key.
    pub user_metadata: BTreeMap<String, String>,
}

/// A trust store of certificates that a trust policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStore {
    /// What its certificates are for.
    pub kind: CertificateKind,
    /// Where it is.
    pub source: KeySource,
}

/// The trust policy of a `notation` verifier, in the words of the Notary Project; none is read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotationTrustPolicy {
    /// A whole document, JSON. It names [`NotationConfig::stores`] as `type:name`.
    Document(String),
    /// What every image has to meet, under all of [`NotationConfig::stores`].
    Statement(NotationStatement),
}

/// What a signature has to meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotationStatement {
    /// Who may have signed: `*`, or `x509.subject: C=US, ST=WA, O=Acme`.
    pub trusted_identities: Vec<String>,
    /// `strict`, `permissive` or `audit`.
    pub level: String,
    /// Other actions than the level's, by check.
    pub overrides: BTreeMap<String, String>,
    /// `always` or `afterCertExpiry`.
    pub verify_timestamp: String,
}

/// The configuration of a `cosign` verifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CosignConfig {
    /// The keys, any of which may have signed. Never empty in a verifier that was built.
    pub keys: Vec<KeyConfig>,
    /// What the signed payload must say, by key.
    pub annotations: BTreeMap<String, String>,
    /// Where signatures are; without it, beside the image.
    pub signature_repository: Option<SignatureRepository>,
    /// What of an index must be signed.
    pub platforms: Platforms,
}

/// The keys of one trust store, and how they sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// Where the keys come from.
    pub source: KeySource,
    /// The hash that they sign; without it, that which follows from each key.
    pub hash_algorithm: Option<HashAlgorithm>,
}

/// The hash that a key signs, where it is not the usual one for its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A repository that holds the signatures of images elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRepository {
    /// The repository.
    pub repository: Repository,
    /// Whether it is good for images of its own host alone: where a tenant names a host that the
    /// configuration does not.
    pub own_host_only: bool,
}

/// What of an index must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platforms {
    /// The index and each of its per-platform manifests.
    All,
    /// The index.
    #[default]
    Index,
}

/// Where a verifier's public keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// A trust store of the cluster.
    ClusterTrustStore(String),
    /// A trust store of the policy's own namespace.
    TrustStore(String),
}

impl HashAlgorithm {
    /// The name as policies have it: `sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl KeySource {
    /// The trust store's name, as messages show it.
    pub fn name(&self) -> &str {
        match self {
            Self::ClusterTrustStore(name) | Self::TrustStore(name) => name,
        }
    }
}

/// The trust material that a verifier's configuration names, read and hashed.
#[derive(Clone, Debug, Default)]
pub struct TrustMaterial {
    /// Each store named, once.
    pub stores: Vec<TrustStoreMaterial>,
}

/// What one trust store holds: bytes as its source gave them, not parsed.
#[derive(Clone)]
pub struct TrustStoreMaterial {
    /// Which store it is.
    pub source: KeySource,
    /// What it holds.
    pub kind: TrustStoreKind,
    /// PEM, one or more public keys or certificates; or certificates in DER.
    pub bytes: Vec<u8>,
    /// The digest of the bytes.
    pub hash: Digest,
    /// When its keys count.
    pub validity: Validity,
}

/// What a trust store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrustStoreKind {
    /// X.509 certificates.
    Certificates(CertificateKind),
    /// Public keys.
    #[default]
    PublicKeys,
}

/// What the certificates of a trust store are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// Signers.
    Ca,
    /// Signers that are trusted to say when they signed.
    SigningAuthority,
    /// Timestamps.
    Tsa,
}

impl CertificateKind {
    /// The name as trust policies have it: `signingAuthority`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }
}

impl fmt::Display for TrustStoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates(kind) => write!(f, "certificates of type {}", kind.as_str()),
            Self::PublicKeys => f.write_str("public keys"),
        }
    }
}

/// When keys count, both ends included; without an end, for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// From when on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
}

impl TrustStoreMaterial {
    /// The material of `source`, hashed: public keys that count at any time.
    pub fn new(source: KeySource, bytes: Vec<u8>) -> Self {
        let hash = Digest::sha256(&bytes);
        Self { source, kind: TrustStoreKind::default(), bytes, hash, validity: Validity::default() }
    }

    /// The same, but it holds what `kind` says.
    #[must_use]
    pub fn of_kind(self, kind: TrustStoreKind) -> Self {
        Self { kind, ..self }
    }

    /// The same, with keys that count within `validity` alone.
    #[must_use]
    pub fn within(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }
}

impl fmt::Debug for TrustStoreMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {} {:?}", self.source, self.kind, self.hash, self.validity)
    }
}

impl TrustMaterial {
    /// What `source` holds, as far as that is of `kind`.
    pub fn store(&self, source: &KeySource, kind: TrustStoreKind) -> Option<&TrustStoreMaterial> {
        self.stores.iter().find(|store| store.source == *source && store.kind == kind)
    }
}

/// Why a verifier cannot be built: which field is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ConfigError {
    /// The field's path within the verifier: `cosign.keys[0].trustStore`.
    pub field: String,
    /// What is wrong and what would be right.
    pub reason: String,
}
