//! Trust policies for files that are in no registry.

use serde::Deserialize;

use super::statement::{SignatureVerification, Statement};
use super::{NoApplicableTrustPolicy, PolicyDefect, Source, TrustPolicyError};
use crate::json::Object;

/// A valid trust policy for files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobTrustPolicy {
    statements: Vec<BlobStatement>,
}

/// A statement, and whether it is the one that is meant where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobStatement {
    is_global: bool,
    statement: Statement,
}

impl BlobTrustPolicy {
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
        let mut has_global = false;
        let mut statements = Vec::with_capacity(source.trust_policies.len());
        for (index, Object(statement)) in source.trust_policies.into_iter().enumerate() {
            let parent = format!("trustPolicies[{index}]");
            let statement = statement.validate(has_global).map_err(|error| error.under(&parent))?;
            has_global |= statement.is_global;
            statements.push(statement);
        }
        Ok(Self { statements })
    }

    /// The statement of that name; where none is given, the global one.
    ///
    /// # Errors
    /// There is no such statement.
    pub fn select(&self, name: Option<&str>) -> Result<&Statement, NoApplicableTrustPolicy> {
        let is_meant = |candidate: &&BlobStatement| match name {
            Some(name) => candidate.statement.name() == name,
            None => candidate.is_global,
        };
        let found = self.statements.iter().find(is_meant).map(BlobStatement::statement);
        found.ok_or_else(|| match name {
            Some(name) => NoApplicableTrustPolicy::Blob { name: name.to_owned() },
            None => NoApplicableTrustPolicy::NoGlobal,
        })
    }

    /// All statements, in the order of the document.
    pub fn statements(&self) -> &[BlobStatement] {
        &self.statements
    }
}

impl BlobStatement {
    /// Whether it is the one that is meant where none is named.
    pub const fn is_global(&self) -> bool {
        self.is_global
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
    global_policy: bool,
    signature_verification: Option<Object<SignatureVerification>>,
    trust_stores: Vec<String>,
    trusted_identities: Vec<String>,
}

impl StatementSource {
    fn validate(self, has_global: bool) -> Result<BlobStatement, TrustPolicyError> {
        let verification = self.signature_verification.map(|Object(it)| it).unwrap_or_default();
        let statement = Statement::new(
            &self.name,
            &verification,
            &self.trust_stores,
            &self.trusted_identities,
        )?;
        let defect = match self.global_policy {
            true if has_global => PolicyDefect::Repeated { value: "true".to_owned() },
            true if statement.level().is_skip() => PolicyDefect::SkipsEverything,
            is_global => return Ok(BlobStatement { is_global, statement }),
        };
        Err(TrustPolicyError::new("globalPolicy", defect))
    }
}
