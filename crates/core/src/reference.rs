//! Image references, normalised: the one spelling under which policies, caches and messages speak
//! of an image.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// A repository on a registry: a lower-cased host, with its port unless that is 443, and a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    host: String,
    path: String,
}

/// An image reference as users write it, normalised: `busybox` is
/// `docker.io/library/busybox:latest`, hosts are lower-cased, `:443` is dropped, and Docker Hub's
/// other names become `docker.io`. `latest` is added only where neither tag nor digest is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The text does not follow the distribution reference grammar.
    #[error("'{}' is not an image reference: {reason}", .text.escape_debug())]
    Syntax {
        /// The text as given, shortened to [`REFERENCE_BYTES_MAX`].
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The digest part is not a digest.
    #[error("the digest of an image reference is wrong")]
    Digest(#[from] DigestError),
}

/// Bytes of an image reference: the distribution grammar allows 255 for the name, 128 for the tag
/// and 135 for the longest digest, with two separators.
pub const REFERENCE_BYTES_MAX: usize = PATH_BYTES_MAX + 1 + TAG_BYTES_MAX + 1 + 135;

/// Bytes of a repository's path (distribution reference grammar, `NameTotalLengthMax`).
const PATH_BYTES_MAX: usize = 255;

/// Bytes of a tag (distribution reference grammar).
const TAG_BYTES_MAX: usize = 128;

const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

impl Repository {
    /// The repository `path` on `host`, both taken as normalised already.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        Self { host: host.into(), path: path.into() }
    }

    /// The registry's host, with its port where it has one: `docker.io`, `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// The repository that `HOST/PATH` names, normalised as in an [`ImageReference`]. The host is
    /// always given, and there is neither tag nor digest.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let syntax = |reason: &str| ReferenceError::Syntax {
            text: text.chars().take(REFERENCE_BYTES_MAX).collect(),
            reason: reason.to_owned(),
        };
        let Some((host, path)) = text.split_once('/') else {
            return Err(syntax("it is not HOST/PATH"));
        };
        if !names_host(host) {
            return Err(syntax("it does not begin with a host"));
        }
        if path.contains([':', '@']) {
            return Err(syntax("a repository has neither tag nor digest"));
        }
        Ok(text.parse::<ImageReference>()?.repository)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl ImageReference {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, where one is written or `latest` is implied.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where one is written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image with `digest` and without a tag, as messages show it.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self { repository: self.repository.clone(), tag: None, digest: Some(digest.clone()) }
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let syntax = |reason: &str| ReferenceError::Syntax {
            text: text.chars().take(REFERENCE_BYTES_MAX).collect(),
            reason: reason.to_owned(),
        };
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(syntax("it is too long"));
        }
        if !text.is_ascii() {
            return Err(syntax("it is not ASCII"));
        }
        let (name, digest) = split_once_or_none(text, '@');
        let digest: Option<Digest> = digest.map(str::parse).transpose()?;
        // A colon with a slash behind it begins a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        // A name with no dot, colon or `localhost` before the first slash is a path on Docker Hub,
        // where official images stand under `library`.
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if names_host(host) => (host.to_ascii_lowercase(), path),
            _ => (DOCKER_HUB.to_owned(), name),
        };
        if !is_host(&host) {
            return Err(syntax("its host is no DNS name or address, with or without a port"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(syntax(
                "its path is not of lower-case letters and digits, with '.', '_', '-' between them",
            ));
        }
        if !tag.is_none_or(is_tag) {
            return Err(syntax("its tag is not of letters, digits, '_', '.', '-', 128 at most"));
        }
        let repository = official(Repository::new(normal_host(&host), path));
        if repository.path.len() > PATH_BYTES_MAX {
            return Err(syntax("its path is too long"));
        }
        let tag = tag.or_else(|| digest.is_none().then_some("latest")).map(str::to_owned);
        let reference = Self { repository, tag, digest };
        // What was added must leave a reference, too.
        if reference.to_string().len() > REFERENCE_BYTES_MAX {
            return Err(syntax("it is too long"));
        }
        Ok(reference)
    }
}

