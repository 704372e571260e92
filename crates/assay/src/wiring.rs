//! The rooms put together: configuration in, what the rooms are made with out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use assay_api::limits::FILE_BYTES_MAX;
use assay_api::{
    CompileOptions, Configuration, CredentialProviderFiles, RegistryConfiguration,
    read_credential_providers,
};
use assay_core::ports::{Clock, CredentialSource, NamespaceSource, PullSecretSource, Recorder};
use assay_engine::{CacheConfig, Ports};
use assay_registry::{
    ClientCertificate, CredentialChain, CredentialProviders, DockerConfig, HostConfig, Loopback,
    Pem, ProviderConfig, ProxyConfig, PullCredentials, Registry, RegistryConfig,
};

/// The configuration in `path`.
pub(crate) fn read_configuration(path: &Path) -> anyhow::Result<Configuration> {
    Ok(Configuration::parse(&read_text(path)?, path)?)
}

/// The text in `path`: of one that is too long a byte past the bound, by which its parser sees that.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = crate::files::read_capped(path, FILE_BYTES_MAX)
        .with_context(|| path.display().to_string())?;
    String::from_utf8(bytes).with_context(|| path.display().to_string())
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

/// What an executor asks of the world. Pods have no pull Secrets where there is no source of them.
pub(crate) fn ports(
    configuration: &Configuration,
    loopback: Loopback,
    (namespaces, pull_secrets): (Arc<dyn NamespaceSource>, Option<Arc<dyn PullSecretSource>>),
    (clock, recorder): (Arc<dyn Clock>, Arc<dyn Recorder>),
) -> anyhow::Result<Ports> {
    let hosts = configuration.registries.iter().enumerate().map(host).collect::<Result<_, _>>()?;
    let config = RegistryConfig { hosts, loopback, proxies: proxies() };
    let registry = Arc::new(Registry::new(&config, recorder.clone(), clock.clone())?);
    let credentials = credentials(configuration, pull_secrets, &clock)?;
    Ok(Ports {
        store: registry.clone(),
        fetch: registry,
        credentials: Arc::new(credentials),
        namespaces,
        clock,
        recorder,
    })
}

/// Registry credentials: those in a request's pull Secrets; where it has none for a registry Docker's;
/// and where there are none either, those of the kubelet's credential providers.
fn credentials(
    configuration: &Configuration,
    pull_secrets: Option<Arc<dyn PullSecretSource>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<CredentialChain> {
    let mut sources: Vec<Arc<dyn CredentialSource>> = Vec::new();
    if let Some(pull_secrets) = pull_secrets {
        sources.push(Arc::new(PullCredentials::new(pull_secrets)));
    }
    let docker_config = configuration.docker_config_file.clone().unwrap_or_else(docker_config);
    sources.push(Arc::new(DockerConfig::new(docker_config, clock.clone())));
    if let Some(files) = &configuration.credential_providers {
        let providers = credential_providers(files, clock);
        sources.push(Arc::new(providers.context("credentials.providerConfigFile")?));
    }
    Ok(CredentialChain::new(sources))
}

/// The providers that `files` name, each of which is there.
fn credential_providers(
    files: &CredentialProviderFiles,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<CredentialProviders> {
    let file = &files.config_file;
    let providers = read_credential_providers(&read_text(file)?, file)?.into_iter();
    let configs = providers.map(|provider| {
        let program = files.bin_dir.join(&provider.name);
        let shown = program.display();
        anyhow::ensure!(program.is_file(), "there is no program {shown} (providerBinDir)");
        Ok(ProviderConfig {
            name: provider.name,
            program,
            args: provider.args,
            env: provider.env,
            api_version: provider.api_version,
            match_images: provider.match_images,
            default_cache_duration: provider.default_cache_duration,
        })
    });
    let configs = configs.collect::<anyhow::Result<_>>()?;
    CredentialProviders::new(configs, clock)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

/// How long an executor remembers.
pub(crate) fn cache(configuration: &Configuration) -> CacheConfig {
    let cache = &configuration.cache;
    CacheConfig {
        tag_ttl: cache.tag_ttl,
        referrers_ttl: cache.referrers_ttl,
        verdict_ttl: cache.verdict_ttl,
        negative_ttl: cache.negative_ttl,
        bytes_max: cache.bytes_max,
    }
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
