//! The engine: rooms 3 to 5 of an AdmissionReview's path as one short function,
//! [`Executor::judge`], and what makes it quick: caches with single flight.
//!
//! Architecture invariant: the engine sees stores, verifiers, credentials and time as core's ports
//! only; the webhook and `assay verify` call the same `judge`.

mod accesses;
mod cache;
mod context;
mod executor;
mod flights;
mod look;
mod resolve;
mod stats;
mod store;

pub use cache::CacheConfig;
pub use executor::{Executor, Ports, SharedSnapshot};
pub use stats::{CacheStats, Stats};
