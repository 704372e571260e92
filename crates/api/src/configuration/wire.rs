//! The configuration file as users write it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_policy::{DefaultAction, Invalid, Wildcard};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    CacheConfiguration, Configuration, CredentialProviderFiles, LogConfiguration, LogFormat,
    LogLevel, PullSecrets, RegistryConfiguration, WebhookConfiguration, duration,
};
use crate::limits::FILE_BYTES_MAX;
use crate::resources::API_VERSION;
use crate::{invalid, yaml};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(default)]
    policies: Vec<PathBuf>,
    kubernetes: Option<bool>,
    #[serde(default)]
    default_action: Action,
    #[serde(default)]
    webhook: Webhook,
    #[serde(default)]
    metrics: Listener,
    #[serde(default)]
    health: Listener,
    #[serde(default)]
    cache: Cache,
    #[serde(default)]
    registries: Vec<Registry>,
    #[serde(default)]
    credentials: Credentials,
    #[serde(default)]
    log: Log,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Allow,
    Deny,
    Warn,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Webhook {
    listen: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    #[serde(rename = "clientCAFile")]
    client_ca_file: Option<PathBuf>,
    /// Of any type, so that no error about the type repeats it.
    path_token: Option<Value>,
    drain_delay: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listener {
    listen: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cache {
    tag_ttl: Option<String>,
    referrers_ttl: Option<String>,
    verdict_ttl: Option<String>,
    negative_ttl: Option<String>,
    max_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registry {
    host: String,
    #[serde(default)]
    plain_http: bool,
    ca_file: Option<PathBuf>,
    client_cert_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
    #[serde(default)]
    mirrors: Vec<String>,
    #[serde(default)]
    token_realms: Vec<String>,
    max_concurrent: Option<NonZeroU16>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    docker_config_file: Option<PathBuf>,
    /// `none`, `all`, or a [`Grant`].
    pull_secrets: Option<Value>,
    provider_config_file: Option<PathBuf>,
    provider_bin_dir: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    namespaces: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Log {
    #[serde(default)]
    level: LogLevel,
    #[serde(default)]
    format: LogFormat,
}

/// The configuration that `text` describes, with paths relative to `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Configuration, Invalid> {
    if text.len() > FILE_BYTES_MAX {
        return Err(invalid("document", format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    let value = yaml::parse(text, 0).map_err(|reason| invalid("document", reason))?;
    let value = value.ok_or_else(|| invalid("document", "is empty"))?;
    check_kind(&value)?;
    let file: File = yaml::decode(value).map_err(|(field, reason)| invalid(field, reason))?;
    file.lower(folder)
}

/// Looks at the kind before anything else: of a policy every field would be unknown.
fn check_kind(value: &Value) -> Result<(), Invalid> {
    for (field, expect) in [("apiVersion", API_VERSION), ("kind", "Configuration")] {
        if value.get(field).and_then(Value::as_str) != Some(expect) {
            return Err(invalid(field, format!("must be {expect}")));
        }
    }
    Ok(())
}

impl File {
    fn lower(mut self, folder: &Path) -> Result<Configuration, Invalid> {
        let defaults = Configuration::default();
        Ok(Configuration {
            policies: self.policies.iter().map(|path| folder.join(path)).collect(),
            kubernetes: self.kubernetes,
            default_action: match self.default_action {
                Action::Allow => DefaultAction::Allow,
                Action::Deny => DefaultAction::Deny,
                Action::Warn => DefaultAction::Warn,
            },
            webhook: self.webhook.lower(folder, &defaults.webhook)?,
            metrics_listen: address(
                "metrics.listen",
                self.metrics.listen,
                defaults.metrics_listen,
            )?,
            health_listen: address("health.listen", self.health.listen, defaults.health_listen)?,
            cache: self.cache.lower(defaults.cache)?,
            registries: registries(self.registries, folder)?,
            pull_secrets: self.credentials.pull_secrets(self.kubernetes)?,
            credential_providers: self.credentials.providers(folder)?,
            docker_config_file: self.credentials.docker_config_file.map(|path| folder.join(path)),
            log: LogConfiguration { level: self.log.level, format: self.log.format },
        })
    }
}

impl Credentials {
    fn pull_secrets(&mut self, kubernetes: Option<bool>) -> Result<PullSecrets, Invalid> {
        let field = "credentials.pullSecrets";
        let granted = match self.pull_secrets.take() {
            None => return Ok(PullSecrets::None),
            Some(Value::String(text)) if text == "none" => return Ok(PullSecrets::None),
            Some(Value::String(text)) if text == "all" => PullSecrets::All,
            Some(grant @ Value::Object(_)) => {
                let grant = yaml::decode(grant).map_err(|(at, reason)| match at.as_str() {
                    "document" => invalid(field, reason),
                    at => invalid(format!("{field}.{at}"), reason),
                });
                PullSecrets::Namespaces(Grant::lower(grant?, field)?)
            }
            Some(other) => {
                let advice = "write none, all, or {namespaces: [\"team-*\"]}";
                return Err(invalid(field, format!("{other} is no grant: {advice}")));
            }
        };
        if kubernetes == Some(false) {
            return Err(invalid(field, "needs the cluster, which kubernetes: false turns off"));
        }
        Ok(granted)
    }

    fn providers(&mut self, folder: &Path) -> Result<Option<CredentialProviderFiles>, Invalid> {
        let files = (self.provider_config_file.take(), self.provider_bin_dir.take());
        let names = ("credentials.", "providerConfigFile", "providerBinDir");
        let files = pair(names, files, folder)?;
        Ok(files.map(|(config_file, bin_dir)| CredentialProviderFiles { config_file, bin_dir }))
    }
}

impl Grant {
    fn lower(self, field: &str) -> Result<Vec<Wildcard>, Invalid> {
        if self.namespaces.is_empty() {
            return Err(invalid(format!("{field}.namespaces"), "is empty: write none for nobody"));
        }
        let names = self.namespaces.iter().enumerate().map(|(index, name)| {
            let field = format!("{field}.namespaces[{index}]");
            Wildcard::new(name).map_err(|error| invalid(field, error.to_string()))
        });
        names.collect()
    }
}

impl Webhook {
    fn lower(
        self,
        folder: &Path,
        default: &WebhookConfiguration,
    ) -> Result<WebhookConfiguration, Invalid> {
        let files = (self.cert_file, self.key_file);
        let tls_files = pair(("webhook.", "certFile", "keyFile"), files, folder)?;
        let token = |value: Value| {
            let text = value.as_str().unwrap_or_default();
            text.parse().map_err(|reason| invalid("webhook.pathToken", reason))
        };
        Ok(WebhookConfiguration {
            listen: address("webhook.listen", self.listen, default.listen)?,
            tls_files,
            client_ca_file: self.client_ca_file.map(|path| folder.join(path)),
            path_token: self.path_token.map(token).transpose()?,
            drain_delay: delay("webhook.drainDelay", self.drain_delay, default.drain_delay)?,
        })
    }
}

impl Cache {
    fn lower(self, default: CacheConfiguration) -> Result<CacheConfiguration, Invalid> {
        let ttl = |field, text, default| delay(&format!("cache.{field}"), text, default);
        Ok(CacheConfiguration {
            tag_ttl: ttl("tagTtl", self.tag_ttl, default.tag_ttl)?,
            referrers_ttl: ttl("referrersTtl", self.referrers_ttl, default.referrers_ttl)?,
            verdict_ttl: ttl("verdictTtl", self.verdict_ttl, default.verdict_ttl)?,
            negative_ttl: ttl("negativeTtl", self.negative_ttl, default.negative_ttl)?,
            bytes_max: self.max_bytes.unwrap_or(default.bytes_max),
        })
    }
}

/// Two files of which neither is any use alone, in `folder`; `names` are what stands before the
/// fields, and the fields.
fn pair(
    names: (&str, &str, &str),
    files: (Option<PathBuf>, Option<PathBuf>),
    folder: &Path,
) -> Result<Option<(PathBuf, PathBuf)>, Invalid> {
    let (before, first, second) = names;
    let missing = |field: &str, beside: &str| {
        Err(invalid(format!("{before}{field}"), format!("is needed beside {beside}")))
    };
    match files {
        (None, None) => Ok(None),
        (Some(one), Some(other)) => Ok(Some((folder.join(one), folder.join(other)))),
        (Some(_), None) => missing(second, first),
        (None, Some(_)) => missing(first, second),
    }
}

fn delay(field: &str, text: Option<String>, default: Duration) -> Result<Duration, Invalid> {
    let Some(text) = text else { return Ok(default) };
    duration::parse(&text).map_err(|reason| invalid(field, reason))
}

fn address(field: &str, text: Option<String>, default: SocketAddr) -> Result<SocketAddr, Invalid> {
    let Some(text) = text else { return Ok(default) };
    let error =
        |_| invalid(field, format!("'{text}' is no address: write IP:PORT, as in 0.0.0.0:10250"));
    text.parse().map_err(error)
}

fn registries(wire: Vec<Registry>, folder: &Path) -> Result<Vec<RegistryConfiguration>, Invalid> {
    let mut seen = BTreeSet::new();
    let mut registries = Vec::new();
    for (index, registry) in wire.into_iter().enumerate() {
        let field = format!("registries[{index}]");
        let host = host(&format!("{field}.host"), &registry.host)?;
        if !seen.insert(host.clone()) {
            return Err(invalid(format!("{field}.host"), format!("'{host}' is given twice")));
        }
        let realms = registry.token_realms.iter().enumerate();
        let realms =
            realms.map(|(at, realm)| self::host(&format!("{field}.tokenRealms[{at}]"), realm));
        let token_realms = realms.collect::<Result<_, _>>()?;
        let client_files = pair(
            (&format!("{field}."), "clientCertFile", "clientKeyFile"),
            (registry.client_cert_file, registry.client_key_file),
            folder,
        )?;
        registries.push(RegistryConfiguration {
            host,
            plain_http: registry.plain_http,
            ca_file: registry.ca_file.map(|path| folder.join(path)),
            client_files,
            mirrors: registry.mirrors,
            token_realms,
            max_concurrent: registry.max_concurrent,
        });
    }
    Ok(registries)
}

/// A host as normalised references have it. What no reference could have would never match.
fn host(field: &str, text: &str) -> Result<String, Invalid> {
    let error = || {
        invalid(
            field,
            format!("'{text}' is no host: write HOST or HOST:PORT, without scheme and path"),
        )
    };
    if !text.contains(['.', ':']) && text != "localhost" || text.contains(['/', '@']) {
        return Err(error());
    }
    let reference: assay_core::ImageReference =
        format!("{text}/any").parse().map_err(|_| error())?;
    Ok(reference.repository().host().to_owned())
}
