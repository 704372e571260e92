//! How many Events may be made: a bucket of tokens for each namespace and one for all, as client-go's
//! spam filter has one for each object.

use std::collections::HashMap;
use std::time::Duration;

/// Events that a namespace may make at once (as in client-go), and how soon it may make one more.
pub(super) const NAMESPACE: Rate = Rate { burst: 25, interval: Duration::from_secs(10) };

/// The same for all namespaces.
pub(super) const ALL: Rate = Rate { burst: 250, interval: Duration::from_millis(200) };

/// A bucket's size, and how long it takes to get one token back.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) interval: Duration,
}

/// The buckets that are not full. Both kinds must have a token to lose one, so that at most as many
/// namespaces are here as all may make Events while one bucket fills: 1,500.
#[derive(Default)]
pub(super) struct Spam {
    all: Bucket,
    namespaces: HashMap<String, Bucket>,
}

/// When the bucket will be full, in ticks of the clock.
#[derive(Clone, Copy, Default)]
struct Bucket(Duration);

impl Spam {
    /// Whether one more Event may be made in `namespace`, which costs a token.
    pub(super) fn admits(&mut self, namespace: &str, now: Duration) -> bool {
        let own = self.namespaces.get(namespace).copied().unwrap_or_default();
        let (Some(own), Some(all)) = (own.taken(NAMESPACE, now), self.all.taken(ALL, now)) else {
            return false;
        };
        self.namespaces.retain(|_, bucket| bucket.0 > now);
        self.namespaces.insert(namespace.to_owned(), own);
        self.all = all;
        true
    }
}

impl Bucket {
    /// The bucket with a token less, where it has one.
    fn taken(self, rate: Rate, now: Duration) -> Option<Self> {
        let full = self.0.max(now).saturating_add(rate.interval);
        let empty = now.saturating_add(rate.interval.saturating_mul(rate.burst));
        (full <= empty).then_some(Self(full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand tries are admitted.
    fn admitted(spam: &mut Spam, namespace: &str, now: Duration) -> usize {
        (0..1_000).filter(|_| spam.admits(namespace, now)).count()
    }

    #[test]
    fn a_namespace_has_its_burst_and_then_its_rate() {
        let (mut spam, Rate { burst, interval }) = (Spam::default(), NAMESPACE);
        let burst = burst as usize;
        assert_eq!(admitted(&mut spam, "a", Duration::ZERO), burst);
        assert_eq!(admitted(&mut spam, "a", interval - Duration::from_nanos(1)), 0);
        assert_eq!(admitted(&mut spam, "a", interval), 1);
        assert_eq!(admitted(&mut spam, "a", interval * 4), 3);
        assert_eq!(admitted(&mut spam, "b", interval * 4), burst);
        assert_eq!(admitted(&mut spam, "a", interval * 400), burst);
    }

    #[test]
    fn all_have_a_burst_and_a_rate_that_one_cannot_use_up() {
        let (mut spam, now) = (Spam::default(), Duration::ZERO);
        let namespaces = ALL.burst / NAMESPACE.burst;
        for index in 0..namespaces {
            let name = format!("n{index}");
            assert_eq!(admitted(&mut spam, &name, now), NAMESPACE.burst as usize);
        }
        assert_eq!(admitted(&mut spam, "late", now), 0);
        // What was refused cost nothing.
        assert_eq!(admitted(&mut spam, "late", ALL.interval), 1);
        assert_eq!(admitted(&mut spam, "late", ALL.interval * 3), 2);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut spam = Spam::default();
        for index in 0..10_000_u32 {
            assert!(spam.admits(&format!("n{index}"), ALL.interval * index));
        }
        let most = NAMESPACE.interval.as_millis() / ALL.interval.as_millis();
        assert!(spam.namespaces.len() as u128 <= most + 1, "{}", spam.namespaces.len());
    }
}
