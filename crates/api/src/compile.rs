//! Documents into the Snapshot: the one compile of the webhook, the controller and the command line.
//!
//! Architecture invariant: whatever does not compile fails closed by name. A verifier that cannot be
//! built closes the rules that name it; rules that do not compile close what `match` selects; a
//! `match` that does not compile keeps its last good form, and without one closes everything.

mod matching;
mod notation;
mod rules;
mod trust_stores;
mod verifiers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use assay_core::ports::{Verifier, VerifierFactory};
use assay_core::{ConfigError, TrustMaterial, VerifierConfig};
use assay_policy::{DefaultAction, Invalid, Match, Policy, PolicyId, Snapshot, Tier};

use crate::limits::{NAMESPACE_GLOBS_MAX, NAMESPACE_POLICIES_MAX};
use crate::resources::{self, GroupSpec, MatchSpec, RuleSpec, VerifierSpec};
use crate::{Body, Document, DocumentError, DocumentKind, Origin, Sources, invalid};
use trust_stores::TrustStores;

pub(crate) use notation::stores as notation_stores;
pub use trust_stores::StoreId;

/// What a Snapshot holds beside policies.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// What decides where no enforcing cluster policy covers an image.
    pub default_action: DefaultAction,
    /// Hosts for which `onError: warn` and `allow` count.
    pub registries: BTreeSet<String>,
    /// Namespaces in which nothing is judged, beside those of Kubernetes: Assay's own.
    pub exempt_namespaces: BTreeSet<String>,
    /// What stands in for a trust store, given as a document or not (`--trust-store`).
    pub stand_ins: BTreeMap<StoreId, Vec<u8>>,
}

/// What `compile` makes.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// Every policy, closed where it did not compile.
    pub snapshot: Snapshot,
    /// Everything that did not compile, with trust stores and verifiers that no rule rests on and
    /// documents that are none of ours. [`Policy::problems`] are those that close something.
    pub problems: Vec<Problem>,
}

/// Something in a document that did not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the document stands.
    pub origin: Origin,
    /// What it is: `ClusterTrustStore release-keys`; empty where that cannot be told.
    pub object: String,
    /// The field, and what is wrong with it.
    pub invalid: Invalid,
}

/// The Snapshot that `documents` make, with every problem in them.
///
/// `last_good` is the Snapshot in force, from which a policy whose `match` does not compile keeps
/// that part. Building verifiers, and so parsing keys, is the `factory`'s.
pub fn compile(
    documents: &[Document],
    options: &CompileOptions,
    sources: &dyn Sources,
    factory: &dyn VerifierFactory,
    last_good: Option<&Snapshot>,
) -> Compiled {
    let stores = TrustStores::new(documents, &options.stand_ins, sources);
    let registries = &options.registries;
    let compiler = Compiler { stores: &stores, registries, factory, last_good };
    let written = documents.iter().filter_map(Written::new).collect();
    let (within, mut surplus) = within_limit(written);
    let mut compiled: Vec<CompiledPolicy<'_>> =
        within.into_iter().map(|written| compiler.compile(written)).collect();
    close_doubled(&mut compiled);

    let mut problems = foreign_problems(documents);
    problems.extend(stores.problems(factory));
    problems.extend(compiled.iter().chain(&surplus).flat_map(CompiledPolicy::problems));
    problems.sort_by(|one, other| one.origin.cmp(&other.origin));
    dedup_surplus(&mut surplus);
    compiled.extend(surplus);
    compiled.sort_by(|one, other| one.policy.id.cmp(&other.policy.id));
    let snapshot = Snapshot {
        policies: compiled.into_iter().map(|compiled| Arc::new(compiled.policy)).collect(),
        default_action: options.default_action,
        registries: options.registries.clone(),
        exempt_namespaces: options.exempt_namespaces.clone(),
        expiries: stores.expiries(factory),
    };
    Compiled { snapshot, problems }
}

