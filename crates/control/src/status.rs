//! What became of each object, as its status says it. Nothing here decides anything, and nothing
//! here is I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_api::resources::{
    MESSAGE_LENGTH_MAX, PolicyStatus, RecentStatus, TrustStoreStatus, condition,
};
use assay_api::{Document, Origin, Problem, StoreId};
use assay_policy::{Invalid, Match, Policy, PolicyId, Scope, Snapshot, Tier};
use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;

use crate::activity::Counts;
use crate::materials::Unresolved;
use crate::namespaces::Labels;
use crate::objects::{Held, Kind, ObjectId};
use crate::sources::ClusterSources;

/// What begins each public key in PEM.
const PUBLIC_KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// How long before a trust store expires its status begins to warn: time to have others sign.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A Snapshot, and what became of each object that it was made of.
pub(crate) struct Built {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) said: BTreeMap<ObjectId, Said>,
}

/// What became of one object.
pub(crate) struct Said {
    /// Which version of the object this is about.
    pub(crate) version: (String, i64),
    /// The policy that it is.
    policy: Option<Arc<Policy>>,
    keys: Option<i64>,
    /// When the first thing ceases to count that the trust store holds.
    not_after: Option<Timestamp>,
    sayings: Vec<Saying>,
}

/// A condition, but for its times.
struct Saying {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

/// What is known beside the Built: both change without a compile.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) now: Timestamp,
    pub(crate) recent: Option<(Counts, Timestamp)>,
    pub(crate) namespaces: &'a [(String, Labels)],
}

/// What a compile leaves behind, by what it is about.
struct Facts<'a> {
    problems: BTreeMap<&'a Origin, Vec<&'a Invalid>>,
    policies: BTreeMap<&'a PolicyId, &'a Arc<Policy>>,
    /// Every trust store; what is wrong with it.
    stores: BTreeMap<StoreId, Option<Unresolved>>,
}

impl Built {
    /// What became of `objects` in `snapshot`. `given` are the documents in files, `stand_ins` the
    /// trust stores that need no document.
    pub(crate) fn new(
        objects: &BTreeMap<ObjectId, Held>,
        (snapshot, problems): (Snapshot, &[Problem]),
        sources: &ClusterSources<'_>,
        stand_ins: impl Iterator<Item = StoreId>,
    ) -> Self {
        let snapshot = Arc::new(snapshot);
        let mut facts = Facts {
            problems: BTreeMap::new(),
            policies: snapshot.policies.iter().map(|policy| (&policy.id, policy)).collect(),
            stores: stand_ins.map(|id| (id, None)).collect(),
        };
        for problem in problems {
            facts.problems.entry(&problem.origin).or_default().push(&problem.invalid);
        }
        let documents = objects.values().map(|held| &*held.document).chain(sources.given);
        for document in documents {
            if let Some(id) = document.store_id() {
                let flaw = facts.store_flaw(document, sources);
                facts.stores.entry(id).or_insert(flaw);
            }
        }
        let said = |(id, held): (&ObjectId, &Held)| {
            let not_after = snapshot.expiries.get(&store_name(id)).filter(|_| !id.kind.is_policy());
            (id.clone(), Said { not_after: not_after.copied(), ..facts.said(id, held, sources) })
        };
        let said = objects.iter().map(said).collect();
        Self { snapshot, said }
    }

    /// The status that `id` is to have, where it has `before`.
    pub(crate) fn status(
        &self,
        id: &ObjectId,
        said: &Said,
        before: &Value,
        circumstances: Circumstances<'_>,
    ) -> Value {
        let now = circumstances.now;
        let mut sayings: Vec<&Saying> = said.sayings.iter().collect();
        let remark = said.matches_nothing(&self.snapshot, circumstances.namespaces);
        let remark = remark.or_else(|| said.expires(now));
        if let Some(remark) = &remark {
            sayings.retain(|saying| saying.kind != condition::READY);
            sayings.push(remark);
        }
        let conditions = |before: &[Condition]| {
            let condition = |saying: &&Saying| saying.condition(before, said.version.1, now);
            sayings.iter().map(condition).collect()
        };
        let status = if id.kind.is_policy() {
            let before: PolicyStatus = parse(before);
            let recent = circumstances.recent.map(recent_status);
            serde_json::to_value(PolicyStatus {
                conditions: conditions(&before.conditions),
                recent,
            })
        } else {
            let before: TrustStoreStatus = parse(before);
            let conditions = conditions(&before.conditions);
            let not_after = said.not_after.map(|end| Time(whole_seconds(end)));
            serde_json::to_value(TrustStoreStatus { conditions, keys: said.keys, not_after })
        };
        // A status is data and always a value.
        status.unwrap_or_default()
    }
}

