//! One writer among the replicas, and another when it is gone.

use super::*;
use crate::lease::{LEASE, Leadership};

struct Replica(Leadership);

fn replica(server: &Arc<ApiServer>, clock: &Arc<FixedClock>, name: &str) -> Replica {
    Replica(Leadership::new(server.client(), "assay", name.to_owned(), clock.clone()))
}

impl Replica {
    async fn step(&self) -> bool {
        self.0.step().await;
        self.0.is_held()
    }
}

fn holder(server: &ApiServer) -> (Value, Value) {
    let spec = &server.object("Lease", "assay", LEASE)["spec"];
    (spec["holderIdentity"].clone(), spec["leaseTransitions"].clone())
}

#[tokio::test(start_paused = true)]
async fn the_first_holds_it_for_as_long_as_it_renews() {
    let (server, clock) = (ApiServer::new([]), Arc::new(FixedClock::default()));
    let (one, two) = (replica(&server, &clock, "one"), replica(&server, &clock, "two"));
    assert!(one.step().await);
    for _ in 0..10 {
        assert!(!two.step().await);
        clock.advance(Duration::from_secs(5));
        assert!(one.step().await);
    }
    assert_eq!(holder(&server), (json!("one"), json!(1)));
}

#[tokio::test(start_paused = true)]
async fn another_takes_it_once_it_was_seen_to_expire() {
    let (server, clock) = (ApiServer::new([]), Arc::new(FixedClock::default()));
    let (one, two) = (replica(&server, &clock, "one"), replica(&server, &clock, "two"));
    assert!(one.step().await);
    clock.advance(Duration::from_secs(100));
    assert!(!two.step().await, "it may have been renewed just now, by another clock");
    clock.advance(Duration::from_secs(15) - Duration::from_nanos(1));
    assert!(!two.step().await);
    clock.advance(Duration::from_nanos(1));
    assert!(two.step().await);
    assert_eq!(holder(&server), (json!("two"), json!(2)));
    assert!(!one.step().await, "the first one comes back");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_before_another_starts() {
    let (server, clock) = (ApiServer::new([]), Arc::new(FixedClock::default()));
    let (one, two) = (replica(&server, &clock, "one"), replica(&server, &clock, "two"));
    assert!(one.step().await);
    assert!(!two.step().await);
    server.refuse("/", 503);
    clock.advance(Duration::from_secs(10) - Duration::from_nanos(1));
    assert!(one.step().await);
    clock.advance(Duration::from_nanos(1));
    assert!(!one.step().await);
    server.allow();
    assert!(!two.step().await);
    clock.advance(Duration::from_secs(5));
    assert!(two.step().await);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_take_it_at_once_one_holds_it() {
    let (server, clock) = (ApiServer::new([]), Arc::new(FixedClock::default()));
    let replicas = ["one", "two", "three"].map(|name| replica(&server, &clock, name));
    let held = futures_util::future::join_all(replicas.iter().map(Replica::step)).await;
    assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
}
