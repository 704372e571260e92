//! The resources, the documents and what `compile` makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod compile;
mod configuration;
mod crds;
mod documents;
mod invalid;
mod notation;
mod references;
mod samples;
mod schemas;
mod support;
