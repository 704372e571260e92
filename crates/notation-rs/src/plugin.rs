//! Verification plugins: code of the caller's that a signer asks for by name, and that decides what
//! the policy's own words can't. Only the interface is here, after the plugin contract 1.0 of the
//! Notary Project: nothing starts a process. Whoever wants to does so in a plugin of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use semver::Version;

use crate::envelope::header::{PLUGIN, PLUGIN_MIN_VERSION};
use crate::envelope::{ExtendedAttribute, IntactEnvelope};
use crate::revocation::BoxFuture;
use crate::trust_policy::Statement;

/// A check that a plugin makes in place of the verifier's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Whether a certificate of the signer is revoked.
    RevocationCheck,
    /// Whether the signer is a trusted identity. That its chain meets a trust store stays the
    /// verifier's own check.
    TrustedIdentity,
}

impl Capability {
    /// Both, in the order in which the checks are made.
    pub const ALL: [Self; 2] = [Self::TrustedIdentity, Self::RevocationCheck];

    /// The name in the plugin contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevocationCheck => "SIGNATURE_VERIFIER.REVOCATION_CHECK",
            Self::TrustedIdentity => "SIGNATURE_VERIFIER.TRUSTED_IDENTITY",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A plugin.
pub trait VerificationPlugin: Send + Sync {
    /// The name that signers ask for it by.
    fn name(&self) -> &str;

    /// The version, which must not be below the one that a signer asks for.
    fn version(&self) -> Version;

    /// The checks that it makes, at least one.
    fn capabilities(&self) -> &[Capability];

    /// What it finds of a signature.
    ///
    /// # Errors
    /// [`PluginError`], where it can't tell. That the signature is no good is an answer.
    fn verify<'a>(
        &'a self,
        request: PluginRequest<'a>,
    ) -> BoxFuture<'a, Result<PluginAnswer, PluginError>>;
}

impl fmt::Debug for dyn VerificationPlugin + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerificationPlugin").field(&self.name()).finish()
    }
}

/// What a plugin is asked.
#[derive(Clone, Copy, Debug)]
pub struct PluginRequest<'a> {
    /// The checks to make: of the plugin's own, those that the policy does not skip. Only where
    /// [`Capability::RevocationCheck`] is among them is the chain known to meet a trust store.
    pub capabilities: &'a [Capability],
    /// The signature. Its payload has not been compared with the artifact yet.
    pub envelope: &'a IntactEnvelope,
    /// The statement, with the identities that are trusted.
    pub statement: &'a Statement,
}

impl<'a> PluginRequest<'a> {
    /// The attributes that have to be processed: those that are critical, but for the two that ask
    /// for a plugin.
    pub fn critical_attributes(&self) -> impl Iterator<Item = &'a ExtendedAttribute> {
        critical_attributes(self.envelope)
    }
}

/// The critical attributes that neither the specification gives a meaning nor ask for a plugin.
pub(crate) fn critical_attributes(
    envelope: &IntactEnvelope,
) -> impl Iterator<Item = &ExtendedAttribute> {
    let is_other = |one: &&ExtendedAttribute| ![PLUGIN, PLUGIN_MIN_VERSION].contains(&&*one.name);
    envelope.attributes().extended.iter().filter(|one| one.critical).filter(is_other)
}

/// What a plugin found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginAnswer {
    /// How each check ended that it was asked to make; one without a result counts as a failure of
    /// the plugin. A reason for saying no is put into messages, and must hold nothing that a remote
    /// side wrote.
    pub results: BTreeMap<Capability, Result<(), String>>,
    /// The names of the attributes that it has processed.
    pub processed_attributes: BTreeSet<String>,
}

/// Why a plugin tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// It may not use what it needs.
    #[error("it is denied what it needs")]
    AccessDenied,
    /// It failed in a way that has no name here.
    #[error("it failed")]
    Failed,
    /// It makes neither of the checks that there are.
    #[error("it verifies nothing")]
    NoCapability,
    /// It was asked to make a check, and said nothing of it.
    #[error("it gave no result for {0}")]
    NoResult(Capability),
    /// Something that it needs is asked too often.
    #[error("it has to wait")]
    Throttled,
    /// It got no answer in time.
    #[error("it took too long")]
    TimedOut,
    /// It does not take what it was given.
    #[error("it does not take the request")]
    Validation,
}
