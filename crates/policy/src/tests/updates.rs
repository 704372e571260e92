//! Which images a request puts in question: UPDATEs, workload controllers, exempt namespaces.

use std::collections::BTreeMap;

use super::{IMAGE, World, create, deployment, judge, pod, policy, require, snapshot, update};
use crate::{
    DefaultAction, Effect, KindSelector, LabelSelector, Match, Namespace, Object, Operation, Plan,
    Policy, Quorum, Request, Snapshot, Source,
};

const OTHER: &str = "registry.example/other:v1";

fn signed() -> Snapshot {
    snapshot(vec![policy("p", require(Quorum::All, &["a"]))])
}

fn labelled(object: Object, value: &str) -> Object {
    Object { labels: BTreeMap::from([("tier".to_owned(), value.to_owned())]), ..object }
}

fn selector(value: &str) -> Option<LabelSelector> {
    let labels = BTreeMap::from([("tier".to_owned(), value.to_owned())]);
    Some(LabelSelector::new(labels, Vec::new()).unwrap())
}

fn for_kinds(policy: Policy, kinds: &[&str]) -> Policy {
    let kinds = kinds.iter().map(ToString::to_string).collect();
    let kinds = vec![KindSelector { api_groups: Vec::new(), kinds }];
    Policy { matcher: Ok(Match { kinds, ..Match::default() }), ..policy }
}

/// Asserts which images are in question.
#[track_caller]
fn check(snapshot: &Snapshot, request: &Request, expect: &[&str]) {
    let plan = Plan::new(snapshot, request, None);
    let found: Vec<&str> = plan.images.iter().map(|image| image.written.as_str()).collect();
    let covered = plan.images.iter().all(|image| image.work().is_some());
    assert_eq!(found, expect);
    assert!(covered);
}

#[test]
fn judges_every_distinct_image_of_a_new_pod_once() {
    check(&signed(), &create(pod(&[IMAGE, OTHER, IMAGE])), &[IMAGE, OTHER]);
}

#[test]
fn judges_only_what_an_update_adds() {
    check(&signed(), &update(pod(&[IMAGE]), pod(&[IMAGE])), &[]);
    check(&signed(), &update(pod(&[IMAGE, OTHER]), pod(&[OTHER, IMAGE])), &[]);
    check(&signed(), &update(pod(&[IMAGE]), pod(&[IMAGE, OTHER])), &[OTHER]);
    check(&signed(), &update(pod(&[OTHER]), pod(&[IMAGE])), &[IMAGE]);
}

#[test]
fn judges_every_image_under_a_policy_that_matches_only_now() {
    let matcher = Match { label_selector: selector("web"), ..Match::default() };
    let relabelled = Policy { matcher: Ok(matcher), ..policy("p", require(Quorum::All, &["a"])) };
    let snapshot = snapshot(vec![relabelled]);
    let (web, db) = (labelled(pod(&[IMAGE]), "web"), labelled(pod(&[IMAGE]), "db"));
    check(&snapshot, &update(db.clone(), web.clone()), &[IMAGE]);
    check(&snapshot, &update(web.clone(), web.clone()), &[]);
    check(&snapshot, &update(web.clone(), db.clone()), &[]);
    // A relabelling UPDATE escapes nothing.
    let added = Object { images: pod(&[IMAGE, OTHER]).images, ..db };
    check(&snapshot, &update(web, added), &[OTHER]);
}

#[test]
fn judges_neither_deletion_nor_connection_nor_exempt_namespaces_nor_other_kinds() {
    for operation in [Operation::Delete, Operation::Connect] {
        check(&signed(), &Request { operation, ..create(pod(&[IMAGE])) }, &[]);
    }
    for namespace in ["kube-system", "kube-node-lease", "assay-system"] {
        let snapshot =
            Snapshot { exempt_namespaces: ["assay-system".to_owned()].into(), ..signed() };
        let object = Object { namespace: namespace.to_owned(), ..pod(&[IMAGE]) };
        check(&snapshot, &create(object), &[]);
    }
    check(&signed(), &create(Object { kind: "Widget".to_owned(), ..pod(&[IMAGE]) }), &[]);
}

#[track_caller]
fn check_effect(snapshot: &Snapshot, request: &Request, expect: Effect) {
    let verdict = judge(snapshot, request, &World::default());
    assert_eq!(verdict.effect(), expect);
    let policies: usize = verdict.images.iter().map(|image| image.policies.len()).sum();
    assert!(policies <= 1, "one verdict and no doubled warning");
}

