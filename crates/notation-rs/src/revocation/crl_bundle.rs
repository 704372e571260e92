//! A CRL with the delta that belongs to it: fetched, verified, kept, and asked about a certificate.

use std::time::Duration;

use jiff::Timestamp;

use super::crl::{Crl, Entry};
use super::fetch::{FetchRequest, Fetcher, fetch};
use super::{CRL_BYTES_MAX, Finding, RevocationError, urls};
use crate::certificate::Certificate;
use crate::oids;

/// How long one CRL may take, as in the Notary Project's own library.
const CRL_TIMEOUT: Duration = Duration::from_secs(5);

/// `certificateHold` of RFC 5280, section 5.3.1: revoked until further notice.
const CERTIFICATE_HOLD: u64 = 6;

/// `removeFromCRL`: the hold is over.
const REMOVE_FROM_CRL: u64 = 8;

/// A base CRL and its delta, if it has one, whose signatures have been verified.
#[derive(Debug)]
pub struct CrlBundle {
    url: String,
    issuer: Certificate,
    base: Vec<u8>,
    delta: Option<Vec<u8>>,
    fresh_until: Timestamp,
}

impl CrlBundle {
    /// The last moment at which it counts: the earlier `nextUpdate` of the two lists.
    pub fn fresh_until(&self) -> Timestamp {
        self.fresh_until
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        let delta = self.delta.as_ref().map_or(0, Vec::len);
        let lists = self.base.len().saturating_add(delta);
        lists.saturating_add(self.issuer.der().len()).saturating_add(size_of::<Self>())
    }

    /// The lists that are published at `now`, fetched anew from where these came from, to be put
    /// into a cache before these expire.
    ///
    /// # Errors
    /// [`RevocationError`], if they cannot be fetched or do not count.
    pub async fn refresh(
        &self,
        now: Timestamp,
        fetcher: &dyn Fetcher,
    ) -> Result<Self, RevocationError> {
        Self::fetch(&self.url, &self.issuer, now, fetcher).await
    }

    /// The list at `url` by `issuer`, with its delta, verified.
    pub(super) async fn fetch(
        url: &str,
        issuer: &Certificate,
        now: Timestamp,
        fetcher: &dyn Fetcher,
    ) -> Result<Self, RevocationError> {
        let base = fetch_list(url, fetcher).await?;
        let list = Crl::parse(&base)?;
        let mut fresh_until = list.check(issuer, now)?;
        if list.is_delta() {
            return Err(RevocationError::DeltaCrl);
        }
        let mut delta = None;
        if let Some(urls) = list.delta_urls()? {
            let bytes = fetch_first(&urls, fetcher).await?;
            let changes = Crl::parse(&bytes)?;
            fresh_until = fresh_until.min(changes.check(issuer, now)?);
            if !changes.is_delta_of(&list) {
                return Err(RevocationError::DeltaCrl);
            }
            delta = Some(bytes);
        }
        Ok(Self { url: url.to_owned(), issuer: issuer.clone(), base, delta, fresh_until })
    }

    /// What the lists say about `certificate`, which names them among `urls`, and about a signature
    /// made at `signing_time`, if that is known.
    pub(super) fn finding(
        &self,
        certificate: &Certificate,
        urls: &[&[u8]],
        signing_time: Option<Timestamp>,
    ) -> Result<Finding, RevocationError> {
        if self.delta.is_none() && certificate.extension(oids::FRESHEST_CRL).is_some() {
            return Err(RevocationError::NoDeltaCrl);
        }
        let mut entries = Vec::new();
        for bytes in [Some(&self.base), self.delta.as_ref()].into_iter().flatten() {
            let list = Crl::parse(bytes)?;
            list.covers(certificate, urls)?;
            list.entries_of(certificate.serial(), |entry| entries.push(entry))?;
        }
        Ok(decide(&entries, signing_time))
    }
}

/// What the entries of one certificate, in the order of base and delta, say together. A certificate
/// on hold may be released again: of those entries the latest counts, and of two at one time the
/// first, which is the hold. Every other entry is final.
fn decide(entries: &[Entry], signing_time: Option<Timestamp>) -> Finding {
    let mut last: Option<&Entry> = None;
    for entry in entries {
        if signing_time.zip(entry.invalid_since).is_some_and(|(at, since)| at < since) {
            return Finding::Good;
        }
        if !matches!(entry.reason, Some(CERTIFICATE_HOLD | REMOVE_FROM_CRL)) {
            return Finding::Revoked;
        }
        if last.is_none_or(|last| entry.revoked_at > last.revoked_at) {
            last = Some(entry);
        }
    }
    match last.and_then(|last| last.reason) {
        Some(CERTIFICATE_HOLD) => Finding::Revoked,
        _ => Finding::Good,
    }
}

async fn fetch_list(url: &str, fetcher: &dyn Fetcher) -> Result<Vec<u8>, RevocationError> {
    let request =
        FetchRequest { url, post: None, body_bytes_max: CRL_BYTES_MAX, timeout: CRL_TIMEOUT };
    fetch(fetcher, request).await
}

/// The first list that can be fetched; the last error if none can.
async fn fetch_first(urls: &[&[u8]], fetcher: &dyn Fetcher) -> Result<Vec<u8>, RevocationError> {
    let mut error = RevocationError::Url;
    for url in urls {
        let fetched = match urls::check(url) {
            Ok(url) => fetch_list(url, fetcher).await,
            Err(error) => Err(error),
        };
        match fetched {
            Ok(bytes) => return Ok(bytes),
            Err(failed) => error = failed,
        }
    }
    Err(error)
}
