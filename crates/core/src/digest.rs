//! Content digests: an algorithm and as many hexadecimal digits as it has.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest as hash;

/// A digest algorithm of the OCI image specification, "Registered algorithms".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the algorithm of nearly every image.
    Sha256,
    /// SHA-384, which some registries accept.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The digest of some content: `sha256:` and 64 lower-case hexadecimal digits, or a longer one.
///
/// A value of this type is well formed; it says nothing about whether content has it: see
/// [`Digest::matches`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The algorithm is none of sha256, sha384, sha512.
    #[error("'{0}' has no known digest algorithm: use sha256, sha384 or sha512")]
    Algorithm(String),
    /// The digits are not as many as the algorithm has, or not lower-case hexadecimal.
    #[error("'{text}' is not {expected} lower-case hexadecimal digits after the algorithm")]
    Digits {
        /// The text as given.
        text: String,
        /// How many digits the algorithm has.
        expected: usize,
    },
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm's name as it stands before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest of this algorithm has.
    pub fn hex_digits(self) -> usize {
        self.hash().output_len() * 2
    }

    fn hash(self) -> &'static hash::Algorithm {
        match self {
            Self::Sha256 => &hash::SHA256,
            Self::Sha384 => &hash::SHA384,
            Self::Sha512 => &hash::SHA512,
        }
    }
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let value = hash::digest(algorithm.hash(), bytes);
        Self { algorithm, hex: hex(value.as_ref()) }
    }

    /// Whether `bytes` have this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Self::of(self.algorithm, bytes) == *self
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// The digest of content that comes in pieces.
pub struct Hasher {
    algorithm: Algorithm,
    context: hash::Context,
}

impl Hasher {
    /// A hasher by `algorithm` that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, context: hash::Context::new(algorithm.hash()) }
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest { algorithm: self.algorithm, hex: hex(self.context.finish().as_ref()) }
    }
}

/// Lower-case hexadecimal digits of `bytes`.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
        .collect()
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let unknown = || DigestError::Algorithm(text.to_owned());
        let (name, digits) = text.split_once(':').ok_or_else(unknown)?;
        let algorithm =
            Algorithm::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(unknown)?;
        let expected = algorithm.hex_digits();
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() != expected || !digits.bytes().all(is_hex) {
            return Err(DigestError::Digits { text: text.to_owned(), expected });
        }
        Ok(Self { algorithm, hex: digits.to_owned() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn accepts_each_algorithm_at_its_length() {
        for algorithm in Algorithm::ALL {
            let digest = Digest::of(algorithm, b"content");
            assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
            assert!(digest.matches(b"content"));
            assert!(!digest.matches(b"other content"));
        }
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
    }

    #[test]
    fn hashes_pieces_as_the_whole() {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        for piece in ["con", "", "tent"] {
            hasher.update(piece.as_bytes());
        }
        assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha512, b"content"));
    }

    #[test]
    fn rejects_what_is_no_digest() {
        let upper = EMPTY.to_uppercase();
        let short = &EMPTY[..EMPTY.len() - 1];
        let long = format!("{EMPTY}0");
        let wrong_algorithm = EMPTY.replace("sha256", "sha512");
        let md5 = "md5:d41d8cd98f00b204e9800998ecf8427e";
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            "not-a-digest",
            md5,
            &upper,
            short,
            &long,
            &wrong_algorithm,
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
