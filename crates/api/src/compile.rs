//! Documents into the Snapshot: the one compile of the webhook, the controller and the command line.
//!
//! Architecture invariant: whatever does not compile fails closed by name. A verifier that cannot be
//! built closes the rules that name it; rules that do not compile close what `match` selects; a
//! `match` that does not compile keeps its last good form, and without one closes everything.

mod matching;
mod rules;
mod trust_stores;
mod verifiers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use assay_core::ports::VerifierFactory;
use assay_policy::{DefaultAction, Invalid, Match, Policy, PolicyId, Snapshot, Tier};

use crate::limits::NAMESPACE_POLICIES_MAX;
use crate::resources::{self, GroupSpec, MatchSpec, RuleSpec, VerifierSpec};
use crate::{Body, Document, DocumentError, DocumentKind, Origin, Sources, invalid};
use trust_stores::TrustStores;

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
    let mut compiled: Vec<CompiledPolicy<'_>> =
        documents.iter().filter_map(|document| compiler.document(document)).collect();
    compiled.sort_by(|one, other| one.policy.id.cmp(&other.policy.id));
    close_doubled(&mut compiled);
    close_surplus(&mut compiled);

    let mut problems = foreign_problems(documents);
    problems.extend(stores.problems(factory));
    problems.extend(compiled.iter().flat_map(CompiledPolicy::problems));
    problems.sort_by(|one, other| one.origin.cmp(&other.origin));
    let snapshot = Snapshot {
        policies: compiled.into_iter().map(|compiled| Arc::new(compiled.policy)).collect(),
        default_action: options.default_action,
        registries: options.registries.clone(),
        exempt_namespaces: options.exempt_namespaces.clone(),
    };
    Compiled { snapshot, problems }
}

struct Compiler<'a> {
    stores: &'a TrustStores<'a>,
    registries: &'a BTreeSet<String>,
    factory: &'a dyn VerifierFactory,
    last_good: Option<&'a Snapshot>,
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
    /// The policy in a document; `None` where it holds none.
    fn document<'a>(&self, document: &'a Document) -> Option<CompiledPolicy<'a>> {
        let origin = &document.origin;
        match &document.body {
            Ok(Body::ClusterImageAdmissionPolicy(policy)) => {
                Some(self.policy(origin, &PolicySpec::from_cluster(policy)))
            }
            Ok(Body::ImageAdmissionPolicy(policy)) => {
                Some(self.policy(origin, &PolicySpec::from_namespaced(policy)))
            }
            Ok(_) => None,
            Err(error) if error.kind == DocumentKind::Other => None,
            Err(error) => Some(self.unreadable(origin, error)),
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

    /// The policy that a document which does not decode was, or may have been: without a name it has
    /// that of its place, `release.yaml#2`; without a namespace it is every namespace's.
    fn unreadable<'a>(&self, origin: &'a Origin, error: &DocumentError) -> CompiledPolicy<'a> {
        let namespaced = error.kind == DocumentKind::Policy;
        let place = || match origin {
            Origin::Cluster { name, .. } => name.clone(),
            Origin::File { file, index } => {
                let file_name = file.file_name().unwrap_or_default().to_string_lossy();
                format!("{file_name}#{}", index.saturating_add(1))
            }
        };
        let id = PolicyId {
            namespace: error.namespace.clone().filter(|_| namespaced),
            name: error.name.clone().unwrap_or_else(place),
        };
        let policy = Policy {
            tier: if namespaced { Tier::Namespace } else { error.tier.into() },
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

/// Closes the policies of a namespace past the first [`NAMESPACE_POLICIES_MAX`]. The slice is sorted.
fn close_surplus(compiled: &mut [CompiledPolicy<'_>]) {
    let namespace = |policy: &CompiledPolicy<'_>| policy.policy.id.namespace.clone();
    for own in compiled.chunk_by_mut(|one, other| namespace(one) == namespace(other)) {
        if own.first().is_none_or(|policy| policy.policy.is_cluster()) {
            continue;
        }
        for policy in own.iter_mut().skip(NAMESPACE_POLICIES_MAX) {
            let reason = format!("has more than {NAMESPACE_POLICIES_MAX} policies");
            policy.close(invalid("metadata.namespace", reason));
        }
    }
}

/// The documents that cannot be read and are no policies.
fn foreign_problems(documents: &[Document]) -> Vec<Problem> {
    let foreign = documents.iter().filter_map(|document| match &document.body {
        Err(error) if error.kind == DocumentKind::Other => Some(Problem {
            origin: document.origin.clone(),
            object: error.name.clone().unwrap_or_default(),
            invalid: error.invalid.clone(),
        }),
        _ => None,
    });
    foreign.collect()
}

impl<'a> PolicySpec<'a> {
    fn from_cluster(policy: &'a resources::ClusterImageAdmissionPolicy) -> Self {
        let spec = &policy.spec;
        let name = policy.metadata.name.clone().unwrap_or_default();
        Self {
            id: PolicyId { namespace: None, name },
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

    fn from_namespaced(policy: &'a resources::ImageAdmissionPolicy) -> Self {
        let spec = &policy.spec;
        let name = policy.metadata.name.clone().unwrap_or_default();
        Self {
            id: PolicyId { namespace: policy.metadata.namespace.clone(), name },
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
