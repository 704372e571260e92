//! One HTTP exchange, bounded in time and bytes, to an address that may be asked.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{Clock, Recorder};
use assay_core::{AccessScope, ConfigError, Digest, StoreError};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Certificate;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::address::ResolveError;
use crate::clients::{Clients, Timeouts};
use crate::config::RegistryConfig;
use crate::gate::{Flight, Gates, Party};
use crate::hosts::{CONCURRENT_DEFAULT, Hosts};

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
    Fetch {
        /// When all of it is to be over.
        deadline: Instant,
    },
    /// A step of an operation on a registry: counted; https unless configured.
    Registry {
        /// What references call it.
        name: &'a str,
        operation: &'static str,
        /// On whose behalf.
        scope: &'a AccessScope,
    },
}

/// The head of an answer, with its body to come.
pub(crate) struct Answer {
    response: reqwest::Response,
    url: Url,
    flight: Flight,
    bodies: Arc<Semaphore>,
}

/// Bytes of all bodies that are being read from listed registries, as many from others, and as many
/// from servers that are none. Each body is bounded, and so are those of one server, but whoever owns
/// a domain has as many servers as there are images under way. The three are three eighths of the
/// memory that `manifests/` give; a body may take twice its size while it grows.
pub(crate) const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Room for the bodies that are being read: a place for each byte of [`BODIES_BYTES_MAX`]. Strangers'
/// servers take none of that of the administrator's registries.
pub(crate) struct Bodies {
    pub(crate) listed: Arc<Semaphore>,
    unlisted: Arc<Semaphore>,
    servers: Arc<Semaphore>,
}

/// Bytes read of an answer that nobody looks at, so that its connection can be used again. Above
/// the 2 KiB of errors seen; a connection with more in it is closed.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a host in a message: the longest DNS name.
const HOST_BYTES_MAX: usize = 255;

/// Everything that talks to servers.
pub(crate) struct Http {
    pub(crate) hosts: Hosts,
    clients: Clients,
    gates: Gates,
    pub(crate) bodies: Bodies,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// The way to the servers that `config` allows, by the machine's roots or, in tests, `roots`.
    ///
    /// # Errors
    /// [`ConfigError`] naming what cannot be used.
    pub(crate) fn new(
        config: &RegistryConfig,
        timeouts: Timeouts,
        roots: Option<Certificate>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let hosts = Hosts::compile(config)?;
        let clients = Clients::new(config, &hosts, timeouts, roots)?;
        let gates = Gates::new(timeouts.queue, Arc::clone(&clock));
        let room = || Arc::new(Semaphore::new(BODIES_BYTES_MAX));
        let bodies = Bodies { listed: room(), unlisted: room(), servers: room() };
        Ok(Self { hosts, clients, gates, bodies, recorder, clock })
    }

    /// The time since an arbitrary start.
    pub(crate) fn ticks(&self) -> Duration {
        self.clock.ticks()
    }

