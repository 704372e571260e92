//! What the cluster holds is what is in force: soon, object by object, and through every failure.

use super::*;

const POLICIES: &str = "/apis/assay.dev/v1alpha1/clusterimageadmissionpolicies";

/// Nothing is in force before everything was listed once.
async fn check_waits_for(path: &str) {
    let server = ApiServer::new([policy("a"), namespace("team", "prod")]);
    server.refuse(path, 503);
    let (ports, compiles) = ports(&server, &Arc::new(FixedClock::default()));
    let mut control = Control::start(settings(), ports);
    let handle = control.handle();
    let early = tokio::time::timeout(Duration::from_secs(120), control.first()).await;
    assert!(early.is_err(), "{path}");
    assert_eq!(compiles.load(Ordering::Relaxed), 0, "{path}");
    assert!(server.count(&format!("GET {path}")) > 2, "{path}: it is asked again");
    let failure = handle.failure().unwrap();
    assert!(failure.ends_with(": the API server refuses (HTTP 503)"), "{failure}");

    server.allow();
    let snapshots = tokio::time::timeout(PATIENCE, control.first()).await;
    assert_eq!(names(&snapshots.unwrap().unwrap().load()), ["a"], "{path}");
    assert_eq!((handle.age(), handle.failure()), (Duration::ZERO, None), "{path}");
}

