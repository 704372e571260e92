//! What Assay asks of the cluster that it guards. Beside an AdmissionReview's path, never in it: the
//! engine sees a Snapshot and core's ports only.
//!
//! [`Control`] watches policies, trust stores, namespaces and the Secrets and ConfigMaps that trust
//! stores name, builds the next Snapshot off to the side, swaps it, and says in each object's status
//! what became of it. [`LivePullSecrets`] reads what a pod pulls its images with.
//!
//! Architecture invariant: what was in force stays in force until something else was read in full. No
//! error of a watch, an object or a compile takes a policy away; there is no Snapshot before
//! everything was listed once.

mod activity;
mod client;
mod control;
mod events;
mod lease;
mod materials;
mod names;
mod namespaces;
mod objects;
mod pull_secrets;
mod sources;
mod status;
mod status_writer;
mod watching;

pub use activity::Activity;
pub use client::client;
pub use control::{Control, Files, Handle, NoFiles, Ports, Settings, Stopped, Told};
pub use events::{CountEvents, EventWriter};
pub use namespaces::{GivenNamespaces, LiveNamespaces, NoNamespaces};
pub use pull_secrets::LivePullSecrets;

#[cfg(test)]
mod tests;
