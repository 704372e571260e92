//! The HTTP clients, and which of them may ask what: strangers' hosts at public addresses only, the
//! administrator's at any, each with the roots and the client certificate that are its own.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::{ConfigError, StoreError};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, NoProxy, Proxy, retry};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use url::{Host, Url};

use crate::address::AddressGuard;
use crate::config::{ClientCertificate, HostConfig, Pem, ProxyConfig, RegistryConfig};
use crate::hosts::{Hosts, authority, is_loopback};
use crate::http::host_of;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) exchange: Duration,
    pub(crate) queue: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            read: READ_TIMEOUT,
            exchange: EXCHANGE_TIMEOUT,
            queue: QUEUE_TIMEOUT,
        }
    }
}

/// The time for a connection to stand; far registries need well below one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for a head, and between two pieces of a body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for a whole exchange: 64 MiB at 1 MiB per second.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(64);

/// The time for a place among the requests to a registry: a third of the longest admission.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections kept per host while nobody asks.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long they are kept: below the 60 s and more after which load balancers close theirs, since a
/// request that meets such an end is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// All clients.
pub(crate) struct Clients {
    /// For registries that strangers name.
    guarded: Client,
    /// For other servers, which strangers' certificates name.
    public: Client,
    /// For hosts that the administrator names.
    listed: Client,
    /// For loopback hosts, which no proxy could reach.
    direct: Client,
    /// For hosts with roots or a client certificate of their own, by authority.
    own: BTreeMap<String, Client>,
}

impl Clients {
    /// Clients as `config` has them, `hosts` being its compiled form, that trust the machine's roots
    /// or, in tests, `roots`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the certificate, key or proxy that is not one, or where there are no
    /// roots.
    pub(crate) fn new(
        config: &RegistryConfig,
        hosts: &Hosts,
        timeouts: Timeouts,
        roots: Option<Certificate>,
    ) -> Result<Self, ConfigError> {
        let proxies = proxies(&config.proxies)?;
        let direct = || builder(timeouts);
        let proxied = || proxies.iter().cloned().fold(direct(), ClientBuilder::proxy);
        let build = |builder: ClientBuilder| {
            let builder = match &roots {
                Some(roots) => builder.tls_certs_only([roots.clone()]),
                None => builder,
            };
            let reason = "no trusted TLS roots: install the system's CA certificates";
            builder.build().map_err(|_| error("registries", reason))
        };
        let mut own = BTreeMap::new();
        for (index, host) in config.hosts.iter().enumerate() {
            if host.ca.is_none() && host.client_certificate.is_none() {
                continue;
            }
            let field = format!("registries[{index}]");
            let url = hosts.origin(&host.host).map_err(|_| error(&field, "its host is not one"))?;
            if url.scheme() != "https" {
                return Err(error(&format!("{field}.plainHttp"), "certificates need TLS"));
            }
            let builder = if is_loopback(&url) { direct() } else { proxied() };
            own.insert(authority(&url), own_client(builder, &field, host, roots.as_ref())?);
        }
        let guard = AddressGuard::new(hosts.allows_loopback());
        Ok(Self {
            guarded: build(proxied().dns_resolver(guard))?,
            public: build(proxied().dns_resolver(guard.without_private()))?,
            listed: build(proxied())?,
            direct: build(direct())?,
            own,
        })
    }

