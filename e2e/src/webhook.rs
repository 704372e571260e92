//! The binary under test as a webhook of the cluster.

use std::fs::create_dir;
use std::path::Path;

use anyhow::{Result, ensure};
use base64::Engine;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::http::send;
use crate::process::{Process, command, free_port, write};
use crate::tools::assay;

/// The webhook's name, which the API server puts before each refusal.
pub const WEBHOOK_NAME: &str = "validate.assay.dev";

/// The name of the webhook's registration.
const REGISTRATION: &str = "validatingwebhookconfigurations/assay";

/// The running binary.
#[derive(Debug)]
pub struct Webhook {
    process: Option<Process>,
    port: u16,
    metrics_port: u16,
}

/// What the API server does where the webhook does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It refuses.
    Fail,
    /// It goes on.
    Ignore,
}

impl Webhook {
    /// The binary, ready and not registered yet, with these policy documents (YAML) and with
    /// `registry` as a host that speaks plain HTTP. Its files go into `directory`.
    ///
    /// # Errors
    /// When the binary is missing, or does not get ready.
    pub fn start(
        directory: &Path,
        cluster: &Cluster,
        registry: &str,
        policies: &str,
    ) -> Result<Self> {
        let directory = directory.join("assay");
        create_dir(&directory)?;
        create_dir(directory.join("policies"))?;
        write(&directory, "policies/policies.yaml", policies)?;
        let identity = cluster.authority().issue()?;
        write(&directory, "tls.crt", &identity.certificate)?;
        write(&directory, "tls.key", &identity.key)?;
        let [port, metrics_port, health_port] = [free_port()?, free_port()?, free_port()?];
        let configuration = json!({
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "Configuration",
            "policies": [directory.join("policies")],
            "kubernetes": true,
            "defaultAction": "allow",
            "webhook": {
                "listen": format!("127.0.0.1:{port}"),
                "certFile": directory.join("tls.crt"),
                "keyFile": directory.join("tls.key"),
            },
            "metrics": {"listen": format!("127.0.0.1:{metrics_port}")},
            "health": {"listen": format!("127.0.0.1:{health_port}")},
            "registries": [{"host": registry, "plainHttp": true}],
        });
        write(&directory, "configuration.yaml", &configuration.to_string())?;
        let mut binary = command(&assay()?, &directory);
        binary.env("KUBECONFIG", cluster.kubeconfig());
        binary.args(["serve", "--config", "configuration.yaml"]);
        let mut process = Process::start("assay", binary, &directory)?;
        let url = format!("http://127.0.0.1:{health_port}/readyz");
        process.wait_until(|| send("GET", &url, "", "").is_ok_and(|found| found.status == 200))?;
        Ok(Self { process: Some(process), port, metrics_port })
    }

    /// Ends it at once, as the loss of a node does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// The metrics page.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn metrics(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let response = send("GET", &url, "", "")?;
        ensure!(response.status == 200, "{url}: {}", response.status);
        Ok(response.body)
    }

    /// Registers it, or changes its registration. It takes the API server seconds to follow.
    ///
    /// # Errors
    /// When the registration is refused.
    pub fn register(&self, cluster: &Cluster, failure_policy: FailurePolicy) -> Result<()> {
        cluster.apply(&self.registration(cluster, failure_policy))?.succeeded()?;
        Ok(())
    }

    /// Takes its registration away.
    ///
    /// # Errors
    /// When there is none.
    pub fn unregister(&self, cluster: &Cluster) -> Result<()> {
        cluster.kubectl(&["delete", REGISTRATION])?.succeeded()?;
        Ok(())
    }

    fn registration(&self, cluster: &Cluster, failure_policy: FailurePolicy) -> Value {
        let root = cluster.authority().certificate();
        let root = base64::engine::general_purpose::STANDARD.encode(root);
        let rule = |group: &str, resources: &[&str]| {
            json!({
                "apiGroups": [group],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": resources,
            })
        };
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "assay"},
            "webhooks": [{
                "name": WEBHOOK_NAME,
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{}/validate", self.port),
                    "caBundle": root,
                },
                "rules": [
                    rule("", &["pods", "pods/ephemeralcontainers"]),
                    rule("", &["replicationcontrollers", "podtemplates"]),
                    rule("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]),
                    rule("batch", &["jobs", "cronjobs"]),
                ],
                "namespaceSelector": {"matchExpressions": [{
                    "key": "kubernetes.io/metadata.name",
                    "operator": "NotIn",
                    "values": ["kube-system", "kube-node-lease"],
                }]},
                "timeoutSeconds": 10,
                "failurePolicy": format!("{failure_policy:?}"),
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        })
    }
}
