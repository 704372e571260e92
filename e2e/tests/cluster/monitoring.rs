//! What `manifests/monitoring` shows and alerts on, before a real Prometheus that scrapes the binary
//! and the API server: every query is answered, and every metric and label that is named anywhere is
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use assay_e2e::{Prometheus, WEBHOOK_NAME, until};
use serde_json::{Value, json};

use crate::fixture::{Fixture, trust_store};

/// Metrics that only come about where many ask at the same moment, with their labels.
const RARE: [(&str, &str); 1] = [("assay_singleflight_coalesced_total", "cache")];

/// Panels that have nothing to show here: no registry throttles, and no two ask at once.
const QUIET: [&str; 2] = ["Throttled", "Waited for another"];

/// What the variables of the dashboard stand for.
const VARIABLES: [(&str, &str); 3] =
    [("$__rate_interval", "1m"), ("$__range", "1h"), ("$namespace", ".*")];

/// A query that stands somewhere, with the labels that whoever shows its result names.
struct Query {
    place: String,
    text: String,
    shown: Vec<String>,
}

pub(crate) fn answers_dashboard_and_rules_with_metrics_there_are(
    fixture: &mut Fixture,
) -> Result<()> {
    let rules = project("manifests/monitoring/plain/rules.yaml");
    let prometheus =
        Prometheus::start(&fixture.directory, &fixture.cluster, &fixture.webhook, &rules)?;
    until("the first scrapes", || {
        let scrapes = prometheus.query("min(count_over_time(up[1m])) > 2 and min(up) == 1")?;
        Ok((!scrapes.is_empty()).then_some(()))
    })?;
    make_something_to_show(fixture)?;
    let outage = Outage::begin(fixture)?;
    let result = hold(&prometheus, &rules);
    outage.end()?;
    result
}

fn hold(prometheus: &Prometheus, rules: &Path) -> Result<()> {
    for alert in ["AssayFailOpen", "AssayCallsFail"] {
        until(alert, || Ok(is_firing(prometheus, alert)?.then_some(())))?;
    }
    ensure!(!is_firing(prometheus, "AssayWebhookDown")?, "it is not down");
    let mut queries = rule_queries(prometheus, rules)?;
    queries.extend(dashboard_queries(prometheus)?);
    for query in &queries {
        check(prometheus, query).with_context(|| format!("{}: {}", query.place, query.text))?;
    }
    documents_name_what_there_is(prometheus)
}

/// A refusal, a warning, a violation under dryrun, keys that expire, and a registry that is down.
fn make_something_to_show(fixture: &mut Fixture) -> Result<()> {
    fixture.registry.stop();
    fixture.try_run("enforced", &format!("{}/app:nowhere", fixture.registry.host()))?;
    fixture.registry.resume()?;
    let store = trust_store("expiring", &fixture.stranger.public_key()?);
    let store = format!("{store}    notAfter: \"2100-01-01T00:00:00Z\"\n");
    fixture.webhook.write_policies("expiring.yaml", &store)?;
    // Not a dry run, of which no Event tells.
    fixture.run("enforced", "refused", &fixture.images.unsigned)?.failed()?;
    for namespace in ["warned", "trial"] {
        fixture.try_run(namespace, &fixture.images.unsigned)?.succeeded()?;
    }
    until("the expiry of keys", || {
        let page = fixture.webhook.metrics()?;
        Ok(page.contains("assay_trust_material_expiry_timestamp_seconds{").then_some(()))
    })
}

/// A registration under the webhook's names where nobody answers: once it fails open, once it refuses,
/// and once a match condition leaves a request out. It is for ConfigMaps of one namespace alone.
struct Outage<'a>(&'a Fixture);

