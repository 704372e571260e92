//! How a read is authenticated, and whose answers it may see.

use std::fmt;
use std::sync::Arc;

use crate::Digest;

/// A registry credential. Its `Debug` form shows neither name nor secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password, for basic authentication and for token endpoints.
    Basic {
        /// The user's name.
        username: String,
        /// The password or personal access token.
        password: String,
    },
    /// An OAuth2 identity (refresh) token, exchanged at the token endpoint.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

/// Which cached answers a request may see: those read without credentials, or those read with the
/// very same ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessScope {
    /// Read without credentials.
    Public,
    /// Read with the credentials that have this hash.
    Credentials(Digest),
}

/// A credential, or none, with the scope that it opens. The two cannot disagree.
#[derive(Clone, Debug)]
pub struct Access {
    scope: AccessScope,
    credential: Option<Arc<Credential>>,
}

impl Access {
    /// Access without credentials.
    pub fn public() -> Self {
        Self { scope: AccessScope::Public, credential: None }
    }

    /// Access by `credential`.
    pub fn with(credential: Credential) -> Self {
        let scope = AccessScope::Credentials(credential.hash());
        Self { scope, credential: Some(Arc::new(credential)) }
    }

    /// Which cached answers this access may see.
    pub fn scope(&self) -> &AccessScope {
        &self.scope
    }

    /// The credential, where there is one.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_deref()
    }
}

impl Credential {
    /// The hash of the credential. Lengths go in before the parts, so that no two credentials
    /// run together to the same bytes.
    fn hash(&self) -> Digest {
        let parts: [&str; 3] = match self {
            Self::Basic { username, password } => ["basic", username, password],
            Self::IdentityToken(token) => ["identity-token", token, ""],
        };
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Digest::sha256(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Access {
        Access::with(Credential::Basic { username: username.into(), password: password.into() })
    }

    #[test]
    fn scopes_differ_by_every_part_of_the_credential() {
        assert_eq!(basic("a", "b").scope(), basic("a", "b").scope());
        let others = [
            Access::public(),
            basic("a", "c"),
            basic("c", "b"),
            basic("ab", ""),
            basic("", "ab"),
            Access::with(Credential::IdentityToken("ab".into())),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(basic("a", "b").scope(), other.scope(), "{index}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", basic("robot", "hunter2"));
        assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
    }
}
