//! A signer for tests and demonstrations: both envelope formats, all algorithms, all attributes, and
//! a maker of certificates. No network: a timestamp comes from a function of the caller's, who may
//! send a [`TimestampQuery`] to an authority.

mod certificate;
pub(crate) mod cose;
pub mod der;
mod jws;
mod key;
mod pki;

use jiff::Timestamp;

pub use certificate::{
    CertificateTemplate, CertifiedKey, algorithm_identifier, basic_constraints, extended_key_usage,
    key_usage, name,
};
pub use cose::seal as seal_cose;
pub use jws::seal as seal_jws;
pub use key::SigningKey;
pub use pki::Pki;

pub use crate::timestamp::query::{TimestampQuery, TimestampReplyError};

use crate::EnvelopeFormat;
use crate::algorithm::Algorithm;
use crate::certificate::{Certificate, CertificateError};
use crate::envelope::{Envelope, EnvelopeError, SigningScheme};
use crate::payload::TargetArtifact;

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// A certificate came out as none that can be read.
    #[error("{0}")]
    Certificate(CertificateError),
    /// The envelope that was made is not intact.
    #[error("the envelope is not intact: {0}")]
    Envelope(EnvelopeError),
    /// An extended attribute has the name of a header that has a meaning.
    #[error("an extended attribute has the name of a header that has a meaning")]
    ExtendedAttribute,
    /// The key cannot sign this.
    #[error("the key cannot sign this")]
    Key,
    /// User metadata with a key that begins with `io.cncf.notary`, which is reserved.
    #[error("user metadata has a key that begins with {RESERVED_PREFIX}, which is reserved")]
    Metadata,
    /// The signing time is not within the validity of every certificate, or before 1970.
    #[error("the signing time is not within the validity of every certificate")]
    SigningTime,
    /// No timestamp was made, or one was asked for where the scheme uses none.
    #[error("no timestamp was made, or the scheme uses none")]
    Timestamp,
}

/// Makes the timestamp token of a signature; none if it fails. [`TimestampQuery`] is of help.
pub type Timestamper<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// What to sign, and how.
#[derive(Clone)]
pub struct SignRequest<'a> {
    /// The format of the envelope.
    pub format: EnvelopeFormat,
    /// The payload; see [`payload`].
    pub payload: &'a [u8],
    /// The signing scheme.
    pub scheme: SigningScheme,
    /// The time of signing, cut to seconds.
    pub signing_time: Timestamp,
    /// When the signature stops to count, cut to seconds.
    pub expiry: Option<Timestamp>,
    /// Further protected headers: name, text, and whether they are critical.
    pub extended: &'a [(&'a str, &'a str, bool)],
    /// The program that signs.
    pub signing_agent: Option<&'a str>,
    /// What makes a timestamp, under [`SigningScheme::X509`] only.
    pub timestamper: Option<Timestamper<'a>>,
}

impl<'a> SignRequest<'a> {
    /// A request with nothing but what must be there.
    pub const fn new(format: EnvelopeFormat, payload: &'a [u8], signing_time: Timestamp) -> Self {
        Self {
            format,
            payload,
            scheme: SigningScheme::X509,
            signing_time,
            expiry: None,
            extended: &[],
            signing_agent: None,
            timestamper: None,
        }
    }

    /// The envelope that `key` signs; `chain`, leaf first, goes with it. It is verified as a verifier
    /// would, up to trust.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn sign(&self, key: &SigningKey, chain: &[Certificate]) -> Result<Vec<u8>, SignerError> {
        let algorithm = Algorithm::for_key(key.kind()).map_err(|_| SignerError::Key)?;
        if self.timestamper.is_some() && self.scheme == SigningScheme::X509SigningAuthority {
            return Err(SignerError::Timestamp);
        }
        if self.extended.iter().any(|(name, ..)| STANDARD_HEADERS.contains(name)) {
            return Err(SignerError::ExtendedAttribute);
        }
        if !chain.iter().all(|certificate| certificate.is_valid_at(self.signing_time)) {
            return Err(SignerError::SigningTime);
        }
        let unsigned =
            Unsigned { chain, signing_agent: self.signing_agent, timestamper: self.timestamper };
        let envelope = match self.format {
            EnvelopeFormat::Cose => {
                let protected = cose::protected(self, algorithm)?;
                cose::seal(&protected, self.payload, key, &unsigned)?
            }
            EnvelopeFormat::Jws => {
                let protected = jws::protected(self, algorithm);
                jws::seal(&protected, self.payload, key, &unsigned)?
            }
        };
        Envelope::parse(self.format, &envelope)
            .and_then(Envelope::verify_integrity)
            .map_err(SignerError::Envelope)?;
        Ok(envelope)
    }
}

