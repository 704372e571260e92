//! From policies and findings to a verdict: plan and decide together, as the engine calls them.

mod decisions;
mod messages;
mod requirements;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{Context, Verifier};
use assay_core::{
    Access, Descriptor, Digest, ImageReference, Outcome, ReasonCode, SignerId, State, Subject,
};

use crate::{
    Finding, ImageField, ImageGlob, Match, Object, ObjectImage, Operation, Plan, Policy, PolicyId,
    Quorum, Request, RequireDigest, Requirement, Rule, RuleBody, Snapshot, Source, Term, Tier,
    Verdict, decide,
};

pub(crate) const IMAGE: &str = "registry.example/app:v1";

/// A verifier that is only a name: what it finds stands in [`World::outcomes`].
struct Named(Digest);

#[async_trait::async_trait]
impl Verifier for Named {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn fingerprint(&self) -> &Digest {
        &self.0
    }

    async fn verify(&self, _: &Subject, _: &dyn Context) -> Outcome {
        Outcome::new(State::Rejected(ReasonCode::Internal), "never called")
    }
}

/// What the engine would find.
#[derive(Default)]
pub(crate) struct World {
    /// By verifier's name; absent is Missing.
    pub(crate) outcomes: BTreeMap<&'static str, Outcome>,
    /// Where the image cannot be resolved.
    pub(crate) unresolved: Option<Outcome>,
    pub(crate) tag_proven: Option<bool>,
}

pub(crate) fn fingerprint(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

pub(crate) fn term(name: &'static str) -> Term {
    Term::Verifier(name.into(), Arc::new(Named(fingerprint(name))))
}

pub(crate) fn requirement(quorum: Quorum, names: &[&'static str]) -> Requirement {
    Requirement { quorum, of: names.iter().map(|name| term(name)).collect() }
}

pub(crate) fn require(quorum: Quorum, names: &[&'static str]) -> RuleBody {
    RuleBody::Require(requirement(quorum, names))
}

pub(crate) fn accepted(signers: &[&str]) -> Outcome {
    let signers = signers.iter().map(|name| SignerId(fingerprint(name))).collect();
    Outcome { signers, ..Outcome::new(State::Accepted, "") }
}

/// Accepted, but for what these codes say.
pub(crate) fn warned(signers: &[&str], codes: &[ReasonCode]) -> Outcome {
    Outcome { warnings: codes.to_vec(), ..accepted(signers) }
}

pub(crate) fn missing() -> Outcome {
    Outcome::new(State::Missing(ReasonCode::SignatureNotFound), "no signature")
}

pub(crate) fn unavailable() -> Outcome {
    Outcome::new(State::Unavailable(ReasonCode::Timeout), "too slow")
}

/// A policy with one rule for every image.
pub(crate) fn policy(name: &str, body: RuleBody) -> Policy {
    let images = vec![ImageGlob::parse("**").unwrap()];
    Policy {
        id: PolicyId { namespace: None, name: name.to_owned() },
        tier: Tier::Mandatory,
        enforcement_action: crate::EnforcementAction::Deny,
        matcher: Ok(Match::default()),
        rules: Ok(vec![Rule { images, body }]),
        on_error: crate::OnError::Deny,
        require_digest: RequireDigest::Allow,
    }
}

/// The policy as one of the namespace `app`.
pub(crate) fn of_namespace(policy: Policy) -> Policy {
    let id = PolicyId { namespace: Some("app".to_owned()), ..policy.id };
    Policy { id, tier: Tier::Namespace, ..policy }
}

pub(crate) fn snapshot(policies: Vec<Policy>) -> Snapshot {
    Snapshot { policies: policies.into_iter().map(Arc::new).collect(), ..Snapshot::default() }
}

pub(crate) fn pod(images: &[&str]) -> Object {
    let image = |(index, reference): (usize, &&str)| ObjectImage {
        reference: (*reference).to_owned(),
        name: format!("c{index}"),
        field: ImageField::Container,
    };
    Object {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: "app".to_owned(),
        name: "web".to_owned(),
        generate_name: String::new(),
        labels: BTreeMap::new(),
        source: Source::Original,
        images: images.iter().enumerate().map(image).collect(),
        controlled: false,
        template_labels: None,
        pull_secrets: Vec::new(),
        service_account: None,
    }
}

pub(crate) fn deployment(images: &[&str]) -> Object {
    Object {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        template_labels: Some(BTreeMap::new()),
        ..pod(images)
    }
}

pub(crate) fn create(object: Object) -> Request {
    Request {
        id: "0badf00d".to_owned(),
        operation: Operation::Create,
        namespace: object.namespace.clone(),
        object: Some(object),
        old_object: None,
        dry_run: false,
        enforce_templates: false,
        deadline: Duration::MAX,
    }
}

pub(crate) fn update(old: Object, new: Object) -> Request {
    Request { operation: Operation::Update, old_object: Some(old), ..create(new) }
}

pub(crate) fn digest() -> Digest {
    Digest::sha256(b"an image")
}

fn subject(reference: &ImageReference) -> Subject {
    let descriptor = Descriptor {
        media_type: String::new(),
        digest: reference.digest().cloned().unwrap_or_else(digest),
        size: 1,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    Subject { repository: reference.repository().clone(), descriptor, access: Access::public() }
}

/// The verdict on `request`, where the world is as `world` says.
pub(crate) fn judge(snapshot: &Snapshot, request: &Request, world: &World) -> Verdict {
    let plan = Plan::new(snapshot, request, None);
    let findings: Vec<Option<Finding>> = plan
        .images
        .iter()
        .map(|image| {
            let work = image.work()?;
            let outcomes = world.outcomes.iter();
            let mut outcomes: BTreeMap<Digest, Outcome> =
                outcomes.map(|(name, outcome)| (fingerprint(name), outcome.clone())).collect();
            for verifier in &work.verifiers {
                outcomes.entry(verifier.fingerprint().clone()).or_insert_with(missing);
            }
            let subject = match &world.unresolved {
                None => Ok(subject(&work.reference)),
                Some(outcome) => Err(outcome.clone()),
            };
            let tag_proven = world.tag_proven.filter(|_| work.prove_tag).map(Ok);
            Some(Finding { subject, tag_proven, outcomes, cached: false })
        })
        .collect();
    decide(snapshot, &plan, &findings)
}
