//! What points at content, and what evidence is about.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Access, Digest, Repository};

/// A content descriptor of the OCI image specification. All of it is a hint of whoever wrote it,
/// until content was read by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// The type of the artifact, where the content is a manifest of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free text by key.
    #[serde(default, deserialize_with = "annotations", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Annotations, each key once: of two values, every reader would take the one that it likes.
#[derive(Default)]
pub(crate) struct Annotations(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOnce;
        impl<'de> Visitor<'de> for EachOnce {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut annotations = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    if annotations.insert(key, value).is_some() {
                        return Err(A::Error::custom("an annotation stands twice"));
                    }
                }
                Ok(annotations)
            }
        }
        deserializer.deserialize_map(EachOnce).map(Self)
    }
}

fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Annotations::deserialize(deserializer).map(|annotations| annotations.0)
}

/// What evidence is about: a resolved manifest or index, where it is, and how it is read.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Where it is.
    pub repository: Repository,
    /// What it is; its digest is the one that every check, cache key and message speaks of.
    pub descriptor: Descriptor,
    /// How it, and evidence about it, is read.
    pub access: Access,
}

impl Subject {
    /// The digest that evidence must name.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// The reference by digest, as messages and reports show it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.descriptor.digest)
    }
}
