//! Where the bytes of trust stores come from, so that `compile` itself does no I/O.

use std::path::Path;

use crate::{Body, Document, KeyedData, Origin};

/// Reads what trust stores refer to. Each error says what is wrong, for whoever wrote the store.
pub trait Sources {
    /// What `file` holds, relative to the document at `origin` that names it; of more than
    /// [`TRUST_STORE_BYTES_MAX`](crate::limits::TRUST_STORE_BYTES_MAX) bytes, at least one more.
    ///
    /// # Errors
    /// It cannot be read, or there are no files here.
    fn file(&self, origin: &Origin, file: &Path) -> Result<Vec<u8>, String>;

    /// The entry `key` of the Secret `name` in `namespace`.
    ///
    /// # Errors
    /// There is no such Secret or entry.
    fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String>;

    /// The entry `key` of the ConfigMap `name` in `namespace`.
    ///
    /// # Errors
    /// There is no such ConfigMap or entry.
    fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String>;
}

/// Secrets and ConfigMaps from documents, and files through a function: where there is no cluster.
pub struct GivenSources<'a> {
    /// The documents.
    pub documents: &'a [Document],
    /// Reads the file at a path, at most
    /// [`TRUST_STORE_BYTES_MAX`](crate::limits::TRUST_STORE_BYTES_MAX) bytes and one.
    pub read: &'a dyn Fn(&Path) -> Result<Vec<u8>, String>,
}

impl Sources for GivenSources<'_> {
    fn file(&self, origin: &Origin, file: &Path) -> Result<Vec<u8>, String> {
        match origin {
            // Whoever may write a store must not read the files of the process that reads it.
            Origin::Cluster { .. } => Err("only documents that are files name files".to_owned()),
            Origin::File { file: own, .. } => {
                (self.read)(&own.parent().unwrap_or(Path::new("")).join(file))
            }
        }
    }

    fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        let secrets = self.documents.iter().filter_map(|document| match &document.body {
            Ok(Body::Secret(secret)) => Some(secret),
            _ => None,
        });
        entry("Secret", secrets, namespace, name, key)
    }

    fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        let config_maps = self.documents.iter().filter_map(|document| match &document.body {
            Ok(Body::ConfigMap(config_map)) => Some(config_map),
            _ => None,
        });
        entry("ConfigMap", config_maps, namespace, name, key)
    }
}

/// The entry `key` of the one object with this name: of two, nobody could tell which is meant.
fn entry<'a>(
    kind: &str,
    objects: impl Iterator<Item = &'a KeyedData>,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Vec<u8>, String> {
    let mut found = objects.filter(|object| object.namespace == namespace && object.name == name);
    let Some(object) = found.next() else {
        return Err(format!(
            "{kind} '{name}' of namespace '{namespace}' is not among the documents given: add it, or give the store with --trust-store"
        ));
    };
    if found.next().is_some() {
        return Err(format!("{kind} '{name}' of namespace '{namespace}' is given twice"));
    }
    let data = object.data.get(key).cloned();
    data.ok_or_else(|| format!("{kind} '{name}' of namespace '{namespace}' has no key '{key}'"))
}
