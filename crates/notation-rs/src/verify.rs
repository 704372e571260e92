//! The verification of one signature against one statement of a trust policy: which checks are made,
//! in which order, and what a failure of each leads to.

mod authentic_timestamp;
mod outcome;
mod revocation_check;

pub use outcome::{Failure, Outcome, Stage, ValidationResult, Verdict, VerifiedSignature};
pub use revocation_check::{
    Chain, NeverRevoked, OnlineRevocation, RevocationCheck, RevocationFailure,
};

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::EnvelopeFormat;
use crate::envelope::{Envelope, IntactEnvelope, SigningScheme};
use crate::error::VerificationError;
use crate::payload::TargetArtifact;
use crate::profile::Purpose;
use crate::trust_policy::{Statement, ValidationAction, ValidationType};
use crate::trust_store::{TrustStoreType, TrustStores};
use outcome::Results;
use revocation_check::require_good;

/// The header by which a signer asks for a plugin. Listed as critical or not, and whatever its value.
const VERIFICATION_PLUGIN: &str = "io.cncf.notary.verificationPlugin";

/// What has to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An artifact in a registry. All three must equal what the payload says.
    Artifact {
        /// The media type of its manifest.
        media_type: &'a str,
        /// Its digest, `algorithm:hex`.
        digest: &'a str,
        /// Its size in bytes.
        size: u64,
    },
    /// A file's content, which is hashed as the signing key's algorithm says.
    Blob {
        /// The content.
        content: &'a [u8],
        /// Its media type, if that matters.
        media_type: Option<&'a str>,
    },
}

/// One signature, and what is known of the artifact that it has to be over.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The envelope's bytes, and their format.
    pub envelope: (EnvelopeFormat, &'a [u8]),
    /// What has to be signed.
    pub subject: Subject<'a>,
    /// Metadata that has to be signed with it.
    pub user_metadata: &'a BTreeMap<String, String>,
    /// The statement of the trust policy that was selected for the artifact.
    pub statement: &'a Statement,
    /// The time.
    pub now: Timestamp,
}

/// Verifies signatures. Holds what all of them are held against.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// The stores that statements name.
    pub trust_stores: &'a TrustStores,
    /// Asks about the certificates of signers.
    pub revocation: &'a dyn RevocationCheck,
    /// Asks about the certificates of timestamp authorities.
    pub timestamp_revocation: &'a dyn RevocationCheck,
}

impl Verifier<'_> {
    /// What the checks of one signature came to, in this order:
    ///
    /// 1. integrity: the envelope and its certificate chain are sound, and the signature verifies;
    /// 2. no plugin is asked for, and every critical attribute is known;
    /// 3. authenticity: the chain meets a trust store, and the leaf is a trusted identity;
    /// 4. expiry;
    /// 5. authentic timestamp: the certificates were valid when the signature was made;
    /// 6. revocation, unless the level skips it. Nobody is asked about an untrusted chain: the
    ///    addresses to ask are in its certificates;
    /// 7. the payload is the artifact, and has the wanted user metadata.
    ///
    /// The first failure that is enforced is the verdict, and ends it; 1, 2 and 7 are enforced at
    /// every level but skip, at which nothing is read. An artifact without signatures is nothing
    /// that a level can let pass: that is the caller's to refuse.
    pub async fn verify(&self, request: &Request<'_>) -> Outcome {
        let mut results = Results::new(*request.statement.level());
        let verdict = self.run(request, &mut results).await;
        results.into_outcome(verdict)
    }

    async fn run(&self, request: &Request<'_>, results: &mut Results) -> Result<Verdict, Failure> {
        let statement = request.statement;
        let level = statement.level();
        if level.is_skip() {
            return Ok(Verdict::Skipped);
        }
        let (format, bytes) = request.envelope;
        let envelope = Envelope::parse(format, bytes).and_then(Envelope::verify_integrity);
        let envelope = envelope.map_err(VerificationError::from);
        let envelope = Arc::new(results.require(ValidationType::Integrity, envelope)?);
        results.envelope = Some(Arc::clone(&envelope));
        check_attributes(&envelope)?;
        let authenticity = self.check_authenticity(statement, &envelope);
        let is_trusted = authenticity.is_ok();
        results.record(ValidationType::Authenticity, authenticity)?;
        results.record(ValidationType::Expiry, check_expiry(&envelope, request.now))?;
        let timestamp = self.check_authentic_timestamp(request, &envelope).await;
        results.record(ValidationType::AuthenticTimestamp, timestamp)?;
        if level.action(ValidationType::Revocation) != ValidationAction::Skip {
            let revocation = match is_trusted {
                true => self.check_revocation(request, &envelope).await,
                false => Err(VerificationError::RevocationNotChecked),
            };
            results.record(ValidationType::Revocation, revocation)?;
        }
        let target = check_payload(request, &envelope)?;
        check_metadata(request, &target)?;
        Ok(Verdict::Verified(Box::new(VerifiedSignature { envelope, target })))
    }

    /// Some certificate of the chain has to be one of the stores', byte for byte, and the leaf's
    /// subject one of the identities.
    fn check_authenticity(
        &self,
        statement: &Statement,
        envelope: &IntactEnvelope,
    ) -> Result<(), VerificationError> {
        let kind = match envelope.attributes().scheme {
            SigningScheme::X509 => TrustStoreType::Ca,
            SigningScheme::X509SigningAuthority => TrustStoreType::SigningAuthority,
        };
        let trusted = self.trust_stores.certificates(kind, statement.trust_stores())?;
        let chain = envelope.chain();
        let is_trusted = chain.iter().any(|certificate| trusted.contains(certificate));
        let leaf = chain.first().filter(|_| is_trusted).ok_or(VerificationError::NotTrusted)?;
        match statement.trusts(leaf.subject_der())? {
            true => Ok(()),
            false => Err(VerificationError::IdentityMismatch),
        }
    }

    async fn check_revocation(
        &self,
        request: &Request<'_>,
        envelope: &IntactEnvelope,
    ) -> Result<(), VerificationError> {
        let attributes = envelope.attributes();
        let chain = Chain {
            certificates: envelope.chain(),
            purpose: Purpose::CodeSigning,
            authentic_signing_time: (attributes.scheme == SigningScheme::X509SigningAuthority)
                .then_some(attributes.signing_time),
            now: request.now,
        };
        Ok(require_good(self.revocation, chain).await?)
    }
}

