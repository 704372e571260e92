//! Image references, normalised: the one spelling under which policies, caches and messages speak
//! of an image.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;

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
pub const REFERENCE_BYTES_MAX: usize = 255 + 1 + 128 + 1 + 135;

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
        // The parser's word characters are Unicode's; the grammar's are ASCII.
        if !text.is_ascii() {
            return Err(syntax("it is not ASCII"));
        }
        let parsed = Reference::try_from(lower_case_host(text).as_str())
            .map_err(|error| syntax(&error.to_string()))?;
        let digest = parsed.digest().map(str::parse).transpose()?;
        let repository = Repository::new(normal_host(parsed.registry()), parsed.repository());
        // The grammar does not know where the host ends, and so lets either half borrow from the
        // other: `CORP/app` is on Docker Hub to some, and on the host CORP to the kubelet.
        if repository.host.contains('_') {
            return Err(syntax("a host has no underscore"));
        }
        if repository.path.contains(|char: char| char.is_ascii_uppercase()) {
            return Err(syntax("a path has no capitals, and a host has a dot or a port"));
        }
        // A name with no dot, colon or `localhost` before the first slash is a path on Docker Hub,
        // where official images stand under `library`.
        Ok(Self { repository: official(repository), tag: parsed.tag().map(str::to_owned), digest })
    }
}

/// `text` with its host, where it names one, in lower case: DNS names have no case, and the
/// reference grammar refuses capitals in the path only.
fn lower_case_host(text: &str) -> String {
    match text.split_once('/') {
        Some((host, rest)) if names_host(host) => format!("{}/{rest}", host.to_ascii_lowercase()),
        _ => text.to_owned(),
    }
}

/// Whether the first segment of a reference is a host, by the rule that Docker set.
fn names_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment.eq_ignore_ascii_case("localhost")
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
}
