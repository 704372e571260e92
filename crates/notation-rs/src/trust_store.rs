//! Trust stores: the certificates that signing chains and timestamps have to lead to.
//!
//! A store is made of files' contents, PEM or DER; where the files come from is the caller's
//! business. What can't be read, and what could not anchor any chain, is refused when the store is
//! made, so that a mistake shows before the first signature fails.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::{Certificate, CertificateError};
use crate::der::{Reader, SEQUENCE};
use crate::profile;

/// Bytes of one file of a trust store. The largest bundles of public roots have 300 KiB.
pub const STORE_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Certificates of one trust store: each is compared with each certificate of a chain.
pub const STORE_CERTIFICATES_MAX: usize = 1000;

const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END_CERTIFICATE: &str = "-----END CERTIFICATE-----";

/// What the certificates of a store may anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustStoreType {
    /// Signatures of scheme `notary.x509`.
    Ca,
    /// Signatures of scheme `notary.x509.signingAuthority`.
    SigningAuthority,
    /// Timestamps.
    Tsa,
}

impl TrustStoreType {
    /// The name in trust policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ca, Self::SigningAuthority, Self::Tsa].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The name of a store in a trust policy: `ca:vendor-roots`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustStoreRef {
    kind: TrustStoreType,
    name: String,
}

impl TrustStoreRef {
    /// The name that `text` is: a type, a colon, and letters, digits, dots, hyphens, underscores.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let kind = TrustStoreType::from_name(kind)?;
        (!name.is_empty() && name.bytes().all(is_allowed))
            .then(|| Self { kind, name: name.to_owned() })
    }

    /// The store's type.
    pub const fn kind(&self) -> TrustStoreType {
        self.kind
    }

    /// The store's name, without its type.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TrustStoreRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind.as_str(), self.name)
    }
}

/// The certificates of one store, each of which may anchor what its type says. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustStore {
    kind: TrustStoreType,
    certificates: Vec<Certificate>,
}

impl TrustStore {
    /// The store with the certificates of `files`: each holds PEM, with any text between the blocks,
    /// or DER, one certificate after the other. A certificate that repeats counts once. Validity is
    /// not looked at.
    ///
    /// # Errors
    /// A file that holds no certificate or anything else than certificates, a certificate that can't
    /// anchor what the store is for, no certificate at all, and what is over the limits.
    pub fn from_files<'a>(
        kind: TrustStoreType,
        files: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, TrustStoreError> {
        let mut certificates = Vec::new();
        for file in files {
            for certificate in parse_file(file)? {
                check(kind, &certificate)?;
                if certificates.contains(&certificate) {
                    continue;
                }
                if certificates.len() == STORE_CERTIFICATES_MAX {
                    return Err(TrustStoreError::TooMany);
                }
                certificates.push(certificate);
            }
        }
        match certificates.is_empty() {
            true => Err(TrustStoreError::Empty),
            false => Ok(Self { kind, certificates }),
        }
    }

