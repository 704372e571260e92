//! Everything a test (or `assay demo`) needs that is not the product: a clock that stands still, an
//! OCI registry in this process that lies on demand, a raw socket for what HTTP libraries refuse to
//! send, a certificate authority, and signatures made here, Cosign's and the Notary Project's.
//!
//! Nothing in this crate judges anything: it makes evidence, right or wrong in one chosen fact, and
//! leaves the verdict to the code under test.

mod client;
mod clock;
pub mod cosign;
pub mod notation;
mod raw;
mod registry;
mod tls;

pub use client::{Answer, ReviewClient};
pub use clock::FixedClock;
pub use raw::{RawAnswer, RawServer};
pub use registry::{
    Auth, Credentials, Effect, Fault, RecordedRequest, RegistryOptions, StoredManifest,
    TestRegistry, fallback_tag, media_type, sha256_digest,
};
pub use tls::{Issued, TestAuthority};
