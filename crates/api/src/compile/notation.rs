//! A `notation` verifier's configuration. What the words of a trust policy mean is the verifier's to
//! say; here it is told which trust stores they name.

use std::collections::BTreeMap;

use assay_core::{
    CertificateKind, CertificateStore, KeySource, NotationConfig, NotationStatement,
    NotationTrustPolicy, TrustMaterial, TrustStoreKind,
};
use assay_policy::PolicyId;

use super::trust_stores::{StoreId, TrustStores};
use super::verifiers::{VerifierError, check_texts};
use crate::limits::{CERTIFICATE_STORES_MAX, IDENTITIES_MAX, SCOPES_MAX, STATEMENTS_MAX};
use crate::resources::{LEVEL_SKIP, Level, NotationSpec, OverrideSpec, VerifyTimestamp};

/// The types of trust stores, as trust policies name them.
const KINDS: [CertificateKind; 3] =
    [CertificateKind::Ca, CertificateKind::SigningAuthority, CertificateKind::Tsa];

/// What a verifier of `policy` is built from.
pub(super) fn lower(
    policy: &PolicyId,
    spec: &NotationSpec,
    stores: &TrustStores<'_>,
) -> Result<(NotationConfig, TrustMaterial), VerifierError> {
    check_texts("notation.userMetadata", &spec.user_metadata)?;
    if policy.namespace.is_none() && !spec.cluster_trust_stores.is_empty() {
        return Err(wrong(
            "clusterTrustStores",
            "is for an ImageAdmissionPolicy; here trustStores names ClusterTrustStores",
        ));
    }
    check_limits(spec)?;
    let trust_policy = match &spec.trust_policy {
        Some(document) if is_alone(spec) => {
            let json = serde_json::to_string(document);
            let json = json.map_err(|error| wrong("trustPolicy", error.to_string()))?;
            NotationTrustPolicy::Document(json)
        }
        Some(_) => {
            let reason = "stands alone: it has levels, trust stores and identities of its own";
            return Err(wrong("trustPolicy", reason));
        }
        None => NotationTrustPolicy::Statement(statement(spec)?),
    };
    let (named, material) = materials(policy, spec, stores)?;
    let user_metadata = spec.user_metadata.clone();
    Ok((NotationConfig { stores: named, trust_policy, user_metadata }, material))
}

/// A configuration by which anybody whom the stores know may sign.
pub(super) fn anyone(stores: Vec<CertificateStore>) -> NotationConfig {
    let statement = NotationStatement {
        trusted_identities: vec!["*".to_owned()],
        level: Level::Strict.as_str().to_owned(),
        overrides: BTreeMap::new(),
        verify_timestamp: VerifyTimestamp::Always.as_str().to_owned(),
    };
    let trust_policy = NotationTrustPolicy::Statement(statement);
    NotationConfig { stores, trust_policy, user_metadata: BTreeMap::new() }
}

/// The stores that `spec` names in a policy of `namespace`, or of the cluster, with their types. What
/// names none is left out: the verifier refuses it.
pub(crate) fn stores(
    spec: &NotationSpec,
    namespace: Option<&str>,
) -> Vec<(StoreId, CertificateKind)> {
    let named = named(spec, namespace).into_iter();
    named.map(|store| (StoreId::new(&store.source, namespace), store.kind)).collect()
}

