//! Cosign signatures, made by Cosign itself and then changed: whatever a registry serves in the place
//! of one of their parts, an image is accepted only where what its key signed is still there, to the
//! byte.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use assay_api::{CompileOptions, GivenSources, compile, read_documents};
use assay_core::ports::Verifier;
use assay_core::{Digest, Manifest};
use assay_policy::RuleBody;
use assay_verifiers::Factory;
use serde_json::json;

use crate::json::{at, string_at};
use crate::registry::Registry;

macro_rules! cosign {
    ($name:literal) => {
        include_str!(concat!("../../verifiers/tests/data/cosign-3.1.3/", $name))
    };
}

const IMAGE: &str = cosign!("image.json");
const KEY: &str = cosign!("p256/cosign.pub");
const BUNDLE: &str = cosign!("p256/bundle.json");
const BUNDLE_MANIFEST: &str = cosign!("p256/referrer-manifest.json");
const PAYLOAD: &str = cosign!("p256/payload.json");
const SIMPLE_MANIFEST: &str = cosign!("p256/tag-manifest.json");

/// Sigstore bundles.
pub const BUNDLES: &[&str] = &[BUNDLE];
/// Manifests of what refers to the image.
pub const BUNDLE_MANIFESTS: &[&str] = &[BUNDLE_MANIFEST];
/// Lists of what refers to the image.
pub const REFERRERS: &[&str] = &[cosign!("p256/referrers.json")];
/// Manifests at the tag of the image's signatures.
pub const SIMPLE_MANIFESTS: &[&str] = &[SIMPLE_MANIFEST];
/// Simple signing payloads.
pub const SIMPLE_PAYLOADS: &[&str] = &[PAYLOAD];

/// Where a bundle has what is signed, and the signature.
const SIGNED: [&[&str]; 3] = [
    &["dsseEnvelope", "payload"],
    &["dsseEnvelope", "payloadType"],
    &["dsseEnvelope", "signatures", "0", "sig"],
];

/// Where the manifest of simple signatures has the first one.
const SIMPLE_SIGNATURE: [&str; 4] =
    ["layers", "0", "annotations", "dev.cosignproject.cosign/signature"];

/// A bundle is accepted only with the payload, the type and the signature that the key made.
pub fn bundle(data: &[u8]) -> bool {
    let served = Digest::sha256(data).to_string();
    let original = Digest::sha256(BUNDLE.as_bytes()).to_string();
    let manifest = BUNDLE_MANIFEST.replace(&original, &served);
    let registry = Registry::with_image(IMAGE.as_bytes()).referrer(manifest.as_bytes());
    let is_accepted = registry.blob(data).accepts(&VERIFIER);
    if is_accepted {
        for path in SIGNED {
            assert_eq!(string_at(data, path), string_at(BUNDLE.as_bytes(), path), "{path:?}");
        }
        assert_eq!(at(data, &["dsseEnvelope", "signatures", "1"]), None);
    }
    is_accepted
}

/// A bundle counts only where its manifest is about the image, and names it as its one layer of this
/// type.
pub fn bundle_manifest(data: &[u8]) -> bool {
    let registry = Registry::with_image(IMAGE.as_bytes()).referrer(data);
    let is_accepted = registry.blob(BUNDLE.as_bytes()).accepts(&VERIFIER);
    if is_accepted {
        let subject = string_at(data, &["subject", "digest"]);
        assert_eq!(subject, Some(Digest::sha256(IMAGE.as_bytes()).to_string()));
        assert!(layers(data).contains(&Digest::sha256(BUNDLE.as_bytes())));
    }
    is_accepted
}

