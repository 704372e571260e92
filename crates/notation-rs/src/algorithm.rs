//! Keys and signature algorithms. What signs an envelope is fixed by the leaf's key
//! ([`Algorithm::for_key`]); what signs certificates, revocation lists and timestamps may be any
//! [`SignatureAlgorithm`]. SHA-1 and MD5 are in neither.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::der::{self, BIT_STRING, INTEGER, Malformed, OID, Reader, SEQUENCE};

/// Why a key cannot be used, or a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not by this key over these bytes.
    #[error("the signature does not verify")]
    Invalid,
    /// The key or the algorithm identifier is not the DER that it must be.
    #[error("a key or an algorithm identifier is malformed")]
    Malformed,
    /// Neither RSA-PSS, RSA PKCS#1, ECDSA nor Ed25519 with SHA-2: SHA-1 and MD5 end here.
    #[error("the signature algorithm is not supported")]
    UnsupportedAlgorithm,
    /// Not an RSA key of 2048 to 8192 bits, a key on P-256, P-384 or P-521, or (for certificates)
    /// Ed25519.
    #[error("the public key is of a kind or size that is not supported")]
    UnsupportedKey,
}

impl From<Malformed> for SignatureError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A hash function of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    const ALL: [(&[u8], Self); 3] = [
        (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], Self::Sha256),
        (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], Self::Sha384),
        (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], Self::Sha512),
    ];

    /// The hash that an object identifier (content octets) names; none for any other, SHA-1 too.
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, hash)| (known == oid).then_some(hash))
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// The name in a digest of an OCI descriptor: `sha256`, `sha384`, `sha512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The content octets of its object identifier.
    #[cfg(any(test, feature = "signer"))]
    pub(crate) fn oid(self) -> &'static [u8] {
        let known = Self::ALL.into_iter().find(|(_, hash)| *hash == self);
        known.map_or(&[], |(oid, _)| oid)
    }

    pub(crate) const fn size(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The kind of a public key, as far as the choice of an algorithm goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519: in CA certificates, never in a leaf.
    Ed25519,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// RSA.
    Rsa {
        /// The length of the modulus in whole bytes, times eight.
        bits: usize,
    },
}

/// A public key, borrowed from the certificate that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    kind: KeyKind,
    /// What the crypto provider takes: an `RSAPublicKey`, or a curve point without compression.
    bytes: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// The key in a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if it is not one, [`SignatureError::UnsupportedKey`] if its
    /// kind, size or parameters are others than those of [`KeyKind`]. That a point lies on its curve
    /// is checked when a signature is verified.
    pub fn from_spki(spki: &'a [u8]) -> Result<Self, SignatureError> {
        let mut reader = der::only(SEQUENCE, spki)?.reader();
        let (algorithm, parameters) = algorithm_identifier(reader.expect(SEQUENCE)?.content)?;
        let bytes = der::whole_bits(reader.expect(BIT_STRING)?.content)?;
        reader.finish()?;
        let kind = match (algorithm, parameters) {
            (oid::RSA_ENCRYPTION, oid::NULL) => KeyKind::Rsa { bits: rsa_bits(bytes)? },
            (oid::EC_PUBLIC_KEY, curve) => curve_of(curve, bytes)?,
            (oid::ED25519, []) if bytes.len() == 32 => KeyKind::Ed25519,
            _ => return Err(SignatureError::UnsupportedKey),
        };
        Ok(Self { kind, bytes })
    }

    /// The kind of the key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Nothing, if `signature` is by this key over `message`.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`]; [`SignatureError::UnsupportedAlgorithm`] if a key of this kind
    /// does not sign so.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let verifier = algorithm.verifier(self.kind).ok_or(SignatureError::UnsupportedAlgorithm)?;
        self.verify_with(verifier, message, signature)
    }

    fn verify_with(
        &self,
        verifier: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        UnparsedPublicKey::new(verifier, self.bytes)
            .verify(message, signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

/// An algorithm that signs certificates, revocation lists, OCSP responses or timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA, with the signature in DER.
    Ecdsa(Hash),
    /// Ed25519.
    Ed25519,
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS, MGF1 with the same hash, and a salt of the hash's length.
    RsaPss(Hash),
}

impl SignatureAlgorithm {
    /// The algorithm of a DER `AlgorithmIdentifier`.
    ///
    /// # Errors
    /// [`SignatureError::UnsupportedAlgorithm`] for SHA-1, MD5 and everything else that is no
    /// variant, [`SignatureError::Malformed`].
    pub fn from_identifier(identifier: &[u8]) -> Result<Self, SignatureError> {
        let (name, parameters) = algorithm_identifier(der::only(SEQUENCE, identifier)?.content)?;
        if name == oid::RSASSA_PSS {
            return pss_hash(parameters).map(Self::RsaPss);
        }
        let found = oid::SIGNATURES.iter().find(|(known, _)| *known == name);
        let (_, algorithm) = found.ok_or(SignatureError::UnsupportedAlgorithm)?;
        // RFC 4055, section 5: NULL for RSA. RFC 5758, section 3.2, RFC 8410, section 3: absent.
        match (algorithm, parameters) {
            (Self::RsaPkcs1(_), oid::NULL | []) | (Self::Ecdsa(_) | Self::Ed25519, []) => {
                Ok(*algorithm)
            }
            _ => Err(SignatureError::Malformed),
        }
    }

    fn verifier(self, key: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        use Hash::{Sha256, Sha384, Sha512};
        use KeyKind::{P256, P384, P521, Rsa};
        Some(match (self, key) {
            (Self::RsaPkcs1(Sha256), Rsa { .. }) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Self::RsaPkcs1(Sha384), Rsa { .. }) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Self::RsaPkcs1(Sha512), Rsa { .. }) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Self::RsaPss(Sha256), Rsa { .. }) => &signature::RSA_PSS_2048_8192_SHA256,
            (Self::RsaPss(Sha384), Rsa { .. }) => &signature::RSA_PSS_2048_8192_SHA384,
            (Self::RsaPss(Sha512), Rsa { .. }) => &signature::RSA_PSS_2048_8192_SHA512,
            (Self::Ecdsa(Sha256), P256) => &signature::ECDSA_P256_SHA256_ASN1,
            (Self::Ecdsa(Sha384), P256) => &signature::ECDSA_P256_SHA384_ASN1,
            (Self::Ecdsa(Sha512), P256) => &signature::ECDSA_P256_SHA512_ASN1,
            (Self::Ecdsa(Sha256), P384) => &signature::ECDSA_P384_SHA256_ASN1,
            (Self::Ecdsa(Sha384), P384) => &signature::ECDSA_P384_SHA384_ASN1,
            (Self::Ecdsa(Sha512), P384) => &signature::ECDSA_P384_SHA512_ASN1,
            (Self::Ecdsa(Sha256), P521) => &signature::ECDSA_P521_SHA256_ASN1,
            (Self::Ecdsa(Sha384), P521) => &signature::ECDSA_P521_SHA384_ASN1,
            (Self::Ecdsa(Sha512), P521) => &signature::ECDSA_P521_SHA512_ASN1,
            (Self::Ed25519, KeyKind::Ed25519) => &signature::ED25519,
            _ => return None,
        })
    }
}

