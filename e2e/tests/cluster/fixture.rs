//! What stands before the first case: the cluster, the images, the policies, the webhook.

use std::fs::{create_dir_all, remove_dir_all};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use assay_e2e::{
    Balancer, Cluster, FailurePolicy, Form, Notary, Output, Registry, RevocationServer, Signer,
    SlowLine, TimestampAuthority, WEBHOOK_NAME, Webhook, assay, manifest, until,
};
use serde_json::json;

/// The namespaces, with the labels that a policy selects one of them by.
const NAMESPACES: &[(&str, &str)] = &[
    ("enforced", "none"),
    ("warned", "none"),
    ("trial", "none"),
    ("production", "prod"),
    ("staging", "staging"),
];

/// The folder of the signers of Notary Project signatures.
const NOTARY: &str = "notary";

/// Everything that a case needs.
pub(crate) struct Fixture {
    pub(crate) webhook: Webhook,
    /// Before the webhook, from the case on that registers it.
    pub(crate) balancer: Option<Balancer>,
    /// Beside the webhook, in the case of several.
    pub(crate) replica: Option<Webhook>,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    /// The same registry at another address.
    pub(crate) slow_line: SlowLine,
    pub(crate) private_registry: Registry,
    /// A registry that answers the referrers API.
    pub(crate) referrers_registry: Registry,
    pub(crate) timestamps: TimestampAuthority,
    /// Tells whether the certificates of [`Self::notary`] are revoked.
    pub(crate) revocation: RevocationServer,
    /// Where a case may put files.
    pub(crate) directory: PathBuf,
    pub(crate) images: Images,
    pub(crate) release: Signer,
    pub(crate) stranger: Signer,
}

/// References by digest. Each image has one signature or none.
pub(crate) struct Images {
    pub(crate) unsigned: String,
    pub(crate) signed_bundle: String,
    pub(crate) signed_tag: String,
    pub(crate) stranger_bundle: String,
    pub(crate) stranger_tag: String,
    /// Signed, and used by the one case that must not find it cached.
    pub(crate) signed_unseen: String,
}

/// The folder of one run. It goes when the test succeeds; the logs stay when it fails.
pub(crate) struct RunFolder(PathBuf);

impl Fixture {
    /// The webhook is registered with `failurePolicy: Fail` and in effect.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        assay()?;
        let cluster = Cluster::start(directory)?;
        let registry = Registry::start(directory)?;
        let slow_line = SlowLine::start(registry.host())?;
        let private_registry = Registry::start_private(directory)?;
        let referrers_registry = Registry::start_with_referrers(directory)?;
        let revocation = RevocationServer::start(directory, NOTARY)?;
        let release = Signer::generate(directory, "release")?;
        let stranger = Signer::generate(directory, "stranger")?;
        let images = Images::push(&registry, &release, &stranger)?;
        for (name, environment) in NAMESPACES {
            cluster.create_namespace(name, &json!({"env": environment}))?;
        }
        let slow_host = slow_line.host();
        let hosts = [registry.host(), &slow_host, private_registry.host()];
        let policies = policies(hosts, &release.public_key()?);
        install(&cluster)?;
        // It runs before there is a webhook, and no policy would let it run again.
        run(&cluster, "enforced", "veteran", &images.unsigned)?.succeeded()?;
        cluster.kubectl_with(&["apply", "--filename=-"], &policies)?.succeeded()?;
        let others = [referrers_registry.host(), revocation.host()];
        let webhook = Webhook::start(directory, &cluster, &[&hosts[..], &others].concat())?;
        webhook.register(&cluster, FailurePolicy::Fail)?;
        let fixture = Self {
            webhook,
            balancer: None,
            replica: None,
            cluster,
            registry,
            slow_line,
            private_registry,
            referrers_registry,
            timestamps: TimestampAuthority::start(directory)?,
            revocation,
            directory: directory.to_owned(),
            images,
            release,
            stranger,
        };
        until("the webhook to be in effect", || {
            Ok((!fixture.try_run("enforced", &fixture.images.unsigned)?.success).then_some(()))
        })?;
        Ok(fixture)
    }

    /// The signers of Notary Project signatures, made by the case that asks first.
    pub(crate) fn notary(&self) -> Result<Notary> {
        Notary::open(&self.directory.join(NOTARY), self.revocation.host())
    }

    /// What `kubectl run` prints for a pod with this name and one container of the same name.
    pub(crate) fn run(&self, namespace: &str, name: &str, image: &str) -> Result<Output> {
        run(&self.cluster, namespace, name, image)
    }

    /// What `kubectl run` prints where nothing is stored.
    pub(crate) fn try_run(&self, namespace: &str, image: &str) -> Result<Output> {
        let image = format!("--image={image}");
        let arguments = ["run", "attempt", "--namespace", namespace, "--dry-run=server", &image];
        self.cluster.kubectl(&arguments)
    }
}

