//! The public keys that a verifier trusts: PEM in, ECDSA P-256 keys out, and nothing else.

use assay_core::{ConfigError, CosignConfig, Digest, KeySource, SignerId, TrustMaterial};
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::KIND;

/// Keys of one verifier: each candidate is tried against each. (Architecture, "Limits".)
const KEYS_MAX: usize = 50;

/// The keys of one verifier; there is at least one, and none stands twice.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Vec<Key>,
    stores: String,
    fingerprint: Digest,
}

#[derive(Debug)]
struct Key {
    signer: SignerId,
    /// How a Sigstore bundle names the key: the SHA-256 hash of its DER form, base64.
    hint: String,
    public: ParsedPublicKey,
}

impl Keys {
    /// The keys that `config` names in `material`.
    ///
    /// # Errors
    /// [`ConfigError`] at the store that is missing, empty, or holds anything else than P-256
    /// public keys, or at all of them where they are none or too many.
    pub(super) fn new(
        config: &CosignConfig,
        material: &TrustMaterial,
    ) -> Result<Self, ConfigError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut fingerprint = Fingerprint::default();
        for (index, source) in config.keys.iter().enumerate() {
            fingerprint.add(scope(source));
            fingerprint.add(source.name());
            for key in read(source, material).map_err(|error| ConfigError {
                field: format!("{KIND}.keys[{index}].trustStore"),
                reason: format!("trust store '{}' {error}", source.name()),
            })? {
                fingerprint.add(&key.signer.to_string());
                if !keys.iter().any(|known| known.signer == key.signer) {
                    keys.push(key);
                }
            }
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(ConfigError {
                field: format!("{KIND}.keys"),
                reason: format!("{} keys: give 1 to {KEYS_MAX}", keys.len()),
            });
        }
        Ok(Self { keys, stores: store_names(&config.keys), fingerprint: fingerprint.digest() })
    }

    /// Which key made `signature` (ASN.1 DER) over the message with this SHA-256 hash, if any did.
    ///
    /// It takes the hash so that a large message is hashed once, however many keys there are.
    pub(super) fn signer(&self, hash: &digest::Digest, signature: &[u8]) -> Option<&SignerId> {
        let signed = |key: &&Key| key.public.verify_digest_sig(hash, signature).is_ok();
        self.keys.iter().find(signed).map(|key| &key.signer)
    }

    /// Whether a bundle's hint names one of the keys.
    pub(super) fn has_hint(&self, hint: &str) -> bool {
        self.keys.iter().any(|key| key.hint == hint)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// The names of the stores that they come from, for messages.
    pub(super) fn stores(&self) -> &str {
        &self.stores
    }

    /// The hash of the keys and of the names that messages show.
    pub(super) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }
}

fn store_names(sources: &[KeySource]) -> String {
    let names: Vec<&str> = sources.iter().map(KeySource::name).collect();
    names.join(", ")
}

fn scope(source: &KeySource) -> &'static str {
    match source {
        KeySource::ClusterTrustStore(_) => "cluster",
        KeySource::TrustStore(_) => "namespace",
    }
}

/// What a fingerprint hashes: parts with their lengths before them, so that no two lists of parts
/// run together to the same bytes.
struct Fingerprint(Vec<u8>);

impl Default for Fingerprint {
    fn default() -> Self {
        let mut empty = Self(Vec::new());
        empty.add(KIND);
        empty.add(FINGERPRINT_VERSION);
        empty
    }
}

impl Fingerprint {
    fn add(&mut self, part: &str) {
        self.0.extend_from_slice(&part.len().to_be_bytes());
        self.0.extend_from_slice(part.as_bytes());
    }

    fn digest(&self) -> Digest {
        Digest::sha256(&self.0)
    }
}

/// Raised when the same configuration and keys come to verify otherwise.
const FINGERPRINT_VERSION: &str = "1";

