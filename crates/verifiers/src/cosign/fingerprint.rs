//! What tells two verifiers apart.

use assay_core::{CosignConfig, Digest, KeySource, Platforms, Validity};

use super::KIND;

/// Raised when the same configuration and keys come to verify otherwise.
const VERSION: &str = "2";

/// What a fingerprint hashes: parts with their lengths before them, and lists with their number, so
/// that no two configurations run together to the same bytes.
pub(super) struct Fingerprint(Vec<u8>);

impl Fingerprint {
    /// All of `config` but what its keys come to.
    pub(super) fn new(config: &CosignConfig) -> Self {
        let mut fingerprint = Self(Vec::new());
        fingerprint.add(KIND);
        fingerprint.add(VERSION);
        fingerprint.count(config.annotations.len());
        for (key, value) in &config.annotations {
            fingerprint.add(key);
            fingerprint.add(value);
        }
        let place = config.signature_repository.as_ref();
        fingerprint.add(&place.map(|place| place.repository.to_string()).unwrap_or_default());
        fingerprint.add(if place.is_some_and(|place| place.own_host_only) { "own" } else { "" });
        fingerprint.add(match config.platforms {
            Platforms::All => "all",
            Platforms::Index => "index",
        });
        fingerprint.count(config.keys.len());
        for key in &config.keys {
            fingerprint.add(match key.source {
                KeySource::ClusterTrustStore(_) => "cluster",
                KeySource::TrustStore(_) => "namespace",
            });
            fingerprint.add(key.source.name());
            fingerprint.add(key.hash_algorithm.map_or("", |hash| hash.as_str()));
        }
        fingerprint
    }

    /// The keys of the next store, by their names, and when they count.
    pub(super) fn add_store(&mut self, keys: &[String], validity: Validity) {
        self.count(keys.len());
        keys.iter().for_each(|key| self.add(key));
        for end in [validity.not_before, validity.not_after] {
            self.add(&end.map(|end| end.to_string()).unwrap_or_default());
        }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::sha256(&self.0)
    }

    fn add(&mut self, part: &str) {
        self.0.extend_from_slice(&part.len().to_be_bytes());
        self.0.extend_from_slice(part.as_bytes());
    }

    fn count(&mut self, parts: usize) {
        self.0.extend_from_slice(&parts.to_be_bytes());
    }
}
