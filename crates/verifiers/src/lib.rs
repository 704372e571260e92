//! One module per kind of evidence, each behind core's [`Verifier`] port, and the [`Factory`] that
//! builds them.
//!
//! Architecture invariant: a verifier is async only where it asks its `Context`; every check below
//! that is synchronous, over bytes. Everything that comes from a registry is hostile.

#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic
    )
)]

mod cosign;
mod notation;

use std::sync::Arc;

use assay_core::ports::{Clock, Fetch, Verifier, VerifierFactory};
use assay_core::{
    ConfigError, KeySource, NotationConfig, TrustMaterial, TrustStoreMaterial, VerifierConfig,
};
use jiff::Timestamp;
use notation::{
    CACHE_BYTES_MAX, CRLS_AT_ONCE_MAX, EvidenceCache, TENANTS_CACHE_BYTES_MAX,
    TENANTS_CRLS_AT_ONCE_MAX,
};

/// The factory of every verifier that Assay has. What it builds, and what its clones build, has
/// revocation data in common: a process has one factory, so that the data outlives its policies.
#[derive(Clone, Debug)]
pub struct Factory {
    evidence: Arc<EvidenceCache>,
    /// What trust stores of namespaces lead to: their owners crowd out one another's at most.
    tenants_evidence: Arc<EvidenceCache>,
}

impl Default for Factory {
    fn default() -> Self {
        let evidence = EvidenceCache::new(CACHE_BYTES_MAX, CRLS_AT_ONCE_MAX);
        let tenants = EvidenceCache::new(TENANTS_CACHE_BYTES_MAX, TENANTS_CRLS_AT_ONCE_MAX);
        Self { evidence: Arc::new(evidence), tenants_evidence: Arc::new(tenants) }
    }
}

/// A CRL that ends soon, and could not be fetched anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleCrl {
    /// The host that it is to be had from.
    pub host: String,
    /// Why not, in words of our own.
    pub error: String,
    /// The last moment at which it counts.
    pub ends: Timestamp,
}

impl Factory {
    /// The CRLs that could not be fetched anew, of those that verifiers have used and that end within
    /// ten minutes. One round of it, for a task beside the verifications: whoever comes near the end
    /// of a CRL then waits for nothing.
    pub async fn refresh_crls(&self, fetch: &dyn Fetch, clock: &dyn Clock) -> Vec<StaleCrl> {
        let mut stale = self.evidence.refresh(fetch, clock).await;
        stale.extend(self.tenants_evidence.refresh(fetch, clock).await);
        stale
    }

    /// Where a verifier of `config` shares revocation data.
    fn evidence_for(&self, config: &NotationConfig) -> Arc<EvidenceCache> {
        let is_tenants = config.stores.iter().any(|store| match store.source {
            KeySource::ClusterTrustStore(_) => false,
            KeySource::TrustStore(_) => true,
        });
        Arc::clone(if is_tenants { &self.tenants_evidence } else { &self.evidence })
    }
}

impl VerifierFactory for Factory {
    fn build(
        &self,
        config: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError> {
        match config {
            VerifierConfig::Cosign(config) => Ok(Arc::new(cosign::Cosign::new(config, material)?)),
            VerifierConfig::Notation(config) => {
                let evidence = self.evidence_for(config);
                Ok(Arc::new(notation::Notation::new(config, material, evidence)?))
            }
            // Core's enum may grow; what is not known here never becomes a verifier that accepts.
            _ => Err(ConfigError {
                field: "verifiers".to_owned(),
                reason: "no verifier of this kind is built in".to_owned(),
            }),
        }
    }

    fn expiry(&self, store: &TrustStoreMaterial) -> Option<Timestamp> {
        notation::expiry(store)
    }
}
