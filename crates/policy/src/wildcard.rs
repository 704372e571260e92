//! Gatekeeper's wildcard: the glob of `match.namespaces`, `match.excludedNamespaces` and
//! `match.name`. It is less than a glob elsewhere: a `*` counts at the ends only.

/// A pattern with at most one `*` at each end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    text: String,
    any_before: bool,
    any_after: bool,
}

/// Why a text is not a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is not a wildcard: lower-case letters, digits, '-' and ':', with a '*' in front, behind, or both",
    .0.escape_debug()
)]
pub struct WildcardError(String);

impl Wildcard {
    /// The wildcard that `pattern` spells, by the pattern of Gatekeeper's CRD:
    /// `^\*?[-:a-z0-9]*\*?$`.
    ///
    /// # Errors
    /// Anything else, so also a `*` between other characters.
    pub fn new(pattern: &str) -> Result<Self, WildcardError> {
        let behind = pattern.strip_prefix('*');
        let rest = behind.unwrap_or(pattern);
        let within = rest.strip_suffix('*');
        let text = within.unwrap_or(rest);
        let legal = |byte: u8| matches!(byte, b'-' | b':' | b'a'..=b'z' | b'0'..=b'9');
        if !text.bytes().all(legal) {
            return Err(WildcardError(pattern.to_owned()));
        }
        // `*` alone is open at both ends, as in Gatekeeper, where one star is prefix and suffix.
        let alone = pattern == "*";
        Ok(Self {
            text: text.to_owned(),
            any_before: behind.is_some(),
            any_after: within.is_some() || alone,
        })
    }

    /// Whether the pattern is empty, which `match.name` takes for absent.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.any_before && !self.any_after
    }

    /// How every name that matches begins, and whether more may follow; `None` where names that match
    /// may begin with anything.
    pub(crate) fn beginning(&self) -> Option<(&str, bool)> {
        (!self.any_before).then_some((self.text.as_str(), self.any_after))
    }

    /// Whether a whole name matches. The empty pattern matches the empty name only.
    pub fn matches(&self, name: &str) -> bool {
        match (self.any_before, self.any_after) {
            (false, false) => name == self.text,
            (false, true) => name.starts_with(&self.text),
            (true, false) => name.ends_with(&self.text),
            (true, true) => name.contains(&self.text),
        }
    }

    /// Whether every name that begins with `prefix`, a `metadata.generateName`, matches as far as
    /// can be told: never where the pattern fixes how the name ends.
    pub fn matches_generate_name(&self, prefix: &str) -> bool {
        self.any_after && self.matches(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: bool, expect_generated: bool) {
        let wildcard = Wildcard::new(pattern).unwrap();
        assert_eq!(wildcard.matches(name), expect, "{pattern:?} {name:?}");
        let generated = wildcard.matches_generate_name(name);
        assert_eq!(generated, expect_generated, "{pattern:?} generateName {name:?}");
    }

    #[test]
    fn matches_at_the_ends_only() {
        for (pattern, name, expect, expect_generated) in [
            // contains
            ("*web*", "web", true, true),
            ("*web*", "my-web-1", true, true),
            ("*web*", "we-b", false, false),
            // suffix
            ("*-web", "my-web", true, false),
            ("*-web", "-web", true, false),
            ("*-web", "my-web-1", false, false),
            // prefix
            ("web-*", "web-1", true, true),
            ("web-*", "web-", true, true),
            ("web-*", "web", false, false),
            ("web-*", "a-web-1", false, false),
            // exact
            ("web", "web", true, false),
            ("web", "web-", false, false),
            ("web", "WEB", false, false),
            ("a:b", "a:b", true, false),
            // anything
            ("*", "web", true, true),
            ("*", "", true, true),
            ("**", "web", true, true),
            ("**", "", true, true),
            // nothing
            ("", "", true, false),
            ("", "web", false, false),
        ] {
            check(pattern, name, expect, expect_generated);
        }
    }

    #[test]
    fn accepts_the_pattern_of_the_crd() {
        for pattern in ["", "*", "**", "a", "*a", "a*", "*a*", "-", ":", "kube-*", "0-9"] {
            assert!(Wildcard::new(pattern).is_ok(), "{pattern:?}");
        }
    }

    #[test]
    fn rejects_what_the_pattern_of_the_crd_rejects() {
        for pattern in
            ["***", "a*b", "**a", "a**", "A", "a.b", "a_b", "a b", "a\n", "?", "[a]", "ä"]
        {
            assert!(Wildcard::new(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn knows_the_empty_pattern() {
        for (pattern, expect) in [("", true), ("*", false), ("**", false), ("a", false)] {
            assert_eq!(Wildcard::new(pattern).unwrap().is_empty(), expect, "{pattern:?}");
        }
    }
}
