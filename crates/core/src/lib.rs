//! The words and the ports: what every room of Assay means by an image, a digest, an outcome, and
//! what it may ask of the world. No runtime, no client, no wire format but the report.
//!
//! Architecture invariant: nothing here does I/O; time, network and randomness come in through
//! [`ports`].

mod access;
mod config;
mod descriptor;
mod digest;
mod duration;
mod manifest;
mod outcome;
pub mod ports;
mod reason;
mod reference;
mod report;
mod store_error;

pub use access::{Access, AccessScope, Credential};
pub use config::{
    CertificateKind, CertificateStore, ConfigError, CosignConfig, HashAlgorithm, KeyConfig,
    KeySource, NotationConfig, NotationStatement, NotationTrustPolicy, Platforms,
    SignatureRepository, TrustMaterial, TrustStoreKind, TrustStoreMaterial, Validity,
    VerifierConfig,
};
pub use descriptor::{Descriptor, Subject};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use duration::parse_go_duration;
pub use manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError, media_type};
pub use outcome::{Outcome, SignerId, State};
pub use reason::ReasonCode;
pub use reference::{ImageReference, REFERENCE_BYTES_MAX, ReferenceError, Repository};
pub use report::VerifierReport;
pub use store_error::StoreError;
