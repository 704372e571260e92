//! `assay verify`: the cluster's decision, from the same policies by the same `judge`, without one.

mod manifests;
mod output;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assay_api::{Body, CompileOptions, Configuration, LogConfiguration, LogFormat, LogLevel};
use assay_control::GivenNamespaces;
use assay_core::Digest;
use assay_core::ports::Clock;
use assay_engine::Executor;
use assay_policy::{
    Decision, Effect, ImageField, Match, Object, ObjectImage, Operation, Plan, Policy, Request,
    Snapshot, Source, Verdict,
};
use assay_registry::Loopback;
use assay_verifiers::Factory;

use crate::cli::{FailOn, VerifyArguments};
use crate::clock::SystemClock;
use crate::files::{PolicyFiles, read_material};
use crate::metrics::Metrics;
use crate::wiring;

const EXIT_DENIED: u8 = 1;
const EXIT_UNDECIDED: u8 = 3;
const EXIT_UNCOVERED: u8 = 4;

/// What was judged: its name for people, and the verdict.
struct Judged {
    object: String,
    verdict: Verdict,
}

/// Judges what `arguments` name, prints the result, and returns what it comes to.
pub(crate) async fn run(arguments: VerifyArguments) -> anyhow::Result<ExitCode> {
    let configuration = match &arguments.config {
        Some(path) => wiring::read_configuration(path)?,
        None => Configuration::default(),
    };
    crate::logging::start(&QUIET)?;
    let (files, snapshot) = policies(&arguments, &configuration)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let deadline = clock.ticks().saturating_add(Duration::from_secs(arguments.timeout));
    let id = request_id(&arguments, &*clock);
    let mut namespaces = GivenNamespaces::default();
    for document in files.documents() {
        if let Ok(Body::Namespace { name, labels }) = document.body {
            namespaces.give(&name, labels);
        }
    }
    let request = |object: Object| Request {
        id: id.clone(),
        operation: Operation::Create,
        namespace: object.namespace.clone(),
        object: Some(object),
        old_object: None,
        dry_run: true,
        enforce_templates: true,
        deadline,
    };
    let (snapshot, requests) = if arguments.manifests.is_empty() {
        say("images are judged under every cluster policy given, whatever its match");
        let images = arguments.images.iter();
        let requests: Vec<Request> =
            images.map(|image| request(bare(image, &arguments.namespace))).collect();
        (matching_everything(&snapshot), requests)
    } else {
        let manifests = manifests::read(&arguments.manifests, &arguments.namespace)?;
        for (name, labels) in manifests.namespaces {
            namespaces.give(&name, labels);
        }
        (snapshot, manifests.objects.into_iter().map(request).collect())
    };
    if !arguments.namespace_labels.is_empty() {
        namespaces.give(&arguments.namespace, arguments.namespace_labels.iter().cloned());
    }
    check_labels(&snapshot, &requests, &namespaces).await?;
    let metrics = Arc::new(Metrics::new()?);
    let ports = (clock.clone(), metrics as _);
    let (executor, _) =
        wiring::executor(&configuration, Loopback::Allowed, Arc::new(namespaces), ports, snapshot)?;
    let judged = judge(&executor, &requests).await;
    let text = output::render(arguments.output, &judged, &id, clock.now())?;
    crate::print(&text)?;
    Ok(exit_code(&judged, &arguments))
}

/// Logs are for whoever asks: the result says what happened.
const QUIET: LogConfiguration = LogConfiguration { level: LogLevel::Warn, format: LogFormat::Text };

/// Says something that is no result.
fn say(text: &str) {
    // Nothing can be done where standard error is gone.
    let _ = writeln!(std::io::stderr(), "assay: {text}");
}

/// The policies, every one of which compiles.
fn policies(
    arguments: &VerifyArguments,
    configuration: &Configuration,
) -> anyhow::Result<(PolicyFiles, Snapshot)> {
    let mut stand_ins = BTreeMap::new();
    for (store, file) in &arguments.trust_stores {
        let bytes = read_material(file).map_err(anyhow::Error::msg);
        stand_ins.insert(store.clone(), bytes.context("--trust-store")?);
    }
    let options = CompileOptions { stand_ins, ..wiring::compile_options(configuration) };
    let files = PolicyFiles::read(arguments.policy.clone(), options).context("--policy")?;
    let compiled = files.compile(&Factory, None);
    for assay_api::Problem { origin, object, invalid } in &compiled.problems {
        say(&format!("{origin}: {object}: {invalid}"));
    }
    anyhow::ensure!(compiled.problems.is_empty(), "the policies do not compile");
    anyhow::ensure!(!compiled.snapshot.policies.is_empty(), "--policy: there is no policy in it");
    Ok((files, compiled.snapshot))
}

/// A short id, which messages and reports of this run share.
fn request_id(arguments: &VerifyArguments, clock: &dyn Clock) -> String {
    let what = format!("{:?} {}", arguments.images, clock.now());
    Digest::sha256(what.as_bytes()).hex().chars().take(8).collect()
}

/// A pod in `namespace` that has this image alone, in a container without a name.
fn bare(image: &str, namespace: &str) -> Object {
    Object {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: namespace.to_owned(),
        name: String::new(),
        generate_name: String::new(),
        labels: BTreeMap::new(),
        source: Source::Original,
        images: vec![ObjectImage {
            reference: image.to_owned(),
            name: String::new(),
            field: ImageField::Container,
        }],
        controlled: false,
        template_labels: None,
    }
}

/// The policies with every `match` taken as true.
fn matching_everything(snapshot: &Snapshot) -> Snapshot {
    let policies = snapshot
        .policies
        .iter()
        .map(|policy| Arc::new(Policy { matcher: Ok(Match::default()), ..Policy::clone(policy) }));
    Snapshot { policies: policies.collect(), ..snapshot.clone() }
}

/// A policy that needs labels which are not given is an error, not a miss.
async fn check_labels(
    snapshot: &Snapshot,
    requests: &[Request],
    namespaces: &GivenNamespaces,
) -> anyhow::Result<()> {
    use assay_core::ports::NamespaceSource;
    for request in requests.iter().filter(|request| Plan::needs_labels(snapshot, request)) {
        namespaces.labels(&request.namespace).await?;
    }
    Ok(())
}

async fn judge(executor: &Arc<Executor>, requests: &[Request]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for request in requests {
        let verdict = executor.judge(request).await;
        let object = request.object.as_ref().map(output::object_name).unwrap_or_default();
        judged.push(Judged { object, verdict });
    }
    judged
}

fn exit_code(judged: &[Judged], arguments: &VerifyArguments) -> ExitCode {
    let verdicts = || judged.iter().map(|judged| &judged.verdict);
    let images = || verdicts().flat_map(|verdict| &verdict.images);
    let has_warning = images().any(|image| image.effect() == Effect::Warn)
        || verdicts().any(|verdict| !assay_policy::message::warnings(verdict).is_empty());
    let is_uncovered =
        images().any(|image| !image.covered) || verdicts().all(|verdict| verdict.images.is_empty());
    ExitCode::from(if verdicts().any(|verdict| verdict.decision == Decision::Deny) {
        EXIT_DENIED
    } else if verdicts().any(|verdict| verdict.decision == Decision::Undecided) {
        EXIT_UNDECIDED
    } else if arguments.fail_on == Some(FailOn::Warn) && has_warning {
        EXIT_DENIED
    } else if is_uncovered && !arguments.allow_unmatched {
        EXIT_UNCOVERED
    } else {
        0
    })
}
