//! The policies of a Snapshot, with an index by namespace and kind, so that a request does not pay
//! for the policies of other teams.
//!
//! Architecture invariant: the index decides nothing. It leaves out only what cannot match, and
//! whatever it lets through is matched in full.

use std::collections::HashMap;
use std::ops::Deref;
use std::slice;
use std::sync::Arc;

use crate::{Match, Policy, Wildcard};

/// Policies in order. They are put in all at once, so that the index is never behind them.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    all: Vec<Arc<Policy>>,
    /// Policies of one namespace, or of several that they name.
    named: HashMap<String, Bucket>,
    /// Policies of namespaces whose names begin so.
    prefixed: HashMap<String, Bucket>,
    /// All others.
    anywhere: Bucket,
}

/// Positions of policies, by the kinds that they name.
#[derive(Clone, Debug, Default)]
struct Bucket {
    kinds: HashMap<String, Vec<usize>>,
    any_kind: Vec<usize>,
}

/// Where a policy's objects are.
enum Place<'a> {
    Named(&'a str),
    Prefixed(&'a str),
}

impl Policies {
    /// The policies that may look at an object in this namespace and of this kind, in order; all of
    /// them where that is not said.
    pub(crate) fn candidates(
        &self,
        place: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &Arc<Policy>> {
        let positions = match place {
            Some((namespace, kind)) => self.positions(namespace, kind),
            None => (0..self.all.len()).collect(),
        };
        positions.into_iter().filter_map(|position| self.all.get(position))
    }

    fn positions(&self, namespace: &str, kind: &str) -> Vec<usize> {
        let ends = if self.prefixed.is_empty() { 0..0 } else { 0..namespace.len() + 1 };
        let prefixes = ends.filter_map(|end| self.prefixed.get(namespace.get(..end)?));
        let buckets = self.named.get(namespace).into_iter().chain(prefixes).chain([&self.anywhere]);
        let mut positions: Vec<usize> =
            buckets.flat_map(|bucket| bucket.of(kind)).copied().collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    fn index(&mut self, position: usize, policy: &Policy) {
        let matcher = policy.matcher.as_ref().ok();
        let kinds = matcher.and_then(named_kinds);
        let Some(places) = places(policy.id.namespace.as_deref(), matcher) else {
            return self.anywhere.put(position, kinds.as_deref());
        };
        for place in places {
            let bucket = match place {
                Place::Named(name) => self.named.entry(name.to_owned()),
                Place::Prefixed(prefix) => self.prefixed.entry(prefix.to_owned()),
            };
            bucket.or_default().put(position, kinds.as_deref());
        }
    }
}

impl Bucket {
    fn put(&mut self, position: usize, kinds: Option<&[&str]>) {
        let Some(kinds) = kinds else {
            return self.any_kind.push(position);
        };
        for kind in kinds {
            self.kinds.entry((*kind).to_owned()).or_default().push(position);
        }
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &usize> {
        self.kinds.get(kind).into_iter().flatten().chain(&self.any_kind)
    }
}

/// Where the objects are that a policy can match; `None` where names do not tell.
fn places<'a>(own: Option<&'a str>, matcher: Option<&'a Match>) -> Option<Vec<Place<'a>>> {
    if let Some(namespace) = own {
        return Some(vec![Place::Named(namespace)]);
    }
    let place = |glob: &'a Wildcard| match glob.beginning()? {
        (text, true) => Some(Place::Prefixed(text)),
        (text, false) => Some(Place::Named(text)),
    };
    let namespaces = &matcher?.namespaces;
    if namespaces.is_empty() { None } else { namespaces.iter().map(place).collect() }
}

/// The kinds that a match names; `None` where it takes any.
fn named_kinds(matcher: &Match) -> Option<Vec<&str>> {
    let takes_any = |kinds: &[String]| kinds.is_empty() || kinds.iter().any(|kind| kind == "*");
    let entries = &matcher.kinds;
    if entries.is_empty() || entries.iter().any(|entry| takes_any(&entry.kinds)) {
        return None;
    }
    Some(entries.iter().flat_map(|entry| &entry.kinds).map(String::as_str).collect())
}

impl From<Vec<Arc<Policy>>> for Policies {
    fn from(all: Vec<Arc<Policy>>) -> Self {
        let mut policies = Self::default();
        for (position, policy) in all.iter().enumerate() {
            policies.index(position, policy);
        }
        Self { all, ..policies }
    }
}

impl FromIterator<Arc<Policy>> for Policies {
    fn from_iter<I: IntoIterator<Item = Arc<Policy>>>(policies: I) -> Self {
        policies.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Policies {
    type Target = [Arc<Policy>];

    fn deref(&self) -> &[Arc<Policy>] {
        &self.all
    }
}

impl<'a> IntoIterator for &'a Policies {
    type Item = &'a Arc<Policy>;
    type IntoIter = slice::Iter<'a, Arc<Policy>>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests;
