//! Signatures that Cosign made with a key, in every form in which it stores them: simple signing at
//! the tag `sha256-<hex>.sig` or in a manifest that refers to the image (Cosign 2), and as a Sigstore
//! bundle that refers to the image (Cosign 3). One good signature is enough, in any order and from
//! either place; an attestation is not a signature. Transparency logs and timestamps are ignored:
//! the key alone is trusted.

mod bundle;
mod candidates;
mod claims;
mod fingerprint;
mod flaw;
mod keys;
mod message;
mod pem;
mod platforms;
mod public_key;
mod simple_signing;
mod statement;
mod tally;

use std::pin::pin;
use std::slice;

use assay_core::ports::{Context, Selector, Verifier};
use assay_core::{
    Access, ConfigError, CosignConfig, Descriptor, Digest, Outcome, Platforms, ReasonCode,
    Repository, State, Subject, TrustMaterial,
};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use candidates::Reader;
use claims::Criteria;
use keys::Keys;
use tally::Tally;

/// The verifier's type, as policies, reports and metrics name it.
const KIND: &str = "cosign";

/// Manifests of an index of which the signatures are searched at the same time.
const CONCURRENT_MANIFESTS_MAX: usize = 4;

/// Verifies the signatures of an image by the keys of the trust stores that a policy names.
#[derive(Debug)]
pub(crate) struct Cosign {
    config: CosignConfig,
    keys: Keys,
}

impl Cosign {
    /// The verifier that trusts the keys which `config` names in `material`.
    ///
    /// # Errors
    /// [`ConfigError`]: no store, a missing store, or one that does not hold supported keys alone.
    pub(crate) fn new(
        config: &CosignConfig,
        material: &TrustMaterial,
    ) -> Result<Self, ConfigError> {
        Ok(Self { config: config.clone(), keys: Keys::new(config, material)? })
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

    fn repositories(&self) -> &[Repository] {
        let place = self.config.signature_repository.as_ref();
        place.map(|place| slice::from_ref(&place.repository)).unwrap_or_default()
    }

    /// Accepted where a key has signed the subject, and all that it holds where the policy asks for
    /// that; the search goes on until every key has, or nothing is left to look at, because a policy
    /// may count signers.
    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        let place = match self.place(subject, context).await {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        let search = Search { verifier: self, context, now: context.now(), place };
        let image = search.signatures(subject.clone()).await;
        let mut parts = vec![image];
        if self.config.platforms == Platforms::All && parts.iter().all(Tally::is_signed) {
            match search.manifests(subject).await {
                Ok(manifests) => parts.extend(search.all_signatures(subject, manifests).await),
                Err(outcome) => return outcome,
            }
        }
        tally::outcome(&parts, &self.keys, search.now)
    }
}

impl Cosign {
    /// Where the signatures of `subject` are, and how they are read.
    ///
    /// # Errors
    /// The outcome where they are not to be read there, or cannot be.
    async fn place(
        &self,
        subject: &Subject,
        context: &dyn Context,
    ) -> Result<(Repository, Access), Outcome> {
        let Some(place) = &self.config.signature_repository else {
            return Ok((subject.repository.clone(), subject.access.clone()));
        };
        let host = place.repository.host();
        if place.own_host_only && host != subject.repository.host() {
            return Err(Outcome::new(
                State::Rejected(ReasonCode::PolicyInvalid),
                format!(
                    "signatureRepository is on {host}, which is neither the image's host nor \
                     one of the configuration's registries"
                ),
            ));
        }
        let access = context.access(subject, &place.repository).await?;
        Ok((place.repository.clone(), access))
    }
}

/// The search for the signatures of one image.
struct Search<'a> {
    verifier: &'a Cosign,
    context: &'a dyn Context,
    now: Timestamp,
    /// Where signatures are, and how they are read.
    place: (Repository, Access),
}

impl Search<'_> {
    /// The signatures of `subject`, as far as they need to be looked at.
    async fn signatures(&self, subject: Subject) -> Tally {
        let Cosign { config, keys } = self.verifier;
        let (repository, access) = self.place.clone();
        let signed = Subject { repository, access, descriptor: subject.descriptor.clone() };
        let criteria = Criteria {
            subject: signed.digest(),
            keys,
            now: self.now,
            annotations: &config.annotations,
        };
        let reader = Reader { subject: &signed, store: self.context.store(), criteria };
        let (mut tally, count) = (Tally::new(subject), keys.count(self.now));
        let mut findings = pin!(reader.findings());
        while let Some(finding) = findings.next().await {
            tally.add(finding);
            if tally.is_complete(count) {
                break;
            }
        }
        tally
    }

    /// What the index `subject` holds; nothing where it is a manifest.
    ///
    /// # Errors
    /// The outcome where that cannot be told.
    async fn manifests(&self, subject: &Subject) -> Result<Vec<Descriptor>, Outcome> {
        let at = Selector::Digest(subject.digest().clone());
        let index = self.context.store().manifest(&subject.repository, &at, &subject.access);
        let index =
            index.await.map_err(|error| Outcome::unread(&error, ReasonCode::ImageNotFound))?;
        let stores = self.verifier.keys.stores();
        platforms::manifests(&index.bytes)
            .map_err(|flaw| Outcome::new(flaw.state, flaw.message(stores)))
    }

    /// The signatures of each of `manifests`, in their order.
    async fn all_signatures(&self, index: &Subject, manifests: Vec<Descriptor>) -> Vec<Tally> {
        let subjects = manifests.into_iter().map(|descriptor| Subject {
            repository: index.repository.clone(),
            access: index.access.clone(),
            descriptor,
        });
        let searches = stream::iter(subjects).map(|subject| self.signatures(subject));
        searches.buffered(CONCURRENT_MANIFESTS_MAX).collect().await
    }
}
