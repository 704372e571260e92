//! The public keys that a verifier trusts, and when.

use std::collections::BTreeSet;

use assay_core::{
    ConfigError, CosignConfig, Digest, KeyConfig, ReasonCode, SignerId, TrustMaterial,
    TrustStoreKind, Validity,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::KIND;
use super::fingerprint::Fingerprint;
use super::flaw::{Flaw, Verdict};
use super::message::Message;
use super::pem::{self, PemError};
use super::public_key::{PublicKey, PublicKeyError};

/// Keys of one verifier: each candidate is tried against each. (Architecture, "Limits".)
const KEYS_MAX: usize = 50;

/// The keys of one verifier; there is at least one, and none stands twice with one hash.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Vec<Key>,
    stores: String,
    fingerprint: Digest,
}

/// Who made a good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    /// The key.
    pub(super) id: SignerId,
    /// Until when it counts; [`Timestamp::MAX`] for good.
    pub(super) valid_until: Timestamp,
}

#[derive(Debug)]
struct Key {
    id: SignerId,
    /// How a Sigstore bundle names the key: the SHA-256 hash of its DER form, base64.
    hint: String,
    public: PublicKey,
    /// The stores that hold it; any of them will do.
    grants: Vec<Grant>,
}

/// That a store holds a key.
#[derive(Clone, Debug)]
struct Grant {
    store: String,
    validity: Validity,
}

impl Keys {
    /// The keys that `config` names in `material`.
    ///
    /// # Errors
    /// [`ConfigError`] at the store that is missing, empty, or holds anything else than public keys
    /// that are supported, or at all of them where they are none or too many.
    pub(super) fn new(
        config: &CosignConfig,
        material: &TrustMaterial,
    ) -> Result<Self, ConfigError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut fingerprint = Fingerprint::new(config);
        for (index, source) in config.keys.iter().enumerate() {
            let (read, validity) =
                read(source, material).map_err(|error| error.at(index, source))?;
            let names: Vec<String> = read.iter().map(|key| key.id.to_string()).collect();
            fingerprint.add_store(&names, validity);
            for key in read {
                match keys.iter_mut().find(|known| known.is(&key)) {
                    Some(known) => known.grants.extend(key.grants),
                    None => keys.push(key),
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

    /// Who made `signature` over `message`, if one of the keys did, and whether that key counts at
    /// `now`. Nothing proves when a key's signature was made, so `now` is the time that counts.
    pub(super) fn signer(
        &self,
        message: &Message<'_>,
        signature: &[u8],
        now: Timestamp,
    ) -> Option<Verdict> {
        let key = self.keys.iter().find(|key| key.public.made(signature, message))?;
        Some(key.at(now))
    }

    /// Whether a bundle's hint names one of the keys.
    pub(super) fn has_hint(&self, hint: &str) -> bool {
        self.keys.iter().any(|key| key.hint == hint)
    }

    /// How many different ones count at `now`.
    pub(super) fn count(&self, now: Timestamp) -> usize {
        let valid = self.keys.iter().filter(|key| key.at(now).is_ok());
        valid.map(|key| &key.id).collect::<BTreeSet<_>>().len()
    }

    /// The names of the stores that they come from, for messages.
    pub(super) fn stores(&self) -> &str {
        &self.stores
    }

    /// The hash of the configuration, of the keys and of the names that messages show.
    pub(super) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }
}

impl Key {
    fn parse(der: &[u8], entry: &KeyConfig, grant: Grant) -> Result<Self, PublicKeyError> {
        let public = PublicKey::parse(der, entry.hash_algorithm)?;
        let id = SignerId(Digest::sha256(der));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        Ok(Self { id, hint: STANDARD.encode(hash), public, grants: vec![grant] })
    }

    fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.public.hash() == other.public.hash()
    }

    /// The signer, until the last store that holds the key at `now` lets it go.
    ///
    /// # Errors
    /// [`Flaw`] where none does.
    fn at(&self, now: Timestamp) -> Verdict {
        let valid = self.grants.iter().filter(|grant| grant.flaw(now).is_none());
        let ends = valid.map(|grant| grant.validity.not_after.unwrap_or(Timestamp::MAX));
        match ends.max() {
            Some(valid_until) => Ok(Signer { id: self.id.clone(), valid_until }),
            None => Err(self.grants.iter().find_map(|grant| grant.flaw(now)).unwrap_or(STRANGER)),
        }
    }
}

impl Grant {
    /// Why it does not hold at `now`, if it does not.
    fn flaw(&self, now: Timestamp) -> Option<Flaw> {
        let Validity { not_before, not_after } = self.validity;
        let cause = match (not_before, not_after) {
            (Some(start), _) if now < start => format!("key not yet valid, but from {start} on"),
            (_, Some(end)) if now > end => format!("key expired at {end}"),
            _ => return None,
        };
        let message = format!("signed by a key of {}: {cause}", self.store);
        Some(Flaw::because(ReasonCode::KeyMismatch, cause).with_message(message))
    }
}

/// What no key has signed.
pub(super) const STRANGER: Flaw =
    Flaw::rejected(ReasonCode::KeyMismatch, "the signature verifies by none of the keys");

fn store_names(entries: &[KeyConfig]) -> String {
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.source.name()).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names.join(", ")
}

/// What is wrong with a trust store, to be read after its name. It repeats nothing of the store,
/// which may hold a private key by mistake.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum StoreError {
    #[error("holds {0}")]
    Key(#[from] PublicKeyError),
    #[error("is missing")]
    Missing,
    #[error("holds {0}")]
    Pem(#[from] PemError),
}

impl StoreError {
    fn at(&self, index: usize, entry: &KeyConfig) -> ConfigError {
        let member = match self {
            Self::Key(PublicKeyError::HashOfEd25519) => "hashAlgorithm",
            _ => "trustStore",
        };
        ConfigError {
            field: format!("{KIND}.keys[{index}].{member}"),
            reason: format!("trust store '{}' {self}", entry.source.name()),
        }
    }
}

/// The keys of one store, and when they count.
fn read(entry: &KeyConfig, material: &TrustMaterial) -> Result<(Vec<Key>, Validity), StoreError> {
    let store =
        material.store(&entry.source, TrustStoreKind::PublicKeys).ok_or(StoreError::Missing)?;
    let grant = Grant { store: entry.source.name().to_owned(), validity: store.validity };
    let parse = |der: &Vec<u8>| Key::parse(der, entry, grant.clone());
    let keys: Result<_, _> = pem::public_keys(&store.bytes)?.iter().map(parse).collect();
    Ok((keys?, store.validity))
}
