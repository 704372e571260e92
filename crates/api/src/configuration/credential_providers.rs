//! The kubelet's CredentialProviderConfig: the file that a node has for its credential providers says
//! the same to Assay.
//!
//! Specification: <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1/>.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use assay_core::parse_go_duration;
use assay_policy::Invalid;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ConfigurationError;
use crate::limits::FILE_BYTES_MAX;
use crate::{invalid, yaml};

/// One of the kubelet's credential providers.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialProvider {
    /// Its name, which is that of the program.
    pub name: String,
    /// Patterns of the images that it is asked about; whether each is one is not checked here.
    pub match_images: Vec<String>,
    /// How long an answer is kept that does not say so itself.
    pub default_cache_duration: Duration,
    /// The version of the protocol that it speaks.
    pub api_version: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// The variables that it gets beside those of the process.
    pub env: Vec<(String, String)>,
}

impl fmt::Debug for CredentialProvider {
    /// The name only: its variables may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialProvider({})", self.name)
    }
}

/// The versions of the file, which all say the same.
const FILE_VERSIONS: [&str; 3] =
    ["kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1"];

/// The versions of the protocol, which all say the same.
const PROTOCOL_VERSIONS: [&str; 3] = [
    "credentialprovider.kubelet.k8s.io/v1",
    "credentialprovider.kubelet.k8s.io/v1beta1",
    "credentialprovider.kubelet.k8s.io/v1alpha1",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Provider {
    name: String,
    match_images: Vec<String>,
    default_cache_duration: String,
    api_version: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    token_attributes: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

/// The credential providers in the text of `file`, a CredentialProviderConfig in YAML or JSON. Whether
/// their programs are there is not checked.
///
/// # Errors
/// Whatever the kubelet would not take, and `tokenAttributes`.
pub fn read_credential_providers(
    text: &str,
    file: &Path,
) -> Result<Vec<CredentialProvider>, ConfigurationError> {
    parse(text).map_err(|invalid| ConfigurationError {
        file: file.to_owned(),
        field: invalid.field,
        reason: invalid.reason,
    })
}

fn parse(text: &str) -> Result<Vec<CredentialProvider>, Invalid> {
    if text.len() > FILE_BYTES_MAX {
        return Err(invalid("document", format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    let value = yaml::parse(text, 0).map_err(|reason| invalid("document", reason))?;
    let value = value.ok_or_else(|| invalid("document", "is empty"))?;
    let head = |field| value.get(field).and_then(Value::as_str).unwrap_or_default();
    one_of("apiVersion", head("apiVersion"), &FILE_VERSIONS)?;
    one_of("kind", head("kind"), &["CredentialProviderConfig"])?;
    let file: File = yaml::decode(value).map_err(|(field, reason)| invalid(field, reason))?;
    if file.providers.is_empty() {
        return Err(invalid("providers", "is empty"));
    }
    let mut seen = BTreeSet::new();
    let mut providers = Vec::new();
    for (index, provider) in file.providers.into_iter().enumerate() {
        let provider = provider.lower(&format!("providers[{index}]"))?;
        if !seen.insert(provider.name.clone()) {
            let twice = format!("'{}' is given twice", provider.name);
            return Err(invalid(format!("providers[{index}].name"), twice));
        }
        providers.push(provider);
    }
    Ok(providers)
}

impl Provider {
    fn lower(self, field: &str) -> Result<CredentialProvider, Invalid> {
        let at = |name: &str| format!("{field}.{name}");
        let is_program = !self.name.is_empty() && !self.name.contains(['/', ' ']);
        if !is_program || self.name == "." || self.name == ".." {
            return Err(invalid(at("name"), format!("'{}' is no name of a program", self.name)));
        }
        one_of(&at("apiVersion"), &self.api_version, &PROTOCOL_VERSIONS)?;
        if self.match_images.is_empty() {
            return Err(invalid(at("matchImages"), "is empty: name the registries it is for"));
        }
        if self.token_attributes.is_some() {
            let advice = "is for kubelets: no webhook has a token of the pod's. Give the provider an \
                          identity of Assay's own";
            return Err(invalid(at("tokenAttributes"), advice));
        }
        let duration = parse_go_duration(&self.default_cache_duration).ok_or_else(|| {
            let wrong = format!("'{}' is no duration, as 12h is", self.default_cache_duration);
            invalid(at("defaultCacheDuration"), wrong)
        })?;
        let env = self.env.into_iter().flatten();
        Ok(CredentialProvider {
            name: self.name,
            match_images: self.match_images,
            default_cache_duration: duration,
            api_version: self.api_version,
            args: self.args.unwrap_or_default(),
            env: env.map(|variable| (variable.name, variable.value)).collect(),
        })
    }
}

fn one_of(field: &str, text: &str, known: &[&str]) -> Result<(), Invalid> {
    if known.contains(&text) {
        return Ok(());
    }
    Err(invalid(field, format!("must be {}", known.join(" or "))))
}
