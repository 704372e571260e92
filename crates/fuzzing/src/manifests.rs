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
    r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"application/x","blobs":[{"mediaType":"application/y","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}]}"#,
];

/// What parses as an image has a configuration and no list of manifests, what parses as an index has
/// neither configuration nor layers; each has the media type of its kind or none; what parses as an
/// artifact has that media type and none of these; and descriptors survive being written and read.
pub fn manifest(data: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(data) else { return false };
    let has = |member| at(data, &[member]).is_some();
    let says = |kinds: [&str; 2]| {
        string_at(data, &["mediaType"])
            .is_none_or(|kind| kinds.iter().any(|end| kind.ends_with(end)))
    };
    let descriptors = match manifest {
        Manifest::Artifact { blobs, subject, .. } => {
            let kind = string_at(data, &["mediaType"]);
            assert!(kind.is_some_and(|kind| kind.ends_with("artifact.manifest.v1+json")));
            assert!(!["schemaVersion", "config", "layers", "manifests"].into_iter().any(has));
            blobs.into_iter().chain(subject).collect()
        }
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