impl<'a> Outage<'a> {
    fn begin(fixture: &'a Fixture) -> Result<Self> {
        let webhook = |name: &str, failure_policy: &str, condition: &str| {
            json!({
                "name": name,
                "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                "failurePolicy": failure_policy,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "rules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "resources": ["configmaps"],
                    "operations": ["CREATE"],
                }],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "trial"}},
                "matchConditions": [{"name": "condition", "expression": condition}],
            })
        };
        let outage = Self(fixture);
        let workloads = format!("workloads.{WEBHOOK_NAME}");
        let registration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "outage"},
            "webhooks": [
                webhook(WEBHOOK_NAME, "Ignore", "object.metadata.name != 'left-out'"),
                webhook(&workloads, "Fail", "object.metadata.name == 'refused'"),
            ],
        });
        fixture.cluster.apply(&registration)?.succeeded()?;
        let create = |name: &str| {
            let namespace = "--namespace=trial";
            fixture.cluster.kubectl(&["create", "configmap", name, "--dry-run=server", namespace])
        };
        until("the outage", || Ok((!create("refused")?.success).then_some(())))?;
        create("open")?.succeeded()?;
        create("left-out")?.succeeded()?;
        Ok(outage)
    }

    fn end(self) -> Result<()> {
        let registration = "validatingwebhookconfigurations/outage";
        self.0.cluster.kubectl(&["delete", registration])?.succeeded()?;
        Ok(())
    }
}

fn is_firing(prometheus: &Prometheus, alert: &str) -> Result<bool> {
    let query = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
    Ok(!prometheus.query(&query)?.is_empty())
}

/// The queries of the rules, each of which Prometheus has evaluated.
fn rule_queries(prometheus: &Prometheus, file: &Path) -> Result<Vec<Query>> {
    let groups = prometheus.get("rules", &[])?;
    let mut queries = Vec::new();
    for rule in
        groups["groups"].as_array().into_iter().flatten().flat_map(|group| items(group, "rules"))
    {
        let name = text(rule, "name");
        ensure!(rule["health"] == "ok", "{name}: {rule}");
        let annotations = rule["annotations"].to_string();
        let shown = between(&annotations, "$labels.", |c| !c.is_alphanumeric() && c != '_');
        queries.push(Query { place: name, text: text(rule, "query"), shown });
    }
    let written = read_to_string(file)?.matches("- alert: ").count();
    ensure!(queries.len() == written, "{} of {written} rules are loaded", queries.len());
    Ok(queries)
}

/// The queries of the dashboard, each of which has something to show.
fn dashboard_queries(prometheus: &Prometheus) -> Result<Vec<Query>> {
    let file = project("manifests/monitoring/plain/dashboard.json");
    let dashboard: Value = serde_json::from_str(&read_to_string(file)?)?;
    let mut queries = Vec::new();
    for panel in items(&dashboard, "panels") {
        for target in items(panel, "targets") {
            let mut query = text(target, "expr");
            for (variable, value) in VARIABLES {
                query = query.replace(variable, value);
            }
            ensure!(!query.contains('$'), "an unknown variable: {query}");
            let shown = between(&text(target, "legendFormat"), "{{", |c| c == '}');
            queries.push(Query { place: text(panel, "title"), text: query, shown });
        }
    }
    ensure!(queries.len() > 30, "only {} queries", queries.len());
    let silent = queries.iter().filter(|query| !QUIET.contains(&query.place.as_str()));
    for Query { place, text, .. } in silent {
        until(&format!("data for {place}: {text}"), || {
            Ok((!prometheus.query(text)?.is_empty()).then_some(()))
        })?;
    }
    Ok(queries)
}

