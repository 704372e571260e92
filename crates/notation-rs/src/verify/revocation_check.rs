//! The seam to revocation: whom a [`Verifier`](super::Verifier) asks about a trusted chain.

use std::fmt;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::chain::ChainError;
use crate::profile::Purpose;
use crate::revocation::{
    self, BoxFuture, Cache, CertificateStatus, ChainStatus, Context, Fetcher, RevocationError,
    Verdict,
};

/// A chain whose revocation is asked about. It is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The certificates, leaf first, root last.
    pub certificates: &'a [Certificate],
    /// Where the one stands that is trusted; the one nearest to the root, if there are several. Those
    /// above it may be anybody's.
    pub anchor: usize,
    /// What the leaf signs.
    pub purpose: Purpose,
    /// When the signature was made, where a signing authority vouches for that.
    pub authentic_signing_time: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// Asks whether certificates are revoked.
pub trait RevocationCheck: Send + Sync {
    /// What is known of each certificate of `chain`.
    ///
    /// # Errors
    /// The certificates are no chain for their purpose.
    fn check<'a>(&'a self, chain: Chain<'a>) -> BoxFuture<'a, Result<ChainStatus, ChainError>>;
}

impl fmt::Debug for dyn RevocationCheck + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevocationCheck")
    }
}

/// Asks those whom the certificates name.
#[derive(Clone, Copy, Debug)]
pub struct OnlineRevocation<'a> {
    /// Where data comes from.
    pub fetcher: &'a dyn Fetcher,
    /// Where verified data is kept.
    pub cache: &'a dyn Cache,
}

impl RevocationCheck for OnlineRevocation<'_> {
    fn check<'a>(&'a self, chain: Chain<'a>) -> BoxFuture<'a, Result<ChainStatus, ChainError>> {
        Box::pin(async move {
            let context = Context {
                now: chain.now,
                signing_time: chain.authentic_signing_time,
                fetcher: self.fetcher,
                cache: self.cache,
            };
            let Chain { certificates, anchor, purpose, .. } = chain;
            revocation::check_below(certificates, anchor, purpose, &context).await
        })
    }
}

/// Asks nobody, and takes every chain as not revoked: for tests, and where another system answers
/// for revocation.
#[derive(Clone, Copy, Debug)]
pub struct NeverRevoked;

impl RevocationCheck for NeverRevoked {
    fn check<'a>(&'a self, chain: Chain<'a>) -> BoxFuture<'a, Result<ChainStatus, ChainError>> {
        let certificates = vec![CertificateStatus::NonRevokable; chain.certificates.len()];
        Box::pin(std::future::ready(Ok(ChainStatus { certificates })))
    }
}

/// Why a chain is not taken as good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationFailure {
    /// The certificates are no chain for their purpose.
    #[error("{0}")]
    InvalidChain(ChainError),
    /// A certificate is revoked.
    #[error("certificate {position} of the chain is revoked")]
    Revoked {
        /// Where in the chain; the leaf is 0.
        position: usize,
    },
    /// Of a certificate it can't be told.
    #[error(
        "whether certificate {position} of the chain is revoked can't be told: {}",
        join(causes)
    )]
    Unknown {
        /// Where in the chain; the leaf is 0.
        position: usize,
        /// Why.
        causes: Vec<RevocationError>,
    },
}

fn join(causes: &[RevocationError]) -> String {
    causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Nothing, if `check` says good of the whole of `chain`. What can't be told is a failure.
pub(super) async fn require_good(
    check: &dyn RevocationCheck,
    chain: Chain<'_>,
) -> Result<(), RevocationFailure> {
    let status = check.check(chain).await.map_err(RevocationFailure::InvalidChain)?;
    match status.verdict() {
        // A status that is missing says nothing good.
        Verdict::Good if status.certificates.len() < chain.certificates.len() => {
            Err(RevocationFailure::Unknown { position: 0, causes: Vec::new() })
        }
        Verdict::Good => Ok(()),
        Verdict::Revoked { position } => Err(RevocationFailure::Revoked { position }),
        Verdict::Unknown { position, causes } => {
            Err(RevocationFailure::Unknown { position, causes: causes.to_vec() })
        }
    }
}
