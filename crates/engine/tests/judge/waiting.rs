//! Requests that wait: for each other's work, and until their deadline.

use std::sync::Arc;
use std::time::Duration;

use assay_core::ReasonCode::Timeout;
use assay_core::ports::{Context, Verifier};
use assay_core::{Digest, Outcome, Subject};
use assay_policy::{CacheUse, Quorum, Verdict};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::fakes::{FakeVerifier, accepted};
use crate::world::{
    IMAGE, World, assert_admitted, assert_undecided, policy, require, requirement, rule, until_idle,
};

fn spawn_judge(world: &World) -> JoinHandle<Verdict> {
    let (executor, request) = (world.executor.clone(), world.request(&[IMAGE]));
    tokio::spawn(async move { executor.judge(&request).await })
}

#[tokio::test(start_paused = true)]
async fn works_once_for_all_who_ask_at_once() {
    const CALLERS: usize = 50;
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    world.store.gate.shut();
    verifier.gate.shut();
    let judges: Vec<_> = (0..CALLERS).map(|_| spawn_judge(&world)).collect();
    until_idle().await;
    world.store.gate.open();
    until_idle().await;
    verifier.gate.open();

    for judge in judges {
        assert_admitted(&judge.await.unwrap(), CacheUse::Miss);
    }
    assert_eq!((world.resolves(), verifier.runs()), (1, 1));
    let log = &world.recorder.0;
    assert_eq!(log.count("image coalesced"), CALLERS - 1);
    assert_eq!(log.count("fake accepted"), 1);
}

#[tokio::test(start_paused = true)]
async fn goes_on_for_others_when_a_caller_goes_away() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.gate.shut();
    let first = spawn_judge(&world);
    until_idle().await;
    let second = spawn_judge(&world);
    until_idle().await;
    first.abort();
    until_idle().await;
    verifier.gate.open();

    assert_admitted(&second.await.unwrap(), CacheUse::Miss);
    assert_eq!((world.resolves(), verifier.runs()), (1, 1));
}

/// At the deadline it is not decided; the work goes on, and the retry finds it done.
async fn check_late(world: &World, verifier: &FakeVerifier) {
    let start = tokio::time::Instant::now();
    assert_undecided(&world.judge(&[IMAGE]).await, &[Timeout]);
    let waited = start.elapsed();
    assert!(waited.abs_diff(crate::world::DEADLINE) < Duration::from_millis(2), "{waited:?}");

    verifier.gate.open();
    world.store.gate.open();
    until_idle().await;
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Hit);
    assert_eq!((world.resolves(), verifier.runs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn does_not_decide_what_is_late_and_finds_it_at_the_retry() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.gate.shut();
    check_late(&world, &verifier).await;

    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    world.store.gate.shut();
    check_late(&world, &verifier).await;
}

#[tokio::test(start_paused = true)]
async fn asks_for_credentials_once_whoever_goes_away() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.gate.shut();
    assert_undecided(&world.judge(&[IMAGE]).await, &[Timeout]);
    let second = spawn_judge(&world);
    until_idle().await;
    world.credentials.gate.open();

    assert_admitted(&second.await.unwrap(), CacheUse::Miss);
    assert_eq!(world.credentials.log.lines(), ["registry.example/app"]);
}

/// Who is to blame where `hang` says what hangs, and how.
async fn check_names(hang: impl Fn(&World, &FakeVerifier), verifier: Option<&str>, text: &str) {
    let [quick, slow] = ["quick", "slow"].map(FakeVerifier::new);
    let world = World::new([policy("one", [require([quick as Arc<dyn Verifier>, slow.clone()])])]);
    hang(&world, &slow);
    let verdict = world.judge(&[IMAGE]).await;
    assert_undecided(&verdict, &[Timeout]);
    let violation = &verdict.images[0].policies[0].violations[0];
    assert_eq!((violation.verifier.as_deref(), violation.message.as_str()), (verifier, text));
}

#[tokio::test(start_paused = true)]
async fn names_what_was_under_way() {
    let credentials = "reading the credentials for registry.example was still under way";
    check_names(|world, _| world.credentials.gate.shut(), None, credentials).await;
    let resolving = "resolving the image was still under way";
    check_names(|world, _| world.store.gate.shut(), None, resolving).await;
    let verification = "verification was still under way";
    check_names(|_, slow| slow.gate.shut(), Some("v1"), verification).await;
}

#[tokio::test(start_paused = true)]
async fn counts_late_verdict_as_no_hit() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.gate.shut();
    assert_eq!(world.judge(&[IMAGE]).await.cache, CacheUse::Miss);
}

#[tokio::test(start_paused = true)]
async fn decides_at_the_deadline_by_what_is_known() {
    let (quick, slow) = (FakeVerifier::new("quick"), FakeVerifier::new("slow"));
    slow.gate.shut();
    let verifiers = || [quick.clone() as Arc<dyn Verifier>, slow.clone()];
    let world =
        |quorum| World::new([policy("one", [rule("**", requirement(quorum, verifiers()))])]);

    assert_admitted(&world(Quorum::Any).judge(&[IMAGE]).await, CacheUse::Miss);
    assert_undecided(&world(Quorum::All).judge(&[IMAGE]).await, &[Timeout]);
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_when_the_deadline_is_over() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.waits(Duration::ZERO);
    world.store.gate.shut();
    let start = tokio::time::Instant::now();
    assert_undecided(&world.judge(&[IMAGE]).await, &[Timeout]);
    assert!(start.elapsed() < Duration::from_millis(2));
}

/// A verifier that takes its time.
struct Slow(Digest, Duration);

#[async_trait]
impl Verifier for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn fingerprint(&self) -> &Digest {
        &self.0
    }

    async fn verify(&self, _: &Subject, _: &dyn Context) -> Outcome {
        tokio::time::sleep(self.1).await;
        accepted()
    }
}

#[tokio::test(start_paused = true)]
async fn lets_a_verification_take_sixty_seconds() {
    for (millis, is_admitted) in [(59_999, true), (60_001, false)] {
        let slow = Arc::new(Slow(Digest::sha256(b"slow"), Duration::from_millis(millis)));
        let world = World::asking(&slow);
        world.waits(Duration::from_secs(100));
        let verdict = world.judge(&[IMAGE]).await;
        if is_admitted {
            assert_admitted(&verdict, CacheUse::Miss);
        } else {
            assert_undecided(&verdict, &[Timeout]);
        }
    }
}
