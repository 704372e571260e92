//! What can be configured about registries. Whoever makes it reads the files and the environment:
//! nothing here does.

use std::fmt;
use std::num::NonZeroU16;

/// Everything that can be configured about registries.
#[derive(Clone, Debug, Default)]
pub struct RegistryConfig {
    /// Settings by exact host. A host that stands here may be at any address.
    pub hosts: Vec<HostConfig>,
    /// Whether loopback addresses may be connected to.
    pub loopback: Loopback,
    /// The proxies between here and everything but loopback hosts.
    pub proxies: ProxyConfig,
}

/// The settings of one registry.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// The host, with its port unless that is the scheme's own: `registry.corp.example`.
    pub host: String,
    /// Whether it is spoken to without TLS; by default only a loopback host is, where
    /// [`Loopback::Allowed`] holds.
    pub plain_http: Option<bool>,
    /// The only roots that its certificate may lead to, in place of the machine's.
    pub ca: Option<Pem>,
    /// The certificate by which this process shows who it is: on this host only, and never behind
    /// a redirect or at a token realm on another.
    pub client_certificate: Option<ClientCertificate>,
    /// `host[/path]`, asked in this order before the registry itself. What a mirror is reached by
    /// (TLS, roots, address) is for its own entry in `hosts` to say.
    pub mirrors: Vec<String>,
    /// Hosts besides its own and its registrable domain whose token endpoints get its passwords.
    pub token_realms: Vec<String>,
    /// Requests under way at once on its behalf; `None` means 16.
    pub max_concurrent: Option<NonZeroU16>,
}

/// PEM, and the file that messages name it by.
#[derive(Clone)]
pub struct Pem {
    /// Where it was read from.
    pub file: String,
    /// What the file holds.
    pub bytes: Vec<u8>,
}

/// A client certificate: the two cannot be had apart.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate, with the chain to its root if the registry needs one.
    pub chain: Pem,
    /// Its private key.
    pub key: Pem,
}

/// Proxies, as the environment variables of their names hold them; empty is none.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    /// `HTTPS_PROXY`: for what is reached by https, which it tunnels (CONNECT).
    pub https: Option<String>,
    /// `HTTP_PROXY`: for what is reached by plain HTTP.
    pub http: Option<String>,
    /// `NO_PROXY`: hosts, domains, addresses and networks that are reached without one.
    pub no_proxy: Option<String>,
}

/// What loopback addresses are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loopback {
    /// Allowed, and spoken to without TLS by default, as Docker does: for the command line.
    Allowed,
    /// Refused, unless the host is configured: for the webhook, whose own loopback is no registry.
    #[default]
    Refused,
}

impl fmt::Debug for Pem {
    /// The file only: it may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({})", self.file)
    }
}

impl fmt::Debug for ProxyConfig {
    /// Nothing of it: a proxy's URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyConfig(redacted)")
    }
}