    /// The answer to `call` at `url`, of whatever status.
    pub(crate) async fn send(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, StoreError> {
        let is_fetch = matches!(call.purpose, Purpose::Fetch { .. });
        let client = self.clients.client(&self.hosts, url, is_fetch)?;
        let flight = self.enter(call).await?;
        let mut request = client.request(call.method.clone(), url.clone());
        if let Purpose::Fetch { deadline } = call.purpose {
            request = request.timeout(deadline.saturating_duration_since(Instant::now()));
        }
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
        if let Purpose::Registry { name, operation, .. } = call.purpose {
            let code = result.as_ref().map_or(0, |response| response.status().as_u16());
            let duration = self.ticks().saturating_sub(started);
            self.recorder.registry_request(name, operation, code, duration);
        }
        let response = result.map_err(|error| {
            let error = transport_error(&error, url);
            flight.failed(&error);
            error
        })?;
        let bodies = Arc::clone(self.room_for(call));
        let mut answer = Answer { response, url: url.clone(), flight, bodies };
        answer.arrived(&call.method, self.clock.now()).await;
        Ok(answer)
    }

    /// Where the body of the answer to `call` has room, wherever redirects lead.
    fn room_for(&self, call: &Call<'_>) -> &Arc<Semaphore> {
        match call.purpose {
            Purpose::Fetch { .. } => &self.bodies.servers,
            Purpose::Registry { .. } if self.hosts.is_listed(&call.url) => &self.bodies.listed,
            Purpose::Registry { .. } => &self.bodies.unlisted,
        }
    }

    /// A place among the requests on behalf of whoever `call` is for, wherever redirects lead.
    async fn enter(&self, call: &Call<'_>) -> Result<Flight, StoreError> {
        match call.purpose {
            Purpose::Fetch { deadline } => {
                let host = host_of(&call.url);
                let (party, scope) = (Party::Server(host.clone()), &AccessScope::Public);
                let place = self.gates.enter(party, CONCURRENT_DEFAULT.into(), scope);
                let late = |_| Err(StoreError::Timeout { host });
                tokio::time::timeout_at(deadline, place).await.unwrap_or_else(late)
            }
            Purpose::Registry { name, scope, .. } => {
                let party = Party::Registry(name.to_owned());
                self.gates.enter(party, self.hosts.max_concurrent(name), scope).await
            }
        }
    }
}

impl Answer {
    /// Notes what the head tells about the server. An answer with nothing to read is over here, and
    /// its place goes to the next; what came with a failure is discarded.
    async fn arrived(&mut self, method: &Method, now: Timestamp) {
        let status = self.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.flight.throttled(retry_after(self.headers(), now));
        } else if status.is_server_error() {
            self.flight.failed(&server_error(&self.url));
        } else if method == Method::HEAD || !status.is_success() {
            self.flight.succeeded();
        } else {
            return;
        }
        self.discard().await;
        self.flight.leave();
    }

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
            500..=599 => Err(server_error(&self.url)),
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
    /// [`StoreError::TooLarge`], [`StoreError::DigestMismatch`], [`StoreError::Overloaded`] where it
    /// has no room beside the others ([`BODIES_BYTES_MAX`]), or how the transport failed.
    pub(crate) async fn body(
        mut self,
        bytes_max: u64,
        expected: Option<&Digest>,
    ) -> Result<Bytes, StoreError> {
        let body = self.read(bytes_max, expected).await;
        match &body {
            Ok(_) => self.flight.succeeded(),
            Err(error) => self.flight.failed(error),
        }
        body
    }

    async fn read(
        &mut self,
        bytes_max: u64,
        expected: Option<&Digest>,
    ) -> Result<Bytes, StoreError> {
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let mut hasher = expected.map(|digest| assay_core::Hasher::new(digest.algorithm()));
        // The room grows with the body, and goes with it.
        let (mut body, mut room) = (Vec::new(), self.room(0)?);
        while let Some(piece) = self.piece().await? {
            if body.len().saturating_add(piece.len()) > limit {
                return Err(StoreError::TooLarge { limit: bytes_max });
            }
            room.merge(self.room(piece.len())?);
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

    /// Room for so many more bytes, until it is dropped. Nobody waits for it: those who have some may
    /// be waiting for their server.
    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bodies).try_acquire_many_owned(bytes);
        room.map_err(|_| StoreError::Overloaded { host: host_of(&self.url) })
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

fn server_error(url: &Url) -> StoreError {
    StoreError::Unreachable { host: host_of(url), reason: "it answers with a server error" }
}

/// How long a 429 asks to wait, in seconds or until a date (RFC 9110, section 10.2.3); zero where it
/// says nothing that is understood.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Ok(seconds) = text.parse() {
        return Duration::from_secs(seconds);
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok();
    let wait = date.map(|date| date.duration_since(now)).unwrap_or_default();
    wait.try_into().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_long_to_wait() {
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        for (text, expect) in [
            ("0", 0),
            ("7", 7),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", 0),
            ("Sun, 22 Nov 2026 08:00:30 GMT", 30),
            ("Sun, 22 Nov 2026 07:59:30 GMT", 0),
            ("Mon, 22 Nov 2026 08:00:30 GMT", 0),
            ("-1", 0),
            ("1.5", 0),
            ("soon", 0),
            ("", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now).as_secs(), expect, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), Duration::ZERO);
    }
}
