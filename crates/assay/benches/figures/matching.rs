//! What it costs to find, among 1,000 policies, those that look at one pod.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use assay_api::{CompileOptions, GivenSources, compile, read_documents};
use assay_policy::{Object, Operation, Plan, Request, Snapshot};
use assay_verifiers::Factory;

use crate::numbers::{micros, time_of};
use crate::table::Figure;

/// Policies in force.
const POLICIES: usize = 1_000;

const INDEXED_GOAL: Duration = Duration::from_micros(20);
const WORST_GOAL: Duration = Duration::from_micros(200);

/// A match, by the policy's number, and the policy's namespace where it is a namespace's own.
type Match = fn(usize) -> (String, Option<String>);

/// What the policies match, how many of them the pod of the namespace `team-7`, and the goal.
const CASES: [(&str, Match, usize, Duration); 8] = [
    ("each a namespace", by_namespace, 1, INDEXED_GOAL),
    ("each a prefix of namespaces", by_prefix, 1, INDEXED_GOAL),
    ("other kinds", by_kind, 1, INDEXED_GOAL),
    ("100 namespaces' own", own, 10, INDEXED_GOAL),
    ("labels that the pod has not", by_label, 0, WORST_GOAL),
    ("endings of namespaces", by_suffix, 0, WORST_GOAL),
    ("labels of a namespace", by_namespace_labels, 0, WORST_GOAL),
    ("everything: all match", everything, POLICIES, WORST_GOAL),
];

fn by_namespace(number: usize) -> (String, Option<String>) {
    let kinds = r#"kinds: [{apiGroups: [""], kinds: [Pod]}]"#;
    (format!("{{{kinds}, namespaces: [team-{number}]}}"), None)
}

fn by_prefix(number: usize) -> (String, Option<String>) {
    // team-7 begins with none of the others.
    let prefix = if number == 7 { "team-7*".to_owned() } else { format!("team-{number}-*") };
    (format!("{{namespaces: [\"{prefix}\", \"test-{number}-*\"]}}"), None)
}

fn by_kind(number: usize) -> (String, Option<String>) {
    let kind = if number == 7 { "Pod" } else { "Job, CronJob" };
    (format!("{{kinds: [{{kinds: [{kind}]}}], excludedNamespaces: [\"kube-*\"]}}"), None)
}

fn own(number: usize) -> (String, Option<String>) {
    ("{}".to_owned(), Some(format!("team-{}", number % 100)))
}

fn by_label(number: usize) -> (String, Option<String>) {
    let expression = format!("{{key: app, operator: In, values: [a-{number}, b-{number}]}}");
    (format!("{{labelSelector: {{matchExpressions: [{expression}]}}}}"), None)
}

fn by_suffix(number: usize) -> (String, Option<String>) {
    (format!("{{namespaces: [\"*-{number}-a\"], excludedNamespaces: [\"*-system\"]}}"), None)
}

fn by_namespace_labels(number: usize) -> (String, Option<String>) {
    (format!("{{namespaceSelector: {{matchLabels: {{env: e-{number}}}}}}}"), None)
}

fn everything(_: usize) -> (String, Option<String>) {
    (r#"{kinds: [{apiGroups: ["*"], kinds: ["*"]}]}"#.to_owned(), None)
}

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let request = request()?;
    CASES.into_iter().map(|case| figure(&request, case)).collect()
}

fn figure(
    request: &Request,
    (what, matching, expect, goal): (&str, Match, usize, Duration),
) -> Result<Figure> {
    let snapshot = snapshot(matching)?;
    let labels = [("env".to_owned(), "prod".to_owned())].into();
    let namespace = assay_policy::Namespace { name: &request.namespace, labels: Ok(&labels) };
    let plan = || Plan::new(&snapshot, request, Some(&namespace));
    let covers = assay_policy::decide(&snapshot, &plan(), &[]).images;
    let covers = covers.first().map_or(0, |image| image.policies.len());
    ensure!(covers == expect, "{what}: {covers} policies match, not {expect}");
    let asks = time_of(|| Plan::needs_labels(&snapshot, request));
    let plans = time_of(plan);
    let took = asks + plans;
    Ok(Figure::new(format!("{POLICIES} policies, one pod: {what}"), micros(took))
        .beside(format!("labels asked for in {}, plan in {}", micros(asks), micros(plans)))
        .goal(format!("at most {}", micros(goal)), took <= goal))
}

/// The policies, compiled from YAML as users write it.
fn snapshot(matching: Match) -> Result<Snapshot> {
    let mut documents = Vec::new();
    for number in 0..POLICIES {
        let (matching, namespace) = matching(number);
        let kind = match namespace {
            Some(_) => "ImageAdmissionPolicy",
            None => "ClusterImageAdmissionPolicy",
        };
        let namespace = namespace.map_or(String::new(), |name| format!(", namespace: {name}"));
        let text = format!(
            "apiVersion: assay.dev/v1alpha1\nkind: {kind}\n\
             metadata: {{name: policy-{number}{namespace}}}\nspec:\n  match: {matching}\n  \
             rules:\n  - images: [\"docker.io/library/*\", \"registry.k8s.io/**\"]\n    \
             deny: from elsewhere\n  - images: [\"registry.example/**\"]\n    allow: true\n"
        );
        documents.extend(read_documents(Path::new("policy.yaml"), text.as_bytes()));
    }
    let sources = GivenSources { documents: &documents, read: &|_| Err("no files".to_owned()) };
    let compiled =
        compile(&documents, &CompileOptions::default(), &sources, &Factory::default(), None);
    ensure!(compiled.problems.is_empty(), "{:?}", compiled.problems.first());
    Ok(compiled.snapshot)
}

/// A pod of two images in the namespace `team-7`.
fn request() -> Result<Request> {
    let object = r#"{"apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "namespace": "team-7",
            "labels": {"app": "web", "tier": "front", "version": "v1"}},
        "spec": {"containers": [
            {"name": "web", "image": "registry.example/shop/web:v1"},
            {"name": "proxy", "image": "registry.example/shop/proxy:v1"}]}}"#;
    Ok(Request {
        id: "0badf00d".to_owned(),
        operation: Operation::Create,
        namespace: "team-7".to_owned(),
        object: Some(Object::parse(object)?),
        old_object: None,
        dry_run: false,
        enforce_templates: false,
        deadline: Duration::MAX,
    })
}
