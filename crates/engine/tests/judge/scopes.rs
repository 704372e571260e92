//! Whose answers a request may see, and in whose name the registry is asked.

use std::sync::Arc;

use assay_core::ReasonCode::{RegistryDenied, RegistryUnreachable, SignatureNotFound};
use assay_core::ports::{CredentialError, Verifier};
use assay_core::{Outcome, State, StoreError};
use assay_policy::CacheUse;

use crate::fakes::{FakeVerifier, descriptor, digest_of, name_of};
use crate::world::{
    IMAGE, World, assert_admitted, assert_denied, assert_undecided, policy, require, until_idle,
};

fn denied() -> StoreError {
    StoreError::Denied { host: "registry.example".to_owned(), status: 401 }
}

/// Who resolved images, in order.
fn resolvers(world: &World) -> Vec<String> {
    let lines = world.store.log.lines().into_iter();
    let resolves = lines.filter(|line| line.starts_with("resolve"));
    resolves.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn separates_verdicts_by_repository_digest_and_fingerprint() {
    let cases = [
        ("the same", "registry.example/app:v1", "registry.example/app:v1", 1),
        ("repository", "registry.example/app:v1", "registry.example/db:v1", 2),
        ("host", "registry.example/app:v1", "other.example/app:v1", 2),
        ("digest", "registry.example/app:v1", "registry.example/app:v2", 2),
    ];
    for (name, first, second, expect) in cases {
        let verifier = FakeVerifier::new("a");
        let world = World::asking(&verifier);
        for image in [first, second] {
            assert!(world.judge(&[image]).await.is_admitted(), "{name}");
        }
        assert_eq!(verifier.runs(), expect, "{name}");
        assert_eq!(world.resolves(), expect, "{name}");
    }

    let (one, other) = (FakeVerifier::new("a"), FakeVerifier::new("b"));
    other.finds(|_| Outcome::new(State::Missing(SignatureNotFound), ""));
    let verifiers = [one as Arc<dyn Verifier>, other];
    let world = World::new([policy("one", [require(verifiers)])]);
    assert_denied(&world.judge(&[IMAGE]).await, &[SignatureNotFound]);
}

/// A registry that shows the image to Alice only, and a verifier that accepts for Alice only.
fn for_alice() -> (World, Arc<FakeVerifier>) {
    let verifier = FakeVerifier::new("a");
    verifier.finds(|subject| match name_of(&subject.access) {
        "alice" => Outcome::new(State::Accepted, ""),
        _ => Outcome::new(State::Missing(SignatureNotFound), ""),
    });
    let world = World::asking(&verifier);
    world.store.resolves(|_, _, access| match name_of(access) {
        "alice" | "carol" => Ok(descriptor(digest_of("v1"))),
        _ => Err(denied()),
    });
    (world, verifier)
}

#[tokio::test(start_paused = true)]
async fn shows_nobody_what_was_cached_for_another() {
    let (world, verifier) = for_alice();
    world.credentials.of(&["alice"]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);

    world.credentials.of(&["bob"]);
    assert_denied(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
    world.credentials.of(&["carol"]);
    assert_denied(&world.judge(&[IMAGE]).await, &[SignatureNotFound]);
    world.credentials.of(&[]);
    assert_denied(&world.judge(&[IMAGE]).await, &[RegistryDenied]);

    world.credentials.of(&["alice"]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Hit);
    assert_eq!(resolvers(&world), ["alice", "bob", "carol", "public"]);
    assert_eq!(verifier.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn shows_nobody_what_is_under_way_for_another() {
    let (world, verifier) = for_alice();
    world.store.gate.shut();
    let judge = |users| {
        world.credentials.of(users);
        let (executor, request) = (world.executor.clone(), world.request(&[IMAGE]));
        tokio::spawn(async move { executor.judge(&request).await })
    };
    let alice = judge(&["alice"]);
    until_idle().await;
    let bob = judge(&["bob"]);
    until_idle().await;
    let carol = judge(&["carol"]);
    until_idle().await;
    world.store.gate.open();

    assert_admitted(&alice.await.unwrap(), CacheUse::Miss);
    assert_denied(&bob.await.unwrap(), &[RegistryDenied]);
    assert_denied(&carol.await.unwrap(), &[SignatureNotFound]);
    assert_eq!(resolvers(&world), ["alice", "bob", "carol"]);
    assert_eq!(verifier.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn shows_no_tenant_what_is_verified_for_another() {
    let (world, verifier) = for_alice();
    verifier.gate.shut();
    let judge = |namespace, users| {
        world.credentials.of(users);
        let (executor, request) = (world.executor.clone(), world.request_in(namespace, &[IMAGE]));
        tokio::spawn(async move { executor.judge(&request).await })
    };
    let alices = [judge("a", &["alice"]), {
        until_idle().await;
        judge("b", &["alice"])
    }];
    until_idle().await;
    let bob = judge("b", &["bob"]);
    until_idle().await;
    let carol = judge("c", &["carol", "alice"]);
    until_idle().await;
    assert_eq!(resolvers(&world), ["alice", "bob", "carol"]);
    verifier.gate.open();

    for alice in alices {
        assert_admitted(&alice.await.unwrap(), CacheUse::Miss);
    }
    assert_denied(&bob.await.unwrap(), &[RegistryDenied]);
    assert_denied(&carol.await.unwrap(), &[SignatureNotFound]);
    assert_eq!(verifier.runs(), 2);
}

/// Which of `users` is asked for, where the registry refuses Bob and Dave.
async fn check_credentials(users: &'static [&'static str], asked: &[&str], is_admitted: bool) {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    world.credentials.of(users);
    world.store.resolves(|_, _, access| match name_of(access) {
        "bob" | "dave" => Err(denied()),
        _ => Ok(descriptor(digest_of("v1"))),
    });
    let verdict = world.judge(&[IMAGE]).await;
    if is_admitted {
        assert_admitted(&verdict, CacheUse::Miss);
        let reader = asked.last().unwrap();
        let subject = format!("registry.example/app@{} as {reader}", digest_of("v1"));
        assert_eq!(verifier.log.lines(), [subject]);
    } else {
        assert_denied(&verdict, &[RegistryDenied]);
        assert_eq!(verifier.runs(), 0);
    }
    assert_eq!(resolvers(&world), asked, "{users:?}");
}

#[tokio::test(start_paused = true)]
async fn tries_credentials_in_turn() {
    check_credentials(&[], &["public"], true).await;
    check_credentials(&["alice"], &["alice"], true).await;
    check_credentials(&["alice", "bob"], &["alice"], true).await;
    check_credentials(&["bob", "alice"], &["bob", "alice"], true).await;
    check_credentials(&["bob", "dave", "alice"], &["bob", "dave", "alice"], true).await;
    check_credentials(&["bob"], &["bob"], false).await;
    check_credentials(&["bob", "dave"], &["bob", "dave"], false).await;
}

#[tokio::test(start_paused = true)]
async fn tries_no_other_credential_where_the_registry_is_down() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.of(&["alice", "bob"]);
    world.store.resolves(|_, _, _| {
        let host = "registry.example".to_owned();
        Err(StoreError::Unreachable { host, reason: "no connection" })
    });
    assert_undecided(&world.judge(&[IMAGE]).await, &[RegistryUnreachable]);
    assert_eq!(resolvers(&world), ["alice"]);
}

#[tokio::test(start_paused = true)]
async fn does_not_decide_without_the_credentials_it_should_have() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.are(|| {
        let host = "registry.example".to_owned();
        Err(CredentialError::Unavailable { host, reason: "the helper is not there".to_owned() })
    });
    assert_undecided(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
    assert_eq!(world.resolves(), 0);

    world.credentials.of(&["alice"]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
}
