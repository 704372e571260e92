//! Whether certificates of a trusted chain have been revoked: by OCSP (RFC 6960), and by CRLs with
//! their deltas (RFC 5280) where OCSP gives no answer. **Ask only about chains that are trusted:**
//! the addresses stand in the certificates, and whoever could choose them could send requests
//! anywhere.

mod crl;
mod crl_bundle;
mod fetch;
mod ocsp;
mod urls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::algorithm::SignatureError;
use crate::certificate::Certificate;
use crate::chain::{ChainError, check_chain};
use crate::oids;
use crate::profile::Purpose;

pub use crl_bundle::CrlBundle;
pub use fetch::{BoxFuture, Cache, CacheKey, Evidence, FetchError, FetchRequest, Fetcher, NoCache};
pub use ocsp::OcspAnswer;

use fetch::fetch;
use ocsp::CertificateId;

/// Bytes of one OCSP response, as in the Notary Project's own library.
pub const OCSP_BYTES_MAX: usize = 20_480;

/// Bytes of one CRL. Large public CAs publish up to 10 MiB.
pub const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long one OCSP responder may take, as in the Notary Project's own library.
const OCSP_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the clock of a CA may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Why the status of a certificate cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// An extension that must be understood, and is not.
    #[error("a CRL or an OCSP response has an unknown critical extension")]
    CriticalExtension,
    /// A delta CRL stands where a base belongs, or does not belong to its base.
    #[error("the delta CRL does not belong to its base")]
    DeltaCrl,
    /// `nextUpdate` is past.
    #[error("the CRL or OCSP response has expired")]
    Expired,
    /// The network gave nothing.
    #[error("the revocation status cannot be fetched: {0}")]
    Fetch(FetchError),
    /// Not the DER of what the field names.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The issuing certificate may not sign CRLs.
    #[error("the issuing certificate may not sign CRLs")]
    NoCrlSigner,
    /// The certificate names a delta CRL, but its base CRL does not.
    #[error("the certificate's delta CRL is not named by its CRL")]
    NoDeltaCrl,
    /// Without `nextUpdate` there is no telling how old the data may be.
    #[error("the CRL or OCSP response has no nextUpdate")]
    NoNextUpdate,
    /// `thisUpdate` is in the future.
    #[error("the CRL or OCSP response is not valid yet")]
    NotYetValid,
    /// The OCSP response holds no answer about the certificate that was asked about.
    #[error("the OCSP response is about another certificate")]
    OtherCertificate,
    /// The CRL names another issuer.
    #[error("the CRL is by another issuer")]
    OtherIssuer,
    /// The OCSP response is signed by a certificate that may not, or is revoked itself.
    #[error("the OCSP responder is not authorized by the issuer")]
    Responder,
    /// The OCSP responder refused: the number is its `OCSPResponseStatus`.
    #[error("the OCSP responder refused with status {0}")]
    ResponseStatus(u64),
    /// The CRL covers other certificates, or only some reasons.
    #[error("the CRL does not cover the certificate")]
    Scope,
    /// The data is not signed as it must be.
    #[error("the signature of a CRL or an OCSP response is not accepted")]
    Signature(#[from] SignatureError),
    /// More addresses than are asked.
    #[error("more than {} addresses are named", urls::URLS_MAX)]
    TooManyUrls,
    /// The OCSP responder does not know the certificate.
    #[error("the OCSP responder does not know the certificate")]
    UnknownToResponder,
    /// An address that is not an `http` URL.
    #[error("an address is not an http URL")]
    Url,
}

/// What is known of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Not revoked, says the CA.
    Good,
    /// Names nobody to ask, or is a root: counts as good.
    NonRevokable,
    /// Revoked.
    Revoked,
    /// Cannot be told, for these reasons in the order in which they came up.
    Unknown(Vec<RevocationError>),
}

/// What is known of a chain: one status per certificate, leaf first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStatus {
    /// In the order of the chain.
    pub certificates: Vec<CertificateStatus>,
}

/// What the statuses of a chain mean together. A position counts from the leaf, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No certificate is revoked, as far as it can be.
    Good,
    /// A certificate is revoked: the one nearest to the root, if there are several.
    Revoked {
        /// Where in the chain.
        position: usize,
    },
    /// None is known to be revoked, but of one it cannot be told; the one nearest to the root.
    Unknown {
        /// Where in the chain.
        position: usize,
        /// Why it cannot be told.
        causes: &'a [RevocationError],
    },
}

