//! The verification of one signature against one statement of a trust policy: which checks are made,
//! in which order, and what a failure of each leads to.

mod authentic_timestamp;
mod outcome;
mod plugin_check;
mod revocation_check;

pub use outcome::{Failure, Outcome, Stage, ValidationResult, Verdict, VerifiedSignature};
pub use revocation_check::{
    Chain, NeverRevoked, OnlineRevocation, RevocationCheck, RevocationFailure,
};

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::EnvelopeFormat;
use crate::envelope::{ENVELOPE_BYTES_MAX, Envelope, IntactEnvelope, SigningScheme};
use crate::error::VerificationError;
use crate::identity::UnknownAttributes;
use crate::payload::TargetArtifact;
use crate::plugin::{Capability, VerificationPlugin};
use crate::profile::Purpose;
use crate::revocation::names_nobody;
use crate::trust_policy::{Statement, ValidationAction, ValidationType};
use crate::trust_store::{TrustStoreType, TrustStores};
use outcome::Results;
use revocation_check::require_good;

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

/// Verifies signatures. Holds what all of them are held against; [`Verifier::new`] is what is usual.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// The stores that statements name.
    pub trust_stores: &'a TrustStores,
    /// Asks about the certificates of signers.
    pub revocation: &'a dyn RevocationCheck,
    /// Asks about the certificates of timestamp authorities.
    pub timestamp_revocation: &'a dyn RevocationCheck,
    /// The plugins that signers may ask for.
    pub plugins: &'a [&'a dyn VerificationPlugin],
    /// Bytes of one envelope. More than
    /// [`ENVELOPE_BYTES_LIMIT`](crate::envelope::ENVELOPE_BYTES_LIMIT) counts as that.
    pub envelope_bytes_max: usize,
    /// What attributes of unknown types make of a signer's subject, where not everybody is trusted.
    pub unknown_attributes: UnknownAttributes,
}

impl<'a> Verifier<'a> {
    /// A verifier without plugins that reads envelopes of [`ENVELOPE_BYTES_MAX`] and ignores what it
    /// does not know of a signer's subject.
    pub const fn new(
        trust_stores: &'a TrustStores,
        revocation: &'a dyn RevocationCheck,
        timestamp_revocation: &'a dyn RevocationCheck,
    ) -> Self {
        Self {
            trust_stores,
            revocation,
            timestamp_revocation,
            plugins: &[],
            envelope_bytes_max: ENVELOPE_BYTES_MAX,
            unknown_attributes: UnknownAttributes::Ignore,
        }
    }

