//! What a signature is made over: the descriptor of an artifact, and metadata of the signer in its
//! annotations.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::{self, Object, Unique};

/// Annotations of a payload, the user metadata: those in use have a handful.
pub const ANNOTATIONS_MAX: usize = 1000;

/// The payload is not the JSON that it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "the signed payload is not a JSON object with a targetArtifact that has mediaType, digest and size"
)]
pub struct PayloadError;

/// The artifact that a payload names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetArtifact {
    /// The media type of its manifest.
    pub media_type: String,
    /// Its digest, `algorithm:hex`.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// What the signer added: user metadata.
    pub annotations: BTreeMap<String, String>,
    /// Its artifact type, which is not compared with anything.
    pub artifact_type: Option<String>,
}

impl TargetArtifact {
    /// The artifact that `payload`, an envelope's, names. Members that the specification does not
    /// know are ignored, as it says; none may be there twice.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn parse(payload: &[u8]) -> Result<Self, PayloadError> {
        let Object(Payload { target_artifact: Object(target) }) =
            json::parse(payload).ok_or(PayloadError)?;
        Ok(Self {
            media_type: target.media_type,
            digest: target.digest,
            size: target.size,
            annotations: target.annotations.map_or_else(BTreeMap::new, |unique| unique.0),
            artifact_type: target.artifact_type,
        })
    }

    /// Whether media type, digest and size are those of the artifact at hand. Annotations and
    /// artifact type are not compared.
    pub fn matches(&self, media_type: &str, digest: &str, size: u64) -> bool {
        (self.media_type.as_str(), self.digest.as_str(), self.size) == (media_type, digest, size)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Object<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<Unique<String, ANNOTATIONS_MAX>>,
    #[serde(default)]
    artifact_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: &str = r#""mediaType":"m","digest":"sha256:0","size":7"#;

    #[test]
    fn reads_descriptors_and_rejects_what_is_none() {
        let with = |more: &str| format!(r#"{{"targetArtifact":{{{DESCRIPTOR}{more}}}}}"#);
        let deep = |levels| format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels));
        let cases = [
            ("the least", with(""), true),
            ("annotations", with(r#","annotations":{"a":"b"},"artifactType":"t""#), true),
            ("unknown member", with(r#","x":{"y":[1]}"#), true),
            ("deepest nesting", with(&deep(14)), true),
            ("one level more", with(&deep(15)), false),
            ("digest twice", with(r#","digest":"sha256:1""#), false),
            ("annotation twice", with(r#","annotations":{"a":"b","a":"c"}"#), false),
            ("annotation of a number", with(r#","annotations":{"a":1}"#), false),
            ("trailing data", format!("{}{{}}", with("")), false),
            ("no digest", r#"{"targetArtifact":{"mediaType":"m","size":7}}"#.into(), false),
            ("negative size", with("").replace('7', "-7"), false),
            ("fraction of a byte", with("").replace('7', "7.0"), false),
            ("descriptor of an array", r#"{"targetArtifact":["m","sha256:0",7]}"#.into(), false),
            ("an array", format!(r#"[{{{DESCRIPTOR}}}]"#), false),
            ("target twice", with("").replace("}}", r#"},"targetArtifact":{}}"#), false),
            ("other case", with("").replace("targetArtifact", "TargetArtifact"), false),
            ("nothing", String::new(), false),
        ];
        for (name, payload, expect) in cases {
            assert_eq!(TargetArtifact::parse(payload.as_bytes()).is_ok(), expect, "{name}");
        }
    }

    #[test]
    fn matches_only_if_type_digest_and_size_are_equal() {
        let payload = format!(r#"{{"targetArtifact":{{{DESCRIPTOR},"annotations":{{"a":"b"}}}}}}"#);
        let target = TargetArtifact::parse(payload.as_bytes()).unwrap();
        assert!(target.matches("m", "sha256:0", 7));
        assert!(!target.matches("n", "sha256:0", 7));
        assert!(!target.matches("m", "sha256:1", 7));
        assert!(!target.matches("m", "sha256:0", 8));
        assert_eq!(target.annotations["a"], "b");
    }
}
