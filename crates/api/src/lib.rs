//! The resources as users write them, in the cluster and in files, and [`compile`], which makes of
//! them the Snapshot that requests are judged by. The webhook, the controller and the command line
//! use the one `compile`. No client and no I/O: bytes come in through [`Sources`].
//!
//! Architecture invariant: a document lowers in two steps, wire type to typed policy, and what does
//! not lower is an [`Invalid`](assay_policy::Invalid) in its place, which closes what it would have
//! judged.

mod compile;
mod configuration;
mod documents;
pub mod limits;
mod references;
pub mod resources;
mod sources;
mod yaml;

pub use compile::{CompileOptions, Compiled, Problem, StoreId, compile};
pub use configuration::{
    CacheConfiguration, Configuration, ConfigurationError, CredentialProvider,
    CredentialProviderFiles, LogConfiguration, LogFormat, LogLevel, PathToken, PullSecrets,
    RegistryConfiguration, WebhookConfiguration, read_credential_providers,
};
pub use documents::{
    Body, Document, DocumentError, DocumentKind, KeyedData, Origin, document_from_value,
    read_documents, read_objects,
};
pub use references::{MaterialKind, MaterialReference, StoreReference};
pub use sources::{GivenSources, Sources};

/// An [`Invalid`](assay_policy::Invalid) on one line: its text goes into messages, where a line break
/// out of a document could pass for a line of ours.
fn invalid(field: impl AsRef<str>, reason: impl AsRef<str>) -> assay_policy::Invalid {
    assay_policy::Invalid { field: one_line(field.as_ref()), reason: one_line(reason.as_ref()) }
}

/// `text` with its white space, line breaks too, as single blanks, and without control characters.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|char| !char.is_control()).collect()
}
