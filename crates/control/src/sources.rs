//! Where the bytes of trust stores come from: documents in files, and what is watched in the cluster.

use std::path::Path;

use assay_api::{Body, Document, GivenSources, MaterialKind, MaterialReference, Origin, Sources};

use crate::control::Files;
use crate::materials::Materials;

/// Secrets and ConfigMaps from documents, then from the cluster; files for documents in files alone.
pub(crate) struct ClusterSources<'a> {
    pub(crate) materials: &'a Materials,
    /// The documents that are in files.
    pub(crate) given: &'a [Document],
    pub(crate) files: &'a dyn Files,
}

impl ClusterSources<'_> {
    /// Whether the Secret or ConfigMap is among the documents in files.
    pub(crate) fn gives(&self, reference: &MaterialReference) -> bool {
        self.given.iter().any(|document| match (&document.body, reference.kind) {
            (Ok(Body::Secret(data)), MaterialKind::Secret)
            | (Ok(Body::ConfigMap(data)), MaterialKind::ConfigMap) => {
                data.namespace == reference.namespace && data.name == reference.name
            }
            _ => false,
        })
    }

    /// What the entry holds.
    pub(crate) fn bytes(&self, reference: &MaterialReference) -> Result<Vec<u8>, String> {
        if !self.gives(reference) {
            return self.materials.bytes(reference).map_err(|unresolved| unresolved.message);
        }
        let MaterialReference { kind, namespace, name, key } = reference;
        let read = |path: &Path| self.files.read(path);
        let given = GivenSources { documents: self.given, read: &read };
        match kind {
            MaterialKind::ConfigMap => given.config_map(namespace, name, key),
            MaterialKind::Secret => given.secret(namespace, name, key),
        }
    }

    fn entry(&self, kind: MaterialKind, names: [&str; 3]) -> Result<Vec<u8>, String> {
        let [namespace, name, key] = names.map(str::to_owned);
        self.bytes(&MaterialReference { kind, namespace, name, key })
    }
}

impl Sources for ClusterSources<'_> {
    fn file(&self, origin: &Origin, file: &Path) -> Result<Vec<u8>, String> {
        let read = |path: &Path| self.files.read(path);
        GivenSources { documents: &[], read: &read }.file(origin, file)
    }

    fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        self.entry(MaterialKind::Secret, [namespace, name, key])
    }

    fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        self.entry(MaterialKind::ConfigMap, [namespace, name, key])
    }
}
