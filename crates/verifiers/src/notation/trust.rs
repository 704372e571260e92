//! What a verifier trusts: trust stores and a trust policy, from configuration and bytes.

use std::collections::BTreeSet;

use assay_core::{
    CertificateKind, CertificateStore, ConfigError, Digest, KeySource, NotationConfig,
    NotationStatement, NotationTrustPolicy, TrustMaterial, TrustStoreKind, TrustStoreMaterial,
};
use jiff::Timestamp;
use notation_rs::trust_policy::{
    OciTrustPolicy, Overrides, SignatureVerification, Statement, TrustPolicyError,
};
use notation_rs::trust_store::{TrustStore, TrustStoreType, TrustStores};

use super::KIND;

/// What the fingerprint begins with; raised where verdicts change under an unchanged configuration.
const VERSION: &str = "notation 1";

/// What signatures are held against.
#[derive(Debug)]
pub(super) struct Trust {
    policy: Policy,
    stores: TrustStores,
    /// Of the certificates of all stores.
    thumbprints: BTreeSet<String>,
    names: String,
    fingerprint: Digest,
}

#[derive(Debug)]
enum Policy {
    Document(OciTrustPolicy),
    Statement(Box<Statement>),
}

impl Trust {
    /// The trust that `config` asks for, with the certificates of `material`.
    ///
    /// # Errors
    /// [`ConfigError`] at the field that is wrong.
    pub(super) fn new(
        config: &NotationConfig,
        material: &TrustMaterial,
    ) -> Result<Self, ConfigError> {
        let is_document = matches!(config.trust_policy, NotationTrustPolicy::Document(_));
        let (mut stores, mut thumbprints) = (TrustStores::default(), BTreeSet::new());
        // All that the verdict rests on, which for the stores is their bytes.
        let mut basis = format!("{VERSION} {config:?}");
        for (index, wanted) in config.stores.iter().enumerate() {
            let (store, hash) = read(wanted, material).map_err(|reason| ConfigError {
                field: field(if is_document { "trustPolicy" } else { "trustStores" }),
                reason,
            })?;
            let certificates = store.certificates().iter();
            thumbprints.extend(certificates.map(|one| Digest::sha256(one.der()).hex().to_owned()));
            stores.insert(&name(is_document, index, &wanted.source), store);
            basis = format!("{basis} {hash}");
        }
        let policy = match &config.trust_policy {
            NotationTrustPolicy::Document(document) => Policy::Document(parse(document)?),
            NotationTrustPolicy::Statement(statement) => {
                Policy::Statement(Box::new(lower(statement, &config.stores)?))
            }
        };
        let mut names: Vec<&str> = config.stores.iter().map(|store| store.source.name()).collect();
        names.dedup();
        let fingerprint = Digest::sha256(basis.as_bytes());
        Ok(Self { policy, stores, thumbprints, names: names.join(", "), fingerprint })
    }

    /// What the image at `reference`, by digest, has to meet; none where the document leaves it out.
    pub(super) fn statement(&self, reference: &str) -> Option<&Statement> {
        match &self.policy {
            Policy::Document(document) => document.select(reference).ok(),
            Policy::Statement(statement) => Some(statement),
        }
    }

    /// The trust stores.
    pub(super) fn stores(&self) -> &TrustStores {
        &self.stores
    }

    /// The SHA-256 of each certificate of the trust stores, in small hexadecimal digits.
    pub(super) fn thumbprints(&self) -> &BTreeSet<String> {
        &self.thumbprints
    }

    /// The names of the trust stores, for messages.
    pub(super) fn names(&self) -> &str {
        &self.names
    }

    /// The hash of the configuration and of all certificates.
    pub(super) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }
}

/// When the first certificate of the store expires, if it holds certificates that can be read.
pub(crate) fn expiry(material: &TrustStoreMaterial) -> Option<Timestamp> {
    let TrustStoreKind::Certificates(kind) = material.kind else { return None };
    let store = TrustStore::from_files(store_type(kind), [material.bytes.as_slice()]).ok()?;
    store.certificates().iter().map(|certificate| certificate.not_after()).min()
}

fn field(name: &str) -> String {
    format!("{KIND}.{name}")
}

/// What the trust policy calls a store. Under a document of the user's, as that does; else by place,
/// since a store of the cluster and one of the namespace may have the same name.
fn name(is_document: bool, index: usize, source: &KeySource) -> String {
    if is_document { source.name().to_owned() } else { index.to_string() }
}

fn store_type(kind: CertificateKind) -> TrustStoreType {
    match kind {
        CertificateKind::Ca => TrustStoreType::Ca,
        CertificateKind::SigningAuthority => TrustStoreType::SigningAuthority,
        CertificateKind::Tsa => TrustStoreType::Tsa,
    }
}

fn read(
    wanted: &CertificateStore,
    material: &TrustMaterial,
) -> Result<(TrustStore, Digest), String> {
    let kind = TrustStoreKind::Certificates(wanted.kind);
    let name = wanted.source.name();
    let store = material
        .store(&wanted.source, kind)
        .ok_or_else(|| format!("trust store '{name}' is missing, or does not hold {kind}"))?;
    let read = TrustStore::from_files(store_type(wanted.kind), [store.bytes.as_slice()]);
    let read = read.map_err(|error| format!("trust store '{name}': {error}"))?;
    Ok((read, store.hash.clone()))
}

fn parse(document: &str) -> Result<OciTrustPolicy, ConfigError> {
    let policy = OciTrustPolicy::parse(document.as_bytes());
    let policy = policy.map_err(|TrustPolicyError { field: place, defect }| ConfigError {
        field: field(&format!("trustPolicy.{place}")),
        reason: defect.to_string(),
    })?;
    let skips = |statement: &Statement| statement.level().is_skip();
    match policy.statements().iter().position(|each| skips(each.statement())) {
        None => Ok(policy),
        Some(index) => {
            let place = format!("trustPolicy.trustPolicies[{index}].signatureVerification.level");
            Err(ConfigError { field: field(&place), reason: SKIPS.to_owned() })
        }
    }
}

const SKIPS: &str = "skip verifies nothing: give these images a rule with allow: true";

fn lower(
    config: &NotationStatement,
    stores: &[CertificateStore],
) -> Result<Statement, ConfigError> {
    if config.level == "skip" {
        return Err(ConfigError { field: field("level"), reason: SKIPS.to_owned() });
    }
    let of = |check: &str| config.overrides.get(check).cloned();
    let verification = SignatureVerification {
        level: config.level.clone(),
        overrides: Some(Overrides {
            authenticity: of("authenticity"),
            authentic_timestamp: of("authenticTimestamp"),
            expiry: of("expiry"),
            integrity: of("integrity"),
            revocation: of("revocation"),
        }),
        verify_timestamp: Some(config.verify_timestamp.clone()),
    };
    let names = stores.iter().enumerate().map(|(index, store)| {
        format!("{}:{}", store.kind.as_str(), name(false, index, &store.source))
    });
    let names: Vec<String> = names.collect();
    Statement::new("", &verification, &names, &config.trusted_identities).map_err(|error| {
        let place = error.field.strip_prefix("signatureVerification.").unwrap_or(&error.field);
        ConfigError { field: field(place), reason: error.defect.to_string() }
    })
}
