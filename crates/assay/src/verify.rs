//! `assay verify`: the cluster's decision, from the same policies by the same `judge`, without one.

mod manifests;
mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use assay_api::{Body, Configuration, Document, LogConfiguration, LogFormat, LogLevel};
use assay_control::{Files, GivenNamespaces};
use assay_core::Digest;
use assay_core::ports::{Clock, NamespaceSource};
use assay_engine::Executor;
use assay_policy::{
    Decision, ImageField, Match, Object, ObjectImage, Operation, Plan, Policy, Request, Role,
    Snapshot, Source, Verdict, message,
};
use assay_registry::Loopback;
use assay_verifiers::Factory;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::cli::{FailOn, VerifyArguments};
use crate::clock::SystemClock;
use crate::files::{PolicyFiles, read_material};
use crate::metrics::Metrics;
use crate::wiring;

const EXIT_DENIED: u8 = 1;
const EXIT_UNDECIDED: u8 = 3;
const EXIT_UNCOVERED: u8 = 4;

/// Images looked at at once; an object that has more waits until it is alone. Registries take that
/// many requests from one client, and the engine refuses only at many times as many.
const IMAGES_AT_ONCE_MAX: u16 = 16;

/// Logs are for whoever asks: the result says what happened.
const QUIET: LogConfiguration = LogConfiguration { level: LogLevel::Warn, format: LogFormat::Text };

/// What was judged: its name for people, and the verdict.
struct Judged {
    object: String,
    verdict: Verdict,
}

/// Judges what `arguments` name, prints the result, and returns what it comes to.
pub(crate) async fn run(arguments: VerifyArguments) -> anyhow::Result<ExitCode> {
    crate::logging::start(&QUIET)?;
    let configuration = match &arguments.config {
        Some(path) => wiring::read_configuration(path)?,
        None => Configuration::default(),
    };
    let (documents, snapshot) = policies(&arguments, &configuration)?;
    let mut namespaces = GivenNamespaces::default();
    for document in documents {
        if let Ok(Body::Namespace { name, labels }) = document.body {
            namespaces.give(&name, labels);
        }
    }
    let (snapshot, objects) = if arguments.manifests.is_empty() {
        say("images are judged under every cluster policy given, whatever its match");
        (matching_everything(&snapshot), bare_images(&arguments))
    } else {
        (snapshot, objects(&arguments, &mut namespaces)?)
    };
    if !arguments.namespace_labels.is_empty() {
        namespaces.give(&arguments.namespace, arguments.namespace_labels.iter().cloned());
    }
    say_unjudged(&snapshot, &objects);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let id = request_id(&arguments, &*clock);
    let deadline = clock.ticks().saturating_add(Duration::from_secs(arguments.timeout));
    let requests: Vec<Request> =
        objects.into_iter().map(|object| request(object, &id, deadline)).collect();
    check_labels(&snapshot, &requests, &namespaces).await?;
    let own = (clock.clone(), Arc::new(Metrics::new()?) as _);
    let ports =
        wiring::ports(&configuration, Loopback::Allowed, (Arc::new(namespaces), None), own)?;
    let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
    let executor = Executor::new(snapshots, ports, wiring::cache(&configuration));
    let judged = judge(&executor, &requests).await;
    let text = output::render(arguments.output, &judged, &id, clock.now())?;
    crate::print(&text)?;
    Ok(exit_code(&judged, &arguments))
}

/// Says something that is no result.
fn say(text: &str) {
    // Nothing can be done where standard error is gone.
    let _ = writeln!(std::io::stderr(), "assay: {text}");
}

/// The policies, every one of which compiles, and the documents that they are in.
fn policies(
    arguments: &VerifyArguments,
    configuration: &Configuration,
) -> anyhow::Result<(Vec<Document>, Snapshot)> {
    let mut options = wiring::compile_options(configuration);
    for (store, file) in &arguments.trust_stores {
        let bytes = read_material(file).map_err(anyhow::Error::msg).context("--trust-store")?;
        let earlier = options.stand_ins.insert(store.clone(), bytes);
        anyhow::ensure!(earlier.is_none(), "--trust-store: {store} is given twice");
    }
    let files = PolicyFiles::read(arguments.policy.clone(), options).context("--policy")?;
    let compiled = files.compile(&Factory::default(), None);
    compiled.problems.iter().for_each(|problem| say(&problem.to_string()));
    anyhow::ensure!(compiled.problems.is_empty(), "the policies do not compile");
    anyhow::ensure!(!compiled.snapshot.policies.is_empty(), "--policy: there is no policy in it");
    Ok((files.documents(), compiled.snapshot))
}

