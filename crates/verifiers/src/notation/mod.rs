//! Signatures of the Notary Project: JWS and COSE envelopes in manifests that refer to the image,
//! held against a trust policy. The format and its checks are those of `notation-rs`; here they are
//! found, read, and brought together with trust stores and revocation data. One good signature
//! admits, in any order; what cannot be read never hides another.

mod candidates;
mod evidence;
mod flaw;
mod revocation;
mod tally;
mod trust;

use std::pin::pin;
use std::sync::Arc;

use assay_core::ports::{Context, Verifier};
use assay_core::{ConfigError, Digest, NotationConfig, Outcome, Subject, TrustMaterial};
use assay_core::{ReasonCode, State};
use async_trait::async_trait;
use futures_util::StreamExt;
use jiff::Timestamp;
use notation_rs::trust_policy::Statement;
use notation_rs::verify::{self, OnlineRevocation, Verdict};

use candidates::{Candidate, Reader};
use flaw::Flaw;
use revocation::{Revocation, Web};
use tally::{Finding, Signed, Tally};
use trust::Trust;

pub(crate) use evidence::{
    CACHE_BYTES_MAX, CRLS_AT_ONCE_MAX, EvidenceCache, TENANTS_CACHE_BYTES_MAX,
    TENANTS_CRLS_AT_ONCE_MAX,
};
pub(crate) use trust::expiry;

/// The verifier's type, as policies, reports and metrics name it.
const KIND: &str = "notation";

/// Verifies the signatures of an image by the trust policy and trust stores of a policy.
#[derive(Debug)]
pub(crate) struct Notation {
    config: NotationConfig,
    trust: Trust,
    evidence: Arc<EvidenceCache>,
}

impl Notation {
    /// The verifier that trusts what `config` names in `material`, and has revocation data from
    /// `evidence`.
    ///
    /// # Errors
    /// [`ConfigError`]: a trust policy that is none or lets everything pass, or a store that is
    /// missing or does not hold certificates of its type alone.
    pub(crate) fn new(
        config: &NotationConfig,
        material: &TrustMaterial,
        evidence: Arc<EvidenceCache>,
    ) -> Result<Self, ConfigError> {
        Ok(Self { config: config.clone(), trust: Trust::new(config, material)?, evidence })
    }

    /// What is found of `subject` under `statement`, up to the first signature that is good without a
    /// warning.
    async fn search(
        &self,
        subject: &Subject,
        statement: &Statement,
        context: &dyn Context,
    ) -> Tally {
        let trusted = self.trust.thumbprints();
        let reader = Reader { subject, store: context.store(), trusted };
        let (mut tally, mut candidates) = (Tally::default(), pin!(reader.candidates()));
        while let Some(candidate) = candidates.next().await {
            let finding = match candidate {
                Candidate::Flawed(artifact, flaw) => Finding { artifact, verdict: Err(flaw) },
                Candidate::Envelope(envelope) => {
                    let verdict = self.judge(subject, statement, context, &envelope).await;
                    Finding { artifact: Some(envelope.artifact), verdict }
                }
            };
            tally.findings.push(finding);
            if tally.is_signed_well() {
                break;
            }
        }
        tally
    }

    async fn judge(
        &self,
        subject: &Subject,
        statement: &Statement,
        context: &dyn Context,
        envelope: &candidates::Envelope,
    ) -> Result<Signed, Flaw> {
        let now: Timestamp = context.now();
        let revocation = Revocation::new(&self.evidence, context);
        let clock = || context.now();
        let fetcher = Web::new(context.fetch(), &clock);
        let online = OnlineRevocation { fetcher: &fetcher, cache: &revocation };
        let verifier = verify::Verifier::new(self.trust.stores(), &online, &online);
        let digest = subject.digest().to_string();
        let outcome = verifier
            .verify(&verify::Request {
                envelope: (envelope.format, &envelope.bytes),
                subject: verify::Subject::Artifact {
                    media_type: &subject.descriptor.media_type,
                    digest: &digest,
                    size: subject.descriptor.size,
                },
                user_metadata: &self.config.user_metadata,
                statement,
                now,
            })
            .await;
        match &outcome.verdict {
            Ok(Verdict::Verified(verified)) => {
                Ok(Signed::new(&verified.envelope, &outcome, now, revocation.fresh_until()))
            }
            // No statement of this level gets here; and if one did, nothing was verified.
            Ok(Verdict::Skipped) => {
                Err(Flaw::rejected(ReasonCode::PolicyInvalid, "the trust policy verifies nothing"))
            }
            Err(failure) => Err(Flaw::from(&failure.error)),
        }
    }
}

#[async_trait]
impl Verifier for Notation {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn fingerprint(&self) -> &Digest {
        self.trust.fingerprint()
    }

    /// Accepted where one signature meets the statement of the trust policy for the repository.
    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        let Some(statement) = self.trust.statement(&subject.reference()) else {
            return Outcome::new(
                State::Rejected(ReasonCode::NotCovered),
                format!("no statement of the trust policy is for {}", subject.repository),
            );
        };
        let tally = self.search(subject, statement, context).await;
        tally.outcome(subject, self.trust.names())
    }
}
