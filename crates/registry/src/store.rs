//! Reads from one place: how each operation of the port is asked, and what its answer proves.

use std::sync::Arc;

use assay_core::ports::{Clock, FetchedManifest, Recorder, Selector};
use assay_core::{
    Access, ConfigError, Descriptor, Digest, MANIFEST_BYTES_MAX, Repository, StoreError, media_type,
};
use bytes::Bytes;
use http::{Method, StatusCode};
use reqwest::Certificate;
use url::Url;

use crate::challenge;
use crate::clients::Timeouts;
use crate::config::RegistryConfig;
use crate::hosts::same_origin;
use crate::http::{Answer, Call, Http, Purpose};
use crate::mirrors::Place;
use crate::tokens::{self, TokenCache};

/// All registries, by the one configuration. It keeps connections and tokens, never content.
pub struct Registry {
    pub(crate) http: Http,
    tokens: TokenCache,
}

/// One request of an operation.
pub(crate) struct Ask<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'a str>,
}

impl Registry {
    /// Registries as `config` has them, over TLS with the machine's roots. Behind a proxy, what a name
    /// resolves to is for the proxy to judge; an address in a URL is judged here all the same.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field of what cannot be used, or where there are no roots.
    pub fn new(
        config: &RegistryConfig,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Self::build(config, Timeouts::default(), None, recorder, clock)
    }

    /// [`Registry::new`] with other timeouts and, where given, other roots.
    pub(crate) fn build(
        config: &RegistryConfig,
        timeouts: Timeouts,
        roots: Option<Certificate>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let http = Http::new(config, timeouts, roots, recorder, clock)?;
        Ok(Self { http, tokens: TokenCache::default() })
    }

    /// The URL of `part` of `repository`: `manifests/latest`.
    ///
    /// # Errors
    /// [`StoreError::Blocked`] where host or path would mean something else in a URL.
    pub(crate) fn url(&self, repository: &Repository, part: &str) -> Result<Url, StoreError> {
        let mut url = self.http.hosts.origin(repository.host())?;
        let path = format!("/v2/{}/{part}", repository.path());
        url.set_path(&path);
        match url.path() == path {
            true => Ok(url),
            false => Err(StoreError::Blocked {
                host: repository.host().to_owned(),
                reason: "it is asked for what is no repository, tag or digest",
            }),
        }
    }

    /// The answer to `ask`, whatever its status, authenticated as the registry wants it: with what
    /// it granted before, else as it challenges, once.
    ///
    /// # Errors
    /// [`StoreError`] where there is no answer, or no way to authenticate.
    pub(crate) async fn ask(
        &self,
        repository: &Repository,
        access: &Access,
        ask: Ask<'_>,
    ) -> Result<Answer, StoreError> {
        let call = Call {
            method: ask.method,
            url: ask.url,
            accept: ask.accept,
            body: None,
            purpose: Purpose::Registry {
                name: repository.host(),
                operation: ask.operation,
                scope: access.scope(),
            },
        };
        let key = tokens::key(repository, access);
        let known = self.tokens.get(&key, self.http.ticks());
        let answer = self.http.follow(&call, known.as_ref()).await?;
        // A challenge of the server behind a redirect is none of the registry's.
        if answer.status() != StatusCode::UNAUTHORIZED || !same_origin(answer.url(), &call.url) {
            return Ok(answer);
        }
        let Some(challenge) = challenge::best(answer.headers()) else {
            return Ok(answer);
        };
        let authorized = self.http.authorize(challenge, &call.url, repository, access);
        let grant = authorized.await?;
        let answer = self.http.follow(&call, Some(&grant.authorization)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            self.tokens.put(key, grant, self.http.ticks());
        }
        Ok(answer)
    }

    async fn ask_manifest(
        &self,
        repository: &Repository,
        at: &Selector,
        access: &Access,
        method: Method,
        operation: &'static str,
    ) -> Result<Answer, StoreError> {
        let url = match at {
            Selector::Digest(digest) => self.url(repository, &format!("manifests/{digest}"))?,
            Selector::Tag(tag) => self.url(repository, &format!("manifests/{tag}"))?,
        };
        let accept = media_type::ALL.join(", ");
        let ask = Ask { operation, method, url, accept: Some(&accept) };
        self.ask(repository, access, ask).await?.success()
    }

    /// [`ArtifactStore::resolve`](assay_core::ports::ArtifactStore::resolve) at this place alone, as
    /// are the reads below.
    pub(crate) async fn read_descriptor(
        &self,
        place: &Place,
        at: &Selector,
    ) -> Result<Descriptor, StoreError> {
        let Place { repository, access } = place;
        let asked = self.ask_manifest(repository, at, access, Method::HEAD, "head_manifest");
        let answer = asked.await?;
        let Some(digest) = content_digest(&answer)? else {
            return Ok(self.read_manifest(place, at).await?.descriptor);
        };
        match at {
            Selector::Digest(expected) if *expected != digest => {
                Err(StoreError::DigestMismatch { expected: expected.clone() })
            }
            _ => {
                let size = answer.header("content-length").and_then(|size| size.parse().ok());
                Ok(descriptor(&answer, digest, size.unwrap_or_default()))
            }
        }
    }

    pub(crate) async fn read_manifest(
        &self,
        Place { repository, access }: &Place,
        at: &Selector,
    ) -> Result<FetchedManifest, StoreError> {
        let asked = self.ask_manifest(repository, at, access, Method::GET, "manifest");
        let answer = asked.await?;
        let expected = match at {
            Selector::Digest(digest) => Some(digest.clone()),
            Selector::Tag(_) => content_digest(&answer)?,
        };
        let mut descriptor = descriptor(&answer, Digest::sha256(b""), 0);
        let bytes = answer.body(MANIFEST_BYTES_MAX, expected.as_ref()).await?;
        descriptor.digest = expected.unwrap_or_else(|| Digest::sha256(&bytes));
        descriptor.size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(FetchedManifest { descriptor, bytes })
    }

    pub(crate) async fn read_blob(
        &self,
        Place { repository, access }: &Place,
        digest: &Digest,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        let ask = Ask {
            operation: "blob",
            method: Method::GET,
            url: self.url(repository, &format!("blobs/{digest}"))?,
            accept: None,
        };
        let answer = self.ask(repository, access, ask).await?.success()?;
        answer.body(bytes_max, Some(digest)).await
    }
}

/// The digest that the registry names in its header, if it does.
fn content_digest(answer: &Answer) -> Result<Option<Digest>, StoreError> {
    let Some(header) = answer.headers().get("docker-content-digest") else {
        return Ok(None);
    };
    let digest = header.to_str().ok().and_then(|text| text.parse().ok());
    let malformed = || answer.malformed("Docker-Content-Digest is no digest");
    digest.map(Some).ok_or_else(malformed)
}

/// What the registry says that it sent: its media type without parameters, as `digest`.
fn descriptor(answer: &Answer, digest: Digest, size: u64) -> Descriptor {
    let content_type = answer.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        artifact_type: None,
        annotations: Default::default(),
    }
}