/// The status in a value, in the form that [`Built::status`] gives it, so that two can be compared.
pub(crate) fn normalised(kind: Kind, status: &Value) -> Value {
    let status = match kind.is_policy() {
        true => serde_json::to_value(parse::<PolicyStatus>(status)),
        false => serde_json::to_value(parse::<TrustStoreStatus>(status)),
    };
    status.unwrap_or_default()
}

/// A status that somebody else wrote in another shape is none.
fn parse<T: k8s_openapi::serde::de::DeserializeOwned + Default>(status: &Value) -> T {
    serde_json::from_value(status.clone()).unwrap_or_default()
}

fn recent_status((counts, since): (Counts, Timestamp)) -> RecentStatus {
    let Counts { denied, dryrun, warned } = counts;
    RecentStatus { denied, dryrun, since: Time(whole_seconds(since)), warned }
}

/// As the API server writes times.
fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}

impl Facts<'_> {
    /// What is wrong with the trust store in `document`.
    fn store_flaw(&self, document: &Document, sources: &ClusterSources<'_>) -> Option<Unresolved> {
        self.unresolved(document, sources).or_else(|| {
            let problems = self.problems.get(&document.origin)?;
            Some(Unresolved { reason: "TrustStoreInvalid", message: problems.first()?.to_string() })
        })
    }

    /// Why what the trust store names cannot be had.
    fn unresolved(&self, document: &Document, sources: &ClusterSources<'_>) -> Option<Unresolved> {
        let reference = document.material_reference()?;
        if sources.gives(&reference) {
            return None;
        }
        sources.materials.bytes(&reference).err()
    }

    fn said(&self, id: &ObjectId, held: &Held, sources: &ClusterSources<'_>) -> Said {
        let document = &held.document;
        let problems = self.problems.get(&document.origin).map(Vec::as_slice).unwrap_or_default();
        let policy = id.kind.is_policy().then(|| {
            let id = PolicyId { namespace: id.namespace.clone(), name: id.name.clone() };
            self.policies.get(&id).map(|policy| Arc::clone(policy))
        });
        let policy = policy.flatten();
        let (own, unresolved) = match id.kind.is_policy() {
            true => self.of_policy(document, problems),
            false => {
                let unresolved = self.unresolved(document, sources);
                let own = if unresolved.is_some() { Vec::new() } else { problems.to_vec() };
                (own, unresolved)
            }
        };
        let mut sayings = vec![accepted(document, &own), resolved(unresolved.as_ref())];
        sayings.push(ready(&sayings, problems));
        sayings.extend(policy.as_deref().and_then(escapable));
        let usable = !id.kind.is_policy() && problems.is_empty();
        let keys = usable.then(|| keys(document, sources)).flatten();
        Said { version: held.version.clone(), policy, keys, not_after: None, sayings }
    }

    /// The problems that a policy has itself, and what is wrong with what it names.
    fn of_policy<'a>(
        &self,
        document: &Document,
        problems: &[&'a Invalid],
    ) -> (Vec<&'a Invalid>, Option<Unresolved>) {
        let mut first = None;
        let mut explained = BTreeSet::new();
        for reference in document.store_references() {
            let id = &reference.store;
            let flaw = match self.stores.get(id) {
                Some(None) => continue,
                Some(Some(flaw)) => {
                    Unresolved { reason: flaw.reason, message: format!("{id}: {}", flaw.message) }
                }
                None => Unresolved {
                    reason: "TrustStoreNotFound",
                    message: format!("{id} does not exist"),
                },
            };
            explained.insert(format!("spec.verifiers[{}].", reference.verifier));
            first.get_or_insert(flaw);
        }
        let is_own = |invalid: &&&Invalid| {
            invalid.field.ends_with("].name")
                || !explained.iter().any(|verifier| invalid.field.starts_with(verifier.as_str()))
        };
        (problems.iter().filter(is_own).copied().collect(), first)
    }
}

fn accepted(document: &Document, own: &[&Invalid]) -> Saying {
    let reason = match (own, &document.body) {
        ([], _) => "Accepted",
        (_, Err(_)) => "Unreadable",
        _ => "Invalid",
    };
    saying(condition::ACCEPTED, own.is_empty(), reason, list(own))
}

fn resolved(unresolved: Option<&Unresolved>) -> Saying {
    let kind = condition::RESOLVED_REFS;
    match unresolved {
        None => saying(kind, true, "ResolvedRefs", String::new()),
        Some(Unresolved { reason, message }) => saying(kind, false, reason, message.clone()),
    }
}

/// Whether all holds; else the reason of the first condition that does not.
fn ready(sayings: &[Saying], problems: &[&Invalid]) -> Saying {
    let kind = condition::READY;
    match sayings.iter().find(|saying| !saying.holds) {
        None => saying(kind, true, "InForce", String::new()),
        Some(first) => {
            let message = if problems.is_empty() { first.message.clone() } else { list(problems) };
            saying(kind, false, first.reason, format!("fails closed: {message}"))
        }
    }
}

