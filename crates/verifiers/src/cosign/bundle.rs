//! Signatures as Cosign 3 stores them: a Sigstore bundle, the one layer of a manifest whose
//! `subject` is the image; in it a DSSE envelope around an in-toto statement.
//!
//! Specifications: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>,
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>,
//! <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use assay_core::{Descriptor, Digest, ReasonCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claims::Criteria;
use super::flaw::{Flaw, Verdict};
use super::message::Message;
use super::statement::{self, SIGN_PREDICATE_TYPE};

/// The type of a bundle: of the artifact, of its layer, and inside. Nothing but v0.3 is read, for
/// the type is not signed, and older versions ask for fewer proofs.
pub(super) const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const BUNDLE_TYPE_FAMILY: &str = "application/vnd.dev.sigstore.bundle";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// Whether a referrer of this artifact type may be a bundle. Some registries list no artifact type,
/// or that of the empty configuration; for these, the manifest's layers tell.
pub(super) fn may_be_bundle(artifact_type: &str) -> bool {
    matches!(artifact_type, "" | EMPTY_TYPE) || artifact_type.starts_with(BUNDLE_TYPE_FAMILY)
}

/// Whether this layer is a bundle, of whatever version.
pub(super) fn is_bundle(layer: &Descriptor) -> bool {
    layer.media_type.starts_with(BUNDLE_TYPE_FAMILY)
}

/// Where a referrer stands in line, the likeliest signature first: by artifact type, by the
/// predicate type that its annotation claims, and by size. Hints order; they never accept.
pub(super) fn precedence(referrer: &Descriptor) -> impl Ord + use<> {
    let predicate_type = referrer.annotations.get(PREDICATE_TYPE_ANNOTATION);
    let claims_signature = predicate_type.is_some_and(|kind| kind == SIGN_PREDICATE_TYPE);
    (
        Reverse(referrer.artifact_type.as_deref() == Some(BUNDLE_TYPE)),
        Reverse(claims_signature),
        predicate_type.is_some(),
        referrer.size,
    )
}

/// The bundle that a referrer's manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// The bundle's digest.
    pub(super) digest: Digest,
    /// Whether the manifest says that the bundle is an attestation: a hint, which may name a
    /// reason and nothing more.
    claims_attestation: bool,
}

impl Layer {
    /// The bundle among the layers of a referrer with these annotations.
    ///
    /// # Errors
    /// [`Flaw`]: there is not exactly one bundle, or it is not of v0.3.
    pub(super) fn of(
        layers: Vec<Descriptor>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Flaw> {
        let mut bundles = layers.into_iter().filter(is_bundle);
        let claims_attestation = annotations
            .get(PREDICATE_TYPE_ANNOTATION)
            .is_some_and(|kind| kind != SIGN_PREDICATE_TYPE);
        match (bundles.next(), bundles.next()) {
            (None, _) => Err(Flaw::NOT_A_SIGNATURE),
            (Some(layer), None) if layer.media_type == BUNDLE_TYPE => {
                Ok(Self { digest: layer.digest, claims_attestation })
            }
            (Some(_), None) => Err(Flaw::invalid("a bundle of another version than 0.3")),
            (Some(_), Some(_)) => Err(Flaw::invalid("a referrer with several bundles")),
        }
    }

    /// Why a bundle that none of the keys has signed does not count.
    fn stranger(&self) -> Flaw {
        if self.claims_attestation {
            return Flaw::NOT_A_SIGNATURE;
        }
        Flaw::rejected(ReasonCode::KeyMismatch, "the bundle verifies by none of the keys")
    }
}

/// The parts of a bundle that a key's signature rests on. Log entries and timestamps are unknown
/// members here, which are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<PublicKey>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct PublicKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

/// Who signed the image by the bundle in `bytes`.
///
/// 1. The bundle says that it is one of v0.3, and holds a DSSE envelope: a signature over a bare
///    message, such as `cosign sign-blob` makes of a manifest, is not one of an image.
/// 2. It is to be verified by a key, not a certificate.
/// 3. The envelope has exactly one signature, over an in-toto statement.
/// 4. That signature verifies over the payload and its type, by one of the keys, which counts now.
/// 5. The statement says that the image is signed, with the annotations that are asked for.
///
/// # Errors
/// [`Flaw`], by the first step that fails. A bundle that names one of the keys, and that this key
/// did not sign, is a corrupted signature; any other is a stranger's.
pub(super) fn verify(bytes: &[u8], layer: &Layer, criteria: Criteria<'_>) -> Verdict {
    let bundle: Bundle =
        serde_json::from_slice(bytes).map_err(|_| Flaw::invalid("a bundle is malformed"))?;
    if bundle.media_type != BUNDLE_TYPE {
        return Err(Flaw::invalid("a bundle of another version than 0.3"));
    }
    let (Some(envelope), None) = (bundle.dsse_envelope, bundle.message_signature) else {
        return Err(Flaw::invalid("a bundle without a DSSE envelope alone"));
    };
    let material = bundle.verification_material;
    let (Some(key), None, None) =
        (material.public_key, material.certificate, material.x509_certificate_chain)
    else {
        return Err(layer.stranger());
    };
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Flaw::invalid("an envelope without exactly one signature"));
    };
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Flaw::invalid("an envelope of another payload type"));
    }
    let payload = decode(&envelope.payload)?;
    let signature = decode(&signature.sig)?;
    let message = Message::pre_authentication_encoding(&envelope.payload_type, &payload);
    let Criteria { keys, now, .. } = criteria;
    let Some(signer) = keys.signer(&message, &signature, now) else {
        return Err(if keys.has_hint(&key.hint) { MISNAMED } else { layer.stranger() });
    };
    let signer = signer?;
    statement::check(&payload, criteria)?;
    Ok(signer)
}

fn decode(text: &str) -> Result<Vec<u8>, Flaw> {
    STANDARD.decode(text).map_err(|_| Flaw::invalid("an envelope's member is not base64"))
}

/// What names a key that did not sign it.
const MISNAMED: Flaw = Flaw::rejected(
    ReasonCode::SignatureInvalid,
    "the bundle does not verify by the key that it names",
);
