//! Where signatures may stand, and the reading of them: the one file here that asks a registry.
//!
//! Both places are asked at once, and what one of them answers is looked at without waiting for the
//! other, so that an error, a delay or junk in one never hides a good signature in the other.

use std::collections::BTreeSet;
use std::future::{self, poll_fn};
use std::task::Poll;

use assay_core::ports::{ArtifactStore, Selector};
use assay_core::{Algorithm, Descriptor, Digest, Manifest, ReasonCode, Subject};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::bundle::{self, BUNDLE_TYPE};
use super::claims::Criteria;
use super::flaw::{Flaw, Verdict};
use super::message::Message;
use super::simple_signing::{self, SignedPayload};
use super::tally::{Artifact, Finding};

/// Signatures that are looked at in each of the two places. (Architecture, "Limits".) Each place has
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
    /// What is to be signed, in the repository where its signatures are.
    pub(super) subject: &'a Subject,
    /// What reads there.
    pub(super) store: &'a dyn ArtifactStore,
    /// What makes a signature good.
    pub(super) criteria: Criteria<'a>,
}

/// Something that holds signatures, or nothing of the kind.
enum Candidate {
    /// The one layer of a referrer, with the digest of its manifest.
    Bundle(Digest, bundle::Layer),
    /// What need not be read.
    Flawed(Finding),
    /// A payload, with the digest of the manifest that names it.
    Payload(Digest, SignedPayload),
}

impl Candidate {
    fn signatures(&self) -> usize {
        match self {
            Self::Bundle(..) | Self::Flawed(_) => 1,
            Self::Payload(_, payload) => payload.signatures.len(),
        }
    }

    /// That a whole place, or the rest of it, is no good.
    fn place(flaw: Flaw) -> Self {
        Self::Flawed(Finding { artifact: None, verdict: Err(flaw) })
    }

    /// The payloads among the layers of a manifest.
    fn payloads(manifest: &Digest, layers: Vec<Descriptor>) -> Vec<Self> {
        let (payloads, more) = simple_signing::payloads(layers, CANDIDATES_MAX);
        let payloads = payloads.into_iter().map(|payload| Self::Payload(manifest.clone(), payload));
        payloads.chain(more.then(|| Self::place(TOO_MANY))).collect()
    }
}

