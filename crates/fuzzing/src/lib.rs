//! Fuzz targets: for each room that reads hostile bytes one function, which panics where an input
//! breaks the property that it states. Not crashing is never all of it: what is accepted is compared
//! with a slower, simpler reading of the same bytes, or with the one input that may be accepted.
//!
//! They run twice. `tests/seeded.rs` runs them on the seeds and on mutants by fixed numbers, in every
//! `make test`; `make fuzz` under libFuzzer, through the wrappers in `fuzz/`. An input that `make
//! fuzz` finds goes into the table of a test beside the code that it broke.

#![expect(
    clippy::expect_used,
    reason = "only tests use this crate, and one that breaks its own invariant should fail"
)]

mod json;
mod mutator;
mod registry;

pub mod globs;
pub mod manifests;
pub mod objects;
pub mod policies;
pub mod pull_secrets;
pub mod reviews;
pub mod settings;
pub mod signatures;

pub use mutator::{DICTIONARY, Mutator};

/// A fuzz target.
pub struct Target {
    /// The name, in tests and of the wrapper.
    pub name: &'static str,
    /// Whether the code under test accepted the input; it panics where the property is broken.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that are accepted.
    pub seeds: &'static [&'static str],
    /// Mutants of the seeds that each test run tries: one second's worth, unoptimised.
    pub mutants: usize,
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    target("bundle", signatures::bundle, signatures::BUNDLES, 1_000),
    target("bundle_manifest", signatures::bundle_manifest, signatures::BUNDLE_MANIFESTS, 1_000),
    target("configuration", settings::configuration, settings::CONFIGURATIONS, 1_000),
    target("docker_config", settings::docker_config, settings::DOCKER_CONFIGS, 5_000),
    target("image_glob", globs::image_glob, globs::IMAGE_GLOBS, 2_000),
    target("manifest", manifests::manifest, manifests::MANIFESTS, 10_000),
    target("object", objects::object, objects::OBJECTS, 10_000),
    target("policies", policies::policies, policies::POLICIES, 500),
    target("pull_secret", pull_secrets::pull_secret, pull_secrets::PULL_SECRETS, 2_000),
    target("reference", globs::reference, globs::REFERENCES, 2_000),
    target("referrers", signatures::referrers, signatures::REFERRERS, 1_000),
    target("review", reviews::review, reviews::REVIEWS, 5_000),
    target("simple_manifest", signatures::simple_manifest, signatures::SIMPLE_MANIFESTS, 1_000),
    target("simple_payload", signatures::simple_payload, signatures::SIMPLE_PAYLOADS, 1_000),
    target("wildcard", globs::wildcard, globs::WILDCARDS, 20_000),
];

const fn target(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    seeds: &'static [&'static str],
    mutants: usize,
) -> Target {
    Target { name, run, seeds, mutants }
}