fn split_once_or_none(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        None => (text, None),
        Some((before, after)) => (before, Some(after)),
    }
}

/// Whether the first segment of a reference is a host, by the rule that Docker set.
fn names_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment.eq_ignore_ascii_case("localhost")
}

// The distribution reference grammar (github.com/distribution/reference), part by part. One regular
// expression for all of it takes longer to compile than a whole verification takes.

/// `domain [':' port-number]`; DNS names have no case.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        label.starts_with(is_alphanumeric)
            && label.ends_with(is_alphanumeric)
            && label.chars().all(|char| char == '-' || is_alphanumeric(char))
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (name, port) = split_once_or_none(text, ':');
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// `path-component`: runs of letters and digits with `separator` between them.
fn is_path_component(text: &str) -> bool {
    let is_separator = |between: &str| {
        matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
    };
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.split(is_alphanumeric).all(is_separator)
}

/// `alpha-numeric`: lower-case letters and digits.
fn is_alphanumeric(char: char) -> bool {
    matches!(char, 'a'..='z' | '0'..='9')
}

/// `tag`.
fn is_tag(text: &str) -> bool {
    let is_word = |char: char| char == '_' || char.is_ascii_alphanumeric();
    text.len() <= TAG_BYTES_MAX
        && text.starts_with(is_word)
        && text.chars().all(|char| matches!(char, '.' | '-') || is_word(char))
}

fn normal_host(host: &str) -> String {
    // A bare name is a host only with its port: without it, it would read back as a path.
    let host = host.strip_suffix(":443").filter(|bare| names_host(bare)).unwrap_or(host);
    if DOCKER_HUB_ALIASES.contains(&host) { DOCKER_HUB.to_owned() } else { host.to_owned() }
}

