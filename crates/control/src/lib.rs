//! What Assay asks of the cluster that it guards. Beside an AdmissionReview's path, never in it: the
//! engine sees core's ports only.
//!
//! Today that is the labels of namespaces. Watches on policies, trust stores and namespaces, the
//! status that they get, and certificates belong here too.

mod namespaces;

pub use namespaces::{GivenNamespaces, LiveNamespaces, NoNamespaces};
