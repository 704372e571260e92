//! In whose name repositories are read: with the credentials of a request, in the order in which
//! they are tried.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use assay_core::ports::{CredentialError, CredentialSource, PullIdentity, Verifier};
use assay_core::{Access, AccessScope, Outcome, ReasonCode, Repository, State, Subject};

/// Credentials that are tried for one repository; each may cost a request, and a pull Secret of
/// 1 MiB has room for ten thousand.
const CREDENTIALS_MAX: usize = 16;

/// The ways to read a repository, tried in turn and never none; or why they are not known.
pub(crate) type Accesses = Result<Arc<[Access]>, Outcome>;

/// The ways to read `repository` in the name of `identity`: with each credential that `source` has
/// for it; without any where it has none.
///
/// # Errors
/// The outcome where `source` could not tell, or told of too many.
pub(crate) async fn accesses(
    source: &dyn CredentialSource,
    repository: &Repository,
    identity: &PullIdentity,
) -> Accesses {
    let credentials = source.credentials(repository, identity).await.map_err(|error| {
        let state = match error {
            CredentialError::Unavailable { .. } => State::Unavailable(ReasonCode::RegistryDenied),
            CredentialError::Unusable { .. } => State::Rejected(ReasonCode::RegistryDenied),
        };
        Outcome::new(state, error.to_string())
    })?;
    let mut seen = HashSet::new();
    let accesses = credentials.into_iter().map(Access::with);
    let accesses: Vec<_> = accesses.filter(|access| seen.insert(access.scope().clone())).collect();
    match accesses.len() {
        0 => Ok([Access::public()].into()),
        1..=CREDENTIALS_MAX => Ok(accesses.into()),
        _ => Err(Outcome::new(
            State::Rejected(ReasonCode::RegistryDenied),
            format!("more than {CREDENTIALS_MAX} credentials for {repository}"),
        )),
    }
}

/// The ways to read the repositories beside the image's own where its evidence may be.
#[derive(Default)]
pub(crate) struct Elsewhere(BTreeMap<Repository, Arc<[Access]>>);

/// Whose answers are seen elsewhere: for each repository, in order, the scopes that are tried.
pub(crate) type Scopes = Vec<Vec<AccessScope>>;

impl Elsewhere {
    /// Adds the ways to read `repository`.
    pub(crate) fn add(&mut self, repository: Repository, accesses: Arc<[Access]>) {
        self.0.insert(repository, accesses);
    }

    /// The ways to read `repository`, where `reader` may.
    pub(crate) fn accesses(
        &self,
        repository: &Repository,
        reader: &dyn Verifier,
    ) -> Option<&[Access]> {
        let may = reader.repositories().contains(repository);
        self.0.get(repository).filter(|_| may).map(|accesses| &**accesses)
    }

    /// Whose answers anyone sees.
    pub(crate) fn scopes(&self) -> Scopes {
        self.0.values().map(|accesses| scopes(accesses)).collect()
    }

    /// Whose answers `reader` sees beside those of the subject's own scope.
    pub(crate) fn scopes_of(&self, reader: &dyn Verifier, subject: &Subject) -> Scopes {
        let repositories = reader.repositories().iter();
        let others = repositories.filter(|repository| **repository != subject.repository);
        others.map(|other| self.0.get(other).map(|all| scopes(all)).unwrap_or_default()).collect()
    }
}

/// Whose answers these see.
pub(crate) fn scopes(accesses: &[Access]) -> Vec<AccessScope> {
    accesses.iter().map(|access| access.scope().clone()).collect()
}