fn official(repository: Repository) -> Repository {
    if repository.host != DOCKER_HUB || repository.path.contains('/') {
        return repository;
    }
    Repository { path: format!("library/{}", repository.path), ..repository }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check_normal(text: &str, expect: &str) {
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(reference.to_string(), expect, "{text}");
        assert_eq!(expect.parse::<ImageReference>().unwrap(), reference, "normal form is stable");
    }

    #[test]
    fn normalises() {
        let digest = format!("sha256:{HEX}");
        for (text, expect) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
            ("registry-1.docker.io/corp/app:v1", "docker.io/corp/app:v1"),
            ("corp/app", "docker.io/corp/app:latest"),
            ("GHCR.io/corp/app:V1", "ghcr.io/corp/app:V1"),
            ("Index.Docker.IO/busybox", "docker.io/library/busybox:latest"),
            ("registry.example:443/app", "registry.example/app:latest"),
            ("registry.example:8443/app", "registry.example:8443/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("LOCALHOST:5000/a/b/c", "localhost:5000/a/b/c:latest"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ] {
            check_normal(text, expect);
        }
        check_normal(&format!("busybox@{digest}"), &format!("docker.io/library/busybox@{digest}"));
        check_normal(
            &format!("busybox:1@{digest}"),
            &format!("docker.io/library/busybox:1@{digest}"),
        );
    }

    #[test]
    fn parses_repositories_with_their_host_and_nothing_more() {
        for (text, expect) in [
            ("registry.example/signatures", Some("registry.example/signatures")),
            ("Registry.example:443/a/b", Some("registry.example/a/b")),
            ("localhost/app", Some("localhost/app")),
            ("127.0.0.1:5000/app", Some("127.0.0.1:5000/app")),
            ("index.docker.io/corp/app", Some("docker.io/corp/app")),
            ("", None),
            ("registry.example", None),
            ("registry.example/", None),
            ("corp/app", None),
            ("registry.example/App", None),
            ("registry.example/../app", None),
            ("registry.example/app:v1", None),
            ("registry.example/app:", None),
            ("https://registry.example/app", None),
            (&format!("registry.example/app@sha256:{HEX}"), None),
        ] {
            let parsed = text.parse::<Repository>().ok().map(|found| found.to_string());
            assert_eq!(parsed.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn rejects_what_is_no_reference() {
        let long_tag = format!("busybox:{}", "a".repeat(129));
        let too_long = format!("registry.example/{}", "a/".repeat(300));
        for text in [
            "",
            " ",
            "busybox ",
            "Busybox",
            "corp/App",
            "CORP/app",
            "Corp/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "my_registry.example/app",
            "busybox:",
            "busybox@",
            "busybox:a b",
            "busybox@sha256:abc",
            "busybox@md5:d41d8cd98f00b204e9800998ecf8427e",
            "/busybox",
            "registry.example/",
            "registry.example//app",
            "https://registry.example/app",
            "registry.example/app?x",
            "registry.example/../app",
            "busybox:é",
            "busybox\n",
            &long_tag,
            &too_long,
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rejects_what_gets_too_long_by_what_is_added() {
        const ADDED: usize = ":latest".len();
        let text = |length: usize| format!("{}/app", "a.".repeat(length) + "example");
        for (name, spare, expect) in [("fits", 0, true), ("one more", 1, false)] {
            let labels = (REFERENCE_BYTES_MAX - ADDED - text(0).len()) / 2;
            let filler = "a".repeat((REFERENCE_BYTES_MAX - ADDED - text(0).len()) % 2 + spare);
            let text = format!("{}{filler}", text(labels));
            assert_eq!(text.parse::<ImageReference>().is_ok(), expect, "{name}");
            assert!(format!("{text}:t").parse::<ImageReference>().is_ok(), "{name}, tagged");
        }
    }

    /// The normal form by oci-spec, whose regular expression is the whole grammar. It does not know
    /// where the host ends, and so lets either half borrow from the other; that is taken back.
    fn oracle(text: &str) -> Option<String> {
        let lowered = match text.split_once('/') {
            Some((host, rest)) if names_host(host) => {
                format!("{}/{rest}", host.to_ascii_lowercase())
            }
            _ => text.to_owned(),
        };
        let parsed = oci_spec::distribution::Reference::try_from(lowered.as_str()).ok()?;
        let digest = parsed.digest().map(str::parse::<Digest>).transpose().ok()?;
        let repository = Repository::new(normal_host(parsed.registry()), parsed.repository());
        let borrowed = repository.host.contains('_')
            || repository.path.contains(|char: char| char.is_ascii_uppercase());
        let tag = parsed.tag().map(str::to_owned);
        let repository = official(repository);
        (!borrowed).then(|| ImageReference { repository, tag, digest }.to_string())
    }

    #[test]
    fn accepts_what_oci_spec_accepts_and_nothing_else() {
        const TEXTS: usize = 5_000;
        let digest = format!("@sha256:{HEX}");
        let upper_digest = digest.to_uppercase();
        let long = "a".repeat(127);
        let pieces = [
            "a",
            "b0",
            "Z",
            "9",
            "-",
            "--",
            "_",
            "__",
            "___",
            ".",
            "..",
            "/",
            "/",
            "/",
            ":",
            ":80",
            "@",
            "a.b/",
            "localhost/",
            "docker.io/",
            "library/",
            ":443/",
            "x/",
            ":v1",
            ":V_1.-",
            &long,
            &digest,
            &upper_digest,
            "@sha512:00",
            "%",
            " ",
        ];
        // Knuth's constants (The Art of Computer Programming, volume 2, 3.3.4).
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut accepted = 0;
        for _ in 0..TEXTS {
            let count = 1 + next(6);
            let begin = ["", "a", "a.b/x"][next(3)].to_owned();
            let text = (0..count).fold(begin, |text, _| text + pieces[next(pieces.len())]);
            let own = text.parse::<ImageReference>().ok().map(|found| found.to_string());
            assert_eq!(
                own,
                oracle(&text).filter(|normal| {
                    text.len() <= REFERENCE_BYTES_MAX && normal.len() <= REFERENCE_BYTES_MAX
                }),
                "{text:?}"
            );
            accepted += usize::from(own.is_some());
        }
        assert!((TEXTS / 20..TEXTS / 2).contains(&accepted), "{accepted} of {TEXTS}");
    }
}
