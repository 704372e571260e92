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
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Digest, Sha512, Signer};

/// A kind of key, each with the hash that Cosign makes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519 over the message itself.
    Ed25519,
    /// Ed25519ph, over the message's SHA-512 hash: what Cosign makes with an Ed25519 key.
    Ed25519ph,
    /// ECDSA P-256 with SHA-256.
    P256,
    /// ECDSA P-384 with SHA-384.
    P384,
    /// ECDSA P-521 with SHA-512.
    P521,
    /// RSA of 2048 bits, PKCS#1 v1.5, with SHA-256.
    Rsa2048,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Ed25519, Self::Ed25519ph, Self::P256, Self::P384, Self::P521, Self::Rsa2048];
}

/// A new key that signs.
#[derive(Debug)]
pub struct SigningKey(Pair);

#[derive(Debug)]
enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519 { key: ed25519_dalek::SigningKey, prehashed: bool },
    Rsa(rsa::KeyPair),
}

impl SigningKey {
    /// An ECDSA P-256 key unlike any other.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, Unspecified> {
        Self::of(KeyKind::P256)
    }

    /// A key of this kind unlike any other.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn of(kind: KeyKind) -> Result<Self, Unspecified> {
        let ecdsa = |algorithm| EcdsaKeyPair::generate(algorithm).map(Pair::Ecdsa);
        let pair = match kind {
            KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyKind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            KeyKind::P521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING)?,
            KeyKind::Rsa2048 => Pair::Rsa(rsa::KeyPair::generate(rsa::KeySize::Rsa2048)?),
            KeyKind::Ed25519 | KeyKind::Ed25519ph => {
                let mut seed = [0; 32];
                fill(&mut seed)?;
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                Pair::Ed25519 { key, prehashed: kind == KeyKind::Ed25519ph }
            }
        };
        Ok(Self(pair))
    }

    /// The signature of the message, of ECDSA in ASN.1 DER and another one at each call.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.0 {
            Pair::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
            Pair::Ed25519 { key, prehashed: false } => Ok(key.sign(message).to_bytes().to_vec()),
            Pair::Ed25519 { key, prehashed: true } => {
                let signed = key.sign_prehashed(Sha512::new_with_prefix(message), None);
                Ok(signed.map_err(|_| Unspecified)?.to_bytes().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// The public key, a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// When the library cannot encode the key that it made.
    pub fn public_key_der(&self) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = match &self.0 {
            Pair::Ecdsa(pair) => pair.public_key().as_der()?,
            Pair::Rsa(pair) => pair.public_key().as_der()?,
            Pair::Ed25519 { key, .. } => {
                return Ok([ED25519_HEAD, key.verifying_key().as_bytes()].concat());
            }
        };
        Ok(der.as_ref().to_vec())
    }

    /// The public key as `cosign.pub` holds it, PEM.
    ///
    /// # Errors
    /// When the library cannot encode the key that it made.
    pub fn public_key_pem(&self) -> Result<String, Unspecified> {
        let mut text = STANDARD.encode(self.public_key_der()?);
        let breaks = (1..text.len().div_ceil(PEM_LINE_CHARACTERS)).rev();
        breaks.for_each(|line| text.insert(line * PEM_LINE_CHARACTERS, '\n'));
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"))
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

/// Characters per line of PEM (RFC 7468, section 2).
const PEM_LINE_CHARACTERS: usize = 64;

/// An Ed25519 key up to its point (RFC 8410, section 4).
const ED25519_HEAD: &[u8] = &[48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];

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
        for kind in KeyKind::ALL {
            let key = SigningKey::of(kind).unwrap();
            let pem = key.public_key_pem().unwrap();
            let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            assert!(body.iter().all(|line| (1..=64).contains(&line.len())), "{pem}");
            assert_eq!(STANDARD.decode(body.concat()).unwrap(), key.public_key_der().unwrap());
        }
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
