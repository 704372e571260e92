//! What a certificate may be used for: the Notary Project's profile for code signing, timestamping
//! and the CAs above them. Only basic constraints, key usage and extended key usage are read; any
//! other extension is ignored, even an unknown critical one, as the specification has it.

use crate::algorithm::{Algorithm, SignatureError};
use crate::certificate::Certificate;
use crate::der::{self, BIT_STRING, BOOLEAN, INTEGER, Malformed, OID, SEQUENCE};

/// What the leaf of a chain signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Envelopes.
    CodeSigning,
    /// Timestamp tokens.
    Timestamping,
}

/// What is wrong with a certificate in its place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Basic constraints of a CA that are not critical.
    #[error("its basic constraints are not critical")]
    BasicConstraintsNotCritical,
    /// A timestamping leaf whose extended key usage is not critical.
    #[error("its extended key usage is not critical")]
    ExtendedKeyUsageNotCritical,
    /// A timestamping leaf whose extended key usage is not exactly `timeStamping`.
    #[error("its extended key usage is not timeStamping alone")]
    ExtendedKeyUsageNotTimestamping,
    /// A purpose that a code signing leaf must not have.
    #[error("its extended key usage has {0}, which a code signing certificate must not have")]
    ForbiddenExtendedKeyUsage(&'static str),
    /// A usage that a leaf must not have.
    #[error("its key usage has {0}, which a signing certificate must not have")]
    ForbiddenKeyUsage(&'static str),
    /// The key is not one of those that sign envelopes.
    #[error("its key may not sign: {0}")]
    Key(SignatureError),
    /// Key usage that is not critical where it must be.
    #[error("its key usage is not critical")]
    KeyUsageNotCritical,
    /// A leaf that is a CA.
    #[error("it is a CA, but stands where the signing certificate belongs")]
    LeafIsCa,
    /// An extension that is read is not the DER that it must be.
    #[error("its basic constraints, key usage or extended key usage are malformed")]
    Malformed,
    /// A usage that the certificate needs.
    #[error("its key usage lacks {0}")]
    MissingKeyUsage(&'static str),
    /// An issuer that is not a version 3 certificate with CA:TRUE.
    #[error("it is not a CA certificate")]
    NotCa,
    /// More CA certificates below it than its path length allows.
    #[error("its path length does not allow the CA certificates below it")]
    PathLength,
}

impl From<Malformed> for ProfileError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// Nothing, if `leaf` may be the first certificate of a chain for `purpose`.
///
/// # Errors
/// See [`ProfileError`]. Signatures and validity are not looked at.
pub fn check_leaf(leaf: &Certificate, purpose: Purpose) -> Result<(), ProfileError> {
    if basic_constraints(leaf)?.is_some_and(|constraints| constraints.ca) {
        return Err(ProfileError::LeafIsCa);
    }
    let (critical, usage) =
        key_usage(leaf)?.ok_or(ProfileError::MissingKeyUsage("digitalSignature"))?;
    if purpose == Purpose::CodeSigning && !critical {
        return Err(ProfileError::KeyUsageNotCritical);
    }
    if usage & DIGITAL_SIGNATURE == 0 {
        return Err(ProfileError::MissingKeyUsage("digitalSignature"));
    }
    if let Some((_, name)) = LEAF_FORBIDDEN_USAGES.iter().find(|(bit, _)| usage & bit != 0) {
        return Err(ProfileError::ForbiddenKeyUsage(name));
    }
    match purpose {
        Purpose::CodeSigning => check_code_signing(leaf)?,
        Purpose::Timestamping => check_timestamping(leaf)?,
    }
    let key = leaf.public_key().map_err(ProfileError::Key)?;
    Algorithm::for_key(key.kind()).map(drop).map_err(ProfileError::Key)
}

/// Nothing, if `ca` may stand above a leaf for `purpose` with `cas_below` other CA certificates
/// between.
///
/// # Errors
/// See [`ProfileError`]. Signatures and validity are not looked at.
pub fn check_ca(ca: &Certificate, cas_below: usize, purpose: Purpose) -> Result<(), ProfileError> {
    check_may_issue(ca)?;
    let constraints = basic_constraints(ca)?.ok_or(ProfileError::NotCa)?;
    if !constraints.critical {
        return Err(ProfileError::BasicConstraintsNotCritical);
    }
    if constraints.path_length.is_some_and(|limit| limit < cas_below) {
        return Err(ProfileError::PathLength);
    }
    let (critical, _) = key_usage(ca)?.ok_or(ProfileError::MissingKeyUsage("keyCertSign"))?;
    if purpose == Purpose::CodeSigning && !critical {
        return Err(ProfileError::KeyUsageNotCritical);
    }
    Ok(())
}

/// Whether `certificate` has basic constraints that say CA, whatever else it has.
pub(crate) fn is_ca(certificate: &Certificate) -> bool {
    basic_constraints(certificate)
        .is_ok_and(|found| found.is_some_and(|constraints| constraints.ca))
}

/// Nothing, if `issuer` may sign certificates at all: version 3, CA:TRUE, and `keyCertSign` if it
/// has a key usage. [`check_ca`] asks for more.
///
/// # Errors
/// [`ProfileError::NotCa`], [`ProfileError::MissingKeyUsage`], [`ProfileError::Malformed`].
pub fn check_may_issue(issuer: &Certificate) -> Result<(), ProfileError> {
    let ca = basic_constraints(issuer)?.is_some_and(|constraints| constraints.ca);
    if issuer.version() != 3 || !ca {
        return Err(ProfileError::NotCa);
    }
    match key_usage(issuer)? {
        Some((_, usage)) if usage & KEY_CERT_SIGN == 0 => {
            Err(ProfileError::MissingKeyUsage("keyCertSign"))
        }
        _ => Ok(()),
    }
}

fn check_code_signing(leaf: &Certificate) -> Result<(), ProfileError> {
    let Some((_, purposes)) = extended_key_usage(leaf)? else { return Ok(()) };
    let forbidden = CODE_SIGNING_FORBIDDEN_PURPOSES.iter().find(|(oid, _)| purposes.contains(oid));
    forbidden.map_or(Ok(()), |(_, name)| Err(ProfileError::ForbiddenExtendedKeyUsage(name)))
}

/// RFC 3161, section 2.3: exactly one purpose, and critical.
fn check_timestamping(leaf: &Certificate) -> Result<(), ProfileError> {
    match extended_key_usage(leaf)? {
        Some((critical, purposes)) if purposes == [TIME_STAMPING] => {
            critical.then_some(()).ok_or(ProfileError::ExtendedKeyUsageNotCritical)
        }
        _ => Err(ProfileError::ExtendedKeyUsageNotTimestamping),
    }
}

/// The extension of RFC 5280, section 4.2.1.9.
#[derive(Clone, Copy, Debug)]
struct BasicConstraints {
    critical: bool,
    ca: bool,
    path_length: Option<usize>,
}

fn basic_constraints(certificate: &Certificate) -> Result<Option<BasicConstraints>, Malformed> {
    let Some((critical, value)) = certificate.extension(BASIC_CONSTRAINTS) else { return Ok(None) };
    let mut fields = der::only(SEQUENCE, value)?.reader();
    let ca = fields.optional(BOOLEAN)?.map_or(Ok(false), |ca| der::boolean(ca.content))?;
    let path_length = match fields.optional(INTEGER)?.map(|limit| limit.content) {
        None => None,
        Some([] | [0x80..=0xff, ..]) => return Err(Malformed),
        Some(bytes) => Some(bytes.iter().fold(0_usize, |value, byte| {
            value.saturating_mul(256).saturating_add(usize::from(*byte))
        })),
    };
    fields.finish()?;
    Ok(Some(BasicConstraints { critical, ca, path_length }))
}

/// Whether the key usage (RFC 5280, section 4.2.1.3) is critical, and its bits, the first one
/// highest; none if there is no such extension.
pub(crate) fn key_usage(certificate: &Certificate) -> Result<Option<(bool, u16)>, Malformed> {
    let Some((critical, value)) = certificate.extension(KEY_USAGE) else { return Ok(None) };
    let bits = match *der::only(BIT_STRING, value)?.content {
        [unused @ 0..=7, a] => (unused, u16::from_be_bytes([a, 0]), 8_u32),
        [unused @ 0..=7, a, b] => (unused, u16::from_be_bytes([a, b]), 0),
        _ => return Err(Malformed),
    };
    let (unused, bits, absent) = bits;
    // DER wants unused bits to be zero; one that is set would be a usage that may not be meant.
    let padding = absent.saturating_add(u32::from(unused));
    if bits.trailing_zeros() < padding { Err(Malformed) } else { Ok(Some((critical, bits))) }
}

/// Whether an extended key usage (RFC 5280, section 4.2.1.12) is critical, and its purposes: the
/// contents of their object identifiers.
type ExtendedKeyUsage<'a> = (bool, Vec<&'a [u8]>);

/// The extended key usage; none if there is no such extension.
pub(crate) fn extended_key_usage(
    certificate: &Certificate,
) -> Result<Option<ExtendedKeyUsage<'_>>, Malformed> {
    let Some((critical, value)) = certificate.extension(EXTENDED_KEY_USAGE) else {
        return Ok(None);
    };
    let mut list = der::only(SEQUENCE, value)?.reader();
    let mut purposes = vec![list.expect(OID)?.content];
    while !list.is_empty() {
        purposes.push(list.expect(OID)?.content);
    }
    Ok(Some((critical, purposes)))
}

