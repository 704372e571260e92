//! Rules about crates: the arrows between them, the libraries that belong to one room, and what
//! must not be in the graph at all.

use std::collections::BTreeSet;

use crate::house::{
    Dependency, Member, Room, assert_none, compiled_packages, members, quoted, read, rooms, table,
};

/// The crate that every other may use in tests, and none in earnest unless it is switched on.
const TESTKIT: &str = "testkit";

/// Dependencies on members that the map has no arrow for.
fn stray_arrows(members: &[Member], rooms: &[Room]) -> Vec<String> {
    findings(members, |member, dependency| {
        let allowed = room(rooms, member).may_depend_on.contains(&dependency.name);
        let is_test = dependency.is_dev && dependency.name == TESTKIT;
        (dependency.is_member && !allowed && !is_test)
            .then(|| format!("has no arrow to {}", dependency.name))
    })
}

/// Libraries outside the rooms that they belong to. Tests may use what they like.
fn stray_libraries(members: &[Member], rooms: &[Room]) -> Vec<String> {
    let kept: BTreeSet<&String> = rooms.iter().flat_map(|room| &room.may_use).collect();
    findings(members, |member, dependency| {
        let own = &room(rooms, member).may_use;
        let foreign =
            kept.iter().find(|library| dependency.is(library) && !own.contains(**library))?;
        (!dependency.is_dev).then(|| format!("must not use {foreign}"))
    })
}

/// Dependencies on the testkit that cannot be switched off.
fn forced_testkit(members: &[Member]) -> Vec<String> {
    findings(members, |_, dependency| {
        let is_forced = !dependency.is_dev && !dependency.is_optional;
        (dependency.name == TESTKIT && is_forced)
            .then(|| "needs the testkit outside tests".to_owned())
    })
}

fn findings(
    members: &[Member],
    rule: impl Fn(&Member, &Dependency) -> Option<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let broken = member.dependencies.iter().filter_map(|dep| rule(member, dep));
        findings.extend(broken.map(|text| format!("{} {text}", member.folder)));
    }
    findings
}

fn room<'a>(rooms: &'a [Room], member: &Member) -> &'a Room {
    let mut rooms = rooms.iter();
    rooms
        .find(|room| room.folder == member.folder)
        .unwrap_or_else(|| panic!("{} is not on the map", member.folder))
}

/// The packages that `deny.toml` bans: one list for cargo-deny and for this test.
fn banned() -> BTreeSet<String> {
    let text = read("deny.toml");
    let entries = text.lines().filter_map(|line| {
        let name = line.trim().strip_prefix("{ crate = \"")?;
        Some(name.split('"').next()?.to_owned())
    });
    entries.collect()
}

#[test]
fn map_shows_every_member_and_nothing_else() {
    let on_map: BTreeSet<String> = rooms().into_iter().map(|room| room.folder).collect();
    let real: BTreeSet<String> = members().into_iter().map(|member| member.folder).collect();
    assert_eq!(on_map, real);
}

#[test]
fn arrows_are_on_the_map() {
    assert_none(&stray_arrows(&members(), &rooms()));
}

#[test]
fn libraries_stay_in_their_rooms() {
    assert_none(&stray_libraries(&members(), &rooms()));
}

#[test]
fn testkit_can_be_switched_off() {
    assert_none(&forced_testkit(&members()));
}

#[test]
fn members_share_the_lints() {
    let mut findings = Vec::new();
    for member in members() {
        let manifest = read(&format!("{}/Cargo.toml", member.folder));
        if !manifest.contains("[lints]\nworkspace = true") {
            findings.push(format!("{} has lints of its own", member.folder));
        }
    }
    assert_none(&findings);
}

#[test]
fn nothing_banned_is_compiled() {
    let (banned, compiled) = (banned(), compiled_packages());
    assert!(banned.contains("ring") && compiled.contains("assay-core"));
    let found: Vec<String> = banned.intersection(&compiled).cloned().collect();
    assert_none(&found);
}

#[test]
fn limits_are_where_the_table_says() {
    let limits = table("limit");
    assert!(!limits.is_empty(), "the limits table is gone");
    let mut findings = Vec::new();
    for row in limits {
        let (name, file) = (quoted(&row[0]), quoted(&row[2]));
        let (name, file) = (name.first().expect("a name"), file.first().expect("a file"));
        if !read(file).contains(&format!("const {name}: ")) {
            findings.push(format!("{file} has no {name}"));
        }
    }
    assert_none(&findings);
}

/// What the rules say of a member `crates/here` that the map allows `core` and `kube`, and to
/// which `kube/client`, `sigstore*` and `moka` do not belong.
fn check_rules(dependency: Dependency, expect: &[&str]) {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let room = |folder: &str, arrows: &[&str], libraries: &[&str]| Room {
        folder: folder.to_owned(),
        may_depend_on: set(arrows),
        may_use: set(libraries),
    };
    let rooms = [
        room("crates/here", &["core"], &["kube"]),
        room("crates/there", &[], &["kube", "kube/client", "moka", "sigstore*"]),
    ];
    let name = dependency.name.clone();
    let members = [Member { folder: "crates/here".to_owned(), dependencies: vec![dependency] }];
    let mut found = stray_arrows(&members, &rooms);
    found.extend(stray_libraries(&members, &rooms));
    found.extend(forced_testkit(&members));
    assert_eq!(found, expect, "{name}");
}

#[test]
fn rules_refuse_what_is_not_on_the_map() {
    let library = |name: &str| Dependency {
        name: name.to_owned(),
        features: Vec::new(),
        is_dev: false,
        is_optional: false,
        is_member: false,
    };
    let member = |name: &str| Dependency { is_member: true, ..library(name) };
    let in_tests = |dependency: Dependency| Dependency { is_dev: true, ..dependency };
    let client = Dependency { features: vec!["client".to_owned()], ..library("kube") };
    check_rules(member("core"), &[]);
    check_rules(member("engine"), &["crates/here has no arrow to engine"]);
    check_rules(in_tests(member("engine")), &["crates/here has no arrow to engine"]);
    check_rules(in_tests(member("testkit")), &[]);
    check_rules(
        member("testkit"),
        &["crates/here has no arrow to testkit", "crates/here needs the testkit outside tests"],
    );
    check_rules(library("serde"), &[]);
    check_rules(library("kube"), &[]);
    check_rules(client, &["crates/here must not use kube/client"]);
    check_rules(library("moka"), &["crates/here must not use moka"]);
    check_rules(in_tests(library("moka")), &[]);
    check_rules(library("sigstore-verify"), &["crates/here must not use sigstore*"]);
}
