//! Who may read: nobody in particular, a user, or the holder of a token from the endpoint here.
//!
//! Specification: <https://distribution.github.io/distribution/spec/auth/token/>.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response, StatusCode, header};
use serde_json::json;

use super::fault::FaultyBody;
use super::{Shared, server};

/// How a registry authenticates.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Everybody may read.
    None,
    /// The `Basic` scheme.
    Basic(Credentials),
    /// The `Bearer` scheme: a token for one repository, from an endpoint of this registry.
    Bearer {
        /// What the token endpoint asks for; `None` gives a token to everybody.
        credentials: Option<Credentials>,
        /// The realm to name in the challenge in place of the registry's own endpoint: a lie.
        realm: Option<String>,
    },
}

/// A user and a password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// The `Authorization` header that carries these.
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// The tokens that are good now, each with its scope.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: usize,
    scopes: BTreeMap<String, String>,
}

impl Tokens {
    fn issue(&mut self, scope: String) -> String {
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.scopes.insert(token.clone(), scope);
        token
    }

    pub(super) fn expire(&mut self) {
        self.scopes.clear();
    }
}

impl Shared {
    /// Whether this `Authorization` header opens the repository (`None`: the API's root).
    pub(super) fn authorized(&self, repository: Option<&str>, header: Option<&str>) -> bool {
        match &self.options.auth {
            Auth::None => true,
            Auth::Basic(credentials) => header == Some(&credentials.basic()),
            Auth::Bearer { .. } => {
                let state = self.state();
                let token = header.and_then(|header| header.strip_prefix("Bearer "));
                let scope = token.and_then(|token| state.tokens.scopes.get(token));
                scope.is_some_and(|scope| repository.is_none_or(|name| *scope == pull(name)))
            }
        }
    }

    /// 401 with the challenge that names how to do better.
    pub(super) fn challenge(&self, repository: Option<&str>) -> Response<FaultyBody> {
        let challenge = match &self.options.auth {
            Auth::None | Auth::Basic(_) => "Basic realm=\"test\"".to_owned(),
            Auth::Bearer { realm, .. } => {
                let own = format!("{}{TOKEN_PATH}", self.base_url());
                let realm = realm.as_deref().unwrap_or(&own);
                let scope = repository.map(|name| format!(",scope=\"{}\"", pull(name)));
                let scope = scope.unwrap_or_default();
                format!("Bearer realm=\"{realm}\",service=\"{}\"{scope}", self.address)
            }
        };
        let mut response = server::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        server::set_header(&mut response, header::WWW_AUTHENTICATE, &challenge);
        response
    }

    /// The token endpoint's answer: a new opaque token for the scope asked for.
    pub(super) fn token<B>(&self, request: &Request<B>) -> Response<FaultyBody> {
        let Auth::Bearer { credentials, .. } = &self.options.auth else {
            return server::error(StatusCode::NOT_FOUND, "UNSUPPORTED");
        };
        let given = server::header_text(request, header::AUTHORIZATION);
        if credentials.as_ref().is_some_and(|wanted| given != Some(&wanted.basic())) {
            return server::error(StatusCode::UNAUTHORIZED, "DENIED");
        }
        let query = request.uri().query().unwrap_or_default();
        let scope = url::form_urlencoded::parse(query.as_bytes())
            .find_map(|(key, value)| (key == "scope").then(|| value.into_owned()));
        let token = self.state().tokens.issue(scope.unwrap_or_default());
        server::json(&json!({"token": token, "expires_in": TOKEN_SECONDS}))
    }

    pub(super) fn base_url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// Where the token endpoint is.
pub(super) const TOKEN_PATH: &str = "/token";

/// The lifetime that tokens claim, in seconds; Docker Hub's is the same. They end only when
/// [`super::TestRegistry::expire_tokens`] says so.
const TOKEN_SECONDS: u64 = 300;
