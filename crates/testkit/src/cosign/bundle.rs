//! Signatures as Cosign 3 stores them: a Sigstore bundle, signed with a key and without log entry or
//! timestamp, as an OCI referrer of the image.
//!
//! Specifications: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>,
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>,
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{SigningKey, pre_authentication_encoding};
use crate::registry::{TestRegistry, media_type};

/// The media type of a bundle, inside it, and of its layer and artifact.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The DSSE payload type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The predicate type that makes a statement a signature.
pub const SIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The predicate type of a vulnerability attestation, which is no signature.
pub const VULN_PREDICATE_TYPE: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// The facts of an in-toto statement and its envelope.
#[derive(Debug, Clone)]
pub struct Statement {
    /// `_type`.
    pub statement_type: String,
    /// `subject`, an array of `{digest: {sha256}, annotations}`.
    pub subject: Value,
    /// `predicateType`.
    pub predicate_type: String,
    /// `predicate`.
    pub predicate: Value,
    /// The envelope's `payloadType`.
    pub payload_type: String,
}

/// A Sigstore bundle, still open to change; [`Bundle::to_json`] writes it down.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// `mediaType`.
    pub media_type: String,
    /// `verificationMaterial.publicKey.hint`.
    pub hint: String,
    /// `verificationMaterial.tlogEntries`, left out when empty.
    pub tlog_entries: Vec<Value>,
    /// What is signed.
    pub content: Content,
}

/// What a bundle carries.
#[derive(Debug, Clone)]
pub enum Content {
    /// `dsseEnvelope`: a payload of its own.
    Dsse {
        /// `payload`, before base64.
        payload: Vec<u8>,
        /// `payloadType`.
        payload_type: String,
        /// `signatures[].sig`, before base64.
        signatures: Vec<Vec<u8>>,
    },
    /// `messageSignature`: the signature of bytes elsewhere, as `cosign sign-blob` makes it.
    Message {
        /// The SHA-256 hash of those bytes.
        digest: Vec<u8>,
        /// The signature, before base64.
        signature: Vec<u8>,
    },
}

impl Statement {
    /// The statement by which Cosign signs the image with this digest (`sha256:<hex>`).
    pub fn new(image_digest: &str) -> Self {
        let hex = image_digest.trim_start_matches("sha256:");
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject: json!([{"digest": {"sha256": hex}}]),
            predicate_type: SIGN_PREDICATE_TYPE.to_owned(),
            predicate: json!({}),
            payload_type: PAYLOAD_TYPE.to_owned(),
        }
    }

    /// The statement as JSON, the envelope's payload.
    pub fn payload(&self) -> Vec<u8> {
        let payload = json!({
            "_type": self.statement_type,
            "subject": self.subject,
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        });
        payload.to_string().into_bytes()
    }

    /// A bundle of this statement, signed once.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn sign(&self, key: &SigningKey) -> Result<Bundle, Unspecified> {
        let (payload, payload_type) = (self.payload(), self.payload_type.clone());
        let signature = key.sign(&pre_authentication_encoding(&payload_type, &payload))?;
        let signatures = vec![signature];
        Bundle::new(key, Content::Dsse { payload, payload_type, signatures })
    }
}

impl Bundle {
    fn new(key: &SigningKey, content: Content) -> Result<Self, Unspecified> {
        let hint = STANDARD.encode(digest(&SHA256, &key.public_key_der()?));
        let media_type = BUNDLE_TYPE.to_owned();
        Ok(Self { media_type, hint, tlog_entries: Vec::new(), content })
    }

    /// A bundle that signs bytes elsewhere, which for an image would be its manifest.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn over_message(key: &SigningKey, message: &[u8]) -> Result<Self, Unspecified> {
        let signature = key.sign(message)?;
        let digest = digest(&SHA256, message).as_ref().to_vec();
        Self::new(key, Content::Message { digest, signature })
    }

    /// The bundle as JSON in the form of protobuf, which leaves out what is empty.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bundle = json!({
            "mediaType": self.media_type,
            "verificationMaterial": {"publicKey": {"hint": self.hint}},
        });
        if !self.tlog_entries.is_empty() {
            bundle["verificationMaterial"]["tlogEntries"] = json!(self.tlog_entries);
        }
        match &self.content {
            Content::Dsse { payload, payload_type, signatures } => {
                let signatures: Vec<Value> =
                    signatures.iter().map(|bytes| json!({"sig": STANDARD.encode(bytes)})).collect();
                bundle["dsseEnvelope"] = json!({
                    "payload": STANDARD.encode(payload),
                    "payloadType": payload_type,
                    "signatures": signatures,
                });
            }
            Content::Message { digest, signature } => {
                bundle["messageSignature"] = json!({
                    "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest)},
                    "signature": STANDARD.encode(signature),
                });
            }
        }
        bundle.to_string().into_bytes()
    }
}

/// The manifest that makes a bundle a referrer, open to change until it is pushed.
#[derive(Debug, Clone)]
pub struct BundleReferrer {
    /// `artifactType`, also of the configuration.
    pub artifact_type: String,
    /// The media type of the one layer.
    pub layer_type: String,
    /// The annotation `dev.sigstore.bundle.predicateType`: a hint, whatever the payload says.
    pub predicate_type: String,
    /// The layer's content.
    pub bundle: Vec<u8>,
}

impl BundleReferrer {
    /// A referrer as Cosign writes it around a signature's bundle.
    pub fn new(bundle: impl Into<Vec<u8>>) -> Self {
        Self {
            artifact_type: BUNDLE_TYPE.to_owned(),
            layer_type: BUNDLE_TYPE.to_owned(),
            predicate_type: SIGN_PREDICATE_TYPE.to_owned(),
            bundle: bundle.into(),
        }
    }

    /// Attaches this to an image and returns the digest of the referrer's manifest.
    pub fn attach(&self, registry: &TestRegistry, repository: &str, image_digest: &str) -> String {
        let mut config = registry.push_content(repository, media_type::EMPTY, "{}");
        config["artifactType"] = json!(self.artifact_type);
        let layer = registry.push_content(repository, &self.layer_type, self.bundle.clone());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": self.artifact_type,
            "config": config,
            "layers": [layer],
            "subject": registry.descriptor(repository, image_digest),
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": self.predicate_type,
                "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
            },
        });
        registry.push_referrer(repository, &manifest)
    }
}

/// Signs an image of this registry as `cosign sign` of version 3 would, and returns the bundle.
///
/// # Errors
/// When the system has no randomness to give.
pub fn sign(
    registry: &TestRegistry,
    repository: &str,
    image_digest: &str,
    key: &SigningKey,
) -> Result<Bundle, Unspecified> {
    let bundle = Statement::new(image_digest).sign(key)?;
    BundleReferrer::new(bundle.to_json()).attach(registry, repository, image_digest);
    Ok(bundle)
}
