//! Where plugins come in: which one a signature asks for, and what its answer leads to.

use super::outcome::Results;
use super::{Failure, Request, Stage};
use crate::envelope::header::{PLUGIN, PLUGIN_MIN_VERSION};
use crate::envelope::{ExtendedAttribute, IntactEnvelope};
use crate::error::VerificationError;
use crate::plugin::{
    Capability, PluginAnswer, PluginError, PluginRequest, VerificationPlugin, Version,
    critical_attributes,
};
use crate::trust_policy::ValidationType;

/// The plugin that a signature asks for.
pub(super) type Plugin<'a> = &'a dyn VerificationPlugin;

/// The one of `plugins` that the signature asks for, if any. Where it asks for none, no attribute may
/// be left that has to be understood: only a plugin could.
pub(super) fn gate<'p>(
    plugins: &[Plugin<'p>],
    envelope: &IntactEnvelope,
) -> Result<Option<Plugin<'p>>, Failure> {
    let attributes = &envelope.attributes().extended;
    let plugin =
        find(plugins, attributes).map_err(|error| Failure { stage: Stage::Plugin, error })?;
    match plugin {
        None if attributes.iter().any(|attribute| attribute.critical) => Err(UNKNOWN_CRITICAL),
        plugin => Ok(plugin),
    }
}

/// Asks `plugin` for those `capabilities`, and notes its results. Without any it is not asked, and
/// has processed nothing.
pub(super) async fn ask(
    plugin: Plugin<'_>,
    capabilities: &[Capability],
    (request, envelope): (&Request<'_>, &IntactEnvelope),
    results: &mut Results,
) -> Result<(), Failure> {
    let fail = |error| Failure {
        stage: Stage::Plugin,
        error: VerificationError::PluginFailed { plugin: plugin.name().to_owned(), error },
    };
    let asked = PluginRequest { capabilities, envelope, statement: request.statement };
    let PluginAnswer { results: found, processed_attributes } = match capabilities {
        [] => PluginAnswer::default(),
        _ => plugin.verify(asked).await.map_err(fail)?,
    };
    if critical_attributes(envelope).any(|one| !processed_attributes.contains(&one.name)) {
        return Err(UNKNOWN_CRITICAL);
    }
    for &capability in capabilities {
        let missing = || fail(PluginError::NoResult(capability));
        let result = found.get(&capability).ok_or_else(missing)?;
        let result = result.clone().map_err(|reason| VerificationError::PluginRejected {
            plugin: plugin.name().to_owned(),
            capability,
            reason,
        });
        match capability {
            Capability::RevocationCheck => {
                results.record(ValidationType::Revocation, result)?;
            }
            Capability::TrustedIdentity => {
                results.revise(ValidationType::Authenticity, result)?;
            }
        }
    }
    Ok(())
}

/// The one of `plugins` that a signature with these attributes asks for, if any.
pub(super) fn find<'p>(
    plugins: &[Plugin<'p>],
    attributes: &[ExtendedAttribute],
) -> Result<Option<Plugin<'p>>, VerificationError> {
    let Some(name) = header(attributes, PLUGIN) else { return Ok(None) };
    // Whatever else is wrong: a verifier without plugins verifies nothing that asks for one.
    if plugins.is_empty() {
        return Err(VerificationError::PluginUnavailable);
    }
    let name = name?;
    let min_version = match header(attributes, PLUGIN_MIN_VERSION) {
        None => None,
        Some(text) => Some(Version::parse(text?).map_err(|_| MIN_VERSION_HEADER)?),
    };
    let plugin = plugins.iter().find(|plugin| plugin.name() == name);
    let plugin = plugin.ok_or(VerificationError::PluginUnavailable)?;
    let (plugin_name, version) = (plugin.name().to_owned(), plugin.version());
    if min_version.is_some_and(|least| version.cmp_precedence(&least).is_lt()) {
        let version = version.to_string();
        return Err(VerificationError::PluginVersion { plugin: plugin_name, version });
    }
    if plugin.capabilities().is_empty() {
        let error = PluginError::NoCapability;
        return Err(VerificationError::PluginFailed { plugin: plugin_name, error });
    }
    Ok(Some(*plugin))
}

/// The text of the header `name`, which must be critical and not blank; none if it is not there.
fn header<'a>(
    attributes: &'a [ExtendedAttribute],
    name: &'static str,
) -> Option<Result<&'a str, VerificationError>> {
    let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
    let text = attribute.text.as_deref();
    let text = text.filter(|text| attribute.critical && !text.trim().is_empty());
    Some(text.ok_or(VerificationError::PluginHeader { header: name }))
}

const UNKNOWN_CRITICAL: Failure =
    Failure { stage: Stage::Critical, error: VerificationError::UnknownCritical };

const MIN_VERSION_HEADER: VerificationError =
    VerificationError::PluginHeader { header: PLUGIN_MIN_VERSION };
