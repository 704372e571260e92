//! What the figures are taken in: a registry in this process with signed images, policies and a
//! configuration in files, and the built binary as a process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use assay_testkit::cosign::{SigningKey, bundle, simple};
use assay_testkit::notation::{self, Signer};
use assay_testkit::{Effect, Fault, RegistryOptions, TestAuthority, TestRegistry};
use tokio::runtime::Runtime;

use crate::constant;
use crate::load::Target;

/// The binary that is measured.
pub(crate) const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

/// How long a process may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(10);

/// The review of a pod with two containers, whose images are `IMAGE_0` and `IMAGE_1`.
const REVIEW: &str = include_str!("review.json");

/// How long everything is remembered where what is measured must not come of age.
pub(crate) const LONG_TTLS: &str =
    "cache: {tagTtl: 1h, referrersTtl: 1h, verdictTtl: 1h, negativeTtl: 1h}\n";

/// How signatures are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A bundle that refers to the image: cosign 3.
    Bundle,
    /// An envelope that refers to the image, by a certificate and by no key: Notation.
    Notation,
    /// A manifest at a `.sig` tag: cosign 2.
    Tag,
}

/// Everything around the process.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) registry: TestRegistry,
    pub(crate) authority: TestAuthority,
    pub(crate) keys: [SigningKey; 2],
    pub(crate) vendor: Signer,
    pub(crate) runtime: Runtime,
}

/// A folder of this process's own, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        for number in 0.. {
            let name = format!("assay-figures-{}-{number}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            if fs::create_dir(&folder).is_ok() {
                return Ok(Self(folder));
            }
            ensure!(number < 100, "no folder can be made: {}", folder.display());
        }
        unreachable!("the range has no end")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.0.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the system's folder for what is left behind.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl World {
    /// A world with an empty registry, two keys and no policies.
    pub(crate) fn new(options: RegistryOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let registry = runtime.block_on(TestRegistry::start(options))?;
        let (folder, authority) = (Folder::new()?, TestAuthority::generate()?);
        let issued = authority.issue(&["127.0.0.1"])?;
        folder.write("tls.crt", issued.certificate_pem)?;
        folder.write("tls.key", issued.key_pem)?;
        fs::create_dir(folder.0.join("policies"))?;
        let keys = [SigningKey::generate()?, SigningKey::generate()?];
        let vendor = Signer::generate()?;
        let world = Self { folder, registry, authority, keys, vendor, runtime };
        for (index, key) in world.keys.iter().enumerate() {
            let (name, key) = (format!("keys-{index}"), key.public_key_pem()?);
            world.folder.write(&format!("{name}.pub"), key)?;
            let store = format!(
                "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\n\
                 metadata: {{name: {name}}}\nspec: {{publicKeys: {{file: ../{name}.pub}}}}\n"
            );
            world.folder.write(&format!("policies/{name}.yaml"), store)?;
        }
        Ok(world)
    }

    /// The reference of a new image, signed with the first key.
    pub(crate) fn image(&self, repository: &str, tag: &str, form: Form) -> Result<String> {
        self.signed_image(repository, tag, form, &self.keys[..1])
    }

    /// The reference of a new image, signed with these keys.
    pub(crate) fn signed_image(
        &self,
        repository: &str,
        tag: &str,
        form: Form,
        keys: &[SigningKey],
    ) -> Result<String> {
        let digest = self.registry.push_image(repository, tag);
        for key in keys {
            match form {
                Form::Bundle => drop(bundle::sign(&self.registry, repository, &digest, key)?),
                Form::Notation => {
                    notation::sign(&self.registry, repository, &digest, &self.vendor)?;
                }
                Form::Tag => drop(simple::sign(&self.registry, repository, &digest, key)?),
            }
        }
        Ok(format!("{}/{repository}:{tag}", self.registry.host()))
    }

    /// Has every request answered so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.registry.fault(Fault::new("", Effect::Delay(delay)));
    }

    /// A policy that asks for a signature by the first key of every image of this registry.
    pub(crate) fn write_release_policy(&self) -> Result<()> {
        let policy = self.policy("release-images", "  match: {}\n", 0);
        self.folder.write("policies/release-images.yaml", policy)
    }

    /// A policy that asks for one by the vendor's certificate in its place.
    pub(crate) fn write_vendor_policy(&self) -> Result<()> {
        let policy = format!(
            "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: vendor}}\n\
             spec: {{certificates: {{type: ca, inline: {root:?}}}}}\n---\n\
             apiVersion: assay.dev/v1alpha1\nkind: ClusterImageAdmissionPolicy\n\
             metadata: {{name: vendor-images}}\nspec:\n  requireDigest: allow\n  verifiers:\n  \
             - name: signature\n    notation:\n      \
             trustStores: [{{type: ca, name: vendor}}]\n      \
             trustedIdentities: [\"{identity}\"]\n      level: strict\n  rules:\n  \
             - images: [\"{host}/**\"]\n    require: {{all: [signature]}}\n",
            root = self.vendor.root_pem(),
            identity = notation::IDENTITY,
            host = self.registry.host(),
        );
        self.folder.write("policies/vendor-images.yaml", policy)
    }

    /// A cluster policy whose `match` is `matching`, and that asks of every image of this registry
    /// for a signature by the key of this index.
    pub(crate) fn policy(&self, name: &str, matching: &str, key: usize) -> String {
        policy(name, None, matching, key, &self.registry.host())
    }

    /// The built binary, serving and ready. `workers` is how many threads it may work with, all
    /// processors' being the default.
    pub(crate) fn serve(&self, more: &str, workers: Option<usize>) -> Result<Process> {
        let [webhook, metrics, health] = free_addresses()?;
        let configuration = format!(
            "apiVersion: assay.dev/v1alpha1\nkind: Configuration\nkubernetes: false\n\
             policies: [policies]\ndefaultAction: deny\n\
             webhook: {{listen: \"{webhook}\", certFile: tls.crt, keyFile: tls.key}}\n\
             metrics: {{listen: \"{metrics}\"}}\nhealth: {{listen: \"{health}\"}}\n\
             registries: [{{host: \"{host}\", plainHttp: true}}]\n\
             credentials: {{dockerConfigFile: docker.json}}\n{more}",
            host = self.registry.host(),
        );
        self.folder.write("assay.yaml", configuration)?;
        let mut command = Command::new(ASSAY);
        command.args(["serve", "--config"]).arg(self.folder.0.join("assay.yaml"));
        command.stderr(File::create(self.folder.0.join("assay.log"))?).stdout(Stdio::null());
        workers.map(|workers| command.env("TOKIO_WORKER_THREADS", workers.to_string()));
        command.env_remove("ASSAY_LOG");
        let start = Instant::now();
        let child = command.spawn().context(ASSAY)?;
        let mut process = Process { child, address: webhook, ready_after: Duration::ZERO };
        while !is_ready(health) {
            let ended = process.child.try_wait()?;
            ensure!(
                ended.is_none() && start.elapsed() < READY_MAX,
                "assay serve: {}",
                fs::read_to_string(self.folder.0.join("assay.log"))?
            );
            sleep(Duration::from_micros(200));
        }
        process.ready_after = start.elapsed();
        Ok(process)
    }

    /// The server that answers every review with `answer`.
    pub(crate) fn serve_constant(&self, answer: &[u8], workers: Option<usize>) -> Result<Process> {
        self.folder.write(constant::ANSWER_FILE, answer)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(constant::ARGUMENT).arg(&self.folder.0).stdout(Stdio::piped());
        workers.map(|workers| command.env("TOKIO_WORKER_THREADS", workers.to_string()));
        let start = Instant::now();
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().context("the constant server's address")?;
        Ok(Process { child, address, ready_after: start.elapsed() })
    }

    pub(crate) fn target(&self, process: &Process) -> Result<Target> {
        Target::new(process.address, &self.authority.certificate_pem())
    }
}

