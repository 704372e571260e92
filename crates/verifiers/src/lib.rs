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

use assay_core::ports::{Verifier, VerifierFactory};
use assay_core::{ConfigError, TrustMaterial, TrustStoreMaterial, VerifierConfig};
use jiff::Timestamp;

/// The factory of every verifier that Assay has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Factory;

impl VerifierFactory for Factory {
    fn build(
        &self,
        config: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError> {
        match config {
            VerifierConfig::Cosign(config) => Ok(Arc::new(cosign::Cosign::new(config, material)?)),
            VerifierConfig::Notation(config) => {
                Ok(Arc::new(notation::Notation::new(config, material)?))
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
