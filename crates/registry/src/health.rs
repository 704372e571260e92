//! When a registry is left alone: after failures in a row, and when it asks for fewer requests.
//! Nothing here waits or asks the time.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_core::AccessScope;

/// Failures in a row after which a registry is left alone: one image's requests see that many, so
/// a single lost packet does not count as an outage.
pub(crate) const FAILURES_MAX: u32 = 5;

/// How long a failure counts; what failed longer ago than this is no row.
pub(crate) const FAILURE_WINDOW: Duration = Duration::from_secs(30);

/// How long a registry is left alone; then one request finds out whether it is back. Well below
/// the time that controllers wait before they create a refused pod again.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);

/// How long a 429 holds that names no time, or a shorter one.
pub(crate) const THROTTLE_MIN: Duration = Duration::from_secs(1);

/// How long a 429 holds at most, whatever it names (RFC 9110, section 10.2.3 sets no bound).
pub(crate) const THROTTLE_MAX: Duration = Duration::from_secs(60);

/// Access scopes whose throttling is remembered for one registry; past that, the first to end goes.
pub(crate) const SCOPES_MAX: usize = 256;

/// How a registry has been lately. Its answers to one scope say nothing about another's quota, so
/// that a tenant who used up their own does not stop the others.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failures: u32,
    last_failure: Duration,
    /// Set after too many failures, and until a request succeeds.
    paused_until: Option<Duration>,
    throttled_until: BTreeMap<AccessScope, Duration>,
}

/// Why a registry is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It failed too often.
    Failing,
    /// It asked for fewer requests.
    Throttled,
}

impl Health {
    /// Why nothing is to be asked at `now`.
    pub(crate) fn refusal(&self, scope: &AccessScope, now: Duration) -> Option<Refusal> {
        let lasts = |until: &Duration| now < *until;
        if self.paused_until.as_ref().is_some_and(lasts) {
            return Some(Refusal::Failing);
        }
        self.throttled_until.get(scope).is_some_and(lasts).then_some(Refusal::Throttled)
    }