impl<'a> Reader<'a> {
    /// What there is to find, as it is read. Whoever has enough stops polling, and reads no more.
    pub(super) fn findings(self) -> impl Stream<Item = Finding> + Send + 'a {
        let tag = stream::once(self.at_tag()).flat_map(stream::iter);
        let referrers = stream::once(self.referrers())
            .flat_map(stream::iter)
            .map(move |referrer| self.open(referrer))
            .buffer_unordered(CONCURRENT_READS_MAX)
            .flat_map(stream::iter);
        stream::select(self.read_all(tag), self.read_all(referrers))
    }

    /// The candidates at the signature tag, in their order.
    async fn at_tag(self) -> Vec<Candidate> {
        let digest = self.subject.digest();
        // Cosign signs by SHA-256 only, and a longer digest does not fit into a tag.
        if digest.algorithm() != Algorithm::Sha256 {
            return Vec::new();
        }
        let at = Selector::Tag(simple_signing::tag(digest));
        match self.manifest(&at).await {
            Err(flaw) => vec![Candidate::place(flaw)],
            Ok((digest, bytes)) => match Manifest::parse(&bytes) {
                Ok(Manifest::Image { layers, .. }) => Candidate::payloads(&digest, layers),
                _ => vec![Candidate::place(NO_IMAGE)],
            },
        }
    }

    /// The referrers that may hold signatures, the likeliest first, each once.
    async fn referrers(self) -> Vec<Result<Digest, Flaw>> {
        let mut listed = match self.store.referrers(self.subject).await {
            Ok(listed) => listed,
            Err(error) => return vec![Err(error.into())],
        };
        let mut seen = BTreeSet::new();
        listed.retain(may_be_signature);
        listed.sort_by_key(bundle::precedence);
        listed.retain(|entry| seen.insert(entry.digest.clone()));
        let more = listed.len() > CANDIDATES_MAX;
        listed.truncate(CANDIDATES_MAX);
        let referrers = listed.into_iter().map(|entry| Ok(entry.digest));
        referrers.chain(more.then_some(Err(TOO_MANY))).collect()
    }

    /// The candidates in a referrer's manifest.
    async fn open(self, referrer: Result<Digest, Flaw>) -> Vec<Candidate> {
        let digest = match referrer {
            Ok(digest) => digest,
            Err(flaw) => return vec![Candidate::place(flaw)],
        };
        let manifest = self.manifest(&Selector::Digest(digest.clone())).await;
        match manifest.and_then(|(_, bytes)| self.candidates(&digest, &bytes)) {
            Ok(candidates) => candidates,
            Err(flaw) => {
                let artifact = Artifact { kind: BUNDLE_TYPE, manifest: digest, layer: None };
                vec![Candidate::Flawed(Finding { artifact: Some(artifact), verdict: Err(flaw) })]
            }
        }
    }

    /// The candidates in a referrer's manifest: what its layers are counts, whatever it is called.
    fn candidates(self, digest: &Digest, manifest: &[u8]) -> Result<Vec<Candidate>, Flaw> {
        let Ok(Manifest::Image { layers, subject: about, annotations, .. }) =
            Manifest::parse(manifest)
        else {
            return Err(Flaw::invalid("a referrer is no image manifest"));
        };
        if about.is_none_or(|about| about.digest != *self.subject.digest()) {
            // A list of referrers is a hint, and the fallback tag is anybody's to write.
            return Err(Flaw::invalid("a listed referrer is about something else"));
        }
        if !layers.iter().any(bundle::is_bundle) && layers.iter().any(simple_signing::is_payload) {
            return Ok(Candidate::payloads(digest, layers));
        }
        let layer = bundle::Layer::of(layers, &annotations)?;
        Ok(vec![Candidate::Bundle(digest.clone(), layer)])
    }

    /// What the candidates of one place come to, up to [`CANDIDATES_MAX`] signatures.
    fn read_all(
        self,
        candidates: impl Stream<Item = Candidate> + Send + 'a,
    ) -> impl Stream<Item = Finding> + Send + 'a {
        candidates
            .scan(Some(CANDIDATES_MAX), |left, candidate| {
                let before = *left;
                *left = before.and_then(|left| left.checked_sub(candidate.signatures()));
                let last = before.map(|_| Candidate::place(TOO_MANY));
                future::ready(if left.is_some() { Some(candidate) } else { last })
            })
            .map(move |candidate| self.read(candidate))
            .buffer_unordered(CONCURRENT_READS_MAX)
            .flat_map(stream::iter)
    }

    async fn read(self, candidate: Candidate) -> Vec<Finding> {
        match candidate {
            Candidate::Bundle(manifest, layer) => vec![self.read_bundle(manifest, layer).await],
            Candidate::Flawed(finding) => vec![finding],
            Candidate::Payload(manifest, payload) => self.read_payload(manifest, payload).await,
        }
    }

    /// One finding per signature over the payload, which is fetched once.
    async fn read_payload(self, manifest: Digest, payload: SignedPayload) -> Vec<Finding> {
        let verdicts = match self.blob(&payload.digest).await {
            Ok(bytes) => self.verify_all(&bytes, &payload.signatures).await,
            Err(flaw) => vec![Err(flaw); payload.signatures.len()],
        };
        let artifact =
            Artifact { kind: simple_signing::ARTIFACT_TYPE, manifest, layer: Some(payload.digest) };
        let findings = verdicts
            .into_iter()
            .map(|verdict| Finding { artifact: Some(artifact.clone()), verdict });
        findings.collect()
    }

    async fn verify_all(self, payload: &[u8], signatures: &[String]) -> Vec<Verdict> {
        let message = Message::new(payload);
        let mut verdicts = Vec::new();
        for signature in signatures {
            verdicts.push(simple_signing::verify(&message, signature, self.criteria));
            // Each signature meets each key, which together may take a while.
            step_aside().await;
        }
        verdicts
    }

    async fn read_bundle(self, manifest: Digest, layer: bundle::Layer) -> Finding {
        let bytes = self.blob(&layer.digest).await;
        let verdict = bytes.and_then(|bytes| bundle::verify(&bytes, &layer, self.criteria));
        let artifact = Artifact { kind: BUNDLE_TYPE, manifest, layer: Some(layer.digest) };
        Finding { artifact: Some(artifact), verdict }
    }

    async fn manifest(self, at: &Selector) -> Result<(Digest, Bytes), Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let manifest = self.store.manifest(repository, at, access).await?;
        Ok((manifest.descriptor.digest, manifest.bytes))
    }

    async fn blob(self, digest: &Digest) -> Result<Bytes, Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let blob = self.store.blob(repository, digest, access, ENVELOPE_BYTES_MAX);
        Ok(blob.await?)
    }
}

/// Whether a referrer may hold signatures, by the type that it is listed under.
fn may_be_signature(referrer: &Descriptor) -> bool {
    let artifact_type = referrer.artifact_type.as_deref().unwrap_or_default();
    artifact_type == simple_signing::ARTIFACT_TYPE || bundle::may_be_bundle(artifact_type)
}

/// Lets other tasks of the thread go first, once.
async fn step_aside() {
    let mut stepped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What is left unread; it counts only where nothing good was read.
const TOO_MANY: Flaw =
    Flaw::rejected(ReasonCode::TooManyCandidates, "there are more than are looked at");

const NO_IMAGE: Flaw = Flaw::invalid("the signature tag holds no image manifest");
