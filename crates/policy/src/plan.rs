//! Room 3: which policies look at which images of a request, and what they ask of each. Pure: what
//! the world must be asked for is in [`PlannedImage::work`], and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_core::ports::Verifier;
use assay_core::{Digest, ImageReference, ReferenceError};

use crate::request::View;
use crate::{
    EnforcementAction, GlobMatch, Invalid, Match, Namespace, Object, Policy, Request, Requirement,
    RuleBody, Snapshot, Tier,
};

/// What a request's images are asked for.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each distinct image that some policy or `defaultAction` judges, in the object's order.
    pub images: Vec<PlannedImage>,
}

/// One distinct image and every policy that looks at it.
#[derive(Debug)]
pub struct PlannedImage {
    /// The reference as written.
    pub written: String,
    /// The reference, normalised.
    pub reference: Result<ImageReference, ReferenceError>,
    /// Where it stands: `container "web"`; nowhere on the command line.
    pub places: Vec<String>,
    pub(crate) covers: Vec<Cover>,
    /// Whether `defaultAction` decides, and whether as advice only.
    pub(crate) uncovered: Option<Advisory>,
}

/// Whether a violation is a warning at most.
pub(crate) type Advisory = bool;

/// One policy that covers an image.
#[derive(Clone, Debug)]
pub(crate) struct Cover {
    pub(crate) policy: Arc<Policy>,
    pub(crate) advisory: Advisory,
    pub(crate) ask: Ask,
}

/// What a policy asks of an image.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// It could not be told whether the policy matches.
    MatchError(String),
    /// The policy did not compile.
    PolicyInvalid(Invalid),
    /// The image's name does not parse.
    ReferenceInvalid(ReferenceError),
    /// The rule at this index decides.
    Rule(usize, TagProof),
}

/// What a rule needs to know about the image's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagProof {
    /// That it points at the image's digest.
    MustResolve,
    /// Nothing.
    None,
    /// What cannot be known: the rule names a tag, the image a digest alone.
    Unproven,
}

/// What must be found out about an image.
#[derive(Clone)]
pub struct Work {
    /// The image.
    pub reference: ImageReference,
    /// Whether its tag must be resolved beside its digest.
    pub prove_tag: bool,
    /// What must be verified, each distinct verifier once.
    pub verifiers: Vec<Arc<dyn Verifier>>,
}

impl Plan {
    /// Whether a plan can only be made with the labels of the request's namespace.
    pub fn needs_labels(snapshot: &Snapshot, request: &Request) -> bool {
        if snapshot.exempts(&request.namespace) {
            return false;
        }
        request.views().iter().any(|view| {
            let adds = !view.added().is_empty();
            view.candidates(snapshot, request, None).any(|policy| {
                let needs = |object: &Object| {
                    policy.matcher.as_ref().is_ok_and(|matcher| matcher.needs_labels(object))
                };
                let old_needs = view.old_object.as_deref().is_some_and(needs);
                if adds {
                    needs(&view.object) || old_needs
                } else {
                    needs(&view.object) && !old_needs
                }
            })
        })
    }

    /// The plan for `request`. Where `namespace` is needed and not given, the policies that need it
    /// have a match error.
    pub fn new(snapshot: &Snapshot, request: &Request, namespace: Option<&Namespace<'_>>) -> Self {
        if snapshot.exempts(&request.namespace) {
            return Self::default();
        }
        let mut images: Vec<PlannedImage> = Vec::new();
        for view in request.views() {
            let matches = view.matches(snapshot, request, namespace);
            let added = view.added();
            for written in view.images() {
                let is_added = added.contains(written.as_str());
                let Some(image) = view.plan_image(&written, is_added, &matches) else {
                    continue;
                };
                match images.iter_mut().find(|known| known.written == image.written) {
                    Some(known) => known.merge(image),
                    None => images.push(image),
                }
            }
        }
        Self { images }
    }
}

/// A policy that matches a view's object, or may, and which images it judges.
struct Matched<'a> {
    policy: &'a Arc<Policy>,
    error: Option<String>,
    /// Whether it judges images that the request does not add.
    every_image: bool,
}