/// The objects of manifests. Namespaces among them give their labels.
fn objects(
    arguments: &VerifyArguments,
    namespaces: &mut GivenNamespaces,
) -> anyhow::Result<Vec<Object>> {
    let manifests = manifests::read(&arguments.manifests, &arguments.namespace)?;
    for (name, labels) in manifests.namespaces {
        namespaces.give(&name, labels);
    }
    if manifests.objects.is_empty() {
        say("there is no pod and no workload in the manifests");
    }
    Ok(manifests.objects)
}

/// For each image a pod that has it alone, in a container without a name.
fn bare_images(arguments: &VerifyArguments) -> Vec<Object> {
    let bare = |image: &String| Object {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: arguments.namespace.clone(),
        name: String::new(),
        generate_name: String::new(),
        labels: BTreeMap::new(),
        source: Source::Original,
        images: vec![ObjectImage {
            reference: image.clone(),
            name: String::new(),
            field: ImageField::Container,
        }],
        controlled: false,
        template_labels: None,
        pull_secrets: Vec::new(),
        service_account: None,
    };
    arguments.images.iter().map(bare).collect()
}

/// The policies with every `match` taken as true.
fn matching_everything(snapshot: &Snapshot) -> Snapshot {
    let policies = snapshot
        .policies
        .iter()
        .map(|policy| Arc::new(Policy { matcher: Ok(Match::default()), ..Policy::clone(policy) }));
    Snapshot { policies: policies.collect(), ..snapshot.clone() }
}

/// Says what the cluster would let pass without a look.
fn say_unjudged(snapshot: &Snapshot, objects: &[Object]) {
    let namespaces: BTreeSet<&str> =
        objects.iter().map(|object| object.namespace.as_str()).collect();
    for namespace in namespaces.into_iter().filter(|namespace| snapshot.exempts(namespace)) {
        say(&format!("nothing is judged in namespace '{namespace}'"));
    }
    for object in objects.iter().filter(|object| object.controlled) {
        if object.role() == Role::Workload {
            say(&format!("{} is not judged: what controls it is", output::object_name(object)));
        }
    }
}

/// A short id, which messages and reports of this run share.
fn request_id(arguments: &VerifyArguments, clock: &dyn Clock) -> String {
    let what = format!("{:?} {}", arguments.images, clock.now());
    Digest::sha256(what.as_bytes()).hex().chars().take(8).collect()
}

fn request(object: Object, id: &str, deadline: Duration) -> Request {
    Request {
        id: id.to_owned(),
        operation: Operation::Create,
        namespace: object.namespace.clone(),
        object: Some(object),
        old_object: None,
        dry_run: true,
        enforce_templates: true,
        deadline,
    }
}

/// A policy that needs labels which are not given is an error, not a miss.
async fn check_labels(
    snapshot: &Snapshot,
    requests: &[Request],
    namespaces: &GivenNamespaces,
) -> anyhow::Result<()> {
    for request in requests.iter().filter(|request| Plan::needs_labels(snapshot, request)) {
        namespaces.labels(&request.namespace).await.context("a policy matches by labels")?;
    }
    Ok(())
}

/// The verdicts, in the order of `requests`.
async fn judge(executor: &Arc<Executor>, requests: &[Request]) -> Vec<Judged> {
    let slots = Semaphore::new(IMAGES_AT_ONCE_MAX.into());
    let judged = requests.iter().map(async |request| {
        let object = request.object.as_ref();
        let images = object.map_or(0, |object| object.images.len());
        let images = u16::try_from(images).unwrap_or(u16::MAX).min(IMAGES_AT_ONCE_MAX);
        let _slots = slots.acquire_many(images.into()).await;
        let verdict = executor.judge(request).await;
        Judged { object: object.map(output::object_name).unwrap_or_default(), verdict }
    });
    join_all(judged).await
}

fn exit_code(judged: &[Judged], arguments: &VerifyArguments) -> ExitCode {
    let verdicts = || judged.iter().map(|judged| &judged.verdict);
    let images = || verdicts().flat_map(|verdict| &verdict.images);
    let has_warning = verdicts().any(|verdict| !message::warnings(verdict).is_empty());
    let is_uncovered = judged.is_empty()
        || verdicts().any(|verdict| verdict.images.is_empty())
        || images().any(|image| !image.covered);
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
