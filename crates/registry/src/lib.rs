//! The only room that connects to anything but the API server: registries, their token endpoints,
//! and the servers of revocation data. Everything that answers is hostile: each wait, body and list
//! has a bound, content asked for by digest is hashed, and no remote text reaches a message.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic,
        reason = "a test that breaks its own invariant should fail"
    )
)]

mod address;
mod auth;
mod challenge;
mod clients;
mod config;
mod credential_helper;
mod credential_provider;
mod docker_config;
mod fetch;
mod gate;
mod health;
mod hosts;
mod http;
mod keyring;
mod mirrors;
mod process;
mod pull_credentials;
mod redirect;
mod referrers;
mod store;
#[cfg(test)]
mod tests;
mod tokens;

pub use config::{ClientCertificate, HostConfig, Loopback, Pem, ProxyConfig, RegistryConfig};
pub use credential_provider::{CredentialProviders, ProviderConfig};
pub use docker_config::DockerConfig;
pub use pull_credentials::{CredentialChain, PullCredentials};
pub use store::Registry;
