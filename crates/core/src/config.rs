//! What a verifier is built from: its configuration, and the trust material that it names.

use std::fmt;

use crate::Digest;

/// A verifier's configuration, typed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierConfig {
    /// Cosign and Sigstore signatures.
    Cosign(CosignConfig),
}

/// The configuration of a `cosign` verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignConfig {
    /// The keys, any of which may have signed. Never empty in a verifier that was built.
    pub keys: Vec<KeySource>,
}

/// Where a verifier's public keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// A trust store of the cluster.
    ClusterTrustStore(String),
    /// A trust store of the policy's own namespace.
    TrustStore(String),
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
    /// PEM, one or more public keys.
    pub bytes: Vec<u8>,
    /// The digest of the bytes.
    pub hash: Digest,
}

impl TrustStoreMaterial {
    /// The material of `source`, hashed.
    pub fn new(source: KeySource, bytes: Vec<u8>) -> Self {
        let hash = Digest::sha256(&bytes);
        Self { source, bytes, hash }
    }
}

impl fmt::Debug for TrustStoreMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.source, self.hash)
    }
}

impl TrustMaterial {
    /// What `source` holds.
    pub fn store(&self, source: &KeySource) -> Option<&TrustStoreMaterial> {
        self.stores.iter().find(|store| store.source == *source)
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
