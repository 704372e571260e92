//! From a certificate file and a key file to what the server speaks: TLS 1.3 alone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{CertificateError, RootCertStore, ServerConfig};

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
    /// No client certificate could be verified by what the file holds.
    #[error("{file} holds a certificate that cannot be a client CA: {source}")]
    ClientCa {
        /// The file.
        file: String,
        /// What is wrong.
        source: rustls::Error,
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
    config(certificate, key, WebPkiClientVerifier::no_client_auth())
}

/// The same, for clients that may show a certificate. One that chains to none of the certificates
/// in `client_ca` ends the handshake; what a client without one may do is said by
/// [`Callers`](crate::Callers). Any name will do, and no revocation is looked at: the CA is for
/// whoever may ask, and for nobody else.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn mutual_tls_config(
    certificate: Pem<'_>,
    key: Pem<'_>,
    client_ca: Pem<'_>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let error = |source| TlsError::ClientCa { file: client_ca.file.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for root in chain(client_ca)? {
        roots.add(root).map_err(error)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|source| error(rustls::Error::General(source.to_string())))?;
    config(certificate, key, clients)
}

fn config(
    certificate: Pem<'_>,
    key: Pem<'_>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |source| TlsError::Unusable {
        certificate: certificate.file.to_owned(),
        key: key.file.to_owned(),
        source,
    };
    let asks_clients = clients.offer_client_auth();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain(certificate)?, private_key(key)?)
        .map_err(unusable)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    if asks_clients {
        // A session that is taken up again would bring its certificate along, expired or not.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// When the first certificate in `pem` expires; `None` where it cannot be read.
pub fn certificate_expiry(pem: Pem<'_>) -> Option<Timestamp> {
    let chain = chain(pem).ok()?;
    let certificate = ParsedCertificate::try_from(chain.first()?).ok()?;
    // The TLS library tells it to those who ask after it only.
    let end_of_time = UnixTime::since_unix_epoch(Duration::MAX);
    let asked = verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &RootCertStore::empty(),
        &[],
        end_of_time,
        &[],
    );
    match asked {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok(),
        _ => None,
    }
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
    fn tells_when_a_certificate_expires() {
        let issued = TestAuthority::generate().unwrap().issue(&["localhost"]).unwrap();
        let expiry = |bytes: &[u8]| certificate_expiry(Pem { file: "tls.crt", bytes });
        // What rcgen gives to a certificate that names no other end.
        let end = "4096-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(expiry(issued.certificate_pem.as_bytes()), Some(end));
        assert_eq!(expiry(issued.key_pem.as_bytes()), None);
        assert_eq!(expiry(b""), None);
    }

    #[test]
    fn rejects_client_cas_that_are_none() {
        let authority = TestAuthority::generate().unwrap();
        let issued = authority.issue(&["localhost"]).unwrap();
        let certificate = Pem { file: "tls.crt", bytes: issued.certificate_pem.as_bytes() };
        let key = Pem { file: "tls.key", bytes: issued.key_pem.as_bytes() };
        let with = |ca: &str| {
            let ca = Pem { file: "ca.crt", bytes: ca.as_bytes() };
            mutual_tls_config(certificate, key, ca).map_err(|error| error.to_string())
        };
        assert!(with(&authority.certificate_pem()).is_ok());
        assert_eq!(with("").err().unwrap(), "ca.crt holds no certificate (PEM, BEGIN CERTIFICATE)");
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = with(no_certificate).err().unwrap();
        assert!(error.starts_with("ca.crt holds a certificate that cannot be a client CA: "));
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
