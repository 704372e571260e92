//! Policies, which tenants write too: whatever does not compile refuses, and nothing that is not
//! verified is admitted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assay_api::{
    Body, CompileOptions, Document, DocumentKind, GivenSources, compile, read_documents,
};
use assay_policy::{
    Effect, EnforcementAction, Match, Namespace, Object, Operation, Plan, Policy, Request,
    RuleBody, Snapshot, decide,
};
use assay_verifiers::Factory;

/// Files of policies.
pub const POLICIES: &[&str] = &[
    include_str!("../../../config/policies/release-images.yaml"),
    include_str!("../../../config/policies/signed-by-default.yaml"),
    include_str!("../../../config/policies/team-web.yaml"),
    include_str!("../../../config/policies/vendor-images.yaml"),
    "{apiVersion: assay.dev/v1alpha1, kind: ImageAdmissionPolicy, metadata: {name: a, namespace: shop}, spec: {match: {name: \"web-*\", labelSelector: {matchLabels: {app: web}}}, rules: [{images: [\"**\"], allow: true}], onError: allow, requireDigest: deny}}",
];

/// The pod that every policy is tried on.
const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"registry.corp.example/shop/web:1.0"}]}}"#;

/// Each document that is a policy, or may have been one, is in the Snapshot; what did not compile is
/// said on one line, and closes; and with nothing found out about an image, a policy that enforces
/// admits it only by a rule that says `allow: true`.
pub fn policies(data: &[u8]) -> bool {
    let documents = read_documents(Path::new("policies/p.yaml"), data);
    let read = |path: &Path| Err(format!("{} cannot be read", path.display()));
    let sources = GivenSources { documents: &documents, read: &read };
    let compiled =
        compile(&documents, &CompileOptions::default(), &sources, &Factory::default(), None);

    let policies = &compiled.snapshot.policies;
    let is_policy = |document: &&Document| match &document.body {
        Ok(body) => {
            matches!(body, Body::ClusterImageAdmissionPolicy(_) | Body::ImageAdmissionPolicy(_))
        }
        Err(error) => error.kind != DocumentKind::Other,
    };
    let written = || documents.iter().filter(is_policy);
    assert_eq!(policies.len(), written().count());
    let unreadable = written().filter(|document| document.body.is_err()).count();
    let closed = policies.iter().filter(|policy| policy.rules.is_err()).count();
    assert!(closed >= unreadable);
    assert!(closed == 0 || !compiled.problems.is_empty());
    for problem in &compiled.problems {
        assert!(!problem.to_string().contains(char::is_control), "{problem:?}");
    }
    policies.iter().for_each(check_policy);
    !documents.is_empty() && closed == 0 && documents.iter().all(|document| document.body.is_ok())
}

/// A policy by itself.
fn check_policy(policy: &Arc<Policy>) {
    let snapshot = Snapshot { policies: vec![policy.clone()].into(), ..Snapshot::default() };
    let namespace = policy.id.namespace.clone().unwrap_or_else(|| "shop".to_owned());
    if policy.enforcement_action != EnforcementAction::Deny || snapshot.exempts(&namespace) {
        return;
    }
    let pod = Object::parse(POD).expect("a pod");
    let pod = Object { namespace: namespace.clone(), ..pod };
    let labels = BTreeMap::new();
    let supplied = Namespace { name: &namespace, labels: Ok(&labels) };
    let is_for = |matcher: &Match| matcher.matches_one(&pod, Some(&supplied));
    let is_matched = policy.matcher.as_ref().map_or(Ok(true), is_for) != Ok(false);

    let request = Request {
        id: String::new(),
        operation: Operation::Create,
        namespace: namespace.clone(),
        object: Some(pod.clone()),
        old_object: None,
        dry_run: false,
        enforce_templates: false,
        deadline: Duration::ZERO,
    };
    let plan = Plan::new(&snapshot, &request, Some(&supplied));
    let verdict = decide(&snapshot, &plan, &[]);
    let is_closed = policy.matcher.is_err() || policy.rules.is_err();
    assert!(!(is_closed && is_matched && verdict.is_admitted()), "{policy:?}");
    for judged in verdict.images.iter().flat_map(|image| &image.policies) {
        assert!(is_matched, "{policy:?}");
        let rule = judged.rule.and_then(|index| policy.rules.as_ref().ok()?.get(index));
        let allows = rule.is_some_and(|rule| matches!(rule.body, RuleBody::Allow));
        assert!(allows || judged.effect > Effect::Warn, "{policy:?}");
    }
}
