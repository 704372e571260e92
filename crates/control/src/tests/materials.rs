//! Secrets and ConfigMaps: each by name, each live, none of another namespace.

use super::server::HANGS;
use super::*;

fn secret_ref(name: &str) -> Value {
    json!({"secretRef": {"name": name, "key": "key"}})
}

fn cluster_ref(namespace: &str, name: &str) -> Value {
    json!({"secretRef": {"namespace": namespace, "name": name, "key": "key"}})
}

#[tokio::test(start_paused = true)]
async fn the_first_snapshot_has_what_it_rests_on() {
    let server = ApiServer::new([
        signed("a", "s"),
        store(None, "s", cluster_ref("assay", "keys")),
        secret("assay", "keys", "PUBLIC KEY"),
        tenant("team", "t", "own"),
        store(Some("team"), "own", json!({"configMapRef": {"name": "keys", "key": "key"}})),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "keys", "namespace": "team"}, "data": {"key": "PUBLIC KEY"},
        }),
    ]);
    let world = World::new(server).await;
    assert_eq!(world.in_force(), ["a", "team/t"]);
    assert_eq!(world.compiles.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn secrets_take_effect_live() {
    let server = ApiServer::new([signed("a", "s"), store(None, "s", cluster_ref("assay", "keys"))]);
    let world = World::new(server).await;
    let second = Duration::from_secs(1);
    let problem = |expect: &str| {
        assert!(world.problem("a").contains(expect), "{expect}: {}", world.problem("a"));
    };
    problem("Secret 'keys' of namespace 'assay' does not exist");

    world.server.put(secret("assay", "keys", "PUBLIC KEY"));
    assert!(world.until(&["a"]).await < second);
    world.server.put(secret("assay", "keys", "rubbish"));
    assert!(world.until(&["a!"]).await < second);
    problem("no public key in 7 bytes");
    world.server.put(secret("assay", "keys", "PUBLIC KEY"));
    assert!(world.until(&["a"]).await < second);
    world.server.delete("Secret", "assay", "keys");
    assert!(world.until(&["a!"]).await < second);

    let mut keyless = secret("assay", "keys", "PUBLIC KEY");
    keyless["data"] = json!({"other": "UFVCTElDIEtFWQ=="});
    world.server.put(keyless);
    world.quiet().await;
    problem("has no key 'key'");
}

#[tokio::test(start_paused = true)]
async fn a_new_store_takes_effect_with_its_secret_in_one_compile() {
    let world = World::new(ApiServer::new([secret("assay", "keys", "PUBLIC KEY")])).await;
    world.quiet().await;
    let before = world.compiles.load(Ordering::Relaxed);
    world.server.put(store(None, "s", cluster_ref("assay", "keys")));
    world.server.put(signed("a", "s"));
    assert!(world.until(&["a"]).await < Duration::from_secs(1));
    assert_eq!(world.compiles.load(Ordering::Relaxed), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_grants_nothing_closes_the_policy_until_it_does() {
    let server = ApiServer::new([
        tenant("team", "t", "own"),
        store(Some("team"), "own", secret_ref("keys")),
        secret("team", "keys", "PUBLIC KEY"),
        policy("other"),
    ]);
    server.refuse("/api/v1/namespaces/team/secrets", 403);
    let world = World::new(server).await;
    assert_eq!(world.in_force(), ["other", "team/t!"]);
    let expect = "Secret 'keys' of namespace 'team' may not be read: bind the ClusterRole \
                  assay-trust-material-reader in that namespace";
    assert!(world.problem("team/t").contains(expect), "{}", world.problem("team/t"));
    assert_eq!(world.handle.age(), Duration::ZERO, "this is an answer, and no failure");

    world.server.allow();
    assert!(world.until(&["other", "team/t"]).await < Duration::from_secs(45));
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_gone_for_good_close_the_policy_and_a_moment_does_not() {
    let server = ApiServer::new([
        signed("a", "s"),
        store(None, "s", cluster_ref("assay", "keys")),
        secret("assay", "keys", "PUBLIC KEY"),
    ]);
    let world = World::new(server).await;
    let secrets = "/api/v1/namespaces/assay/secrets";
    let refusals = || world.server.count(&format!("GET {secrets}")) - 1;

    world.server.refuse(secrets, 403);
    world.server.disconnect();
    until("two refusals", || refusals() == 2).await;
    assert_eq!(world.in_force(), ["a"]);
    until("a third one", || refusals() == 3).await;
    world.until(&["a!"]).await;
    assert!(world.problem("a").contains("may not be read"), "{}", world.problem("a"));
}

#[tokio::test(start_paused = true)]
async fn secrets_stay_while_the_api_server_is_away() {
    let server = ApiServer::new([
        signed("a", "s"),
        store(None, "s", cluster_ref("assay", "keys")),
        secret("assay", "keys", "PUBLIC KEY"),
    ]);
    let world = World::new(server).await;
    world.server.refuse("/", 0);
    world.server.disconnect();
    tokio::time::sleep(Duration::from_secs(300)).await;
    world.handle.rebuild();
    world.quiet().await;
    assert_eq!(world.in_force(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_named_is_asked_for_and_only_in_the_own_namespace() {
    let server = ApiServer::new([
        tenant("team", "t", "own"),
        tenant("team", "u", "thief"),
        store(Some("team"), "own", secret_ref("keys")),
        store(Some("team"), "thief", cluster_ref("assay", "private")),
        secret("team", "keys", "PUBLIC KEY"),
        secret("assay", "private", "PUBLIC KEY"),
    ]);
    let world = World::new(server).await;
    assert_eq!(world.in_force(), ["team/t", "team/u!"]);
    let asked: Vec<String> =
        world.server.log().into_iter().filter(|line| line.contains("/secrets")).collect();
    let path = "/api/v1/namespaces/team/secrets keys";
    assert_eq!(asked, [format!("GET {path}"), format!("WATCH {path}")]);

    world.server.delete("TrustStore", "team", "own");
    world.until(&["team/t!", "team/u!"]).await;
    world.quiet().await;
    world.server.disconnect();
    world.quiet().await;
    let asked = world.server.count("GET /api/v1/namespaces/team/secrets");
    assert_eq!(asked, 1, "what nobody names is no longer watched");
}

#[tokio::test(start_paused = true)]
async fn what_is_named_in_files_comes_from_files_first() {
    let text = format!(
        "{}\n---\n{}",
        store(None, "s", cluster_ref("assay", "keys")),
        secret("assay", "keys", "PUBLIC KEY of the file"),
    );
    let world = World::with_files(ApiServer::new([signed("a", "s")]), &text).await;
    assert_eq!(world.in_force(), ["a"]);
    assert_eq!(world.server.count("GET /api/v1/namespaces/assay/secrets"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_slow_is_not_waited_for() {
    let world = World::new(ApiServer::new([])).await;
    world.quiet().await;
    // No answer at all: the list of a Secret hangs.
    world.server.refuse("/api/v1/namespaces/team/secrets", HANGS);
    world.server.put(store(Some("team"), "own", secret_ref("keys")));
    world.server.put(tenant("team", "t", "own"));
    world.server.put(policy("other"));
    assert!(world.until(&["other", "team/t!"]).await < Duration::from_secs(1));
    assert!(world.problem("team/t").contains("is not read yet"), "{}", world.problem("team/t"));
}
