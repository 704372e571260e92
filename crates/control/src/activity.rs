//! What policies did of late, for their status. A sample: what does not fit is not counted here, and
//! the metrics have it all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::ports::Clock;
use jiff::Timestamp;

/// How long a window is. Counts are of the current window and the one before: of the last 30 to 60
/// minutes.
const WINDOW: Duration = Duration::from_secs(30 * 60);

/// Policies that are counted in one window; further ones are not.
const POLICIES_MAX: usize = 10_000;

/// Counts violations by policy; whoever answers requests feeds it.
pub struct Activity {
    clock: Arc<dyn Clock>,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    current: Option<Window>,
    previous: Option<Window>,
}

struct Window {
    /// In ticks of the clock.
    start: Duration,
    since: Timestamp,
    counts: HashMap<String, Counts>,
}

/// Violations of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) denied: i64,
    pub(crate) dryrun: i64,
    pub(crate) warned: i64,
}

impl Activity {
    /// Nothing counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, windows: Mutex::default() }
    }

    /// Counts a violation of `policy`, which is `NAME` or `NAMESPACE/NAME`, as
    /// [`ViolationRecord`](assay_core::ports::ViolationRecord) has it with `enforcement_action`. It
    /// never waits for I/O.
    pub fn record(&self, policy: &str, enforcement_action: &str) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.advance(&*self.clock);
        let Some(Window { counts, .. }) = &mut windows.current else { return };
        if counts.len() >= POLICIES_MAX && !counts.contains_key(policy) {
            return;
        }
        let counts = counts.entry(policy.to_owned()).or_default();
        let count = match enforcement_action {
            "deny" => &mut counts.denied,
            "dryrun" => &mut counts.dryrun,
            _ => &mut counts.warned,
        };
        *count = count.saturating_add(1);
    }

    /// What `policy` did, and since when that is counted; `None` where it did nothing.
    pub(crate) fn of(&self, policy: &str) -> Option<(Counts, Timestamp)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.advance(&*self.clock);
        let windows = [windows.previous.as_ref(), windows.current.as_ref()];
        let since = windows.iter().flatten().map(|window| window.since).next()?;
        let counts: Vec<&Counts> =
            windows.iter().flatten().filter_map(|window| window.counts.get(policy)).collect();
        let sum = |count: fn(&Counts) -> i64| counts.iter().map(|counts| count(counts)).sum();
        (!counts.is_empty()).then(|| {
            let counts = Counts {
                denied: sum(|counts| counts.denied),
                dryrun: sum(|counts| counts.dryrun),
                warned: sum(|counts| counts.warned),
            };
            (counts, since)
        })
    }
}

impl Windows {
    /// Opens a window where none is open, and closes those that are over.
    fn advance(&mut self, clock: &dyn Clock) {
        let now = clock.ticks();
        let age = self.current.as_ref().map(|window| now.saturating_sub(window.start));
        if age.is_some_and(|age| age < WINDOW) {
            return;
        }
        let current = self.current.take();
        self.previous = current.filter(|_| age.is_some_and(|age| age < WINDOW.saturating_mul(2)));
        let counts = HashMap::new();
        self.current = Some(Window { start: now, since: clock.now(), counts });
    }
}

#[cfg(test)]
mod tests {
    use assay_testkit::FixedClock;

    use super::*;

    fn counts(denied: i64, dryrun: i64, warned: i64) -> Option<Counts> {
        Some(Counts { denied, dryrun, warned })
    }

    #[test]
    fn counts_the_last_two_windows() {
        let clock = Arc::new(FixedClock::default());
        let activity = Activity::new(clock.clone());
        let of = |policy: &str| activity.of(policy).map(|(counts, _)| counts);
        assert_eq!(of("a"), None);

        activity.record("a", "deny");
        activity.record("a", "dryrun");
        activity.record("team/a", "warn");
        assert_eq!((of("a"), of("team/a"), of("b")), (counts(1, 1, 0), counts(0, 0, 1), None));

        clock.advance(WINDOW);
        activity.record("a", "deny");
        assert_eq!(of("a"), counts(2, 1, 0));
        assert_eq!(activity.of("a").unwrap().1, Timestamp::UNIX_EPOCH);

        clock.advance(WINDOW);
        assert_eq!((of("a"), of("team/a")), (counts(1, 0, 0), None));
        clock.advance(WINDOW * 2);
        assert_eq!(of("a"), None);
    }

    #[test]
    fn counts_a_bounded_number_of_policies() {
        let activity = Activity::new(Arc::new(FixedClock::default()));
        for index in 0..=POLICIES_MAX {
            activity.record(&format!("policy-{index}"), "deny");
        }
        activity.record("policy-0", "deny");
        assert_eq!(activity.of("policy-0").map(|(counts, _)| counts), counts(2, 0, 0));
        assert!(activity.of(&format!("policy-{}", POLICIES_MAX - 1)).is_some());
        assert!(activity.of(&format!("policy-{POLICIES_MAX}")).is_none());
    }
}