pub(crate) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
pub(crate) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
pub(crate) const TIME_STAMPING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x08";
/// `anyExtendedKeyUsage`.
pub(crate) const ANY_PURPOSE: &[u8] = b"\x55\x1d\x25\x00";

const DIGITAL_SIGNATURE: u16 = 0x8000;
const KEY_CERT_SIGN: u16 = 0x0400;
/// The bit of [`key_usage`] that lets a key sign CRLs.
pub(crate) const CRL_SIGN: u16 = 0x0200;

/// All usages but `digitalSignature` and `contentCommitment`.
const LEAF_FORBIDDEN_USAGES: [(u16, &str); 7] = [
    (0x2000, "keyEncipherment"),
    (0x1000, "dataEncipherment"),
    (0x0800, "keyAgreement"),
    (KEY_CERT_SIGN, "keyCertSign"),
    (CRL_SIGN, "cRLSign"),
    (0x0100, "encipherOnly"),
    (0x0080, "decipherOnly"),
];

const CODE_SIGNING_FORBIDDEN_PURPOSES: [(&[u8], &str); 6] = [
    (ANY_PURPOSE, "anyExtendedKeyUsage"),
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01], "serverAuth"),
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02], "clientAuth"),
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x04], "emailProtection"),
    (TIME_STAMPING, "timeStamping"),
    (crate::oids::OCSP_SIGNING, "OCSPSigning"),
];