/// One of the six algorithms that sign envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256, by a key of 2048 bits.
    Ps256,
    /// RSASSA-PSS with SHA-384, by a key of 3072 bits.
    Ps384,
    /// RSASSA-PSS with SHA-512, by a key of 4096 bits.
    Ps512,
}

impl Algorithm {
    /// All six, with their names in JWS (RFC 7518, section 3.1) and COSE (RFC 9053, section 2.1; RFC
    /// 8230, section 2).
    const ALL: [(Self, &'static str, i64); 6] = [
        (Self::Es256, "ES256", -7),
        (Self::Es384, "ES384", -35),
        (Self::Es512, "ES512", -36),
        (Self::Ps256, "PS256", -37),
        (Self::Ps384, "PS384", -38),
        (Self::Ps512, "PS512", -39),
    ];

    /// The one algorithm that a leaf's key may sign envelopes with.
    ///
    /// # Errors
    /// [`SignatureError::UnsupportedKey`] for keys that may not sign any: RSA of other sizes,
    /// Ed25519.
    pub const fn for_key(key: KeyKind) -> Result<Self, SignatureError> {
        match key {
            KeyKind::P256 => Ok(Self::Es256),
            KeyKind::P384 => Ok(Self::Es384),
            KeyKind::P521 => Ok(Self::Es512),
            KeyKind::Rsa { bits: 2048 } => Ok(Self::Ps256),
            KeyKind::Rsa { bits: 3072 } => Ok(Self::Ps384),
            KeyKind::Rsa { bits: 4096 } => Ok(Self::Ps512),
            _ => Err(SignatureError::UnsupportedKey),
        }
    }

    /// The hash of the algorithm, which is also the one of a blob's digest.
    pub const fn hash(self) -> Hash {
        match self {
            Self::Es256 | Self::Ps256 => Hash::Sha256,
            Self::Es384 | Self::Ps384 => Hash::Sha384,
            Self::Es512 | Self::Ps512 => Hash::Sha512,
        }
    }

    pub(crate) fn from_jws(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(algorithm, jws, _)| (jws == name).then_some(algorithm))
    }

    pub(crate) fn from_cose(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(algorithm, _, cose)| (cose == number).then_some(algorithm))
    }

    #[cfg(any(test, feature = "signer"))]
    pub(crate) fn jws_name(self) -> &'static str {
        Self::ALL.into_iter().find(|known| known.0 == self).map_or("", |(_, name, _)| name)
    }

    #[cfg(any(test, feature = "signer"))]
    pub(crate) fn cose_number(self) -> i64 {
        Self::ALL.into_iter().find(|known| known.0 == self).map_or(0, |(.., number)| number)
    }

    /// Nothing, if `signature`, as envelopes write it (ECDSA as r||s), is by `key` over `message`.
    pub(crate) fn verify(
        self,
        key: &PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if Self::for_key(key.kind)? != self {
            return Err(SignatureError::UnsupportedAlgorithm);
        }
        let verifier: &'static dyn VerificationAlgorithm = match self {
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        };
        key.verify_with(verifier, message, signature)
    }
}