impl ChainStatus {
    /// What the statuses mean together: one revoked certificate outweighs all that are unknown.
    pub fn verdict(&self) -> Verdict<'_> {
        let from_root = || self.certificates.iter().enumerate().rev();
        let revoked = from_root().find(|(_, status)| **status == CertificateStatus::Revoked);
        if let Some((position, _)) = revoked {
            return Verdict::Revoked { position };
        }
        let unknown = from_root().find_map(|(position, status)| match status {
            CertificateStatus::Unknown(causes) => Some(Verdict::Unknown { position, causes }),
            _ => None,
        });
        unknown.unwrap_or(Verdict::Good)
    }
}

/// What a check needs besides the chain.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time of the check, against which data expires.
    pub now: Timestamp,
    /// The authentic signing time, if one is proven: under `notary.x509.signingAuthority`, and
    /// never by a timestamp. A certificate that became invalid later was good then.
    pub signing_time: Option<Timestamp>,
    /// Where data comes from.
    pub fetcher: &'a dyn Fetcher,
    /// Where verified data is kept.
    pub cache: &'a dyn Cache,
}

/// The status of each certificate of `chain` (leaf first, root last), which **must be trusted**.
/// All are asked about at the same time. Per certificate:
///
/// 1. OCSP, if it names responders: the first definitive answer counts.
/// 2. CRLs, if it names some and OCSP gave no answer: all must be had, and one is enough to revoke.
/// 3. If it names neither, it cannot be revoked; nor can a root.
///
/// # Errors
/// [`ChainError`], before anything is fetched: `chain` does not meet the profile of `purpose`.
pub async fn check(
    chain: &[Certificate],
    purpose: Purpose,
    context: &Context<'_>,
) -> Result<ChainStatus, ChainError> {
    check_below(chain, chain.len(), purpose, context).await
}

/// The same, where the certificate that is trusted stands at the position `anchor`. Nobody is asked
/// about those above it: they may be anybody's, since another certificate for its issuer's key does
/// as well as the real one. They count as not revokable.
///
/// # Errors
/// As [`check`].
pub async fn check_below(
    chain: &[Certificate],
    anchor: usize,
    purpose: Purpose,
    context: &Context<'_>,
) -> Result<ChainStatus, ChainError> {
    check_chain(chain, purpose)?;
    let links = chain.iter().zip(chain.iter().skip(1)).take(anchor.saturating_add(1));
    let checks = links.map(|(certificate, issuer)| check_certificate(certificate, issuer, context));
    let mut certificates = join_all(checks).await;
    certificates.resize(chain.len(), CertificateStatus::NonRevokable);
    Ok(ChainStatus { certificates })
}

/// Whether `chain` (leaf first, root last) can be told about without asking anybody: none of its
/// certificates but the root says where to ask, and so all count as good.
pub(crate) fn names_nobody(chain: &[Certificate]) -> bool {
    let below = chain.split_last().map_or(chain, |(_, below)| below);
    below.iter().all(|certificate| {
        urls::ocsp(certificate).is_ok_and(|urls| urls.is_empty())
            && urls::crls(certificate).is_ok_and(|urls| urls.is_none())
    })
}

/// A definitive answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Good,
    Revoked,
}

impl From<Finding> for CertificateStatus {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Good => Self::Good,
            Finding::Revoked => Self::Revoked,
        }
    }
}

async fn check_certificate(
    certificate: &Certificate,
    issuer: &Certificate,
    context: &Context<'_>,
) -> CertificateStatus {
    let mut causes = match ask_responders(certificate, issuer, context).await {
        Ok(finding) => return finding.into(),
        Err(causes) => causes,
    };
    match ask_crls(certificate, issuer, context).await {
        Ok(Some(finding)) => return finding.into(),
        Ok(None) if causes.is_empty() => return CertificateStatus::NonRevokable,
        Ok(None) => {}
        Err(cause) => causes.push(cause),
    }
    CertificateStatus::Unknown(causes)
}

