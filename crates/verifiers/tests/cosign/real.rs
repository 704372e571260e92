//! What cosign itself wrote: see `tests/data/cosign-3.1.3/README.md`.

use assay_core::{Digest, Manifest};
use bytes::Bytes;

use crate::world::{
    ACCEPTED, KEY_MISMATCH, NOT_FOUND, STORE, SUBJECT_MISMATCH, World, build, key, settle,
};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/cosign-3.1.3/", $name)).as_slice()
    };
}

/// An image signed in the forms that are asked for.
fn signed(image: &Digest, at_the_tag: bool, by_a_bundle: bool) -> World {
    let mut world = World::new();
    world.subject.descriptor.digest = image.clone();
    if at_the_tag {
        let manifest = Bytes::from_static(data!("tag-manifest.json"));
        world.manifests.insert(world.tag(), Some(Ok(manifest)));
        world.push_blob("", data!("payload.json"));
    }
    if by_a_bundle {
        let Ok(Manifest::Index { manifests }) = Manifest::parse(data!("referrers.json")) else {
            unreachable!("the file is an index")
        };
        let manifest = Bytes::from_static(data!("referrer-manifest.json"));
        let digest = manifests[0].digest.to_string();
        world.manifests.insert(digest, Some(Ok(manifest)));
        world.referrers = Some(Ok(manifests));
        world.push_blob("", data!("bundle.json"));
    }
    world
}

#[test]
fn accepts_what_cosign_signed_in_either_form_and_for_no_other_image_or_key() {
    let image = Digest::sha256(data!("image.json"));
    let pem = std::str::from_utf8(data!("cosign.pub")).unwrap();
    let verifier = build(&[(STORE, pem)]).unwrap();
    for (at_the_tag, by_a_bundle) in [(true, false), (false, true), (true, true)] {
        let world = signed(&image, at_the_tag, by_a_bundle);
        let outcome = settle(verifier.verify(&world.subject, &world)).unwrap();
        assert_eq!(outcome.state, ACCEPTED, "{}", outcome.message);
        world.check("another key", &[&key()], KEY_MISMATCH);
    }
    let world = signed(&image, false, false);
    let outcome = settle(verifier.verify(&world.subject, &world)).unwrap();
    assert_eq!(outcome.state, NOT_FOUND);

    let world = signed(&Digest::sha256(b"another image"), true, false);
    let outcome = settle(verifier.verify(&world.subject, &world)).unwrap();
    assert_eq!(outcome.state, SUBJECT_MISMATCH);
}