/// What an envelope holds besides what is signed.
#[derive(Clone, Copy)]
pub struct Unsigned<'a> {
    /// The certificates, leaf first.
    pub chain: &'a [Certificate],
    /// The program that signs.
    pub signing_agent: Option<&'a str>,
    /// What makes a timestamp.
    pub timestamper: Option<Timestamper<'a>>,
}

impl Unsigned<'_> {
    fn timestamp(&self, signature: &[u8]) -> Result<Option<Vec<u8>>, SignerError> {
        self.timestamper.map(|make| make(signature).ok_or(SignerError::Timestamp)).transpose()
    }
}

/// The payload that names `target`, as JSON.
///
/// # Errors
/// [`SignerError::Metadata`].
pub fn payload(target: &TargetArtifact) -> Result<Vec<u8>, SignerError> {
    if target.annotations.keys().any(|key| key.starts_with(RESERVED_PREFIX)) {
        return Err(SignerError::Metadata);
    }
    let mut descriptor = serde_json::json!({
        "mediaType": target.media_type,
        "digest": target.digest,
        "size": target.size,
    });
    if let Some(members) = descriptor.as_object_mut() {
        if !target.annotations.is_empty() {
            members.insert("annotations".into(), serde_json::json!(target.annotations));
        }
        if let Some(artifact_type) = &target.artifact_type {
            members.insert("artifactType".into(), artifact_type.as_str().into());
        }
    }
    Ok(serde_json::json!({ "targetArtifact": descriptor }).to_string().into_bytes())
}

const RESERVED_PREFIX: &str = "io.cncf.notary";

const STANDARD_HEADERS: [&str; 7] = [
    "alg",
    "cty",
    "crit",
    "io.cncf.notary.signingScheme",
    "io.cncf.notary.signingTime",
    "io.cncf.notary.authenticSigningTime",
    "io.cncf.notary.expiry",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::algorithm::KeyKind;

    fn target(key: &str) -> TargetArtifact {
        TargetArtifact {
            media_type: "m".to_owned(),
            digest: "sha256:0".to_owned(),
            size: 7,
            annotations: BTreeMap::from([(key.to_owned(), "b".to_owned())]),
            artifact_type: Some("t".to_owned()),
        }
    }

    #[test]
    fn writes_payloads_that_a_verifier_reads() {
        let target = target("a");
        assert_eq!(TargetArtifact::parse(&payload(&target).unwrap()), Ok(target));
    }

    #[test]
    fn refuses_user_metadata_of_reserved_names() {
        assert_eq!(payload(&target("io.cncf.notary.x")), Err(SignerError::Metadata));
        assert!(payload(&target("io.cncf.notar")).is_ok());
    }

    #[test]
    fn reads_back_every_private_key_and_no_other_kind() {
        let rsa = KeyKind::Rsa { bits: 2048 };
        let kinds = [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::P521, rsa];
        for kind in kinds {
            let key = SigningKey::generate(kind).unwrap();
            let pkcs8 = key.to_pkcs8().unwrap();
            for other in kinds.into_iter().chain([KeyKind::Rsa { bits: 3072 }]) {
                let read = SigningKey::from_pkcs8(other, &pkcs8).map(|read| read.spki());
                let expect = if other == kind { Ok(key.spki()) } else { Err(SignerError::Key) };
                assert_eq!(read, expect, "{kind:?} as {other:?}");
            }
        }
        let size = SigningKey::generate(KeyKind::Rsa { bits: 2560 });
        assert_eq!(size.map(drop), Err(SignerError::Key));
    }
}