/// The first definitive answer of the certificate's OCSP responders; all errors if there is none,
/// and no error if there are no responders.
async fn ask_responders(
    certificate: &Certificate,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<Finding, Vec<RevocationError>> {
    let mut causes = Vec::new();
    for url in urls::ocsp(certificate).map_err(|error| vec![error])? {
        let asked = match urls::check(url) {
            Ok(url) => ask_responder(url, certificate, issuer, context).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(finding) => return Ok(finding),
            Err(cause) => causes.push(cause),
        }
        // "I do not know it" is an answer too: no other responder is asked.
        if causes.last() == Some(&RevocationError::UnknownToResponder) {
            break;
        }
    }
    Err(causes)
}

async fn ask_responder(
    url: &str,
    certificate: &Certificate,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<Finding, RevocationError> {
    let key = CacheKey::ocsp(url, certificate, issuer);
    let fetch = fetch_answer(url, certificate, issuer, context);
    let kept = context.cache.get_or_fetch(key, context.now, Box::pin(fetch)).await?;
    let Evidence::Ocsp(answer) = kept else {
        return Err(RevocationError::Malformed("OCSP response"));
    };
    let finding = answer.finding(context.now, context.signing_time)?;
    check_responder(&answer, issuer, context).await?;
    Ok(finding)
}

/// The definitive answer of the responder at `url`, fetched.
async fn fetch_answer(
    url: &str,
    certificate: &Certificate,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<Evidence, RevocationError> {
    let id = CertificateId::new(certificate, issuer);
    let request = id.request()?;
    let get_url = ocsp::get_url(url, &request);
    let post = get_url.is_none().then_some((ocsp::REQUEST_TYPE, &request[..]));
    let request = FetchRequest {
        url: get_url.as_deref().unwrap_or(url),
        post,
        body_bytes_max: OCSP_BYTES_MAX,
        timeout: OCSP_TIMEOUT,
    };
    let body = fetch(context.fetcher, request).await?;
    let answer = OcspAnswer::verify(&body, &id, issuer)?;
    answer.finding(context.now, context.signing_time)?;
    // Not kept if it is a revoked responder's: the next answer may be another's.
    check_responder(&answer, issuer, context).await?;
    Ok(Evidence::Ocsp(Arc::new(answer)))
}

/// Refuses the answer of a responder whose own certificate is revoked, or whose status cannot be
/// told from the CRLs that it names; the CA says with `ocsp-nocheck` that nobody need ask.
async fn check_responder(
    answer: &OcspAnswer,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<(), RevocationError> {
    let Some(responder) = answer.responder() else { return Ok(()) };
    if responder.extension(oids::OCSP_NO_CHECK).is_some() {
        return Ok(());
    }
    let context = Context { signing_time: None, ..*context };
    match ask_crls(responder, issuer, &context).await? {
        Some(Finding::Revoked) => Err(RevocationError::Responder),
        Some(Finding::Good) | None => Ok(()),
    }
}

/// What all the CRLs that `certificate` names say; none if it names none.
async fn ask_crls(
    certificate: &Certificate,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<Option<Finding>, RevocationError> {
    let Some(urls) = urls::crls(certificate)? else { return Ok(None) };
    for url in &urls {
        let bundle = crl_bundle(urls::check(url)?, issuer, context).await?;
        if bundle.finding(certificate, &urls, context.signing_time)? == Finding::Revoked {
            return Ok(Some(Finding::Revoked));
        }
    }
    Ok(Some(Finding::Good))
}

/// The CRL at `url`, from the cache if it is still fresh there.
async fn crl_bundle(
    url: &str,
    issuer: &Certificate,
    context: &Context<'_>,
) -> Result<Arc<CrlBundle>, RevocationError> {
    let fetch = async {
        let bundle = CrlBundle::fetch(url, issuer, context.now, context.fetcher).await?;
        Ok(Evidence::Crl(Arc::new(bundle)))
    };
    let key = CacheKey::crl(url, issuer);
    match context.cache.get_or_fetch(key, context.now, Box::pin(fetch)).await? {
        Evidence::Crl(bundle) if context.now <= bundle.fresh_until() => Ok(bundle),
        Evidence::Crl(_) => Err(RevocationError::Expired),
        Evidence::Ocsp(_) => Err(RevocationError::Malformed("CRL")),
    }
}
