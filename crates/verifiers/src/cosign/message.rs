//! What a signature is over, with the hashes that keys sign: each is made once, however many keys
//! and signatures there are, for the message may be large and all of them a stranger's.

use std::borrow::Cow;
use std::sync::OnceLock;

use assay_core::HashAlgorithm;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use ed25519_dalek::{Digest, Sha512};

/// Bytes that are signed.
#[derive(Debug)]
pub(super) struct Message<'a> {
    bytes: Cow<'a, [u8]>,
    sha256: OnceLock<digest::Digest>,
    sha384: OnceLock<digest::Digest>,
    sha512: OnceLock<digest::Digest>,
    prehash: OnceLock<Sha512>,
}

impl<'a> Message<'a> {
    /// The message of these bytes.
    pub(super) fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            sha256: OnceLock::new(),
            sha384: OnceLock::new(),
            sha512: OnceLock::new(),
            prehash: OnceLock::new(),
        }
    }

    /// What a DSSE signature signs, the pre-authentication encoding: the payload and its type, so
    /// joined that neither can be taken for the other.
    pub(super) fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Self {
        let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
        Self::new([head.as_bytes(), payload].concat())
    }

    /// The bytes themselves.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their hash.
    pub(super) fn hash(&self, algorithm: HashAlgorithm) -> &digest::Digest {
        let (hash, algorithm) = match algorithm {
            HashAlgorithm::Sha256 => (&self.sha256, &SHA256),
            HashAlgorithm::Sha384 => (&self.sha384, &SHA384),
            HashAlgorithm::Sha512 => (&self.sha512, &SHA512),
        };
        hash.get_or_init(|| digest::digest(algorithm, &self.bytes))
    }

    /// A hash that has taken them in, as Ed25519ph asks for.
    pub(super) fn prehash(&self) -> Sha512 {
        self.prehash.get_or_init(|| Sha512::new_with_prefix(&self.bytes)).clone()
    }
}
