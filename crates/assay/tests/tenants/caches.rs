//! What one tenant's verdicts, images and credentials are worth to another.

use assay_policy::DefaultAction::Allow;
use assay_testkit::StoredManifest;
use assay_testkit::cosign::simple;

use crate::world::{World, policy, push, signed_by, store};

const RELEASED: &str = "trustStore: release-keys";

/// A policy of `namespace` that trusts its own store `keys`.
fn own(namespace: &str) -> String {
    policy(Some(namespace), "signed", &signed_by("trustStore: keys"))
}

#[tokio::test]
async fn a_copied_verifier_with_another_key_has_no_verdict_of_the_original() {
    let world = World::new().await;
    let (app, _) = world.push("app", Some(&world.release));
    let (theirs, _) = world.push("theirs", Some(&world.mallory));
    let text = store(Some("shop"), "keys", &world.release)
        + &own("shop")
        + &store(Some("evil"), "keys", &world.mallory)
        + &own("evil");
    assert!(world.enforce(&text, Allow).is_empty());
    // The second time everything is cached.
    for _ in 0..2 {
        assert!(world.refusal("shop", &app).await.is_empty());
        assert_eq!(world.refusal("evil", &app).await, ["evil/signed KEY_MISMATCH"]);
        assert!(world.refusal("evil", &theirs).await.is_empty());
        assert_eq!(world.refusal("shop", &theirs).await, ["shop/signed KEY_MISMATCH"]);
    }
}

#[tokio::test]
async fn evidence_beside_a_copy_is_no_evidence_for_the_original() {
    let world = World::new().await;
    let (original, digest) = world.push("shop/app", None);
    let StoredManifest { media_type, bytes } = world.open.manifest("shop/app", "v1").unwrap();
    assert_eq!(world.open.push_manifest("evil/app", Some("v1"), &media_type, bytes), digest);
    simple::sign(&world.open, "evil/app", &digest, &world.release).unwrap();
    let copy = original.replace("shop", "evil");
    let text = world.release_keys() + &policy(None, "signed", &signed_by(RELEASED));
    assert!(world.enforce(&text, Allow).is_empty());
    for _ in 0..2 {
        assert!(world.refusal("evil", &copy).await.is_empty());
        let by_digest = original.replace(":v1", &format!("@{digest}"));
        for image in [&original, &by_digest] {
            assert_eq!(world.refusal("shop", image).await, ["signed SIGNATURE_NOT_FOUND"]);
        }
    }
}

#[tokio::test]
async fn a_private_image_is_not_there_for_others() {
    let world = World::new().await;
    let (app, digest) = push(&world.private, "app", Some(&world.release));
    let text = world.release_keys() + &policy(None, "signed", &signed_by(RELEASED));
    assert!(world.enforce(&text, Allow).is_empty());
    let by_digest = app.replace(":v1", &format!("@{digest}"));
    for image in [&app, &by_digest] {
        assert!(world.refusal("shop", image).await.is_empty());
        let before = world.private.requests().len();
        assert_eq!(world.refusal("evil", image).await, ["signed REGISTRY_DENIED"], "{image}");
        assert!(world.refusal("shop", image).await.is_empty(), "nor is it taken from its owner");
        // Not one request of the other's bore a password.
        let asked = world.private.requests().split_off(before);
        assert!(!asked.is_empty(), "the cache answered for the registry");
        assert!(asked.iter().all(|request| request.authorization.is_none()), "{asked:?}");
    }
}

#[tokio::test]
async fn a_private_digest_in_an_open_repository_is_another_image() {
    let world = World::new().await;
    let (app, digest) = push(&world.private, "app", Some(&world.release));
    let text = world.release_keys() + &policy(None, "signed", &signed_by(RELEASED));
    assert!(world.enforce(&text, Allow).is_empty());
    assert!(world.refusal("shop", &app).await.is_empty());
    let guessed = format!("{}/app@{digest}", world.open.host());
    assert_eq!(world.refusal("evil", &guessed).await, ["signed IMAGE_NOT_FOUND"]);
    let (copy, copied) = world.push("app", None);
    assert_eq!(copied, digest);
    assert_eq!(world.refusal("evil", &copy).await, ["signed SIGNATURE_NOT_FOUND"]);
}
