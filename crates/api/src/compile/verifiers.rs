//! `spec.verifiers` into verifiers, each by itself: one that cannot be built closes the rules that
//! name it.

use std::sync::Arc;

use assay_core::ports::{Verifier, VerifierFactory};
use assay_core::{CosignConfig, KeySource, TrustMaterial, TrustStoreMaterial, VerifierConfig};
use assay_policy::{Invalid, PolicyId};

use super::PolicySpec;
use super::trust_stores::{StoreId, TrustStores};
use crate::invalid;
use crate::resources::{CosignSpec, KeySpec, VerifierSpec};

/// The verifiers of a policy, in its order.
pub(super) fn compile(
    policy: &PolicySpec<'_>,
    stores: &TrustStores<'_>,
    factory: &dyn VerifierFactory,
) -> Vec<Result<Arc<dyn Verifier>, Invalid>> {
    let build = |(index, spec): (usize, &VerifierSpec)| {
        let (config, material) =
            lower(&policy.id, spec, stores).map_err(|error| error.at(index))?;
        let built = factory.build(&config, &material);
        built.map_err(|error| VerifierError(error.field, error.reason).at(index))
    };
    policy.verifiers.iter().enumerate().map(build).collect()
}

/// A field within a verifier, and what is wrong with it.
struct VerifierError(String, String);

impl VerifierError {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self(field.into(), reason.into())
    }

    fn at(self, index: usize) -> Invalid {
        invalid(format!("spec.verifiers[{index}].{}", self.0), self.1)
    }
}

fn lower(
    policy: &PolicyId,
    spec: &VerifierSpec,
    stores: &TrustStores<'_>,
) -> Result<(VerifierConfig, TrustMaterial), VerifierError> {
    let Some(CosignSpec { keys }) = &spec.cosign else {
        return Err(VerifierError::new(
            "cosign",
            "is needed: a verifier without a type verifies nothing",
        ));
    };
    if keys.is_empty() {
        return Err(VerifierError::new("cosign.keys", "is empty: name at least one trust store"));
    }
    let mut sources: Vec<KeySource> = Vec::new();
    let mut material = TrustMaterial::default();
    for (index, key) in keys.iter().enumerate() {
        let field = format!("cosign.keys[{index}]");
        let source = key_source(policy, &field, key)?;
        if sources.contains(&source) {
            return Err(VerifierError::new(field, "names a trust store twice"));
        }
        let bytes = stores.bytes(&StoreId::new(&source, policy.namespace.as_deref()));
        let bytes = bytes.map_err(|reason| VerifierError::new(field, reason))?;
        material.stores.push(TrustStoreMaterial::new(source.clone(), bytes.to_vec()));
        sources.push(source);
    }
    Ok((VerifierConfig::Cosign(CosignConfig { keys: sources }), material))
}

/// Which store a key names. A cluster policy's are the cluster's; a namespaced policy's are its
/// namespace's, unless it says otherwise. Neither ever stands in for the other.
fn key_source(policy: &PolicyId, field: &str, key: &KeySpec) -> Result<KeySource, VerifierError> {
    let namespaced = policy.namespace.is_some();
    match (&key.trust_store, &key.cluster_trust_store) {
        (Some(name), None) if namespaced => Ok(KeySource::TrustStore(name.clone())),
        (Some(name), None) => Ok(KeySource::ClusterTrustStore(name.clone())),
        (None, Some(name)) if namespaced => Ok(KeySource::ClusterTrustStore(name.clone())),
        (None, Some(_)) => Err(VerifierError::new(
            format!("{field}.clusterTrustStore"),
            "is for an ImageAdmissionPolicy; here trustStore names a ClusterTrustStore",
        )),
        _ => Err(VerifierError::new(field, "needs exactly one of trustStore, clusterTrustStore")),
    }
}
