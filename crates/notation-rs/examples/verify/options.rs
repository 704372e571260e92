//! The arguments: which there are, and how often each may be given.

use std::collections::BTreeMap;

/// Options that may be given once, and those that may be given any number of times.
const ONCE: [&str; 8] = [
    "artifact",
    "envelope",
    "level",
    "media-type",
    "now",
    "reference",
    "tsa-revocation",
    "verify-timestamp",
];
const REPEATED: [&str; 5] =
    ["http", "override", "trust-store", "trusted-identity", "user-metadata"];

/// Anything that is wrong with the arguments or the files that they name.
pub(crate) type Usage = Box<dyn std::error::Error>;

/// `K=V` arguments, each key once.
pub(crate) fn pairs<'a>(
    arguments: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>, Usage> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (key, value) =
            argument.split_once('=').ok_or_else(|| format!("`{argument}` is not KEY=VALUE"))?;
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("`{key}` is given twice").into());
        }
    }
    Ok(pairs)
}

/// The arguments, by option.
pub(crate) struct Options(Vec<(String, String)>);

impl Options {
    /// An option that may be repeated may also have several values in a row.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Usage> {
        let mut options: Vec<(String, String)> = Vec::new();
        while let Some(argument) = arguments.next() {
            let last = options.last().map(|(name, _)| name.clone());
            if let Some(name) = last.filter(|name| REPEATED.contains(&name.as_str()))
                && !argument.starts_with("--")
            {
                options.push((name, argument));
                continue;
            }
            let name = argument.strip_prefix("--").unwrap_or_default();
            let is_first = !options.iter().any(|(known, _)| known == name);
            if !(REPEATED.contains(&name) || ONCE.contains(&name) && is_first) {
                return Err(format!("`{argument}` is unknown, or given twice").into());
            }
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            options.push((name.to_owned(), value));
        }
        Ok(Self(options))
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn one(&self, name: &str) -> Result<&str, Usage> {
        Ok(self.maybe(name).ok_or_else(|| format!("--{name} is missing"))?)
    }
}
