//! The figures of `docs/benchmarks.md` that need a cluster, each beside a yardstick of the same run:
//! `make bench`. Lines are those of its table.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use assay_e2e::{
    Cluster, Door, FailurePolicy, Form, Registry, Signer, WEBHOOK_NAME, Webhook, manifest, until,
};
use serde_json::{Value, json};

/// Namespaces, and policies: one in each.
const NAMESPACES: usize = 1_000;

/// Changes of a policy whose effect is waited for.
const CHANGES: usize = 100;
const CHANGE_GOAL: Duration = Duration::from_secs(1);

/// Posts of which the median counts.
const POSTS: usize = 300;

/// Pods of one `kubectl create`, and how often it is run in each of two namespaces.
const PODS: usize = 200;
const ROUNDS: usize = 5;
const PODS_GOAL: f64 = 1.15;

/// The namespace whose pods are judged, and one whose pods the registration leaves out.
const JUDGED: &str = "judged";
const LEFT_OUT: &str = "kube-system";

struct World {
    door: Door,
    webhook: Webhook,
    cluster: Cluster,
    image: String,
    _registry: Registry,
}

fn main() -> Result<()> {
    let folder = Folder::create()?;
    let world = World::start(&folder.0)?;
    world.many_pods()?;
    world.many_policies()
}

/// The folder of a run, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self> {
        let name = format!("cluster-figures-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for what is left behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    fn start(directory: &Path) -> Result<Self> {
        let cluster = Cluster::start_durable(directory)?;
        cluster.kubectl(&["apply", "--filename", &manifest("")])?.succeeded()?;
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
        cluster.kubectl(&established)?.succeeded()?;
        let registry = Registry::start(directory)?;
        let signer = Signer::generate(directory, "release")?;
        let image = registry.push("app", "v1")?;
        signer.sign(&image, Form::Bundle)?;
        cluster.create_namespace(JUDGED, &json!({}))?;
        let policies = policies(registry.host(), &signer.public_key()?);
        cluster.kubectl_with(&["apply", "--filename=-"], &policies)?.succeeded()?;
        let webhook = Webhook::start(directory, &cluster, &[registry.host()])?;
        webhook.register(&cluster, FailurePolicy::Fail)?;
        let door = cluster.open()?;
        let world = Self { door, webhook, cluster, image, _registry: registry };
        until("the webhook to be in effect", || {
            Ok((!world.is_admitted(JUDGED, "registry.k8s.io/unsigned:v1")?).then_some(()))
        })?;
        Ok(world)
    }

    /// `kubectl create` of many pods, judged and not.
    fn many_pods(&self) -> Result<()> {
        let mut totals = [(JUDGED, Vec::new()), (LEFT_OUT, Vec::new())];
        for round in 0..ROUNDS {
            for (namespace, times) in &mut totals {
                let pods: Vec<Value> = (0..PODS)
                    .map(|number| self.pod(&format!("pod-{round}-{number}"), &self.image))
                    .collect();
                let list = json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string();
                let arguments = ["create", "--namespace", namespace, "--filename=-"];
                let start = Instant::now();
                self.cluster.kubectl_with(&arguments, &list)?.succeeded()?;
                times.push(start.elapsed());
            }
        }
        let [judged, left_out] = totals.map(|(_, mut times)| median(&mut times));
        let (waited, own) = self.call_times()?;
        print(
            "one of these reviews, as long as the API server waits for it",
            &millis(waited),
            &format!("as long as Assay takes: {}", millis(own)),
            "-",
            None,
        );
        let ratio = judged.as_secs_f64() / left_out.as_secs_f64();
        print(
            &format!("`kubectl create` of {PODS} signed pods, verdicts cached"),
            &millis(judged),
            &format!("without the webhook: {}", millis(left_out)),
            &format!("{ratio:.2}"),
            Some((&format!("at most {PODS_GOAL}"), ratio <= PODS_GOAL)),
        );
        Ok(())
    }

    /// How long the API server waited for a review of a pod, and how long it took the webhook from its
    /// last byte to the answer; on average, by the metrics of both.
    fn call_times(&self) -> Result<(Duration, Duration)> {
        let (_, api_server) = self.door.call("GET", "metrics", "", &Value::Null)?;
        let name = format!("name=\"{WEBHOOK_NAME}\"");
        let metric = "apiserver_admission_webhook_admission_duration_seconds";
        let waited = average(&api_server, metric, &name)?;
        let metric = "assay_admission_duration_seconds";
        Ok((waited, average(&self.webhook.metrics()?, metric, "resource=\"pods\"")?))
    }

    /// Many namespaces with a policy each: memory, the time to take effect, and what a post costs.
    fn many_policies(&self) -> Result<()> {
        self.create_policy(0)?;
        self.wait_for_policies(1)?;
        let (one, one_bytes) = (self.post_time()?, self.webhook.resident_bytes()?);
        for number in 1..NAMESPACES {
            self.create_policy(number)?;
        }
        self.wait_for_policies(NAMESPACES)?;
        let (many, many_bytes) = (self.post_time()?, self.webhook.resident_bytes()?);
        let mut times =
            (0..CHANGES).map(|change| self.change_time(change)).collect::<Result<Vec<_>>>()?;
        times.sort();
        let (p50, p99) = (times[CHANGES / 2], times[CHANGES * 99 / 100]);
        let what = format!("{NAMESPACES} namespaces with a policy each");
        print(
            &format!("{what}: a policy's change to its effect, p99"),
            &millis(p99),
            &format!("p50: {}", millis(p50)),
            "-",
            Some((&format!("at most {}", millis(CHANGE_GOAL)), p99 <= CHANGE_GOAL)),
        );
        print(
            &format!("{what}: one admission, through the API server"),
            &millis(many),
            &format!("one policy: {}", millis(one)),
            &format!("{:.2}", many.as_secs_f64() / one.as_secs_f64()),
            None,
        );
        let memory = format!("one policy: {}", mebibytes(one_bytes));
        print(&format!("{what}: resident memory"), &mebibytes(many_bytes), &memory, "-", None);
        Ok(())
    }

    fn create_policy(&self, number: usize) -> Result<()> {
        let namespace = json!({"metadata": {"name": team(number)}});
        self.created("api/v1/namespaces", &namespace)?;
        self.created(&policies_of(number), &policy(false))
    }

    fn created(&self, path: &str, object: &Value) -> Result<()> {
        let (status, text) = self.door.call("POST", path, "application/json", object)?;
        ensure!(status == 201, "{path}: {status} {text}");
        Ok(())
    }

    fn wait_for_policies(&self, count: usize) -> Result<()> {
        let line =
            format!(r#"assay_policies{{kind="ImageAdmissionPolicy",status="ready"}} {count}"#);
        until("the policies in force", || {
            Ok(self.webhook.metrics()?.lines().any(|found| found == line).then_some(()))
        })
    }

    /// From the API server's answer to a changed policy to the first verdict under it.
    fn change_time(&self, change: usize) -> Result<Duration> {
        let number = change * 7 % NAMESPACES;
        let path = format!("{}/policy", policies_of(number));
        let patch = "application/merge-patch+json";
        let (status, text) = self.door.call("PATCH", &path, patch, &policy(true))?;
        ensure!(status == 200, "{path}: {status} {text}");
        let start = Instant::now();
        while self.is_admitted(&team(number), "registry.k8s.io/pause:3.10")? {
            ensure!(start.elapsed() < Duration::from_secs(60), "the change has no effect");
        }
        Ok(start.elapsed())
    }

    fn post_time(&self) -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..POSTS {
            let start = Instant::now();
            ensure!(self.is_admitted(&team(0), "registry.k8s.io/pause:3.10")?, "refused");
            times.push(start.elapsed());
        }
        Ok(median(&mut times))
    }

    /// Whether the webhook lets a pod in, which is not stored.
    fn is_admitted(&self, namespace: &str, image: &str) -> Result<bool> {
        let path = format!("api/v1/namespaces/{namespace}/pods");
        let pod = self.pod("attempt", image);
        // The ServiceAccount comes after its namespace.
        let mut answer = (0, String::new());
        until("the namespace's ServiceAccount", || {
            answer = self.door.try_create(&path, &pod)?;
            Ok((!answer.1.contains("looking up service account")).then_some(()))
        })?;
        let (status, text) = answer;
        ensure!(status == 201 || text.contains(WEBHOOK_NAME), "{status} {text}");
        Ok(status == 201)
    }

    fn pod(&self, name: &str, image: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "web", "image": image}]},
        })
    }
}

