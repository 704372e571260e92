//! What of an index is to be signed beside itself.

use std::collections::BTreeSet;

use assay_core::{Descriptor, Manifest, ReasonCode, media_type};
use serde::Deserialize;

use super::flaw::Flaw;

/// Manifests of an index that are looked at: each costs the search for its signatures. Docker's
/// official images have at most a dozen.
const MANIFESTS_MAX: usize = 32;

/// The per-platform manifests of the index in `bytes`, each once; none where it is no index.
///
/// Left out are BuildKit's attestation manifests, which are for no platform and say so twice: no
/// node runs them.
///
/// # Errors
/// [`Flaw`]: no manifest at all, an index within the index, or more than [`MANIFESTS_MAX`].
pub(super) fn manifests(bytes: &[u8]) -> Result<Vec<Descriptor>, Flaw> {
    let manifests = match Manifest::parse(bytes) {
        Ok(Manifest::Index { manifests }) => manifests,
        Ok(Manifest::Image { .. }) => return Ok(Vec::new()),
        _ => return Err(NO_MANIFEST),
    };
    let index: Index = serde_json::from_slice(bytes).map_err(|_| NO_MANIFEST)?;
    let mut seen = BTreeSet::new();
    let entries = manifests.into_iter().zip(index.manifests.unwrap_or_default());
    let runnable = entries.filter(|(manifest, entry)| !entry.is_attestation(manifest));
    let manifests: Vec<Descriptor> = runnable
        .map(|(manifest, _)| manifest)
        .filter(|manifest| seen.insert(manifest.digest.clone()))
        .collect();
    if manifests.iter().any(is_index) {
        return Err(Flaw::invalid("the index holds an index"));
    }
    if manifests.len() > MANIFESTS_MAX {
        return Err(TOO_MANY);
    }
    Ok(manifests)
}

/// The part of an index that core does not read.
#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

impl Entry {
    fn is_attestation(&self, manifest: &Descriptor) -> bool {
        let is_unknown = |name: &Option<String>| name.as_deref() == Some("unknown");
        let platform = self.platform.as_ref();
        platform.is_some_and(|it| is_unknown(&it.os) && is_unknown(&it.architecture))
            && manifest.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == ATTESTATION)
    }
}

fn is_index(manifest: &Descriptor) -> bool {
    [media_type::OCI_INDEX, media_type::DOCKER_INDEX].contains(&manifest.media_type.as_str())
}

/// How BuildKit marks what is no image (docs/attestations/attestation-storage.md in its repository).
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const ATTESTATION: &str = "attestation-manifest";

const NO_MANIFEST: Flaw = Flaw::invalid("the image is neither manifest nor index");
const TOO_MANY: Flaw = Flaw::rejected(
    ReasonCode::TooManyCandidates,
    "the index has more manifests than are looked at",
);