/// Each metric of the query exists with each label that is asked of it, and what is grouped by, or
/// shown, is a label of one of them.
fn check(prometheus: &Prometheus, query: &Query) -> Result<()> {
    prometheus.query(&query.text)?;
    let tree = prometheus.get("parse_query", &[("query", &query.text)])?;
    let mut named = Named::default();
    named.walk(&tree);
    ensure!(!named.selectors.is_empty(), "it asks for nothing");
    let mut all = BTreeSet::new();
    for (metric, matchers) in &named.selectors {
        let labels = labels(prometheus, metric)?;
        let strange: Vec<_> = matchers.difference(&labels).collect();
        ensure!(strange.is_empty(), "{metric} has {labels:?}, and not {strange:?}");
        all.extend(labels);
    }
    let strange: Vec<_> = named.groupings.difference(&all).collect();
    ensure!(strange.is_empty(), "it groups by {strange:?}, and there are {all:?}");
    let shown = query.shown.iter().find(|label| !named.groupings.contains(*label));
    ensure!(shown.is_none(), "it shows {shown:?}, and groups by {:?}", named.groupings);
    Ok(())
}

/// What a parsed query names.
#[derive(Default)]
struct Named {
    /// Metrics, with the labels that are asked of them.
    selectors: BTreeMap<String, BTreeSet<String>>,
    /// Labels that are grouped by.
    groupings: BTreeSet<String>,
}

impl Named {
    fn walk(&mut self, node: &Value) {
        if let Some(matchers) = node["matchers"].as_array() {
            let labels = matchers.iter().map(|matcher| text(matcher, "name"));
            let labels = labels.filter(|label| label != "__name__");
            self.selectors.entry(text(node, "name")).or_default().extend(labels);
        }
        let groupings = items(node, "grouping").filter_map(Value::as_str);
        self.groupings.extend(groupings.map(str::to_owned));
        for child in ["expr", "lhs", "rhs", "param"] {
            if node[child].is_object() {
                self.walk(&node[child]);
            }
        }
        for argument in items(node, "args") {
            self.walk(argument);
        }
    }
}

/// The labels of a metric. One that does not exist is an error.
fn labels(prometheus: &Prometheus, metric: &str) -> Result<BTreeSet<String>> {
    if let Some((_, label)) = RARE.iter().find(|(rare, _)| *rare == metric) {
        return Ok(BTreeSet::from([(*label).to_owned()]));
    }
    let labels = prometheus.get("labels", &[("match[]", metric)])?;
    let labels: BTreeSet<String> = serde_json::from_value(labels)?;
    ensure!(!labels.is_empty(), "there is no metric {metric}");
    Ok(labels)
}

/// Metrics stand in backticks in the documents: a name, or a name with labels in braces.
fn documents_name_what_there_is(prometheus: &Prometheus) -> Result<()> {
    let mut files = vec![project("README.md"), project("docs/monitoring.md")];
    for entry in read_dir(project("docs/runbooks"))? {
        files.push(entry?.path());
    }
    let mut count = 0_usize;
    for file in files {
        let document = read_to_string(&file)?;
        let named = document.split('`').skip(1).step_by(2);
        for name in
            named.filter(|name| name.starts_with("assay_") || name.starts_with("apiserver_"))
        {
            count += 1;
            check_name(prometheus, name).with_context(|| format!("{}: {name}", file.display()))?;
        }
    }
    ensure!(count > 20, "only {count} metrics are named");
    Ok(())
}

fn check_name(prometheus: &Prometheus, name: &str) -> Result<()> {
    let (metric, asked) = name.split_once('{').unwrap_or((name, "}"));
    let found = labels(prometheus, metric).or_else(|error| {
        // A histogram goes by a name that none of its series has.
        labels(prometheus, &format!("{metric}_bucket")).map_err(|_| error)
    })?;
    let asked = asked.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    for label in asked.filter_map(|label| label.split(['=', '!']).next()) {
        ensure!(found.contains(label), "it has {found:?}");
    }
    Ok(())
}

/// What stands after each `start`, up to a character that ends it.
fn between(text: &str, start: &str, ends: impl Fn(char) -> bool) -> Vec<String> {
    let parts = text.split(start).skip(1);
    parts.filter_map(|part| part.split(&ends).next()).map(|part| part.trim().to_owned()).collect()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