/// The object identifier and the parameters (whole, empty if absent) of an `AlgorithmIdentifier`.
fn algorithm_identifier(content: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    let mut reader = Reader::new(content);
    let oid = reader.expect(OID)?.content;
    let parameters = if reader.is_empty() { &[][..] } else { reader.any()?.whole };
    reader.finish()?;
    Ok((oid, parameters))
}

/// The size of an `RSAPublicKey`, within what is accepted anywhere.
fn rsa_bits(key: &[u8]) -> Result<usize, SignatureError> {
    let mut reader = der::only(SEQUENCE, key)?.reader();
    let modulus = match reader.expect(INTEGER)?.content {
        [0, modulus @ ..] => modulus,
        modulus => modulus,
    };
    reader.expect(INTEGER)?;
    reader.finish()?;
    let bits = modulus.len().saturating_mul(8);
    if RSA_BITS.contains(&bits) { Ok(bits) } else { Err(SignatureError::UnsupportedKey) }
}

/// The kind of the key that `point` is, on the named curve `parameters`; uncompressed points only.
fn curve_of(parameters: &[u8], point: &[u8]) -> Result<KeyKind, SignatureError> {
    let curve = der::only(OID, parameters).map_err(|_| SignatureError::UnsupportedKey)?.content;
    let [0x04, coordinates @ ..] = point else { return Err(SignatureError::UnsupportedKey) };
    match (curve, coordinates.len()) {
        (oid::P256, 64) => Ok(KeyKind::P256),
        (oid::P384, 96) => Ok(KeyKind::P384),
        (oid::P521, 132) => Ok(KeyKind::P521),
        _ => Err(SignatureError::UnsupportedKey),
    }
}

/// The hash of `RSASSA-PSS-params` (RFC 4055, section 3.1) that use the same one in MGF1 and a salt
/// of its length. The defaults are SHA-1, so nothing may be left to them.
fn pss_hash(parameters: &[u8]) -> Result<Hash, SignatureError> {
    let unsupported = SignatureError::UnsupportedAlgorithm;
    let mut reader = der::only(SEQUENCE, parameters)?.reader();
    let hash = reader.optional(der::context(0))?.ok_or(unsupported)?;
    let hash = hash_identifier(hash.content)?;
    let mask = reader.optional(der::context(1))?.ok_or(unsupported)?;
    let (function, mask_hash) = algorithm_identifier(der::only(SEQUENCE, mask.content)?.content)?;
    let salt = reader.optional(der::context(2))?.ok_or(unsupported)?;
    let salt = der::small_integer(der::only(INTEGER, salt.content)?.content)?;
    if let Some(trailer) = reader.optional(der::context(3))?
        && der::small_integer(der::only(INTEGER, trailer.content)?.content)? != 1
    {
        return Err(unsupported);
    }
    reader.finish()?;
    let same = function == oid::MGF1 && hash_identifier(mask_hash)? == hash && salt == hash.size();
    if same { Ok(hash) } else { Err(unsupported) }
}

fn hash_identifier(identifier: &[u8]) -> Result<Hash, SignatureError> {
    match algorithm_identifier(der::only(SEQUENCE, identifier)?.content)? {
        (name, oid::NULL | []) => Hash::from_oid(name).ok_or(SignatureError::UnsupportedAlgorithm),
        _ => Err(SignatureError::Malformed),
    }
}

/// Sizes of RSA keys that anything may be signed with: below it is too weak; above, checking costs
/// more than any CA in use is worth, and the crypto provider stops there.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Object identifiers (content octets) of keys and signatures.
pub(crate) mod oid {
    use super::Hash::{Sha256, Sha384, Sha512};
    use super::SignatureAlgorithm::{self, Ecdsa, Ed25519, RsaPkcs1};

    /// An ASN.1 NULL, the parameters of RSA algorithms.
    pub(crate) const NULL: &[u8] = &[0x05, 0x00];

    pub(crate) const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    pub(crate) const MGF1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    pub(crate) const RSASSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    pub(crate) const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
    pub(crate) const ED25519: &[u8] = b"\x2b\x65\x70";
    pub(crate) const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
    pub(crate) const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
    #[cfg(any(test, feature = "signer"))]
    pub(crate) const CODE_SIGNING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x03";
    pub(crate) const P521: &[u8] = b"\x2b\x81\x04\x00\x23";

    /// All signature algorithms without parameters of their own.
    pub(crate) const SIGNATURES: [(&[u8], SignatureAlgorithm); 7] = [
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", RsaPkcs1(Sha256)),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", RsaPkcs1(Sha384)),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", RsaPkcs1(Sha512)),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Ecdsa(Sha256)),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Ecdsa(Sha384)),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Ecdsa(Sha512)),
        (ED25519, Ed25519),
    ];
}

#[cfg(test)]
mod tests;
