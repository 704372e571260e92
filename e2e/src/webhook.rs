//! The binary under test as a webhook of the cluster.

use std::fs::create_dir;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cosign::docker_config;
use crate::http::send;
use crate::process::{Process, command, free_port, write};
use crate::tools::{assay, manifest};

/// The webhook's name, which the API server puts before each refusal.
pub const WEBHOOK_NAME: &str = "validate.assay.dev";

/// The one namespace whose pull Secrets are used.
pub const PULLING_NAMESPACE: &str = "pulling";

/// The name of the webhook's registration.
const REGISTRATION: &str = "validatingwebhookconfigurations/assay";

/// The running binary, or one replica of several.
#[derive(Debug)]
pub struct Webhook {
    directory: PathBuf,
    kubeconfig: PathBuf,
    configuration: Value,
    ports: Ports,
    process: Option<Process>,
}

/// Where a replica listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) webhook: u16,
    pub(crate) health: u16,
    metrics: u16,
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
    /// The binary, ready and not registered yet, as the ServiceAccount that the manifests make, with
    /// `registries` as hosts that speak plain HTTP. Its files go into `directory`.
    ///
    /// # Errors
    /// When the binary is missing, or does not get ready.
    pub fn start(directory: &Path, cluster: &Cluster, registries: &[&str]) -> Result<Self> {
        let directory = directory.join("assay");
        create_dir(&directory)?;
        create_dir(directory.join("policies"))?;
        let registries: Vec<Value> =
            registries.iter().map(|host| json!({"host": host, "plainHttp": true})).collect();
        let configuration = json!({
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "Configuration",
            "policies": [directory.join("policies")],
            "kubernetes": true,
            "defaultAction": "allow",
            "credentials": {
                "dockerConfigFile": directory.join("docker.json"),
                "pullSecrets": {"namespaces": [PULLING_NAMESPACE]},
            },
            "registries": registries,
        });
        let mut webhook = Self {
            directory,
            kubeconfig: cluster.assay_kubeconfig()?,
            configuration,
            ports: Ports::free()?,
            process: None,
        };
        webhook.write_certificate(cluster, 2100)?;
        webhook.resume()?;
        Ok(webhook)
    }

    /// Another replica, ready, with the same files.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn replica(&self) -> Result<Self> {
        let mut replica = Self {
            directory: self.directory.clone(),
            kubeconfig: self.kubeconfig.clone(),
            configuration: self.configuration.clone(),
            ports: Ports::free()?,
            process: None,
        };
        replica.resume()?;
        Ok(replica)
    }

    /// Ends it at once, as the loss of a node does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it as kubelet does, and waits for that.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::terminate)
    }

    /// Starts it again, ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn resume(&mut self) -> Result<()> {
        let Ports { webhook, metrics, health } = self.ports;
        let listen = |port| json!({"listen": format!("127.0.0.1:{port}")});
        let mut configuration = self.configuration.clone();
        configuration["webhook"] = json!({
            "listen": format!("127.0.0.1:{webhook}"),
            "certFile": self.directory.join("tls.crt"),
            "keyFile": self.directory.join("tls.key"),
            "drainDelay": "3s",
        });
        configuration["metrics"] = listen(metrics);
        configuration["health"] = listen(health);
        let name = format!("assay-{webhook}");
        let file = write(&self.directory, &format!("{name}.yaml"), &configuration.to_string())?;
        let mut binary = command(&assay()?, &self.directory);
        binary.env("KUBECONFIG", &self.kubeconfig).args(["serve", "--config"]).arg(file);
        let mut process = Process::start(&name, binary, &self.directory)?;
        process.wait_until(|| self.ports.is_ready())?;
        self.process = Some(process);
        Ok(())
    }

    /// The end of the name by which this replica holds a Lease: the number of its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn identity_suffix(&self) -> Result<String> {
        Ok(format!("_{}", self.process.as_ref().context("it does not run")?.number()))
    }

    /// Where it listens.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Writes a file of policies (YAML), which it reads within seconds.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_policies(&self, name: &str, policies: &str) -> Result<()> {
        write(&self.directory, &format!("policies/{name}"), policies)?;
        Ok(())
    }

    /// Has it log in to a registry as `user:password`.
    ///
    /// # Errors
    /// When the login cannot be kept.
    pub fn log_in(&self, host: &str, login: &str) -> Result<()> {
        write(&self.directory, "docker.json", &docker_config(host, login))?;
        Ok(())
    }

    /// Gives it a new certificate that is good until that year, with a new key.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn write_certificate(&self, cluster: &Cluster, until_year: i32) -> Result<()> {
        let identity = cluster.authority().issue(until_year)?;
        write(&self.directory, "tls.crt", &identity.certificate)?;
        write(&self.directory, "tls.key", &identity.key)?;
        Ok(())
    }

    /// Where its metrics are, as `host:port`.
    pub(crate) fn metrics_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.metrics)
    }

    /// The bytes of it that are in memory.
    ///
    /// # Errors
    /// When it does not run, or the system does not tell.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.process.as_ref().context("it does not run")?.resident_bytes()
    }

    /// The metrics page.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn metrics(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.metrics_address());
        let response = send("GET", &url, "", "")?;
        ensure!(response.status == 200, "{url}: {}", response.status);
        Ok(response.body)
    }

    /// Registers it, or changes its registration. It takes the API server seconds to follow.
    ///
    /// # Errors
    /// When the registration is refused.
    pub fn register(&self, cluster: &Cluster, failure_policy: FailurePolicy) -> Result<()> {
        register(cluster, self.ports.webhook, failure_policy)
    }

    /// Takes its registration away.
    ///
    /// # Errors
    /// When there is none.
    pub fn unregister(&self, cluster: &Cluster) -> Result<()> {
        cluster.kubectl(&["delete", REGISTRATION])?.succeeded()?;
        Ok(())
    }
}

impl Ports {
    fn free() -> Result<Self> {
        Ok(Self { webhook: free_port()?, health: free_port()?, metrics: free_port()? })
    }

    /// Whether whoever listens there says that it is ready.
    pub(crate) fn is_ready(self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.health);
        send("GET", &url, "", "").is_ok_and(|found| found.status == 200)
    }
}

/// Registers whatever listens at `port` of loopback, or changes the registration: the shipped one, with
/// that address in place of the Service's.
pub(crate) fn register(cluster: &Cluster, port: u16, failure_policy: FailurePolicy) -> Result<()> {
    if !cluster.kubectl(&["get", REGISTRATION])?.success {
        let shipped = manifest("webhook.yaml");
        cluster.kubectl(&["create", "--filename", &shipped])?.succeeded()?;
    }
    let root = cluster.authority().certificate();
    let root = base64::engine::general_purpose::STANDARD.encode(root);
    let address = json!({
        "url": format!("https://127.0.0.1:{port}/validate"),
        "caBundle": root,
    });
    let replace = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    let patch = json!([
        replace("/webhooks/0/clientConfig", address.clone()),
        replace("/webhooks/1/clientConfig", address),
        replace("/webhooks/0/failurePolicy", json!(format!("{failure_policy:?}"))),
    ]);
    let patch = ["patch", REGISTRATION, "--type=json", "--patch", &patch.to_string()];
    cluster.kubectl(&patch)?.succeeded()?;
    Ok(())
}