    /// The client that may ask `url`: by plain HTTP where the administrator says so or where it
    /// `is_fetch`, from a server that is no registry and has to be at a public address then. An address
    /// in the URL is looked at here, whether or not a proxy would be asked to connect to it.
    ///
    /// # Errors
    /// [`StoreError::Blocked`] where none may.
    pub(crate) fn client(
        &self,
        hosts: &Hosts,
        url: &Url,
        is_fetch: bool,
    ) -> Result<&Client, StoreError> {
        let plain_allowed = is_fetch || hosts.is_plain(url);
        let blocked = |reason| Err(StoreError::Blocked { host: host_of(url), reason });
        if url.scheme() != "https" && !(url.scheme() == "http" && plain_allowed) {
            return blocked("it is not reached by https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return blocked("its URL holds credentials");
        }
        if let Some(own) = self.own.get(&authority(url)) {
            return Ok(own);
        }
        let (loopback, listed) = (is_loopback(url), hosts.is_listed(url));
        if loopback && (listed || hosts.allows_loopback()) {
            return Ok(&self.direct);
        }
        if listed {
            return Ok(&self.listed);
        }
        let guard = AddressGuard::new(false);
        let (guard, client) = match is_fetch {
            true => (guard.without_private(), &self.public),
            false => (guard, &self.guarded),
        };
        let refusal = match url.host() {
            Some(Host::Ipv4(address)) => guard.refusal(address.into()),
            Some(Host::Ipv6(address)) => guard.refusal(address.into()),
            Some(Host::Domain(name)) => {
                AddressGuard::new(hosts.allows_loopback()).refusal_of_name(name)
            }
            None => Some("its URL has no host"),
        };
        refusal.map_or(Ok(client), blocked)
    }
}

/// What all clients have in common: they follow and repeat nothing by themselves, and look at no
/// environment.
fn builder(timeouts: Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .timeout(timeouts.exchange)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// A client with the roots and the certificate of `host`.
fn own_client(
    mut builder: ClientBuilder,
    field: &str,
    host: &HostConfig,
    roots: Option<&Certificate>,
) -> Result<Client, ConfigError> {
    let roots = match &host.ca {
        Some(ca) => own_roots(ca, &format!("{field}.caFile"))?,
        None => roots.cloned().into_iter().collect(),
    };
    if !roots.is_empty() {
        builder = builder.tls_certs_only(roots);
    }
    if let Some(certificate) = &host.client_certificate {
        builder = builder.identity(identity(certificate, field)?);
    }
    let unusable = |_| error(field, "its certificates cannot be used");
    builder.build().map_err(unusable)
}

fn own_roots(pem: &Pem, field: &str) -> Result<Vec<Certificate>, ConfigError> {
    let no_root = || error(field, &format!("{} holds a certificate that is none", pem.file));
    let roots = certificates(pem, field)?.into_iter().map(|root| {
        RootCertStore::empty().add(root.clone()).map_err(|_| no_root())?;
        Certificate::from_der(&root).map_err(|_| no_root())
    });
    roots.collect()
}

fn certificates(pem: &Pem, field: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    let found = found.unwrap_or_default();
    match found.is_empty() {
        true => Err(error(field, &format!("{} holds no certificate in PEM", pem.file))),
        false => Ok(found),
    }
}

fn identity(certificate: &ClientCertificate, field: &str) -> Result<Identity, ConfigError> {
    let ClientCertificate { chain, key } = certificate;
    let certificates = certificates(chain, &format!("{field}.clientCertFile"))?;
    let field = format!("{field}.clientKeyFile");
    let no_key = |_| error(&field, &format!("{} holds no private key in PEM", key.file));
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(no_key)?;
    // reqwest would find this out as well, but not say so.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificates, private, &provider).map_err(|_| {
        let reason = format!("{} is not the key of the certificate in {}", key.file, chain.file);
        error(&field, &reason)
    })?;
    let both = [key.bytes.as_slice(), b"\n", chain.bytes.as_slice()].concat();
    Identity::from_pem(&both).map_err(|_| error(&field, "cannot be used"))
}

/// The proxies that `config` names. Its text stays out of messages: it may hold a password.
fn proxies(config: &ProxyConfig) -> Result<Vec<Proxy>, ConfigError> {
    type Make = fn(&str) -> reqwest::Result<Proxy>;
    let kinds: [(&str, &Option<String>, Make); 2] = [
        ("HTTPS_PROXY", &config.https, |url| Proxy::https(url)),
        ("HTTP_PROXY", &config.http, |url| Proxy::http(url)),
    ];
    let exempt = || config.no_proxy.as_deref().and_then(NoProxy::from_string);
    let given = kinds.into_iter().filter_map(|(name, url, make)| {
        let url = url.as_deref().filter(|url| !url.is_empty())?;
        let proxy = make(url).map(|proxy| proxy.no_proxy(exempt()));
        Some(proxy.map_err(|_| error(name, "is no proxy: write http://proxy.example:3128")))
    });
    given.collect()
}

fn error(field: &str, reason: &str) -> ConfigError {
    ConfigError { field: field.to_owned(), reason: reason.to_owned() }
}
