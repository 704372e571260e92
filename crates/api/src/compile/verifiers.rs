//! `spec.verifiers` into verifiers, each by itself: one that cannot be built closes the rules that
//! name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_core::ports::{Verifier, VerifierFactory};
use assay_core::{
    CosignConfig, KeyConfig, KeySource, Repository, SignatureRepository, TrustMaterial,
    TrustStoreKind, VerifierConfig,
};
use assay_policy::{Invalid, PolicyId};

use super::trust_stores::{StoreId, TrustStores};
use super::{PolicySpec, build, notation};
use crate::invalid;
use crate::limits::{ANNOTATION_LENGTH_MAX, ANNOTATIONS_MAX};
use crate::resources::{
    CosignSpec, KeySpec, TRANSPARENCY_LOG_LATER, TransparencyLog, VerifierSpec,
};

/// The verifiers of a policy, in its order. `registries` are the hosts of the configuration.
pub(super) fn compile(
    policy: &PolicySpec<'_>,
    stores: &TrustStores<'_>,
    registries: &BTreeSet<String>,
    factory: &dyn VerifierFactory,
) -> Vec<Result<Arc<dyn Verifier>, Invalid>> {
    let verifier = |(index, spec): (usize, &VerifierSpec)| {
        let (config, material) =
            lower(&policy.id, spec, stores, registries).map_err(|error| error.at(index))?;
        let built = build(factory, &config, &material);
        built.map_err(|error| VerifierError(error.field, error.reason).at(index))
    };
    policy.verifiers.iter().enumerate().map(verifier).collect()
}

/// A field within a verifier, and what is wrong with it.
pub(super) struct VerifierError(String, String);

impl VerifierError {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
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
    registries: &BTreeSet<String>,
) -> Result<(VerifierConfig, TrustMaterial), VerifierError> {
    match (&spec.cosign, &spec.notation) {
        (Some(cosign), None) => lower_cosign(policy, cosign, stores, registries),
        (None, Some(notation)) => {
            let (config, material) = notation::lower(policy, notation, stores)?;
            Ok((VerifierConfig::Notation(config), material))
        }
        _ => Err(VerifierError::new(
            "cosign",
            "needs exactly one of cosign, notation: a verifier has one type",
        )),
    }
}

fn lower_cosign(
    policy: &PolicyId,
    cosign: &CosignSpec,
    stores: &TrustStores<'_>,
    registries: &BTreeSet<String>,
) -> Result<(VerifierConfig, TrustMaterial), VerifierError> {
    if cosign.transparency_log != TransparencyLog::Ignored {
        return Err(VerifierError::new("cosign.transparencyLog", TRANSPARENCY_LOG_LATER));
    }
    check_texts("cosign.annotations", &cosign.annotations)?;
    let (keys, material) = keys(policy, &cosign.keys, stores)?;
    let place = cosign.signature_repository.as_deref();
    let config = CosignConfig {
        keys,
        annotations: cosign.annotations.clone(),
        signature_repository: place
            .map(|text| signature_repository(policy, text, registries))
            .transpose()?,
        platforms: cosign.platforms.into(),
    };
    Ok((VerifierConfig::Cosign(config), material))
}

/// The keys that `specs` name, with each store that holds them once.
fn keys(
    policy: &PolicyId,
    specs: &[KeySpec],
    stores: &TrustStores<'_>,
) -> Result<(Vec<KeyConfig>, TrustMaterial), VerifierError> {
    if specs.is_empty() {
        return Err(VerifierError::new("cosign.keys", "is empty: name at least one trust store"));
    }
    let mut keys: Vec<KeyConfig> = Vec::new();
    let mut material = TrustMaterial::default();
    for (index, spec) in specs.iter().enumerate() {
        let field = format!("cosign.keys[{index}]");
        let source = key_source(policy, &field, spec)?;
        let hash_algorithm = spec.hash_algorithm.map(Into::into);
        let key = KeyConfig { source, hash_algorithm };
        if keys.contains(&key) {
            return Err(VerifierError::new(field, "names a trust store twice"));
        }
        if material.store(&key.source, TrustStoreKind::PublicKeys).is_none() {
            let id = StoreId::new(&key.source, policy.namespace.as_deref());
            let read = stores.material(&id, key.source.clone(), TrustStoreKind::PublicKeys);
            material.stores.push(read.map_err(|reason| VerifierError::new(field, reason))?);
        }
        keys.push(key);
    }
    Ok((keys, material))
}

/// Refuses more, and longer, texts than a payload may be asked for in `field`.
pub(super) fn check_texts(
    field: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<(), VerifierError> {
    let wrong = |reason: String| Err(VerifierError::new(field, reason));
    if annotations.len() > ANNOTATIONS_MAX {
        return wrong(format!("has more than {ANNOTATIONS_MAX} entries"));
    }
    let is_long = |text: &String| text.chars().count() > ANNOTATION_LENGTH_MAX;
    if annotations.iter().any(|(key, value)| is_long(key) || is_long(value)) {
        return wrong(format!(
            "has a key or value of more than {ANNOTATION_LENGTH_MAX} characters"
        ));
    }
    // The key stands in messages.
    if annotations.keys().any(|key| key.is_empty() || key.contains(char::is_control)) {
        return wrong("has a key that is empty or has control characters".to_owned());
    }
    Ok(())
}

/// The repository that `text` names. What a tenant names is good for images of the same host alone,
/// unless the administrator knows the host.
fn signature_repository(
    policy: &PolicyId,
    text: &str,
    registries: &BTreeSet<String>,
) -> Result<SignatureRepository, VerifierError> {
    let repository = text.parse::<Repository>().map_err(|error| {
        VerifierError::new("cosign.signatureRepository", format!("{error}: give HOST/PATH"))
    })?;
    let own_host_only = policy.namespace.is_some() && !registries.contains(repository.host());
    Ok(SignatureRepository { repository, own_host_only })
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
