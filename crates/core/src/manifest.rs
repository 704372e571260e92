//! Manifests: image manifests, artifact manifests and indexes, told apart by what they are and not
//! only by what they call themselves.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Descriptor;
use crate::descriptor::Annotations;

/// Bytes of a manifest or index: the distribution specification asks registries to take at least
/// this many, and none takes more.
pub const MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How deep a manifest may be nested, in levels; those of images have five.
const DEPTH_MAX: usize = 128;

/// Media types of manifests.
pub mod media_type {
    /// An artifact manifest of the drafts of OCI image 1.1, which left it out; old signatures have one.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// An OCI image or artifact manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

    /// The manifests that Assay reads, as an `Accept` header names them.
    pub const ALL: [&str; 5] =
        [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, OCI_ARTIFACT];
}

/// A parsed manifest or index (OCI image specification, "Image Manifest" and "Image Index").
///
/// Parsing checks the shape against the media type. It does not check any digest, size or subject:
/// that is for whoever knows what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manifest {
    /// An artifact manifest ([`media_type::OCI_ARTIFACT`]).
    Artifact {
        /// What kind of artifact it is.
        artifact_type: String,
        /// Its content, in order.
        blobs: Vec<Descriptor>,
        /// What it is about.
        subject: Option<Descriptor>,
    },
    /// A manifest of one image or artifact.
    Image {
        /// What kind of artifact it is: `artifactType`, else the config's media type.
        artifact_type: String,
        /// The media type of its config.
        config_media_type: String,
        /// The layers, in order.
        layers: Vec<Descriptor>,
        /// What it is about.
        subject: Option<Descriptor>,
        /// Free text by key.
        annotations: BTreeMap<String, String>,
    },
    /// An index of manifests.
    Index {
        /// The manifests, in order.
        manifests: Vec<Descriptor>,
    },
}

/// Why bytes are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is nested too deep.
    #[error("a manifest of more than {DEPTH_MAX} levels")]
    Depth,
    /// Not the JSON of a manifest. Holds where, never what: the bytes are the registry's.
    #[error("not a manifest: malformed at line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The media type is none that Assay reads.
    #[error("a manifest of an unknown media type")]
    MediaType,
    /// The media type says one thing, the fields another.
    #[error("a manifest whose fields belie its media type")]
    Shape,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: Option<u8>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    blobs: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Annotations>,
}

impl Manifest {
    /// The manifest in `bytes`.
    ///
    /// # Errors
    /// [`ManifestError`], by what is wrong; a field or annotation that stands twice is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if depth(bytes) > DEPTH_MAX {
            return Err(ManifestError::Depth);
        }
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::Json { line: error.line(), column: error.column() })?;
        if wire.media_type.as_deref() == Some(media_type::OCI_ARTIFACT) {
            return wire.artifact().ok_or(ManifestError::Shape);
        }
        if wire.schema_version != Some(2) {
            return Err(ManifestError::MediaType);
        }
        match (wire.is_index()?, wire.config, wire.layers, wire.manifests) {
            (true, None, None, manifests) => {
                Ok(Self::Index { manifests: manifests.unwrap_or_default() })
            }
            (false, Some(config), layers, None) => Ok(Self::Image {
                artifact_type: wire.artifact_type.unwrap_or_else(|| config.media_type.clone()),
                config_media_type: config.media_type,
                layers: layers.unwrap_or_default(),
                subject: wire.subject,
                annotations: wire.annotations.unwrap_or_default().0,
            }),
            _ => Err(ManifestError::Shape),
        }
    }
}

impl Wire {
    /// The artifact manifest that it says it is, if it has nothing of another kind.
    fn artifact(self) -> Option<Manifest> {
        match (self.schema_version, self.config, self.layers, self.manifests) {
            (None, None, None, None) => Some(Manifest::Artifact {
                artifact_type: self.artifact_type?,
                blobs: self.blobs.unwrap_or_default(),
                subject: self.subject,
            }),
            _ => None,
        }
    }

    /// Whether it says that it is an index; where it says nothing, whether it looks like one.
    fn is_index(&self) -> Result<bool, ManifestError> {
        match self.media_type.as_deref() {
            None => Ok(self.manifests.is_some()),
            Some(media_type::OCI_INDEX | media_type::DOCKER_INDEX) => Ok(true),
            Some(media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) => Ok(false),
            Some(_) => Err(ManifestError::MediaType),
        }
    }
}

