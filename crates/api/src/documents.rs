//! Documents: what a file of policies, trust stores and their Secrets holds, each decoded by itself,
//! so that a bad one hides no other.

mod decode;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use assay_policy::Invalid;

use crate::limits::FILE_BYTES_MAX;
use crate::resources::{
    ClusterImageAdmissionPolicy, ClusterTrustStore, EnforcementAction, ImageAdmissionPolicy, Tier,
    TrustStore,
};
use crate::yaml;

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// An object of the cluster.
    Cluster {
        /// Its kind.
        kind: &'static str,
        /// Its namespace, where the kind has one.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// A file.
    File {
        /// Its path.
        file: PathBuf,
        /// Which of the file's documents, from 0; empty ones do not count.
        index: usize,
    },
}

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it stands.
    pub origin: Origin,
    /// What it says, or why that cannot be told.
    pub body: Result<Body, DocumentError>,
}

/// What a document says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A policy of the platform.
    ClusterImageAdmissionPolicy(Box<ClusterImageAdmissionPolicy>),
    /// A trust store of the platform.
    ClusterTrustStore(Box<ClusterTrustStore>),
    /// A ConfigMap's data.
    ConfigMap(KeyedData),
    /// A policy of a namespace.
    ImageAdmissionPolicy(Box<ImageAdmissionPolicy>),
    /// A namespace's labels.
    Namespace {
        /// Its name.
        name: String,
        /// Its labels.
        labels: BTreeMap<String, String>,
    },
    /// A Secret's data.
    Secret(KeyedData),
    /// A trust store of a namespace.
    TrustStore(Box<TrustStore>),
}

/// What a Secret or ConfigMap holds, decoded. Its `Debug` shows no values.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyedData {
    /// The namespace; `default` where none is given, as with kubectl.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The entries.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// Why a document cannot be read, and what could be read of it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// What is wrong, and in which field.
    pub invalid: Invalid,
    /// What it is.
    pub kind: DocumentKind,
    /// `metadata.namespace`, where it can be read.
    pub namespace: Option<String>,
    /// `metadata.name`, where it can be read.
    pub name: Option<String>,
    /// `spec.enforcementAction`, where it can be read; deny else.
    pub enforcement_action: EnforcementAction,
    /// `spec.tier`, where it can be read; Mandatory else.
    pub tier: Tier,
}

/// What a document that cannot be read is, or must be taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A ClusterImageAdmissionPolicy, or something that may be one.
    ClusterPolicy,
    /// A kind that is no policy. Nothing rests on it but what names it.
    Other,
    /// An ImageAdmissionPolicy.
    Policy,
}

/// The documents in the text of `file`, in order. One that cannot be read is there as its error, and
/// so is a whole file that is too large or not UTF-8.
pub fn read_documents(file: &Path, bytes: &[u8]) -> Vec<Document> {
    let origin = |index| Origin::File { file: file.to_owned(), index };
    let document = |index, body| Document { origin: origin(index), body };
    if bytes.len() > FILE_BYTES_MAX {
        let reason = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return vec![document(0, Err(DocumentError::unreadable(reason)))];
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let error = DocumentError::unreadable("the file is not UTF-8".to_owned());
        return vec![document(0, Err(error))];
    };
    let parsed = yaml::split(text).into_iter().map(|(line, text)| yaml::parse(text, line));
    let bodies = parsed.flat_map(|parsed| match parsed {
        Ok(None) => Vec::new(),
        Ok(Some(value)) => decode::items(value).into_iter().map(decode::body).collect(),
        Err(reason) => vec![Err(DocumentError::unreadable(reason))],
    });
    bodies.enumerate().map(|(index, body)| document(index, body)).collect()
}

/// The document that `value` is. One that cannot be read is there as its error.
pub fn document_from_value(origin: Origin, value: serde_json::Value) -> Document {
    Document { origin, body: decode::body(value) }
}

/// The objects in a stream of YAML, of whatever kind, in order: manifests. Empty documents are left
/// out.
///
/// # Errors
/// Each object that is no YAML has its error in its place: where and what.
pub fn read_objects(bytes: &[u8]) -> Vec<Result<serde_json::Value, String>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec![Err("it is not UTF-8".to_owned())];
    };
    let parsed = yaml::split(text).into_iter().map(|(line, text)| yaml::parse(text, line));
    parsed.filter_map(Result::transpose).collect()
}

impl DocumentError {
    /// The error of a text of which nothing can be told: it may have been any policy.
    fn unreadable(reason: String) -> Self {
        Self {
            invalid: crate::invalid("document", reason),
            kind: DocumentKind::ClusterPolicy,
            namespace: None,
            name: None,
            enforcement_action: EnforcementAction::Deny,
            tier: Tier::Mandatory,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { .. } => f.write_str("the cluster"),
            Self::File { file, index } => {
                write!(f, "{}, document {}", file.display(), index.saturating_add(1))
            }
        }
    }
}

impl fmt::Debug for KeyedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        write!(f, "{}/{} {keys:?}", self.namespace, self.name)
    }
}
