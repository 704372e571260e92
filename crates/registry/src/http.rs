//! One HTTP exchange, bounded in time and bytes, to an address that may be asked.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{Clock, Recorder};
use assay_core::{ConfigError, Digest, StoreError};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use url::{Host, Url};

use crate::address::{AddressGuard, ResolveError};
use crate::config::{Hosts, is_loopback};

/// What is to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'a str>,
    /// Media type and bytes.
    pub(crate) body: Option<(&'a str, Bytes)>,
    pub(crate) purpose: Purpose<'a>,
}

/// What for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// Something that is no registry: plain HTTP is as good, and nobody counts.
    Fetch,
    /// A step of this operation on the registry of this name: counted; https unless configured.
    Registry(&'a str, &'static str),
}

/// The head of an answer, with its body to come.
#[derive(Debug)]
pub(crate) struct Answer {
    response: reqwest::Response,
    url: Url,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) exchange: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, read: READ_TIMEOUT, exchange: EXCHANGE_TIMEOUT }
    }
}

/// The time for a connection to stand; far registries need well below one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two pieces of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for a whole exchange: 64 MiB at 1 MiB per second.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(64);

/// Bytes read of an answer that nobody looks at, so that its connection can be used again. Above
/// the 2 KiB of errors seen; a connection with more in it is closed.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// Connections kept per host while nobody asks.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Bytes of a host in a message: the longest DNS name.
const HOST_BYTES_MAX: usize = 255;

/// Everything that talks to servers.
pub(crate) struct Http {
    pub(crate) hosts: Hosts,
    /// For hosts that strangers name.
    guarded: Client,
    /// For hosts that the administrator names.
    listed: Client,
    /// For loopback hosts, which no proxy could reach.
    direct: Client,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// Clients for `hosts` that trust the machine's roots or, in tests, `roots`.
    ///
    /// # Errors
    /// [`ConfigError`] where the machine has no roots.
    pub(crate) fn new(
        hosts: Hosts,
        timeouts: Timeouts,
        roots: Option<Certificate>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let builder = || {
            let builder = Client::builder()
                .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .referer(false)
                .connect_timeout(timeouts.connect)
                .read_timeout(timeouts.read)
                .timeout(timeouts.exchange)
                .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
            match &roots {
                Some(roots) => builder.tls_certs_only([roots.clone()]),
                None => builder,
            }
        };
        let guard = AddressGuard { allows_loopback: hosts.allows_loopback() };
        let failed = |_| ConfigError {
            field: "registries".into(),
            reason: "no trusted TLS roots: install the system's CA certificates".into(),
        };
        Ok(Self {
            guarded: builder().dns_resolver(guard).build().map_err(failed)?,
            listed: builder().build().map_err(failed)?,
            direct: builder().no_proxy().build().map_err(failed)?,
            hosts,
            recorder,
            clock,
        })
    }

    /// The time since an arbitrary start.
    pub(crate) fn ticks(&self) -> Duration {
        self.clock.ticks()
    }

