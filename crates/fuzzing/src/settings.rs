//! What administrators write for one process: the configuration file, and Docker's `config.json`.

use std::path::Path;

use assay_api::Configuration;
use assay_core::{ImageReference, Repository};
use assay_registry::DockerConfig;
use serde_json::Value;

/// Configuration files.
pub const CONFIGURATIONS: &[&str] = &[
    include_str!("../../../config/assay.yaml"),
    "apiVersion: assay.dev/v1alpha1\nkind: Configuration\n",
    "{apiVersion: assay.dev/v1alpha1, kind: Configuration, registries: [{host: \"LOCALHOST:443\"}], cache: {tagTtl: 1h30m}}",
];

/// Docker's `config.json`, with one secret in each form.
pub const DOCKER_CONFIGS: &[&str] = &[
    r#"{"auths":{"registry.example":{"auth":"YWxpY2U6aHVudGVyMg=="},"registry.example/shop":{"identitytoken":"hunter2"},"https://registry.example:5000/v1/":{"username":"alice","password":"hunter2"}}}"#,
    r#"{"auths":{"registry.example":{"username":"bob","password":"hunter2"},"other.example":{}},"credHelpers":{"other.example":"pass"},"credsStore":"desktop","HttpHeaders":null}"#,
];

/// The secret in [`DOCKER_CONFIGS`], as it may stand there.
const SECRETS: [&str; 2] = ["hunter2", "YWxpY2U6aHVudGVyMg=="];

/// Registries that credentials are looked for.
const REPOSITORIES: [(&str, &str); 3] = [
    ("registry.example", "shop/web"),
    ("registry.example:5000", "app"),
    ("docker.io", "library/busybox"),
];

/// A configuration that is accepted would not be with one more, unknown field; its hosts are as
/// references have them, each once. What is said of another fits on one line.
pub fn configuration(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let parse = |text: &str| Configuration::parse(text, Path::new("config/assay.yaml"));
    let configuration = match parse(text) {
        Ok(configuration) => configuration,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            return false;
        }
    };
    assert!(parse(&format!("{text}\nunknown: 1\n")).is_err());
    let hosts = configuration.registries.iter().map(|registry| registry.host.as_str());
    let mut seen = Vec::new();
    for host in hosts {
        let reference: Option<ImageReference> = format!("{host}/any/any").parse().ok();
        assert_eq!(reference.as_ref().map(|reference| reference.repository().host()), Some(host));
        assert!(!seen.contains(&host), "{host} is there twice");
        seen.push(host);
    }
    true
}

/// Credentials are found only for a host that the file names, and what is wrong with a file is said
/// without the secrets in it.
pub fn docker_config(data: &[u8]) -> bool {
    let mut is_found = false;
    let names = servers(data);
    for (host, path) in REPOSITORIES {
        match DockerConfig::stored(data, &Repository::new(host, path)) {
            Ok(found) => {
                let named = names.iter().any(|name| name.to_ascii_lowercase().contains(host));
                assert!(found.is_empty() || named, "{host}");
                is_found |= !found.is_empty();
            }
            Err(error) => {
                let is_name = |secret: &str| names.iter().any(|name| name.contains(secret));
                assert!(!SECRETS.iter().any(|secret| error.contains(secret) && !is_name(secret)));
            }
        }
    }
    is_found
}

/// The names in the file that are no secret.
fn servers(config: &[u8]) -> Vec<String> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let maps = ["auths", "credHelpers"].into_iter().filter_map(|field| config[field].as_object());
    maps.flat_map(|map| map.keys().cloned()).collect()
}
