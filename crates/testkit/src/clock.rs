//! Time as the test says it is, so that no test sleeps or depends on the day it runs.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use assay_core::ports::Clock;
use jiff::Timestamp;

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct FixedClock {
    start: Timestamp,
    elapsed: Mutex<Duration>,
}

impl FixedClock {
    /// A clock that stands at `start`, with zero ticks.
    pub fn at(start: Timestamp) -> Self {
        Self { start, elapsed: Mutex::default() }
    }

    /// Moves both the time of day and the ticks forward by `step`.
    pub fn advance(&self, step: Duration) {
        let mut elapsed = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
        *elapsed = elapsed.saturating_add(step);
    }
}

impl Default for FixedClock {
    /// A clock that stands at the Unix epoch.
    fn default() -> Self {
        Self::at(Timestamp::UNIX_EPOCH)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        // A clock advanced past the last timestamp there is stays at it.
        self.start.checked_add(self.ticks()).unwrap_or(Timestamp::MAX)
    }

    fn ticks(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_time_and_ticks_together_and_only_when_told() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = FixedClock::at(start);
        assert_eq!((clock.now(), clock.ticks()), (start, Duration::ZERO));

        clock.advance(Duration::from_secs(30));
        clock.advance(Duration::from_secs(31));

        assert_eq!(clock.ticks(), Duration::from_secs(61));
        assert_eq!(clock.now(), "2026-01-02T03:05:06Z".parse().unwrap());
    }

    #[test]
    fn stays_at_the_last_timestamp() {
        let clock = FixedClock::default();
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
