//! The certificate authority of a test cluster.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// A root certificate and its key, made anew for each cluster.
#[derive(Debug)]
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: String,
    /// The private key, PKCS #8.
    pub(crate) key: String,
}

impl Authority {
    /// A self-signed root.
    ///
    /// # Errors
    /// When no key can be generated.
    pub(crate) fn generate() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The root certificate, PEM: what a client must trust.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// The identity of a server on 127.0.0.1, until that year.
    ///
    /// # Errors
    /// When no key can be generated.
    pub(crate) fn issue(&self, until_year: i32) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.not_after = date_time_ymd(until_year, 1, 1);
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
