//! From a challenge to an `Authorization` header: who gets to see a password, and what a token is.
//!
//! Specification: <https://distribution.github.io/distribution/spec/auth/token/> and, for identity
//! tokens, <https://distribution.github.io/distribution/spec/auth/oauth/>.

use std::time::Duration;

use assay_core::{Access, Credential, Repository, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use serde::Deserialize;
use url::{Host, Url, form_urlencoded};

use crate::challenge::Challenge;
use crate::hosts::{Hosts, same_origin};
use crate::http::{Call, Http, Purpose, host_of, malformed};
use crate::tokens::Grant;

/// Bytes of a token endpoint's answer; tokens seen are below 8 KiB.
pub(crate) const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// How long a token holds whose endpoint does not say (token specification, `expires_in`).
const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(60);

/// How long basic credentials go out unasked; a 401 ends that earlier.
const BASIC_LIFETIME: Duration = Duration::from_secs(3600);

/// A token endpoint's answer.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Http {
    /// What `challenge` of the registry at `origin` grants to `access`: its credential, or a token
    /// for pulling from `repository`, an anonymous one where there is no credential.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where the credential does not fit or is refused, and never a grant of
    /// less than was asked for; [`StoreError::Blocked`] where the realm is not to be trusted with it.
    pub(crate) async fn authorize(
        &self,
        challenge: Challenge,
        origin: &Url,
        repository: &Repository,
        access: &Access,
    ) -> Result<Grant, StoreError> {
        match (challenge, access.credential()) {
            (Challenge::Basic, Some(Credential::Basic { username, password })) => Ok(Grant {
                authorization: basic(username, password, origin)?,
                lifetime: BASIC_LIFETIME,
            }),
            (Challenge::Basic, _) => Err(denied(origin)),
            (Challenge::Bearer { realm, service }, credential) => {
                let realm = trusted_realm(&self.hosts, origin, &realm, credential.is_some())?;
                let service = service.as_deref().unwrap_or_default();
                self.token(&realm, service, repository, access).await
            }
        }
    }

    async fn token(
        &self,
        realm: &Url,
        service: &str,
        repository: &Repository,
        access: &Access,
    ) -> Result<Grant, StoreError> {
        let credential = access.credential();
        let scope = format!("repository:{}:pull", repository.path());
        let mut call = Call {
            method: Method::GET,
            url: realm.clone(),
            accept: None,
            body: None,
            purpose: Purpose::Registry {
                name: repository.host(),
                operation: "token",
                scope: access.scope(),
            },
        };
        let mut authorization = None;
        if let Some(Credential::IdentityToken(token)) = credential {
            call.method = Method::POST;
            call.body = Some((FORM, refresh_form(service, &scope, token).into()));
        } else {
            let mut query = call.url.query_pairs_mut();
            query.append_pair("service", service).append_pair("scope", &scope);
        }
        if let Some(Credential::Basic { username, password }) = credential {
            authorization = Some(basic(username, password, realm)?);
        }
        let answer = self.follow(&call, authorization.as_ref()).await?;
        let answer = answer.success().map_err(|error| match error {
            // Not the content is missing but the endpoint.
            StoreError::NotFound { .. } => malformed(realm, "it has no token endpoint"),
            other => other,
        })?;
        let body = answer.body(TOKEN_BYTES_MAX, None).await?;
        grant(&body, realm)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn refresh_form(service: &str, scope: &str, refresh_token: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "assay")
        .append_pair("service", service)
        .append_pair("scope", scope)
        .append_pair("refresh_token", refresh_token)
        .finish()
}

/// The grant in a token endpoint's answer.
fn grant(body: &[u8], realm: &Url) -> Result<Grant, StoreError> {
    let answer: TokenAnswer = serde_json::from_slice(body)
        .map_err(|_| malformed(realm, "the answer of its token endpoint is not one"))?;
    let token = answer.token.filter(|token| !token.is_empty());
    let token = token.or(answer.access_token).unwrap_or_default();
    if !is_token(&token) {
        return Err(malformed(realm, "the token of its token endpoint is not one"));
    }
    Ok(Grant {
        authorization: secret(&format!("Bearer {token}"), realm)?,
        lifetime: answer.expires_in.map_or(TOKEN_LIFETIME_DEFAULT, Duration::from_secs),
    })
}

/// Whether `text` is a bearer token (RFC 6750, section 2.1, `b64token`).
fn is_token(text: &str) -> bool {
    let token = text.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !token.is_empty() && token.bytes().all(fits)
}

fn basic(username: &str, password: &str, to: &Url) -> Result<HeaderValue, StoreError> {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    secret(&format!("Basic {encoded}"), to)
}

fn secret(text: &str, to: &Url) -> Result<HeaderValue, StoreError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| denied(to))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token endpoint that the registry at `origin` names, if it may be asked and, `with_secret`,
/// if it may see the registry's credentials: by https on the registry's own host, its registrable
/// domain, or a configured realm. A registry without TLS may have it on its own origin as well.
fn trusted_realm(
    hosts: &Hosts,
    origin: &Url,
    realm: &str,
    with_secret: bool,
) -> Result<Url, StoreError> {
    let realm = Url::parse(realm).map_err(|_| malformed(origin, "its token realm is no URL"))?;
    let blocked = |reason| {
        let host = host_of(&realm);
        Err(StoreError::Blocked { host, reason })
    };
    if realm.scheme() == "http" && same_origin(origin, &realm) && hosts.is_plain(origin) {
        return Ok(realm);
    }
    if realm.scheme() != "https" {
        return blocked("a token realm is reached by https");
    }
    let trusted = realm.host() == origin.host()
        || same_registrable_domain(origin, &realm)
        || hosts.is_token_realm(origin, &realm);
    if with_secret && !trusted {
        return blocked("credentials go to the registry's own domain and its tokenRealms only");
    }
    Ok(realm)
}

