//! Trust stores into the bytes that they hold. Parsing these is the verifiers'.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use assay_core::ports::VerifierFactory;
use assay_core::{
    CertificateStore, CosignConfig, KeyConfig, KeySource, TrustMaterial, TrustStoreKind,
    TrustStoreMaterial, Validity, VerifierConfig,
};
use assay_policy::Invalid;
use jiff::Timestamp;

use super::{Problem, build};
use crate::limits::{TIME_LENGTH_MAX, TRUST_STORE_BYTES_MAX};
use crate::resources::{KeyReference, PublicKeysSpec};
use crate::{Document, Origin, Sources, invalid};

/// Which trust store. As text `NAME` is a ClusterTrustStore and `NAMESPACE/NAME` a TrustStore, as in
/// `--trust-store NAMESPACE/NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreId {
    /// The namespace, for a TrustStore.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// All trust stores, read.
pub(super) struct TrustStores<'a> {
    stores: BTreeMap<StoreId, Store<'a>>,
}

struct Store<'a> {
    /// The document; none for a stand-in.
    origin: Option<&'a Origin>,
    content: Result<Content, Invalid>,
}

/// What a store holds, hashed once, and when it counts.
struct Content(TrustStoreMaterial);

impl StoreId {
    /// The store that `source` means in a policy of `namespace`, or of the cluster.
    pub(super) fn new(source: &KeySource, namespace: Option<&str>) -> Self {
        match source {
            KeySource::ClusterTrustStore(name) => Self { namespace: None, name: name.clone() },
            KeySource::TrustStore(name) => {
                Self { namespace: namespace.map(str::to_owned), name: name.clone() }
            }
        }
    }
}

impl<'a> TrustStores<'a> {
    /// The stores in `documents`, and what stands in for stores, which is the stronger.
    pub(super) fn new(
        documents: &'a [Document],
        stand_ins: &BTreeMap<StoreId, Vec<u8>>,
        sources: &dyn Sources,
    ) -> Self {
        let mut stores: BTreeMap<StoreId, Store<'a>> = BTreeMap::new();
        for (id, bytes) in stand_ins {
            let bytes = checked(bytes.clone(), "--trust-store");
            let content = bytes.map(|bytes| Content::new(id, bytes));
            stores.insert(id.clone(), Store { origin: None, content });
        }
        for document in documents {
            let Some(id) = document.store_id() else { continue };
            let content = match stores.get(&id) {
                None => read(&id, document, sources),
                Some(Store { origin: None, .. }) => continue,
                Some(Store { origin: Some(first), .. }) => {
                    let reason = format!("is given twice: {first}; {}", document.origin);
                    Err(invalid("metadata.name", reason))
                }
            };
            stores.insert(id, Store { origin: Some(&document.origin), content });
        }
        Self { stores }
    }

    /// What the store `id` holds, as that of `source`, or why that cannot be told. What stands in for
    /// a store is of the kind that is `wanted`; a document says itself which it is.
    pub(super) fn material(
        &self,
        id: &StoreId,
        source: KeySource,
        wanted: TrustStoreKind,
    ) -> Result<TrustStoreMaterial, String> {
        match self.stores.get(id) {
            Some(Store { content: Ok(content), origin: None }) => {
                Ok(content.material(source).of_kind(wanted))
            }
            Some(Store { content: Ok(content), .. }) if content.0.kind == wanted => {
                Ok(content.material(source))
            }
            Some(Store { content: Ok(content), .. }) => {
                Err(format!("{id} holds {}, and {wanted} are needed", content.0.kind))
            }
            Some(Store { content: Err(invalid), .. }) => Err(format!("{id}: {invalid}")),
            None => Err(format!("{id} does not exist")),
        }
    }

    /// When stores expire, where they do: by their window, or by the first of their certificates.
    pub(super) fn expiries(&self, factory: &dyn VerifierFactory) -> BTreeMap<String, Timestamp> {
        let expiry = |(id, store): (&StoreId, &Store<'_>)| {
            let material = &store.content.as_ref().ok()?.0;
            let of_certificates = || {
                // A panic is a defect, and stops nothing else: certificates are what tenants write.
                catch_unwind(AssertUnwindSafe(|| factory.expiry(material))).ok().flatten()
            };
            let expiry = material.validity.not_after.or_else(of_certificates)?;
            let namespace = id.namespace.iter().map(|namespace| format!("{namespace}/"));
            Some((namespace.chain([id.name.clone()]).collect(), expiry))
        };
        self.stores.iter().filter_map(expiry).collect()
    }

    /// The stores that cannot be read, or hold no key that a verifier takes; those that no policy
    /// names too.
    pub(super) fn problems(&self, factory: &dyn VerifierFactory) -> Vec<Problem> {
        let problem = |(id, store): (&StoreId, &Store<'_>)| {
            let origin = store.origin?.clone();
            let invalid = match &store.content {
                Err(invalid) => invalid.clone(),
                Ok(content) => content.unusable(factory)?,
            };
            Some(Problem { origin, object: id.to_string(), invalid })
        };
        self.stores.iter().filter_map(problem).collect()
    }
}

impl Content {
    fn new(id: &StoreId, bytes: Vec<u8>) -> Self {
        let source = KeySource::ClusterTrustStore(id.name.clone());
        Self(TrustStoreMaterial::new(source, bytes))
    }

