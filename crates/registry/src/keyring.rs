//! The kubelet's rules for which entry of a Docker configuration is for which image. They are not
//! Docker's: hosts may be globs, a path is a plain prefix, and everything that matches is tried.
//!
//! Specification: <https://kubernetes.io/docs/concepts/containers/images/#config-json>, and the
//! `matchImages` of <https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/>.

use assay_core::ports::{PullSecret, PullSecretFormat};
use assay_core::{Credential, Repository};
use serde_json::{Map, Value};

use crate::docker_config::{credentials, object};

/// What the kubelet knows Docker Hub by.
const DOCKER_HUB_KEY: &str = "index.docker.io";

/// A host whose labels may be globs, and the beginning of a path: `*.dkr.ecr.*.amazonaws.com/team`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImagePattern {
    labels: Vec<String>,
    /// Empty where it is that of https, or none.
    port: String,
    /// Without the slash before it.
    path: String,
}

impl ImagePattern {
    /// The pattern that `text`, a host with or without port and path, spells; `None` where it is no
    /// host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (labels, port) = host_parts(host);
        let wrong = |c: char| c.is_whitespace() || "@?#%".contains(c);
        if host.is_empty() || text.contains(wrong) {
            return None;
        }
        Some(Self { labels, port, path: path.to_owned() })
    }

    /// Whether images of `repository` match: as many labels, each by its glob, the same port, and a path
    /// that begins so, wherever that ends.
    pub(crate) fn covers(&self, repository: &Repository) -> bool {
        let (labels, port) = host_parts(repository.host());
        let mut pairs = self.labels.iter().zip(&labels);
        self.labels.len() == labels.len()
            && self.port == port
            && repository.path().starts_with(&self.path)
            && pairs.all(|(glob, label)| glob_matches(glob, label))
    }
}

/// The labels of a host, and its port. That of https is dropped, as it is from references.
fn host_parts(host: &str) -> (Vec<String>, String) {
    let (name, port) = match host.rsplit_once(':') {
        // Else the colon is one of an IPv6 address.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let labels = name.to_ascii_lowercase().split('.').map(str::to_owned).collect();
    (labels, if port == "443" { "" } else { port }.to_owned())
}

/// Whether `label` is what `glob` spells, where `*` stands for anything, also for nothing.
fn glob_matches(glob: &str, label: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else {
        return glob == label;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let mut inner = label.strip_prefix(first).and_then(|label| label.strip_suffix(last));
    for part in middle.split('*') {
        inner = inner.and_then(|inner| inner.split_once(part)).map(|(_, after)| after);
    }
    inner.is_some()
}

/// Credentials, each for what its key covers.
#[derive(Clone, Default)]
pub(crate) struct Keyring(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    /// As the kubelet has it: without scheme, and without the path of a registry's API.
    key: String,
    pattern: ImagePattern,
    credential: Credential,
}

impl Keyring {
    /// Adds what is for `server`, a pattern or a URL as Docker writes it. What is neither is passed over.
    pub(crate) fn add(&mut self, server: &str, credential: Credential) {
        let scheme = ["https://", "http://"].iter().find_map(|scheme| server.strip_prefix(scheme));
        let text = scheme.unwrap_or(server);
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let api = ["v1/", "v2/"].iter().find_map(|api| path.strip_prefix(api));
        let key = match api.unwrap_or(path) {
            "" => host.to_owned(),
            path => format!("{host}/{path}"),
        };
        if let Some(pattern) = ImagePattern::parse(&key) {
            self.0.push(Entry { key, pattern, credential });
        }
    }

    /// Adds what a pull Secret holds.
    ///
    /// # Errors
    /// A text that names the field, and nothing that stands in it.
    pub(crate) fn add_secret(&mut self, secret: &PullSecret) -> Result<(), String> {
        let file: Map<String, Value> =
            serde_json::from_slice(&secret.bytes).map_err(|_| "not a JSON object".to_owned())?;
        let entries = match secret.format {
            PullSecretFormat::DockerCfg => credentials(file.iter())?,
            PullSecretFormat::DockerConfigJson => credentials(object(&file, "auths")?)?,
        };
        for (server, credential) in entries {
            self.add(server, credential);
        }
        Ok(())
    }

    /// Adds everything that `other` has.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// What is for `repository`, in the kubelet's order: by key, backwards, so that longer paths come
    /// before shorter ones and names before globs. What is for Docker Hub under its old name counts
    /// where nothing else does.
    pub(crate) fn credentials(&self, repository: &Repository) -> Vec<Credential> {
        let covering = |entry: &&Entry| entry.pattern.covers(repository);
        let mut found: Vec<&Entry> = self.0.iter().filter(covering).collect();
        found.sort_by(|one, other| other.key.cmp(&one.key));
        if found.is_empty() && repository.host() == "docker.io" {
            found = self.0.iter().filter(|entry| entry.key == DOCKER_HUB_KEY).collect();
        }
        found.into_iter().map(|entry| entry.credential.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
