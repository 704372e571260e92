//! Chains as envelopes and timestamps hold them: ordered, leaf first, root last. No path is built and
//! nothing is fetched. A sound chain is not a trusted one, and validity is not looked at.

use crate::algorithm::SignatureError;
use crate::certificate::Certificate;
use crate::profile::{self, ProfileError, Purpose};

/// Certificates of one chain: three or four are usual, and each costs two signature checks at most.
pub const CHAIN_MAX: usize = 10;

/// Why certificates are no chain. Positions count from the leaf, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No certificate.
    #[error("the certificate chain is empty")]
    Empty,
    /// A certificate names another issuer than the subject of the next one.
    #[error("certificate {position} of the chain was not issued by the next one")]
    NotIssuedByNext {
        /// Where in the chain.
        position: usize,
    },
    /// The last certificate is not self-signed: the chain is not complete.
    #[error("the last certificate of the chain is not a self-signed root")]
    NotRooted,
    /// A certificate does not meet the profile.
    #[error("certificate {position} of the chain is unfit: {fault}")]
    Profile {
        /// Where in the chain.
        position: usize,
        /// What is wrong with it.
        fault: ProfileError,
    },
    /// A self-signed certificate before the last one.
    #[error("certificate {position} of the chain is self-signed, but is not the last")]
    SelfSigned {
        /// Where in the chain.
        position: usize,
    },
    /// A certificate is not signed by the next one, or by an algorithm that is not accepted.
    #[error("certificate {position} of the chain: {fault}")]
    Signature {
        /// Where in the chain.
        position: usize,
        /// What is wrong with its signature.
        fault: SignatureError,
    },
    /// Over [`CHAIN_MAX`].
    #[error("the chain has more than {CHAIN_MAX} certificates")]
    TooLong,
}

/// Nothing, if `chain` (leaf first) ends in a self-signed root, each certificate is signed by the
/// next, and each meets the profile of its place:
///
/// 1. one to [`CHAIN_MAX`] certificates;
/// 2. leaf profile for `purpose`, CA profile for all others (a lone certificate is a leaf);
/// 3. issuer names equal the next subject, byte for byte, and the last one's own;
/// 4. no certificate but the last is self-signed (which its signature decides: a leaf may have the
///    root's name);
/// 5. all signatures, the root's own too, so that no SHA-1 is anywhere.
///
/// # Errors
/// See [`ChainError`].
pub fn check_chain(chain: &[Certificate], purpose: Purpose) -> Result<(), ChainError> {
    let (root, below) = chain.split_last().ok_or(ChainError::Empty)?;
    if chain.len() > CHAIN_MAX {
        return Err(ChainError::TooLong);
    }
    for (position, certificate) in chain.iter().enumerate() {
        match position.checked_sub(1) {
            None => profile::check_leaf(certificate, purpose),
            Some(cas_below) => profile::check_ca(certificate, cas_below, purpose),
        }
        .map_err(|fault| ChainError::Profile { position, fault })?;
    }
    for (position, (certificate, issuer)) in below.iter().zip(chain.iter().skip(1)).enumerate() {
        if certificate.issuer_der() != issuer.subject_der() {
            return Err(ChainError::NotIssuedByNext { position });
        }
        if certificate.is_self_signed() {
            return Err(ChainError::SelfSigned { position });
        }
        certificate
            .verify_signed_by(issuer)
            .map_err(|fault| ChainError::Signature { position, fault })?;
    }
    if root.issuer_der() != root.subject_der() {
        return Err(ChainError::NotRooted);
    }
    let position = below.len();
    root.verify_signed_by(root).map_err(|fault| match fault {
        SignatureError::Invalid => ChainError::NotRooted,
        fault => ChainError::Signature { position, fault },
    })
}

/// Nothing, if `issuer` issued `certificate`: the names meet, `issuer` may sign certificates, and it
/// signed this one.
///
/// # Errors
/// [`ChainError`] with position 0 for the certificate and 1 for the issuer.
pub fn check_issued_by(certificate: &Certificate, issuer: &Certificate) -> Result<(), ChainError> {
    if certificate.issuer_der() != issuer.subject_der() {
        return Err(ChainError::NotIssuedByNext { position: 0 });
    }
    profile::check_may_issue(issuer).map_err(|fault| ChainError::Profile { position: 1, fault })?;
    certificate
        .verify_signed_by(issuer)
        .map_err(|fault| ChainError::Signature { position: 0, fault })
}

#[cfg(test)]
mod tests;