impl View<'_> {
    /// The distinct references, in the object's order.
    fn images(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let references = self.object.images.iter().map(|image| &image.reference);
        references.filter(|reference| seen.insert(*reference)).cloned().collect()
    }

    /// The references that the old object does not have.
    fn added(&self) -> BTreeSet<&str> {
        let old = self.old_object.iter().flat_map(|old| &old.images);
        let old: BTreeSet<&str> = old.map(|image| image.reference.as_str()).collect();
        let new = self.object.images.iter().map(|image| image.reference.as_str());
        new.filter(|reference| !old.contains(reference)).collect()
    }

    /// Whether `policy` may look at this view at all.
    fn is_for(&self, policy: &Policy, request: &Request) -> bool {
        let names_kind = |matcher: &Match| matcher.names_kind(&self.object);
        policy.concerns(&request.namespace)
            && (!self.literal_kind || policy.matcher.as_ref().is_ok_and(names_kind))
    }

    fn matches<'a>(
        &self,
        snapshot: &'a Snapshot,
        request: &Request,
        namespace: Option<&Namespace<'_>>,
    ) -> Vec<Matched<'a>> {
        let policies = self.candidates(snapshot, request, namespace);
        policies.filter_map(|policy| self.match_policy(policy, namespace)).collect()
    }

    /// The policies that may look at this view, in order.
    fn candidates<'a>(
        &self,
        snapshot: &'a Snapshot,
        request: &Request,
        namespace: Option<&Namespace<'_>>,
    ) -> impl Iterator<Item = &'a Arc<Policy>> {
        let (object, old_object) = (&*self.object, self.old_object.as_deref());
        let is_there = |object: &Object| {
            object.namespace == request.namespace && object.kind == self.object.kind
        };
        // The index knows objects in a namespace, whose old form is there too and of that kind.
        let indexed = !request.namespace.is_empty()
            && !object.is_namespace()
            && is_there(object)
            && old_object.is_none_or(is_there)
            && namespace.is_none_or(|given| given.name == request.namespace);
        let place = indexed.then_some((request.namespace.as_str(), object.kind.as_str()));
        let policies = snapshot.policies.candidates(place);
        policies.filter(|policy| self.is_for(policy, request))
    }

    fn match_policy<'a>(
        &self,
        policy: &'a Arc<Policy>,
        namespace: Option<&Namespace<'_>>,
    ) -> Option<Matched<'a>> {
        let Ok(matcher) = &policy.matcher else {
            return Some(Matched { policy, error: None, every_image: self.old_object.is_none() });
        };
        let old_object = self.old_object.as_deref();
        let new = matcher.matches_one(&self.object, namespace);
        let old = old_object.map(|old| matcher.matches_one(old, namespace));
        // A policy that matches only now judges what already runs, too.
        let every_image = matches!(old, None | Some(Ok(false)));
        // As `Match::matches` has it, without asking twice.
        let either = if new == Ok(false) { old.unwrap_or(Ok(false)) } else { new.clone() };
        match either {
            Ok(false) => None,
            Ok(true) => {
                Some(Matched { policy, error: None, every_image: every_image && new == Ok(true) })
            }
            Err(error) => Some(Matched { policy, error: Some(error.to_string()), every_image }),
        }
    }

    /// What the policies ask of one image, which the request adds or not; `None` where nothing judges
    /// it.
    fn plan_image(
        &self,
        written: &str,
        added: bool,
        matches: &[Matched<'_>],
    ) -> Option<PlannedImage> {
        let reference = written.parse();
        let asks: Vec<(&Matched<'_>, Ask)> = matches
            .iter()
            .filter_map(|matched| Some((matched, matched.ask(&reference)?)))
            .collect();
        let displaced = asks.iter().any(|(matched, ask)| matched.displaces_baselines(ask));
        let enforced = asks.iter().any(|(matched, _)| matched.is_enforced_cover());
        let covers: Vec<Cover> = asks
            .into_iter()
            .filter(|(matched, _)| added || matched.every_image)
            .filter(|(matched, _)| !(displaced && matched.policy.tier == Tier::Baseline))
            .map(|(matched, ask)| Cover {
                policy: matched.policy.clone(),
                advisory: self.advisory,
                ask,
            })
            .collect();
        let uncovered = (added && !enforced && !self.literal_kind).then_some(self.advisory);
        if covers.is_empty() && uncovered.is_none() {
            return None;
        }
        let named = self.object.images.iter().filter(|image| image.reference == written);
        let places =
            named.map(|image| format!("{} \"{}\"", image.field.as_str(), image.name)).collect();
        Some(PlannedImage { written: written.to_owned(), reference, places, covers, uncovered })
    }
}

impl Matched<'_> {
    /// What the policy asks of the image; `None` where it does not cover it.
    fn ask(&self, reference: &Result<ImageReference, ReferenceError>) -> Option<Ask> {
        if let Err(invalid) = &self.policy.matcher {
            return Some(Ask::PolicyInvalid(invalid.clone()));
        }
        if let Some(error) = &self.error {
            return Some(Ask::MatchError(error.clone()));
        }
        let rules = match &self.policy.rules {
            Err(invalid) => return Some(Ask::PolicyInvalid(invalid.clone())),
            Ok(rules) => rules,
        };
        let reference = match reference {
            Err(error) => return Some(Ask::ReferenceInvalid(error.clone())),
            Ok(reference) => reference,
        };
        rules.iter().enumerate().find_map(|(index, rule)| {
            let proofs = rule.images.iter().filter_map(|glob| match glob.matches(reference) {
                GlobMatch::No => None,
                GlobMatch::TagMustResolve => Some(TagProof::MustResolve),
                GlobMatch::TagUnproven => Some(TagProof::Unproven),
                GlobMatch::Yes => Some(TagProof::None),
            });
            // A glob of the same rule that asks for less is as good.
            let proof = proofs.min_by_key(|proof| match proof {
                TagProof::None => 0,
                TagProof::MustResolve => 1,
                TagProof::Unproven => 2,
            })?;
            Some(Ask::Rule(index, proof))
        })
    }

    /// Whether Baseline policies give way to this policy for an image of which it asks `ask`.
    fn displaces_baselines(&self, ask: &Ask) -> bool {
        self.policy.tier == Tier::Namespace
            && self.policy.enforcement_action == EnforcementAction::Deny
            && matches!(ask, Ask::Rule(..))
            && self.policy.problems().is_empty()
    }

    /// Whether this covers an image in the sense of `defaultAction`.
    fn is_enforced_cover(&self) -> bool {
        self.policy.is_cluster() && self.policy.enforcement_action == EnforcementAction::Deny
    }
}

