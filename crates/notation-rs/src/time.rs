//! Times as certificates and envelopes write them, strictly: one spelling each, UTC out.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// The time of an ASN.1 `UTCTime` of RFC 5280, section 4.1.2.5.1: `YYMMDDhhmmssZ`, 1950 to 2049.
pub(crate) fn utc_time(text: &[u8]) -> Option<Timestamp> {
    let (digits, b"Z") = text.split_at_checked(12)? else { return None };
    let [yy, month, day, hour, minute, second] = pairs(digits)?;
    let century = if yy < 50 { 2000 } else { 1900 };
    timestamp(yy.checked_add(century)?, [month, day, hour, minute, second], Offset::UTC)
}

/// The time of an ASN.1 `GeneralizedTime` of RFC 5280, section 4.1.2.5.2: `YYYYMMDDhhmmssZ`. (The
/// times of RFC 3161 may have fractions, which certificates must not.)
pub(crate) fn generalized_time(text: &[u8]) -> Option<Timestamp> {
    let (digits, b"Z") = text.split_at_checked(14)? else { return None };
    let [yyyy, yy, month, day, hour, minute, second] = pairs(digits)?;
    let year = yyyy.checked_mul(100)?.checked_add(yy)?;
    timestamp(year, [month, day, hour, minute, second], Offset::UTC)
}

/// The time of RFC 3339 text: `2024-05-01T10:00:00Z`, with or without a fraction (cut to nanoseconds)
/// and with any offset below a day.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let (moment, rest) = text.as_bytes().split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', ref time @ ..] = *moment else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = *time else { return None };
    let [yyyy, yy, month, day, hour, minute, second] =
        pairs(&[y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, n1, n2, s1, s2])?;
    let year = yyyy.checked_mul(100)?.checked_add(yy)?;
    let (fraction, zone) = fraction(rest)?;
    let whole = timestamp(year, [month, day, hour, minute, second], offset(zone)?)?;
    Some(whole.saturating_add(fraction).unwrap_or(whole))
}

/// The time `seconds` after the start of 1970, or before it; none after year 9999.
pub(crate) fn epoch(seconds: i64) -> Option<Timestamp> {
    /// The last second of year 9999.
    const LAST: i64 = 253_402_300_799;
    let last = Timestamp::MAX.as_second();
    if (last..=LAST).contains(&seconds) {
        return Some(Timestamp::MAX);
    }
    Timestamp::from_second(seconds).ok()
}

/// A fraction of a second, and what follows it: no fraction is none of it, but a point wants a digit.
fn fraction(rest: &[u8]) -> Option<(SignedDuration, &[u8])> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((SignedDuration::ZERO, rest)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) =
        fraction.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
    let nine = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = nine.fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit & 0x0f))
    });
    Some((SignedDuration::from_nanos(nanoseconds), zone))
}

fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, h1, h2, m1, m2) = match *text {
        [b'Z'] => return Some(Offset::UTC),
        [b'+', h1, h2, b':', m1, m2] => (1, h1, h2, m1, m2),
        [b'-', h1, h2, b':', m1, m2] => (-1, h1, h2, m1, m2),
        _ => return None,
    };
    let [hours, minutes] = pairs(&[h1, h2, m1, m2])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let minutes = i32::from(hours).checked_mul(60)?.checked_add(i32::from(minutes))?;
    Offset::from_seconds(minutes.checked_mul(60)?.checked_mul(sign)?).ok()
}

/// `N` numbers of two digits each: all of `digits`.
fn pairs<const N: usize>(digits: &[u8]) -> Option<[i16; N]> {
    let mut numbers = [0; N];
    let (chunks, []) = digits.as_chunks::<2>() else { return None };
    if chunks.len() != N || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for (number, [tens, units]) in numbers.iter_mut().zip(chunks) {
        *number = i16::from(tens & 0x0f).checked_mul(10)?.checked_add(i16::from(units & 0x0f))?;
    }
    Some(numbers)
}