/// Whether both hosts are names under one domain that somebody registered (public suffix list). A
/// suffix that the list does not know tells nothing.
fn same_registrable_domain(one: &Url, other: &Url) -> bool {
    fn registrable(url: &Url) -> Option<&[u8]> {
        let Some(Host::Domain(name)) = url.host() else {
            return None;
        };
        let domain = psl::domain(name.as_bytes())?;
        domain.suffix().is_known().then(|| domain.as_bytes())
    }
    registrable(one).is_some_and(|domain| registrable(other) == Some(domain))
}

fn denied(url: &Url) -> StoreError {
    StoreError::Denied { host: host_of(url), status: 401 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HostConfig, RegistryConfig};

    fn hosts() -> Hosts {
        let host = |host: &str, plain_http, realm: &str| HostConfig {
            host: host.into(),
            plain_http: Some(plain_http),
            token_realms: vec![realm.into()],
            ..HostConfig::default()
        };
        Hosts::compile(&RegistryConfig {
            hosts: vec![
                host("registry.corp.example", false, "auth.corp.example"),
                host("plain.corp.example:5000", true, "auth.corp.example"),
            ],
            ..RegistryConfig::default()
        })
        .unwrap()
    }

    #[track_caller]
    fn check_realm(host: &str, realm: &str, with_secret: bool, expect: bool) {
        let hosts = hosts();
        let origin = hosts.origin(host).unwrap();
        let found = trusted_realm(&hosts, &origin, realm, with_secret);
        assert_eq!(found.is_ok(), expect, "{host} {realm} {with_secret}: {found:?}");
    }

    #[test]
    fn passwords_go_to_trusted_realms_only() {
        for (host, realm, expect) in [
            ("docker.io", "https://auth.docker.io/token", true),
            ("docker.io", "https://auth.docker.io.evil.com/token", false),
            ("docker.io", "http://auth.docker.io/token", false),
            ("ghcr.io", "https://ghcr.io/token", true),
            ("ghcr.io", "https://ghcr.io:8443/token", true),
            ("ghcr.io", "http://ghcr.io/token", false),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("registry.shop.co.uk", "https://auth.shop.co.uk/token", true),
            ("registry.shop.co.uk", "https://auth.evil.co.uk/token", false),
            ("a.github.io", "https://b.github.io/token", false),
            ("registry.team.internal", "https://auth.team.internal/token", false),
            ("registry.corp.example", "https://auth.corp.example/token", true),
            ("registry.corp.example", "https://auth.corp.example:8443/token", false),
            ("registry.corp.example", "https://other.corp.example/token", false),
            ("registry.corp.example:5000", "https://auth.corp.example/token", false),
            ("8.8.8.8", "https://9.8.8.8/token", false),
            ("plain.corp.example:5000", "http://plain.corp.example:5000/token", true),
            ("plain.corp.example:5000", "http://plain.corp.example:5001/token", false),
            ("plain.corp.example:5000", "http://auth.corp.example/token", false),
            ("plain.corp.example:5000", "https://auth.corp.example/token", true),
            ("ghcr.io", "/token", false),
            ("ghcr.io", "file:///etc/passwd", false),
        ] {
            check_realm(host, realm, true, expect);
        }
    }

    #[test]
    fn anonymous_tokens_come_from_any_realm_by_https() {
        check_realm("ghcr.io", "https://auth.other.com/token", false, true);
        check_realm("ghcr.io", "http://auth.other.com/token", false, false);
        check_realm("plain.corp.example:5000", "http://other.example/token", false, false);
    }

    #[track_caller]
    fn check_grant(body: &str, expect: Option<(&str, u64)>) {
        let found = grant(body.as_bytes(), &"https://a.example".parse().unwrap()).ok();
        let found = found.as_ref().map(|grant| {
            assert!(grant.authorization.is_sensitive());
            (grant.authorization.to_str().unwrap(), grant.lifetime.as_secs())
        });
        assert_eq!(found, expect, "{body}");
    }

    #[test]
    fn reads_tokens_and_rejects_what_no_header_should_hold() {
        check_grant(r#"{"token":"a-._~+/9="}"#, Some(("Bearer a-._~+/9=", 60)));
        check_grant(r#"{"access_token":"b","expires_in":300}"#, Some(("Bearer b", 300)));
        check_grant(r#"{"token":"","access_token":"b"}"#, Some(("Bearer b", 60)));
        check_grant(r#"{"token":"a","access_token":"b"}"#, Some(("Bearer a", 60)));
        for body in [
            "",
            "{}",
            "[]",
            r#"{"token":""}"#,
            r#"{"token":"="}"#,
            r#"{"token":"a b"}"#,
            r#"{"token":"a=b"}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":"a\r\nX: y"}"#,
            r#"{"token":"ä"}"#,
            r#"{"token":7}"#,
            r#"{"token":"a","expires_in":-1}"#,
            r#"{"token":"a","expires_in":"60"}"#,
        ] {
            check_grant(body, None);
        }
    }

    #[test]
    fn refresh_form_escapes_its_values() {
        assert_eq!(
            refresh_form("a&b", "repository:x:pull", "t=1"),
            "grant_type=refresh_token&client_id=assay&service=a%26b&scope=repository%3Ax%3Apull&refresh_token=t%3D1"
        );
    }
}
