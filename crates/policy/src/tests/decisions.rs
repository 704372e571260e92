//! Which policies decide, and how strictly: actions, tiers, cover, errors, digests and tags.

use std::collections::BTreeMap;

use assay_core::{Outcome, ReasonCode, State};

use super::{
    IMAGE, World, accepted, create, digest, judge, of_namespace, pod, policy, require, snapshot,
    unavailable, warned,
};
use crate::{
    Decision, DefaultAction, Effect, EnforcementAction, ImageGlob, Invalid, OnError, Policy,
    Quorum, RequireDigest, Rule, RuleBody, Snapshot, Tier, Verdict,
};

fn deny() -> RuleBody {
    RuleBody::Deny("not here".to_owned())
}

fn acts(action: EnforcementAction, policy: Policy) -> Policy {
    Policy { enforcement_action: action, ..policy }
}

fn baseline(policy: Policy) -> Policy {
    Policy { tier: Tier::Baseline, ..policy }
}

fn broken(policy: Policy) -> Policy {
    let invalid = Invalid { field: "spec.rules".to_owned(), reason: "broken".to_owned() };
    Policy { rules: Err(invalid), ..policy }
}

fn verdict(policies: Vec<Policy>, default_action: DefaultAction) -> Verdict {
    let snapshot = Snapshot { default_action, ..snapshot(policies) };
    judge(&snapshot, &create(pod(&[IMAGE])), &World::default())
}

#[track_caller]
fn check(name: &str, policies: Vec<Policy>, default_action: DefaultAction, expect: Effect) {
    let verdict = verdict(policies, default_action);
    assert_eq!(verdict.effect(), expect, "{name}");
    assert_eq!(verdict.is_admitted(), expect < Effect::Undecided, "{name}");
}

fn codes(verdict: &Verdict) -> Vec<ReasonCode> {
    let policies = verdict.images.iter().flat_map(|image| &image.policies);
    policies.flat_map(|policy| &policy.violations).map(|violation| violation.code).collect()
}

#[test]
fn each_action_has_its_effect_and_the_strictest_wins() {
    use DefaultAction::Allow;
    use EnforcementAction::{Deny, Dryrun, Warn};
    for (action, effect) in [(Deny, Effect::Deny), (Warn, Effect::Warn), (Dryrun, Effect::Dryrun)] {
        check("violation", vec![acts(action, policy("p", deny()))], Allow, effect);
        check("none", vec![acts(action, policy("p", RuleBody::Allow))], Allow, Effect::Allow);
    }
    let both = |a, b| vec![acts(a, policy("a", deny())), acts(b, policy("b", deny()))];
    check("deny and warn", both(Deny, Warn), Allow, Effect::Deny);
    check("dryrun and warn", both(Dryrun, Warn), Allow, Effect::Warn);
    check("nothing", vec![], Allow, Effect::Allow);
}

#[test]
fn every_mandatory_and_namespaced_policy_must_admit() {
    use DefaultAction::Allow;
    let (good, bad) = (|name| policy(name, RuleBody::Allow), |name| policy(name, deny()));
    check("two good", vec![good("a"), of_namespace(good("b"))], Allow, Effect::Allow);
    check("mandatory bad", vec![bad("a"), of_namespace(good("b"))], Allow, Effect::Deny);
    check("namespaced bad", vec![good("a"), of_namespace(bad("b"))], Allow, Effect::Deny);
    check("baseline bad", vec![good("a"), baseline(bad("b"))], Allow, Effect::Deny);
}

