//! The cosign verifier against a registry in memory: which signatures count, and what is said of
//! those that do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod bundle;
mod keys;
mod limits;
mod mutation;
mod places;
mod real;
mod simple_signing;
mod world;
