//! Until when an answer is needed: what is left of the API server's patience, less a margin.

use std::time::Duration;

/// What the API server gives a webhook that names no `timeoutSeconds`.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The longest `timeoutSeconds` that the API server accepts.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// From our answer to the API server's deadline: it rounds what is left up to whole seconds, so
/// that one of them may not be there, and the answer has to travel.
const MARGIN: Duration = Duration::from_millis(1200);

/// Below this the margin would be too much of what is left, and half of it is used.
const MARGIN_FROM: Duration = Duration::from_secs(3);

/// How long an answer may take, by the query of the request's URL.
pub(crate) fn budget(query: Option<&str>) -> Duration {
    let timeout = timeout(query.unwrap_or_default());
    match timeout {
        short if short < MARGIN_FROM => short / 2,
        long => long - MARGIN,
    }
}

/// The timeout that the API server names: `timeout=10s`. One that says nothing is the default.
fn timeout(query: &str) -> Duration {
    let written = query.split('&').find_map(|pair| pair.strip_prefix("timeout="));
    let timeout = written.and_then(go_duration).filter(|timeout| !timeout.is_zero());
    timeout.unwrap_or(TIMEOUT_DEFAULT).min(TIMEOUT_MAX)
}

/// A duration as Go writes it (`time.ParseDuration`): `10s`, `1m30s`, `1.5s`, `500ms`. What is not
/// a duration is `None`; what is too long for one is the longest.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !matches!(character, '0'..='9' | '.'))?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|character: char| matches!(character, '0'..='9' | '.'));
        let (unit, tail) = tail.split_at(letters.unwrap_or(tail.len()));
        let seconds = number.parse::<f64>().ok()? * seconds_in(unit)?;
        total = total.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        rest = tail;
    }
    Some(total)
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_budget(query: &str, expect_ms: u64) {
        assert_eq!(budget(Some(query)), Duration::from_millis(expect_ms), "{query}");
    }

    #[test]
    fn answers_before_the_deadline() {
        check_budget("timeout=10s", 8_800);
        check_budget("timeout=5s", 3_800);
        check_budget("a=b&timeout=5s&c=d", 3_800);
        check_budget("timeout=3s", 1_800);
        check_budget("timeout=2.998s", 1_499);
        check_budget("timeout=2s", 1_000);
        check_budget("timeout=1s", 500);
        check_budget("timeout=500ms", 250);
        check_budget("timeout=1s500ms", 750);
        check_budget("timeout=0.25m", 13_800);
    }

    #[test]
    fn caps_what_is_absurd() {
        check_budget("timeout=30s", 28_800);
        check_budget("timeout=31s", 28_800);
        check_budget("timeout=1m", 28_800);
        check_budget("timeout=9999999999999999999999h", 28_800);
    }

    #[test]
    fn takes_the_default_for_what_is_no_timeout() {
        assert_eq!(budget(None), Duration::from_millis(8_800));
        let nonsense = ["", "timeout", "timeout=", "timeout=10", "timeout=s", "timeout=-5s"];
        for query in nonsense {
            check_budget(query, 8_800);
        }
        for query in ["timeout=0s", "timeout=1d", "timeout=1..2s", "timeout=ten", "xtimeout=5s"] {
            check_budget(query, 8_800);
        }
    }
}
