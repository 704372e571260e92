//! The rooms put together: configuration in, an executor out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use assay_api::limits::FILE_BYTES_MAX;
use assay_api::{CompileOptions, Configuration, RegistryConfiguration};
use assay_core::ports::{Clock, NamespaceSource, Recorder};
use assay_engine::{CacheConfig, Executor, Ports, SharedSnapshot};
use assay_policy::Snapshot;
use assay_registry::{
    ClientCertificate, DockerConfig, HostConfig, Loopback, Pem, ProxyConfig, Registry,
    RegistryConfig,
};

/// The configuration in `path`.
pub(crate) fn read_configuration(path: &Path) -> anyhow::Result<Configuration> {
    // One byte past the bound is read, by which the parser sees that the file is too long.
    let bytes = crate::files::read_capped(path, FILE_BYTES_MAX)
        .with_context(|| path.display().to_string())?;
    let text = String::from_utf8(bytes).with_context(|| path.display().to_string())?;
    Ok(Configuration::parse(&text, path)?)
}

/// What policies are compiled with.
pub(crate) fn compile_options(configuration: &Configuration) -> CompileOptions {
    CompileOptions {
        default_action: configuration.default_action,
        registries: configuration.registries.iter().map(|registry| registry.host.clone()).collect(),
        exempt_namespaces: BTreeSet::new(),
        stand_ins: Default::default(),
    }
}

/// An executor that judges under `snapshot`, and the place where the next one goes.
pub(crate) fn executor(
    configuration: &Configuration,
    loopback: Loopback,
    namespaces: Arc<dyn NamespaceSource>,
    (clock, recorder): (Arc<dyn Clock>, Arc<dyn Recorder>),
    snapshot: Snapshot,
) -> anyhow::Result<(Arc<Executor>, SharedSnapshot)> {
    let hosts = configuration.registries.iter().enumerate().map(host).collect::<Result<_, _>>()?;
    let config = RegistryConfig { hosts, loopback, proxies: proxies() };
    let registry = Arc::new(Registry::new(&config, recorder.clone(), clock.clone())?);
    let docker_config = configuration.docker_config_file.clone().unwrap_or_else(docker_config);
    let ports = Ports {
        store: registry.clone(),
        fetch: registry,
        credentials: Arc::new(DockerConfig::new(docker_config, clock.clone())),
        namespaces,
        clock,
        recorder,
    };
    let cache = &configuration.cache;
    let cache = CacheConfig {
        tag_ttl: cache.tag_ttl,
        referrers_ttl: cache.referrers_ttl,
        verdict_ttl: cache.verdict_ttl,
        negative_ttl: cache.negative_ttl,
        bytes_max: cache.bytes_max,
    };
    let snapshots: SharedSnapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    Ok((Executor::new(snapshots.clone(), ports, cache), snapshots))
}

/// What the configuration says about the registry at `index`, its files read.
fn host((index, registry): (usize, &RegistryConfiguration)) -> anyhow::Result<HostConfig> {
    let read = |field: &str, path: &Path| {
        read_pem(path).with_context(|| format!("registries[{index}].{field}: {}", path.display()))
    };
    let ca = registry.ca_file.as_deref().map(|path| read("caFile", path)).transpose()?;
    let client_certificate = registry.client_files.as_ref().map(|(chain, key)| {
        anyhow::Ok(ClientCertificate {
            chain: read("clientCertFile", chain)?,
            key: read("clientKeyFile", key)?,
        })
    });
    Ok(HostConfig {
        host: registry.host.clone(),
        plain_http: Some(registry.plain_http),
        ca,
        client_certificate: client_certificate.transpose()?,
        mirrors: registry.mirrors.clone(),
        token_realms: registry.token_realms.clone(),
        max_concurrent: registry.max_concurrent,
    })
}

fn read_pem(path: &Path) -> anyhow::Result<Pem> {
    let bytes = crate::files::read_capped(path, FILE_BYTES_MAX)?;
    anyhow::ensure!(bytes.len() <= FILE_BYTES_MAX, "more than {FILE_BYTES_MAX} bytes");
    Ok(Pem { file: path.display().to_string(), bytes })
}

/// The proxies that the environment names, in capitals or small letters.
fn proxies() -> ProxyConfig {
    let variable = |name: &str| {
        let names = [name.to_owned(), name.to_lowercase()];
        names.into_iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
    };
    ProxyConfig {
        https: variable("HTTPS_PROXY"),
        http: variable("HTTP_PROXY"),
        no_proxy: variable("NO_PROXY"),
    }
}

/// Where Docker keeps its configuration: a missing file means no credentials. It is never in the
/// working directory, where a stranger's checkout could name the helpers that are run.
fn docker_config() -> PathBuf {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = || folder("HOME").unwrap_or_else(|| "/".into()).join(".docker");
    folder("DOCKER_CONFIG").unwrap_or_else(own).join("config.json")
}