#[tokio::test(start_paused = true)]
async fn has_no_snapshot_before_everything_was_listed() {
    for path in [
        POLICIES,
        "/apis/assay.dev/v1alpha1/imageadmissionpolicies",
        "/apis/assay.dev/v1alpha1/clustertruststores",
        "/apis/assay.dev/v1alpha1/truststores",
        "/api/v1/namespaces",
    ] {
        check_waits_for(path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_policies_has_an_empty_snapshot() {
    let world = World::new(ApiServer::new([])).await;
    assert_eq!(world.in_force(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_change_takes_effect_within_a_second() {
    let world = World::new(ApiServer::new([policy("a")])).await;
    assert_eq!(world.in_force(), ["a"]);
    let second = Duration::from_secs(1);

    world.server.put(policy("b"));
    assert!(world.until(&["a", "b"]).await < second);
    world.server.put(signed("a", "none"));
    assert!(world.until(&["a!", "b"]).await < second);
    world.server.put(store(None, "none", inline()));
    assert!(world.until(&["a", "b"]).await < second);
    world.server.delete("ClusterTrustStore", "", "none");
    assert!(world.until(&["a!", "b"]).await < second);
    world.server.delete("ClusterImageAdmissionPolicy", "", "a");
    assert!(world.until(&["b"]).await < second);
}

#[tokio::test(start_paused = true)]
async fn changes_at_once_are_compiled_together() {
    let world = World::new(ApiServer::new([])).await;
    world.quiet().await;
    let before = world.compiles.load(Ordering::Relaxed);
    for index in 100..200 {
        world.server.put(policy(&format!("p{index}")));
    }
    until("all of them", || world.in_force().len() == 100).await;
    world.quiet().await;
    assert_eq!(world.compiles.load(Ordering::Relaxed), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_decode_is_closed_by_name_and_delays_no_other() {
    let mut bad = policy("bad");
    bad["spec"] = json!({"rulez": []});
    let world = World::new(ApiServer::new([bad.clone(), policy("good")])).await;
    assert_eq!(world.in_force(), ["bad!", "good"]);
    assert!(world.problem("bad").contains("rulez"), "{}", world.problem("bad"));

    world.server.put(policy("later"));
    world.until(&["bad!", "good", "later"]).await;
    world.server.put(policy("bad"));
    world.until(&["bad", "good", "later"]).await;
    world.server.put(bad);
    world.until(&["bad!", "good", "later"]).await;
    assert!(world.snapshots.load().policies[0].matcher.is_ok(), "its last good match stays");
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_adds_is_no_part_of_the_policy() {
    let mut object = policy("a");
    object["metadata"]["generateName"] = json!("a-");
    object["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    object["status"] = json!({"conditions": "none of ours"});
    let world = World::new(ApiServer::new([object])).await;
    assert_eq!(world.in_force(), ["a"], "also while it is being deleted");
}

/// A failure of the API server takes nothing from force, is told by age, and is over once everything
/// was listed anew: what changed meanwhile takes effect.
async fn check_outage(name: &str, fail: impl Fn(&ApiServer), told: bool) {
    let world = World::new(ApiServer::new([policy("a"), policy("b")])).await;
    world.quiet().await;
    assert_eq!(world.handle.age(), Duration::ZERO, "{name}");

    fail(&world.server);
    world.quiet().await;
    world.clock.advance(Duration::from_secs(40));
    world.quiet().await;
    assert_eq!(world.in_force(), ["a", "b"], "{name}");
    let age = if told { Duration::from_secs(40) } else { Duration::ZERO };
    assert_eq!(world.handle.age(), age, "{name}");

    world.server.delete("ClusterImageAdmissionPolicy", "", "a");
    world.server.put(policy("c"));
    world.server.allow();
    world.until(&["b", "c"]).await;
    until(name, || world.handle.age() == Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_from_force_by_an_error() {
    check_outage(
        "no connection",
        |server| {
            server.refuse("/", 0);
            server.disconnect();
        },
        true,
    )
    .await;
    check_outage(
        "the API server starts",
        |server| {
            server.refuse("/", 503);
            server.disconnect();
        },
        true,
    )
    .await;
    check_outage(
        "rights are gone",
        |server| {
            server.refuse(POLICIES, 403);
            server.disconnect();
        },
        true,
    )
    .await;
    check_outage(
        "the CRD is gone",
        |server| {
            server.refuse(POLICIES, 404);
            server.disconnect();
        },
        true,
    )
    .await;
    check_outage("the connection breaks", ApiServer::disconnect, false).await;
    check_outage("the events are gone", ApiServer::compact, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_finds_nothing_new_compiles_nothing() {
    let world = World::new(ApiServer::new([policy("a"), store(None, "s", inline())])).await;
    world.quiet().await;
    let (compiles, lists) =
        (world.compiles.load(Ordering::Relaxed), world.server.count("GET /apis"));
    world.server.disconnect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.server.count("GET /apis") >= lists + 4);
    assert_eq!(world.compiles.load(Ordering::Relaxed), compiles);
}

#[tokio::test(start_paused = true)]
async fn files_stand_beside_what_the_cluster_holds() {
    let text = format!(
        "{}\n---\n{}\n---\n{}",
        signed("file", "in-file"),
        store(None, "in-file", json!({"file": "good.pub"})),
        policy("both"),
    );
    let server = ApiServer::new([policy("cluster"), policy("both"), signed("mixed", "in-file")]);
    let world = World::with_files(server, &text).await;
    assert_eq!(world.in_force(), ["both!", "both!", "cluster", "file", "mixed"]);
    assert!(world.problem("both").contains("is given 2 times"), "{}", world.problem("both"));

    world.files.give(&policy("other").to_string());
    world.handle.rebuild();
    world.until(&["both", "cluster", "mixed!", "other"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_trust_store_of_the_cluster_reads_no_file() {
    let server = ApiServer::new([signed("a", "s"), store(None, "s", json!({"file": "good.pub"}))]);
    let world = World::new(server).await;
    assert_eq!(world.in_force(), ["a!"]);
    assert!(world.problem("a").contains("only documents that are files"), "{}", world.problem("a"));
}

#[tokio::test(start_paused = true)]
async fn a_compile_that_panics_changes_nothing_and_is_told() {
    let server = ApiServer::new([policy("a")]);
    let clock = Arc::new(FixedClock::default());
    let (mut ports, _) = ports(&server, &clock);
    ports.compiled = Arc::new(|snapshot, _| {
        assert!(names(snapshot) != ["a", "bomb"], "a defect, as the test wants it");
    });
    let mut control = Control::start(settings(), ports);
    let handle = control.handle();
    let snapshots = control.first().await.unwrap();
    tokio::spawn(control.run(snapshots.clone()));

    server.put(policy("bomb"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    clock.advance(Duration::from_secs(7));
    assert_eq!((names(&snapshots.load()), handle.age().as_secs()), (vec!["a".to_owned()], 7));

    server.delete("ClusterImageAdmissionPolicy", "", "bomb");
    server.put(policy("b"));
    until("the next compile", || names(&snapshots.load()) == ["a", "b"]).await;
    assert_eq!(handle.age(), Duration::ZERO);
}
