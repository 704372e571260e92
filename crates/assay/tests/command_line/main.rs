//! The built binary, as people and pipelines run it: arguments, files, exit codes, what goes to
//! which stream. Registries and clients are the testkit's, in this process, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are tests, which clippy's exception for tests does not know"
)]

mod demo;
mod images;
mod manifests;
mod policies;
mod samples;
mod serve;
mod support;
mod usage;
