//! How much goes on at once, and for whom: what is past a bound is refused at once, and only that.

use std::time::Duration;

use assay_core::ReasonCode::{Overloaded, Timeout};
use assay_policy::CacheUse;
use futures_util::future::join_all;

use crate::caching::Reader;
use crate::fakes::FakeVerifier;
use crate::world::{IMAGE, World, assert_admitted, assert_undecided, until_idle};

/// Images of one namespace that are looked at at once, and of one registry, and of all.
const OF_NAMESPACE: usize = 256;
const OF_HOST: usize = 512;
const OF_ALL: usize = 1_024;

/// A world in which each of these namespaces waits for so many images of each of these registries,
/// and has given up.
async fn busy(namespaces: &[&str], hosts: &[&str], images: usize) -> World {
    let world = World::asking(&FakeVerifier::new("a"));
    world.store.slow_gate.shut();
    fill(&world, namespaces, hosts, images).await;
    world
}

async fn fill(world: &World, namespaces: &[&str], hosts: &[&str], images: usize) {
    world.waits(Duration::from_millis(1));
    for namespace in namespaces {
        for host in hosts {
            let images: Vec<String> =
                (0..images).map(|index| format!("{host}/{namespace}/{index}")).collect();
            let images: Vec<&str> = images.iter().map(String::as_str).collect();
            let verdict = world.judge_in(namespace, &images).await;
            assert_undecided(&verdict, &vec![Timeout; images.len()]);
        }
    }
}

/// What a namespace's next image meets, which is not there yet.
async fn check_next(world: &World, namespace: &str, image: &str, is_room: bool) {
    let start = tokio::time::Instant::now();
    let verdict = world.judge_in(namespace, &[image]).await;
    let waited = start.elapsed();
    match (is_room, image.starts_with("slow")) {
        (false, _) => assert_undecided(&verdict, &[Overloaded]),
        (true, true) => return assert_undecided(&verdict, &[Timeout]),
        (true, false) => assert_admitted(&verdict, CacheUse::Miss),
    }
    assert!(waited < Duration::from_millis(2), "{image}: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn bounds_the_images_of_one_namespace() {
    let hosts = ["slow-1.example", "slow-2.example"];
    let world = busy(&["a"], &hosts, OF_NAMESPACE / 2 - 1).await;
    check_next(&world, "a", "slow-1.example/last", true).await;
    check_next(&world, "a", "slow-2.example/last", true).await;
    check_next(&world, "a", IMAGE, false).await;
    check_next(&world, "b", IMAGE, true).await;
    check_next(&world, "b", "slow-1.example/other", true).await;
}

#[tokio::test(start_paused = true)]
async fn bounds_the_images_of_one_registry() {
    let world = busy(&["a", "b", "c", "d"], &["slow.example"], OF_HOST / 4 - 1).await;
    for namespace in ["a", "b", "c", "d"] {
        check_next(&world, namespace, &format!("slow.example/last-{namespace}"), true).await;
    }
    for namespace in ["a", "e"] {
        check_next(&world, namespace, "slow.example/one-more", false).await;
        check_next(&world, namespace, &format!("registry.example/{namespace}"), true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn bounds_all_images() {
    let namespaces = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let hosts = ["slow-1.example", "slow-2.example"];
    let world = busy(&namespaces, &hosts, OF_ALL / 16 - 1).await;
    for namespace in namespaces {
        for host in hosts {
            check_next(&world, namespace, &format!("{host}/last-{namespace}"), true).await;
        }
    }
    check_next(&world, "i", IMAGE, false).await;
}

#[tokio::test(start_paused = true)]
async fn does_not_let_a_slow_registry_of_one_tenant_slow_another() {
    let world = World::asking(&FakeVerifier::new("a"));
    world.store.slow_gate.shut();
    let slow: Vec<String> =
        (0..2 * OF_NAMESPACE).map(|index| format!("slow.example/app:v{index}")).collect();
    let waiting = join_all(slow.iter().map(|image| async {
        let verdict = world.judge_in("a", &[image.as_str()]).await;
        assert!(!verdict.is_admitted());
    }));
    let others = async {
        until_idle().await;
        for index in 0..OF_NAMESPACE {
            let image = format!("registry.example/app:v{index}");
            check_next(&world, "b", &image, true).await;
        }
    };
    tokio::join!(waiting, others);
}

#[tokio::test(start_paused = true)]
async fn gives_the_room_back() {
    let world = busy(&["a"], &["slow.example"], OF_NAMESPACE).await;
    check_next(&world, "a", IMAGE, false).await;
    world.store.slow_gate.open();
    until_idle().await;
    check_next(&world, "a", IMAGE, true).await;
    // And what nobody waited for is there.
    assert_admitted(&world.judge_in("a", &["slow.example/a/0"]).await, CacheUse::Hit);
}

#[tokio::test(start_paused = true)]
async fn takes_what_is_cached_however_much_goes_on() {
    let world = World::asking(&FakeVerifier::new("a"));
    assert_admitted(&world.judge_in("a", &[IMAGE]).await, CacheUse::Miss);
    world.store.slow_gate.shut();
    fill(&world, &["a"], &["slow.example"], OF_NAMESPACE).await;
    check_next(&world, "a", "registry.example/new", false).await;
    assert_admitted(&world.judge_in("a", &[IMAGE]).await, CacheUse::Hit);
}

#[tokio::test(start_paused = true)]
async fn asks_for_a_thousand_pods_what_it_asks_for_one() {
    const PODS: usize = 1_000;
    let reader = || World::asking(&Reader::new(4));
    let one = reader();
    assert_admitted(&one.judge(&[IMAGE]).await, CacheUse::Miss);

    let world = reader();
    world.store.gate.shut();
    let images = [IMAGE];
    let pods = join_all((0..PODS).map(|_| world.judge(&images)));
    let (verdicts, ()) = tokio::join!(pods, async {
        until_idle().await;
        world.store.gate.open();
    });
    assert_eq!(verdicts.len(), PODS);
    for verdict in &verdicts {
        assert_admitted(verdict, CacheUse::Miss);
    }
    assert_eq!(world.store.log.lines(), one.store.log.lines());
}

/// How long the room for 256 images is taken that hang where `hang` says.
async fn check_taken(hang: impl Fn(&World), limit: Duration) {
    const MOMENT: Duration = Duration::from_millis(10);
    let world = World::asking(&FakeVerifier::new("a"));
    hang(&world);
    let start = tokio::time::Instant::now();
    fill(&world, &["a"], &["slow.example"], OF_NAMESPACE).await;
    tokio::time::sleep_until(start + limit - MOMENT).await;
    assert_undecided(&world.judge_in("a", &["slow.example/b:v1"]).await, &[Overloaded]);
    tokio::time::sleep_until(start + limit + MOMENT).await;
    assert_undecided(&world.judge_in("a", &["slow.example/b:v1"]).await, &[Timeout]);
}

#[tokio::test(start_paused = true)]
async fn takes_no_room_for_ever_where_the_world_hangs() {
    check_taken(|world| world.store.gate.shut(), Duration::from_secs(60)).await;
    check_taken(|world| world.credentials.gate.shut(), Duration::from_secs(30)).await;
}