    /// The answer to `call` at `url`, of whatever status; what came with a failure is discarded.
    pub(crate) async fn send(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, StoreError> {
        let client = self.client(url, call.purpose)?;
        let mut request = client.request(call.method.clone(), url.clone());
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some((media_type, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        let started = self.ticks();
        let result = request.send().await;
        if let Purpose::Registry(registry, operation) = call.purpose {
            let code = result.as_ref().map_or(0, |response| response.status().as_u16());
            let duration = self.ticks().saturating_sub(started);
            self.recorder.registry_request(registry, operation, code, duration);
        }
        let mut answer = Answer {
            response: result.map_err(|error| transport_error(&error, url))?,
            url: url.clone(),
        };
        if !answer.status().is_success() {
            answer.discard().await;
        }
        Ok(answer)
    }

    /// The client that may ask `url`.
    fn client(&self, url: &Url, purpose: Purpose<'_>) -> Result<&Client, StoreError> {
        let blocked = |reason| Err(StoreError::Blocked { host: host_of(url), reason });
        let plain = matches!(purpose, Purpose::Fetch) || self.hosts.is_plain(url);
        if url.scheme() != "https" && !(url.scheme() == "http" && plain) {
            return blocked("it is not reached by https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return blocked("its URL holds credentials");
        }
        let (loopback, listed) = (is_loopback(url), self.hosts.is_listed(url));
        if loopback && (listed || self.hosts.allows_loopback()) {
            return Ok(&self.direct);
        }
        if listed {
            return Ok(&self.listed);
        }
        let guard = AddressGuard { allows_loopback: false };
        let refusal = match url.host() {
            Some(Host::Ipv4(address)) => guard.refusal(address.into()),
            Some(Host::Ipv6(address)) => guard.refusal(address.into()),
            Some(Host::Domain(_)) => None,
            None => Some("its URL has no host"),
        };
        refusal.map_or(Ok(&self.guarded), blocked)
    }
}

impl Answer {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Where it came from, after redirects.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// All headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The first header of this name, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// This very answer, if its status is 200.
    ///
    /// # Errors
    /// [`StoreError`] by status.
    pub(crate) fn success(self) -> Result<Self, StoreError> {
        let host = host_of(&self.url);
        let status = self.status().as_u16();
        match status {
            200 => Ok(self),
            401 | 403 => Err(StoreError::Denied { host, status }),
            404 => Err(StoreError::NotFound { host }),
            429 => Err(StoreError::Throttled { host }),
            500..=599 => {
                Err(StoreError::Unreachable { host, reason: "it answers with a server error" })
            }
            _ => Err(self.malformed("an unexpected HTTP status")),
        }
    }

    /// The error that this answer makes for `reason`.
    pub(crate) fn malformed(&self, reason: &'static str) -> StoreError {
        malformed(&self.url, reason)
    }

    /// The body, of at most `bytes_max` bytes whatever its length claims, and with the digest
    /// `expected` where one is.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::DigestMismatch`], or how the transport failed.
    pub(crate) async fn body(
        mut self,
        bytes_max: u64,
        expected: Option<&Digest>,
    ) -> Result<Bytes, StoreError> {
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let mut hasher = expected.map(|digest| assay_core::Hasher::new(digest.algorithm()));
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if body.len().saturating_add(piece.len()) > limit {
                return Err(StoreError::TooLarge { limit: bytes_max });
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&piece);
            }
            body.extend_from_slice(&piece);
        }
        let found = hasher.map(assay_core::Hasher::finish);
        match expected {
            Some(expected) if found.as_ref() != Some(expected) => {
                Err(StoreError::DigestMismatch { expected: expected.clone() })
            }
            _ => Ok(body.into()),
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        let piece = self.response.chunk().await;
        piece.map_err(|error| transport_error(&error, &self.url))
    }

    /// Reads what nobody needs; how that ends is nobody's concern either.
    async fn discard(&mut self) {
        let mut rest = DISCARDED_BYTES_MAX;
        while let Ok(Some(piece)) = self.piece().await {
            match rest.checked_sub(piece.len()) {
                Some(left) => rest = left,
                None => return,
            }
        }
    }
}

/// The host of `url`, as messages show it.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    host.chars().take(HOST_BYTES_MAX).chain(port.chars()).collect()
}

/// The error of an answer from `url` that is wrong for `reason`.
pub(crate) fn malformed(url: &Url, reason: &'static str) -> StoreError {
    StoreError::Malformed { host: host_of(url), reason }
}

/// What `error` means. Its own text is left out: it names URLs that servers chose.
fn transport_error(error: &reqwest::Error, url: &Url) -> StoreError {
    let host = host_of(url);
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    let resolve = causes().find_map(|cause| cause.downcast_ref::<ResolveError>());
    let reason = match resolve {
        Some(ResolveError::Blocked(reason)) => return StoreError::Blocked { host, reason },
        Some(ResolveError::Unresolved) => "its name does not resolve",
        None if error.is_timeout() => return StoreError::Timeout { host },
        None if causes().any(is_tls_error) => "TLS failed: is its certificate trusted?",
        None if error.is_connect() => "no connection",
        None => "the connection broke",
    };
    StoreError::Unreachable { host, reason }
}

/// Whether `cause` is of TLS; an [`io::Error`] hides what it wraps from its own `source`.
fn is_tls_error(cause: &(dyn Error + 'static)) -> bool {
    let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls_error(inner))
}
