//! Trust policies: which statement speaks for an artifact, and what it demands of a signature.
//!
//! A document is parsed strictly and validated as a whole: what comes out can't be misread later, and
//! one bad field makes no policy at all rather than a weaker one.

mod blob;
mod error;
mod level;
mod oci;
mod scope;
mod statement;

pub use blob::{BlobStatement, BlobTrustPolicy};
pub use error::{NoApplicableTrustPolicy, PolicyDefect, TrustPolicyError};
pub use level::{ValidationAction, ValidationType, VerificationLevel};
pub use oci::{OciStatement, OciTrustPolicy};
pub use statement::{Overrides, SignatureVerification, Statement, VerifyTimestamp};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::json::Object;

/// Bytes of a trust policy document. Real ones have some kilobytes.
pub const TRUST_POLICY_BYTES_MAX: usize = 1024 * 1024;

/// The one version of documents of both kinds.
const VERSION: &str = "1.0";

/// A document of either kind as it is written, with statements of that kind.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[serde(bound(deserialize = "S: Default + Deserialize<'de>"))]
struct Source<S> {
    version: String,
    trust_policies: Vec<Object<S>>,
}

/// The document that `bytes` hold, which is not validated yet.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, TrustPolicyError> {
    if bytes.len() > TRUST_POLICY_BYTES_MAX {
        let defect = PolicyDefect::TooLarge { bytes: bytes.len() };
        return Err(TrustPolicyError::new("document", defect));
    }
    let document = serde_json::from_slice(bytes);
    document.map(|Object(document)| document).map_err(|error| {
        TrustPolicyError::new("document", PolicyDefect::Malformed { reason: error.to_string() })
    })
}

/// Checks what documents of both kinds have in common: the version, and statements with names that
/// differ.
fn check_document<'a>(
    version: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), TrustPolicyError> {
    if version != VERSION {
        let defect = PolicyDefect::Version { value: version.to_owned() };
        return Err(TrustPolicyError::new("version", defect));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        let field = || format!("trustPolicies[{index}].name");
        if name.trim().is_empty() {
            return Err(TrustPolicyError::new(field(), PolicyDefect::NoValue));
        }
        if !seen.insert(name) {
            let defect = PolicyDefect::Repeated { value: name.to_owned() };
            return Err(TrustPolicyError::new(field(), defect));
        }
    }
    match seen.is_empty() {
        true => Err(TrustPolicyError::new("trustPolicies", PolicyDefect::NoValue)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
