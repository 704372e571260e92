//! The finding and reading of envelopes: the one file here that asks a registry. Lists are hints; a
//! manifest counts by its own shape and `subject`.

use std::collections::BTreeSet;

use assay_core::ports::{ArtifactStore, Selector};
use assay_core::{Descriptor, Digest, Manifest, ReasonCode, Subject};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use notation_rs::envelope::ENVELOPE_BYTES_MAX;
use notation_rs::{ARTIFACT_TYPE, EnvelopeFormat, THUMBPRINTS_ANNOTATION};

use super::flaw::Flaw;
use super::tally::Artifact;

/// Signatures of one image that are read. (Architecture, "Limits".)
const CANDIDATES_MAX: usize = 50;

/// Signatures that are read at the same time; registries throttle those who ask for more.
const CONCURRENT_READS_MAX: usize = 8;

/// The type of the config of an artifact that has none. (OCI image specification, "Guidance for an
/// Empty Descriptor".)
const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";

/// Reads the signatures of one subject.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// What is to be signed.
    pub(super) subject: &'a Subject,
    /// What reads there.
    pub(super) store: &'a dyn ArtifactStore,
    /// The certificates of the trust stores, by their SHA-256 in hexadecimal: signatures that say that
    /// they lead to one are read first.
    pub(super) trusted: &'a BTreeSet<String>,
}

/// What a referrer came to.
pub(super) enum Candidate {
    /// An envelope, not looked into yet.
    Envelope(Envelope),
    /// What could not be read, or is no signature of the subject; of no artifact where the list is.
    Flawed(Option<Artifact>, Flaw),
}

/// A signature envelope.
pub(super) struct Envelope {
    pub(super) artifact: Artifact,
    pub(super) format: EnvelopeFormat,
    pub(super) bytes: Bytes,
}

impl<'a> Reader<'a> {
    /// What there is, as it is read. Whoever has enough stops polling, and reads no more.
    pub(super) fn candidates(self) -> impl Stream<Item = Candidate> + Send + 'a {
        stream::once(self.referrers())
            .flat_map(stream::iter)
            .map(move |referrer| self.open(referrer))
            .buffer_unordered(CONCURRENT_READS_MAX)
    }

    /// The referrers that are listed as signatures, in the registry's order but for what they say of
    /// their signers, each once.
    async fn referrers(self) -> Vec<Result<Digest, Flaw>> {
        let mut listed = match self.store.referrers(self.subject).await {
            Ok(listed) => listed,
            Err(error) => return vec![Err(error.into())],
        };
        let mut seen = BTreeSet::new();
        listed.retain(|entry| is_signature(entry) && seen.insert(entry.digest.clone()));
        listed.sort_by_cached_key(|entry| !self.names_trusted(entry));
        let more = listed.len() > CANDIDATES_MAX;
        listed.truncate(CANDIDATES_MAX);
        let referrers = listed.into_iter().map(|entry| Ok(entry.digest));
        referrers.chain(more.then_some(Err(TOO_MANY))).collect()
    }

    /// Whether the entry says that its signature leads to a trusted certificate. Anybody can say so.
    fn names_trusted(self, entry: &Descriptor) -> bool {
        let text = entry.annotations.get(THUMBPRINTS_ANNOTATION);
        let thumbprints = text.and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        let mut thumbprints = thumbprints.into_iter().flatten();
        thumbprints.any(|thumbprint| self.trusted.contains(&thumbprint.to_ascii_lowercase()))
    }

    async fn open(self, referrer: Result<Digest, Flaw>) -> Candidate {
        let manifest = match referrer {
            Ok(digest) => digest,
            Err(flaw) => return Candidate::Flawed(None, flaw),
        };
        let artifact = Artifact { manifest };
        match self.read(&artifact.manifest).await {
            Ok((format, bytes)) => Candidate::Envelope(Envelope { artifact, format, bytes }),
            Err(flaw) => Candidate::Flawed(Some(artifact), flaw),
        }
    }

    /// The envelope of the signature whose manifest has `digest`.
    async fn read(self, digest: &Digest) -> Result<(EnvelopeFormat, Bytes), Flaw> {
        let Subject { repository, access, .. } = self.subject;
        let at = Selector::Digest(digest.clone());
        let manifest = self.store.manifest(repository, &at, access).await?;
        let (format, layer) = envelope(&manifest.bytes, self.subject.digest())?;
        let bytes_max = u64::try_from(ENVELOPE_BYTES_MAX).unwrap_or(u64::MAX);
        Ok((format, self.store.blob(repository, &layer, access, bytes_max).await?))
    }
}

fn is_signature(referrer: &Descriptor) -> bool {
    referrer.artifact_type.as_deref() == Some(ARTIFACT_TYPE)
}

/// The format and the digest of the envelope that `manifest` carries as a signature of `subject`, in
/// one of three shapes: the artifact type with an empty config; before 1.1 of the specification, the
/// config's type alone; and an artifact manifest, which drafts of notation 1.0 wrote.
fn envelope(manifest: &[u8], subject: &Digest) -> Result<(EnvelopeFormat, Digest), Flaw> {
    let (is_signature, layers, about) = match Manifest::parse(manifest) {
        Ok(Manifest::Image { artifact_type, config_media_type, layers, subject, .. }) => {
            // Without an artifact type of its own, a manifest has that of its config.
            let is_config = [EMPTY_CONFIG, ARTIFACT_TYPE].contains(&config_media_type.as_str());
            (artifact_type == ARTIFACT_TYPE && is_config, layers, subject)
        }
        Ok(Manifest::Artifact { artifact_type, blobs, subject }) => {
            (artifact_type == ARTIFACT_TYPE, blobs, subject)
        }
        _ => return Err(Flaw::invalid("a referrer is no manifest of an image or artifact")),
    };
    if !is_signature {
        return Err(Flaw::NOT_A_SIGNATURE);
    }
    if about.is_none_or(|about| about.digest != *subject) {
        // A list of referrers is a hint, and the fallback tag is anybody's to write.
        return Err(Flaw::invalid("a listed referrer is about something else"));
    }
    let Ok([layer]) = <[Descriptor; 1]>::try_from(layers) else {
        return Err(Flaw::invalid("a signature has not exactly one layer"));
    };
    let format = EnvelopeFormat::from_media_type(&layer.media_type)
        .ok_or(Flaw::invalid("a signature is of an unknown format"))?;
    Ok((format, layer.digest))
}

/// What is left unread; it counts only where nothing good was read.
const TOO_MANY: Flaw =
    Flaw::rejected(ReasonCode::TooManyCandidates, "there are more than are looked at");
