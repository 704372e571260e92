//! What a signature is held against, and the annotations that its payload claims.

use std::collections::BTreeMap;
use std::fmt;

use assay_core::{Digest, ReasonCode};
use jiff::Timestamp;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::flaw::Flaw;
use super::keys::Keys;

/// What makes a signature good.
#[derive(Clone, Copy)]
pub(super) struct Criteria<'a> {
    /// What is to be signed.
    pub(super) subject: &'a Digest,
    /// Who may have signed.
    pub(super) keys: &'a Keys,
    /// When.
    pub(super) now: Timestamp,
    /// What the payload must say beside, by key.
    pub(super) annotations: &'a BTreeMap<String, String>,
}

/// Free values by key, none of which stands twice: of two, nobody could tell which was meant.
#[derive(Debug, Default)]
pub(super) struct Annotations(BTreeMap<String, Value>);

impl Criteria<'_> {
    /// Nothing, where `claimed` has every annotation that is asked for, with that very text.
    ///
    /// # Errors
    /// [`Flaw`] naming the first that it has not.
    pub(super) fn check_annotations(&self, claimed: Option<&Annotations>) -> Result<(), Flaw> {
        let claims = |key: &String, value: &String| {
            claimed.and_then(|claimed| claimed.0.get(key)).and_then(Value::as_str) == Some(value)
        };
        let Some((key, _)) = self.annotations.iter().find(|(key, value)| !claims(key, value))
        else {
            return Ok(());
        };
        Err(Flaw::because(
            ReasonCode::AnnotationMismatch,
            format!("the annotation '{key}' is not signed as the policy asks"),
        ))
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut annotations = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if annotations.insert(key, value).is_some() {
                return Err(A::Error::custom("a key that stands twice"));
            }
        }
        Ok(Annotations(annotations))
    }
}
