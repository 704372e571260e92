//! What a caller can set.

use super::*;
use crate::envelope::ENVELOPE_BYTES_LIMIT;

#[test]
fn refuses_unknown_attributes_of_subjects_where_that_is_set() {
    fn refuse(case: &mut Case) {
        case.unknown_attributes = UnknownAttributes::Refuse;
        case.leaf = |pki| &pki.leaf_with_email;
    }
    check_verdicts(&[
        ("ignored", |case| case.leaf = |pki| &pki.leaf_with_email, PASS),
        ("refused", refuse, ("authenticity", "UnusableIdentity")),
        ("refused, and none", |case| case.unknown_attributes = UnknownAttributes::Refuse, PASS),
        (
            "refused, but anybody will do",
            |case| {
                refuse(case);
                case.identities = vec!["*"];
            },
            PASS,
        ),
    ]);
}

#[test]
fn reads_envelopes_up_to_the_bound_that_is_set() {
    const TOO_LARGE: Failed = ("integrity", "InvalidEnvelope");
    for format in [EnvelopeFormat::Cose, EnvelopeFormat::Jws] {
        let verdict = |bound_from_size: fn(usize) -> usize| {
            let mut case = Case { format, ..Case::default() };
            // Signatures on P-256 have one length in envelopes, so that the next one is as long.
            case.envelope_bytes_max = bound_from_size(case.envelope().0.len());
            case.failure()
        };
        assert_eq!(verdict(|size| size), PASS);
        assert_eq!(verdict(|size| size - 1), TOO_LARGE);
        assert_eq!(verdict(|_| 0), TOO_LARGE);
        assert_eq!(verdict(|_| usize::MAX), PASS);
    }
    // What fills the bound is no envelope, which shows only if it is read.
    const READ: &str = "the envelope is not a tagged COSE_Sign1";
    const MAX: usize = ENVELOPE_BYTES_MAX;
    const LIMIT: usize = ENVELOPE_BYTES_LIMIT;
    type Tamper = fn(&mut Vec<u8>);
    let cases: [(usize, Tamper, &str); 4] = [
        (MAX, |bytes| bytes.resize(MAX, 0), READ),
        (MAX, |bytes| bytes.resize(MAX + 1, 0), "more than 4194304 bytes"),
        (LIMIT + 1, |bytes| bytes.resize(LIMIT, 0), READ),
        (LIMIT + 1, |bytes| bytes.resize(LIMIT + 1, 0), "more than 33554432 bytes"),
    ];
    for (envelope_bytes_max, tamper, says) in cases {
        let case = Case { envelope_bytes_max, tamper, ..Case::default() };
        let text = case.verify().0.verdict.unwrap_err().to_string();
        assert!(text.contains(says), "{envelope_bytes_max}: {text}");
    }
}
