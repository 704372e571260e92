//! `require`: all, any, atLeast, groups, and distinct signers.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_core::{Outcome, ReasonCode, State};

use super::{
    IMAGE, World, accepted, create, judge, missing, pod, policy, require, requirement, snapshot,
    term, unavailable, warned,
};
use crate::{Effect, PolicyVerdict, Quorum, Requirement, RuleBody, Term};

fn rejected() -> Outcome {
    Outcome::new(State::Rejected(ReasonCode::KeyMismatch), "another key")
}

#[track_caller]
fn check(body: RuleBody, outcomes: &[(&'static str, Outcome)], expect: Effect) {
    assert_eq!(judged(body, outcomes).effect, expect);
}

/// What a policy with this one rule decides.
fn judged(body: RuleBody, outcomes: &[(&'static str, Outcome)]) -> PolicyVerdict {
    let world =
        World { outcomes: BTreeMap::from_iter(outcomes.iter().cloned()), ..World::default() };
    let verdict = judge(&snapshot(vec![policy("p", body)]), &create(pod(&[IMAGE])), &world);
    let judged = verdict.images[0].policies[0].clone();
    assert_eq!(verdict.is_admitted(), judged.effect == Effect::Allow);
    judged
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

/// What is warned of where `body` holds; of no more than that it does not, where there is nothing.
#[track_caller]
fn check_warnings(
    name: &str,
    body: RuleBody,
    outcomes: &[(&'static str, Outcome)],
    expect: Option<&[ReasonCode]>,
) {
    let judged = judged(body, outcomes);
    assert_eq!(judged.effect == Effect::Allow, expect.is_some(), "{name}");
    assert_eq!(judged.warnings, expect.unwrap_or_default(), "{name}");
}

#[test]
fn warns_of_what_the_admission_rests_on() {
    use Quorum::{All, Any, AtLeast};
    use ReasonCode::{CertificateExpired, KeyMismatch, SignatureExpired};
    let (x, y) = (accepted(&["x"]), accepted(&["y"]));
    let (stale_x, stale_y) =
        (warned(&["x"], &[SignatureExpired]), warned(&["y"], &[SignatureExpired]));
    let old = || warned(&["x"], &[CertificateExpired, SignatureExpired]);
    let stranger = || warned(&[], &[KeyMismatch]);
    let two = AtLeast(2);
    type Case = (&'static str, Quorum, [Outcome; 3], Option<&'static [ReasonCode]>);
    let cases: [Case; 14] = [
        ("all good", All, [x.clone(), x.clone(), x.clone()], Some(&[])),
        ("all, one stale", All, [x.clone(), stale_x.clone(), x.clone()], Some(&[SignatureExpired])),
        (
            "all, each code once, in order",
            All,
            [stale_x.clone(), old(), stranger()],
            Some(&[SignatureExpired, CertificateExpired, KeyMismatch]),
        ),
        ("all, one refused", All, [stale_x.clone(), rejected(), x.clone()], None),
        ("all, one undecided", All, [stale_x.clone(), unavailable(), x.clone()], None),
        ("any, one stale", Any, [missing(), stale_x.clone(), missing()], Some(&[SignatureExpired])),
        ("any, one good beside it", Any, [stale_x.clone(), x.clone(), missing()], Some(&[])),
        (
            "any, undecided beside it",
            Any,
            [unavailable(), old(), missing()],
            Some(&[CertificateExpired, SignatureExpired]),
        ),
        ("any, none", Any, [missing(), rejected(), missing()], None),
        ("two, one stale", two, [x.clone(), stale_y.clone(), missing()], Some(&[SignatureExpired])),
        ("two good beside it", two, [stale_x.clone(), x.clone(), y], Some(&[])),
        (
            "two of one signer, and one stale",
            two,
            [x.clone(), x.clone(), stale_y],
            Some(&[SignatureExpired]),
        ),
        ("two, all of one signer", two, [x, stale_x.clone(), old()], None),
        ("two, one stale alone", two, [stale_x, missing(), missing()], None),
    ];
    for (name, quorum, [a, b, c], expect) in cases {
        let body = require(quorum, &["a", "b", "c"]);
        check_warnings(name, body, &[("a", a), ("b", b), ("c", c)], expect);
    }
}

#[test]
fn warns_of_what_groups_rest_on() {
    use ReasonCode::SignatureExpired;
    let group = |quorum| Term::Group(Arc::new(requirement(quorum, &["a", "b"])));
    let body = |outer, inner| {
        RuleBody::Require(Requirement { quorum: outer, of: vec![group(inner), term("c")] })
    };
    let (x, y) = (accepted(&["x"]), accepted(&["y"]));
    let stale_y = warned(&["y"], &[SignatureExpired]);
    let stale: Option<&[ReasonCode]> = Some(&[SignatureExpired]);
    let two = Quorum::AtLeast(2);
    use Quorum::{All, Any};
    for (name, outer, inner, [a, b, c], expect) in [
        ("stale in a group", All, All, [x.clone(), stale_y.clone(), x.clone()], stale),
        ("beside a good one", All, Any, [x.clone(), stale_y.clone(), x.clone()], Some(&[][..])),
        ("in a group that fails", Any, All, [missing(), stale_y.clone(), x.clone()], Some(&[])),
        ("in a group that is not needed", Any, All, [x.clone(), stale_y.clone(), y], Some(&[])),
        // The group holds by `a` alone; that there are two signers rests on `b`.
        ("as the second signer", two, Any, [x.clone(), stale_y.clone(), x.clone()], stale),
        ("in a group, and all fails", All, Any, [x, stale_y, missing()], None),
    ] {
        check_warnings(name, body(outer, inner), &[("a", a), ("b", b), ("c", c)], expect);
    }
}