/// What is wrong with a trust store, to be read after its name. It repeats nothing of the store,
/// which may hold a private key by mistake.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum KeyError {
    #[error("holds a PEM block that is cut short or not base64")]
    Block,
    #[error("holds no key: give one PEM block PUBLIC KEY or more")]
    Empty,
    #[error("holds {0}: only ECDSA P-256 is supported")]
    Kind(&'static str),
    #[error("is missing")]
    Missing,
    #[error("holds a PEM block of another kind: only PUBLIC KEY is supported")]
    OtherBlock,
    #[error("holds an ECDSA P-256 key that is not a point of the curve")]
    Point,
    #[error("holds a private key: give the public key, and consider the private one as leaked")]
    PrivateKey,
    #[error("holds text outside of its PEM blocks: only comments after '#' may stand there")]
    Text,
}

fn read(source: &KeySource, material: &TrustMaterial) -> Result<Vec<Key>, KeyError> {
    let store = material.store(source).ok_or(KeyError::Missing)?;
    let text = str::from_utf8(&store.bytes).map_err(|_| KeyError::Text)?;
    let blocks = pem_blocks(text)?;
    if blocks.is_empty() {
        return Err(KeyError::Empty);
    }
    blocks.iter().map(|der| Key::parse(der)).collect()
}

/// The content of every `PUBLIC KEY` block (RFC 7468, section 13). Between blocks there are blank
/// lines and lines that begin with `#`; anything else is a mistake that might hide a key.
fn pem_blocks(text: &str) -> Result<Vec<Vec<u8>>, KeyError> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        match line {
            "-----BEGIN PUBLIC KEY-----" => blocks.push(pem_content(&mut lines)?),
            _ if line.starts_with('#') => {}
            _ if line.contains("PRIVATE KEY") => return Err(KeyError::PrivateKey),
            _ if line.starts_with("-----BEGIN ") => return Err(KeyError::OtherBlock),
            _ => return Err(KeyError::Text),
        }
    }
    Ok(blocks)
}

fn pem_content<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<u8>, KeyError> {
    let mut content = String::new();
    for line in lines {
        if line == "-----END PUBLIC KEY-----" {
            return STANDARD.decode(content).map_err(|_| KeyError::Block);
        }
        content.push_str(line);
    }
    Err(KeyError::Block)
}

impl Key {
    /// The key in `der`, a SubjectPublicKeyInfo (RFC 5480, section 2).
    fn parse(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() != P256_BYTES || !der.starts_with(&P256_HEAD) {
            return Err(KeyError::Kind(kind_name(der)));
        }
        let hash = digest::digest(&SHA256, der);
        Ok(Self {
            signer: SignerId(Digest::sha256(der)),
            hint: STANDARD.encode(hash),
            public: ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der)
                .map_err(|_| KeyError::Point)?,
        })
    }
}

/// A P-256 key up to its coordinates: the algorithm id-ecPublicKey, the curve secp256r1, and the
/// mark of an uncompressed point. There is one DER form of it, so it is compared, not parsed.
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// Bytes of a P-256 key: the head and two coordinates of 32 bytes.
const P256_BYTES: usize = P256_HEAD.len().saturating_add(64);

/// The name of the kind of key that `der` seems to hold, for an error.
fn kind_name(der: &[u8]) -> &'static str {
    OTHER_KINDS
        .iter()
        .find(|(oid, _)| der.windows(oid.len()).any(|window| window == *oid))
        .map_or("a key of another kind", |(_, name)| name)
}

/// The object identifiers, in DER, of the keys that people have.
const OTHER_KINDS: [(&[u8], &str); 5] = [
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "an RSA key"),
    (b"\x06\x05\x2b\x81\x04\x00\x22", "an ECDSA P-384 key"),
    (b"\x06\x05\x2b\x81\x04\x00\x23", "an ECDSA P-521 key"),
    (b"\x06\x05\x2b\x81\x04\x00\x0a", "a secp256k1 key"),
    (b"\x06\x03\x2b\x65\x70", "an Ed25519 key"),
];
