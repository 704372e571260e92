//! The files of `tests/data`, and images signed by what is in them.

use std::fs;
use std::path::Path;

use assay_core::{Digest, Manifest};
use bytes::Bytes;

use crate::world::World;

/// The kinds of keys by which cosign signed.
pub(crate) const KINDS: [&str; 6] = ["p256", "p384", "p521", "rsa-2048", "rsa-4096", "ed25519"];

/// The content of `tests/data/NAME`.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn text(name: &str) -> String {
    String::from_utf8(data(name)).unwrap()
}

pub(crate) fn public_key(kind: &str) -> String {
    text(&format!("cosign-3.1.3/{kind}/cosign.pub"))
}

/// The image that cosign signed.
pub(crate) fn image() -> World {
    image_of(&data("cosign-3.1.3/image.json"))
}

/// The image that has this manifest.
pub(crate) fn image_of(manifest: &[u8]) -> World {
    let mut world = World::new();
    world.subject.descriptor.digest = Digest::sha256(manifest);
    world
}

/// Puts the signature by this kind of key at the tag.
pub(crate) fn push_tag(world: &mut World, kind: &str) {
    let manifest = Bytes::from(data(&format!("cosign-3.1.3/{kind}/tag-manifest.json")));
    world.manifests.insert(world.tag(), Some(Ok(manifest)));
    world.push_blob("", &data(&format!("cosign-3.1.3/{kind}/payload.json")));
}

/// Adds the referrers of this folder, of which the manifest and the layer `layer` are there.
pub(crate) fn push_referrers(world: &mut World, folder: &str, layer: &str) {
    let file = |name: &str| data(&format!("cosign-3.1.3/{folder}/{name}"));
    let Ok(Manifest::Index { manifests }) = Manifest::parse(&file("referrers.json")) else {
        panic!("{folder}/referrers.json is no index")
    };
    let manifest = Bytes::from(file("referrer-manifest.json"));
    world.manifests.insert(Digest::sha256(&manifest).to_string(), Some(Ok(manifest)));
    world.list().extend(manifests);
    world.push_blob("", &file(layer));
}
