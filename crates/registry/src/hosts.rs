//! What the administrator says about registries, compiled: which hosts are spoken to without TLS,
//! which may be at internal addresses, where else their passwords may go, and who mirrors them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use assay_core::{ConfigError, ImageReference, Repository, StoreError};
use url::{Host, Url};

use crate::config::{Loopback, RegistryConfig};

/// [`RegistryConfig`], by authority.
#[derive(Debug)]
pub(crate) struct Hosts {
    settings: BTreeMap<String, Settings>,
    loopback: Loopback,
}

#[derive(Debug)]
struct Settings {
    plain_http: bool,
    token_realms: BTreeSet<String>,
    mirrors: Vec<Mirror>,
    max_concurrent: Option<NonZeroU16>,
}

/// A place that has what another registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    host: String,
    /// What stands before a repository's path there: `cache/`, or nothing.
    prefix: String,
}

/// Requests under way at once for a registry that says nothing else.
pub(crate) const CONCURRENT_DEFAULT: u16 = 16;

impl Hosts {
    /// The compiled form of `config`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the host or token realm that is not one, or stands twice.
    pub(crate) fn compile(config: &RegistryConfig) -> Result<Self, ConfigError> {
        let mut hosts = Self { settings: BTreeMap::new(), loopback: config.loopback };
        for (index, host) in config.hosts.iter().enumerate() {
            let field = |name: &str| format!("registries[{index}].{name}");
            let secure = parse(&host.host, "https", &field("host"))?;
            let plain_http = host.plain_http.unwrap_or(hosts.is_plain_by_default(&secure));
            let url = match plain_http {
                true => parse(&host.host, "http", &field("host"))?,
                false => secure,
            };
            let settings = Settings {
                plain_http,
                token_realms: each(&host.token_realms, &field("tokenRealms"), |realm, field| {
                    parse(realm, "https", field).map(|url| authority(&url))
                })?,
                mirrors: each(&host.mirrors, &field("mirrors"), Mirror::parse)?,
                max_concurrent: host.max_concurrent,
            };
            if hosts.settings.insert(authority(&url), settings).is_some() {
                return Err(ConfigError {
                    field: field("host"),
                    reason: format!("'{}' stands twice", host.host),
                });
            }
        }
        Ok(hosts)
    }

    /// Where the registry that references call `host` is: `https://registry-1.docker.io/`.
    ///
    /// # Errors
    /// [`StoreError::Blocked`] where `host` is no host.
    pub(crate) fn origin(&self, host: &str) -> Result<Url, StoreError> {
        let blocked = |_| StoreError::Blocked { host: host.to_owned(), reason: "it is not a host" };
        let plain = parse(host, "http", "host").map_err(blocked)?;
        match self.is_plain(&plain) {
            true => Ok(plain),
            false => parse(host, "https", "host").map_err(blocked),
        }
    }

    /// Whether the administrator named the host of `url`.
    pub(crate) fn is_listed(&self, url: &Url) -> bool {
        self.settings.contains_key(&authority(url))
    }

    /// Whether the host of `url` is spoken to without TLS.
    pub(crate) fn is_plain(&self, url: &Url) -> bool {
        match self.settings.get(&authority(url)) {
            Some(settings) => settings.plain_http,
            None => self.is_plain_by_default(url),
        }
    }

    /// Whether loopback addresses may be connected to.
    pub(crate) fn allows_loopback(&self) -> bool {
        self.loopback == Loopback::Allowed
    }

    /// Whether `realm` is among the configured token realms of `registry`.
    pub(crate) fn is_token_realm(&self, registry: &Url, realm: &Url) -> bool {
        self.settings
            .get(&authority(registry))
            .is_some_and(|settings| settings.token_realms.contains(&authority(realm)))
    }

    /// Requests under way at once on behalf of `registry`.
    pub(crate) fn max_concurrent(&self, registry: &str) -> usize {
        let configured = self.settings_of(registry).and_then(|settings| settings.max_concurrent);
        configured.map_or(CONCURRENT_DEFAULT, NonZeroU16::get).into()
    }

    /// Where `repository` is mirrored, in the order to be asked.
    pub(crate) fn mirrors(&self, repository: &Repository) -> Vec<Repository> {
        let mirrors = self.settings_of(repository.host()).map(|settings| &settings.mirrors);
        let place = |mirror: &Mirror| {
            Repository::new(&*mirror.host, format!("{}{}", mirror.prefix, repository.path()))
        };
        mirrors.into_iter().flatten().map(place).collect()
    }

