//! Durations as users of Kubernetes write them: `30s`, `10m`, `1h30m`.

use std::time::Duration;

/// The units, longest name first.
const UNITS: [(&str, Duration); 4] = [
    ("ms", Duration::from_millis(1)),
    ("h", Duration::from_secs(60 * 60)),
    ("m", Duration::from_secs(60)),
    ("s", Duration::from_secs(1)),
];

/// The duration that `text` spells: whole numbers with units, one after the other.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let error = || {
        format!("'{text}' is no duration: write a whole number and ms, s, m or h, as in 30s or 10m")
    };
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() || text.is_empty() {
        let digits =
            rest.len().saturating_sub(rest.trim_start_matches(|c: char| c.is_ascii_digit()).len());
        let (number, unit_and_rest) = rest.split_at_checked(digits).ok_or_else(error)?;
        let number: u32 = number.parse().map_err(|_| error())?;
        let unit =
            UNITS.iter().find_map(|(name, unit)| Some((unit, unit_and_rest.strip_prefix(name)?)));
        let (unit, after) = unit.ok_or_else(error)?;
        sum = unit.checked_mul(number).and_then(|part| sum.checked_add(part)).ok_or_else(error)?;
        rest = after;
    }
    Ok(sum)
}
