//! Notary Project signatures made here, without Notation: `notation-rs` signs, and its envelopes are
//! pushed as Notation pushes them. One fact of a signature can be changed before it is made.
//!
//! Specification:
//! <https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md>.

mod crl;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use notation_rs::algorithm::KeyKind;
use notation_rs::payload::TargetArtifact;
use notation_rs::signer::{Pki, SignRequest, SignerError, payload};
use notation_rs::{ARTIFACT_TYPE, EnvelopeFormat, THUMBPRINTS_ANNOTATION};
use serde_json::json;

use crate::registry::{TestRegistry, media_type, sha256_digest};

pub use crl::{empty_crl, name_crls};

/// The identity of every [`Signer`]: their certificates tell them apart, not their names.
pub const IDENTITY: &str = "x509.subject: C=US, ST=WA, O=Acme";

/// A root certificate, a CA below it, and a code signing certificate with its key.
#[derive(Debug)]
pub struct Signer(Pki);

impl Signer {
    /// A signer unlike any other, valid in any year that a test may set.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, SignerError> {
        let [not_before, not_after] = VALIDITY;
        Pki::generate(KeyKind::P256, not_before, not_after).map(Self)
    }

    /// Takes a key whose certificate names the CRL at `url`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn name_crl(&mut self, url: &str) -> Result<(), SignerError> {
        name_crls(&mut self.0, &[url])
    }

    /// The CRL that counts for that certificate: it revokes nothing until `next_update`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn crl(&self, next_update: Timestamp) -> Result<Vec<u8>, SignerError> {
        empty_crl(&self.0.intermediate, next_update)
    }

    /// The root certificate, PEM: what a trust store of type `ca` holds.
    pub fn root_pem(&self) -> String {
        let text = STANDARD.encode(self.0.root.certificate.der());
        let (mut pem, mut rest) = ("-----BEGIN CERTIFICATE-----\n".to_owned(), text.as_str());
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.extend([line, "\n"]);
            rest = after;
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// Signs an image of this registry as `notation sign` would, and returns the digest of the
/// signature's manifest.
///
/// # Errors
/// When the system has no randomness to give.
pub fn sign(
    registry: &TestRegistry,
    repository: &str,
    image_digest: &str,
    signer: &Signer,
) -> Result<String, SignerError> {
    sign_with(registry, repository, image_digest, signer, |_| {})
}

/// The same with `change` made to what is signed: made in 2026, without expiry, as JWS.
///
/// # Errors
/// [`SignerError`], where nothing can be signed so.
pub fn sign_with(
    registry: &TestRegistry,
    repository: &str,
    image_digest: &str,
    signer: &Signer,
    change: impl FnOnce(&mut SignRequest<'_>),
) -> Result<String, SignerError> {
    let subject = registry.descriptor(repository, image_digest);
    let payload = payload(&TargetArtifact {
        media_type: subject["mediaType"].as_str().unwrap_or_default().to_owned(),
        digest: image_digest.to_owned(),
        size: subject["size"].as_u64().unwrap_or_default(),
        annotations: BTreeMap::new(),
        artifact_type: None,
    })?;
    let mut request = SignRequest::new(EnvelopeFormat::Jws, &payload, SIGNED_AT);
    change(&mut request);
    let Signer(pki) = signer;
    let envelope = request.sign(&pki.leaf.key, &pki.chain())?;
    let thumbprints: Vec<String> = pki
        .chain()
        .iter()
        .map(|link| sha256_digest(link.der()).trim_start_matches("sha256:").to_owned())
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": registry.push_content(repository, media_type::EMPTY, "{}"),
        "layers": [registry.push_content(repository, request.format.media_type(), envelope)],
        "subject": subject,
        "annotations": {
            THUMBPRINTS_ANNOTATION: json!(thumbprints).to_string(),
            "org.opencontainers.image.created": request.signing_time.to_string(),
        },
    });
    Ok(registry.push_referrer(repository, &manifest))
}

/// The years 2000 to 2100, in which certificates are valid, and 2026, in which they sign.
const VALIDITY: [Timestamp; 2] =
    [Timestamp::constant(946_684_800, 0), Timestamp::constant(4_102_444_800, 0)];
const SIGNED_AT: Timestamp = Timestamp::constant(1_767_225_600, 0);

#[cfg(test)]
mod tests {
    use notation_rs::certificate::Certificate;
    use notation_rs::envelope::Envelope;

    use super::*;
    use crate::RegistryOptions;

    #[tokio::test]
    async fn writes_what_notation_writes() {
        let registry = TestRegistry::start(RegistryOptions::default()).await.unwrap();
        let image = registry.push_image("app", "v1");
        let signer = Signer::generate().unwrap();
        for (name, format) in [("jws", EnvelopeFormat::Jws), ("cose", EnvelopeFormat::Cose)] {
            let digest =
                sign_with(&registry, "app", &image, &signer, |request| request.format = format);
            let manifest = registry.manifest("app", &digest.unwrap()).unwrap().json();

            assert_eq!(manifest["subject"], registry.descriptor("app", &image), "{name}");
            let layer = &manifest["layers"][0];
            assert_eq!(layer["mediaType"], format.media_type(), "{name}");
            let bytes = registry.blob("app", layer["digest"].as_str().unwrap()).unwrap();
            let envelope = Envelope::parse(format, &bytes).and_then(Envelope::verify_integrity);
            let envelope = envelope.unwrap();
            let target = TargetArtifact::parse(envelope.payload()).unwrap();
            assert_eq!(target.digest, image, "{name}");
            let root = envelope.chain().last().map(Certificate::der);
            assert_eq!(root, Some(signer.0.root.certificate.der()), "{name}");
        }
    }

    #[test]
    fn writes_pem_in_lines_that_every_reader_takes() {
        let signer = Signer::generate().unwrap();
        let pem = signer.root_pem();
        assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(STANDARD.decode(text).unwrap(), signer.0.root.certificate.der());
    }
}