fn named(spec: &NotationSpec, namespace: Option<&str>) -> Vec<CertificateStore> {
    let own = |name: &str| match namespace {
        Some(_) => KeySource::TrustStore(name.to_owned()),
        None => KeySource::ClusterTrustStore(name.to_owned()),
    };
    let mut stores: Vec<CertificateStore> = Vec::new();
    for store in &spec.trust_stores {
        stores.push(CertificateStore { kind: store.kind.into(), source: own(&store.name) });
    }
    for store in &spec.cluster_trust_stores {
        let source = KeySource::ClusterTrustStore(store.name.clone());
        stores.push(CertificateStore { kind: store.kind.into(), source });
    }
    let statements = spec.trust_policy.iter().flat_map(|policy| &policy.trust_policies);
    for text in statements.flat_map(|statement| &statement.trust_stores) {
        let Some((kind, name)) = text.split_once(':') else { continue };
        let Some(kind) = KINDS.into_iter().find(|known| known.as_str() == kind) else { continue };
        let store = CertificateStore { kind, source: own(name) };
        // Statements may share a store.
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    stores
}

fn materials(
    policy: &PolicyId,
    spec: &NotationSpec,
    stores: &TrustStores<'_>,
) -> Result<(Vec<CertificateStore>, TrustMaterial), VerifierError> {
    let namespace = policy.namespace.as_deref();
    let named = named(spec, namespace);
    let field = if spec.trust_policy.is_some() { "trustPolicy" } else { "trustStores" };
    let mut material = TrustMaterial::default();
    for (index, store) in named.iter().enumerate() {
        if named.iter().take(index).any(|other| other == store) {
            return Err(wrong(field, "names a trust store twice"));
        }
        let id = StoreId::new(&store.source, namespace);
        let kind = TrustStoreKind::Certificates(store.kind);
        let read = stores.material(&id, store.source.clone(), kind);
        material.stores.push(read.map_err(|reason| wrong(field, reason))?);
    }
    Ok((named, material))
}

/// Whether nothing is said beside the trust policy but what it cannot say.
fn is_alone(spec: &NotationSpec) -> bool {
    spec.trust_stores.is_empty()
        && spec.cluster_trust_stores.is_empty()
        && spec.trusted_identities.is_empty()
        && spec.level.is_none()
        && spec.overrides.is_none()
        && spec.verify_timestamp.is_none()
        && spec.revocation.is_none()
}

fn statement(spec: &NotationSpec) -> Result<NotationStatement, VerifierError> {
    if spec.trust_stores.is_empty() && spec.cluster_trust_stores.is_empty() {
        return Err(wrong("trustStores", "is needed, or trustPolicy in its place"));
    }
    if spec.level == Some(Level::Skip) {
        return Err(wrong("level", LEVEL_SKIP));
    }
    let given = spec.overrides.iter().flat_map(OverrideSpec::entries);
    let mut overrides: BTreeMap<String, String> =
        given.map(|(check, action)| (check.to_owned(), action.as_str().to_owned())).collect();
    if let Some(action) = spec.revocation {
        let given = overrides.insert("revocation".to_owned(), action.as_str().to_owned());
        if given.is_some() {
            return Err(wrong("revocation", "is given twice: here and in override"));
        }
    }
    let verify_timestamp = spec.verify_timestamp.unwrap_or(VerifyTimestamp::Always);
    Ok(NotationStatement {
        trusted_identities: spec.trusted_identities.clone(),
        level: spec.level.unwrap_or(Level::Strict).as_str().to_owned(),
        overrides,
        verify_timestamp: verify_timestamp.as_str().to_owned(),
    })
}

fn check_limits(spec: &NotationSpec) -> Result<(), VerifierError> {
    let statements = spec.trust_policy.as_ref().map(|policy| policy.trust_policies.as_slice());
    let statements = statements.unwrap_or_default();
    let most = |count: fn(&crate::resources::StatementSpec) -> usize| {
        statements.iter().map(count).max().unwrap_or_default()
    };
    let own = spec.trust_stores.len().saturating_add(spec.cluster_trust_stores.len());
    let stores = statements.iter().map(|statement| statement.trust_stores.len()).sum();
    let identities = most(|statement| statement.trusted_identities.len());
    for (field, what, count, max) in [
        ("trustStores", "trust stores", own, CERTIFICATE_STORES_MAX),
        ("trustPolicy", "trust stores", stores, CERTIFICATE_STORES_MAX),
        ("trustedIdentities", "identities", spec.trusted_identities.len(), IDENTITIES_MAX),
        ("trustPolicy", "identities in a statement", identities, IDENTITIES_MAX),
        ("trustPolicy", "statements", statements.len(), STATEMENTS_MAX),
        ("trustPolicy", "scopes in one", most(|one| one.registry_scopes.len()), SCOPES_MAX),
    ] {
        if count > max {
            return Err(wrong(field, format!("has {count} {what}, and may have {max}")));
        }
    }
    Ok(())
}

fn wrong(field: &str, reason: impl Into<String>) -> VerifierError {
    VerifierError::new(format!("notation.{field}"), reason)
}
