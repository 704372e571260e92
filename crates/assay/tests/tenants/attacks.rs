//! What a tenant may try with its policies and trust stores. Each attempt stands beside what is allowed
//! and differs in a single fact.

use assay_policy::DefaultAction::{Allow, Deny};
use assay_testkit::{RegistryOptions, TestRegistry};

use crate::world::{World, document, policy, signed_by, store};

const ANYTHING: &str = "rules: [{images: ['**'], allow: true}]";

const RELEASED: &str = "trustStore: release-keys";

#[tokio::test]
async fn allowing_everything_is_no_cover() {
    let world = World::new().await;
    let (app, _) = world.push("app", None);
    for action in ["deny", "warn", "dryrun"] {
        let spec = format!("{{enforcementAction: {action}, {ANYTHING}}}");
        assert!(world.enforce(&policy(Some("evil"), "mine", &spec), Deny).is_empty());
        assert_eq!(world.refusal("evil", &app).await, ["defaultAction NOT_COVERED"], "{action}");
    }
    world.enforce(&policy(None, "platform", &format!("{{{ANYTHING}}}")), Deny);
    assert!(world.refusal("evil", &app).await.is_empty());
}

#[tokio::test]
async fn only_a_policy_that_enforces_and_compiles_displaces_a_baseline() {
    let world = World::new().await;
    let (app, _) = world.push("app", None);
    let baseline = signed_by(RELEASED).replacen('{', "{tier: Baseline, ", 1);
    let baseline = world.release_keys() + &policy(None, "baseline", &baseline);
    let refused = "baseline SIGNATURE_NOT_FOUND";
    let lost = "verifiers: [{name: v, cosign: {keys: [{trustStore: lost}]}}]";
    let rest = "{images: ['**'], require: {all: [v]}}]";
    for (name, spec, expect) in [
        ("enforced", ANYTHING.to_owned(), vec![]),
        ("warn", format!("enforcementAction: warn, {ANYTHING}"), vec![refused]),
        ("dryrun", format!("enforcementAction: dryrun, {ANYTHING}"), vec![refused]),
        ("no rules", "rules: []".to_owned(), vec![refused, "evil/mine POLICY_INVALID"]),
        (
            "a tier of its own",
            format!("tier: Mandatory, {ANYTHING}"),
            vec![refused, "evil/mine POLICY_INVALID"],
        ),
        // The rule that decides compiles, the policy does not.
        (
            "broken behind",
            format!("{lost}, rules: [{{images: ['**'], allow: true}}, {rest}"),
            vec![refused],
        ),
        ("another image", ANYTHING.replace("**", "docker.io/**"), vec![refused]),
    ] {
        let text = baseline.clone() + &policy(Some("evil"), "mine", &format!("{{{spec}}}"));
        world.enforce(&text, Allow);
        let mut refusal = world.refusal("evil", &app).await;
        refusal.sort();
        assert_eq!(refusal, expect, "{name}");
        assert_eq!(world.refusal("shop", &app).await, [refused], "{name}: of another namespace");
    }
}

#[tokio::test]
async fn a_store_with_the_name_of_the_clusters_stands_in_for_nothing() {
    let world = World::new().await;
    let (good, _) = world.push("good", Some(&world.release));
    let (bad, _) = world.push("bad", Some(&world.mallory));
    let stores = world.release_keys() + &store(Some("evil"), "release-keys", &world.mallory);
    for (name, own, text, good_is, bad_is) in [
        ("of the cluster", "p", policy(None, "p", &signed_by(RELEASED)), true, false),
        ("its own", "evil/p", policy(Some("evil"), "p", &signed_by(RELEASED)), false, true),
        (
            "the cluster's, by its name",
            "evil/p",
            policy(Some("evil"), "p", &signed_by("clusterTrustStore: release-keys")),
            true,
            false,
        ),
    ] {
        assert!(world.enforce(&(stores.clone() + &text), Allow).is_empty(), "{name}");
        for (image, is_good) in [(&good, good_is), (&bad, bad_is)] {
            let mismatch = vec![format!("{own} KEY_MISMATCH")];
            let expect = if is_good { Vec::new() } else { mismatch };
            assert_eq!(world.refusal("evil", image).await, expect, "{name} {image}");
        }
    }
}