    /// What the certificates may anchor.
    pub const fn kind(&self) -> TrustStoreType {
        self.kind
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

/// The stores that trust policies name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustStores(BTreeMap<TrustStoreRef, TrustStore>);

impl TrustStores {
    /// Makes `store` the one that policies mean by its type and `name`; gives back the one that it
    /// replaces. No policy can mean a name that [`TrustStoreRef::parse`] does not take.
    pub fn insert(&mut self, name: &str, store: TrustStore) -> Option<TrustStore> {
        self.0.insert(TrustStoreRef { kind: store.kind, name: name.to_owned() }, store)
    }

    /// The certificates of those stores of `wanted` that are of `kind`.
    ///
    /// # Errors
    /// A store of that kind is not there, or none of that kind is wanted.
    pub fn certificates(
        &self,
        kind: TrustStoreType,
        wanted: &[TrustStoreRef],
    ) -> Result<Vec<Certificate>, TrustStoreError> {
        let mut certificates = Vec::new();
        for name in wanted.iter().filter(|name| name.kind == kind) {
            let absent = || TrustStoreError::Absent { name: name.clone() };
            let store = self.0.get(name).ok_or_else(absent)?;
            certificates.extend_from_slice(&store.certificates);
        }
        match certificates.is_empty() {
            true => Err(TrustStoreError::NoneOfKind { kind: kind.as_str() }),
            false => Ok(certificates),
        }
    }
}

/// Why there are no certificates to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustStoreError {
    /// A store that the policy names is not there.
    #[error("trust store {name} does not exist")]
    Absent {
        /// The store.
        name: TrustStoreRef,
    },
    /// Bytes that are not a certificate.
    #[error("the trust store holds a certificate that can't be used: {0}")]
    Certificate(#[from] CertificateError),
    /// No file, or files without certificates.
    #[error("the trust store holds no certificate")]
    Empty,
    /// A PEM block that is not closed, is not base64, or is no certificate.
    #[error("the trust store holds a PEM block that is not a whole CERTIFICATE")]
    Pem,
    /// The policy names no store that this signature or timestamp could lead to.
    #[error("the trust policy names no trust store of type {kind}")]
    NoneOfKind {
        /// The type.
        kind: &'static str,
    },
    /// A certificate that is neither a CA nor self-signed.
    #[error("the trust store holds a certificate that is neither a CA's nor self-signed")]
    NotAnchor,
    /// A certificate of a `tsa` store that is not a self-signed CA certificate.
    #[error("the tsa trust store holds a certificate that is not a self-signed CA's")]
    NotRoot,
    /// A file over [`STORE_FILE_BYTES_MAX`].
    #[error("the trust store holds a file of more than {STORE_FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// Over [`STORE_CERTIFICATES_MAX`].
    #[error("the trust store holds more than {STORE_CERTIFICATES_MAX} certificates")]
    TooMany,
}

/// The certificates of a file: of its PEM blocks if it has any, else of its DER.
fn parse_file(bytes: &[u8]) -> Result<Vec<Certificate>, TrustStoreError> {
    if bytes.len() > STORE_FILE_BYTES_MAX {
        return Err(TrustStoreError::TooLarge);
    }
    // The text between the blocks may be in any encoding.
    let text = String::from_utf8_lossy(bytes);
    let certificates = if text.contains(PEM_BEGIN) { parse_pem(&text) } else { parse_der(bytes) }?;
    match certificates.is_empty() {
        true => Err(TrustStoreError::Empty),
        false => Ok(certificates),
    }
}

fn parse_der(bytes: &[u8]) -> Result<Vec<Certificate>, TrustStoreError> {
    let mut reader = Reader::new(bytes);
    let mut certificates = Vec::new();
    while !reader.is_empty() {
        let element = reader.expect(SEQUENCE).map_err(CertificateError::from)?;
        certificates.push(Certificate::from_der(element.whole)?);
    }
    Ok(certificates)
}

/// The certificates of `text` (RFC 7468, section 5): text outside of the blocks is explanation, but
/// a block of another kind, a private key say, is a mistake to be told of.
fn parse_pem(text: &str) -> Result<Vec<Certificate>, TrustStoreError> {
    let mut certificates = Vec::new();
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        if line != PEM_BEGIN_CERTIFICATE {
            if line.contains(PEM_BEGIN) {
                return Err(TrustStoreError::Pem);
            }
            continue;
        }
        let mut body = String::new();
        loop {
            match lines.next().ok_or(TrustStoreError::Pem)? {
                PEM_END_CERTIFICATE => break,
                line => body.push_str(line.trim_start()),
            }
        }
        let der = STANDARD.decode(body).map_err(|_| TrustStoreError::Pem)?;
        certificates.push(Certificate::from_der(der)?);
    }
    Ok(certificates)
}

/// Checks that `certificate` can anchor what a store of `kind` is for.
fn check(kind: TrustStoreType, certificate: &Certificate) -> Result<(), TrustStoreError> {
    let is_ca = profile::is_ca(certificate);
    match kind {
        TrustStoreType::Tsa if is_ca && certificate.is_self_signed() => Ok(()),
        TrustStoreType::Tsa => Err(TrustStoreError::NotRoot),
        _ if is_ca || certificate.verify_signed_by(certificate).is_ok() => Ok(()),
        _ => Err(TrustStoreError::NotAnchor),
    }
}

#[cfg(test)]
mod tests;
