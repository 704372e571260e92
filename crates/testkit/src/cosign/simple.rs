//! Signatures as Cosign 2 stores them: a "simple signing" payload as a layer of the image at the tag
//! `sha256-<hex>.sig`, with the signature in an annotation.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/v2.6.0/specs/SIGNATURE_SPEC.md>.

use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::SigningKey;
use crate::registry::{TestRegistry, fallback_tag, media_type};

/// The media type of a payload layer.
pub const LAYER_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// What `critical.type` says.
pub const CRITICAL_TYPE: &str = "cosign container image signature";
/// The layer annotation that holds the signature, base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// The facts of a payload.
#[derive(Debug, Clone)]
pub struct SimpleSigning {
    /// `critical.identity.docker-reference`: the image's name without tag.
    pub docker_reference: String,
    /// `critical.image.docker-manifest-digest`: what is signed.
    pub digest: String,
    /// `critical.type`.
    pub critical_type: String,
    /// `optional`: an object of annotations, or null as Cosign writes it without any.
    pub optional: Value,
}

/// A layer of a signature image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleSignature {
    /// The layer's media type.
    pub layer_type: String,
    /// The layer's content: what is signed, byte for byte.
    pub payload: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SimpleSigning {
    /// The facts as Cosign states them of this image.
    pub fn new(docker_reference: impl Into<String>, digest: impl Into<String>) -> Self {
        Self {
            docker_reference: docker_reference.into(),
            digest: digest.into(),
            critical_type: CRITICAL_TYPE.to_owned(),
            optional: Value::Null,
        }
    }

    /// The payload, byte for byte what Cosign writes.
    pub fn payload(&self) -> Vec<u8> {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": self.docker_reference},
                "image": {"docker-manifest-digest": self.digest},
                "type": self.critical_type,
            },
            "optional": self.optional,
        });
        payload.to_string().into_bytes()
    }

    /// The signed payload.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn sign(&self, key: &SigningKey) -> Result<SimpleSignature, Unspecified> {
        let payload = self.payload();
        let signature = key.sign(&payload)?;
        Ok(SimpleSignature { layer_type: LAYER_TYPE.to_owned(), payload, signature })
    }
}

impl SimpleSignature {
    /// Appends this to the signatures of an image, as `cosign sign` does, and returns the digest of
    /// the signature image.
    pub fn attach(&self, registry: &TestRegistry, repository: &str, image_digest: &str) -> String {
        let tag = signature_tag(image_digest);
        let mut layers = registry
            .manifest(repository, &tag)
            .and_then(|stored| stored.json()["layers"].as_array().cloned())
            .unwrap_or_default();
        let mut layer = registry.push_content(repository, &self.layer_type, self.payload.clone());
        layer["annotations"] = json!({SIGNATURE_ANNOTATION: STANDARD.encode(&self.signature)});
        layers.push(layer);

        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": registry.push_content(repository, media_type::CONFIG, config.to_string()),
            "layers": layers,
        });
        let bytes = manifest.to_string();
        registry.push_manifest(repository, Some(&tag), media_type::MANIFEST, bytes)
    }
}

/// Signs an image of this registry as `cosign sign` of version 2 would, and returns what was signed.
///
/// # Errors
/// When the system has no randomness to give.
pub fn sign(
    registry: &TestRegistry,
    repository: &str,
    image_digest: &str,
    key: &SigningKey,
) -> Result<SimpleSignature, Unspecified> {
    let name = format!("{}/{repository}", registry.host());
    let signature = SimpleSigning::new(name, image_digest).sign(key)?;
    signature.attach(registry, repository, image_digest);
    Ok(signature)
}

/// The tag of an image's signatures, `sha256-<hex>.sig`.
pub fn signature_tag(image_digest: &str) -> String {
    format!("{}.sig", fallback_tag(image_digest))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};

    use super::*;
    use crate::RegistryOptions;

    #[test]
    fn writes_the_payload_that_cosign_writes() {
        let payload = SimpleSigning::new("127.0.0.1:5555/legacy", "sha256:00").payload();
        let expect = concat!(
            r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:5555/legacy"},"#,
            r#""image":{"docker-manifest-digest":"sha256:00"},"#,
            r#""type":"cosign container image signature"},"optional":null}"#
        );
        assert_eq!(String::from_utf8(payload).unwrap(), expect);
    }

    #[tokio::test]
    async fn appends_a_layer_per_signature() {
        let registry = TestRegistry::start(RegistryOptions::default()).await.unwrap();
        let image = registry.push_image("app", "v1");
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let signed = keys.each_ref().map(|key| sign(&registry, "app", &image, key).unwrap());

        let manifest = registry.manifest("app", &signature_tag(&image)).unwrap().json();
        let layers = manifest["layers"].as_array().unwrap();

        assert_eq!(layers.len(), 2);
        assert_eq!(layers[0]["digest"], layers[1]["digest"]);
        for ((layer, signed), key) in layers.iter().zip(signed).zip(keys) {
            let text = layer["annotations"][SIGNATURE_ANNOTATION].as_str().unwrap();
            assert_eq!(STANDARD.decode(text).unwrap(), signed.signature);
            let key = key.public_key_der().unwrap();
            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).unwrap();
            assert!(key.verify_sig(&signed.payload, &signed.signature).is_ok());
            assert!(key.verify_sig(b"other", &signed.signature).is_err());
        }
    }
}
