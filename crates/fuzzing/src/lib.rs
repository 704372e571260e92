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
pub mod notation;
pub mod notation_evidence;
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
    pub seeds: Seeds,
    /// Mutants of the seeds that each test run tries: one second's worth, unoptimised.
    pub mutants: usize,
}

/// Inputs that a target accepts, at least one.
#[derive(Clone, Copy)]
pub enum Seeds {
    /// Of a binary format.
    Bytes(&'static [&'static [u8]]),
    /// Of a format of text.
    Text(&'static [&'static str]),
}

impl Seeds {
    /// All of them, as bytes.
    pub fn to_bytes(self) -> Vec<&'static [u8]> {
        match self {
            Self::Bytes(seeds) => seeds.to_vec(),
            Self::Text(seeds) => seeds.iter().map(|seed| seed.as_bytes()).collect(),
        }
    }
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    target("bundle", signatures::bundle, signatures::BUNDLES, 1_000),
    target("bundle_manifest", signatures::bundle_manifest, signatures::BUNDLE_MANIFESTS, 1_000),
    target("configuration", settings::configuration, settings::CONFIGURATIONS, 1_000),
    target("docker_config", settings::docker_config, settings::DOCKER_CONFIGS, 5_000),
    target("image_glob", globs::image_glob, globs::IMAGE_GLOBS, 2_000),
    target("manifest", manifests::manifest, manifests::MANIFESTS, 10_000),
    of_bytes("notation_certificate", notation::certificate, notation::CERTIFICATES, 20_000),
    of_bytes("notation_cose", notation::cose, notation::COSE, 5_000),
    of_bytes("notation_crl", notation_evidence::crl, notation_evidence::CRLS, 1_000),
    of_bytes("notation_jws", notation::jws, notation::JWS, 2_000),
    target("notation_name", notation::name, notation::NAMES, 20_000),
    of_bytes("notation_ocsp", notation_evidence::ocsp, notation_evidence::OCSP, 1_000),
    target("notation_policy", notation::policy, notation::POLICIES, 10_000),
    of_bytes(
        "notation_timestamp",
        notation_evidence::timestamp,
        notation_evidence::TIMESTAMPS,
        10_000,
    ),
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
    Target { name, run, seeds: Seeds::Text(seeds), mutants }
}

const fn of_bytes(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    seeds: &'static [&'static [u8]],
    mutants: usize,
) -> Target {
    Target { name, run, seeds: Seeds::Bytes(seeds), mutants }
}