/// What must be understood has to be, at every level: nothing here runs plugins, and no attribute is
/// known but those of the specification.
fn check_attributes(envelope: &IntactEnvelope) -> Result<(), Failure> {
    let attributes = &envelope.attributes().extended;
    if attributes.iter().any(|attribute| attribute.name == VERIFICATION_PLUGIN) {
        return Err(Failure { stage: Stage::Plugin, error: VerificationError::PluginUnavailable });
    }
    if attributes.iter().any(|attribute| attribute.critical) {
        return Err(Failure { stage: Stage::Critical, error: VerificationError::UnknownCritical });
    }
    Ok(())
}

fn check_expiry(envelope: &IntactEnvelope, now: Timestamp) -> Result<(), VerificationError> {
    match envelope.attributes().expiry {
        Some(expiry) if now >= expiry => Err(VerificationError::Expired { expiry }),
        _ => Ok(()),
    }
}

/// The artifact that the payload names, if it is the one at hand.
fn check_payload(
    request: &Request<'_>,
    envelope: &IntactEnvelope,
) -> Result<TargetArtifact, Failure> {
    let fail = |error| Failure { stage: Stage::Payload, error };
    let target = TargetArtifact::parse(envelope.payload()).map_err(|error| fail(error.into()))?;
    let is_subject = match request.subject {
        Subject::Artifact { media_type, digest, size } => target.matches(media_type, digest, size),
        Subject::Blob { content, media_type } => {
            let digest = blob_digest(envelope, content);
            let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
            target.matches(media_type.unwrap_or(&target.media_type), &digest, size)
        }
    };
    if is_subject { Ok(target) } else { Err(fail(VerificationError::DescriptorMismatch)) }
}

/// The digest of `content` by the hash function of the signing key's algorithm.
fn blob_digest(envelope: &IntactEnvelope, content: &[u8]) -> String {
    use std::fmt::Write as _;
    let hash = envelope.algorithm().hash();
    let mut digest = format!("{}:", hash.name());
    for byte in hash.digest(content) {
        // Writing to a string can't fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

fn check_metadata(request: &Request<'_>, target: &TargetArtifact) -> Result<(), Failure> {
    let differs = |(key, value): &(&String, &String)| target.annotations.get(*key) != Some(*value);
    match request.user_metadata.iter().find(differs) {
        None => Ok(()),
        Some((key, _)) => Err(Failure {
            stage: Stage::Metadata,
            error: VerificationError::MetadataMismatch { key: key.clone() },
        }),
    }
}

#[cfg(test)]
mod tests;
