//! Signatures as Cosign 2 stores them: each is a layer of the image at the tag
//! `sha256-<hex>.sig`, or of a manifest that refers to the image; the layer's content is what is
//! signed, its annotation the signature.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use assay_core::{Descriptor, Digest, ReasonCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::claims::{Annotations, Criteria};
use super::flaw::{Flaw, Verdict};
use super::keys::STRANGER;
use super::message::Message;

/// The artifact type of this form: of referrers, and in reports.
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

/// The tag of the signatures of the image with this digest.
pub(super) fn tag(image: &Digest) -> String {
    format!("{}-{}.sig", image.algorithm().as_str(), image.hex())
}

/// Whether this layer is a payload.
pub(super) fn is_payload(layer: &Descriptor) -> bool {
    layer.media_type == LAYER_TYPE
}

/// The payloads among `layers`, in their order, with at most `signatures_max` signatures in all, and
/// whether there are more.
///
/// Layers of one digest are one payload under several signatures: that is how two signers of one
/// image look, so none is dropped.
pub(super) fn payloads(
    layers: Vec<Descriptor>,
    signatures_max: usize,
) -> (Vec<SignedPayload>, bool) {
    let mut signed = layers.into_iter().filter(is_payload).filter_map(|mut layer| {
        let signature = layer.annotations.remove(SIGNATURE_ANNOTATION)?;
        Some((layer.digest, signature))
    });
    let mut payloads: Vec<SignedPayload> = Vec::new();
    for (digest, signature) in signed.by_ref().take(signatures_max) {
        match payloads.iter_mut().find(|known| known.digest == digest) {
            Some(known) => known.signatures.push(signature),
            None => payloads.push(SignedPayload { digest, signatures: vec![signature] }),
        }
    }
    (payloads, signed.next().is_some())
}

/// The payload. Members that are not known are refused, as the format asks for `critical`; the name
/// under which the image was signed is not looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    optional: Option<Annotations>,
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

/// Who signed the image by `signature`, base64, over `payload`.
///
/// 1. The signature verifies over the payload, by one of the keys, which counts now.
/// 2. The payload is a simple signing document of Cosign's type (which Cosign itself does not look
///    at), and names the image's digest.
/// 3. It has the annotations that are asked for.
///
/// # Errors
/// [`Flaw`], by the first step that fails. Without a hint of the key, a stranger's signature and a
/// corrupted one look the same.
pub(super) fn verify(payload: &Message<'_>, signature: &str, criteria: Criteria<'_>) -> Verdict {
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| Flaw::invalid("a signature annotation is not base64"))?;
    let signer = criteria.keys.signer(payload, &signature, criteria.now).ok_or(STRANGER)??;
    let Payload { critical, optional } = serde_json::from_slice(payload.bytes())
        .map_err(|_| Flaw::invalid("the signed payload is not a simple signing document"))?;
    if critical.kind != CRITICAL_TYPE {
        return Err(Flaw::invalid("the signed payload is of another type"));
    }
    if critical.image.digest != *criteria.subject {
        return Err(OTHER_DIGEST);
    }
    criteria.check_annotations(optional.as_ref())?;
    Ok(signer)
}

const OTHER_DIGEST: Flaw =
    Flaw::rejected(ReasonCode::SubjectMismatch, "the signed payload names another digest");