impl PlannedImage {
    /// Adds what another look at the object asks of the same image. A policy that enforces needs
    /// not advise as well.
    fn merge(&mut self, other: Self) {
        let enforces = |cover: &Cover| !cover.advisory;
        let enforced: BTreeSet<_> = other
            .covers
            .iter()
            .filter(|cover| enforces(cover))
            .map(|cover| cover.policy.id.clone())
            .collect();
        self.covers.retain(|cover| enforces(cover) || !enforced.contains(&cover.policy.id));
        self.covers.extend(other.covers);
        self.uncovered = self.uncovered.or(other.uncovered);
    }

    /// What must be found out; `None` where everything is decided already, so that no request
    /// costs I/O that its verdict does not need.
    pub fn work(&self) -> Option<Work> {
        let reference = self.reference.as_ref().ok()?;
        let mut verifiers: BTreeMap<Digest, Arc<dyn Verifier>> = BTreeMap::new();
        let mut prove_tag = false;
        for cover in &self.covers {
            prove_tag |= matches!(cover.ask, Ask::Rule(_, TagProof::MustResolve));
            if let Some(requirement) = cover.requirement() {
                requirement.for_each_verifier(&mut |_, verifier| {
                    verifiers.insert(verifier.fingerprint().clone(), verifier.clone());
                });
            }
        }
        if verifiers.is_empty() && !prove_tag {
            return None;
        }
        let verifiers = verifiers.into_values().collect();
        Some(Work { reference: reference.clone(), prove_tag, verifiers })
    }
}

impl Cover {
    /// The rule that decides, where one does.
    pub(crate) fn body(&self) -> Option<(&RuleBody, TagProof)> {
        let Ask::Rule(index, proof) = self.ask else {
            return None;
        };
        let rules = self.policy.rules.as_ref().ok()?;
        Some((&rules.get(index)?.body, proof))
    }

    fn requirement(&self) -> Option<&Requirement> {
        match self.body()? {
            (RuleBody::Require(requirement), proof) if proof != TagProof::Unproven => {
                Some(requirement)
            }
            _ => None,
        }
    }
}
