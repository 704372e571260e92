//! ClusterImageAdmissionPolicy and ImageAdmissionPolicy.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{MatchSpec, NotationSpec, cel, exactly_one};
use crate::limits::{
    ANNOTATION_LENGTH_MAX, ANNOTATIONS_MAX, DENY_LENGTH_MAX, GLOB_LENGTH_MAX, GLOBS_MAX,
    GROUPS_MAX, KEYS_MAX, NAME_LENGTH_MAX, NAMES_MAX, OBJECT_NAME_LENGTH_MAX, RULES_MAX,
    VERIFIERS_MAX,
};

/// The grammar of a verifier's or group's name, which stands in messages.
const NAME: &str = r"^[A-Za-z0-9][-A-Za-z0-9_.]*$";

/// What the platform asks of the images in the cluster.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "ClusterImageAdmissionPolicy",
    plural = "clusterimageadmissionpolicies",
    shortname = "ciap",
    category = "assay",
    status = "super::PolicyStatus",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.enforcementAction"),
    printcolumn(name = "Tier", type_ = "string", json_path = ".spec.tier"),
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq",
    doc = "What the platform asks of the images in the cluster: `match` says on which objects it \
           looks, `rules` what it asks of each of their images."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    globs_rule(),
    keys_rule(),
    cel(
        "!has(self.verifiers) || self.verifiers.all(v, \
         !has(v.cosign) || v.cosign.keys.all(k, !has(k.clusterTrustStore)))",
        "in a ClusterImageAdmissionPolicy trustStore names a ClusterTrustStore; \
         clusterTrustStore is for ImageAdmissionPolicies"
    ),
    cel(
        "!has(self.verifiers) || self.verifiers.all(v, \
         !has(v.notation) || !has(v.notation.clusterTrustStores))",
        "in a ClusterImageAdmissionPolicy trustStores names ClusterTrustStores; \
         clusterTrustStores is for ImageAdmissionPolicies"
    ),
]))]
pub struct ClusterImageAdmissionPolicySpec {
    /// What a violation does: `deny` refuses, `warn` admits with a warning, `dryrun` admits silently.
    /// All three are counted and logged.
    #[serde(default)]
    pub enforcement_action: EnforcementAction,
    /// Whether a namespace may put a policy of its own in the place of this one: `Mandatory` never
    /// gives way; `Baseline` gives way where an ImageAdmissionPolicy of the namespace covers the
    /// image and denies.
    #[serde(default)]
    pub tier: Tier,
    /// Which objects the policy looks at; without it, all.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<MatchSpec>,
    /// The checks that the rules name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VERIFIERS_MAX))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub verifiers: Vec<VerifierSpec>,
    /// Names for combinations of verifiers. A group may name verifiers, and groups above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = GROUPS_MAX))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<GroupSpec>,
    /// What the policy asks, in order: the first rule with a glob that matches the image decides for
    /// it. An image that no rule matches is not covered by this policy.
    #[schemars(length(min = 1, max = RULES_MAX))]
    pub rules: Vec<RuleSpec>,
    /// What happens when evidence could not be had, say because the registry is down: `deny`, `warn`
    /// or `allow`. The latter two count only for registries that the configuration file names.
    #[serde(default)]
    pub on_error: OnError,
    /// What an image without digest gets: `allow`, `warn` or `deny`. Whoever can push a tag can change
    /// what runs after the verdict.
    #[serde(default)]
    pub require_digest: RequireDigest,
}

/// What a namespace asks of its own images.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "ImageAdmissionPolicy",
    plural = "imageadmissionpolicies",
    namespaced,
    shortname = "iap",
    category = "assay",
    status = "super::PolicyStatus",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.enforcementAction"),
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq",
    doc = "What a namespace asks of its own images, beside what the cluster asks: `match` says on \
           which objects it looks, `rules` what it asks of each of their images."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [globs_rule(), keys_rule()]))]
pub struct ImageAdmissionPolicySpec {
    /// What a violation does: `deny` refuses, `warn` admits with a warning, `dryrun` admits silently.
    /// All three are counted and logged.
    #[serde(default)]
    pub enforcement_action: EnforcementAction,
    /// Which objects of the namespace the policy looks at; without it, all.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<MatchSpec>,
    /// The checks that the rules name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VERIFIERS_MAX))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub verifiers: Vec<VerifierSpec>,
    /// Names for combinations of verifiers. A group may name verifiers, and groups above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = GROUPS_MAX))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<GroupSpec>,
    /// What the policy asks, in order: the first rule with a glob that matches the image decides for
    /// it. An image that no rule matches is not covered by this policy.
    #[schemars(length(min = 1, max = RULES_MAX))]
    pub rules: Vec<RuleSpec>,
    /// What happens when evidence could not be had, say because the registry is down: `deny`, `warn`
    /// or `allow`. The latter two count only for registries that the configuration file names.
    #[serde(default)]
    pub on_error: OnError,
    /// What an image without digest gets: `allow`, `warn` or `deny`. Whoever can push a tag can change
    /// what runs after the verdict.
    #[serde(default)]
    pub require_digest: RequireDigest,
}