    /// Lets one request go at `now`. After a pause it is the only one for the length of another.
    ///
    /// # Errors
    /// The [`Refusal`], if there is one.
    pub(crate) fn admit(&mut self, scope: &AccessScope, now: Duration) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal(scope, now) {
            return Err(refusal);
        }
        if let Some(until) = &mut self.paused_until {
            *until = now.saturating_add(PAUSE);
        }
        Ok(())
    }

    /// Notes that a request was answered.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    /// Notes that a request had no answer, or one that is the server's own failure.
    pub(crate) fn failed(&mut self, now: Duration) {
        if now.saturating_sub(self.last_failure) > FAILURE_WINDOW {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = now;
        if self.failures >= FAILURES_MAX || self.paused_until.is_some() {
            self.paused_until = Some(now.saturating_add(PAUSE));
        }
    }

    /// Notes that the registry asks `scope` to come back in `wait`.
    pub(crate) fn throttled(&mut self, scope: &AccessScope, now: Duration, wait: Duration) {
        self.throttled_until.retain(|_, until| now < *until);
        if self.throttled_until.len() >= SCOPES_MAX && !self.throttled_until.contains_key(scope) {
            let first = self.throttled_until.iter().min_by_key(|(_, until)| **until);
            if let Some(scope) = first.map(|(scope, _)| scope.clone()) {
                self.throttled_until.remove(&scope);
            }
        }
        let until = now.saturating_add(wait.clamp(THROTTLE_MIN, THROTTLE_MAX));
        self.throttled_until.insert(scope.clone(), until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_core::Digest;

    const PUBLIC: AccessScope = AccessScope::Public;
    const TICK: Duration = Duration::from_nanos(1);

    fn scope(number: usize) -> AccessScope {
        AccessScope::Credentials(Digest::sha256(number.to_string().as_bytes()))
    }

    fn failed(times: u32, now: Duration) -> Health {
        let mut health = Health::default();
        (0..times).for_each(|_| health.failed(now));
        health
    }

    #[test]
    fn pauses_at_the_bound_and_not_before() {
        let now = Duration::from_secs(100);
        assert_eq!(failed(FAILURES_MAX - 1, now).refusal(&PUBLIC, now), None);
        let health = failed(FAILURES_MAX, now);
        assert_eq!(health.refusal(&PUBLIC, now), Some(Refusal::Failing));
        assert_eq!(health.refusal(&scope(1), now), Some(Refusal::Failing), "whoever asks");
        assert_eq!(health.refusal(&PUBLIC, now + PAUSE - TICK), Some(Refusal::Failing));
        assert_eq!(health.refusal(&PUBLIC, now + PAUSE), None);
    }

    #[test]
    fn counts_failures_in_a_row_within_the_window() {
        let now = Duration::from_secs(100);
        for (step, expect) in
            [(FAILURE_WINDOW, Some(Refusal::Failing)), (FAILURE_WINDOW + TICK, None)]
        {
            let mut health = failed(FAILURES_MAX - 1, now);
            health.failed(now + step);
            assert_eq!(health.refusal(&PUBLIC, now + step), expect, "{step:?}");
        }
        let mut health = failed(FAILURES_MAX - 1, now);
        health.succeeded();
        health.failed(now);
        assert_eq!(health.refusal(&PUBLIC, now), None, "an answer ends the row");
    }

    #[test]
    fn one_probe_decides_after_the_pause() {
        let mut health = failed(FAILURES_MAX, Duration::ZERO);
        assert_eq!(health.admit(&PUBLIC, PAUSE), Ok(()));
        assert_eq!(health.admit(&PUBLIC, PAUSE), Err(Refusal::Failing), "one, not two");
        health.failed(PAUSE);
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2 - TICK), Err(Refusal::Failing));
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2), Ok(()), "the next probe");
        health.succeeded();
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2), Ok(()), "and all others");
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2), Ok(()));
    }

    #[test]
    fn a_probe_nobody_hears_of_is_followed_by_another() {
        let mut health = failed(FAILURES_MAX, Duration::ZERO);
        assert_eq!(health.admit(&PUBLIC, PAUSE), Ok(()));
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2 - TICK), Err(Refusal::Failing));
        assert_eq!(health.admit(&PUBLIC, PAUSE * 2), Ok(()));
    }

    #[test]
    fn throttles_as_asked_within_bounds() {
        for (asked, expect) in [
            (Duration::ZERO, THROTTLE_MIN),
            (THROTTLE_MIN, THROTTLE_MIN),
            (Duration::from_secs(30), Duration::from_secs(30)),
            (THROTTLE_MAX, THROTTLE_MAX),
            (THROTTLE_MAX + TICK, THROTTLE_MAX),
            (Duration::MAX, THROTTLE_MAX),
        ] {
            let mut health = Health::default();
            health.throttled(&PUBLIC, Duration::ZERO, asked);
            assert_eq!(health.refusal(&PUBLIC, expect - TICK), Some(Refusal::Throttled));
            assert_eq!(health.refusal(&PUBLIC, expect), None, "{asked:?}");
            assert_eq!(health.refusal(&scope(1), Duration::ZERO), None, "another's quota");
        }
    }

    #[test]
    fn remembers_so_many_scopes_and_no_more() {
        let mut health = Health::default();
        for number in 0..SCOPES_MAX {
            let wait = Duration::from_secs(if number == 7 { 9 } else { 10 });
            health.throttled(&scope(number), Duration::ZERO, wait);
        }
        assert_eq!(health.refusal(&scope(7), Duration::ZERO), Some(Refusal::Throttled));
        health.throttled(&scope(SCOPES_MAX), Duration::ZERO, THROTTLE_MAX);
        assert_eq!(health.refusal(&scope(7), Duration::ZERO), None, "the first to end went");
        assert_eq!(health.throttled_until.len(), SCOPES_MAX);
        let late = Duration::from_secs(10);
        health.throttled(&scope(0), late, THROTTLE_MIN);
        assert_eq!(health.throttled_until.len(), 2, "what has ended goes by itself");
    }
}
