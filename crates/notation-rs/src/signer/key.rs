//! Private keys of every kind that may sign anything here.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};

use super::{SignerError, der};
use crate::algorithm::{Algorithm, Hash, KeyKind, SignatureAlgorithm, oid};

/// A private key.
#[derive(Debug)]
pub struct SigningKey {
    kind: KeyKind,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    /// One key for two spellings of a signature: r||s in envelopes, DER elsewhere.
    Ec {
        fixed: EcdsaKeyPair,
        der: EcdsaKeyPair,
    },
    Ed25519(Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

impl SigningKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`SignerError::Key`] for RSA sizes other than 2048, 3072, 4096 and 8192.
    pub fn generate(kind: KeyKind) -> Result<Self, SignerError> {
        let pkcs8 = match kind {
            KeyKind::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            KeyKind::P256 => generate_ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            KeyKind::P384 => generate_ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            KeyKind::P521 => generate_ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            KeyKind::Rsa { bits } => {
                let pair = rsa::KeyPair::generate(rsa_size(bits)?).map_err(|_| SignerError::Key)?;
                return Ok(Self { kind, pair: Pair::Rsa(pair) });
            }
        };
        Self::from_pkcs8(kind, pkcs8.map_err(|_| SignerError::Key)?.as_ref())
    }

    /// The key in a DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`SignerError::Key`] if it is none of this kind.
    pub fn from_pkcs8(kind: KeyKind, pkcs8: &[u8]) -> Result<Self, SignerError> {
        let ec = |fixed, der| {
            Ok(Pair::Ec {
                fixed: EcdsaKeyPair::from_pkcs8(fixed, pkcs8)?,
                der: EcdsaKeyPair::from_pkcs8(der, pkcs8)?,
            })
        };
        let pair = match kind {
            KeyKind::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
            KeyKind::P256 => ec(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            ),
            KeyKind::P384 => ec(
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            ),
            KeyKind::P521 => ec(
                &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
            ),
            KeyKind::Rsa { .. } => rsa::KeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
        }
        .map_err(|_: aws_lc_rs::error::KeyRejected| SignerError::Key)?;
        match (&pair, kind) {
            (Pair::Rsa(pair), KeyKind::Rsa { bits }) if pair.public_modulus_len() != bits / 8 => {
                Err(SignerError::Key)
            }
            _ => Ok(Self { kind, pair }),
        }
    }

    /// The key's DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`SignerError::Key`].
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, SignerError> {
        let bytes = |document: &[u8]| document.to_vec();
        match &self.pair {
            Pair::Ec { fixed, .. } => fixed.to_pkcs8v1().map(|key| bytes(key.as_ref())),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|key| bytes(key.as_ref())),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|key| bytes(key.as_ref())),
        }
        .map_err(|_| SignerError::Key)
    }

    /// The kind of the key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key's DER `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        let public: &[u8] = match &self.pair {
            Pair::Ec { fixed, .. } => fixed.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        };
        let ec = |curve| der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(curve)]);
        let algorithm = match self.kind {
            KeyKind::Ed25519 => der::sequence(&[&der::oid(oid::ED25519)]),
            KeyKind::P256 => ec(oid::P256),
            KeyKind::P384 => ec(oid::P384),
            KeyKind::P521 => ec(oid::P521),
            KeyKind::Rsa { .. } => der::sequence(&[&der::oid(oid::RSA_ENCRYPTION), oid::NULL]),
        };
        der::sequence(&[&algorithm, &der::bits(public)])
    }

    /// What the key signs certificates with unless told otherwise.
    pub const fn usual_algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyKind::P256 => SignatureAlgorithm::Ecdsa(Hash::Sha256),
            KeyKind::P384 => SignatureAlgorithm::Ecdsa(Hash::Sha384),
            KeyKind::P521 => SignatureAlgorithm::Ecdsa(Hash::Sha512),
            KeyKind::Rsa { .. } => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        }
    }

    /// A signature over `message`, as certificates, revocation lists and timestamps write it.
    ///
    /// # Errors
    /// [`SignerError::Key`] if the key does not sign so; ECDSA keys sign with
    /// [`Self::usual_algorithm`] only.
    pub fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignerError> {
        let usual = algorithm == self.usual_algorithm();
        let padding: &'static dyn RsaEncoding = match (&self.pair, algorithm) {
            (Pair::Ec { der, .. }, _) if usual => return sign_ec(der, message),
            (Pair::Ed25519(pair), _) if usual => return Ok(pair.sign(message).as_ref().to_vec()),
            (Pair::Rsa(_), SignatureAlgorithm::RsaPkcs1(Hash::Sha256)) => {
                &signature::RSA_PKCS1_SHA256
            }
            (Pair::Rsa(_), SignatureAlgorithm::RsaPkcs1(Hash::Sha384)) => {
                &signature::RSA_PKCS1_SHA384
            }
            (Pair::Rsa(_), SignatureAlgorithm::RsaPkcs1(Hash::Sha512)) => {
                &signature::RSA_PKCS1_SHA512
            }
            (Pair::Rsa(_), SignatureAlgorithm::RsaPss(hash)) => pss(hash),
            _ => return Err(SignerError::Key),
        };
        self.sign_rsa(padding, message)
    }

    /// A signature over `message`, as envelopes write it.
    ///
    /// # Errors
    /// [`SignerError::Key`] if such a key signs no envelopes.
    pub(super) fn sign_envelope(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignerError> {
        match &self.pair {
            Pair::Ec { fixed, .. } => sign_ec(fixed, message),
            Pair::Ed25519(_) => Err(SignerError::Key),
            Pair::Rsa(_) => self.sign_rsa(pss(algorithm.hash()), message),
        }
    }

    fn sign_rsa(
        &self,
        padding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, SignerError> {
        let Pair::Rsa(pair) = &self.pair else { return Err(SignerError::Key) };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SignerError::Key)?;
        Ok(signature)
    }
}

fn generate_ec(
    algorithm: &'static signature::EcdsaSigningAlgorithm,
) -> Result<aws_lc_rs::pkcs8::Document, aws_lc_rs::error::Unspecified> {
    EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
}

fn sign_ec(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SignerError::Key)?;
    Ok(signature.as_ref().to_vec())
}

fn pss(hash: Hash) -> &'static dyn RsaEncoding {
    match hash {
        Hash::Sha256 => &signature::RSA_PSS_SHA256,
        Hash::Sha384 => &signature::RSA_PSS_SHA384,
        Hash::Sha512 => &signature::RSA_PSS_SHA512,
    }
}

const fn rsa_size(bits: usize) -> Result<KeySize, SignerError> {
    match bits {
        2048 => Ok(KeySize::Rsa2048),
        3072 => Ok(KeySize::Rsa3072),
        4096 => Ok(KeySize::Rsa4096),
        8192 => Ok(KeySize::Rsa8192),
        _ => Err(SignerError::Key),
    }
}
