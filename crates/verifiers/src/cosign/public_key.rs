//! One public key: a SubjectPublicKeyInfo in, and whether it made a signature out.

use assay_core::HashAlgorithm::{self, Sha256, Sha384, Sha512};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};
use ed25519_dalek::{Signature, VerifyingKey};

use super::message::Message;

/// Bits of an RSA key: fewer are too weak (NIST SP 800-131A), more cost more than any image needs.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// Bytes of a message over which a pure Ed25519 signature is looked for. Such a signature has no
/// hash that others share: each key and each signature reads the whole message anew.
const PURE_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A public key that verifies.
#[derive(Debug)]
pub(super) enum PublicKey {
    /// Ed25519, pure and pre-hashed (RFC 8032, section 5.1).
    Ed25519(VerifyingKey),
    /// ECDSA (ASN.1 DER signatures) or RSA (PKCS#1 v1.5), over a hash.
    Hashed { key: ParsedPublicKey, hash: HashAlgorithm },
}

/// What is wrong with a public key, to be read after "holds".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PublicKeyError {
    #[error("an Ed25519 key, which hashes by SHA-512 always: leave out hashAlgorithm")]
    HashOfEd25519,
    #[error("a key of another kind: give RSA, ECDSA P-256, P-384 or P-521, or Ed25519")]
    Kind,
    #[error("{0} that is malformed")]
    Malformed(&'static str),
    #[error("an RSA key of {0} bits: give one of 2048 to 4096")]
    RsaBits(u32),
}

impl PublicKey {
    /// The key in `der`, a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), which signs by `hash`
    /// or by that of its kind.
    ///
    /// One key has one form here, so that it has one hash and is one signer.
    ///
    /// # Errors
    /// [`PublicKeyError`]: a kind that is not supported, or a hash that its kind does not take.
    pub(super) fn parse(der: &[u8], hash: Option<HashAlgorithm>) -> Result<Self, PublicKeyError> {
        if let Some(key) = der.strip_prefix(&ED25519_HEAD) {
            return match hash {
                Some(_) => Err(PublicKeyError::HashOfEd25519),
                None => ed25519(key),
            };
        }
        let contains = |kind: &&Kind| der.windows(kind.oid.len()).any(|window| window == kind.oid);
        let kind = KINDS.iter().find(contains).ok_or(PublicKeyError::Kind)?;
        let malformed = PublicKeyError::Malformed(kind.name);
        let hash = hash.unwrap_or(kind.hash);
        let Ok(key) = ParsedPublicKey::new(kind.algorithm(hash), der) else {
            return Err(malformed);
        };
        let canonical: Result<PublicKeyX509Der<'_>, _> = key.as_der();
        if !canonical.is_ok_and(|canonical| canonical.as_ref() == der) {
            return Err(malformed);
        }
        if kind.oid == RSA {
            let bits = rsa_bits(der).ok_or(malformed)?;
            if !RSA_BITS.contains(&bits) {
                return Err(PublicKeyError::RsaBits(bits));
            }
        }
        Ok(Self::Hashed { key, hash })
    }

    /// Whether this key made `signature` over `message`.
    pub(super) fn made(&self, signature: &[u8], message: &Message<'_>) -> bool {
        match self {
            Self::Hashed { key, hash } => {
                key.verify_digest_sig(message.hash(*hash), signature).is_ok()
            }
            Self::Ed25519(key) => {
                let Ok(signature) = Signature::from_slice(signature) else { return false };
                // Cosign's own are pre-hashed, over any length; those of other tools are pure.
                key.verify_prehashed_strict(message.prehash(), None, &signature).is_ok()
                    || message.bytes().len() <= PURE_MESSAGE_BYTES_MAX
                        && key.verify_strict(message.bytes(), &signature).is_ok()
            }
        }
    }

    /// The hash that it signs, as configured or by its kind.
    pub(super) fn hash(&self) -> HashAlgorithm {
        match self {
            Self::Ed25519(_) => Sha512,
            Self::Hashed { hash, .. } => *hash,
        }
    }
}

/// The key at this point of the curve, unless it is one of the few by which anybody can sign.
fn ed25519(point: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let point = point.try_into().ok();
    let key = point.and_then(|point| VerifyingKey::from_bytes(point).ok());
    match key {
        // Of the encodings of one point only the canonical one is a key.
        Some(key) if !key.is_weak() && Some(&key.to_edwards().compress().to_bytes()) == point => {
            Ok(PublicKey::Ed25519(key))
        }
        _ => Err(PublicKeyError::Malformed("an Ed25519 key")),
    }
}

fn rsa_bits(der: &[u8]) -> Option<u32> {
    let key = rsa::PublicKey::from_der(der).ok()?;
    RsaParameters::public_modulus_len(key.as_ref()).ok()
}

/// A kind of key that signs a hash.
struct Kind {
    name: &'static str,
    /// The object identifier, in DER, of the algorithm or curve.
    oid: &'static [u8],
    /// The hash that Cosign makes with it.
    hash: HashAlgorithm,
    /// With SHA-256, SHA-384 and SHA-512.
    algorithms: [&'static dyn VerificationAlgorithm; 3],
}

impl Kind {
    fn algorithm(&self, hash: HashAlgorithm) -> &'static dyn VerificationAlgorithm {
        let [sha256, sha384, sha512] = self.algorithms;
        match hash {
            Sha256 => sha256,
            Sha384 => sha384,
            Sha512 => sha512,
        }
    }
}

const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

/// The kinds, by the object identifiers of RFC 8017 and RFC 5480.
static KINDS: [Kind; 4] = [
    Kind {
        name: "an RSA key",
        oid: RSA,
        hash: Sha256,
        algorithms: [
            &RSA_PKCS1_2048_8192_SHA256,
            &RSA_PKCS1_2048_8192_SHA384,
            &RSA_PKCS1_2048_8192_SHA512,
        ],
    },
    Kind {
        name: "an ECDSA P-256 key",
        oid: b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        hash: Sha256,
        algorithms: [&ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA384_ASN1, &ECDSA_P256_SHA512_ASN1],
    },
    Kind {
        name: "an ECDSA P-384 key",
        oid: b"\x06\x05\x2b\x81\x04\x00\x22",
        hash: Sha384,
        algorithms: [&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA512_ASN1],
    },
    Kind {
        name: "an ECDSA P-521 key",
        oid: b"\x06\x05\x2b\x81\x04\x00\x23",
        hash: Sha512,
        algorithms: [&ECDSA_P521_SHA256_ASN1, &ECDSA_P521_SHA384_ASN1, &ECDSA_P521_SHA512_ASN1],
    },
];

/// An Ed25519 key up to its point, which is 32 bytes long (RFC 8410, section 4).
const ED25519_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
