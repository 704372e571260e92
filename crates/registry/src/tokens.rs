//! What was granted before: an `Authorization` header for one repository and one access scope, so
//! that neither another repository nor another credential ever travels on it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_core::{Access, AccessScope, Repository};
use http::HeaderValue;

/// What a grant is good for.
pub(crate) type TokenKey = (Repository, AccessScope);

/// The key of grants for `repository` by `access`.
pub(crate) fn key(repository: &Repository, access: &Access) -> TokenKey {
    (repository.clone(), access.scope().clone())
}

/// An `Authorization` header and how long it claims to hold.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// Marked sensitive.
    pub(crate) authorization: HeaderValue,
    pub(crate) lifetime: Duration,
}

/// The grants that still hold.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<TokenKey, (HeaderValue, Duration)>>);

/// Grants kept: repositories in use at once, times credentials. A grant is about 4 KiB at most
/// registries.
const TOKENS_MAX: usize = 1024;

/// How long a grant is kept whatever it claims; tokens of registries last minutes.
const LIFETIME_MAX: Duration = Duration::from_secs(3600);

impl TokenCache {
    /// The grant for `key`, if it holds at `now`.
    pub(crate) fn get(&self, key: &TokenKey, now: Duration) -> Option<HeaderValue> {
        let grants = self.lock();
        let (authorization, expires) = grants.get(key)?;
        (now < *expires).then(|| authorization.clone())
    }

    /// Keeps `grant` from `now` on; where there are too many, the one that ends first goes.
    pub(crate) fn put(&self, key: TokenKey, grant: Grant, now: Duration) {
        let mut grants = self.lock();
        if grants.len() >= TOKENS_MAX && !grants.contains_key(&key) {
            let first = grants.iter().min_by_key(|(_, (_, expires))| *expires);
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                grants.remove(&key);
            }
        }
        let expires = now.saturating_add(grant.lifetime.min(LIFETIME_MAX));
        grants.insert(key, (grant.authorization, expires));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenKey, (HeaderValue, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: usize) -> TokenKey {
        let repository = Repository::new("registry.example", path.to_string());
        key(&repository, &Access::public())
    }

    fn grant(seconds: u64) -> Grant {
        Grant {
            authorization: HeaderValue::from_static("Bearer t"),
            lifetime: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn keeps_a_grant_for_its_lifetime_and_no_longer_than_the_bound() {
        let start = Duration::from_secs(100);
        for (claimed, held) in [(0, 0), (60, 60), (3600, 3600), (3601, 3600), (u64::MAX, 3600)] {
            let cache = TokenCache::default();
            cache.put(at(0), grant(claimed), start);
            let end = start + Duration::from_secs(held);
            assert_eq!(cache.get(&at(0), end), None, "{claimed}");
            if held > 0 {
                let before = end - Duration::from_nanos(1);
                assert!(cache.get(&at(0), before).is_some(), "{claimed}");
            }
        }
    }

    #[test]
    fn drops_the_first_to_end_past_the_bound() {
        let cache = TokenCache::default();
        for path in 0..TOKENS_MAX {
            let lifetime = if path == 7 { 59 } else { 60 };
            cache.put(at(path), grant(lifetime), Duration::ZERO);
        }
        cache.put(at(8), grant(60), Duration::ZERO);
        assert!(cache.get(&at(7), Duration::ZERO).is_some(), "at the bound");
        cache.put(at(TOKENS_MAX), grant(60), Duration::ZERO);
        assert!(cache.get(&at(7), Duration::ZERO).is_none(), "one past it");
        assert!(cache.get(&at(TOKENS_MAX), Duration::ZERO).is_some());
        assert_eq!(cache.lock().len(), TOKENS_MAX);
    }
}
