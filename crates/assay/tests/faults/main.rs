//! No fault opens the door. Whatever fails on the way of a review, and whenever, one fault at a time
//! or two: what is denied without it is not admitted with it, the answer comes in time, the process
//! lives on, and when all is well again the verdict is what it was.
//!
//! The way is the real one from the review's bytes to the answer, with the real Cosign verifier. The
//! world around it is a registry's content, without network; every call to it is a place for a
//! fault. Time is paused, and nothing is left to chance: each place and each fault is tried.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod faults;
mod ports;
mod scenarios;
mod world;