    fn settings_of(&self, registry: &str) -> Option<&Settings> {
        self.settings.get(&authority(&self.origin(registry).ok()?))
    }

    fn is_plain_by_default(&self, url: &Url) -> bool {
        self.allows_loopback() && is_loopback(url)
    }
}

impl Mirror {
    /// The mirror that `text`, `host[/path]`, names: the host and path of a repository.
    fn parse(text: &str, field: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError {
            field: field.to_owned(),
            reason: format!("'{text}' is no mirror: write HOST or HOST/PATH, without scheme"),
        };
        let prefix = text.split_once('/').map(|(_, path)| format!("{path}/")).unwrap_or_default();
        // What is parsed has a repository's path, which the parser takes for one only as it is.
        let any = format!("{text}/any/any").parse::<ImageReference>().map_err(|_| wrong())?;
        match any.repository().path() == format!("{prefix}any/any") {
            true => Ok(Self { host: any.repository().host().to_owned(), prefix }),
            false => Err(wrong()),
        }
    }
}

/// What `parse` makes of each of `texts`, with the field that it stands in.
fn each<T, All: FromIterator<T>>(
    texts: &[String],
    field: &str,
    parse: impl Fn(&str, &str) -> Result<T, ConfigError>,
) -> Result<All, ConfigError> {
    let texts = texts.iter().enumerate();
    texts.map(|(index, text)| parse(text, &format!("{field}[{index}]"))).collect()
}

/// Whether the host of `url` is loopback by its very name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether both are one server: scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme() && authority(one) == authority(other)
}

/// Host and port of `url`, the port always written.
pub(crate) fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// The root URL of `host`, which is a host with or without a port and nothing else.
fn parse(host: &str, scheme: &str, field: &str) -> Result<Url, ConfigError> {
    let wrong = || ConfigError {
        field: field.to_owned(),
        reason: format!("'{host}' is not a host: write registry.example or registry.example:5000"),
    };
    if host.contains(|char: char| char.is_whitespace() || "/\\@?#*".contains(char)) {
        return Err(wrong());
    }
    let endpoint = match host {
        DOCKER_HUB => DOCKER_HUB_ENDPOINT,
        other => other,
    };
    Url::parse(&format!("{scheme}://{endpoint}/")).map_err(|_| wrong())
}

