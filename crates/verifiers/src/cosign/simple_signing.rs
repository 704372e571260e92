//! Signatures as Cosign 2 stores them: each is a layer of the image at the tag
//! `sha256-<hex>.sig`; the layer's content is what is signed, its annotation the signature.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use assay_core::{Digest, Manifest, ReasonCode};
use aws_lc_rs::digest::{self, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::flaw::{Flaw, Verdict};
use super::keys::Keys;

/// The artifact type by which reports name this form.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

const LAYER_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const CRITICAL_TYPE: &str = "cosign container image signature";

/// One payload with every signature over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedPayload {
    /// The payload's digest.
    pub(super) digest: Digest,
    /// The signatures, base64.
    pub(super) signatures: Vec<String>,
}

impl SignedPayload {
    /// For each signature in turn, who made it, where `payload` is about `subject`.
    pub(super) fn verify(&self, payload: &[u8], subject: &Digest, keys: &Keys) -> Vec<Verdict> {
        // Once, for any number of signatures may stand over one large payload.
        let hash = digest::digest(&SHA256, payload);
        let verify = |signature: &String| {
            let signer = signer(&hash, signature, keys)?;
            check(payload, subject)?;
            Ok(signer)
        };
        self.signatures.iter().map(verify).collect()
    }
}

/// The tag of the signatures of the image with this digest.
pub(super) fn tag(image: &Digest) -> String {
    format!("{}-{}.sig", image.algorithm().as_str(), image.hex())
}

/// The payloads that the signature image names, in its order, with at most `signatures_max`
/// signatures in all, and whether there are more.
///
/// Layers of one digest are one payload under several signatures: that is how two signers of one
/// image look, so none is dropped.
///
/// # Errors
/// [`Flaw`] where this is no image manifest.
pub(super) fn payloads(
    manifest: &[u8],
    signatures_max: usize,
) -> Result<(Vec<SignedPayload>, bool), Flaw> {
    let Ok(Manifest::Image { layers, .. }) = Manifest::parse(manifest) else {
        return Err(Flaw::invalid("the signature tag holds no image manifest"));
    };
    let mut signed = layers.into_iter().filter(|layer| layer.media_type == LAYER_TYPE).filter_map(
        |mut layer| {
            let signature = layer.annotations.remove(SIGNATURE_ANNOTATION)?;
            Some((layer.digest, signature))
        },
    );
    let mut payloads: Vec<SignedPayload> = Vec::new();
    for (digest, signature) in signed.by_ref().take(signatures_max) {
        match payloads.iter_mut().find(|known| known.digest == digest) {
            Some(known) => known.signatures.push(signature),
            None => payloads.push(SignedPayload { digest, signatures: vec![signature] }),
        }
    }
    Ok((payloads, signed.next().is_some()))
}

/// The payload. Members that are not known are refused, as the format asks for `critical`; what is
/// `optional`, and the name under which the image was signed, are not looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    #[serde(rename = "identity")]
    _identity: Identity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    _docker_reference: Option<String>,
}

/// Who made `signature`, base64, over the payload with this hash.
///
/// # Errors
/// [`Flaw`]. Without a hint of the key, a stranger's signature and a corrupted one look the same.
fn signer(hash: &digest::Digest, signature: &str, keys: &Keys) -> Verdict {
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| Flaw::invalid("a signature annotation is not base64"))?;
    keys.signer(hash, &signature).cloned().ok_or(STRANGER)
}

/// Nothing, where a payload, whose signature is verified already, is a simple signing document of
/// Cosign's type (which Cosign itself does not look at) and names the subject's digest.
///
/// # Errors
/// [`Flaw`], by what is wrong first.
fn check(payload: &[u8], subject: &Digest) -> Result<(), Flaw> {
    let critical = serde_json::from_slice::<Payload>(payload)
        .map_err(|_| Flaw::invalid("the signed payload is not a simple signing document"))?
        .critical;
    if critical.kind != CRITICAL_TYPE {
        return Err(Flaw::invalid("the signed payload is of another type"));
    }
    if critical.image.digest != *subject {
        return Err(Flaw::rejected(
            ReasonCode::SubjectMismatch,
            "the signed payload names another digest",
        ));
    }
    Ok(())
}

/// What no key has signed.
const STRANGER: Flaw =
    Flaw::rejected(ReasonCode::KeyMismatch, "the signature verifies by none of the keys");
