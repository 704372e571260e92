//! The configuration file: how one process of Assay runs. Policies are in documents of their own.

mod duration;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_policy::DefaultAction;

/// The configuration, with every default filled in and every path made relative to the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Files and directories of policies.
    pub policies: Vec<PathBuf>,
    /// Whether to watch the cluster; `None` means where one is configured.
    pub kubernetes: Option<bool>,
    /// What decides where no enforcing cluster policy covers an image.
    pub default_action: DefaultAction,
    /// The webhook.
    pub webhook: WebhookConfiguration,
    /// Where metrics are served.
    pub metrics_listen: SocketAddr,
    /// Where health is served.
    pub health_listen: SocketAddr,
    /// How long what was found out is remembered.
    pub cache: CacheConfiguration,
    /// Registries, each host once.
    pub registries: Vec<RegistryConfiguration>,
    /// A Docker `config.json`, in place of the user's own.
    pub docker_config_file: Option<PathBuf>,
    /// What is logged.
    pub log: LogConfiguration,
}

/// The webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfiguration {
    /// Where it is served.
    pub listen: SocketAddr,
    /// The certificate chain and its private key, in PEM; both or neither.
    pub tls_files: Option<(PathBuf, PathBuf)>,
}

/// How long what was found out is remembered; zero switches a cache off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfiguration {
    /// Which digest a tag has.
    pub tag_ttl: Duration,
    /// What refers to a digest.
    pub referrers_ttl: Duration,
    /// A verdict that accepts.
    pub verdict_ttl: Duration,
    /// Any other verdict.
    pub negative_ttl: Duration,
    /// Bytes of all caches.
    pub bytes_max: u64,
}

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfiguration {
    /// Its host as references have it, normalised, with the port.
    pub host: String,
    /// Whether it is reached by plain HTTP.
    pub plain_http: bool,
    /// Hosts beside its own that may see its passwords, to give tokens for them.
    pub token_realms: Vec<String>,
}

/// What is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfiguration {
    /// From which level on.
    pub level: LogLevel,
    /// How.
    pub format: LogFormat,
}

/// From which level on things are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What somebody debugging Assay wants to see.
    Debug,
    /// What went wrong.
    Error,
    /// What happens: one line for each verdict.
    #[default]
    Info,
    /// Everything.
    Trace,
    /// What may go wrong.
    Warn,
}

/// How things are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

/// Why a configuration file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {field}: {reason}", .file.display())]
pub struct ConfigurationError {
    /// The file.
    pub file: PathBuf,
    /// The field's path: `registries[0].host`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Configuration {
    /// The configuration in the text of `file`. Paths in it are relative to the file's folder. Whether
    /// they exist is not checked.
    ///
    /// # Errors
    /// Anything that is no `kind: Configuration`, an unknown field, a value that does not fit.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigurationError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        wire::parse(text, folder).map_err(|invalid| ConfigurationError {
            file: file.to_owned(),
            field: invalid.field,
            reason: invalid.reason,
        })
    }
}

impl LogLevel {
    /// The level as the file names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Error => "error",
            Self::Info => "info",
            Self::Trace => "trace",
            Self::Warn => "warn",
        }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            kubernetes: None,
            default_action: DefaultAction::default(),
            webhook: WebhookConfiguration { listen: any_address(10250), tls_files: None },
            metrics_listen: any_address(8080),
            health_listen: any_address(8081),
            cache: CacheConfiguration::default(),
            registries: Vec::new(),
            docker_config_file: None,
            log: LogConfiguration::default(),
        }
    }
}

impl Default for CacheConfiguration {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(30),
            referrers_ttl: Duration::from_mins(1),
            verdict_ttl: Duration::from_mins(10),
            negative_ttl: Duration::from_secs(10),
            bytes_max: 64 * 1024 * 1024,
        }
    }
}

fn any_address(port: u16) -> SocketAddr {
    (std::net::Ipv4Addr::UNSPECIFIED, port).into()
}
