//! Image globs: which images a rule is about. A glob is matched against the normalised reference,
//! part by part, so that no `*` ever reaches from a path into a host or a tag.

use std::fmt;

use assay_core::{Digest, ImageReference, REFERENCE_BYTES_MAX};

/// A compiled image glob: `host/path[:tag][@digest]`, or `**` for everything.
///
/// - The first segment is always the host, with its port; what has none means the default, 443. It
///   is normalised as references are. `**` as the whole host is every host on every port.
/// - `*` stands for any run of characters within one label of the host, one segment of the path,
///   the port or the tag; `**` for any run of whole labels or segments, none included.
/// - Without a tag it matches any, and without a digest any. With a tag see [`GlobMatch`].
/// - With a digest it matches references that name this digest; not a tag that resolves to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageGlob {
    text: String,
    /// None for the glob that is everything.
    parts: Option<Parts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    /// None for any host on any port.
    host: Option<HostGlob>,
    segments: Vec<String>,
    tag: Option<String>,
    digest: Option<Digest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostGlob {
    /// A host as references spell it.
    Is(String),
    Like {
        labels: Vec<String>,
        port: String,
    },
}

/// How a glob and a reference meet. Whoever pins a digest could write any tag beside it, so a tag
/// counts only where it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobMatch {
    /// They do not.
    No,
    /// They do if the reference's tag resolves to its digest: the glob names a tag, and the
    /// reference has both.
    TagMustResolve,
    /// They would, but the glob names a tag and the reference has a digest alone.
    TagUnproven,
    /// They do.
    Yes,
}

/// Why a text is not an image glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobError {
    /// The text as given, shortened to the longest reference.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
    /// What may have been meant: always a valid glob.
    pub suggestion: Option<String>,
}

const ANY: &str = "*";
/// Any run of whole labels or segments.
const ANY_RUN: &str = "**";
/// Labels of a host, or segments of a path, with `**` in two places: as many as the deepest names in
/// use have. Whatever stands between the two is looked for everywhere.
const SEARCHED_ITEMS_MAX: usize = 8;
/// The port of a host that names none; references drop it.
const DEFAULT_PORT: &str = "443";

impl ImageGlob {
    /// The glob that `text` spells.
    ///
    /// A glob is at most as long as a reference can be, which bounds its labels and segments too.
    ///
    /// # Errors
    /// It does not begin with a host, `**` does not stand alone in its label or segment, or it is
    /// no reference even with a letter for each `*`, so that nothing could match it.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let parts = if text == ANY_RUN { None } else { Some(Parts::parse(text)?) };
        Ok(Self { text: text.to_owned(), parts })
    }

    /// How `reference` meets the glob, in time at most proportional to the product of their
    /// lengths. What the tag resolves to is not known here.
    pub fn matches(&self, reference: &ImageReference) -> GlobMatch {
        self.parts.as_ref().map_or(GlobMatch::Yes, |parts| parts.matches(reference))
    }
}

impl fmt::Display for ImageGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an image glob: {}", self.glob.escape_debug(), self.reason)?;
        match &self.suggestion {
            None => Ok(()),
            Some(suggestion) => write!(f, "; did you mean '{suggestion}'?"),
        }
    }
}

impl std::error::Error for GlobError {}

impl Parts {
    fn parse(text: &str) -> Result<Self, GlobError> {
        let error = |reason: &str| GlobError::new(text, reason);
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(error("it is too long"));
        }
        let (name, digest) = split_once_or_none(text, '@');
        // Taken as it is: with a letter for `*`, a pattern would make a digest.
        let digest = digest.map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|cause| error(&cause.to_string()))?;
        let Some((host, rest)) = name.split_once('/') else {
            return Err(error("it has no path after a host").suggest(with_host_and_path(text)));
        };
        if !is_host(host) {
            let suggestion = format!("docker.io/{text}");
            return Err(error("it does not begin with a host").suggest(suggestion));
        }
        let (path, tag) = split_once_or_none(rest, ':');
        let sample = sample(host, path, tag).map_err(error)?;
        // Docker Hub's paths have a namespace always: a single segment would match nothing.
        if !path.contains('/') && path != ANY_RUN && sample.repository().host() == "docker.io" {
            let suggestion = text.replacen('/', "/library/", 1);
            return Err(error("official images are under library").suggest(suggestion));
        }
        Ok(Self {
            host: HostGlob::new(host, sample.repository().host()),
            segments: path.split('/').map(str::to_owned).collect(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    fn matches(&self, reference: &ImageReference) -> GlobMatch {
        let repository = reference.repository();
        let host_matches = self.host.as_ref().is_none_or(|host| host.matches(repository.host()));
        let digest_matches = self.digest.is_none() || self.digest.as_ref() == reference.digest();
        if !host_matches || !digest_matches {
            return GlobMatch::No;
        }
        let segments: Vec<_> = repository.path().split('/').collect();
        if !items_match(&self.segments, &segments) {
            return GlobMatch::No;
        }
        let Some(glob) = &self.tag else {
            return GlobMatch::Yes;
        };
        match (reference.tag(), reference.digest()) {
            (None, _) => GlobMatch::TagUnproven,
            (Some(tag), _) if !item_matches(glob, tag) => GlobMatch::No,
            (Some(_), None) => GlobMatch::Yes,
            (Some(_), Some(_)) => GlobMatch::TagMustResolve,
        }
    }
}

impl HostGlob {
    /// The glob of a host that is `written`; `normal` is how a reference spells it, which counts
    /// where it is no pattern.
    fn new(written: &str, normal: &str) -> Option<Self> {
        if written == ANY_RUN {
            return None;
        }
        if !written.contains(ANY) {
            return Some(Self::Is(normal.to_owned()));
        }
        let lower = written.to_ascii_lowercase();
        let (name, port) = split_port(&lower);
        let labels = name.split('.').map(str::to_owned).collect();
        Some(Self::Like { labels, port: port.to_owned() })
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Is(own) => own == host,
            Self::Like { labels, port } => {
                let (name, own_port) = split_port(host);
                let own_labels: Vec<_> = name.split('.').collect();
                item_matches(port, own_port) && items_match(labels, &own_labels)
            }
        }
    }
}

impl GlobError {
    fn new(text: &str, reason: &str) -> Self {
        Self {
            glob: text.chars().take(REFERENCE_BYTES_MAX).collect(),
            reason: reason.to_owned(),
            suggestion: None,
        }
    }

    fn suggest(self, glob: String) -> Self {
        let suggestion = ImageGlob::parse(&glob).is_ok().then_some(glob);
        Self { suggestion, ..self }
    }
}

/// Whether the first segment of a glob is a host, by the rule for references: a lone label is one
/// only as `localhost` or with a port. So `*/app` is not "an app on any host": that is `**/app`.
fn is_host(segment: &str) -> bool {
    segment == ANY_RUN || segment.contains(['.', ':']) || segment.eq_ignore_ascii_case("localhost")
}

fn split_port(host: &str) -> (&str, &str) {
    host.split_once(':').unwrap_or((host, DEFAULT_PORT))
}

fn split_once_or_none(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        None => (text, None),
        Some((before, after)) => (before, Some(after)),
    }
}

