//! What is held right now, and how a verification that panics is counted.

use assay_engine::CacheStats;

use crate::fakes::FakeVerifier;
use crate::world::{IMAGE, World, until_idle};

#[tokio::test(start_paused = true)]
async fn counts_verifications_while_they_are_under_way() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.gate.shut();
    let images = [IMAGE];
    let (_, ()) = tokio::join!(world.judge(&images), async {
        until_idle().await;
        assert_eq!(world.executor.stats().verifications_in_flight, 1);
        verifier.gate.open();
    });
    assert_eq!(world.executor.stats().verifications_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn tells_entries_and_bytes_of_each_cache() {
    let world = World::asking(&FakeVerifier::new("a"));
    let of = |name: &str| -> Vec<CacheStats> {
        let caches = world.executor.stats().caches;
        caches.into_iter().filter(|cache| cache.name == name).collect()
    };
    for name in ["blob", "manifest", "referrers", "tag", "verdict", "derived"] {
        assert!(!of(name).is_empty(), "{name}");
        assert!(of(name).iter().all(|cache| (cache.entries, cache.bytes) == (0, 0)), "{name}");
    }
    world.judge(&[IMAGE]).await;
    for name in ["tag", "verdict"] {
        assert_eq!(of(name).iter().map(|cache| cache.entries).sum::<u64>(), 1, "{name}");
        assert!(of(name).iter().map(|cache| cache.bytes).sum::<u64>() > 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_a_verification_that_panics_as_rejected() {
    let verifier = FakeVerifier::new("a");
    let world = World::asking(&verifier);
    verifier.finds(|_| panic!("a defect of the verifier"));
    world.judge(&[IMAGE]).await;
    assert_eq!(world.recorder.0.count("fake rejected"), 1);
    assert_eq!(world.executor.stats().verifications_in_flight, 0);
}
