//! Signatures in another repository than the image.

use std::sync::Arc;

use assay_core::ports::Verifier;
use assay_core::{Outcome, ReasonCode, Repository, SignatureRepository, State};
use assay_testkit::cosign::SigningKey;

use crate::world::{ACCEPTED, HOST, KEY_MISMATCH, NOT_FOUND, World, key, verifier, verifier_with};

const OTHER_HOST: &str = "signatures.example";

fn reading(key: &SigningKey, place: &Repository, own_host_only: bool) -> Arc<dyn Verifier> {
    let repository = place.clone();
    let place = SignatureRepository { repository, own_host_only };
    verifier_with(&[key], |config| config.signature_repository = Some(place))
}

/// An image with its signature in `place`, in one form.
fn signed(key: &SigningKey, place: &Repository, by_a_bundle: bool) -> World {
    let mut world = World::new();
    world.place = place.clone();
    if by_a_bundle {
        world.sign_bundle(key);
    } else {
        world.sign_simple(key);
    }
    world
}

#[test]
fn reads_signatures_there_and_nowhere_else() {
    let key = key();
    for by_a_bundle in [false, true] {
        let place = Repository::new(OTHER_HOST, "all");
        let world = signed(&key, &place, by_a_bundle);
        world.check_by("there", &*reading(&key, &place, false), ACCEPTED);
        world.check("beside the image", &[&key], NOT_FOUND);
        world.check_by("another key", &*reading(&crate::world::key(), &place, false), KEY_MISMATCH);

        let mut world = signed(&key, &place, by_a_bundle);
        world.place = world.subject.repository.clone();
        world.check("beside the image", &[&key], ACCEPTED);
    }
}

#[test]
fn says_where_it_reads_beside_the_image() {
    let place = Repository::new(OTHER_HOST, "all");
    assert_eq!(*reading(&key(), &place, false).repositories(), [place]);
    assert_eq!(*verifier(&[&key()]).repositories(), []);
}

#[test]
fn does_not_fall_back_to_the_images_own_repository() {
    let key = key();
    let place = Repository::new(OTHER_HOST, "all");
    let mut world = World::new();
    world.sign_simple(&key);
    world.sign_bundle(&key);
    world.check_by("its own", &*verifier(&[&key]), ACCEPTED);
    world.check_by("another's", &*reading(&key, &place, false), NOT_FOUND);
}

#[test]
fn reads_with_the_access_for_that_repository() {
    let key = key();
    let place = Repository::new(OTHER_HOST, "all");
    let mut world = signed(&key, &place, false);
    // The world refuses whoever reads there in the name of the image.
    world.subject.access = crate::world::access("puller");
    world.check_by("let in", &*reading(&key, &place, false), ACCEPTED);

    let requests = world.requests.lock().unwrap().len();
    let denied = State::Rejected(ReasonCode::RegistryDenied);
    world.access = Err(Outcome::new(denied, "no credentials"));
    let outcome = world.verify_by(&*reading(&key, &place, false));
    assert_eq!((outcome.state, &*outcome.message), (denied, "no credentials"));
    let asked = world.requests.lock().unwrap().len() - requests;
    assert_eq!(asked, 0, "nothing is read without access");
}

#[test]
fn keeps_a_tenants_choice_to_the_images_own_host() {
    let key = key();
    let own = Repository::new(HOST, "all");
    signed(&key, &own, true).check_by("own host", &*reading(&key, &own, true), ACCEPTED);

    let other = Repository::new(OTHER_HOST, "all");
    let world = signed(&key, &other, true);
    world.check_by("a host of the configuration", &*reading(&key, &other, false), ACCEPTED);
    let requests = world.requests.lock().unwrap().len();
    let refused = State::Rejected(ReasonCode::PolicyInvalid);
    let outcome = world.check_by("another host", &*reading(&key, &other, true), refused);
    assert_eq!(
        outcome.message,
        "signatureRepository is on signatures.example, which is neither the image's host nor one \
         of the configuration's registries"
    );
    assert_eq!(world.requests.lock().unwrap().len(), requests, "it is not even asked");
}
