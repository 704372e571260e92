//! Signatures that Cosign made with an ECDSA P-256 key, in both forms in which it stores them: at
//! the tag `sha256-<hex>.sig` (Cosign 2) and as a Sigstore bundle that refers to the image
//! (Cosign 3). One good signature is enough, in any order and from either place; an attestation is
//! not a signature. Transparency logs and timestamps are ignored: the key alone is trusted.

mod bundle;
mod candidates;
mod flaw;
mod keys;
mod simple_signing;
mod statement;
mod tally;

use std::pin::pin;

use assay_core::ports::{Context, Verifier};
use assay_core::{ConfigError, CosignConfig, Digest, Outcome, Subject, TrustMaterial};
use async_trait::async_trait;
use futures_util::StreamExt;

use candidates::Reader;
use keys::Keys;
use tally::Tally;

/// The verifier's type, as policies, reports and metrics name it.
const KIND: &str = "cosign";

/// Verifies the signatures of an image by the keys of the trust stores that a policy names.
#[derive(Debug)]
pub(crate) struct Cosign {
    keys: Keys,
}

impl Cosign {
    /// The verifier that trusts the keys which `config` names in `material`.
    ///
    /// # Errors
    /// [`ConfigError`]: no store, a missing store, or one that does not hold P-256 keys alone.
    pub(crate) fn new(
        config: &CosignConfig,
        material: &TrustMaterial,
    ) -> Result<Self, ConfigError> {
        Ok(Self { keys: Keys::new(config, material)? })
    }
}

#[async_trait]
impl Verifier for Cosign {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn fingerprint(&self) -> &Digest {
        self.keys.fingerprint()
    }

    /// Accepted where a key has signed the subject; the search goes on until every key has, or
    /// nothing is left to look at, because a policy may count signers.
    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        let reader = Reader { subject, store: context.store(), keys: &self.keys };
        let mut tally = Tally::default();
        let mut findings = pin!(reader.findings());
        while let Some(finding) = findings.next().await {
            tally.add(finding);
            if tally.signers() == self.keys.count() {
                break;
            }
        }
        let is_partial = tally.is_partial(self.keys.count());
        let mut outcome = tally.outcome(subject, self.keys.stores());
        if is_partial {
            // Good for this request, and not to be remembered: the next may find more signers.
            outcome.valid_until = Some(context.now());
        }
        outcome
    }
}