    /// What the checks of one signature came to, in this order:
    ///
    /// 1. integrity: the envelope and its certificate chain are sound, and the signature verifies;
    /// 2. the plugin that is asked for is here; without one, every critical attribute is known;
    /// 3. authenticity: the chain meets a trust store, and the leaf is a trusted identity;
    /// 4. expiry;
    /// 5. authentic timestamp: the certificates were valid when the signature was made;
    /// 6. revocation, unless the level skips it. Nobody is asked about a chain that meets no trust
    ///    store, since the addresses to ask are in its certificates: if it has any, this fails;
    /// 7. the plugin's results, in place of identity, of revocation or of both; and it has processed
    ///    every critical attribute that is not known;
    /// 8. the payload is the artifact, and has the wanted user metadata.
    ///
    /// The first failure that is enforced is the verdict, and ends it; 1, 2 and 8 are enforced at
    /// every level but skip, at which nothing is read, and so is all of 7 but a plugin's saying no.
    /// An artifact without signatures is nothing that a level can let pass: that is the caller's to
    /// refuse.
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
        let envelope = Envelope::parse_up_to(self.envelope_bytes_max, format, bytes)
            .and_then(Envelope::verify_integrity);
        let envelope = envelope.map_err(VerificationError::from);
        let envelope = Arc::new(results.require(ValidationType::Integrity, envelope)?);
        results.envelope = Some(Arc::clone(&envelope));
        let plugin = plugin_check::gate(self.plugins, &envelope)?;
        let is_delegated =
            |capability| plugin.is_some_and(|plugin| plugin.capabilities().contains(&capability));
        let trust = self.check_trust(statement, &envelope);
        let anchor = trust.as_ref().ok().copied();
        let identity = match is_delegated(Capability::TrustedIdentity) {
            true => Ok(()),
            false => self.check_identity(statement, &envelope),
        };
        // One result for both: the first enforced failure, or else the last that is noted.
        let authenticity = match level.action(ValidationType::Authenticity) {
            ValidationAction::Log => identity.and(trust.map(drop)),
            _ => trust.and(identity),
        };
        results.record(ValidationType::Authenticity, authenticity)?;
        results.record(ValidationType::Expiry, check_expiry(&envelope, request.now))?;
        let timestamp = self.check_authentic_timestamp(request, &envelope).await;
        results.record(ValidationType::AuthenticTimestamp, timestamp)?;
        let asks_revocation = level.action(ValidationType::Revocation) != ValidationAction::Skip;
        let delegates_revocation = anchor.is_some() && is_delegated(Capability::RevocationCheck);
        if asks_revocation && !delegates_revocation {
            let revocation = match anchor {
                Some(anchor) => self.check_revocation(request, &envelope, anchor).await,
                None if names_nobody(envelope.chain()) => Ok(()),
                None => Err(VerificationError::RevocationNotChecked),
            };
            results.record(ValidationType::Revocation, revocation)?;
        }
        if let Some(plugin) = plugin {
            let is_asked = |capability: &Capability| match capability {
                Capability::RevocationCheck => asks_revocation && delegates_revocation,
                Capability::TrustedIdentity => is_delegated(Capability::TrustedIdentity),
            };
            let capabilities: Vec<_> = Capability::ALL.into_iter().filter(is_asked).collect();
            let signature = (request, &*envelope);
            plugin_check::ask(plugin, &capabilities, signature, results).await?;
        }
        let target = check_payload(request, &envelope)?;
        check_metadata(request, &target)?;
        Ok(Verdict::Verified(Box::new(VerifiedSignature { envelope, target })))
    }

    /// Where in the chain a certificate stands that is one of the stores', byte for byte; of several,
    /// the one nearest to the root.
    fn check_trust(
        &self,
        statement: &Statement,
        envelope: &IntactEnvelope,
    ) -> Result<usize, VerificationError> {
        let kind = match envelope.attributes().scheme {
            SigningScheme::X509 => TrustStoreType::Ca,
            SigningScheme::X509SigningAuthority => TrustStoreType::SigningAuthority,
        };
        let trusted = self.trust_stores.certificates(kind, statement.trust_stores())?;
        let anchor = envelope.chain().iter().rposition(|certificate| trusted.contains(certificate));
        anchor.ok_or(VerificationError::NotTrusted)
    }

    /// The leaf's subject has to be one of the identities.
    fn check_identity(
        &self,
        statement: &Statement,
        envelope: &IntactEnvelope,
    ) -> Result<(), VerificationError> {
        let leaf = envelope.chain().first().ok_or(VerificationError::NotTrusted)?;
        match statement.trusts(leaf.subject_der(), self.unknown_attributes)? {
            true => Ok(()),
            false => Err(VerificationError::IdentityMismatch),
        }
    }

    async fn check_revocation(
        &self,
        request: &Request<'_>,
        envelope: &IntactEnvelope,
        anchor: usize,
    ) -> Result<(), VerificationError> {
        let attributes = envelope.attributes();
        let chain = Chain {
            certificates: envelope.chain(),
            anchor,
            purpose: Purpose::CodeSigning,
            authentic_signing_time: (attributes.scheme == SigningScheme::X509SigningAuthority)
                .then_some(attributes.signing_time),
            now: request.now,
        };
        Ok(require_good(self.revocation, chain).await?)
    }
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
