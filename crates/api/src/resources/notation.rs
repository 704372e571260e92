//! The `notation` verifier, and trust policies of the Notary Project.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cel;
use super::policy::annotations;
use super::trust_store::CertificateKind;
use crate::limits::{
    CERTIFICATE_STORES_MAX, GLOB_LENGTH_MAX, IDENTITIES_MAX, IDENTITY_LENGTH_MAX, NAME_LENGTH_MAX,
    OBJECT_NAME_LENGTH_MAX, SCOPES_MAX, STATEMENTS_MAX,
};

/// Characters of a type, a colon and a trust store's name.
const STORE_LENGTH_MAX: usize = OBJECT_NAME_LENGTH_MAX + "signingAuthority:".len();

/// Characters of a word of a trust policy: a level, an action.
const WORD_LENGTH_MAX: usize = NAME_LENGTH_MAX;

/// What is said where a policy asks for nothing.
pub(crate) const LEVEL_SKIP: &str =
    "skip verifies nothing: give these images a rule with allow: true";

/// A Notary Project signature on the image: by `trustStores`, `trustedIdentities` and so on, or by a
/// whole `trustPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    cel("!has(self.level) || self.level != 'skip'", LEVEL_SKIP),
    cel(
        "has(self.trustPolicy) != (has(self.trustStores) || has(self.clusterTrustStores))",
        "needs trustStores, or trustPolicy in its place"
    ),
    cel(
        "has(self.trustPolicy) != has(self.trustedIdentities)",
        "trustStores needs trustedIdentities; trustPolicy has its own"
    ),
    cel(
        "!has(self.trustPolicy) || !(has(self.level) || has(self.override) || \
         has(self.verifyTimestamp) || has(self.revocation))",
        "level, override, verifyTimestamp and revocation are not for a trustPolicy, which has its own"
    ),
]))]
pub struct NotationSpec {
    /// The certificates that signers have to lead to, and timestamps, by the type and name of a
    /// ClusterTrustStore; in an ImageAdmissionPolicy of a TrustStore of its namespace. Example:
    /// `[{type: ca, name: vendor-roots}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = CERTIFICATE_STORES_MAX))]
    pub trust_stores: Vec<CertificateStoreSpec>,
    /// The same, by ClusterTrustStores, in an ImageAdmissionPolicy only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = CERTIFICATE_STORES_MAX))]
    pub cluster_trust_stores: Vec<CertificateStoreSpec>,
    /// Who may have signed: `*`, or attributes of the subject of the signing certificate, with C, ST
    /// and O. Example: `["x509.subject: C=US, ST=WA, O=vendor.example"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = IDENTITIES_MAX),
        inner(length(min = 1, max = IDENTITY_LENGTH_MAX))
    )]
    pub trusted_identities: Vec<String>,
    /// What a failed check does: under `strict`, the default, all are enforced; under `permissive`
    /// expiry, timestamp and revocation are only reported; under `audit` so is who signed. An image
    /// without signature is refused under each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Other actions than the level's.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverrideSpec>,
    /// When a timestamp is verified, given a trust store of type tsa: `always`, the default, or
    /// `afterCertExpiry`, only when a certificate of the signer has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_timestamp: Option<VerifyTimestamp>,
    /// What a revoked certificate, or one of which it cannot be told, does, in the place of the
    /// level's action: `enforce`, `log`, or `skip`, by which nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Action>,
    /// What must be in the signed payload, with these very values, as `notation sign -m env=prod` puts
    /// it there. Example: `{env: prod}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    pub user_metadata: BTreeMap<String, String>,
    /// A trust policy document of the Notary Project as it is. `ca:NAME` means the trust store NAME,
    /// and the image's repository selects the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<TrustPolicySpec>,
}

/// A trust store of certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateStoreSpec {
    /// What its certificates are for: `ca`, `signingAuthority` or `tsa`, as the trust store has it.
    #[serde(rename = "type")]
    pub kind: CertificateKind,
    /// Its name.
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub name: String,
}

/// What failed checks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All but the integrity of the signature is only reported.
    Audit,
    /// Integrity and authenticity are enforced.
    Permissive,
    /// Nothing is verified, which a rule says with `allow`.
    Skip,
    /// Everything is enforced.
    Strict,
}

/// What a failed check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It refuses the signature.
    Enforce,
    /// It is reported.
    Log,
    /// The check is not made.
    Skip,
}

/// When a timestamp is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerifyTimestamp {
    /// When a certificate of the signer has expired.
    AfterCertExpiry,
    /// Always.
    Always,
}

/// What failed checks do, in the place of the level's actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideSpec {
    /// Whether the signer is trusted: `enforce` or `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticity: Option<Action>,
    /// Whether the certificates were valid when the signature was made: `enforce` or `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentic_timestamp: Option<Action>,
    /// Whether the signature has expired: `enforce` or `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Action>,
    /// Whether a certificate is revoked: `enforce`, `log` or `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Action>,
}

/// A trust policy document of the Notary Project, for images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustPolicySpec {
    /// The version of the document: `1.0`.
    #[schemars(length(min = 1, max = WORD_LENGTH_MAX))]
    pub version: String,
    /// The statements, each for some repositories.
    #[schemars(length(min = 1, max = STATEMENTS_MAX))]
    pub trust_policies: Vec<StatementSpec>,
}

/// What signatures in some repositories have to meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatementSpec {
    /// The name of the statement.
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub name: String,
    /// The repositories, `HOST/PATH` in full, or `*` alone for all others. Example:
    /// `["docker.io/vendor/app"]`.
    #[schemars(length(min = 1, max = SCOPES_MAX), inner(length(min = 1, max = GLOB_LENGTH_MAX)))]
    pub registry_scopes: Vec<String>,
    /// The level and its overrides.
    pub signature_verification: SignatureVerificationSpec,
    /// The trust stores, `type:name`. Example: `["ca:vendor-roots"]`.
    #[serde(default)]
    #[schemars(
        length(max = CERTIFICATE_STORES_MAX),
        inner(length(min = 1, max = STORE_LENGTH_MAX))
    )]
    pub trust_stores: Vec<String>,
    /// Who may have signed. Example: `["x509.subject: C=US, ST=WA, O=vendor.example"]`.
    #[serde(default)]
    #[schemars(
        length(max = IDENTITIES_MAX),
        inner(length(min = 1, max = IDENTITY_LENGTH_MAX))
    )]
    pub trusted_identities: Vec<String>,
}

/// The level of a statement, and its overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureVerificationSpec {
    /// `strict`, `permissive` or `audit`.
    #[schemars(length(min = 1, max = WORD_LENGTH_MAX))]
    pub level: String,
    /// Other actions than the level's.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverrideSpec>,
    /// `always` or `afterCertExpiry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_LENGTH_MAX))]
    pub verify_timestamp: Option<String>,
}

impl Level {
    /// The name in trust policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Permissive => "permissive",
            Self::Skip => "skip",
            Self::Strict => "strict",
        }
    }
}

impl Action {
    /// The name in trust policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Log => "log",
            Self::Skip => "skip",
        }
    }
}

impl VerifyTimestamp {
    /// The name in trust policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterCertExpiry => "afterCertExpiry",
            Self::Always => "always",
        }
    }
}

impl OverrideSpec {
    /// The actions that are given, by the name of the check.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, Action)> {
        let entries = [
            ("authenticity", self.authenticity),
            ("authenticTimestamp", self.authentic_timestamp),
            ("expiry", self.expiry),
            ("revocation", self.revocation),
        ];
        entries.into_iter().filter_map(|(check, action)| Some((check, action?)))
    }
}