/// The verifier that `factory` builds. A panic, which is a defect, closes what needs the verifier and
/// stops nothing else: keys are what tenants write.
fn build(
    factory: &dyn VerifierFactory,
    config: &VerifierConfig,
    material: &TrustMaterial,
) -> Result<Arc<dyn Verifier>, ConfigError> {
    let built = catch_unwind(AssertUnwindSafe(|| factory.build(config, material)));
    built.unwrap_or_else(|_| {
        let reason = "cannot be built, which is a defect of Assay: report it".to_owned();
        let field = match config {
            VerifierConfig::Notation(_) => "notation",
            _ => "cosign",
        };
        Err(ConfigError { field: field.to_owned(), reason })
    })
}

struct Compiler<'a> {
    stores: &'a TrustStores<'a>,
    registries: &'a BTreeSet<String>,
    factory: &'a dyn VerifierFactory,
    last_good: Option<&'a Snapshot>,
}

/// A policy as it was written.
struct Written<'a> {
    id: PolicyId,
    origin: &'a Origin,
    body: PolicyBody<'a>,
}

enum PolicyBody<'a> {
    Cluster(&'a resources::ClusterImageAdmissionPolicy),
    Namespaced(&'a resources::ImageAdmissionPolicy),
    Unreadable(&'a DocumentError),
}

struct CompiledPolicy<'a> {
    origin: &'a Origin,
    policy: Policy,
    invalid: Vec<Invalid>,
}

/// What both kinds of policy say.
struct PolicySpec<'a> {
    id: PolicyId,
    tier: Tier,
    enforcement_action: resources::EnforcementAction,
    matching: Option<&'a MatchSpec>,
    verifiers: &'a [VerifierSpec],
    groups: &'a [GroupSpec],
    rules: &'a [RuleSpec],
    on_error: resources::OnError,
    require_digest: resources::RequireDigest,
}

impl Compiler<'_> {
    fn compile<'a>(&self, Written { id, origin, body }: Written<'a>) -> CompiledPolicy<'a> {
        match body {
            PolicyBody::Cluster(policy) => {
                self.policy(origin, &PolicySpec::from_cluster(id, policy))
            }
            PolicyBody::Namespaced(policy) => {
                self.policy(origin, &PolicySpec::from_namespaced(id, policy))
            }
            PolicyBody::Unreadable(error) => self.unreadable(origin, id, error),
        }
    }

    fn policy<'a>(&self, origin: &'a Origin, spec: &PolicySpec<'_>) -> CompiledPolicy<'a> {
        let mut problems = Vec::new();
        let matcher = match spec.matching.map(matching::compile).transpose() {
            Ok(matcher) => Ok(matcher.unwrap_or_default()),
            Err(invalid) => {
                problems.push(invalid.clone());
                self.last_good_match(&spec.id).ok_or(invalid)
            }
        };
        let rules = match rules::check_limits(spec) {
            Err(invalid) => Err(invalid),
            Ok(()) => {
                let verifiers =
                    verifiers::compile(spec, self.stores, self.registries, self.factory);
                problems.extend(verifiers.iter().filter_map(|verifier| verifier.clone().err()));
                matching::check_kinds(spec.matching).and_then(|()| rules::compile(spec, verifiers))
            }
        };
        let policy = Policy {
            id: spec.id.clone(),
            tier: spec.tier,
            enforcement_action: spec.enforcement_action.into(),
            matcher,
            rules,
            on_error: spec.on_error.into(),
            require_digest: spec.require_digest.into(),
        };
        // Rules close for more than verifiers that could not be built: two of one name, too.
        for invalid in policy.problems() {
            if !problems.contains(invalid) {
                problems.push(invalid.clone());
            }
        }
        CompiledPolicy { origin, policy, invalid: problems }
    }

    /// The policy that a document which does not decode was, or may have been: without a namespace
    /// it is every namespace's.
    fn unreadable<'a>(
        &self,
        origin: &'a Origin,
        id: PolicyId,
        error: &DocumentError,
    ) -> CompiledPolicy<'a> {
        let policy = Policy {
            tier: match error.kind {
                DocumentKind::Policy => Tier::Namespace,
                _ => error.tier.into(),
            },
            enforcement_action: error.enforcement_action.into(),
            matcher: self.last_good_match(&id).ok_or_else(|| error.invalid.clone()),
            rules: Err(error.invalid.clone()),
            on_error: resources::OnError::default().into(),
            require_digest: resources::RequireDigest::default().into(),
            id,
        };
        CompiledPolicy { origin, policy, invalid: vec![error.invalid.clone()] }
    }

    fn last_good_match(&self, id: &PolicyId) -> Option<Match> {
        let policies = &self.last_good?.policies;
        // They are in order, and there may be ten thousand.
        let own = policies.get(policies.partition_point(|policy| policy.id < *id)..)?;
        let same = own.iter().take_while(|policy| policy.id == *id);
        same.filter_map(|policy| policy.matcher.clone().ok()).next()
    }
}

