use std::collections::BTreeSet;

use super::*;
use crate::tests::{create, deployment, of_namespace, pod, policy, snapshot, update};
use crate::{Invalid, KindSelector, Object, Plan, PolicyId, Request, RuleBody, Snapshot};

/// What policies match, in the parts that the index reads.
const NAMESPACES: [&[&str]; 9] = [
    &[],
    &["app"],
    &["app", "other"],
    &["ap*"],
    &["app*", "a*"],
    &["*"],
    &["*pp"],
    &["other", "*p*"],
    &["other", ""],
];

const KINDS: [&[&[&str]]; 8] = [
    &[],
    &[&["Pod"]],
    &[&["Deployment", "Pod"], &["Pod"]],
    &[&["Deployment"]],
    &[&["Job", "*"]],
    &[&["Job"], &[]],
    &[&["Job"]],
    &[&["ReplicaSet"], &["Deployment"]],
];

/// A policy for each pair of what can be matched; of the cluster, of the namespace `app`, and with
/// a `match` that did not compile.
fn policies() -> Vec<Policy> {
    let mut policies = Vec::new();
    for (namespaces, kinds) in NAMESPACES.iter().flat_map(|one| KINDS.map(|other| (one, other))) {
        let name = format!("{namespaces:?} {kinds:?}");
        let matcher = Match {
            namespaces: namespaces.iter().map(|glob| Wildcard::new(glob).unwrap()).collect(),
            kinds: kinds.iter().map(|kinds| kind_selector(kinds)).collect(),
            ..Match::default()
        };
        let plain = Policy { matcher: Ok(matcher), ..policy(&name, RuleBody::Allow) };
        policies.push(of_namespace(plain.clone()));
        policies.push(plain);
    }
    let reason = || Invalid { field: "spec.match".to_owned(), reason: "is wrong".to_owned() };
    let broken = Policy { matcher: Err(reason()), ..policy("broken", RuleBody::Allow) };
    policies.extend([of_namespace(broken.clone()), broken]);
    policies
}

fn kind_selector(kinds: &[&str]) -> KindSelector {
    KindSelector { kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..<_>::default() }
}

/// The policies that judge a request, each alone in its Snapshot and looked at whatever its place.
fn judging_alone(policies: &[Policy], request: &Request) -> BTreeSet<PolicyId> {
    let alone = |policy: &&Policy| {
        let all = Policies { all: vec![Arc::new((*policy).clone())], ..Policies::default() };
        let everywhere = Bucket { any_kind: vec![0], ..Bucket::default() };
        let policies = Policies { anywhere: everywhere, ..all };
        !judging(&Snapshot { policies, ..Snapshot::default() }, request).is_empty()
    };
    policies.iter().filter(alone).map(|policy| policy.id.clone()).collect()
}

fn judging(snapshot: &Snapshot, request: &Request) -> BTreeSet<PolicyId> {
    let plan = Plan::new(snapshot, request, None);
    let covers = plan.images.iter().flat_map(|image| &image.covers);
    covers.map(|cover| cover.policy.id.clone()).collect()
}

fn requests() -> Vec<(&'static str, Request)> {
    let object = |object: Object, namespace: &str| Object { namespace: namespace.into(), ..object };
    let images = ["registry.example/app:v1"];
    let (pod, deployment) = (pod(&images), deployment(&images));
    let moved = Request { namespace: "other".to_owned(), ..create(pod.clone()) };
    let old = Object { images: Vec::new(), ..object(deployment.clone(), "other") };
    vec![
        ("a pod", create(pod.clone())),
        ("a pod elsewhere", create(object(pod.clone(), "apple"))),
        ("a pod of another namespace", create(object(pod.clone(), "other"))),
        ("a pod in a namespace without name", create(object(pod.clone(), ""))),
        ("a pod that says another namespace than its request", moved),
        ("a deployment", create(deployment)),
        ("an update", update(Object { images: Vec::new(), ..pod.clone() }, pod.clone())),
        ("an update from another place and kind", update(old, pod)),
    ]
}

#[test]
fn leaves_out_nothing_that_matches() {
    let policies = policies();
    let together = snapshot(policies.clone());
    for (name, request) in requests() {
        let expect = judging_alone(&policies, &request);
        assert_eq!(judging(&together, &request), expect, "{name}");
        assert!(!expect.is_empty() && expect.len() < policies.len(), "{name}: {}", expect.len());
    }
}

#[track_caller]
fn check_candidates(place: Option<(&str, &str)>, expect: &[&str]) {
    let named = |name: &str, namespaces: &[&str], kinds: &[&str]| {
        let matcher = Match {
            namespaces: namespaces.iter().map(|glob| Wildcard::new(glob).unwrap()).collect(),
            kinds: vec![kind_selector(kinds)],
            ..Match::default()
        };
        Policy { matcher: Ok(matcher), ..policy(name, RuleBody::Allow) }
    };
    let policies = snapshot(vec![
        named("jobs", &[], &["Job"]),
        named("apps", &["app-*", "app-1"], &[]),
        of_namespace(named("own", &[], &["Pod", "Job"])),
        named("endings", &["*-1"], &["Pod"]),
    ])
    .policies;
    let found: Vec<&str> = policies.candidates(place).map(|it| it.id.name.as_str()).collect();
    assert_eq!(found, expect, "{place:?}");
}

#[test]
fn leaves_out_other_namespaces_and_kinds() {
    check_candidates(None, &["jobs", "apps", "own", "endings"]);
    check_candidates(Some(("app", "Pod")), &["own", "endings"]);
    check_candidates(Some(("app", "Job")), &["jobs", "own"]);
    check_candidates(Some(("app-1", "Pod")), &["apps", "endings"]);
    check_candidates(Some(("app-2", "Job")), &["jobs", "apps"]);
    check_candidates(Some(("other", "Pod")), &["endings"]);
    check_candidates(Some(("other", "Deployment")), &[]);
}
