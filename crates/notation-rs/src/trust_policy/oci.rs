//! Trust policies for artifacts in registries.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::statement::{SignatureVerification, Statement};
use super::{NoApplicableTrustPolicy, PolicyDefect, Source, TrustPolicyError, scope};
use crate::json::Object;

/// A valid trust policy for artifacts in registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciTrustPolicy {
    statements: Vec<OciStatement>,
}

/// A statement, and the repositories it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciStatement {
    registry_scopes: Vec<String>,
    statement: Statement,
}

impl OciTrustPolicy {
    /// The policy in `document`, JSON of at most
    /// [`TRUST_POLICY_BYTES_MAX`](super::TRUST_POLICY_BYTES_MAX).
    ///
    /// # Errors
    /// The first field that is wrong, and why. A member that the specification does not have is
    /// wrong too: it would have no effect.
    pub fn parse(document: &[u8]) -> Result<Self, TrustPolicyError> {
        let source: Source<StatementSource> = super::decode(document)?;
        let names = source.trust_policies.iter().map(|Object(statement)| statement.name.as_str());
        super::check_document(&source.version, names)?;
        let mut seen = BTreeSet::new();
        let mut statements = Vec::with_capacity(source.trust_policies.len());
        for (index, Object(statement)) in source.trust_policies.into_iter().enumerate() {
            let parent = format!("trustPolicies[{index}]");
            statements.push(statement.validate(&mut seen).map_err(|error| error.under(&parent))?);
        }
        Ok(Self { statements })
    }

    /// The statement for `reference`, which must be `{domain}/{repository}@{digest}`: the one that
    /// names the repository, else the one for `*`. The digest is not looked at.
    ///
    /// # Errors
    /// A reference of another form, or no such statement.
    pub fn select(&self, reference: &str) -> Result<&Statement, NoApplicableTrustPolicy> {
        let repository = reference
            .rsplit_once('@')
            .filter(|(repository, digest)| {
                scope::is_repository(repository) && scope::is_digest(digest)
            })
            .map(|(repository, _)| repository)
            .ok_or_else(|| NoApplicableTrustPolicy::Reference {
                reference: reference.to_owned(),
            })?;
        let with = |scope: &str| {
            self.statements.iter().find(|each| each.registry_scopes.iter().any(|own| own == scope))
        };
        with(repository)
            .or_else(|| with("*"))
            .map(|found| &found.statement)
            .ok_or_else(|| NoApplicableTrustPolicy::Oci { repository: repository.to_owned() })
    }

    /// All statements, in the order of the document.
    pub fn statements(&self) -> &[OciStatement] {
        &self.statements
    }
}

impl OciStatement {
    /// The repositories that the statement is for, or `*` alone.
    pub fn registry_scopes(&self) -> &[String] {
        &self.registry_scopes
    }

    /// What it demands.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct StatementSource {
    name: String,
    registry_scopes: Vec<String>,
    signature_verification: Option<Object<SignatureVerification>>,
    trust_stores: Vec<String>,
    trusted_identities: Vec<String>,
}

impl StatementSource {
    /// The statement, whose scopes must not be among those `seen` in the document before.
    fn validate(self, seen: &mut BTreeSet<String>) -> Result<OciStatement, TrustPolicyError> {
        let verification = self.signature_verification.map(|Object(it)| it).unwrap_or_default();
        let statement = Statement::new(
            &self.name,
            &verification,
            &self.trust_stores,
            &self.trusted_identities,
        )?;
        if self.registry_scopes.is_empty() {
            return Err(TrustPolicyError::new("registryScopes", PolicyDefect::NoValue));
        }
        for (index, scope) in self.registry_scopes.iter().enumerate() {
            let defect = match scope.as_str() {
                "*" if self.registry_scopes.len() > 1 => PolicyDefect::NotAlone,
                "*" if statement.level().is_skip() => PolicyDefect::SkipsEverything,
                value if value != "*" && !scope::is_repository(value) => {
                    PolicyDefect::Scope { value: value.to_owned() }
                }
                value if !seen.insert(value.to_owned()) => {
                    PolicyDefect::Repeated { value: value.to_owned() }
                }
                _ => continue,
            };
            return Err(TrustPolicyError::new(format!("registryScopes[{index}]"), defect));
        }
        Ok(OciStatement { registry_scopes: self.registry_scopes, statement })
    }
}