impl<'a> Written<'a> {
    /// The policy in a document; `None` where it holds none. One without a name has that of its
    /// place, `release.yaml#2`.
    fn new(Document { origin, body }: &'a Document) -> Option<Self> {
        let (namespace, name, body) = match body {
            Ok(Body::ClusterImageAdmissionPolicy(policy)) => {
                let name = policy.metadata.name.clone().unwrap_or_default();
                (None, name, PolicyBody::Cluster(policy))
            }
            Ok(Body::ImageAdmissionPolicy(policy)) => {
                let name = policy.metadata.name.clone().unwrap_or_default();
                (policy.metadata.namespace.clone(), name, PolicyBody::Namespaced(policy))
            }
            Err(error) if error.kind != DocumentKind::Other => {
                let namespace = error.namespace.clone();
                let namespace = namespace.filter(|_| error.kind == DocumentKind::Policy);
                let name = error.name.clone().unwrap_or_else(|| place(origin));
                (namespace, name, PolicyBody::Unreadable(error))
            }
            Ok(_) | Err(_) => return None,
        };
        Some(Self { id: PolicyId { namespace, name }, origin, body })
    }

    /// The image globs of a namespace's own policy.
    fn globs(&self) -> usize {
        match self.body {
            PolicyBody::Namespaced(policy) => {
                policy.spec.rules.iter().map(|rule| rule.images.len()).sum()
            }
            PolicyBody::Cluster(_) | PolicyBody::Unreadable(_) => 0,
        }
    }

    /// The policy, closed over the whole of its namespace, which has too many.
    fn close(self) -> CompiledPolicy<'a> {
        let reason = format!(
            "has more than {NAMESPACE_POLICIES_MAX} policies, or {NAMESPACE_GLOBS_MAX} image globs in \
             them"
        );
        let invalid = invalid("metadata.namespace", reason);
        let enforcement_action = match self.body {
            PolicyBody::Cluster(policy) => policy.spec.enforcement_action,
            PolicyBody::Namespaced(policy) => policy.spec.enforcement_action,
            PolicyBody::Unreadable(error) => error.enforcement_action,
        };
        let policy = Policy {
            id: self.id,
            tier: Tier::Namespace,
            enforcement_action: enforcement_action.into(),
            matcher: Ok(Match::default()),
            rules: Err(invalid.clone()),
            on_error: resources::OnError::default().into(),
            require_digest: resources::RequireDigest::default().into(),
        };
        CompiledPolicy { origin: self.origin, policy, invalid: vec![invalid] }
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Cluster { name, .. } => name.clone(),
        Origin::File { file, index } => {
            let file_name = file.file_name().unwrap_or_default().to_string_lossy();
            format!("{file_name}#{}", index.saturating_add(1))
        }
    }
}

impl CompiledPolicy<'_> {
    fn close(&mut self, invalid: Invalid) {
        self.invalid.push(invalid.clone());
        self.policy.rules = Err(invalid);
    }

    fn problems(&self) -> Vec<Problem> {
        let kind = if self.policy.is_cluster() {
            "ClusterImageAdmissionPolicy"
        } else {
            "ImageAdmissionPolicy"
        };
        let object = format!("{kind} {}", self.policy.id);
        let problem = |invalid: &Invalid| Problem {
            origin: self.origin.clone(),
            object: object.clone(),
            invalid: invalid.clone(),
        };
        self.invalid.iter().map(problem).collect()
    }
}

