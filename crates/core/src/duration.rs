//! Durations as Go writes them, and so Kubernetes in its own files: `12h0m0s`, `1.5h`, `300ms`.

use std::time::Duration;

/// The units, those that another begins with after it.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// The duration that `text` spells as Go's `time.ParseDuration` reads it: numbers with units, one after
/// the other, or `0`; `None` where it is none, or negative.
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut sum = (!rest.is_empty()).then_some(Duration::ZERO)?;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        let found = UNITS.iter().find_map(|(name, unit)| Some((unit, after.strip_prefix(name)?)));
        let (unit, after) = found?;
        sum = sum.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = after;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, expect) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("12h0m0s", Some(43_200_000)),
            ("1.5h", Some(5_400_000)),
            ("+5m", Some(300_000)),
            ("1m1s1ms", Some(61_001)),
            ("2000us", Some(2)),
            ("2000\u{b5}s", Some(2)),
            (".5s", Some(500)),
            ("", None),
            ("+", None),
            ("5", None),
            ("-5s", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("1d", None),
            ("1 s", None),
            ("1s ", None),
            ("99999999999999999999h", None),
        ] {
            let expect = expect.map(Duration::from_millis);
            assert_eq!(parse_go_duration(text), expect, "{text:?}");
        }
    }
}
