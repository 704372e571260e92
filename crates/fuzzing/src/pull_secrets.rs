//! Pull Secrets, which tenants write.

use std::sync::Arc;

use assay_core::ports::{PullSecret, PullSecretFormat};
use assay_core::{Credential, Repository};
use assay_registry::PullCredentials;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// What pull Secrets hold, some with globs.
pub const PULL_SECRETS: &[&str] = &[
    r#"{"auths":{"registry.example":{"auth":"YWxpY2U6aHVudGVyMg=="},"https://registry.example/v2/shop/":{"username":"alice","password":"hunter2"},"*.example":{"auth":"YWxpY2U6aHVudGVyMg"},"registry.example:5000":{}}}"#,
    r#"{"auths":{"reg*y.*:5000/app":{"username":"bob","password":"hunter2"},"*:5000":{"username":"eve"},"http://*.*:5000/":{"username":"carol"}}}"#,
    r#"{"auths":{"https://index.docker.io/v1/":{"username":"bob","password":"hunter2"}}}"#,
    r#"{"docker.io":{"username":"bob"},"index.docker.io":{"username":"eve"},"*.io/library":{"username":"carol"}}"#,
];

/// Registries that credentials are looked for.
const REPOSITORIES: [(&str, &str); 3] = [
    ("registry.example", "shop/web"),
    ("registry.example:5000", "app"),
    ("docker.io", "library/busybox"),
];

/// Credentials are found under the keys that a plain reading of the kubelet's rules picks, in its order,
/// and what is wrong with a Secret is said without a word of it.
pub fn pull_secret(data: &[u8]) -> bool {
    let mut is_found = false;
    for format in [PullSecretFormat::DockerCfg, PullSecretFormat::DockerConfigJson] {
        let servers = servers(data, format);
        for (host, path) in REPOSITORIES {
            let picked = picked(&servers, host, path);
            // An entry for each key that tells which it is.
            let entry =
                |server: &String| (server.clone(), json!({"username": server, "password": "p"}));
            let named = Value::from(servers.iter().map(entry).collect::<Map<_, _>>());
            let named = match format {
                PullSecretFormat::DockerCfg => named,
                PullSecretFormat::DockerConfigJson => json!({"auths": named}),
            };
            let named = named.to_string().into_bytes();
            let found = held(&named, format, host, path).expect("every entry is good");
            let found: Vec<String> = found.into_iter().map(name).collect();
            assert_eq!(found, picked, "{host}/{path}");
            match held(data, format, host, path) {
                Ok(found) => {
                    assert!(found.len() <= picked.len());
                    is_found |= !found.is_empty();
                }
                Err(error) => assert_eq!(error, "Secret 'pull' holds no Docker configuration"),
            }
        }
    }
    is_found
}

fn held(
    data: &[u8],
    format: PullSecretFormat,
    host: &str,
    path: &str,
) -> Result<Vec<Credential>, String> {
    let bytes = Bytes::copy_from_slice(data);
    let secret = Arc::new(PullSecret { name: "pull".to_owned(), format, bytes });
    PullCredentials::held(&[secret], &Repository::new(host, path))
}

fn name(credential: Credential) -> String {
    match credential {
        Credential::Basic { username, .. } => username,
        Credential::IdentityToken(token) => token,
    }
}

/// The keys of the entries, but the empty one, which can name nobody.
fn servers(data: &[u8], format: PullSecretFormat) -> Vec<String> {
    let value: Value = serde_json::from_slice(data).unwrap_or_default();
    let entries = match format {
        PullSecretFormat::DockerCfg => &value,
        PullSecretFormat::DockerConfigJson => &value["auths"],
    };
    let keys = entries.as_object().into_iter().flat_map(|entries| entries.keys());
    keys.filter(|key| !key.is_empty()).cloned().collect()
}

/// The servers for an image: by their keys backwards, and Docker Hub's old name if no other.
fn picked(servers: &[String], host: &str, path: &str) -> Vec<String> {
    let mut keys: Vec<(String, &String)> =
        servers.iter().map(|server| (key(server), server)).collect();
    keys.sort_by(|one, other| other.0.cmp(&one.0));
    let is_key = |key: &str| {
        !key.starts_with('/')
            && !key.contains(|c: char| c.is_whitespace() || ['@', '?', '#', '%'].contains(&c))
    };
    let all = || keys.iter().filter(|(key, _)| !key.is_empty() && is_key(key));
    let direct: Vec<_> = all().filter(|(key, _)| covers(key, host, path)).collect();
    let hub = || all().filter(|(key, _)| key == "index.docker.io" && host == "docker.io");
    let picked = if direct.is_empty() { hub().collect() } else { direct };
    picked.into_iter().map(|(_, server)| (*server).clone()).collect()
}

/// What the kubelet makes of a server.
fn key(server: &str) -> String {
    let text = server.strip_prefix("https://");
    let text = text.or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let is_api = path.starts_with("/v1/") || path.starts_with("/v2/");
    let path = if is_api { &path[3..] } else { path };
    if path == "/" { host.to_owned() } else { format!("{host}{path}") }
}

fn covers(key: &str, host: &str, path: &str) -> bool {
    let (glob, start) = key.split_once('/').unwrap_or((key, ""));
    let (glob, port) = parts(glob);
    let (labels, own_port) = parts(host);
    port == own_port
        && path.starts_with(start)
        && glob.len() == labels.len()
        && glob.iter().zip(&labels).all(|(glob, label)| meets(glob, label))
}

/// The labels of a host, and its port.
fn parts(host: &str) -> (Vec<Vec<char>>, &str) {
    let colon = host.rfind(':').filter(|_| !host.ends_with(']')).unwrap_or(host.len());
    let (name, port) = host.split_at(colon);
    let labels = name.split('.').map(|label| label.to_ascii_lowercase().chars().collect());
    (labels.collect(), port.strip_prefix(':').filter(|port| *port != "443").unwrap_or_default())
}

/// Whether a label is what a glob spells, letter by letter.
fn meets(glob: &[char], label: &[char]) -> bool {
    // By how much of the glob is used up: which beginnings of the label it spells.
    let mut spelled = vec![false; label.len() + 1];
    spelled[0] = true;
    for own in glob {
        if *own == '*' {
            for end in 0..label.len() {
                spelled[end + 1] |= spelled[end];
            }
        } else {
            for end in (0..label.len()).rev() {
                spelled[end + 1] = spelled[end] && label[end] == *own;
            }
            spelled[0] = false;
        }
    }
    spelled[label.len()]
}
