//! Where signatures may stand, and the reading of them: the one file here that asks a registry.
//!
//! Both places are asked at once, and what one of them answers is looked at without waiting for the
//! other, so that an error, a delay or junk in one never hides a good signature in the other.

use std::collections::BTreeSet;

use assay_core::ports::{ArtifactStore, Selector};
use assay_core::{Algorithm, Descriptor, Digest, ReasonCode, Subject};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::bundle::{self, BUNDLE_TYPE};
use super::flaw::Flaw;
use super::keys::Keys;
use super::simple_signing::{self, SignedPayload};
use super::tally::{Artifact, Finding};

/// Candidates that are read from each of the two places. (Architecture, "Limits".) Each place has
/// its own, so that neither can use up what the other needs.
const CANDIDATES_MAX: usize = 50;

/// Candidates of one place that are read at the same time; registries throttle those who ask for
/// more.
const CONCURRENT_READS_MAX: usize = 8;

/// Bytes of a payload or bundle that is read as a signature. (Architecture, "Limits".)
const ENVELOPE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads the signatures of one subject.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// What is to be signed.
    pub(super) subject: &'a Subject,
    /// Where signatures are.
    pub(super) store: &'a dyn ArtifactStore,
    /// Who may have signed.
    pub(super) keys: &'a Keys,
}

/// Something that may hold a signature.
enum Candidate {
    /// A payload that the manifest at the signature tag names.
    Payload { manifest: Digest, payload: SignedPayload },
    /// A manifest that is listed as referring to the subject.
    Referrer(Digest),
}

/// What one place lists, and what there is to say of the place as a whole.
#[derive(Default)]
struct Listing {
    candidates: Vec<Candidate>,
    flaw: Option<Flaw>,
}

impl<'a> Reader<'a> {
    /// What there is to find, as it is read. Whoever has enough stops polling, and reads no more.
    pub(super) fn findings(self) -> impl Stream<Item = Finding> + Send + 'a {
        let tag = stream::once(self.list_tag()).flat_map(move |listing| self.read_all(listing));
        let referrers =
            stream::once(self.list_referrers()).flat_map(move |listing| self.read_all(listing));
        stream::select(tag, referrers)
    }

    /// The signatures at the tag, in their order.
    async fn list_tag(self) -> Listing {
        // Cosign signs by SHA-256 only, and a longer digest does not fit into a tag.
        if self.subject.digest().algorithm() != Algorithm::Sha256 {
            return Listing::default();
        }
        let at = Selector::Tag(simple_signing::tag(self.subject.digest()));
        self.try_list_tag(&at).await.unwrap_or_else(Listing::from)
    }

    async fn try_list_tag(self, at: &Selector) -> Result<Listing, Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let manifest = self.store.manifest(repository, at, access).await?;
        let (payloads, more) = simple_signing::payloads(&manifest.bytes, CANDIDATES_MAX)?;
        let candidates = payloads.into_iter().map(|payload| Candidate::Payload {
            manifest: manifest.descriptor.digest.clone(),
            payload,
        });
        Ok(Listing { candidates: candidates.collect(), flaw: more.then_some(TOO_MANY) })
    }

    /// The referrers that may be bundles, the likeliest first, each once.
    async fn list_referrers(self) -> Listing {
        match self.store.referrers(self.subject).await {
            Ok(listed) => Listing::of_referrers(listed),
            Err(error) => Listing::from(Flaw::from(error)),
        }
    }

    fn read_all(self, listing: Listing) -> impl Stream<Item = Finding> + Send + 'a {
        let read = stream::iter(listing.candidates)
            .map(move |candidate| self.read(candidate))
            .buffer_unordered(CONCURRENT_READS_MAX)
            .flat_map(stream::iter);
        let flaw = listing.flaw.map(|flaw| Finding { artifact: None, verdict: Err(flaw) });
        stream::iter(flaw).chain(read)
    }

    async fn read(self, candidate: Candidate) -> Vec<Finding> {
        match candidate {
            Candidate::Payload { manifest, payload } => self.read_payload(manifest, payload).await,
            Candidate::Referrer(digest) => vec![self.read_referrer(digest).await],
        }
    }

    /// One finding per signature over the payload, which is fetched once.
    async fn read_payload(self, manifest: Digest, payload: SignedPayload) -> Vec<Finding> {
        let verdicts = match self.blob(&payload.digest).await {
            Ok(bytes) => payload.verify(&bytes, self.subject.digest(), self.keys),
            Err(flaw) => vec![Err(flaw); payload.signatures.len()],
        };
        let artifact =
            Artifact { kind: simple_signing::ARTIFACT_TYPE, manifest, layer: Some(payload.digest) };
        let findings = verdicts
            .into_iter()
            .map(|verdict| Finding { artifact: Some(artifact.clone()), verdict });
        findings.collect()
    }

    async fn read_referrer(self, digest: Digest) -> Finding {
        let layer = self.bundle_layer(&digest).await;
        let verdict = match &layer {
            Ok(layer) => self
                .blob(&layer.digest)
                .await
                .and_then(|bytes| bundle::verify(&bytes, layer, self.subject.digest(), self.keys)),
            Err(flaw) => Err(flaw.clone()),
        };
        let artifact = Artifact {
            kind: BUNDLE_TYPE,
            manifest: digest,
            layer: layer.ok().map(|layer| layer.digest),
        };
        Finding { artifact: Some(artifact), verdict }
    }

    async fn bundle_layer(self, referrer: &Digest) -> Result<bundle::Layer, Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let at = Selector::Digest(referrer.clone());
        let manifest = self.store.manifest(repository, &at, access).await?;
        bundle::Layer::of(&manifest.bytes, self.subject.digest())
    }

    async fn blob(self, digest: &Digest) -> Result<Bytes, Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let blob = self.store.blob(repository, digest, access, ENVELOPE_BYTES_MAX);
        Ok(blob.await?)
    }
}

impl Listing {
    fn of_referrers(mut listed: Vec<Descriptor>) -> Self {
        let mut seen = BTreeSet::new();
        listed.retain(bundle::may_be_bundle);
        listed.sort_by_key(bundle::precedence);
        listed.retain(|entry| seen.insert(entry.digest.clone()));
        let flaw = (listed.len() > CANDIDATES_MAX).then_some(TOO_MANY);
        listed.truncate(CANDIDATES_MAX);
        Self {
            candidates: listed.into_iter().map(|entry| Candidate::Referrer(entry.digest)).collect(),
            flaw,
        }
    }
}

impl From<Flaw> for Listing {
    fn from(flaw: Flaw) -> Self {
        Self { candidates: Vec::new(), flaw: Some(flaw) }
    }
}

/// What is left unread; it counts only where nothing good was read.
const TOO_MANY: Flaw =
    Flaw::rejected(ReasonCode::TooManyCandidates, "there are more than are looked at");
