//! Cosign signatures made here, without Cosign: [`simple`] as Cosign 2 writes them, [`bundle`] as
//! Cosign 3 does. Each is signed from a struct of plain facts, all of them right at first, and the
//! result is plain bytes, so that a test changes one fact before signing or one byte after it:
//!
//! ```
//! use assay_testkit::cosign::{SigningKey, bundle::Statement, simple::SimpleSigning};
//!
//! let key = SigningKey::generate()?;
//! let right = SimpleSigning::new("127.0.0.1:5000/app", "sha256:00");
//! let wrong_type = SimpleSigning { critical_type: "other".into(), ..right.clone() }.sign(&key)?;
//! let mut corrupted = right.sign(&key)?;
//! corrupted.signature[9] ^= 1;
//! let attestation = Statement { predicate_type: "other".into(), ..Statement::new("sha256:00") };
//! let mut bundle = attestation.sign(&key)?;
//! bundle.media_type = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
//! # Ok::<(), aws_lc_rs::error::Unspecified>(())
//! ```

pub mod bundle;
pub mod simple;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A new ECDSA P-256 key.
#[derive(Debug)]
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// A key unlike any other.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, Unspecified> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self)
    }

    /// The ASN.1 DER signature of the message's SHA-256 hash; another one at each call.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        Ok(self.0.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
    }

    /// The public key, a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// When the library cannot encode the key that it made.
    pub fn public_key_der(&self) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der()?;
        Ok(der.as_ref().to_vec())
    }

    /// The public key as `cosign.pub` holds it, PEM.
    ///
    /// # Errors
    /// When the library cannot encode the key that it made.
    pub fn public_key_pem(&self) -> Result<String, Unspecified> {
        let text = STANDARD.encode(self.public_key_der()?);
        let (first, second) = text.split_at(PEM_LINE_CHARACTERS);
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n"))
    }
}

/// What a DSSE signature signs: the payload and its type, so joined that neither can be taken for
/// the other.
///
/// Specification: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Characters per line of PEM (RFC 7468, section 2). A P-256 key takes 124, so two lines.
const PEM_LINE_CHARACTERS: usize = 64;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
    use serde_json::Value;

    use super::bundle::{BUNDLE_TYPE, Bundle, Content, Statement, sign};
    use super::*;
    use crate::{RegistryOptions, TestRegistry, fallback_tag, sha256_digest};

    #[test]
    fn encodes_the_example_of_the_dsse_specification() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn writes_a_public_key_as_pem() {
        let key = SigningKey::generate().unwrap();
        let pem = key.public_key_pem().unwrap();
        let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        assert_eq!(STANDARD.decode(body.concat()).unwrap(), key.public_key_der().unwrap());
    }

    /// Whether the bundle's own envelope verifies with `key`.
    fn verifies(content: &Content, key: &SigningKey) -> bool {
        let Content::Dsse { payload, payload_type, signatures } = content else {
            return false;
        };
        let key = key.public_key_der().unwrap();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).unwrap();
        let message = pre_authentication_encoding(payload_type, payload);
        signatures.iter().all(|signature| key.verify_sig(&message, signature).is_ok())
    }

    #[test]
    fn signs_a_statement_with_this_key_only() {
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let bundle = Statement::new("sha256:00").sign(&keys[0]).unwrap();
        assert_eq!(keys.each_ref().map(|key| verifies(&bundle.content, key)), [true, false]);
    }

    #[tokio::test]
    async fn attaches_a_bundle_as_a_referrer() {
        let options = RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
        let registry = TestRegistry::start(options).await.unwrap();
        let image = registry.push_image("app", "v1");
        let bundle = sign(&registry, "app", &image, &SigningKey::generate().unwrap()).unwrap();

        let index = registry.manifest("app", &fallback_tag(&image)).unwrap().json();
        let entry = &index["manifests"][0];
        let referrer = registry.manifest("app", entry["digest"].as_str().unwrap()).unwrap().json();

        assert_eq!(entry["artifactType"], BUNDLE_TYPE);
        assert_eq!(referrer["subject"], registry.descriptor("app", &image));
        assert_eq!(referrer["layers"][0]["digest"], sha256_digest(&bundle.to_json()));
    }

    #[test]
    fn writes_no_empty_verification_material() {
        let mut bundle =
            Statement::new("sha256:00").sign(&SigningKey::generate().unwrap()).unwrap();
        let material = |bundle: &Bundle| {
            let json: Value = serde_json::from_slice(&bundle.to_json()).unwrap();
            json["verificationMaterial"].as_object().unwrap().len()
        };
        assert_eq!(material(&bundle), 1);
        bundle.tlog_entries.push(Value::Null);
        assert_eq!(material(&bundle), 2);
    }
}
