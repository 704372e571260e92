//! The in-toto statement by which Cosign 3 signs an image: which claims make it a signature.
//!
//! Specification: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.

use assay_core::{Algorithm, ReasonCode};
use serde::Deserialize;

use super::claims::{Annotations, Criteria};
use super::flaw::Flaw;

/// The predicate type that makes a statement a signature.
pub(super) const SIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

const STATEMENT_TYPES: [&str; 2] =
    ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// Unknown members are ignored, as the specification asks; a known one that stands twice is not.
#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    digest: DigestSet,
    annotations: Option<Annotations>,
}

/// A struct and not a map, in which a doubled `sha256` would pass.
#[derive(Default, Deserialize)]
struct DigestSet {
    sha256: Option<String>,
}

/// Nothing, where `payload` says that the image is signed, with the annotations that are asked for.
///
/// It does not check who says so: the payload's signature is verified before.
///
/// # Errors
/// [`Flaw`]: no statement, a statement of another kind (an attestation), one about other subjects,
/// or without an annotation.
pub(super) fn check(payload: &[u8], criteria: Criteria<'_>) -> Result<(), Flaw> {
    let statement: Statement = serde_json::from_slice(payload)
        .map_err(|_| Flaw::invalid("the signed payload is not an in-toto statement"))?;
    if !STATEMENT_TYPES.contains(&statement.kind.as_str()) {
        return Err(Flaw::invalid("the signed statement is of an unknown version"));
    }
    if statement.predicate_type != SIGN_PREDICATE_TYPE {
        return Err(Flaw::NOT_A_SIGNATURE);
    }
    let image = criteria.subject;
    let names_image = |resource: &&Resource| resource.digest.sha256.as_deref() == Some(image.hex());
    let is_sha256 = image.algorithm() == Algorithm::Sha256;
    let named = statement.subject.iter().filter(|_| is_sha256).filter(names_image);
    let check = |resource: &Resource| criteria.check_annotations(resource.annotations.as_ref());
    // Of several subjects that are the image, one with the annotations will do.
    named.map(check).reduce(Result::or).unwrap_or(Err(OTHER_SUBJECTS))
}

const OTHER_SUBJECTS: Flaw =
    Flaw::rejected(ReasonCode::SubjectMismatch, "no subject of the signed statement is the image");