/// A check of an image's evidence, under a name; exactly one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["cosign", "notation"])]))]
pub struct VerifierSpec {
    /// The name by which rules, groups and messages speak of it. Example: `release-signature`.
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX), regex(pattern = NAME))]
    pub name: String,
    /// A Cosign signature on the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosign: Option<CosignSpec>,
    /// A Notary Project signature on the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notation: Option<NotationSpec>,
}

/// A Cosign signature on the image, by one of some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [cel(
    "self.transparencyLog == 'ignored'",
    TRANSPARENCY_LOG_LATER,
)]))]
pub struct CosignSpec {
    /// The keys, any of which may have signed. Example: `[{trustStore: release-keys}]`.
    #[schemars(length(min = 1, max = KEYS_MAX))]
    pub keys: Vec<KeySpec>,
    /// What is asked of a transparency log: `ignored`, the key alone counts. `optional` and `required`
    /// come in a later version, and are refused until then.
    #[serde(default)]
    pub transparency_log: TransparencyLog,
    /// Annotations that must be in the signed payload, with these very values, as `cosign sign -a
    /// env=prod` puts them there. Example: `{env: prod}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    /// The repository in which signatures are, in the place of the image's own: `HOST/PATH`. In an
    /// ImageAdmissionPolicy it is on the image's own host, or on one that the configuration file has
    /// under `registries`. Example: `registry.corp.example/signatures`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = GLOB_LENGTH_MAX))]
    pub signature_repository: Option<String>,
    /// What of a multi-platform image must be signed: `index`, the index itself; `all`, each of its
    /// per-platform manifests too, by the same key.
    #[serde(default)]
    pub platforms: Platforms,
}

/// What is asked of a transparency log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransparencyLog {
    /// Nothing.
    #[default]
    Ignored,
    /// An entry, where there is one, must be good.
    Optional,
    /// There must be a good entry.
    Required,
}

/// What is said where a policy asks for more than keys.
pub(crate) const TRANSPARENCY_LOG_LATER: &str =
    "transparencyLog: optional and required come in a later version; ignored is what works now";

/// What of a multi-platform image must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platforms {
    /// The index and each of its per-platform manifests.
    All,
    /// The index.
    #[default]
    Index,
}

/// The hash that a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Where public keys come from, exactly one of `trustStore` and `clusterTrustStore`, and how they
/// sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["trustStore", "clusterTrustStore"])]))]
pub struct KeySpec {
    /// In a ClusterImageAdmissionPolicy the name of a ClusterTrustStore, in an ImageAdmissionPolicy
    /// that of a TrustStore of its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub trust_store: Option<String>,
    /// The name of a ClusterTrustStore, in an ImageAdmissionPolicy only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = OBJECT_NAME_LENGTH_MAX))]
    pub cluster_trust_store: Option<String>,
    /// The hash that the keys sign, where it is another than follows from each: SHA-256 for RSA and
    /// ECDSA P-256, SHA-384 for P-384, SHA-512 for P-521. Ed25519 has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_algorithm: Option<HashAlgorithm>,
}

/// A combination of verifiers, under a name; exactly one of `all`, `any` and `atLeast`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["all", "any", "atLeast"])]))]
pub struct GroupSpec {
    /// The name by which rules and later groups speak of it. Example: `two-of-three`.
    #[schemars(length(min = 1, max = NAME_LENGTH_MAX), regex(pattern = NAME))]
    pub name: String,
    /// Each of these must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_names")]
    pub all: Option<Vec<String>>,
    /// One of these must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_names")]
    pub any: Option<Vec<String>>,
    /// So many of these must hold, by different signers. Example: `{count: 2, of: [a, b, c]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<AtLeastSpec>,
}