/// A policy; with a namespace an ImageAdmissionPolicy of it, else a cluster policy.
pub(crate) fn policy(
    name: &str,
    namespace: Option<&str>,
    matching: &str,
    key: usize,
    host: &str,
) -> String {
    let (kind, namespace, store) = match namespace {
        Some(namespace) => {
            ("ImageAdmissionPolicy", format!(", namespace: {namespace}"), "clusterTrustStore")
        }
        None => ("ClusterImageAdmissionPolicy", String::new(), "trustStore"),
    };
    format!(
        "apiVersion: assay.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\n\
         spec:\n{matching}  requireDigest: allow\n  verifiers:\n  - name: signature\n    \
         cosign: {{keys: [{{{store}: keys-{key}}}]}}\n  rules:\n  \
         - images: [\"registry.k8s.io/**\", \"docker.io/library/*\"]\n    allow: true\n  \
         - images: [\"{host}/**\"]\n    require: {{all: [signature]}}\n  \
         - images: [\"**\"]\n    deny: \"images come from {host}\"\n"
    )
}

/// The review of a pod with these images; one stands for both.
pub(crate) fn review(images: [&str; 2]) -> String {
    REVIEW.replace("IMAGE_0", images[0]).replace("IMAGE_1", images[1])
}

fn free_addresses() -> Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All three at once, so that they are three.
    let listeners = [bind()?, bind()?, bind()?];
    let [one, two, three] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([one?, two?, three?])
}

fn is_ready(health: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(health)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A server in a process of its own, ended with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// The processor time that it has used, user and system.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        cpu_time(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Bytes of a line of `/proc/PID/status`: `VmRSS`, `VmHWM`.
    pub(crate) fn memory(&self, line: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let values: BTreeMap<&str, &str> =
            status.lines().filter_map(|line| line.split_once(':')).collect();
        let value = values.get(line).context("no such line")?;
        let kibibytes = value.trim().trim_end_matches("kB").trim_end();
        Ok(kibibytes.parse::<u64>()? * 1024)
    }
}

/// The processor time in a `stat` file of proc(5), which counts in hundredths of a second.
fn cpu_time(path: &str) -> Result<Duration> {
    let stat = fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').context("no such format")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("short")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// How long a command takes, as a whole process; it must succeed.
pub(crate) fn time_process(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = start.elapsed();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {error}", output.status);
    Ok(took)
}

/// The first line of `file` that begins with `key`, after its colon.
pub(crate) fn line_of(file: &Path, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_once(':').map_or(line, |(_, value)| value).trim().to_owned()
}