/// Closes the policies that share one name: nobody can tell which is meant. The slice is sorted.
fn close_doubled(compiled: &mut [CompiledPolicy<'_>]) {
    for same in compiled.chunk_by_mut(|one, other| one.policy.id == other.policy.id) {
        if same.len() < 2 {
            continue;
        }
        let origins: Vec<String> = same.iter().map(|policy| policy.origin.to_string()).collect();
        let reason = format!("is given {} times: {}", same.len(), origins.join("; "));
        for policy in same {
            policy.close(invalid("metadata.name", &reason));
        }
    }
}

/// What is compiled, in order, and the policies of each namespace past the first
/// [`NAMESPACE_POLICIES_MAX`] and [`NAMESPACE_GLOBS_MAX`], which are closed unseen, so that ten thousand
/// cost nothing.
fn within_limit(mut written: Vec<Written<'_>>) -> (Vec<Written<'_>>, Vec<CompiledPolicy<'_>>) {
    written.sort_by(|one, other| one.id.cmp(&other.id));
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (surplus, within): (Vec<_>, Vec<_>) = written.into_iter().partition(|written| {
        let Some(namespace) = &written.id.namespace else { return false };
        let (policies, globs) = counts.entry(namespace.clone()).or_default();
        *policies = policies.saturating_add(1);
        *globs = globs.saturating_add(written.globs());
        *policies > NAMESPACE_POLICIES_MAX || *globs > NAMESPACE_GLOBS_MAX
    });
    (within, surplus.into_iter().map(Written::close).collect())
}

/// Of the policies of a namespace that were closed unseen, leaves one for each enforcement action,
/// which does what all of them would. The slice is sorted.
fn dedup_surplus(surplus: &mut Vec<CompiledPolicy<'_>>) {
    let mut seen = BTreeSet::new();
    surplus.retain(|CompiledPolicy { policy, .. }| {
        seen.insert((policy.id.namespace.clone(), policy.enforcement_action.as_str()))
    });
}

/// The documents that cannot be read and are no policies.
fn foreign_problems(documents: &[Document]) -> Vec<Problem> {
    let foreign = documents.iter().filter_map(|document| match &document.body {
        Err(error) if error.kind == DocumentKind::Other => Some(Problem {
            origin: document.origin.clone(),
            object: match &document.origin {
                Origin::Cluster { kind, namespace: Some(namespace), name } => {
                    format!("{kind} {namespace}/{name}")
                }
                Origin::Cluster { kind, namespace: None, name } => format!("{kind} {name}"),
                Origin::File { .. } => error.name.clone().unwrap_or_default(),
            },
            invalid: error.invalid.clone(),
        }),
        _ => None,
    });
    foreign.collect()
}

impl<'a> PolicySpec<'a> {
    fn from_cluster(id: PolicyId, policy: &'a resources::ClusterImageAdmissionPolicy) -> Self {
        let spec = &policy.spec;
        Self {
            id,
            tier: spec.tier.into(),
            enforcement_action: spec.enforcement_action,
            matching: spec.matching.as_ref(),
            verifiers: &spec.verifiers,
            groups: &spec.groups,
            rules: &spec.rules,
            on_error: spec.on_error,
            require_digest: spec.require_digest,
        }
    }

    fn from_namespaced(id: PolicyId, policy: &'a resources::ImageAdmissionPolicy) -> Self {
        let spec = &policy.spec;
        Self {
            id,
            tier: Tier::Namespace,
            enforcement_action: spec.enforcement_action,
            matching: spec.matching.as_ref(),
            verifiers: &spec.verifiers,
            groups: &spec.groups,
            rules: &spec.rules,
            on_error: spec.on_error,
            require_digest: spec.require_digest,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        self.invalid.fmt(f)
    }
}