/// Whether users choose what decides if a mandatory policy applies; `None` for other policies.
fn escapable(policy: &Policy) -> Option<Saying> {
    let matcher = policy.matcher.as_ref().ok().filter(|_| policy.tier == Tier::Mandatory)?;
    let fields = [
        ("labelSelector", matcher.label_selector.is_some()),
        ("name", matcher.name.is_some()),
        ("namespaceSelector", matcher.namespace_selector.is_some()),
    ];
    let used: Vec<&str> =
        fields.into_iter().filter_map(|(field, is_used)| is_used.then_some(field)).collect();
    Some(match used.is_empty() {
        true => saying(condition::ESCAPABLE, false, "NotEscapable", String::new()),
        false => {
            let message = format!(
                "match rests on {}: who may set these labels or names can step out of the policy",
                used.join(", ")
            );
            saying(condition::ESCAPABLE, true, "MatchRestsOnUsers", message)
        }
    })
}

/// What the Snapshot calls the trust store `id`.
fn store_name(id: &ObjectId) -> String {
    let namespace = id.namespace.iter().map(|namespace| format!("{namespace}/"));
    namespace.chain([id.name.clone()]).collect()
}

/// How many public keys or certificates the trust store in `document` holds, in PEM.
fn keys(document: &Document, sources: &ClusterSources<'_>) -> Option<i64> {
    let bytes = match (document.inline_material(), document.material_reference()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(reference)) => sources.bytes(&reference).ok()?,
        (None, None) => return None,
    };
    let count = |block: &[u8]| bytes.windows(block.len()).filter(|window| *window == block).count();
    i64::try_from(count(PUBLIC_KEY).saturating_add(count(CERTIFICATE))).ok()
}

impl Said {
    fn is_ready(&self) -> bool {
        self.sayings.iter().any(|saying| saying.kind == condition::READY && saying.holds)
    }

    /// That what the trust store holds ceases to count soon, or does not count any longer.
    fn expires(&self, now: Timestamp) -> Option<Saying> {
        let not_after = self.not_after.filter(|_| self.is_ready())?;
        let (reason, when) = match not_after.duration_since(now) {
            left if left > EXPIRES_SOON => return None,
            left if left.is_negative() => ("Expired", "has expired"),
            _ => ("ExpiresSoon", "expires"),
        };
        let message = format!("the first key or certificate {when}: {}", whole_seconds(not_after));
        Some(saying(condition::READY, true, reason, message))
    }

    /// That the policy is in force, and matches nothing that exists.
    fn matches_nothing(
        &self,
        snapshot: &Snapshot,
        namespaces: &[(String, Labels)],
    ) -> Option<Saying> {
        let policy = self.policy.as_ref()?;
        let matcher = policy.matcher.as_ref().ok().filter(|_| policy.is_cluster())?;
        let by_namespace = !matcher.namespaces.is_empty()
            || !matcher.excluded_namespaces.is_empty()
            || matcher.namespace_selector.is_some();
        if !by_namespace || matcher.scope == Scope::Cluster || !self.is_ready() {
            return None;
        }
        let judged = |(name, labels): &(String, Labels)| {
            !snapshot.exempts(name) && holds_in(matcher, name, labels)
        };
        let message = "match selects no namespace that exists".to_owned();
        (!namespaces.iter().any(judged))
            .then(|| saying(condition::READY, true, "MatchesNothing", message))
    }
}

/// Whether `matcher` holds for objects of a namespace, as far as the namespace decides.
fn holds_in(matcher: &Match, name: &str, labels: &Labels) -> bool {
    let any = |globs: &[assay_policy::Wildcard]| globs.iter().any(|glob| glob.matches(name));
    (matcher.namespaces.is_empty() || any(&matcher.namespaces))
        && !any(&matcher.excluded_namespaces)
        && matcher.namespace_selector.as_ref().is_none_or(|selector| selector.matches(labels))
}

fn saying(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Saying {
    Saying { kind, holds, reason, message }
}

impl Saying {
    /// The condition, which keeps the time of the one `before` where it says the same.
    fn condition(&self, before: &[Condition], generation: i64, now: Timestamp) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let same = before.iter().find(|own| own.type_ == self.kind && own.status == status);
        let since = same.map_or(whole_seconds(now), |same| same.last_transition_time.0);
        Condition {
            last_transition_time: Time(since),
            message: self.message.chars().take(MESSAGE_LENGTH_MAX).collect(),
            observed_generation: Some(generation),
            reason: self.reason.to_owned(),
            status: status.to_owned(),
            type_: self.kind.to_owned(),
        }
    }
}

/// The problems, one after the other.
fn list(problems: &[&Invalid]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