/// A list of referrers makes no signature of its own, hides none that stands elsewhere, and makes a
/// bundle count only by naming it.
pub fn referrers(data: &[u8]) -> bool {
    let Ok(Manifest::Index { manifests: listed }) = Manifest::parse(data) else { return false };
    let bundle = Digest::sha256(BUNDLE_MANIFEST.as_bytes());
    let names_bundle = listed.iter().any(|referrer| referrer.digest == bundle);
    let registry = || Registry::with_image(IMAGE.as_bytes()).referrers(listed.clone());
    assert!(!registry().accepts(&VERIFIER), "a list signs nothing");
    let at_the_tag = registry().signature_tag(SIMPLE_MANIFEST.as_bytes()).blob(PAYLOAD.as_bytes());
    assert!(at_the_tag.accepts(&VERIFIER), "a list hides nothing");
    let by_a_bundle = registry().manifest(BUNDLE_MANIFEST.as_bytes()).blob(BUNDLE.as_bytes());
    let is_accepted = by_a_bundle.accepts(&VERIFIER);
    assert!(!is_accepted || names_bundle);
    is_accepted
}

/// A signature image is accepted only where a layer names the payload that was signed, with the
/// signature over it.
pub fn simple_manifest(data: &[u8]) -> bool {
    let registry = Registry::with_image(IMAGE.as_bytes()).signature_tag(data);
    let is_accepted = registry.blob(PAYLOAD.as_bytes()).accepts(&VERIFIER);
    if is_accepted {
        let [_, _, rest @ ..] = SIMPLE_SIGNATURE;
        let signature = string_at(SIMPLE_MANIFEST.as_bytes(), &SIMPLE_SIGNATURE);
        let payload = Some(Digest::sha256(PAYLOAD.as_bytes()).to_string());
        let mut layers = (0..).map_while(|index: usize| at(data, &["layers", &index.to_string()]));
        let is_signed = layers.any(|layer| {
            string_at(layer.as_bytes(), &rest) == signature
                && string_at(layer.as_bytes(), &["digest"]) == payload
        });
        assert!(is_signed);
    }
    is_accepted
}

/// A payload is accepted only byte for byte as it was signed.
pub fn simple_payload(data: &[u8]) -> bool {
    let served = Digest::sha256(data).to_string();
    let original = Digest::sha256(PAYLOAD.as_bytes()).to_string();
    let manifest = SIMPLE_MANIFEST.replace(&original, &served);
    let registry = Registry::with_image(IMAGE.as_bytes()).signature_tag(manifest.as_bytes());
    let is_accepted = registry.blob(data).accepts(&VERIFIER);
    assert_eq!(is_accepted, data == PAYLOAD.as_bytes());
    is_accepted
}

/// The digests of the layers of an image manifest.
fn layers(manifest: &[u8]) -> Vec<Digest> {
    match Manifest::parse(manifest) {
        Ok(Manifest::Image { layers, .. }) => {
            layers.into_iter().map(|layer| layer.digest).collect()
        }
        _ => Vec::new(),
    }
}

/// The verifier that trusts [`KEY`], built as users have it built: from a policy.
static VERIFIER: LazyLock<Arc<dyn Verifier>> = LazyLock::new(|| {
    let store = json!({
        "apiVersion": "assay.dev/v1alpha1", "kind": "ClusterTrustStore",
        "metadata": {"name": "keys"}, "spec": {"publicKeys": {"inline": KEY}},
    });
    let policy = json!({
        "apiVersion": "assay.dev/v1alpha1", "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "signed"},
        "spec": {
            "verifiers": [{"name": "signature", "cosign": {"keys": [{"trustStore": "keys"}]}}],
            "rules": [{"images": ["**"], "require": {"all": ["signature"]}}],
        },
    });
    let text = format!("{store}\n---\n{policy}\n");
    let documents = read_documents(Path::new("policies.yaml"), text.as_bytes());
    let read = |_: &Path| Err("there are no files".to_owned());
    let sources = GivenSources { documents: &documents, read: &read };
    let compiled =
        compile(&documents, &CompileOptions::default(), &sources, &Factory::default(), None);
    assert_eq!(compiled.problems, []);
    let mut found = None;
    for rule in compiled.snapshot.policies.iter().flat_map(|policy| policy.rules.iter().flatten()) {
        if let RuleBody::Require(requirement) = &rule.body {
            requirement.for_each_verifier(&mut |_, verifier| found = Some(verifier.clone()));
        }
    }
    found.expect("the policy has a verifier")
});