#[test]
fn a_baseline_gives_way_only_to_a_good_enforcing_policy_of_the_namespace() {
    use DefaultAction::Allow;
    use EnforcementAction::{Dryrun, Warn};
    let base = || baseline(policy("base", deny()));
    let own = || of_namespace(policy("own", RuleBody::Allow));
    let elsewhere = ImageGlob::parse("other.example/**").unwrap();
    let elsewhere = Rule { images: vec![elsewhere], body: RuleBody::Allow };
    check("gives way", vec![base(), own()], Allow, Effect::Allow);
    check(
        "to its violations too",
        vec![base(), of_namespace(policy("own", deny()))],
        Allow,
        Effect::Deny,
    );
    check("not to warn", vec![base(), acts(Warn, own())], Allow, Effect::Deny);
    check("not to dryrun", vec![base(), acts(Dryrun, own())], Allow, Effect::Deny);
    check("not to a broken one", vec![base(), acts(Dryrun, broken(own()))], Allow, Effect::Deny);
    let uncovering = Policy { rules: Ok(vec![elsewhere]), ..own() };
    check("not to one about others", vec![base(), uncovering], Allow, Effect::Deny);
    let mandatory = policy("base", deny());
    check("mandatory never", vec![mandatory, own()], Allow, Effect::Deny);
    let mut foreign = own();
    foreign.id.namespace = Some("other".to_owned());
    check("not to another namespace's", vec![base(), foreign], Allow, Effect::Deny);
}

#[test]
fn default_action_decides_where_no_enforcing_cluster_policy_covers() {
    use DefaultAction::{Allow, Deny, Warn};
    let good = |name| policy(name, RuleBody::Allow);
    for (default_action, effect) in
        [(Allow, Effect::Allow), (Warn, Effect::Warn), (Deny, Effect::Deny)]
    {
        check("nothing covers", vec![], default_action, effect);
        check("a tenant's is no cover", vec![of_namespace(good("own"))], default_action, effect);
        let trial = acts(EnforcementAction::Dryrun, good("trial"));
        check("a trial is no cover", vec![trial], default_action, effect);
        check("a cluster policy covers", vec![good("p")], default_action, Effect::Allow);
        let given_way = vec![baseline(policy("base", deny())), of_namespace(good("own"))];
        check("a baseline that gave way covers", given_way, default_action, Effect::Allow);
    }
    assert_eq!(codes(&verdict(vec![], Deny)), [ReasonCode::NotCovered]);
}

