//! When it was signed, and how that is known.

use super::*;
use crate::timestamp;

const LATER: &str = "2027-01-01T00:00:01Z";

fn garbage(case: &mut Case) {
    case.token = Some(|_| (b"garbage".to_vec(), None));
}

fn stamp(case: &mut Case, token: Stamp) {
    case.token = Some(token);
    case.stores.push("tsa:roots");
}

fn token(signature: &[u8], time: &'static str) -> (Vec<u8>, Option<Certificate>) {
    let (token, root) = timestamp::tests::token(signature, time);
    (token, Some(root))
}

fn good(case: &mut Case) {
    stamp(case, |signature| token(signature, "20250601120000.25Z"));
}

#[test]
fn holds_to_the_clock() {
    check_verdicts(&[
        (
            "before expiry",
            |case| (case.expiry, case.now) = (Some("2026-01-01T00:00:01Z"), "2026-01-01T00:00:00Z"),
            PASS,
        ),
        (
            "at expiry",
            |case| (case.expiry, case.now) = (Some("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z"),
            ("expiry", "Expired"),
        ),
        ("first second", |case| case.now = NOT_BEFORE, PASS),
        (
            "before the first second",
            |case| case.now = "2024-12-31T23:59:59Z",
            ("authenticTimestamp", "CertNotValidAt"),
        ),
        ("last second", |case| case.now = NOT_AFTER, PASS),
        (
            "after the last second",
            |case| case.now = "2027-01-01T00:00:01Z",
            ("authenticTimestamp", "CertNotValidAt"),
        ),
        (
            "after the last second, signed by an authority before it",
            |case| {
                case.scheme = SigningScheme::X509SigningAuthority;
                case.now = "2027-01-01T00:00:01Z";
            },
            PASS,
        ),
    ]);
}

#[test]
fn reads_timestamps_when_the_policy_says_so() {
    check_verdicts(&[
        ("no tsa store, garbage unread", garbage, PASS),
        (
            "no token",
            |case| case.stores.push("tsa:roots"),
            ("authenticTimestamp", "TimestampAbsent"),
        ),
        (
            "no bytes",
            |case| {
                case.stores.push("tsa:roots");
                case.token = Some(|_| (Vec::new(), None));
            },
            ("authenticTimestamp", "TimestampAbsent"),
        ),
        (
            "garbage",
            |case| {
                garbage(case);
                case.stores.push("tsa:roots");
                case.verify_timestamp = "always";
            },
            ("authenticTimestamp", "Timestamp"),
        ),
        (
            "garbage unread before the certificates expire",
            |case| {
                garbage(case);
                case.stores.push("tsa:roots");
                case.verify_timestamp = "afterCertExpiry";
            },
            PASS,
        ),
        (
            "garbage read after they expired",
            |case| {
                garbage(case);
                case.stores.push("tsa:roots");
                case.verify_timestamp = "afterCertExpiry";
                case.now = "2027-01-01T00:00:01Z";
            },
            ("authenticTimestamp", "Timestamp"),
        ),
        (
            "garbage unread, but not valid yet",
            |case| {
                garbage(case);
                case.stores.push("tsa:roots");
                case.verify_timestamp = "afterCertExpiry";
                case.now = "2024-12-31T23:59:59Z";
            },
            ("authenticTimestamp", "CertNotValidAt"),
        ),
        (
            "no token, but a signing authority",
            |case| {
                case.scheme = SigningScheme::X509SigningAuthority;
                case.stores.push("tsa:roots");
            },
            PASS,
        ),
    ]);
}

#[test]
fn takes_the_time_of_a_timestamp_in_place_of_now() {
    check_verdicts(&[
        ("good", good, PASS),
        (
            "good, certificates expired since",
            |case| {
                good(case);
                case.now = LATER;
            },
            PASS,
        ),
        (
            "good, certificates expired since, and asked for only then",
            |case| {
                good(case);
                case.now = LATER;
                case.verify_timestamp = "afterCertExpiry";
            },
            PASS,
        ),
        (
            "good, but not asked for",
            |case| {
                good(case);
                case.now = LATER;
                case.stores.retain(|name| !name.starts_with("tsa:"));
            },
            ("authenticTimestamp", "CertNotValidAt"),
        ),
        (
            "over another signature",
            |case| stamp(case, |_| token(b"x", "20250601120000Z")),
            ("authenticTimestamp", "Timestamp"),
        ),
        (
            "of another authority",
            |case| {
                stamp(case, |signature| (token(signature, "20250601120000Z").0, None));
            },
            ("authenticTimestamp", "Timestamp"),
        ),
        (
            "perhaps before the certificates, by a second",
            |case| stamp(case, |signature| token(signature, "20250101000001Z")),
            ("authenticTimestamp", "TimestampRange"),
        ),
        (
            "for certain not before the certificates",
            |case| stamp(case, |signature| token(signature, "20250101000002Z")),
            PASS,
        ),
    ]);
}

#[test]
fn fails_timestamps_of_revoked_authorities() {
    check_verdicts(&[
        (
            "authority revoked, whatever the level says of revocation",
            |case| {
                good(case);
                case.authority_status = CertificateStatus::Revoked;
                case.overrides = json!({"revocation": "skip"});
            },
            ("authenticTimestamp", "TimestampRevocation"),
        ),
        (
            "authority unknown",
            |case| {
                good(case);
                case.authority_status = CertificateStatus::Unknown(Vec::new());
            },
            ("authenticTimestamp", "TimestampRevocation"),
        ),
        (
            "authority revoked, which is to be logged",
            |case| {
                good(case);
                case.authority_status = CertificateStatus::Revoked;
                case.level = "permissive";
            },
            PASS,
        ),
    ]);
}
