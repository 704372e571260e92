//! A Kubernetes control plane without nodes: whatever is admitted stays pending, which is all that
//! an admission webhook can bring about.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::http::send;
use crate::process::{Output, Process, command, free_port, run, write};
use crate::tools::tool;
use crate::wait::until;

/// The administrator's bearer token; good for one cluster on loopback.
const TOKEN: &str = "administrator";

/// What kubectl waits for one answer: more than the 34 s that the API server allows a request.
const REQUEST_TIMEOUT: &str = "--request-timeout=40s";

/// A running cluster. Its parts end with it, in the order of the fields.
#[derive(Debug)]
pub struct Cluster {
    _controller_manager: Process,
    apiserver: Option<Process>,
    _etcd: Process,
    authority: Authority,
    kubectl: Kubectl,
    port: u16,
    etcd_url: String,
}

/// A door to the API server: a call costs what the call costs, and no process of kubectl's.
#[derive(Debug)]
pub struct Door {
    url: String,
    _process: Process,
}

impl Door {
    /// The status and the text of what the API server answers to this object, posted and not stored.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_create(&self, path: &str, object: &Value) -> Result<(u16, String)> {
        self.call("POST", &format!("{path}?dryRun=All"), "application/json", object)
    }

    /// The status and the text of what the API server answers to a request with this body.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<(u16, String)> {
        let url = format!("{}/{path}", self.url);
        let response = send(method, &url, content_type, &body.to_string())?;
        Ok((response.status, response.body))
    }
}

#[derive(Debug)]
struct Kubectl {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// A cluster that answers and whose controllers work. Its files go into `directory`.
    ///
    /// # Errors
    /// When a part is missing, or does not start.
    pub fn start(directory: &Path) -> Result<Self> {
        Self::start_with(directory, &["--unsafe-no-fsync"])
    }

    /// The same, which loses nothing when the power goes, and is as slow as clusters are.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn start_durable(directory: &Path) -> Result<Self> {
        Self::start_with(directory, &[])
    }

    fn start_with(directory: &Path, etcd_arguments: &[&str]) -> Result<Self> {
        let authority = Authority::generate()?;
        let (etcd, etcd_url) = start_etcd(directory, etcd_arguments)?;
        let port = free_port()?;
        let kubeconfig = write(directory, "kubeconfig", &kubeconfig(port, &authority).to_string())?;
        let kubectl = Kubectl { program: tool("kubectl")?, home: directory.to_owned(), kubeconfig };
        write(directory, "ca.crt", &authority.certificate())?;
        let service_accounts = KeyPair::generate()?;
        write(directory, "service-accounts.key", &service_accounts.serialize_pem())?;
        write(directory, "service-accounts.pub", &service_accounts.public_key_pem())?;
        let mut apiserver = start_apiserver(directory, port, &etcd_url, &authority)?;
        apiserver
            .wait_until(|| kubectl.run(&["get", "--raw=/readyz"], "").is_ok_and(|o| o.success))?;
        let mut controller_manager = start_controller_manager(directory)?;
        controller_manager.wait_until(|| kubectl.has_service_account("default"))?;
        Ok(Self {
            _controller_manager: controller_manager,
            apiserver: Some(apiserver),
            _etcd: etcd,
            authority,
            kubectl,
            port,
            etcd_url,
        })
    }

    /// Ends the API server at once. What it stored stays.
    pub fn stop_api_server(&mut self) {
        self.apiserver = None;
    }

    /// Starts it again, at the same address.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn resume_api_server(&mut self) -> Result<()> {
        let home = &self.kubectl.home;
        let mut apiserver = start_apiserver(home, self.port, &self.etcd_url, &self.authority)?;
        let is_ready =
            || self.kubectl.run(&["get", "--raw=/readyz"], "").is_ok_and(|output| output.success);
        apiserver.wait_until(is_ready)?;
        self.apiserver = Some(apiserver);
        Ok(())
    }

    /// The administrator's kubeconfig file.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// A kubeconfig file of Assay's own ServiceAccount, which may do what its manifests say and no
    /// more.
    ///
    /// # Errors
    /// When there is no such ServiceAccount yet, or the file cannot be written.
    pub(crate) fn assay_kubeconfig(&self) -> Result<PathBuf> {
        let arguments = ["create", "token", "assay", "--namespace=assay-system", "--duration=9h"];
        let token = self.kubectl(&arguments)?.succeeded()?;
        let mut kubeconfig = kubeconfig(self.port, &self.authority);
        kubeconfig["users"][0]["user"]["token"] = token.trim().into();
        kubeconfig["contexts"][0]["context"]["namespace"] = "assay-system".into();
        write(&self.kubectl.home, "assay.kubeconfig", &kubeconfig.to_string())
    }

    /// The authority whose certificates the cluster's parts trust.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What kubectl prints for these arguments.
    ///
    /// # Errors
    /// When kubectl cannot be run; not when it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<Output> {
        self.kubectl.run(arguments, "")
    }

    /// What kubectl prints, given `input` on standard input.
    ///
    /// # Errors
    /// When kubectl cannot be run; not when it fails.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        self.kubectl.run(arguments, input)
    }

    /// A door to the API server without TLS, as its administrator; it closes when dropped.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(&self) -> Result<Door> {
        let port = free_port()?;
        let Kubectl { program, home, kubeconfig } = &self.kubectl;
        let mut proxy = command(program, home);
        proxy.env("KUBECONFIG", kubeconfig).args(["proxy", &format!("--port={port}")]);
        let mut process = Process::start("kubectl-proxy", proxy, home)?;
        let url = format!("http://127.0.0.1:{port}");
        process.wait_until(|| {
            send("GET", &format!("{url}/readyz"), "", "").is_ok_and(|found| found.status == 200)
        })?;
        Ok(Door { url, _process: process })
    }

    /// What `kubectl apply` prints for this object.
    ///
    /// # Errors
    /// When kubectl cannot be run; not when it fails.
    pub fn apply(&self, object: &Value) -> Result<Output> {
        self.kubectl.run(&["apply", "--filename=-"], &object.to_string())
    }

    /// Creates a namespace with these labels, in which pods can be created.
    ///
    /// # Errors
    /// When it is not created.
    pub fn create_namespace(&self, name: &str, labels: &Value) -> Result<()> {
        let metadata = json!({"name": name, "labels": labels});
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))?
            .succeeded()?;
        until("the namespace's ServiceAccount", || {
            Ok(self.kubectl.has_service_account(name).then_some(()))
        })
    }
}