#[test]
fn a_policy_that_does_not_compile_closes_by_its_action() {
    use DefaultAction::Allow;
    let good = || policy("p", RuleBody::Allow);
    let invalid = || Invalid { field: "spec".to_owned(), reason: "broken".to_owned() };
    let unmatched = Policy { matcher: Err(invalid()), ..good() };
    let rule = policy("p", RuleBody::Invalid(invalid()));
    for (name, policy) in [("rules", broken(good())), ("match", unmatched), ("rule", rule)] {
        check(name, vec![policy.clone()], Allow, Effect::Deny);
        assert_eq!(
            codes(&verdict(vec![policy.clone()], Allow)),
            [ReasonCode::PolicyInvalid],
            "{name}"
        );
        check(name, vec![acts(EnforcementAction::Warn, policy.clone())], Allow, Effect::Warn);
        let lenient = Policy { on_error: OnError::Allow, ..policy };
        check(name, vec![lenient], Allow, Effect::Deny);
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rule = |glob, body| Rule { images: vec![ImageGlob::parse(glob).unwrap()], body };
    let of = |rules| vec![Policy { rules: Ok(rules), ..policy("p", deny()) }];
    let (mine, all) = ("registry.example/**", "**");
    let allow = || RuleBody::Allow;
    use DefaultAction::Allow;
    check("first", of(vec![rule(mine, allow()), rule(all, deny())]), Allow, Effect::Allow);
    check("order", of(vec![rule(all, deny()), rule(mine, allow())]), Allow, Effect::Deny);
    check("no rule", of(vec![rule("other.example/**", deny())]), Allow, Effect::Allow);
}

#[test]
fn what_does_not_parse_is_refused_by_every_policy_that_matches() {
    let snapshot = snapshot(vec![policy("p", RuleBody::Allow)]);
    let verdict = judge(&snapshot, &create(pod(&["not an image", ""])), &World::default());
    assert_eq!(verdict.decision, Decision::Deny);
    assert_eq!(codes(&verdict), [ReasonCode::ImageReferenceInvalid; 2]);
}

#[track_caller]
fn check_undecided(on_error: OnError, action: EnforcementAction, host_named: bool, expect: Effect) {
    let undecided = Policy {
        on_error,
        enforcement_action: action,
        ..policy("p", require(Quorum::All, &["a"]))
    };
    let mut snapshot = snapshot(vec![undecided]);
    if host_named {
        snapshot.registries.insert("registry.example".to_owned());
    }
    let world = World { outcomes: BTreeMap::from([("a", unavailable())]), ..World::default() };
    let verdict = judge(&snapshot, &create(pod(&[IMAGE])), &world);
    assert_eq!(verdict.effect(), expect, "{on_error:?} {action:?} {host_named}");
    assert!(!verdict.images.iter().any(crate::ImageVerdict::is_success), "it is a violation still");
}

#[test]
fn on_error_counts_for_named_hosts_only() {
    use EnforcementAction::{Deny, Dryrun, Warn};
    check_undecided(OnError::Deny, Deny, true, Effect::Undecided);
    check_undecided(OnError::Warn, Deny, true, Effect::Warn);
    check_undecided(OnError::Allow, Deny, true, Effect::Allow);
    check_undecided(OnError::Warn, Deny, false, Effect::Undecided);
    check_undecided(OnError::Allow, Deny, false, Effect::Undecided);
    check_undecided(OnError::Deny, Warn, true, Effect::Warn);
    check_undecided(OnError::Deny, Dryrun, true, Effect::Dryrun);
    check_undecided(OnError::Warn, Dryrun, true, Effect::Dryrun);
}

/// `any` of two that could not be decided, one of them because of our own bounds.
#[test]
fn on_error_does_not_count_where_bounds_are_reached() {
    let lenient =
        Policy { on_error: OnError::Allow, ..policy("p", require(Quorum::Any, &["a", "b"])) };
    let mut snapshot = snapshot(vec![lenient]);
    snapshot.registries.insert("registry.example".to_owned());
    for (code, expect) in
        [(ReasonCode::Timeout, Effect::Allow), (ReasonCode::Overloaded, Effect::Undecided)]
    {
        let other = Outcome::new(State::Unavailable(code), "not now");
        let outcomes = BTreeMap::from([("a", unavailable()), ("b", other)]);
        let world = World { outcomes, ..World::default() };
        let verdict = judge(&snapshot, &create(pod(&[IMAGE])), &world);
        assert_eq!(verdict.effect(), expect, "{code}");
    }
}

#[test]
fn deny_wins_over_undecided() {
    let world = World { outcomes: BTreeMap::from([("a", unavailable())]), ..World::default() };
    let policies = vec![policy("a", require(Quorum::All, &["a"])), policy("b", deny())];
    let verdict = judge(&snapshot(policies), &create(pod(&[IMAGE])), &world);
    assert_eq!(verdict.decision, Decision::Deny);
}

#[test]
fn an_image_that_cannot_be_resolved_is_missing_bad_or_undecided() {
    let policies = || snapshot(vec![policy("p", require(Quorum::All, &["a"]))]);
    for (state, expect) in [
        (State::Missing(ReasonCode::ImageNotFound), Decision::Deny),
        (State::Rejected(ReasonCode::RegistryDenied), Decision::Deny),
        (State::Unavailable(ReasonCode::RegistryUnreachable), Decision::Undecided),
    ] {
        let world = World { unresolved: Some(Outcome::new(state, "why")), ..World::default() };
        let verdict = judge(&policies(), &create(pod(&[IMAGE])), &world);
        assert_eq!(verdict.decision, expect);
        assert_eq!(codes(&verdict), [state.reason().unwrap()]);
    }
}

#[test]
fn what_was_not_looked_at_refuses() {
    let snapshot = snapshot(vec![policy("p", require(Quorum::All, &["a"]))]);
    let plan = crate::Plan::new(&snapshot, &create(pod(&[IMAGE])), None);
    for findings in [vec![], vec![None]] {
        let verdict = crate::decide(&snapshot, &plan, &findings);
        assert_eq!(verdict.decision, Decision::Deny);
        assert_eq!(codes(&verdict), [ReasonCode::Internal]);
    }
}

#[test]
fn require_digest_has_three_ways() {
    let by_digest = format!("registry.example/app@{}", digest());
    for (demand, action, image, effect, warns) in [
        (RequireDigest::Allow, EnforcementAction::Deny, IMAGE, Effect::Allow, false),
        (RequireDigest::Warn, EnforcementAction::Deny, IMAGE, Effect::Allow, true),
        (RequireDigest::Deny, EnforcementAction::Deny, IMAGE, Effect::Deny, false),
        (RequireDigest::Warn, EnforcementAction::Dryrun, IMAGE, Effect::Allow, false),
        (RequireDigest::Deny, EnforcementAction::Warn, IMAGE, Effect::Warn, true),
        (RequireDigest::Warn, EnforcementAction::Deny, &by_digest, Effect::Allow, false),
        (RequireDigest::Deny, EnforcementAction::Deny, &by_digest, Effect::Allow, false),
    ] {
        let demanding = Policy { require_digest: demand, ..policy("p", RuleBody::Allow) };
        let snapshot = snapshot(vec![acts(action, demanding)]);
        let verdict = judge(&snapshot, &create(pod(&[image])), &World::default());
        assert_eq!(verdict.effect(), effect, "{demand:?} {image}");
        assert_eq!(!crate::message::warnings(&verdict).is_empty(), warns, "{demand:?} {image}");
    }
}

#[test]
fn warns_of_accepted_evidence_where_somebody_is_to_know() {
    use EnforcementAction::{Deny, Dryrun, Warn};
    let stale = || warned(&["x"], &[ReasonCode::SignatureExpired]);
    let both = [ReasonCode::DigestRequired, ReasonCode::SignatureExpired];
    let (none, expired) = (&both[..0], &both[1..]);
    for (name, action, demand, outcome, expect) in [
        ("deny", Deny, RequireDigest::Allow, stale(), expired),
        ("warn", Warn, RequireDigest::Allow, stale(), expired),
        ("dryrun", Dryrun, RequireDigest::Allow, stale(), none),
        ("and of the digest", Deny, RequireDigest::Warn, stale(), &both),
        ("refused for the digest", Deny, RequireDigest::Deny, stale(), none),
        ("nothing to say", Deny, RequireDigest::Allow, accepted(&["x"]), none),
        ("dryrun of both", Dryrun, RequireDigest::Warn, stale(), none),
    ] {
        let policy = Policy {
            require_digest: demand,
            ..acts(action, policy("p", require(Quorum::All, &["a"])))
        };
        let world = World { outcomes: BTreeMap::from([("a", outcome)]), ..World::default() };
        let verdict = judge(&snapshot(vec![policy]), &create(pod(&[IMAGE])), &world);
        assert_eq!(verdict.images[0].policies[0].warnings, expect, "{name}");
    }
}

#[test]
fn a_tag_in_a_glob_must_be_proven() {
    let digest = digest();
    let (both, alone) = (format!("{IMAGE}@{digest}"), format!("registry.example/app@{digest}"));
    let rule = |glob: &str, body| Rule { images: vec![ImageGlob::parse(glob).unwrap()], body };
    let tagged = || vec![rule("registry.example/app:v1", require(Quorum::All, &["a"]))];
    for (image, tag_proven, effect) in [
        (IMAGE, None, Effect::Allow),
        (&both, Some(true), Effect::Allow),
        (&both, Some(false), Effect::Deny),
        (&both, None, Effect::Deny),
        (&alone, None, Effect::Deny),
    ] {
        let outcomes = BTreeMap::from([("a", accepted(&["x"]))]);
        let world = World { outcomes, tag_proven, ..World::default() };
        let policy = Policy { rules: Ok(tagged()), ..policy("p", deny()) };
        let verdict = judge(&snapshot(vec![policy]), &create(pod(&[image])), &world);
        assert_eq!(verdict.effect(), effect, "{image} {tag_proven:?}");
        if effect == Effect::Deny {
            assert_eq!(codes(&verdict), [ReasonCode::TagNotProven]);
        }
    }
}