/// The timestamp of a moment. The last hours of year 9999, which RFC 5280 uses for "never" and
/// [`Timestamp`] does not reach, are its last moment.
fn timestamp(year: i16, rest: [i16; 5], offset: Offset) -> Option<Timestamp> {
    let [month, day, hour, minute, second] = rest.map(|part| i8::try_from(part).unwrap_or(-1));
    let moment = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    match offset.to_timestamp(moment) {
        Ok(time) => Some(time),
        Err(_) if year == 9999 => Some(Timestamp::MAX),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn reads_the_times_of_certificates() {
        let utc: [(&str, Option<Timestamp>); 7] = [
            ("240501100000Z", at("2024-05-01T10:00:00Z")),
            ("500101000000Z", at("1950-01-01T00:00:00Z")),
            ("491231235959Z", at("2049-12-31T23:59:59Z")),
            ("240501100000", None),
            ("2405011000Z", None),
            ("240501100000+0000", None),
            ("24050110000:Z", None),
        ];
        for (text, expect) in utc {
            assert_eq!(utc_time(text.as_bytes()), expect, "{text}");
        }
        let generalized: [(&str, Option<Timestamp>); 6] = [
            ("20500501100000Z", at("2050-05-01T10:00:00Z")),
            ("99991231235959Z", Some(Timestamp::MAX)),
            ("20500501100000.5Z", None),
            ("20501301100000Z", None),
            ("20500230100000Z", None),
            ("20500501100060Z", None),
        ];
        for (text, expect) in generalized {
            assert_eq!(generalized_time(text.as_bytes()), expect, "{text}");
        }
    }

    #[test]
    fn reads_seconds_up_to_year_9999() {
        let cases = [
            (-1, at("1969-12-31T23:59:59Z")),
            (1_714_557_600, at("2024-05-01T10:00:00Z")),
            (253_402_207_199, at("9999-12-30T21:59:59Z")),
            (253_402_207_200, Some(Timestamp::MAX)),
            (253_402_300_799, Some(Timestamp::MAX)),
            (253_402_300_800, None),
            (i64::MIN, None),
        ];
        for (seconds, expect) in cases {
            assert_eq!(epoch(seconds), expect, "{seconds}");
        }
    }

    #[test]
    fn reads_rfc3339_and_nothing_looser() {
        let cases = [
            ("2024-05-01T10:00:00Z", at("2024-05-01T10:00:00Z")),
            ("2024-05-01T18:00:00+08:00", at("2024-05-01T10:00:00Z")),
            ("2024-05-01T03:30:00-06:30", at("2024-05-01T10:00:00Z")),
            ("2024-05-01T10:00:00.5+00:00", at("2024-05-01T10:00:00.5Z")),
            ("2024-05-01T10:00:00.1234567899Z", at("2024-05-01T10:00:00.123456789Z")),
            ("9999-12-31T23:59:59.5Z", Some(Timestamp::MAX)),
            ("9999-12-31T23:59:59Z", Some(Timestamp::MAX)),
            ("2024-05-01", None),
            ("2024-05-01T10:00:00", None),
            ("2024-05-01t10:00:00Z", None),
            ("2024-05-01T10:00:00z", None),
            ("2024-05-01 10:00:00Z", None),
            ("2024-05-01T10:00:00.Z", None),
            ("2024-05-01T10:00:00,5Z", None),
            ("2024-05-01T10:00:00+0800", None),
            ("2024-05-01T10:00:00+24:00", None),
            ("2024-05-01T10:00:00+08:60", None),
            ("2024-05-01T24:00:00Z", None),
            ("2024-05-01T10:00:60Z", None),
            ("2023-02-29T10:00:00Z", None),
            (" 2024-05-01T10:00:00Z", None),
            ("2024-05-01T10:00:00Z ", None),
            ("", None),
        ];
        for (text, expect) in cases {
            assert_eq!(rfc3339(text), expect, "{text:?}");
        }
    }
}