#[tokio::test]
async fn stores_and_secrets_of_others_are_not_there() {
    let world = World::new().await;
    let (app, _) = world.push("app", Some(&world.release));
    let key = serde_json::json!(world.release.public_key_pem().unwrap());
    let secret = |namespace: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\n\
             metadata: {{name: key, namespace: {namespace}}}\nstringData: {{pub: {key}}}\n"
        )
    };
    let from = |reference: &str| {
        document("TrustStore", Some("evil"), "mine", &format!("{{publicKeys: {{{reference}}}}}"))
    };
    let named = |store: &str| policy(Some("evil"), "p", &signed_by(store));
    let mine = named("trustStore: mine");
    let shops = store(Some("shop"), "keys", &world.release);
    for (name, text, is_good) in [
        (
            "own store",
            store(Some("evil"), "keys", &world.release) + &named("trustStore: keys"),
            true,
        ),
        ("another's store", shops.clone() + &named("trustStore: keys"), false),
        ("by a path", shops.clone() + &named("trustStore: shop/keys"), false),
        ("with a namespace", shops + &named("trustStore: keys, namespace: shop"), false),
        ("own Secret", secret("evil") + &from("secretRef: {name: key, key: pub}") + &mine, true),
        (
            "another's Secret",
            secret("shop") + &from("secretRef: {name: key, key: pub}") + &mine,
            false,
        ),
        (
            "by its namespace",
            secret("shop") + &from("secretRef: {name: key, key: pub, namespace: shop}") + &mine,
            false,
        ),
    ] {
        let problems = world.enforce(&text, Allow);
        assert_eq!(problems.is_empty(), is_good, "{name}: {problems:?}");
        let expect: &[&str] = if is_good { &[] } else { &["evil/p POLICY_INVALID"] };
        assert_eq!(world.refusal("evil", &app).await, expect, "{name}");
    }
}

/// What is on loopback, or wherever else a tenant says, gets no request, and the image no signature.
#[tokio::test]
async fn signatures_are_not_looked_for_at_internal_addresses() {
    let world = World::new().await;
    let (app, digest) = world.push("app", None);
    let canary = TestRegistry::start(RegistryOptions::default()).await.unwrap();
    for registry in [&canary, &world.open] {
        registry.push_image("signatures", "v1");
        assay_testkit::cosign::simple::sign(registry, "signatures", &digest, &world.release)
            .unwrap();
    }
    let spec = |repository: &str, store: &str| {
        let more = format!("], signatureRepository: '{repository}'}}}}], rules");
        signed_by(store).replacen("]}}], rules", &more, 1)
    };
    let canary_host = canary.host();
    for host in ["169.254.169.254", "10.0.0.1", "[::1]:5000", "localhost:5000", &canary_host] {
        let repository = format!("{host}/signatures");
        for (namespace, store, own) in
            [(Some("evil"), "clusterTrustStore: release-keys", "evil/p"), (None, RELEASED, "p")]
        {
            let text = world.release_keys() + &policy(namespace, "p", &spec(&repository, store));
            world.enforce(&text, Allow);
            let refusal = world.refusal("evil", &app).await;
            assert_eq!(refusal.len(), 1, "{repository}: {refusal:?}");
            assert!(refusal[0].starts_with(own), "{repository}: {refusal:?}");
        }
        assert_eq!(canary.requests(), [], "{repository}");
    }
    let own = format!("{}/signatures", world.open.host());
    let text = policy(Some("evil"), "p", &spec(&own, "clusterTrustStore: release-keys"));
    assert!(world.enforce(&(world.release_keys() + &text), Allow).is_empty());
    assert!(world.refusal("evil", &app).await.is_empty(), "the image's own host");
}
