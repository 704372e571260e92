//! The unguessable segment of the path that reviews are posted to. Whoever knows it may ask, so that
//! it is never shown.

use std::fmt;
use std::str::FromStr;

/// Characters of a token: 96 bits, where each is picked at random.
const CHARACTERS_MIN: usize = 16;

/// The last segment of the path that reviews are posted to. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PathToken(String);

impl PathToken {
    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathToken {
    type Err = String;

    /// Takes at least 16 letters, digits, `-` and `_` (RFC 4648, section 5: base64url). That they
    /// were picked at random is not checked. The error does not repeat the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_url_safe =
            |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if text.len() < CHARACTERS_MIN || !text.chars().all(is_url_safe) {
            return Err(format!(
                "must be a text of at least {CHARACTERS_MIN} letters, digits, '-' and '_', picked at \
                 random: `openssl rand -hex 16` makes a good one"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for PathToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PathToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: bool) {
        let token = text.parse::<PathToken>();
        assert_eq!(token.is_ok(), expect, "{text}");
        let shown = format!("{token:?}");
        assert!(text.is_empty() || !shown.contains(text), "{shown}");
    }

    #[test]
    fn takes_url_safe_text_that_is_long_enough_and_never_shows_it() {
        check("0123456789abcdef", true);
        check("abc-DEF_0123456789-and-more", true);
        check("0123456789abcde", false);
        check("", false);
        for character in [" ", "/", ".", "%", "+", "=", "ä", "?", "\n"] {
            check(&format!("0123456789abcdef{character}"), false);
        }
    }
}