/// How deep JSON is nested, fields that nobody reads included, which serde_json does not bound.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth = depth.saturating_add(1),
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn descriptor() -> String {
        format!(r#"{{"mediaType":"application/x","digest":"{}","size":2}}"#, Digest::sha256(b"{}"))
    }

    #[track_caller]
    fn check(name: &str, fields: &str, expect: Result<&str, ManifestError>) {
        let fields = fields.replace("D", &descriptor()).replace("OCI", "application/vnd.oci.image");
        let parsed = Manifest::parse(format!("{{{fields}}}").as_bytes());
        let found = parsed.map(|manifest| match manifest {
            Manifest::Artifact { .. } => "artifact",
            Manifest::Image { .. } => "image",
            Manifest::Index { .. } => "index",
        });
        assert_eq!(found, expect, "{name}");
    }

    #[test]
    fn tells_manifests_apart_by_type_and_shape() {
        use ManifestError::{MediaType, Shape};
        let image = r#""schemaVersion":2,"mediaType":"OCI.manifest.v1+json""#;
        let index = r#""schemaVersion":2,"mediaType":"OCI.index.v1+json""#;
        check("image", &format!(r#"{image},"config":D,"layers":[D]"#), Ok("image"));
        check("null layers", &format!(r#"{image},"config":D,"layers":null"#), Ok("image"));
        check("index", &format!(r#"{index},"manifests":[D]"#), Ok("index"));
        check("null index", &format!(r#"{index},"manifests":null"#), Ok("index"));
        check("untyped image", r#""schemaVersion":2,"config":D,"layers":[]"#, Ok("image"));
        check("untyped index", r#""schemaVersion":2,"manifests":[]"#, Ok("index"));
        check("index as image", &format!(r#"{index},"config":D,"layers":[D]"#), Err(Shape));
        check("image as index", &format!(r#"{image},"manifests":[D]"#), Err(Shape));
        check("both", &format!(r#"{index},"manifests":[D],"config":D,"layers":[D]"#), Err(Shape));
        check("untyped both", r#""schemaVersion":2,"manifests":[],"config":D"#, Err(Shape));
        let artifact = r#""mediaType":"application/vnd.oci.artifact.manifest.v1+json""#;
        let typed = format!(r#"{artifact},"artifactType":"application/x""#);
        check("artifact", &format!(r#"{typed},"blobs":[D],"subject":D"#), Ok("artifact"));
        check("null blobs", &format!(r#"{typed},"blobs":null"#), Ok("artifact"));
        check("artifact of no type", &format!(r#"{artifact},"blobs":[D]"#), Err(Shape));
        check("artifact of a schema", &format!(r#"{typed},"schemaVersion":2"#), Err(Shape));
        check("image as artifact", &format!(r#"{typed},"config":D"#), Err(Shape));
        check("layers as blobs", &format!(r#"{typed},"layers":[D]"#), Err(Shape));
        check("index as artifact", &format!(r#"{typed},"manifests":[]"#), Err(Shape));
        check("untyped artifact", r#""artifactType":"a","blobs":[D]"#, Err(MediaType));
        check("artifact as image", &format!(r#"{image},"blobs":[D]"#), Err(Shape));
        check("no schema", r#""config":D,"layers":[D]"#, Err(MediaType));
        check("schema 1", r#""schemaVersion":1,"config":D,"layers":[D]"#, Err(MediaType));
        check("other type", r#""schemaVersion":2,"mediaType":"x","config":D"#, Err(MediaType));
    }

    #[test]
    fn rejects_malformed_json_without_repeating_it() {
        for bytes in
            ["", "[]", "null", r#"{"schemaVersion":2,"schemaVersion":2}"#, r#"{"schemaVersion":2"#]
        {
            let error = Manifest::parse(bytes.as_bytes()).unwrap_err();
            assert!(matches!(error, ManifestError::Json { .. }), "{bytes}");
        }
        let secret = Manifest::parse(br#"{"schemaVersion":"secret"}"#).unwrap_err();
        assert!(!secret.to_string().contains("secret"));
    }

    #[test]
    fn rejects_what_is_nested_past_the_bound() {
        let nested = |levels: usize, inner: &str| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!(r#"{{"schemaVersion":2,"manifests":[],"x":{open}{inner}{close}}}"#)
        };
        for (name, json, expect) in [
            ("at the bound", nested(DEPTH_MAX, "1"), true),
            ("past it", nested(DEPTH_MAX + 1, "1"), false),
            ("brackets in a string", nested(DEPTH_MAX, r#""\"[[\\\"{{""#), true),
            ("a string that ends", nested(DEPTH_MAX, r#""\\",[]"#), false),
        ] {
            let found = Manifest::parse(json.as_bytes());
            let expect = if expect { Ok(()) } else { Err(ManifestError::Depth) };
            assert_eq!(found.map(|_| ()), expect, "{name}");
        }
    }

    #[test]
    fn rejects_annotations_that_stand_twice() {
        let image = r#""schemaVersion":2,"config":D,"annotations""#;
        let index = r#""schemaVersion":2,"manifests":[{"mediaType":"x","size":2"#.to_owned();
        let index = format!(r#"{index},"digest":"{}","annotations""#, Digest::sha256(b""));
        for (annotations, expect) in
            [(r#"{"a":"1","b":"1"}"#, true), (r#"{"a":"1","a":"1"}"#, false)]
        {
            for json in [format!("{image}:{annotations}"), format!("{index}:{annotations}}}]")] {
                let json = format!("{{{}}}", json.replace('D', &descriptor()));
                assert_eq!(Manifest::parse(json.as_bytes()).is_ok(), expect, "{json}");
            }
        }
    }
}
