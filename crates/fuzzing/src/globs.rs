//! Names and the patterns for them: image references, image globs, and the wildcards of `match`.

use assay_core::ImageReference;
use assay_policy::{GlobMatch, ImageGlob, Wildcard};

/// Image references.
pub const REFERENCES: &[&str] = &[
    "busybox",
    "corp/app:1.0",
    "Index.Docker.IO/busybox:latest",
    "LOCALHOST:5000/a/b/c",
    "registry.example:443/shop/web:v1.2.3-rc.1_x",
    "registry:443/app",
    "registry.example:5000/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "ghcr.io/corp/app:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// A glob, and on the next line the reference that it meets.
pub const IMAGE_GLOBS: &[&str] = &[
    "**\nbusybox",
    "docker.io/library/*\nbusybox:1.36",
    "**/app:v*\nregistry.example/app:v1",
    "**.example/shop/**/web*:*-rc*\na.registry.example/shop/a/b/web-1:2-rc1",
    "REGISTRY.example:*/a*b*c/**\nregistry.example:5000/abbc/d",
    "index.docker.io/*/app:1\ncorp/app:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "registry:443/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nregistry:443/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// A wildcard, and on the next line a name that it matches.
pub const WILDCARDS: &[&str] =
    &["*\nshop", "**\n", "kube-*\nkube-system", "*-web\nmy-web", "*we:b*\na-we:b-1", "shop\nshop"];

/// The normal form of a reference reads back as that reference, and stays as it is.
pub fn reference(data: &[u8]) -> bool {
    let Some(reference) = parse(data) else { return false };
    let normal = reference.to_string();
    assert_eq!(normal.parse().as_ref(), Ok(&reference), "{normal}");
    let (host, path) = (reference.repository().host(), reference.repository().path());
    assert_eq!(normal.split_once('/').map(|(host, _)| host), Some(host), "{normal}");
    assert!(!host.contains(|char: char| char.is_ascii_uppercase()), "{normal}");
    let segments = || path.split('/');
    assert!(!segments().any(|part| matches!(part, "" | "." | "..")), "{normal}");
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()), "{normal:?}");
    true
}

fn parse(data: &[u8]) -> Option<ImageReference> {
    str::from_utf8(data).ok()?.parse().ok()
}

/// A glob reads back from what it shows, what it suggests is one, and it meets a reference as a
/// plain table of all pairs says. `**` meets everything, and a reference itself.
pub fn image_glob(data: &[u8]) -> bool {
    let Some((glob, reference)) = lines(data) else { return false };
    let glob = match ImageGlob::parse(glob) {
        Ok(glob) => glob,
        Err(error) => {
            assert!(error.suggestion.is_none_or(|glob| ImageGlob::parse(&glob).is_ok()), "{glob}");
            return false;
        }
    };
    assert_eq!(ImageGlob::parse(&glob.to_string()).as_ref(), Ok(&glob));
    let Ok(reference) = reference.parse::<ImageReference>() else { return false };
    let found = glob.matches(&reference);
    assert_eq!(found, meets(&glob.to_string(), &reference), "{glob} {reference}");

    let meet = |glob: &str| ImageGlob::parse(glob).map(|glob| glob.matches(&reference));
    assert_eq!(meet("**"), Ok(GlobMatch::Yes));
    let has_both = reference.tag().is_some() && reference.digest().is_some();
    let itself = if has_both { GlobMatch::TagMustResolve } else { GlobMatch::Yes };
    assert_eq!(meet(&reference.to_string()), Ok(itself));
    found != GlobMatch::No
}

fn lines(data: &[u8]) -> Option<(&str, &str)> {
    str::from_utf8(data).ok()?.split_once('\n')
}

/// How `glob`, which is one, meets `reference`.
fn meets(glob: &str, reference: &ImageReference) -> GlobMatch {
    let (name, digest) = halves(glob, '@');
    let (host, rest) = name.split_once('/').unwrap_or(("**", name));
    let (path, tag) = halves(rest, ':');
    let repository = reference.repository();
    let no_digest =
        digest.is_some() && digest != reference.digest().map(ToString::to_string).as_deref();
    if no_digest || !host_meets(host, repository.host()) || !runs_meet(path, repository.path(), '/')
    {
        return GlobMatch::No;
    }
    match (tag, reference.tag(), reference.digest()) {
        (None, ..) => GlobMatch::Yes,
        (Some(_), None, _) => GlobMatch::TagUnproven,
        (Some(glob), Some(tag), _) if !stars_meet(glob, tag) => GlobMatch::No,
        (_, _, None) => GlobMatch::Yes,
        (_, _, Some(_)) => GlobMatch::TagMustResolve,
    }
}

fn host_meets(glob: &str, host: &str) -> bool {
    if glob == "**" {
        return true;
    }
    let normal = match format!("{glob}/any/any").parse::<ImageReference>() {
        Ok(reference) if !glob.contains('*') => reference.repository().host().to_owned(),
        _ => glob.to_ascii_lowercase(),
    };
    let ((glob, glob_port), (host, port)) = (halves(&normal, ':'), halves(host, ':'));
    stars_meet(glob_port.unwrap_or("443"), port.unwrap_or("443")) && runs_meet(glob, host, '.')
}

fn halves(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn runs_meet(glob: &str, text: &str, separator: char) -> bool {
    let (globs, items): (Vec<_>, Vec<_>) =
        (glob.split(separator).collect(), text.split(separator).collect());
    table_meets(&globs, &items, |glob| *glob == "**", |glob, item| stars_meet(glob, item))
}

fn stars_meet(glob: &str, text: &str) -> bool {
    table_meets(glob.as_bytes(), text.as_bytes(), |byte| *byte == b'*', |glob, byte| glob == byte)
}

/// Whether `items` are as `pattern` says, part by part: in each row stands, for every beginning of
/// the items, whether the pattern so far matches it.
fn table_meets<T>(
    pattern: &[T],
    items: &[T],
    any: impl Fn(&T) -> bool,
    one: impl Fn(&T, &T) -> bool,
) -> bool {
    let mut row: Vec<bool> = (0..=items.len()).map(|length| length == 0).collect();
    for part in pattern {
        let above = row.clone();
        for length in 0..row.len() {
            row[length] = match length.checked_sub(1) {
                last if any(part) => above[length] || last.is_some_and(|last| row[last]),
                None => false,
                Some(last) => above[last] && one(part, &items[last]),
            };
        }
    }
    row[items.len()]
}

/// A wildcard is what Gatekeeper's pattern allows, matches as a plain table says, and matches a
/// `generateName` only where it matches every name that may become of it.
pub fn wildcard(data: &[u8]) -> bool {
    let Some((pattern, name)) = lines(data) else { return false };
    let text = pattern.strip_prefix('*').unwrap_or(pattern);
    let text = text.strip_suffix('*').unwrap_or(text);
    let is_legal = |char: char| matches!(char, '-' | ':' | 'a'..='z' | '0'..='9');
    let wildcard = Wildcard::new(pattern);
    assert_eq!(wildcard.is_ok(), text.chars().all(is_legal), "{pattern:?}");
    let Ok(wildcard) = wildcard else { return false };
    assert_eq!(wildcard.matches(name), stars_meet(pattern, name), "{pattern:?} {name:?}");
    if wildcard.matches_generate_name(name) {
        for end in ["", "x7k2p", text] {
            assert!(wildcard.matches(&format!("{name}{end}")), "{pattern:?} {name:?}");
        }
    }
    wildcard.matches(name)
}
