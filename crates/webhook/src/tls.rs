//! From a certificate file and a key file to what the server speaks: TLS 1.3 alone.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;

/// Protocols offered, best first. The API server speaks HTTP/1.1 to services
/// (kubernetes/kubernetes#75791), and h2 to a URL on loopback.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A PEM file's bytes, and the name to call it by when something is wrong with them.
#[derive(Clone, Copy, Debug)]
pub struct Pem<'a> {
    /// The file's name.
    pub file: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Why a certificate and its key cannot be served with. No message holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate file has no certificate.
    #[error("{file} holds no certificate (PEM, BEGIN CERTIFICATE)")]
    NoCertificate {
        /// The file.
        file: String,
    },
    /// The key file has no private key.
    #[error("{file} holds no unencrypted private key (PEM; PKCS #8, SEC 1 or PKCS #1)")]
    NoKey {
        /// The file.
        file: String,
    },
    /// The file is not PEM.
    #[error("{file} is not valid PEM: {source}")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong.
        source: pem::Error,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("the certificate in {certificate} and the key in {key} do not serve: {source}")]
    Unusable {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// The TLS configuration of a server that shows the chain in `certificate` (its own certificate
/// first) and holds the private key in `key`: TLS 1.3, HTTP/2 and HTTP/1.1, no client certificates.
///
/// # Errors
/// [`TlsError`] names the file. Neither names nor validity of the certificate are checked: clients
/// do that.
pub fn tls_config(certificate: Pem<'_>, key: Pem<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |source| TlsError::Unusable {
        certificate: certificate.file.to_owned(),
        key: key.file.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain(certificate)?, private_key(key)?)
        .map_err(unusable)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn chain(pem: Pem<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes).collect();
    let chain = chain.map_err(|source| TlsError::Pem { file: pem.file.to_owned(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { file: pem.file.to_owned() });
    }
    Ok(chain)
}

fn private_key(pem: Pem<'_>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = pem.file.to_owned();
    PrivateKeyDer::from_pem_slice(pem.bytes).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoKey { file },
        source => TlsError::Pem { file, source },
    })
}

#[cfg(test)]
mod tests {
    use assay_testkit::TestAuthority;

    use super::*;

    #[track_caller]
    fn check_error(name: &str, certificate: &str, key: &str, expect: &str) {
        let certificate = Pem { file: "tls.crt", bytes: certificate.as_bytes() };
        let key = Pem { file: "tls.key", bytes: key.as_bytes() };
        let error = tls_config(certificate, key).expect_err(name).to_string();
        assert!(error.contains(expect), "{name}: {error}");
    }

    #[test]
    fn accepts_a_certificate_with_its_key() {
        let issued = TestAuthority::generate().unwrap().issue(&["localhost"]).unwrap();
        let certificate = Pem { file: "tls.crt", bytes: issued.certificate_pem.as_bytes() };
        let config =
            tls_config(certificate, Pem { file: "tls.key", bytes: issued.key_pem.as_bytes() });
        assert_eq!(config.unwrap().alpn_protocols, ALPN);
    }

    #[test]
    fn rejects_what_does_not_serve_and_names_the_file() {
        let authority = TestAuthority::generate().unwrap();
        let issued = authority.issue(&["localhost"]).unwrap();
        let other = authority.issue(&["localhost"]).unwrap();
        let (certificate, key) = (issued.certificate_pem.as_str(), issued.key_pem.as_str());
        let no_certificate = "tls.crt holds no certificate";
        let no_key = "tls.key holds no unencrypted private key";

        check_error("an empty certificate file", "", key, no_certificate);
        check_error("the key in the certificate's place", key, key, no_certificate);
        check_error("an empty key file", certificate, "", no_key);
        check_error("the certificate in the key's place", certificate, certificate, no_key);
        let cut = &certificate[..certificate.len() / 2];
        check_error("a certificate cut short", cut, key, "tls.crt is not valid PEM");
        let cut = &key[..key.len() / 2];
        check_error("a key cut short", certificate, cut, "tls.key is not valid PEM");
        check_error("another certificate's key", certificate, &other.key_pem, "do not serve");
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        check_error("an encrypted key", certificate, &encrypted, no_key);
    }
}
