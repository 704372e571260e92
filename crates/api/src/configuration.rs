//! The configuration file: how one process of Assay runs. Policies are in documents of their own.

mod credential_providers;
mod duration;
mod path_token;
mod wire;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_policy::{DefaultAction, Wildcard};

pub use credential_providers::{CredentialProvider, read_credential_providers};
pub use path_token::PathToken;

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
    /// Whose pull Secrets are read.
    pub pull_secrets: PullSecrets,
    /// The kubelet's credential providers; see [`read_credential_providers`].
    pub credential_providers: Option<CredentialProviderFiles>,
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
    /// The roots of the certificates that callers must show, in PEM.
    pub client_ca_file: Option<PathBuf>,
    /// What callers must know.
    pub path_token: Option<PathToken>,
    /// How long it serves on once it is told to stop, so that clients can find another.
    pub drain_delay: Duration,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryConfiguration {
    /// Its host as references have it, normalised, with the port.
    pub host: String,
    /// Whether it is reached by plain HTTP.
    pub plain_http: bool,
    /// The only roots that its certificate may lead to, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The certificate that it is shown, with its chain, and the private key, in PEM.
    pub client_files: Option<(PathBuf, PathBuf)>,
    /// `host[/path]`, asked in this order before the registry itself; whether each is one is not
    /// checked here.
    pub mirrors: Vec<String>,
    /// Requests to it at once; `None` means what is good for most.
    pub max_concurrent: Option<NonZeroU16>,
    /// Hosts beside its own that may see its passwords, to give tokens for them.
    pub token_realms: Vec<String>,
}

/// Whose pull Secrets are read, to read images in the name of the pods that have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PullSecrets {
    /// Those of every namespace.
    All,
    /// Those of the namespaces that one of these matches.
    Namespaces(Vec<Wildcard>),
    /// Nobody's.
    #[default]
    None,
}

/// Where the kubelet's credential providers are, as the kubelet's own flags say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialProviderFiles {
    /// `--image-credential-provider-config`: a CredentialProviderConfig.
    pub config_file: PathBuf,
    /// `--image-credential-provider-bin-dir`: the folder that has the programs.
    pub bin_dir: PathBuf,
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

impl PullSecrets {
    /// Whether those of `namespace` are read.
    pub fn grants(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(names) => names.iter().any(|name| name.matches(namespace)),
            Self::None => false,
        }
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
            webhook: WebhookConfiguration::default(),
            metrics_listen: any_address(8080),
            health_listen: any_address(8081),
            cache: CacheConfiguration::default(),
            registries: Vec::new(),
            docker_config_file: None,
            pull_secrets: PullSecrets::default(),
            credential_providers: None,
            log: LogConfiguration::default(),
        }
    }
}

impl Default for WebhookConfiguration {
    fn default() -> Self {
        Self {
            listen: any_address(10250),
            tls_files: None,
            client_ca_file: None,
            path_token: None,
            drain_delay: Duration::from_secs(10),
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
