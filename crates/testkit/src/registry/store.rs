//! What a registry holds, and the JSON that it makes of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::{Value, json};

/// The media types that this kit writes by itself.
pub mod media_type {
    /// An OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI image configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// An image layer, an uncompressed tar archive.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// The configuration of an artifact that has none, `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
}

/// The digest of these bytes, `sha256:` and 64 hex digits.
pub fn sha256_digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A manifest as it was put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// What the registry says in `Content-Type`.
    pub media_type: String,
    /// The content, byte for byte.
    pub bytes: Bytes,
}

impl StoredManifest {
    /// The content as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Store(BTreeMap<String, Repository>);

#[derive(Debug, Default)]
struct Repository {
    blobs: BTreeMap<String, Bytes>,
    manifests: BTreeMap<String, StoredManifest>,
    tags: BTreeMap<String, String>,
}

impl Store {
    pub(super) fn push_blob(&mut self, repository: &str, bytes: Bytes) -> String {
        let digest = sha256_digest(&bytes);
        self.0.entry(repository.to_owned()).or_default().blobs.insert(digest.clone(), bytes);
        digest
    }

    pub(super) fn push_manifest(
        &mut self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> String {
        let digest = sha256_digest(&bytes);
        let manifest = StoredManifest { media_type: media_type.to_owned(), bytes };
        let repository = self.0.entry(repository.to_owned()).or_default();
        repository.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Bytes> {
        self.0.get(repository)?.blobs.get(digest)
    }

    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<&StoredManifest> {
        let repository = self.0.get(repository)?;
        let digest = repository.tags.get(reference).map_or(reference, String::as_str);
        repository.manifests.get(digest)
    }

    /// The descriptors of all manifests whose `subject` is `digest`, ordered by their own digests.
    pub(super) fn referrers(&self, repository: &str, digest: &str) -> Vec<Value> {
        let manifests = self.0.get(repository).into_iter().flat_map(|found| &found.manifests);
        manifests
            .map(|(own, stored)| (own, stored, stored.json()))
            .filter(|(_, _, manifest)| manifest["subject"]["digest"] == digest)
            .map(|(own, stored, manifest)| {
                let mut entry = descriptor(&stored.media_type, own, stored.bytes.len());
                entry["artifactType"] = artifact_type(&manifest);
                if manifest["annotations"].is_object() {
                    entry["annotations"] = manifest["annotations"].clone();
                }
                entry
            })
            .collect()
    }
}

/// A descriptor of content with this media type, digest and size in bytes.
pub(super) fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// A manifest's artifact type, which is its configuration's media type where it names none.
pub(super) fn artifact_type(manifest: &Value) -> Value {
    match &manifest["artifactType"] {
        Value::Null => manifest["config"]["mediaType"].clone(),
        own => own.clone(),
    }
}

/// The tag that stands in for the referrers API, `sha256-<hex>` (distribution specification,
/// "Referrers Tag Schema").
pub fn fallback_tag(digest: &str) -> String {
    digest.replacen(':', "-", 1)
}

/// An image index over these descriptors.
pub(super) fn index(manifests: Vec<Value>) -> String {
    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests}).to_string()
}
