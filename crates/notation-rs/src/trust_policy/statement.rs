//! A statement: the level, the trust stores and the identities that a signature is held against.

use serde::{Deserialize, Deserializer};

use super::{PolicyDefect, TrustPolicyError, VerificationLevel};
use crate::identity::{DistinguishedName, IdentityError, TrustedIdentity, UnknownAttributes};
use crate::json::Object;
use crate::trust_store::TrustStoreRef;

/// `signatureVerification` as a document writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct SignatureVerification {
    /// strict, permissive, audit or skip.
    pub level: String,
    /// Actions other than the level's.
    #[serde(rename = "override", deserialize_with = "overrides")]
    pub overrides: Option<Overrides>,
    /// always (also where absent or empty) or afterCertExpiry.
    pub verify_timestamp: Option<String>,
}

/// `override` as a document writes it: an action for each check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Overrides {
    /// enforce or log.
    pub authenticity: Option<String>,
    /// enforce or log.
    pub authentic_timestamp: Option<String>,
    /// enforce or log.
    pub expiry: Option<String>,
    /// Nothing is allowed here. It is a field so that the error can say so.
    pub integrity: Option<String>,
    /// enforce, log or skip.
    pub revocation: Option<String>,
}

impl Overrides {
    /// The overrides that are there, by the name of the check.
    fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("authenticity", &self.authenticity),
            ("authenticTimestamp", &self.authentic_timestamp),
            ("expiry", &self.expiry),
            ("integrity", &self.integrity),
            ("revocation", &self.revocation),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// When the timestamp of a signature is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyTimestamp {
    /// Only when a certificate of the chain has expired.
    AfterCertExpiry,
    /// Whenever the statement has a `tsa` trust store.
    #[default]
    Always,
}

/// A valid statement of a trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    name: String,
    level: VerificationLevel,
    verify_timestamp: VerifyTimestamp,
    trust_stores: Vec<TrustStoreRef>,
    trusted_identities: Vec<TrustedIdentity>,
}

impl Statement {
    /// The statement that these fields make, in the words of a document.
    ///
    /// # Errors
    /// The first field that is wrong, and why. `name` may be anything.
    pub fn new(
        name: &str,
        verification: &SignatureVerification,
        trust_stores: &[String],
        trusted_identities: &[String],
    ) -> Result<Self, TrustPolicyError> {
        let level = level(verification)?;
        let verify_timestamp = verify_timestamp(verification)?;
        for (field, values) in
            [("trustStores", trust_stores), ("trustedIdentities", trusted_identities)]
        {
            let defect = match (level.is_skip(), values.is_empty()) {
                (true, false) => PolicyDefect::HasNoEffect,
                (false, true) => PolicyDefect::NoValue,
                _ => continue,
            };
            return Err(TrustPolicyError::new(field, defect));
        }
        Ok(Self {
            name: name.to_owned(),
            level,
            verify_timestamp,
            trust_stores: stores(trust_stores)?,
            trusted_identities: identities(trusted_identities)?,
        })
    }

    /// The statement's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What each failed check leads to.
    pub const fn level(&self) -> &VerificationLevel {
        &self.level
    }

    /// When timestamps are verified.
    pub const fn verify_timestamp(&self) -> VerifyTimestamp {
        self.verify_timestamp
    }

    /// The trust stores, of all types. Empty only at level skip.
    pub fn trust_stores(&self) -> &[TrustStoreRef] {
        &self.trust_stores
    }

    /// The identities, of which one has to be the signer. Empty only at level skip.
    pub fn trusted_identities(&self) -> &[TrustedIdentity] {
        &self.trusted_identities
    }

    /// Whether the signer with this `subject`, in DER, is one of the trusted identities.
    ///
    /// # Errors
    /// The subject can't be compared with any, and not everybody is trusted.
    pub fn trusts(
        &self,
        subject: &[u8],
        unknown: UnknownAttributes,
    ) -> Result<bool, IdentityError> {
        if self.trusted_identities.contains(&TrustedIdentity::Any) {
            return Ok(true);
        }
        let subject = DistinguishedName::read(subject, unknown)?;
        Ok(self.trusted_identities.iter().any(|identity| match identity {
            TrustedIdentity::X509Subject(name) => name.is_subset_of(&subject),
            TrustedIdentity::Any | TrustedIdentity::Unknown(_) => false,
        }))
    }
}

fn overrides<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Overrides>, D::Error> {
    let overrides = Option::<Object<Overrides>>::deserialize(deserializer)?;
    Ok(overrides.map(|Object(overrides)| overrides))
}

fn level(verification: &SignatureVerification) -> Result<VerificationLevel, TrustPolicyError> {
    let value = &verification.level;
    let mut level = VerificationLevel::from_name(value).ok_or_else(|| {
        let defect = PolicyDefect::Level { value: value.clone() };
        TrustPolicyError::new("signatureVerification.level", defect)
    })?;
    for (check, action) in verification.overrides.iter().flat_map(Overrides::entries) {
        level = level.overridden(check, action).ok_or_else(|| {
            let defect = PolicyDefect::Override { value: action.to_owned() };
            TrustPolicyError::new(format!("signatureVerification.override.{check}"), defect)
        })?;
    }
    Ok(level)
}

fn verify_timestamp(
    verification: &SignatureVerification,
) -> Result<VerifyTimestamp, TrustPolicyError> {
    match verification.verify_timestamp.as_deref() {
        None | Some("" | "always") => Ok(VerifyTimestamp::Always),
        Some("afterCertExpiry") => Ok(VerifyTimestamp::AfterCertExpiry),
        Some(value) => Err(TrustPolicyError::new(
            "signatureVerification.verifyTimestamp",
            PolicyDefect::VerifyTimestamp { value: value.to_owned() },
        )),
    }
}

fn stores(values: &[String]) -> Result<Vec<TrustStoreRef>, TrustPolicyError> {
    let parse = |(index, value): (usize, &String)| {
        TrustStoreRef::parse(value).ok_or_else(|| {
            let defect = PolicyDefect::TrustStore { value: value.clone() };
            TrustPolicyError::new(format!("trustStores[{index}]"), defect)
        })
    };
    values.iter().enumerate().map(parse).collect()
}

fn identities(values: &[String]) -> Result<Vec<TrustedIdentity>, TrustPolicyError> {
    let mut identities: Vec<TrustedIdentity> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let wrong = |defect| TrustPolicyError::new(format!("trustedIdentities[{index}]"), defect);
        if value.is_empty() {
            return Err(wrong(PolicyDefect::NoValue));
        }
        let identity = TrustedIdentity::parse(value)
            .map_err(|reason| wrong(PolicyDefect::Identity { value: value.clone(), reason }))?;
        if identity == TrustedIdentity::Any && values.len() > 1 {
            return Err(wrong(PolicyDefect::NotAlone));
        }
        if let Some((_, other)) =
            identities.iter().zip(values).find(|(other, _)| overlap(&identity, other))
        {
            let (value, other) = (value.clone(), other.clone());
            return Err(wrong(PolicyDefect::Overlap { value, other }));
        }
        identities.push(identity);
    }
    Ok(identities)
}

/// Whether one of two names says all that the other says.
fn overlap(one: &TrustedIdentity, other: &TrustedIdentity) -> bool {
    match (one, other) {
        (TrustedIdentity::X509Subject(one), TrustedIdentity::X509Subject(other)) => {
            one.is_subset_of(other) || other.is_subset_of(one)
        }
        _ => false,
    }
}
