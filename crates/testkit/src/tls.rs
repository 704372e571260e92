//! A certificate authority of a test's own, for servers on loopback.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

/// A root certificate and its key, made anew for each test.
#[derive(Debug)]
pub struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

/// A server certificate and its ECDSA P-256 private key, both as PEM and as DER.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The certificate, DER.
    pub certificate_der: Vec<u8>,
    /// The private key, PKCS #8 PEM.
    pub key_pem: String,
    /// The private key, PKCS #8 DER.
    pub key_der: Vec<u8>,
}

impl TestAuthority {
    /// A self-signed root with a new key, valid in any year that a test may set.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate()?).map(Self)
    }

    /// The root certificate, PEM: what a client must trust.
    pub fn certificate_pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for these DNS names and IP addresses.
    ///
    /// # Errors
    /// When a name is not ASCII, or no key can be generated.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, rcgen::Error> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.0)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
        })
    }
}
