//! Whether the certificates were valid when the signature was made, and how that time is known: now,
//! the word of a signing authority, or a timestamp.

use jiff::Timestamp;

use super::revocation_check::require_good;
use super::{Chain, Request, Verifier};
use crate::certificate::Certificate;
use crate::envelope::{IntactEnvelope, SigningScheme};
use crate::error::VerificationError;
use crate::profile::Purpose;
use crate::timestamp;
use crate::trust_policy::{Statement, VerifyTimestamp};
use crate::trust_store::TrustStoreType;

impl Verifier<'_> {
    /// Nothing, if every certificate of the chain was valid when the signature was made.
    ///
    /// A signing authority vouches for that time, and its timestamp is not looked at. Otherwise a
    /// timestamp proves it if the statement demands one; if not, the time is now. Whether the
    /// timestamp authority's certificates are revoked is a part of this check, whatever the level
    /// says of revocation.
    pub(super) async fn check_authentic_timestamp(
        &self,
        request: &Request<'_>,
        envelope: &IntactEnvelope,
    ) -> Result<(), VerificationError> {
        let chain = envelope.chain();
        let attributes = envelope.attributes();
        if attributes.scheme == SigningScheme::X509SigningAuthority {
            return check_validity(chain, attributes.signing_time);
        }
        if !demands_timestamp(request.statement, chain, request.now) {
            return check_validity(chain, request.now);
        }
        let token = envelope.timestamp_signature().ok_or(VerificationError::TimestampAbsent)?;
        let stores = request.statement.trust_stores();
        let roots = self.trust_stores.certificates(TrustStoreType::Tsa, stores)?;
        let timestamp = timestamp::verify(token, envelope.signature(), &roots)?;
        if !chain.iter().all(|one| timestamp.range.is_within_validity_of(one)) {
            return Err(VerificationError::TimestampRange);
        }
        let authority = Chain {
            certificates: &timestamp.chain,
            anchor: timestamp.chain.len(),
            purpose: Purpose::Timestamping,
            authentic_signing_time: None,
            now: request.now,
        };
        let is_good = require_good(self.timestamp_revocation, authority).await;
        is_good.map_err(VerificationError::TimestampRevocation)
    }
}

/// Whether `statement` wants a timestamp for `chain`: it has a store for that, and wants one always or
/// a certificate has expired.
fn demands_timestamp(statement: &Statement, chain: &[Certificate], now: Timestamp) -> bool {
    let has_store = statement.trust_stores().iter().any(|name| name.kind() == TrustStoreType::Tsa);
    has_store
        && match statement.verify_timestamp() {
            VerifyTimestamp::Always => true,
            VerifyTimestamp::AfterCertExpiry => chain.iter().any(|one| now > one.not_after()),
        }
}

fn check_validity(chain: &[Certificate], time: Timestamp) -> Result<(), VerificationError> {
    match chain.iter().find(|certificate| !certificate.is_valid_at(time)) {
        None => Ok(()),
        Some(certificate) => Err(VerificationError::CertNotValidAt {
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            time,
        }),
    }
}