impl Images {
    fn push(registry: &Registry, release: &Signer, stranger: &Signer) -> Result<Self> {
        let signed = |mark: &str, signer: &Signer, form| -> Result<String> {
            let image = registry.push("app", mark)?;
            signer.sign(&image, form)?;
            Ok(image)
        };
        Ok(Self {
            unsigned: registry.push("app", "unsigned")?,
            signed_bundle: signed("signed-bundle", release, Form::Bundle)?,
            signed_tag: signed("signed-tag", release, Form::Tag)?,
            stranger_bundle: signed("stranger-bundle", stranger, Form::Bundle)?,
            stranger_tag: signed("stranger-tag", stranger, Form::Tag)?,
            signed_unseen: signed("signed-unseen", release, Form::Bundle)?,
        })
    }
}

impl RunFolder {
    pub(crate) fn create() -> Result<Self> {
        let name = format!("cluster-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // A failed run whose process had the same number may have left one.
        let _ = remove_dir_all(&path);
        create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let _ = remove_dir_all(if failed { self.0.join("etcd") } else { self.0.clone() });
    }
}

/// The whole text of a refusal of `kubectl`, with ids of requests as `(request xxxxxxxx)`.
pub(crate) fn refusal(output: Output) -> Result<String> {
    Ok(masked(&output.failed()?))
}

/// The refusal that kubectl prints for these lines of ours.
pub(crate) fn forbidden(message: &str) -> String {
    format!(
        "Error from server (Forbidden): admission webhook \"{WEBHOOK_NAME}\" denied the request: \
         {message}\n"
    )
}

/// The line of a pod whose container has no signature by `release-keys`.
pub(crate) fn not_found(policy: &str, image: &str, container: &str) -> String {
    format!(
        "[{policy}] Subject failed verification: {image} (container \"{container}\"): \
         release-signature: SIGNATURE_NOT_FOUND: no signature by a key of release-keys \
         (request xxxxxxxx)"
    )
}

/// `text` with each id of a request, 8 hexadecimal digits, as `xxxxxxxx`.
pub(crate) fn masked(text: &str) -> String {
    let mut parts = text.split("(request ");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let id = part.split_once(')').filter(|(id, _)| {
            id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        let rest = id.map_or_else(|| part.to_owned(), |(_, rest)| format!("xxxxxxxx){rest}"));
        masked.push_str("(request ");
        masked.push_str(&rest);
    }
    masked
}

/// Holds what was printed against what should have been.
pub(crate) fn check_text(what: &str, found: &str, expected: &str) -> Result<()> {
    ensure!(found == expected, "{what}:\n   found {found:?}\nexpected {expected:?}");
    Ok(())
}

/// The warnings among what kubectl printed.
pub(crate) fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect()
}

/// Succeeds where kubectl did, without any warning.
pub(crate) fn admitted_silently(what: &str, output: Output) -> Result<()> {
    let stderr = output.stderr.clone();
    output.succeeded().with_context(|| what.to_owned())?;
    ensure!(warnings(&stderr).is_empty(), "{what}: {stderr}");
    Ok(())
}

/// `kubectl apply -f manifests/`, as the documentation has it.
fn install(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["apply", "--filename", &manifest("")])?.succeeded()?;
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
    cluster.kubectl(&established)?.succeeded()?;
    Ok(())
}

fn run(cluster: &Cluster, namespace: &str, name: &str, image: &str) -> Result<Output> {
    cluster.kubectl(&["run", name, "--namespace", namespace, &format!("--image={image}")])
}

/// A ClusterTrustStore that holds one key, as YAML.
pub(crate) fn trust_store(name: &str, public_key: &str) -> String {
    let key = public_key.replace('\n', "\n      ");
    format!(
        "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: {name}}}\n\
         spec:\n  publicKeys:\n    inline: |\n      {key}\n"
    )
}

fn policies(hosts: [&str; 3], public_key: &str) -> String {
    let images = hosts.map(|host| format!("\"{host}/**\"")).join(", ");
    let policy = |name: &str, action: &str, selection: &str| {
        format!(
            r#"---
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {{name: {name}}}
spec:
  enforcementAction: {action}
  match:
    kinds: [{{apiGroups: [""], kinds: ["Pod"]}}]
    {selection}
  verifiers:
  - name: release-signature
    cosign: {{keys: [{{trustStore: release-keys}}]}}
  rules:
  - images: [{images}]
    require: {{all: [release-signature]}}
"#
        )
    };
    let documents = [
        trust_store("release-keys", public_key),
        policy("release-images", "deny", "namespaces: [enforced]"),
        policy("warned-images", "warn", "namespaces: [warned]"),
        policy("trial-images", "dryrun", "namespaces: [trial]"),
        policy("prod-images", "deny", "namespaceSelector: {matchLabels: {env: prod}}"),
    ];
    documents.concat()
}
