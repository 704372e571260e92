//! Who may post reviews: whoever has a certificate by the client CA, and knows the path. Anything
//! else is answered as if there were nothing here, before its body is read.

use assay_core::Digest;

/// Where reviews are posted.
const PATH: &str = "/validate";

/// Who may post reviews. By default everybody may.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The hash of the path to post to. A comparison of hashes takes a time that tells nothing
    /// about the path, whose last segment may be a secret.
    path: Digest,
    needs_certificate: bool,
}

impl Callers {
    /// Callers who post to `/validate`, or to `/validate/TOKEN` where a token is given; where
    /// `needs_certificate`, only over connections that showed a certificate by the client CA (see
    /// [`mutual_tls_config`](crate::mutual_tls_config)). How hard to guess the token is, is not
    /// checked.
    pub fn new(path_token: Option<&str>, needs_certificate: bool) -> Self {
        let path = match path_token {
            None => Digest::sha256(PATH.as_bytes()),
            Some(token) => Digest::sha256(format!("{PATH}/{token}").as_bytes()),
        };
        Self { path, needs_certificate }
    }

    /// Whether a request for `path` may be answered, over a connection that showed a certificate
    /// or did not.
    pub(crate) fn admit(&self, path: &str, has_certificate: bool) -> bool {
        let is_path = Digest::sha256(path.as_bytes()) == self.path;
        is_path && (has_certificate || !self.needs_certificate)
    }
}

impl Default for Callers {
    fn default() -> Self {
        Self::new(None, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[track_caller]
    fn check(callers: &Callers, path: &str, has_certificate: bool, expect: bool) {
        assert_eq!(callers.admit(path, has_certificate), expect, "{path} {has_certificate}");
    }

    #[test]
    fn admits_whoever_knows_the_path() {
        let anyone = Callers::default();
        check(&anyone, "/validate", false, true);
        for path in ["", "/", "/validate/", "/validate/x", "/Validate", "//validate", "/metrics"] {
            check(&anyone, path, true, false);
        }

        let initiated = Callers::new(Some(TOKEN), false);
        check(&initiated, "/validate/0123456789abcdef", false, true);
        for path in [
            "/validate",
            "/validate/",
            "/validate/0123456789abcde",
            "/validate/0123456789abcdeg",
            "/validate/0123456789abcdef/",
            "/validate/0123456789abcdef0",
            "/validate/0123456789ABCDEF",
            "/0123456789abcdef",
        ] {
            check(&initiated, path, true, false);
        }
    }

    #[test]
    fn asks_for_both_where_both_are_set() {
        let certified = Callers::new(None, true);
        check(&certified, "/validate", true, true);
        check(&certified, "/validate", false, false);

        let both = Callers::new(Some(TOKEN), true);
        check(&both, "/validate/0123456789abcdef", true, true);
        check(&both, "/validate/0123456789abcdef", false, false);
        check(&both, "/validate", true, false);
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", Callers::new(Some(TOKEN), false));
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}
