//! What a tenant may do, and what it may not: whoever writes policies and trust stores in a namespace is
//! hostile to all others and to the cluster's own policy.
//!
//! Everything is real from the YAML of the documents to the verdict: the compiler, the Cosign verifier,
//! the engine with its caches, the registry client. The registries are in this process.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod attacks;
mod caches;
mod combinations;
mod floods;
mod world;