impl Kubectl {
    fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = command(&self.program, &self.home);
        command.env("KUBECONFIG", &self.kubeconfig).arg(REQUEST_TIMEOUT).args(arguments);
        run(&mut command, input)
    }

    /// Pods need it; the controller manager makes it some time after the namespace.
    fn has_service_account(&self, namespace: &str) -> bool {
        let arguments = ["get", "serviceaccount", "default", "--namespace", namespace];
        self.run(&arguments, "").is_ok_and(|output| output.success)
    }
}

fn start_etcd(directory: &Path, arguments: &[&str]) -> Result<(Process, String)> {
    let url = format!("http://127.0.0.1:{}", free_port()?);
    let mut etcd = command(&tool("etcd")?, directory);
    etcd.args(["--data-dir=etcd", "--log-level=warn"])
        .args(arguments)
        // More than the API server takes, so that objects of any size it takes can be stored.
        .arg("--max-request-bytes=8388608")
        .arg("--listen-peer-urls=http://127.0.0.1:0")
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"));
    Ok((Process::start("etcd", etcd, directory)?, url))
}

fn start_apiserver(
    directory: &Path,
    port: u16,
    etcd_url: &str,
    authority: &Authority,
) -> Result<Process> {
    let identity = authority.issue(2100)?;
    write(directory, "apiserver.crt", &identity.certificate)?;
    write(directory, "apiserver.key", &identity.key)?;
    write(directory, "tokens.csv", &format!("{TOKEN},admin,1,system:masters\n"))?;
    let mut apiserver = command(&tool("kube-apiserver")?, directory);
    apiserver
        .arg(format!("--etcd-servers={etcd_url}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        // Loopback is not a legal address of Endpoints.
        .arg("--endpoint-reconciler-type=none")
        .args(["--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key"])
        .args(["--client-ca-file=ca.crt", "--cert-dir=.", "--token-auth-file=tokens.csv"])
        .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"])
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .arg("--service-account-key-file=service-accounts.pub")
        .arg("--service-account-signing-key-file=service-accounts.key");
    Process::start("kube-apiserver", apiserver, directory)
}

fn start_controller_manager(directory: &Path) -> Result<Process> {
    let mut manager = command(&tool("kube-controller-manager")?, directory);
    manager
        .args(["--kubeconfig=kubeconfig", "--root-ca-file=ca.crt", "--leader-elect=false"])
        .arg("--service-account-private-key-file=service-accounts.key")
        .arg("--secure-port=0");
    Process::start("kube-controller-manager", manager, directory)
}

fn kubeconfig(port: u16, authority: &Authority) -> Value {
    use base64::Engine;
    let root = base64::engine::general_purpose::STANDARD.encode(authority.certificate());
    let server = format!("https://127.0.0.1:{port}");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {"server": server, "certificate-authority-data": root},
        }],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    })
}
