//! Every fuzz target, on its seeds and on mutants by fixed numbers.

use std::fs;
use std::panic::catch_unwind;

use assay_fuzzing::policies::POLICIES;
use assay_fuzzing::{Mutator, TARGETS, Target};

/// Whether the input is accepted; where it breaks the target's property, shows it.
#[track_caller]
fn run(target: &Target, input: &[u8]) -> bool {
    catch_unwind(|| (target.run)(input))
        .unwrap_or_else(|_| panic!("{}: b\"{}\"", target.name, input.escape_ascii()))
}

#[track_caller]
fn check(name: &str) {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        panic!("{name} is no target");
    };
    let seeds = target.seeds.to_bytes();
    for seed in &seeds {
        assert!(run(target, seed), "{name} refuses its seed {}", seed.escape_ascii());
    }
    assert!(!run(target, b""), "{name} accepts nothing at all");
    let mut mutator = Mutator::new(1);
    let accepted = (0..target.mutants).filter(|_| run(target, &mutator.mutant(&seeds))).count();
    assert!(accepted < target.mutants, "{name} accepts every mutant");
}

macro_rules! seeded {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { check(stringify!($name)); })*
    };
}

seeded! {
    bundle bundle_manifest configuration docker_config image_glob manifest notation_certificate notation_cose
    notation_crl notation_jws notation_name notation_ocsp notation_policy notation_timestamp object policies pull_secret
    reference referrers review simple_manifest simple_payload wildcard
}

#[test]
fn every_target_is_run_here_and_under_libfuzzer() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, NAMES);
    let manifest = include_str!("../../../fuzz/Cargo.toml");
    let wrapped: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    assert_eq!(names, wrapped);
}

#[test]
fn every_sample_policy_is_a_seed() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/policies");
    let files = fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(POLICIES.contains(&text.as_str()), "{} is no seed", file.display());
    }
}
