//! `manifests/monitoring`: what kubectl takes is made of the plain files, and each alert has a runbook.
//! Whether Prometheus takes the queries, and whether their metrics exist, is for the cluster tests.

use serde_json::{Value, json};

use crate::{documents, items, names, read};

const FOLDER: &str = "manifests/monitoring";

fn alerts() -> Vec<Value> {
    let rules = documents(&read(&format!("{FOLDER}/plain/rules.yaml")));
    let alerts = items(&rules[0]["groups"]).flat_map(|group| items(&group["rules"]));
    alerts.cloned().collect()
}

#[test]
fn kubectl_gets_what_the_plain_files_say() {
    let rule = &documents(&read(&format!("{FOLDER}/prometheus-rule.yaml")))[0];
    let plain = &documents(&read(&format!("{FOLDER}/plain/rules.yaml")))[0];
    assert_eq!(rule["spec"], *plain, "run `make monitoring`");
    let config_map = &documents(&read(&format!("{FOLDER}/dashboard.yaml")))[0];
    let plain = read(&format!("{FOLDER}/plain/dashboard.json"));
    assert_eq!(config_map["data"]["dashboard.json"], plain, "run `make monitoring`");
    assert_eq!(config_map["metadata"]["labels"]["grafana_dashboard"], "1");
    serde_json::from_str::<Value>(&plain).unwrap();
}

/// `kubectl apply -f` looks into no folder of a folder, and into a folder at `.json` as well.
#[test]
fn monitoring_is_applied_apart() {
    assert!(names("manifests").iter().all(|name| name.ends_with(".yaml") || name == "monitoring"));
    assert!(names(FOLDER).iter().all(|name| name.ends_with(".yaml") || name == "plain"));
}

#[test]
fn scrapes_the_pods_and_keeps_the_label_namespace() {
    let monitor = &documents(&read(&format!("{FOLDER}/pod-monitor.yaml")))[0];
    let labels = json!({"app.kubernetes.io/name": "assay"});
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], labels);
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["honorLabels"]), (&json!("metrics"), &json!(true)));
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let overview = read("docs/monitoring.md");
    let mut expect = Vec::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        let runbook = format!("docs/runbooks/{name}.md");
        assert_eq!(alert["annotations"]["runbook_url"], runbook);
        assert!(read(&runbook).starts_with(&format!("# {name}\n")), "{runbook}");
        let row = overview.lines().find(|line| line.starts_with(&format!("| [{name}](")));
        assert!(row.is_some_and(|row| row.contains(severity)), "{name}, {severity}");
        expect.push(format!("{name}.md"));
    }
    expect.sort();
    expect.dedup();
    assert_eq!(names("docs/runbooks"), expect);
}