/// Docker Hub's name in references, and where its registry is.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_ENDPOINT: &str = "registry-1.docker.io";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostConfig;

    fn hosts(loopback: Loopback) -> Hosts {
        let host = |host: &str, plain_http| HostConfig {
            host: host.into(),
            plain_http,
            token_realms: vec!["auth.corp.example".into()],
            ..HostConfig::default()
        };
        Hosts::compile(&RegistryConfig {
            hosts: vec![
                host("registry.corp.example", None),
                host("plain.corp.example", Some(true)),
                host("10.0.0.1:5000", Some(true)),
                host("127.0.0.1:5443", Some(false)),
                host("docker.io", None),
            ],
            loopback,
            ..RegistryConfig::default()
        })
        .unwrap()
    }

    #[test]
    fn speaks_plain_http_by_exact_host_only() {
        use Loopback::{Allowed, Refused};
        for (loopback, host, expect) in [
            (Refused, "registry.corp.example", "https://registry.corp.example/"),
            (Refused, "plain.corp.example", "http://plain.corp.example/"),
            (Refused, "plain.corp.example:5000", "https://plain.corp.example:5000/"),
            (Refused, "sub.plain.corp.example", "https://sub.plain.corp.example/"),
            (Refused, "10.0.0.1:5000", "http://10.0.0.1:5000/"),
            (Refused, "10.0.0.1:5001", "https://10.0.0.1:5001/"),
            (Refused, "docker.io", "https://registry-1.docker.io/"),
            (Refused, "127.0.0.1:5000", "https://127.0.0.1:5000/"),
            (Allowed, "127.0.0.1:5000", "http://127.0.0.1:5000/"),
            (Allowed, "127.0.0.1:5443", "https://127.0.0.1:5443/"),
            (Allowed, "localhost:5000", "http://localhost:5000/"),
            (Allowed, "[::1]:5000", "http://[::1]:5000/"),
            (Allowed, "localhost.example:5000", "https://localhost.example:5000/"),
            (Allowed, "10.0.0.2:5000", "https://10.0.0.2:5000/"),
        ] {
            let origin = hosts(loopback).origin(host).unwrap();
            assert_eq!(origin.as_str(), expect, "{host} {loopback:?}");
        }
    }

    #[test]
    fn lists_exact_hosts_only() {
        for (url, expect) in [
            ("https://registry.corp.example/v2/", true),
            ("https://registry.corp.example:443/v2/", true),
            ("https://registry.corp.example:8443/v2/", false),
            ("http://registry.corp.example/v2/", false),
            ("https://corp.example/v2/", false),
            ("https://registry-1.docker.io/v2/", true),
            ("https://docker.io/v2/", false),
        ] {
            let found = hosts(Loopback::Refused).is_listed(&url.parse().unwrap());
            assert_eq!(found, expect, "{url}");
        }
    }

    #[test]
    fn rejects_configuration_that_it_cannot_use() {
        for (host, realm, field) in [
            ("", "a.example", "registries[0].host"),
            ("https://a.example", "a.example", "registries[0].host"),
            ("*.a.example", "a.example", "registries[0].host"),
            ("user@a.example", "a.example", "registries[0].host"),
            ("a.example:port", "a.example", "registries[0].host"),
            ("a.example/path", "a.example", "registries[0].host"),
            ("a.example", "a.example/token", "registries[0].tokenRealms[0]"),
        ] {
            let config = RegistryConfig {
                hosts: vec![HostConfig {
                    host: host.into(),
                    token_realms: vec![realm.into()],
                    ..HostConfig::default()
                }],
                ..RegistryConfig::default()
            };
            assert_eq!(Hosts::compile(&config).unwrap_err().field, field, "{host}");
        }
    }

    #[test]
    fn rejects_a_host_that_stands_twice() {
        let host = |host: &str| HostConfig { host: host.into(), ..HostConfig::default() };
        let config = |second: &str| RegistryConfig {
            hosts: vec![host("a.example"), host(second)],
            ..RegistryConfig::default()
        };
        assert!(Hosts::compile(&config("b.example")).is_ok());
        assert!(Hosts::compile(&config("a.example:443")).is_err());
    }

    fn mirrored(mirrors: &[&str]) -> Result<Hosts, ConfigError> {
        let mirrors = mirrors.iter().map(ToString::to_string).collect();
        let max_concurrent = NonZeroU16::new(3);
        let host = "docker.io".to_owned();
        let host = HostConfig { host, mirrors, max_concurrent, ..HostConfig::default() };
        Hosts::compile(&RegistryConfig { hosts: vec![host], ..RegistryConfig::default() })
    }

    #[test]
    fn mirrors_keep_the_path_below_their_own() {
        let hosts = mirrored(&["m.example", "M.example:5000/a/b", "docker.io/copy"]).unwrap();
        let found = hosts.mirrors(&Repository::new("docker.io", "library/busybox"));
        let expect = [
            Repository::new("m.example", "library/busybox"),
            Repository::new("m.example:5000", "a/b/library/busybox"),
            Repository::new("docker.io", "copy/library/busybox"),
        ];
        assert_eq!(found, expect);
        assert_eq!(hosts.mirrors(&Repository::new("quay.io", "a")), []);
    }

    #[test]
    fn rejects_mirrors_that_are_no_place() {
        for mirror in [
            "",
            "mirror",
            "mirror/cache",
            "https://m.example",
            "m.example/",
            "m.example//a",
            "m.example/a/",
            "m.example/../a",
            "m.example/A",
            "m.example/a:tag",
            "m.example/a@b",
            "m.example/a?b",
            "user@m.example",
            "*.example",
        ] {
            let error = mirrored(&["m.example", mirror]).unwrap_err();
            assert_eq!(error.field, "registries[0].mirrors[1]", "{mirror}");
        }
    }

    #[test]
    fn concurrency_is_by_exact_host() {
        let hosts = mirrored(&[]).unwrap();
        assert_eq!(hosts.max_concurrent("docker.io"), 3);
        assert_eq!(hosts.max_concurrent("quay.io"), usize::from(CONCURRENT_DEFAULT));
    }
}
