//! What documents refer to, so that whoever keeps it at hand knows what to keep. `compile` asks its
//! [`Sources`](crate::Sources) for nothing else.

use crate::compile::{StoreId, notation_stores};
use crate::resources::{
    CosignSpec, KeyReference, KeySpec, MaterialSpec, PublicKeysSpec, VerifierSpec,
};
use crate::{Body, Document};

/// An entry of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaterialReference {
    /// Of which kind.
    pub kind: MaterialKind,
    /// The namespace of the Secret or ConfigMap.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key within its data.
    pub key: String,
}

/// Where a trust store's bytes may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaterialKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// A trust store that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreReference {
    /// The verifier that names it, by its place in `spec.verifiers`.
    pub verifier: usize,
    /// The store.
    pub store: StoreId,
}

impl MaterialKind {
    /// The kind, as manifests have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl Document {
    /// The trust store that the document is; `None` for anything else.
    pub fn store_id(&self) -> Option<StoreId> {
        let metadata = match &self.body {
            Ok(Body::ClusterTrustStore(store)) => &store.metadata,
            Ok(Body::TrustStore(store)) => &store.metadata,
            _ => return None,
        };
        let name = metadata.name.clone().unwrap_or_default();
        Some(StoreId { namespace: metadata.namespace.clone(), name })
    }

    /// The entry that the trust store in the document rests on; `None` where it rests on none, or on
    /// one that it may not name.
    pub fn material_reference(&self) -> Option<MaterialReference> {
        let own = self.store_id()?.namespace;
        let material = self.material()?;
        let (kind, reference) = match (material.secret_ref, material.config_map_ref) {
            (Some(secret), None) => (MaterialKind::Secret, secret),
            (None, Some(map)) => (MaterialKind::ConfigMap, map),
            _ => return None,
        };
        let KeyReference { namespace, name, key } = reference.clone();
        let namespace = match (own, namespace) {
            (Some(own), None) => own,
            (None, Some(given)) => given,
            _ => return None,
        };
        Some(MaterialReference { kind, namespace, name, key })
    }

    /// The public keys of the trust store in the document.
    pub(crate) fn public_keys(&self) -> Option<&PublicKeysSpec> {
        match &self.body {
            Ok(Body::ClusterTrustStore(store)) => store.spec.public_keys.as_ref(),
            Ok(Body::TrustStore(store)) => store.spec.public_keys.as_ref(),
            _ => None,
        }
    }

    /// What stands in the trust store in the document itself.
    pub fn inline_material(&self) -> Option<&str> {
        self.material()?.inline.map(String::as_str)
    }

    /// What the trust store in the document holds; `None` where it does not say one thing.
    pub(crate) fn material(&self) -> Option<MaterialSpec<'_>> {
        let (public_keys, certificates) = match &self.body {
            Ok(Body::ClusterTrustStore(store)) => {
                (&store.spec.public_keys, &store.spec.certificates)
            }
            Ok(Body::TrustStore(store)) => (&store.spec.public_keys, &store.spec.certificates),
            _ => return None,
        };
        MaterialSpec::new(public_keys.as_ref(), certificates.as_ref())
    }

    /// The trust stores that the policy in the document names, once for each verifier that does.
    pub fn store_references(&self) -> Vec<StoreReference> {
        let (namespace, verifiers) = match &self.body {
            Ok(Body::ClusterImageAdmissionPolicy(policy)) => (None, &policy.spec.verifiers),
            Ok(Body::ImageAdmissionPolicy(policy)) => {
                (policy.metadata.namespace.as_ref(), &policy.spec.verifiers)
            }
            _ => return Vec::new(),
        };
        let of_verifier = |(verifier, spec): (usize, &VerifierSpec)| {
            let keys = spec.cosign.iter().flat_map(|CosignSpec { keys, .. }| keys);
            let stores = keys.filter_map(|key| store(key, namespace));
            let namespace = namespace.map(String::as_str);
            let notation = spec.notation.iter().flat_map(|spec| notation_stores(spec, namespace));
            let stores = stores.chain(notation.map(|(id, _)| id));
            stores.map(|store| StoreReference { verifier, store }).collect::<Vec<_>>()
        };
        verifiers.iter().enumerate().flat_map(of_verifier).collect()
    }
}

/// The store that `key` names in a policy of `namespace`, or of the cluster.
fn store(key: &KeySpec, namespace: Option<&String>) -> Option<StoreId> {
    let (namespace, name) = match (&key.trust_store, &key.cluster_trust_store) {
        (Some(name), None) => (namespace.cloned(), name),
        (None, Some(name)) => (None, name),
        _ => return None,
    };
    Some(StoreId { namespace, name: name.clone() })
}