    /// The keys as those of `source`, which is what a verifier calls the store.
    fn material(&self, source: KeySource) -> TrustStoreMaterial {
        TrustStoreMaterial { source, ..self.0.clone() }
    }

    /// Why no verifier could be built from the store alone; `None` where one can.
    fn unusable(&self, factory: &dyn VerifierFactory) -> Option<Invalid> {
        let source = self.0.source.clone();
        let (field, config) = match self.0.kind {
            TrustStoreKind::PublicKeys => {
                let keys = vec![KeyConfig { source, hash_algorithm: None }];
                let config = CosignConfig { keys, ..CosignConfig::default() };
                ("spec.publicKeys", VerifierConfig::Cosign(config))
            }
            TrustStoreKind::Certificates(kind) => {
                let stores = vec![CertificateStore { kind, source }];
                ("spec.certificates", VerifierConfig::Notation(super::notation::anyone(stores)))
            }
        };
        let material = TrustMaterial { stores: vec![self.0.clone()] };
        let error = build(factory, &config, &material).err()?;
        Some(invalid(field, error.reason))
    }
}

fn read(id: &StoreId, document: &Document, sources: &dyn Sources) -> Result<Content, Invalid> {
    let Some(spec) = document.material() else {
        return Err(invalid(
            "spec",
            "needs exactly one of publicKeys, certificates: a trust store without any trusts nobody",
        ));
    };
    let place = spec.field;
    let read = |field: &str, bytes: Result<Vec<u8>, String>| {
        let field = format!("{place}.{field}");
        checked(bytes.map_err(|reason| invalid(&field, reason))?, &field)
    };
    let bytes = match (spec.inline, spec.secret_ref, spec.config_map_ref, spec.file) {
        (Some(text), None, None, None) => read("inline", Ok(text.clone().into_bytes())),
        (None, Some(secret), None, None) => {
            let namespace = reference_namespace(id, secret)
                .map_err(|reason| invalid(format!("{place}.secretRef.namespace"), reason))?;
            read("secretRef", sources.secret(namespace, &secret.name, &secret.key))
        }
        (None, None, Some(map), None) => {
            let namespace = reference_namespace(id, map)
                .map_err(|reason| invalid(format!("{place}.configMapRef.namespace"), reason))?;
            read("configMapRef", sources.config_map(namespace, &map.name, &map.key))
        }
        (None, None, None, Some(file)) => read("file", sources.file(&document.origin, file)),
        _ => Err(invalid(place, "needs exactly one of inline, secretRef, configMapRef, file")),
    }?;
    let validity = document.public_keys().map(validity).transpose()?.unwrap_or_default();
    let Content(material) = Content::new(id, bytes);
    Ok(Content(material.of_kind(spec.kind).within(validity)))
}

/// When the keys of a store count.
fn validity(spec: &PublicKeysSpec) -> Result<Validity, Invalid> {
    let not_before = time("spec.publicKeys.notBefore", spec.not_before.as_deref())?;
    let not_after = time("spec.publicKeys.notAfter", spec.not_after.as_deref())?;
    match (not_before, not_after) {
        (Some(start), Some(end)) if end < start => {
            Err(invalid("spec.publicKeys.notAfter", "is before notBefore: the keys never count"))
        }
        _ => Ok(Validity { not_before, not_after }),
    }
}

/// A time as RFC 3339 writes it, which is less than the parser takes.
fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Invalid> {
    let parse = |text: &str| {
        let is_rfc3339 = text.len() <= TIME_LENGTH_MAX
            && text.get(10..11) == Some("T")
            && text.get(16..17) == Some(":")
            && !text.contains('[');
        text.parse().ok().filter(|_| is_rfc3339).ok_or_else(|| {
            invalid(field, "is no time as RFC 3339 has it: give, say, 2027-01-01T00:00:00Z")
        })
    };
    text.map(parse).transpose()
}

/// The namespace that a reference means. A namespaced store's never leaves its own.
fn reference_namespace<'a>(
    id: &'a StoreId,
    reference: &'a KeyReference,
) -> Result<&'a str, String> {
    match (&id.namespace, &reference.namespace) {
        (Some(own), None) => Ok(own),
        (None, Some(given)) => Ok(given),
        (Some(own), Some(_)) => Err(format!("must not be given: it is always '{own}'")),
        (None, None) => Err("is needed in a ClusterTrustStore".to_owned()),
    }
}

fn checked(bytes: Vec<u8>, field: &str) -> Result<Vec<u8>, Invalid> {
    if bytes.len() > TRUST_STORE_BYTES_MAX {
        return Err(invalid(field, format!("has more than {TRUST_STORE_BYTES_MAX} bytes")));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(invalid(field, "is empty"));
    }
    Ok(bytes)
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "TrustStore {namespace}/{}", self.name),
            None => write!(f, "ClusterTrustStore {}", self.name),
        }
    }
}

impl FromStr for StoreId {
    type Err = String;

    /// The store that `NAME` or `NAMESPACE/NAME` means.
    ///
    /// # Errors
    /// A part is empty, or there are more than two.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [name] if !name.is_empty() => Ok(Self { namespace: None, name: (*name).to_owned() }),
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: Some((*namespace).to_owned()), name: (*name).to_owned() })
            }
            _ => Err(format!(
                "'{text}' is no trust store: give NAME, or NAMESPACE/NAME for a TrustStore"
            )),
        }
    }
}
