//! Statuses: what they say, who writes them, and how often.

use super::*;

const PATCH: &str = "PATCH /apis/assay.dev/v1alpha1/clusterimageadmissionpolicies";

/// The conditions of an object: `TYPE=STATUS REASON`.
fn conditions(object: &Value) -> Vec<String> {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let line = |condition: &Value| {
        assert_eq!(condition["observedGeneration"], object["metadata"]["generation"]);
        let text = |field: &str| condition[field].as_str().unwrap().to_owned();
        format!("{}={} {}", text("type"), text("status"), text("reason"))
    };
    conditions.iter().map(line).collect()
}

fn message(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
    found["message"].as_str().unwrap().to_owned()
}

impl World {
    fn conditions(&self, kind: &str, namespace: &str, name: &str) -> Vec<String> {
        conditions(&self.server.object(kind, namespace, name))
    }

    /// Waits until the status is written.
    async fn says(&self, kind: &str, namespace: &str, name: &str, expect: &[&str]) {
        until(name, || !self.conditions(kind, namespace, name).is_empty()).await;
        self.quiet().await;
        assert_eq!(self.conditions(kind, namespace, name), expect, "{name}");
    }
}

const CLUSTER: &str = "ClusterImageAdmissionPolicy";

#[tokio::test(start_paused = true)]
async fn a_policy_says_what_became_of_it() {
    let mut bad = policy("bad");
    bad["spec"] = json!({"rulez": []});
    let mut wrong = policy("wrong");
    wrong["spec"]["rules"][0]["images"] = json!(["vendor/*"]);
    let mut match_prod = policy("prod");
    match_prod["spec"]["match"] = json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}});
    let mut baseline = match_prod.clone();
    baseline["metadata"]["name"] = json!("baseline");
    baseline["spec"]["tier"] = json!("Baseline");
    let server = ApiServer::new([
        policy("good"),
        bad,
        wrong,
        match_prod,
        baseline,
        signed("lost", "none"),
        signed("closed", "empty"),
        store(None, "empty", json!({"inline": "rubbish"})),
        tenant("team", "t", "own"),
        store(Some("team"), "own", json!({"secretRef": {"name": "keys", "key": "key"}})),
        namespace("team", "dev"),
    ]);
    server.refuse("/api/v1/namespaces/team/secrets", 403);
    let world = World::new(server).await;
    let (accepted, resolved) = ("Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs");
    let not_escapable = "Escapable=False NotEscapable";
    for (name, expect) in [
        ("good", [accepted, resolved, "Ready=True InForce", not_escapable].as_slice()),
        ("bad", &["Accepted=False Unreadable", resolved, "Ready=False Unreadable"]),
        ("wrong", &["Accepted=False Invalid", resolved, "Ready=False Invalid", not_escapable]),
        (
            "lost",
            &[
                accepted,
                "ResolvedRefs=False TrustStoreNotFound",
                "Ready=False TrustStoreNotFound",
                not_escapable,
            ],
        ),
        (
            "closed",
            &[
                accepted,
                "ResolvedRefs=False TrustStoreInvalid",
                "Ready=False TrustStoreInvalid",
                not_escapable,
            ],
        ),
        (
            "prod",
            &[accepted, resolved, "Escapable=True MatchRestsOnUsers", "Ready=True MatchesNothing"],
        ),
        ("baseline", &[accepted, resolved, "Ready=True MatchesNothing"]),
    ] {
        world.says(CLUSTER, "", name, expect).await;
    }
    let refused = ["ResolvedRefs=False RefNotPermitted", "Ready=False RefNotPermitted"];
    let refused = [accepted, refused[0], refused[1]];
    world.says("ImageAdmissionPolicy", "team", "t", &refused).await;
    world.says("TrustStore", "team", "own", &refused).await;
    world
        .says(
            "ClusterTrustStore",
            "",
            "empty",
            &["Accepted=False Invalid", resolved, "Ready=False Invalid"],
        )
        .await;
    let wrong = world.server.object(CLUSTER, "", "wrong");
    assert!(
        message(&wrong, "Ready").starts_with("fails closed: spec.rules[0].images[0]: "),
        "{wrong}"
    );
    let refused = world.server.object("ImageAdmissionPolicy", "team", "t");
    let text = message(&refused, "ResolvedRefs");
    assert!(text.contains("assay-trust-material-reader"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_trust_store_says_how_many_keys_it_holds() {
    let two = "-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----";
    let server = ApiServer::new([
        store(None, "two", json!({"inline": two})),
        store(
            None,
            "secret",
            json!({"secretRef": {"namespace": "assay", "name": "keys", "key": "key"}}),
        ),
        secret("assay", "keys", "-----BEGIN PUBLIC KEY-----"),
    ]);
    let world = World::new(server).await;
    let ready = ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs", "Ready=True InForce"];
    for (name, keys) in [("two", 2), ("secret", 1)] {
        world.says("ClusterTrustStore", "", name, &ready).await;
        let object = world.server.object("ClusterTrustStore", "", name);
        assert_eq!(object["status"]["keys"], json!(keys), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trust_store_says_before_it_expires_that_it_will() {
    let with = |not_after: &str| json!({"inline": "PUBLIC KEY", "notAfter": not_after});
    let server = ApiServer::new([
        store(None, "s", with("1970-02-01T00:00:00Z")),
        store(Some("team"), "s", with("1970-03-01T00:00:00Z")),
        store(None, "endless", inline()),
    ]);
    let world = World::new(server).await;
    let says = async |reason: &str| {
        // The Lease is renewed by the clock, which has moved.
        tokio::time::sleep(Duration::from_secs(120)).await;
        let ready = format!("Ready=True {reason}");
        let expect = ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs", &ready];
        world.says("ClusterTrustStore", "", "s", &expect).await;
    };
    let day = Duration::from_secs(24 * 60 * 60);
    says("InForce").await;
    // 30 days before the end, and a second before that.
    world.clock.advance(day - Duration::from_secs(1));
    says("InForce").await;
    world.clock.advance(Duration::from_secs(1));
    says("ExpiresSoon").await;
    let object = world.server.object("ClusterTrustStore", "", "s");
    assert_eq!(object["status"]["notAfter"], "1970-02-01T00:00:00Z");
    assert_eq!(
        message(&object, "Ready"),
        "the first key or certificate expires: 1970-02-01T00:00:00Z"
    );
    world.clock.advance(30 * day);
    says("ExpiresSoon").await;
    world.clock.advance(Duration::from_secs(1));
    says("Expired").await;
    let other = world.server.object("TrustStore", "team", "s");
    assert_eq!(other["status"]["notAfter"], "1970-03-01T00:00:00Z");
    let endless = world.server.object("ClusterTrustStore", "", "endless");
    assert_eq!(endless["status"]["notAfter"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_once_for_each_change() {
    let world = World::new(ApiServer::new([signed("a", "s"), policy("b")])).await;
    until("both are written", || world.server.count(PATCH) == 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.server.count(PATCH), 2);
    let compiles = world.compiles.load(Ordering::Relaxed);
    let before = world.server.object(CLUSTER, "", "a");
    let time = |object: &Value, index: usize| {
        object["status"]["conditions"][index]["lastTransitionTime"].clone()
    };
    assert_eq!(time(&before, 0), "1970-01-01T00:00:00Z");

    world.clock.advance(Duration::from_secs(60));
    world.server.put(store(None, "s", inline()));
    until("it is written", || world.server.count(PATCH) == 3).await;
    world.quiet().await;
    let after = world.server.object(CLUSTER, "", "a");
    assert_eq!(time(&after, 0), "1970-01-01T00:00:00Z", "Accepted is what it was");
    assert_eq!(time(&after, 2), "1970-01-01T00:01:00Z", "Ready has changed");
    assert_eq!(world.compiles.load(Ordering::Relaxed), compiles + 1, "a status compiles nothing");
}

#[tokio::test(start_paused = true)]
async fn a_status_that_another_wrote_is_put_right() {
    let world = World::new(ApiServer::new([policy("a")])).await;
    until("it is written", || world.server.count(PATCH) == 1).await;
    world.quiet().await;
    let mut object = world.server.object(CLUSTER, "", "a");
    let right = object["status"].clone();
    object["status"]["conditions"][0]["status"] = json!("False");
    world.server.put(object);
    until("it is put right", || world.server.count(PATCH) == 2).await;
    assert_eq!(world.server.object(CLUSTER, "", "a")["status"], right);
}

#[tokio::test(start_paused = true)]
async fn only_who_holds_the_lease_writes() {
    let server = ApiServer::new([
        policy("a"),
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": crate::lease::LEASE, "namespace": "assay"},
            "spec": {"holderIdentity": "pod-2", "leaseTransitions": 1},
        }),
    ]);
    let world = World::new(server).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.server.count("PATCH"), 0);

    world.clock.advance(Duration::from_secs(15));
    until("the other is gone", || world.server.count(PATCH) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn counts_are_written_now_and_then() {
    let world = World::new(ApiServer::new([policy("a")])).await;
    until("it is written", || world.server.count(PATCH) == 1).await;
    world.quiet().await;
    for _ in 0..100 {
        world.activity.record("a", "deny");
        world.activity.record("b", "deny");
    }
    world.activity.record("a", "dryrun");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.server.count(PATCH), 1, "not for counts alone, so soon");

    // The Lease is renewed by the clock, which stands still in between.
    for _ in 0..12 {
        world.clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    until("the counts", || world.server.count(PATCH) == 2).await;
    let recent = &world.server.object(CLUSTER, "", "a")["status"]["recent"];
    let expect = json!({"denied": 100, "dryrun": 1, "since": "1970-01-01T00:00:00Z", "warned": 0});
    assert_eq!(*recent, expect);
}

#[tokio::test(start_paused = true)]
async fn many_statuses_are_written_at_a_bounded_rate_and_all_of_them() {
    let policies = (0..200).map(|index| policy(&format!("p{index}")));
    let world = World::new(ApiServer::new(policies)).await;
    until("the first", || world.server.count(PATCH) > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.server.count(PATCH) <= 22, "{}", world.server.count(PATCH));
    // One that changes all the time keeps no other from its turn.
    for index in 0..100 {
        let mut policy = policy("p0");
        policy["spec"]["rules"][0]["images"] = json!([format!("docker.io/library/i{index}")]);
        world.server.put(policy);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let written = |name: &str| !world.conditions(CLUSTER, "", name).is_empty();
    until("all", || (1..200).all(|index| written(&format!("p{index}")))).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_is_tried_again_and_stops_nothing() {
    let server = ApiServer::new([policy("a")]);
    let path = "/apis/assay.dev/v1alpha1/clusterimageadmissionpolicies/a/status";
    server.refuse(path, 500);
    let world = World::new(server).await;
    until("two tries", || world.server.count(PATCH) == 2).await;
    world.server.allow();
    until("it is written", || !world.conditions(CLUSTER, "", "a").is_empty()).await;
}