/// What a glob without a slash may mean: everything, a host, or an official image.
fn with_host_and_path(text: &str) -> String {
    match text.split([':', '@']).next() {
        Some(ANY) if text == ANY => ANY_RUN.to_owned(),
        Some(ANY_RUN) => format!("**/{text}"),
        Some(name) if is_host(name) => format!("{text}/**"),
        _ => format!("docker.io/library/{text}"),
    }
}

/// A reference that the glob may match: a letter stands for each `*`, a digit in the port. So the
/// reference grammar decides what can stand in a glob, and how its host is spelled.
fn sample(host: &str, path: &str, tag: Option<&str>) -> Result<ImageReference, &'static str> {
    let (name, port) = split_port(host);
    let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
    let mut items = name.split('.').chain(path.split('/'));
    let runs_on = |item: &str| item != ANY_RUN && item.contains(ANY_RUN);
    if items.any(runs_on) || port.contains(ANY_RUN) || tag.contains(ANY_RUN) {
        return Err("'**' stands for whole labels of the host or segments of the path");
    }
    for items in [name.split('.'), path.split('/')].map(Iterator::collect::<Vec<_>>) {
        let runs = items.iter().filter(|item| **item == ANY_RUN).count();
        if runs > 1 && items.len() > SEARCHED_ITEMS_MAX {
            return Err("with '**' twice, a host or a path has at most 8 parts");
        }
    }
    let port = port.replace(ANY, "1");
    let text = format!("{name}:{port}/{path}{tag}").replace(ANY, "a");
    text.parse().map_err(|_| "no image reference can match it")
}

/// Whether `items` are as `globs` say, of which `**` is any run of items.
///
/// What stands before the first run and behind the last has one place, and is compared there. What
/// stands between two runs is looked for from the left: where it is found first is as good as any
/// later place. That takes time in proportion to the product of lengths; [`SEARCHED_ITEMS_MAX`] bounds
/// one of them.
fn items_match(globs: &[String], items: &[&str]) -> bool {
    let is_run = |glob: &String| glob == ANY_RUN;
    let Some(first) = globs.iter().position(is_run) else {
        return each_matches(globs, items);
    };
    let last = globs.iter().rposition(is_run).unwrap_or(first);
    let (head, rest) = globs.split_at(first);
    let (middle, tail) = rest.split_at(last + 1 - first);
    let Some(between) = items.len().checked_sub(head.len() + tail.len()) else {
        return false;
    };
    let (start, items) = items.split_at(head.len());
    let (mut between, end) = items.split_at(between);
    if !each_matches(head, start) || !each_matches(tail, end) {
        return false;
    }
    middle.split(is_run).filter(|part| !part.is_empty()).all(|part| {
        let found = between.windows(part.len()).position(|window| each_matches(part, window));
        between = found.and_then(|at| between.get(at + part.len()..)).unwrap_or_default();
        found.is_some()
    })
}

/// Whether each item is as the glob in its place says.
fn each_matches(globs: &[String], items: &[&str]) -> bool {
    let mut pairs = globs.iter().zip(items);
    globs.len() == items.len() && pairs.all(|(glob, item)| item_matches(glob, item))
}

/// Whether `item` is as `glob` says, of which `*` is any run of characters: in the same way, and in
/// time proportional to the sum of their lengths.
fn item_matches(glob: &str, item: &str) -> bool {
    let Some((head, rest)) = glob.split_once(ANY) else {
        return glob == item;
    };
    let (middle, tail) = rest.rsplit_once(ANY).unwrap_or(("", rest));
    let Some(mut between) = item.strip_prefix(head).and_then(|item| item.strip_suffix(tail)) else {
        return false;
    };
    middle.split(ANY).all(|part| match between.split_once(part) {
        None => false,
        Some((_, behind)) => {
            between = behind;
            true
        }
    })
}

#[cfg(test)]
mod tests;