/// What is asked of images with certain names: exactly one of `require`, `allow` and `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["require", "allow", "deny"])]))]
pub struct RuleSpec {
    /// Globs for image references, any of which must match: `HOST/PATH[:TAG][@DIGEST]`, with the host
    /// always given. `*` stays within one label of the host, segment of the path, or tag; `**` stands
    /// for any number of labels or segments; `**` alone is every image. Example:
    /// `["registry.corp.example/**"]`.
    #[schemars(length(min = 1, max = GLOBS_MAX), inner(length(min = 1, max = GLOB_LENGTH_MAX)))]
    pub images: Vec<String>,
    /// The verifiers that must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<RequirementSpec>,
    /// `true`: these images need no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub allow: Option<bool>,
    /// These images are refused; the text says why, and where to go instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = DENY_LENGTH_MAX), regex(pattern = r"\S"))]
    pub deny: Option<String>,
}

/// Which verifiers and groups must hold: exactly one of `all`, `any` and `atLeast`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["all", "any", "atLeast"])]))]
pub struct RequirementSpec {
    /// Each of these must hold. Example: `[release-signature]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_names")]
    pub all: Option<Vec<String>>,
    /// One of these must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_names")]
    pub any: Option<Vec<String>>,
    /// So many of these must hold, by different signers. Example: `{count: 2, of: [a, b, c]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<AtLeastSpec>,
}

/// A number, and the names of verifiers and groups of which so many must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [cel("self.count <= self.of.size()", "count is above the number of names")]))]
pub struct AtLeastSpec {
    /// How many.
    #[schemars(with = "i32", range(min = 1, max = NAMES_MAX))]
    pub count: u32,
    /// Of which.
    #[schemars(schema_with = "names")]
    pub of: Vec<String>,
}

/// What a violation does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementAction {
    /// Refuses. Gatekeeper reads the empty text so, too.
    #[default]
    #[serde(alias = "")]
    Deny,
    /// Admits silently.
    Dryrun,
    /// Admits with a warning.
    Warn,
}

/// Whether a policy gives way to those of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tier {
    /// It does.
    Baseline,
    /// It does not.
    #[default]
    Mandatory,
}

/// What happens when evidence could not be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The image is admitted.
    Allow,
    /// It is refused, as not decided.
    #[default]
    Deny,
    /// It is admitted with a warning.
    Warn,
}

/// What an image without digest gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequireDigest {
    /// Nothing.
    Allow,
    /// A refusal.
    Deny,
    /// A warning.
    #[default]
    Warn,
}

impl From<HashAlgorithm> for assay_core::HashAlgorithm {
    fn from(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Self::Sha256,
            HashAlgorithm::Sha384 => Self::Sha384,
            HashAlgorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<Platforms> for assay_core::Platforms {
    fn from(platforms: Platforms) -> Self {
        match platforms {
            Platforms::All => Self::All,
            Platforms::Index => Self::Index,
        }
    }
}

impl From<EnforcementAction> for assay_policy::EnforcementAction {
    fn from(action: EnforcementAction) -> Self {
        match action {
            EnforcementAction::Deny => Self::Deny,
            EnforcementAction::Dryrun => Self::Dryrun,
            EnforcementAction::Warn => Self::Warn,
        }
    }
}

impl From<Tier> for assay_policy::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Baseline => Self::Baseline,
            Tier::Mandatory => Self::Mandatory,
        }
    }
}

impl From<OnError> for assay_policy::OnError {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Allow => Self::Allow,
            OnError::Deny => Self::Deny,
            OnError::Warn => Self::Warn,
        }
    }
}

impl From<RequireDigest> for assay_policy::RequireDigest {
    fn from(require_digest: RequireDigest) -> Self {
        match require_digest {
            RequireDigest::Allow => Self::Allow,
            RequireDigest::Deny => Self::Deny,
            RequireDigest::Warn => Self::Warn,
        }
    }
}

/// The schema of a list of names.
fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "minItems": 1,
        "maxItems": NAMES_MAX,
        "x-kubernetes-list-type": "set",
    })
}

/// The schema of the annotations of a signed payload.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": ANNOTATION_LENGTH_MAX},
        "maxProperties": ANNOTATIONS_MAX,
    })
}

/// The schema of a list of names that may be absent.
fn optional_names(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = names(generator);
    schema.insert("nullable".to_owned(), true.into());
    schema
}

fn globs_rule() -> serde_json::Value {
    cel(
        &format!("self.rules.map(r, r.images.size()).sum() <= {GLOBS_MAX}"),
        &format!("the rules have more than {GLOBS_MAX} image globs in all"),
    )
}

fn keys_rule() -> serde_json::Value {
    cel(
        &format!(
            "!has(self.verifiers) || self.verifiers.map(v, \
             has(v.cosign) ? v.cosign.keys.size() : 0).sum() <= {KEYS_MAX}"
        ),
        &format!("the verifiers have more than {KEYS_MAX} keys in all"),
    )
}
