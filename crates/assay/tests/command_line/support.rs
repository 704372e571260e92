//! What the tests stand on: a folder of their own, a registry with a key that signs, and the binary
//! run with nothing of this machine in its environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assay_testkit::cosign::{SigningKey, bundle, simple};
use assay_testkit::{RegistryOptions, TestRegistry};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long anything may take: many times what it does on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What would make the binary behave otherwise here than elsewhere.
const ENVIRONMENT: [&str; 11] = [
    "ALL_PROXY",
    "ASSAY_CONFIG",
    "ASSAY_LOG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBECONFIG",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// A folder of one test's own, gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay-command-line-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Puts `text` into the file `name`, making the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).unwrap();
    }

    /// `assay`, to be run in this folder, which is its user's home too.
    pub(crate) fn assay(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        for variable in ENVIRONMENT {
            command.env_remove(variable);
        }
        command.env("HOME", &self.0).env("DOCKER_CONFIG", self.0.join("docker"));
        command.current_dir(&self.0).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What `assay`, given these arguments, ended with.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        finish(self.assay().args(arguments)).await
    }

    /// The same with `input` on standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.assay();
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        Ended::from(in_time(child.wait_with_output()).await.unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a run ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Holds the exit code, and texts that standard output and error contain, against the run.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, code: i32, stdout: &[&str], stderr: &[&str]) {
        assert_eq!(self.code, Some(code), "{name}: {self:?}");
        for (found, expect) in [(&self.stdout, stdout), (&self.stderr, stderr)] {
            for text in expect {
                assert!(found.contains(text), "{name}: no '{text}' in\n{found}");
            }
        }
    }

    /// The same of a run that refused its input: nothing is on standard output.
    #[track_caller]
    pub(crate) fn check_refused(&self, name: &str, stderr: &[&str]) {
        self.check(name, 2, &[], stderr);
        assert_eq!(self.stdout, "", "{name}");
    }
}

pub(crate) async fn finish(command: &mut Command) -> Ended {
    Ended::from(in_time(command.output()).await.unwrap())
}

/// What `work` ends in.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

/// What `look` finds, once it finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looks = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looks).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// How an image is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signed {
    /// By somebody else.
    ByStranger,
    /// As Cosign 3 does it.
    InBundle,
    /// As Cosign 2 did it.
    InTag,
    Not,
}

/// A folder, and a registry with a key whose signatures the policies here ask for.
pub(crate) struct Stage {
    pub(crate) folder: Folder,
    pub(crate) registry: TestRegistry,
    pub(crate) key: SigningKey,
}

impl Stage {
    /// The folder holds [`policy`] over the whole registry, and its trust store, in `policy.yaml`.
    pub(crate) async fn start() -> Self {
        Self::with(RegistryOptions::default()).await
    }

    pub(crate) async fn with(options: RegistryOptions) -> Self {
        let registry = TestRegistry::start(options).await.unwrap();
        let stage = Self { folder: Folder::new(), registry, key: SigningKey::generate().unwrap() };
        stage.folder.write("policy.yaml", &stage.documents());
        stage
    }

    /// The policy and the trust store.
    pub(crate) fn documents(&self) -> String {
        let store = trust_store(&self.key);
        format!("{store}---\n{}", policy(&self.registry.host()))
    }

    /// The reference, by tag, of a new image in `repository`.
    pub(crate) fn push(&self, repository: &str, signed: Signed) -> String {
        let registry = &self.registry;
        let digest = registry.push_image(repository, "v1");
        match signed {
            Signed::ByStranger => {
                let stranger = SigningKey::generate().unwrap();
                bundle::sign(registry, repository, &digest, &stranger).unwrap();
            }
            Signed::InBundle => {
                bundle::sign(registry, repository, &digest, &self.key).unwrap();
            }
            Signed::InTag => {
                simple::sign(registry, repository, &digest, &self.key).unwrap();
            }
            Signed::Not => {}
        }
        format!("{}/{repository}:v1", registry.host())
    }

    /// What `assay verify --policy policy.yaml` and `arguments` end with.
    pub(crate) async fn verify(&self, arguments: &[&str]) -> Ended {
        self.folder.run(&[&["verify", "--policy", "policy.yaml"], arguments].concat()).await
    }
}

/// A policy that asks for a signature on every image of `host`.
pub(crate) fn policy(host: &str) -> String {
    format!(
        r#"apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata:
  name: release-images
spec:
  requireDigest: allow
  verifiers:
  - name: release-signature
    cosign: {{keys: [{{trustStore: release-keys}}]}}
  rules:
  - images: ["{host}/**"]
    require: {{all: [release-signature]}}
"#
    )
}

/// The trust store of [`policy`], with keys from `source`.
pub(crate) fn store_of(source: &str) -> String {
    format!(
        "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: release-keys}}\nspec:\n  publicKeys: {source}\n"
    )
}

/// The trust store of [`policy`], with the public half of `key`.
pub(crate) fn trust_store(key: &SigningKey) -> String {
    store_of(&format!("{{inline: {:?}}}", key.public_key_pem().unwrap()))
}

/// `text` with `from`, which it holds, as `to`.
#[track_caller]
pub(crate) fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no '{from}' in\n{text}");
    text.replacen(from, to, 1)
}
