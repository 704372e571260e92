//! A root, an intermediate and a code signing leaf, all in order.

use jiff::Timestamp;

use super::{CertificateTemplate, CertifiedKey, SignerError, SigningKey};
use crate::algorithm::KeyKind;
use crate::certificate::Certificate;

/// A chain of three, with the keys.
#[derive(Debug)]
pub struct Pki {
    /// The self-signed root, on P-384.
    pub root: CertifiedKey,
    /// The CA below it, on P-256.
    pub intermediate: CertifiedKey,
    /// The code signing leaf.
    pub leaf: CertifiedKey,
}

impl Pki {
    /// A new chain, valid from the one time to the other, whose leaf has a key of `kind` and the
    /// subject `CN=Vec Leaf,O=Acme,L=Seattle,ST=WA,C=US`.
    ///
    /// # Errors
    /// [`SignerError::Key`].
    pub fn generate(
        kind: KeyKind,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Self, SignerError> {
        let template = |common_name| {
            let subject =
                [("C", "US"), ("ST", "WA"), ("L", "Seattle"), ("O", "Acme"), ("CN", common_name)];
            CertificateTemplate::new(&subject, not_before, not_after)
        };
        let root =
            template("Vec Root").ca(None).self_signed(SigningKey::generate(KeyKind::P384)?)?;
        let intermediate = template("Vec Intermediate")
            .ca(Some(0))
            .issued_by(&root, SigningKey::generate(KeyKind::P256)?)?;
        let leaf = template("Vec Leaf")
            .code_signing()
            .issued_by(&intermediate, SigningKey::generate(kind)?)?;
        Ok(Self { root, intermediate, leaf })
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> Vec<Certificate> {
        [&self.leaf, &self.intermediate, &self.root].map(|link| link.certificate.clone()).into()
    }
}