#[test]
fn a_workload_gets_warnings_for_its_template() {
    let deny = || policy("p", require(Quorum::All, &["a"]));
    check_effect(&snapshot(vec![deny()]), &create(deployment(&[IMAGE])), Effect::Warn);
    let pods = for_kinds(deny(), &["Pod"]);
    check_effect(&snapshot(vec![pods]), &create(deployment(&[IMAGE])), Effect::Warn);
    let anything = for_kinds(deny(), &["*"]);
    check_effect(&snapshot(vec![anything]), &create(deployment(&[IMAGE])), Effect::Warn);
    let others = for_kinds(deny(), &["StatefulSet"]);
    check_effect(&snapshot(vec![others]), &create(deployment(&[IMAGE])), Effect::Allow);
}

#[test]
fn a_workload_is_enforced_where_its_kind_is_named_literally() {
    let deny = || policy("p", require(Quorum::All, &["a"]));
    let named = for_kinds(deny(), &["Deployment"]);
    check_effect(&snapshot(vec![named]), &create(deployment(&[IMAGE])), Effect::Deny);
    let both = for_kinds(deny(), &["Pod", "Deployment"]);
    check_effect(&snapshot(vec![both]), &create(deployment(&[IMAGE])), Effect::Deny);
}

#[test]
fn a_workload_that_a_controller_owns_is_skipped_and_a_pod_is_not() {
    let owned = |object| Object { controlled: true, ..object };
    check(&signed(), &create(owned(deployment(&[IMAGE]))), &[]);
    check(&signed(), &create(owned(pod(&[IMAGE]))), &[IMAGE]);
}

#[test]
fn the_command_line_enforces_templates() {
    let request = Request { enforce_templates: true, ..create(deployment(&[IMAGE])) };
    check_effect(&signed(), &request, Effect::Deny);
}

#[test]
fn default_action_only_warns_of_a_template() {
    let snapshot = Snapshot { default_action: DefaultAction::Deny, ..Snapshot::default() };
    check_effect(&snapshot, &create(deployment(&[IMAGE])), Effect::Warn);
    check_effect(&snapshot, &create(pod(&[IMAGE])), Effect::Deny);
    let generated = Object { source: Source::Generated, ..pod(&[IMAGE]) };
    check_effect(&snapshot, &update(generated.clone(), generated), Effect::Allow);
}

#[test]
fn asks_for_labels_only_where_they_decide() {
    let matcher = Match { namespace_selector: selector("prod"), ..Match::default() };
    let selected = Policy { matcher: Ok(matcher), ..policy("p", require(Quorum::All, &["a"])) };
    let selected = snapshot(vec![selected]);
    let same = update(pod(&[IMAGE]), pod(&[IMAGE]));
    assert!(Plan::needs_labels(&selected, &create(pod(&[IMAGE]))));
    assert!(!Plan::needs_labels(&selected, &same), "nothing is in question");
    assert!(Plan::needs_labels(&selected, &update(pod(&[IMAGE]), pod(&[OTHER]))));
    assert!(!Plan::needs_labels(&signed(), &create(pod(&[IMAGE]))), "no policy selects by them");
    let elsewhere = Object { namespace: "kube-system".to_owned(), ..pod(&[IMAGE]) };
    assert!(!Plan::needs_labels(&selected, &create(elsewhere)));
}

#[test]
fn labels_that_cannot_be_had_refuse() {
    let matcher = Match { namespace_selector: selector("prod"), ..Match::default() };
    let selected = Policy { matcher: Ok(matcher), ..policy("p", require(Quorum::All, &["a"])) };
    let snapshot = snapshot(vec![selected]);
    let request = create(pod(&[IMAGE]));
    let prod = BTreeMap::from([("tier".to_owned(), "prod".to_owned())]);
    let none = BTreeMap::new();
    for (labels, covers) in [(Ok(&prod), 1), (Ok(&none), 0), (Err("no answer"), 1)] {
        let namespace = Namespace { name: "app", labels };
        let plan = Plan::new(&snapshot, &request, Some(&namespace));
        let found: usize = plan.images.iter().map(|image| image.covers.len()).sum();
        assert_eq!(found, covers, "{labels:?}");
    }
    let namespace = Namespace { name: "app", labels: Err("no answer") };
    let plan = Plan::new(&snapshot, &request, Some(&namespace));
    let verdict = crate::decide(&snapshot, &plan, &[None]);
    assert_eq!(verdict.effect(), Effect::Deny);
}
