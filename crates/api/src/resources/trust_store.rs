//! ClusterTrustStore and TrustStore.

use std::path::PathBuf;

use assay_core::TrustStoreKind;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{cel, exactly_one};
use crate::limits::{OBJECT_NAME_LENGTH_MAX, TIME_LENGTH_MAX, TRUST_STORE_BYTES_MAX};

/// Keys that policies of the cluster trust, and those of namespaces that say so.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "ClusterTrustStore",
    plural = "clustertruststores",
    shortname = "ctst",
    category = "assay",
    status = "super::TrustStoreStatus",
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keys"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.notAfter"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq",
    doc = "Public keys or certificates that ClusterImageAdmissionPolicies name as `trustStore`, and \
           ImageAdmissionPolicies as `clusterTrustStore`."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["publicKeys", "certificates"]),
    cel(
        "!has(self.publicKeys) || (\
         (!has(self.publicKeys.secretRef) || has(self.publicKeys.secretRef.__namespace__)) && \
         (!has(self.publicKeys.configMapRef) || has(self.publicKeys.configMapRef.__namespace__)))",
        "a reference of a ClusterTrustStore needs its namespace"
    ),
    cel(
        "!has(self.certificates) || (\
         (!has(self.certificates.secretRef) || has(self.certificates.secretRef.__namespace__)) && \
         (!has(self.certificates.configMapRef) || has(self.certificates.configMapRef.__namespace__)))",
        "a reference of a ClusterTrustStore needs its namespace"
    ),
]))]
pub struct ClusterTrustStoreSpec {
    /// Public keys in PEM; any of them holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<PublicKeysSpec>,
    /// X.509 certificates that signatures of the Notary Project lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<CertificatesSpec>,
}

/// Keys that policies of the namespace trust.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "TrustStore",
    plural = "truststores",
    namespaced,
    shortname = "tst",
    category = "assay",
    status = "super::TrustStoreStatus",
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keys"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.notAfter"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq",
    doc = "Public keys or certificates that the ImageAdmissionPolicies of the namespace name as `trustStore`."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    exactly_one(&["publicKeys", "certificates"]),
    cel(
        "!has(self.publicKeys) || (\
         (!has(self.publicKeys.secretRef) || !has(self.publicKeys.secretRef.__namespace__)) && \
         (!has(self.publicKeys.configMapRef) || !has(self.publicKeys.configMapRef.__namespace__)))",
        "a reference of a TrustStore stays in its namespace and names none"
    ),
    cel(
        "!has(self.certificates) || (\
         (!has(self.certificates.secretRef) || !has(self.certificates.secretRef.__namespace__)) && \
         (!has(self.certificates.configMapRef) || !has(self.certificates.configMapRef.__namespace__)))",
        "a reference of a TrustStore stays in its namespace and names none"
    ),
]))]
pub struct TrustStoreSpec {
    /// Public keys in PEM; any of them holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<PublicKeysSpec>,
    /// X.509 certificates that signatures of the Notary Project lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<CertificatesSpec>,
}

/// Where public keys stand, one or more in PEM, in exactly one of `inline`, `secretRef` and
/// `configMapRef`; and when they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["inline", "secretRef", "configMapRef"])]))]
pub struct PublicKeysSpec {
    /// The keys themselves, as `cosign.pub` holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = TRUST_STORE_BYTES_MAX))]
    pub inline: Option<String>,
    /// A key of a Secret. Example: `{name: cosign-key, key: cosign.pub}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyReference>,
    /// A key of a ConfigMap. Example: `{name: keys, key: cosign.pub}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyReference>,
    /// A file, relative to the document. Only documents that are read from files can name one, so
    /// the CRD does not have the field, and the API server refuses it as unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub file: Option<PathBuf>,
    /// From when on the keys count, against the current time, since nothing proves when a key has
    /// signed. Example: `2026-01-01T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub not_before: Option<String>,
    /// Until when the keys count, against the current time: later, what they have signed is refused.
    /// Example: `2027-01-01T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub not_after: Option<String>,
}

/// What certificates are for, and where they stand, one or more in PEM or DER, in exactly one of
/// `inline`, `secretRef` and `configMapRef`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["inline", "secretRef", "configMapRef"])]))]
pub struct CertificatesSpec {
    /// What they are for: `ca`, signers; `signingAuthority`, signers that are trusted to say when they
    /// signed; `tsa`, timestamps.
    #[serde(rename = "type")]
    pub kind: CertificateKind,
    /// The certificates themselves, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = TRUST_STORE_BYTES_MAX))]
    pub inline: Option<String>,
    /// A key of a Secret. Example: `{name: vendor, key: ca.crt}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyReference>,
    /// A key of a ConfigMap. Example: `{name: vendor, key: ca.crt}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyReference>,
    /// A file, relative to the document. Only documents that are read from files can name one, so
    /// the CRD does not have the field, and the API server refuses it as unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub file: Option<PathBuf>,
}

/// What certificates are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CertificateKind {
    /// Signers.
    Ca,
    /// Signers that are trusted to say when they signed.
    SigningAuthority,
    /// Timestamps.
    Tsa,
}

impl From<CertificateKind> for assay_core::CertificateKind {
    fn from(kind: CertificateKind) -> Self {
        match kind {
            CertificateKind::Ca => Self::Ca,
            CertificateKind::SigningAuthority => Self::SigningAuthority,
            CertificateKind::Tsa => Self::Tsa,
        }
    }
}

/// What a trust store holds and where it stands, whichever of the two it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaterialSpec<'a> {
    /// The field that says so.
    pub(crate) field: &'static str,
    pub(crate) kind: TrustStoreKind,
    pub(crate) inline: Option<&'a String>,
    pub(crate) secret_ref: Option<&'a KeyReference>,
    pub(crate) config_map_ref: Option<&'a KeyReference>,
    pub(crate) file: Option<&'a PathBuf>,
}

impl<'a> MaterialSpec<'a> {
    /// The one of the two that is given; `None` where neither or both are.
    pub(crate) fn new(
        public_keys: Option<&'a PublicKeysSpec>,
        certificates: Option<&'a CertificatesSpec>,
    ) -> Option<Self> {
        match (public_keys, certificates) {
            (Some(keys), None) => Some(Self {
                field: "spec.publicKeys",
                kind: TrustStoreKind::PublicKeys,
                inline: keys.inline.as_ref(),
                secret_ref: keys.secret_ref.as_ref(),
                config_map_ref: keys.config_map_ref.as_ref(),
                file: keys.file.as_ref(),
            }),
            (None, Some(certificates)) => Some(Self {
                field: "spec.certificates",
                kind: TrustStoreKind::Certificates(certificates.kind.into()),
                inline: certificates.inline.as_ref(),
                secret_ref: certificates.secret_ref.as_ref(),
                config_map_ref: certificates.config_map_ref.as_ref(),
                file: certificates.file.as_ref(),
            }),
            _ => None,
        }
    }
}

/// The schema of a time (RFC 3339) that may be absent.
fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": TIME_LENGTH_MAX,
        "nullable": true,
    })
}

/// One entry of a Secret or ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyReference {
    /// The namespace of the Secret or ConfigMap: given in a ClusterTrustStore, and never in a
    /// TrustStore, whose own namespace it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub namespace: Option<String>,
    /// The name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub name: String,
    /// The key within its data. Example: `cosign.pub`.
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub key: String,
}
