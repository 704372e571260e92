//! The Snapshot: every policy in force, compiled. It is built off to the side and swapped whole,
//! so one request sees one Snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use assay_core::ports::Verifier;
use jiff::Timestamp;

use crate::{ImageGlob, Match, Policies};

/// Every policy in force, and what decides where none does.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The policies, in order of kind and name.
    pub policies: Policies,
    /// What decides for images that no enforcing cluster policy covers.
    pub default_action: DefaultAction,
    /// Hosts for which `onError: warn` and `allow` count.
    pub registries: BTreeSet<String>,
    /// Namespaces in which nothing is judged, beside [`EXEMPT_NAMESPACES`]: Assay's own.
    pub exempt_namespaces: BTreeSet<String>,
    /// When the trust material of a store expires, where it does: by `NAME` for a ClusterTrustStore
    /// and `NAMESPACE/NAME` for a TrustStore. It decides nothing.
    pub expiries: BTreeMap<String, Timestamp>,
}

/// Namespaces in which nothing is ever judged, so that policy cannot lock anyone out of the cluster.
pub const EXEMPT_NAMESPACES: [&str; 2] = ["kube-node-lease", "kube-system"];

/// Which policy: a name, and for an ImageAdmissionPolicy its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// The namespace, for an ImageAdmissionPolicy.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// One compiled policy. What did not compile is in its place as [`Invalid`], and closes what it
/// would have judged.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which policy this is; one with a namespace is that namespace's own.
    pub id: PolicyId,
    /// Whether it gives way to the namespace's own policies.
    pub tier: Tier,
    /// What a violation does.
    pub enforcement_action: EnforcementAction,
    /// Which objects it looks at; where this did not compile, all of them.
    pub matcher: Result<Match, Invalid>,
    /// What it asks, image by image.
    pub rules: Result<Vec<Rule>, Invalid>,
    /// What takes the place of an undecided requirement.
    pub on_error: OnError,
    /// What an image without digest gets.
    pub require_digest: RequireDigest,
}

/// One rule: what it asks of the images that one of its globs matches.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Any of these.
    pub images: Vec<ImageGlob>,
    /// What it asks.
    pub body: RuleBody,
}

/// What a rule asks.
#[derive(Clone, Debug)]
pub enum RuleBody {
    /// Nothing.
    Allow,
    /// The impossible; the text says why.
    Deny(String),
    /// It names something that did not compile.
    Invalid(Invalid),
    /// Evidence.
    Require(Requirement),
}

/// Evidence that must be there: some of some verifiers or groups.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// How many.
    pub quorum: Quorum,
    /// Of which; never empty.
    pub of: Vec<Term>,
}

/// How many of the terms must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Each.
    All,
    /// One.
    Any,
    /// So many, by distinct signers.
    AtLeast(usize),
}

/// One name in a requirement.
#[derive(Clone)]
pub enum Term {
    /// A group's requirement.
    Group(Arc<Requirement>),
    /// A verifier, by the name that the policy gives it.
    Verifier(Arc<str>, Arc<dyn Verifier>),
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(requirement) => requirement.fmt(f),
            Self::Verifier(name, verifier) => write!(f, "{name} {}", verifier.fingerprint()),
        }
    }
}

/// Why something did not compile: the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field's path: `spec.rules[0].images[1]`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// What a violation does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EnforcementAction {
    /// Rejects.
    #[default]
    Deny,
    /// Admits silently.
    Dryrun,
    /// Admits with a warning.
    Warn,
}

/// Where a policy stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The platform's, giving way to the namespace's own policies.
    Baseline,
    /// The platform's, giving way to nothing.
    #[default]
    Mandatory,
    /// The namespace's own.
    Namespace,
}

/// What takes the place of an undecided requirement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Admits.
    Allow,
    /// Refuses, as not decided.
    #[default]
    Deny,
    /// Admits with a warning.
    Warn,
}

/// What an image without digest gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RequireDigest {
    /// Nothing.
    Allow,
    /// A violation.
    Deny,
    /// A warning.
    #[default]
    Warn,
}

/// What decides where no enforcing cluster policy covers an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DefaultAction {
    /// Admits.
    #[default]
    Allow,
    /// Rejects.
    Deny,
    /// Admits with a warning.
    Warn,
}

impl EnforcementAction {
    /// The action as policies and metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Dryrun => "dryrun",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Policy {
    /// Everything that did not compile.
    pub fn problems(&self) -> Vec<&Invalid> {
        let rules = self.rules.as_deref().unwrap_or_default().iter();
        let bodies = rules.filter_map(|rule| match &rule.body {
            RuleBody::Invalid(invalid) => Some(invalid),
            _ => None,
        });
        self.matcher
            .as_ref()
            .err()
            .into_iter()
            .chain(self.rules.as_ref().err())
            .chain(bodies)
            .collect()
    }

    /// Whether the policy is one of the platform's.
    pub fn is_cluster(&self) -> bool {
        self.tier != Tier::Namespace
    }

    /// Whether the policy applies to objects of `namespace` at all.
    pub fn concerns(&self, namespace: &str) -> bool {
        self.id.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl Snapshot {
    /// Whether nothing is judged in `namespace`.
    pub fn exempts(&self, namespace: &str) -> bool {
        EXEMPT_NAMESPACES.contains(&namespace) || self.exempt_namespaces.contains(namespace)
    }
}

/// What is done with each verifier, by the name that a policy gives it.
pub type VisitVerifier<'v> = dyn FnMut(&Arc<str>, &Arc<dyn Verifier>) + 'v;

impl Requirement {
    /// Calls `visit` with each verifier, groups' too.
    pub fn for_each_verifier(&self, visit: &mut VisitVerifier<'_>) {
        for term in &self.of {
            match term {
                Term::Group(requirement) => requirement.for_each_verifier(visit),
                Term::Verifier(name, verifier) => visit(name, verifier),
            }
        }
    }
}
