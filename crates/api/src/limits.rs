//! How much of everything a document may hold. The CRDs' schemas and `compile` use the same
//! numbers, so that files and the cluster refuse the same documents.

/// Bytes of one file of documents: what etcd takes for one object, and many policies.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Levels of a YAML document; a policy has 9.
pub const YAML_DEPTH_MAX: usize = 32;
/// Nodes of a YAML document, with those that aliases repeat; the largest legal policy has fewer.
pub const YAML_NODES_MAX: usize = 50_000;

/// Policies of one namespace; all of them are looked at in every admission there.
pub const NAMESPACE_POLICIES_MAX: usize = 100;
/// Image globs of one namespace's policies; each is tried on every image of a pod there.
pub const NAMESPACE_GLOBS_MAX: usize = 1_000;
/// Rules of a policy.
pub const RULES_MAX: usize = 100;
/// Image globs of a policy, over all its rules; each is tried on every image.
pub const GLOBS_MAX: usize = 100;
/// Characters of an image glob: those of an image reference, which `ImageGlob` takes.
pub const GLOB_LENGTH_MAX: usize = assay_core::REFERENCE_BYTES_MAX;
/// Verifiers of a policy.
pub const VERIFIERS_MAX: usize = 50;
/// Keys of a policy, over all its verifiers; each costs a signature check per candidate.
pub const KEYS_MAX: usize = 50;
/// Trust stores of certificates that a verifier names, over all statements of a trust policy; each
/// certificate is compared with each of a signature's.
pub const CERTIFICATE_STORES_MAX: usize = 50;
/// Trusted identities of a verifier, or of a statement of a trust policy.
pub const IDENTITIES_MAX: usize = 50;
/// Characters of a trusted identity: nine attributes of a name, the longest of some hundred.
pub const IDENTITY_LENGTH_MAX: usize = 1_024;
/// Statements of a trust policy.
pub const STATEMENTS_MAX: usize = 50;
/// Registry scopes of a statement.
pub const SCOPES_MAX: usize = 100;
/// Annotations that a verifier asks for.
pub const ANNOTATIONS_MAX: usize = 20;
/// Characters of such an annotation's key, and of its value; the key stands in messages.
pub const ANNOTATION_LENGTH_MAX: usize = 256;
/// Groups of a policy.
pub const GROUPS_MAX: usize = 32;
/// Names in one `all`, `any` or `atLeast`.
pub const NAMES_MAX: usize = 32;
/// Verifiers that a requirement comes to when its groups are written out, one as often as it is
/// named: 32 groups of 32 names. Without it, groups of groups would double at each level.
pub const REQUIREMENT_VERIFIERS_MAX: usize = NAMES_MAX * NAMES_MAX;
/// Characters of a verifier's or group's name: those of a DNS label.
pub const NAME_LENGTH_MAX: usize = 63;
/// Characters of a rule's `deny`, which has to fit into a message of about 900 bytes.
pub const DENY_LENGTH_MAX: usize = 256;
/// Entries of each list in `match`.
pub const MATCH_ITEMS_MAX: usize = 100;
/// Characters of each text in `match`: those of a DNS subdomain, or of a label key with its prefix.
pub const MATCH_TEXT_LENGTH_MAX: usize = 317;
/// Characters of the name of a trust store, Secret or ConfigMap: those of a DNS subdomain.
pub const OBJECT_NAME_LENGTH_MAX: usize = 253;
/// Characters of a time, with room for a fraction and an offset.
pub const TIME_LENGTH_MAX: usize = 40;
/// Bytes that a trust store holds; 50 RSA keys of 4096 bits have 40 KiB.
pub const TRUST_STORE_BYTES_MAX: usize = 64 * 1024;
