//! `Executor::judge` between ports that are functions: what is asked of the world, how often, in
//! whose name, and what follows when the world is slow, absent or broken.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod fakes;
mod world;

mod caching;
mod elsewhere;
mod failures;
mod images;
mod load;
mod nesting;
mod scopes;
mod stats;
mod tenants;
mod waiting;
