//! The built binary, as people and pipelines run it: arguments, files, exit codes, what goes to
//! which stream. Registries and clients are the testkit's, in this process, on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cluster;
mod credentials;
mod demo;
mod images;
mod manifests;
mod notation;
mod policies;
mod revocation;
mod samples;
mod secrets;
mod serve;
mod support;
mod usage;