/// The average of a histogram's series that have this label.
fn average(page: &str, metric: &str, label: &str) -> Result<Duration> {
    let total = |suffix: &str| {
        let begin = format!("{metric}_{suffix}{{");
        let lines = page.lines().filter(|line| line.starts_with(&begin) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    ensure!(total("count") > 0.0, "{metric} has no series with {label}");
    Ok(Duration::from_secs_f64(total("sum") / total("count")))
}

fn team(number: usize) -> String {
    format!("team-{number}")
}

fn policies_of(number: usize) -> String {
    format!("apis/assay.dev/v1alpha1/namespaces/{}/imageadmissionpolicies", team(number))
}

fn policy(denies: bool) -> Value {
    let rule = match denies {
        true => json!({"images": ["registry.k8s.io/**"], "deny": "not here"}),
        false => json!({"images": ["registry.k8s.io/**"], "allow": true}),
    };
    json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ImageAdmissionPolicy",
        "metadata": {"name": "policy"},
        "spec": {"rules": [rule]},
    })
}

/// What is signed is admitted in [`JUDGED`], and nothing else.
fn policies(host: &str, public_key: &str) -> String {
    let key = public_key.replace('\n', "\n      ");
    format!(
        "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: release-keys}}\n\
         spec:\n  publicKeys:\n    inline: |\n      {key}\n---\n\
         apiVersion: assay.dev/v1alpha1\nkind: ClusterImageAdmissionPolicy\n\
         metadata: {{name: release-images}}\nspec:\n  match: {{namespaces: [{JUDGED}]}}\n  \
         verifiers: [{{name: signature, cosign: {{keys: [{{trustStore: release-keys}}]}}}}]\n  rules:\n  \
         - images: [\"{host}/**\"]\n    require: {{all: [signature]}}\n  \
         - images: [\"**\"]\n    deny: \"images come from {host}\"\n"
    )
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn print(what: &str, measured: &str, yardstick: &str, ratio: &str, goal: Option<(&str, bool)>) {
    let (goal, met) = match goal {
        None => ("-", "-"),
        Some((goal, true)) => (goal, "yes"),
        Some((goal, false)) => (goal, "**no**"),
    };
    println!("| {what} | {measured} | {yardstick} | {ratio} | {goal} | {met} |");
}
