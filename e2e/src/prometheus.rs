//! A real Prometheus, which scrapes the binary under test and its API server.

use std::fs::read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::http::send;
use crate::process::{Process, command, free_port, write};
use crate::tools::tool;
use crate::webhook::Webhook;

/// How often it scrapes and evaluates: a test waits for several of both.
const INTERVAL: &str = "500ms";

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    /// A Prometheus that has loaded this file of rules, and scrapes. It keeps the label `namespace` of
    /// what is scraped, beside the `namespace` of the pod, as `honorLabels` of a PodMonitor has it.
    ///
    /// # Errors
    /// When it is missing, does not start, or does not take the rules.
    pub fn start(
        directory: &Path,
        cluster: &Cluster,
        webhook: &Webhook,
        rules: &Path,
    ) -> Result<Self> {
        let kubeconfig: Value = serde_json::from_slice(&read(cluster.kubeconfig())?)?;
        let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap_or_default();
        let target =
            |address: &str, labels: Value| json!([{"targets": [address], "labels": labels}]);
        let pod = json!({"namespace": "assay-system", "pod": "assay-0", "container": "assay"});
        let configuration = json!({
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [rules],
            "scrape_configs": [
                {
                    "job_name": "assay",
                    "honor_labels": true,
                    "static_configs": target(&webhook.metrics_address(), pod),
                },
                {
                    "job_name": "apiserver",
                    "scheme": "https",
                    "tls_config": {"ca_file": "ca.crt"},
                    "authorization": {"credentials": kubeconfig["users"][0]["user"]["token"]},
                    "static_configs": target(server.trim_start_matches("https://"), json!({})),
                },
            ],
        });
        write(directory, "prometheus.json", &configuration.to_string())?;
        let port = free_port()?;
        let mut prometheus = command(&tool("prometheus")?, directory);
        prometheus.args(["--config.file=prometheus.json", "--storage.tsdb.path=prometheus"]);
        prometheus.args(["--log.level=warn", &format!("--web.listen-address=127.0.0.1:{port}")]);
        let mut process = Process::start("prometheus", prometheus, directory)?;
        let url = format!("http://127.0.0.1:{port}");
        let ready = format!("{url}/-/ready");
        process
            .wait_until(|| send("GET", &ready, "", "").is_ok_and(|found| found.status == 200))?;
        Ok(Self { url, _process: process })
    }

    /// The `data` that its API answers to a GET of `path`, below `/api/v1/`, with these parameters.
    ///
    /// # Errors
    /// When it does not answer, or with an error.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let parameters = parameters.iter().map(|(key, value)| format!("{key}={}", escaped(value)));
        let query = parameters.collect::<Vec<_>>().join("&");
        let url = format!("{}/api/v1/{path}?{query}", self.url);
        let response = send("GET", &url, "", "")?;
        let mut answer: Value = serde_json::from_str(&response.body).context("not JSON")?;
        ensure!(answer["status"] == "success", "{path}: {}", response.body);
        Ok(answer["data"].take())
    }

    /// What a query gives now: a list of `{metric, value}`.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let mut data = self.get("query", &[("query", query)])?;
        Ok(data["result"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }
}

/// `text` as a part of a URL's query.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
