//! Manifests and indexes, which any registry may have written.

use assay_core::{Descriptor, Manifest};

use crate::json::{at, string_at};

/// Manifests, artifacts' too, and indexes.
pub const MANIFESTS: &[&str] = &[
    include_str!("../../verifiers/tests/data/cosign-3.1.3/image.json"),
    include_str!("../../verifiers/tests/data/cosign-3.1.3/p256/tag-manifest.json"),
    include_str!("../../verifiers/tests/data/cosign-3.1.3/p256/referrer-manifest.json"),
    include_str!("../../verifiers/tests/data/cosign-3.1.3/p256/referrers.json"),
    r#"{"schemaVersion":2,"manifests":null,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}"#,
];

/// What parses as an image has a configuration and no list of manifests, what parses as an index has
/// neither configuration nor layers; each has the media type of its kind or none; and descriptors
/// survive being written and read.
pub fn manifest(data: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(data) else { return false };
    let has = |member| at(data, &[member]).is_some();
    let says = |kinds: [&str; 2]| {
        string_at(data, &["mediaType"])
            .is_none_or(|kind| kinds.iter().any(|end| kind.ends_with(end)))
    };
    let descriptors = match manifest {
        Manifest::Image { layers, subject, .. } => {
            assert!(
                has("config")
                    && !has("manifests")
                    && says(["image.manifest.v1+json", "manifest.v2+json"])
            );
            layers.into_iter().chain(subject).collect()
        }
        Manifest::Index { manifests } => {
            assert!(
                !has("config")
                    && !has("layers")
                    && says(["image.index.v1+json", "manifest.list.v2+json"])
            );
            manifests
        }
        _ => Vec::new(),
    };
    for descriptor in descriptors {
        let written = serde_json::to_vec(&descriptor).expect("a descriptor is JSON");
        assert_eq!(serde_json::from_slice::<Descriptor>(&written).ok(), Some(descriptor));
    }
    true
}
