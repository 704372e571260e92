//! Defects: a panic anywhere refuses the image that it struck, is kept by no cache, and strikes no
//! other image.

use assay_core::Outcome;
use assay_core::ReasonCode::Internal;
use assay_core::State;
use assay_policy::CacheUse;
use futures_util::future::join_all;

use crate::fakes::{FakeVerifier, accepted, descriptor, digest_of};
use crate::world::{IMAGE, World, assert_admitted, assert_denied, until_idle};

#[tokio::test(start_paused = true)]
async fn denies_where_the_verifier_panics() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.finds(|_| panic!("a defect of the verifier"));
    assert_denied(&world.judge(&[IMAGE]).await, &[Internal]);

    verifier.finds(|_| accepted());
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
}

#[tokio::test(start_paused = true)]
async fn denies_where_the_store_panics() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.store.resolves(|_, _, _| panic!("a defect of the store"));
    assert_denied(&world.judge(&[IMAGE]).await, &[Internal]);

    world.store.resolves(|_, _, _| Ok(descriptor(digest_of("v1"))));
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
}

#[tokio::test(start_paused = true)]
async fn denies_where_the_credentials_panic() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.are(|| panic!("a defect of the credential source"));
    assert_denied(&world.judge(&[IMAGE]).await, &[Internal]);

    world.credentials.of(&[]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
}

#[tokio::test(start_paused = true)]
async fn denies_all_who_wait_for_what_panics() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.finds(|_| panic!("a defect of the verifier"));
    verifier.gate.shut();
    let images = [IMAGE];
    let judges = join_all((0..20).map(|_| world.judge(&images)));
    let (verdicts, ()) = tokio::join!(judges, async {
        until_idle().await;
        verifier.gate.open();
    });
    for verdict in &verdicts {
        assert_denied(verdict, &[Internal]);
    }
    assert_eq!(verifier.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn judges_the_other_images_when_one_panics() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.finds(|subject| match subject.repository.path() {
        "bad" => panic!("a defect of the verifier"),
        _ => Outcome::new(State::Accepted, ""),
    });
    let verdict = world.judge(&["registry.example/bad", "registry.example/good"]).await;
    assert_denied(&verdict, &[Internal]);
    assert!(verdict.images[1].is_success(), "{verdict:#?}");
}
