//! The notation verifier against a registry in memory: which signatures are found and count, and what
//! is said of those that do not. What an envelope, a chain or a trust policy has to be is tested in
//! `notation-rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod build;
mod candidates;
mod revocation;
mod sharing;
mod verdicts;
mod warnings;
mod world;
