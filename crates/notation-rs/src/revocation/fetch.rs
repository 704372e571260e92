//! How revocation data gets here: through traits of the caller, who owns network and memory. Single
//! flights, remembering failures, proxies and refused addresses are the caller's too.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::crl_bundle::CrlBundle;
use super::ocsp::OcspAnswer;
use super::{RevocationError, urls};
use crate::algorithm::Hash;
use crate::certificate::Certificate;

/// A future that may be sent to another thread, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One HTTP exchange. Its address stands in a certificate whose chain is trusted, or in a CRL that
/// a certificate of it signed; no more is known of where it leads.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// An absolute `http` URL of printable ASCII.
    pub url: &'a str,
    /// The body of a POST with its content type; none for a GET.
    pub post: Option<(&'static str, &'a [u8])>,
    /// The greatest body of an answer, in bytes.
    pub body_bytes_max: usize,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The fetcher has too much to do, whatever the server is like.
    #[error("too much is being fetched")]
    Overloaded,
    /// The fetcher does not go to that address.
    #[error("the address is not allowed")]
    Refused,
    /// A status other than 200.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The time of the request, or of what it is a part of, is over.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The body is greater than asked for.
    #[error("the answer is too large")]
    TooLarge,
    /// The server cannot be reached, or the exchange broke off.
    #[error("the server cannot be reached")]
    Unreachable,
}

/// Fetches over HTTP.
pub trait Fetcher: Send + Sync {
    /// The body of an answer with status 200, and no other. Redirects may be followed to `http` and
    /// `https` only.
    ///
    /// # Errors
    /// [`FetchError`].
    fn fetch<'a>(&'a self, request: FetchRequest<'a>)
    -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;
}

/// Keeps verified evidence for all requests. It may forget at any time, and loses nothing but work.
pub trait Cache: Send + Sync {
    /// What is kept under `key`, if it is fresh at `now`; else what `fetch` gives, which is kept until
    /// [`Evidence::fresh_until`] at most. Where another fetches the same already, that may be waited
    /// for, and its failure shared.
    ///
    /// # Errors
    /// That of `fetch`, or of another's just now.
    fn get_or_fetch<'a>(
        &'a self,
        key: CacheKey,
        now: Timestamp,
        fetch: BoxFuture<'a, Result<Evidence, RevocationError>>,
    ) -> BoxFuture<'a, Result<Evidence, RevocationError>>;
}

/// A cache that keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCache;

impl Cache for NoCache {
    fn get_or_fetch<'a>(
        &'a self,
        _: CacheKey,
        _: Timestamp,
        fetch: BoxFuture<'a, Result<Evidence, RevocationError>>,
    ) -> BoxFuture<'a, Result<Evidence, RevocationError>> {
        fetch
    }
}

/// What evidence is kept under: where it came from, and the certificates that it is about, so that
/// evidence verified with one issuer never answers for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    url: String,
    about_sha256: Vec<u8>,
    is_crl: bool,
}

impl CacheKey {
    /// The key of a CRL by `issuer`.
    pub(super) fn crl(url: &str, issuer: &Certificate) -> Self {
        let about_sha256 = Hash::Sha256.digest(issuer.der());
        Self { url: url.to_owned(), about_sha256, is_crl: true }
    }

    /// The key of an OCSP answer about `certificate`.
    pub(super) fn ocsp(url: &str, certificate: &Certificate, issuer: &Certificate) -> Self {
        let about = [issuer, certificate].map(|one| Hash::Sha256.digest(one.der())).concat();
        let about_sha256 = Hash::Sha256.digest(&about);
        Self { url: url.to_owned(), about_sha256, is_crl: false }
    }

    /// The URL that a certificate names.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is of a CRL, which may be [`CRL_BYTES_MAX`](super::CRL_BYTES_MAX) long, and its
    /// delta as long again; an OCSP answer has some kilobytes.
    pub const fn is_crl(&self) -> bool {
        self.is_crl
    }
}

/// Revocation data whose signature has been verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// A CRL, with its delta if it has one.
    Crl(Arc<CrlBundle>),
    /// The answer of a responder about one certificate: good or revoked.
    Ocsp(Arc<OcspAnswer>),
}

impl Evidence {
    /// The last moment at which it counts.
    pub fn fresh_until(&self) -> Timestamp {
        match self {
            Self::Crl(bundle) => bundle.fresh_until(),
            Self::Ocsp(answer) => answer.fresh_until(),
        }
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Crl(bundle) => bundle.size_bytes(),
            Self::Ocsp(answer) => answer.size_bytes(),
        }
    }
}

/// Fetches `url` after checking it, and the answer's size once more.
pub(super) async fn fetch(
    fetcher: &dyn Fetcher,
    request: FetchRequest<'_>,
) -> Result<Vec<u8>, RevocationError> {
    urls::check(request.url.as_bytes())?;
    let body = fetcher.fetch(request).await.map_err(RevocationError::Fetch)?;
    if body.len() > request.body_bytes_max {
        return Err(RevocationError::Fetch(FetchError::TooLarge));
    }
    Ok(body)
}

impl fmt::Debug for dyn Fetcher + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher")
    }
}

impl fmt::Debug for dyn Cache + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}
