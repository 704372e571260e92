//! A cluster of real parts for the tests of the built binary: etcd, kube-apiserver,
//! kube-controller-manager, registries, cosign, notation-go, a timestamp authority and kubectl, all on
//! loopback and on free ports.
//!
//! Nothing here knows Assay's code: the tests drive it as its users do, through kubectl.

mod balancer;
mod certificates;
mod cluster;
mod cosign;
mod http;
mod notary;
mod notation;
mod process;
mod prometheus;
mod registry;
mod revocation;
mod timestamps;
mod tools;
mod wait;
mod webhook;

pub use balancer::{Balancer, SlowLine};
pub use cluster::{Cluster, Door};
pub use cosign::{Form, KeyKind, Signer};
pub use notary::{Notary, Order};
pub use notation::{Envelope, Envelopes, IDENTITY, KEY_KINDS};
pub use process::Output;
pub use prometheus::Prometheus;
pub use registry::{PRIVATE_LOGIN, Registry, descriptor};
pub use revocation::RevocationServer;
pub use timestamps::TimestampAuthority;
pub use tools::{assay, manifest};
pub use wait::until;
pub use webhook::{FailurePolicy, PULLING_NAMESPACE, WEBHOOK_NAME, Webhook};
