//! `require`: all, any, atLeast, groups, and distinct signers.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_core::{Outcome, ReasonCode, State};

use super::{
    IMAGE, World, accepted, create, judge, missing, pod, policy, require, requirement, snapshot,
    term, unavailable,
};
use crate::{Effect, Quorum, Requirement, RuleBody, Term};

fn rejected() -> Outcome {
    Outcome::new(State::Rejected(ReasonCode::KeyMismatch), "another key")
}

#[track_caller]
fn check(body: RuleBody, outcomes: &[(&'static str, Outcome)], expect: Effect) {
    let world =
        World { outcomes: BTreeMap::from_iter(outcomes.iter().cloned()), ..World::default() };
    let verdict = judge(&snapshot(vec![policy("p", body)]), &create(pod(&[IMAGE])), &world);
    assert_eq!(verdict.effect(), expect);
    assert_eq!(verdict.is_admitted(), expect == Effect::Allow);
}

#[test]
fn all_is_false_before_undecided_before_true() {
    let all = || require(Quorum::All, &["a", "b"]);
    check(all(), &[("a", accepted(&["x"])), ("b", accepted(&["x"]))], Effect::Allow);
    check(all(), &[("a", accepted(&["x"])), ("b", unavailable())], Effect::Undecided);
    check(all(), &[("a", missing()), ("b", unavailable())], Effect::Deny);
    check(all(), &[("a", rejected()), ("b", unavailable())], Effect::Deny);
    check(all(), &[("a", accepted(&["x"])), ("b", missing())], Effect::Deny);
    check(all(), &[("a", accepted(&["x"])), ("b", rejected())], Effect::Deny);
}

#[test]
fn any_is_true_before_undecided_before_false() {
    let any = || require(Quorum::Any, &["a", "b"]);
    check(any(), &[("a", rejected()), ("b", accepted(&["x"]))], Effect::Allow);
    check(any(), &[("a", unavailable()), ("b", accepted(&["x"]))], Effect::Allow);
    check(any(), &[("a", unavailable()), ("b", rejected())], Effect::Undecided);
    check(any(), &[("a", missing()), ("b", rejected())], Effect::Deny);
}

#[test]
fn at_least_counts_distinct_signers() {
    let two = || require(Quorum::AtLeast(2), &["a", "b", "c"]);
    check(two(), &[("a", accepted(&["x"])), ("b", accepted(&["y"]))], Effect::Allow);
    check(two(), &[("a", accepted(&["x"])), ("b", accepted(&["x"]))], Effect::Deny);
    check(two(), &[("a", accepted(&["x"])), ("b", accepted(&["x", "y"]))], Effect::Allow);
    check(two(), &[("a", accepted(&["x", "y"])), ("b", accepted(&["x"]))], Effect::Allow);
    check(two(), &[("a", accepted(&["x", "y"]))], Effect::Deny);
    check(two(), &[("a", accepted(&["x"])), ("b", unavailable())], Effect::Undecided);
    check(two(), &[("a", missing()), ("b", missing()), ("c", unavailable())], Effect::Deny);
    check(two(), &[("b", unavailable()), ("c", unavailable())], Effect::Undecided);
}

#[test]
fn at_least_moves_a_signer_where_another_term_needs_it() {
    let three = require(Quorum::AtLeast(3), &["a", "b", "c"]);
    let outcomes =
        [("a", accepted(&["x", "y"])), ("b", accepted(&["x", "z"])), ("c", accepted(&["x"]))];
    check(three, &outcomes, Effect::Allow);
    let three = require(Quorum::AtLeast(3), &["a", "b", "c"]);
    let outcomes =
        [("a", accepted(&["x", "y"])), ("b", accepted(&["x", "y"])), ("c", accepted(&["x"]))];
    check(three, &outcomes, Effect::Deny);
}

#[test]
fn evidence_without_signers_counts_as_itself() {
    let two = || require(Quorum::AtLeast(2), &["a", "b"]);
    check(two(), &[("a", accepted(&[])), ("b", accepted(&[]))], Effect::Allow);
    check(two(), &[("a", accepted(&[])), ("b", missing())], Effect::Deny);
}

#[test]
fn groups_hold_as_their_requirement_does() {
    let body = || {
        let group = Term::Group(Arc::new(requirement(Quorum::AtLeast(2), &["a", "b"])));
        RuleBody::Require(Requirement { quorum: Quorum::All, of: vec![group, term("c")] })
    };
    let (x, y, z) = (accepted(&["x"]), accepted(&["y"]), accepted(&["z"]));
    check(body(), &[("a", x.clone()), ("b", y.clone()), ("c", z.clone())], Effect::Allow);
    check(body(), &[("a", x.clone()), ("b", y)], Effect::Deny);
    check(body(), &[("a", x.clone()), ("c", z.clone())], Effect::Deny);
    check(body(), &[("a", x.clone()), ("b", unavailable()), ("c", z)], Effect::Undecided);
    check(body(), &[("a", x), ("b", unavailable())], Effect::Deny);
}
