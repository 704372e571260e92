//! What a timestamp token says (RFC 3161, section 2.4.2): the hash it is over, the time, and how
//! exact that time is. Read here because published decoders refuse fractional seconds.

use jiff::{SignedDuration, Timestamp};

use super::TimeRange;
use crate::algorithm::Hash;
use crate::asn1;
use crate::der::{self, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE};
use crate::oids;

/// The accuracy of a token that names none, under the policy of ETSI EN 319 421, which demands it.
const BASELINE_ACCURACY: SignedDuration = SignedDuration::from_secs(1);

#[derive(Debug)]
pub(super) struct TstInfo<'a> {
    /// None for a hash that is not of the SHA-2 family.
    pub(super) hash: Option<Hash>,
    pub(super) hashed_message: &'a [u8],
    pub(super) generated: Timestamp,
    /// How far the true time may lie on either side of `generated`.
    pub(super) accuracy: SignedDuration,
    /// The nonce of the query, an INTEGER with its tag and length.
    #[cfg_attr(
        not(any(test, feature = "signer")),
        expect(dead_code, reason = "only whoever asked knows what it has to be")
    )]
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> TstInfo<'a> {
    /// Parses the contents of a token. Its serial number, ordering and authority's name say nothing to
    /// anybody here and are only passed over.
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut info = der::only(SEQUENCE, input)?.reader();
        if info.unsigned()? != 1 {
            return Err(Malformed);
        }
        let policy = info.content(OID)?;
        let mut imprint = info.sequence()?;
        let hash = Hash::from_oid(imprint.algorithm()?);
        let hashed_message = imprint.content(OCTET_STRING)?;
        imprint.finish()?;
        info.expect(INTEGER)?;
        let generated = asn1::precise_time(info.content(der::GENERALIZED_TIME)?)?;
        let stated = match info.optional(SEQUENCE)? {
            Some(accuracy) => parse_accuracy(accuracy.content)?,
            None => SignedDuration::ZERO,
        };
        info.default_false(der::BOOLEAN)?;
        let nonce = info.optional(INTEGER)?.map(|nonce| nonce.whole);
        info.optional(der::context(0))?;
        // `[1] IMPLICIT Extensions`: the list's elements without its own tag.
        if let Some(extensions) = info.optional(der::context(1))? {
            let extensions = extensions.reader().extension_list()?;
            if asn1::has_unknown_critical(&extensions, &[]) {
                return Err(Malformed);
            }
        }
        info.finish()?;
        let baseline = stated.is_zero() && policy == oids::BASELINE_TSA_POLICY;
        let accuracy = if baseline { BASELINE_ACCURACY } else { stated };
        Ok(Self { hash, hashed_message, generated, accuracy, nonce })
    }

    /// The span that holds the true time; none if it leaves the calendar.
    pub(super) fn range(&self) -> Option<TimeRange> {
        Some(TimeRange {
            earliest: self.generated.checked_sub(self.accuracy).ok()?,
            latest: self.generated.checked_add(self.accuracy).ok()?,
        })
    }
}

/// `Accuracy`: seconds, [0] milliseconds and [1] microseconds, each optional, added up.
fn parse_accuracy(contents: &[u8]) -> Result<SignedDuration, Malformed> {
    // Tag, greatest value, unit.
    let parts = [
        (INTEGER, i32::MAX, SignedDuration::from_secs(1)),
        (asn1::primitive(0), 999, SignedDuration::from_millis(1)),
        (asn1::primitive(1), 999, SignedDuration::from_micros(1)),
    ];
    let mut reader = Reader::new(contents);
    let mut sum = SignedDuration::ZERO;
    for (tag, most, unit) in parts {
        let Some(part) = reader.optional(tag)? else { continue };
        let value = i32::try_from(asn1::unsigned(part.content)?).map_err(|_| Malformed)?;
        if value > most {
            return Err(Malformed);
        }
        let part = unit.checked_mul(value).ok_or(Malformed)?;
        sum = sum.checked_add(part).ok_or(Malformed)?;
    }
    reader.finish()?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_der::{octets, oid, sequence, tlv};

    /// The parts of a token as Microsoft's authority writes it, to be changed one at a time.
    struct Parts {
        version: Vec<u8>,
        policy: Vec<u8>,
        time: &'static [u8],
        accuracy: Vec<u8>,
        rest: Vec<u8>,
    }

    fn parts() -> Parts {
        Parts {
            version: tlv(INTEGER, &[&[1]]),
            policy: oid(b"\x2b\x06\x01\x04\x01\x84\x59\x0a\x03\x01"),
            time: b"20250121091746.641Z",
            accuracy: sequence(&[&tlv(0x80, &[&[0x01, 0xf4]])]),
            rest: tlv(INTEGER, &[&[0x14]]),
        }
    }

    fn encode(parts: &Parts) -> Vec<u8> {
        let hash = sequence(&[&oid(oids::SHA256), &tlv(asn1::NULL, &[])]);
        sequence(&[
            &parts.version,
            &parts.policy,
            &sequence(&[&hash, &octets(&[7; 32])]),
            &tlv(INTEGER, &[&[0x67, 0x8e]]),
            &tlv(der::GENERALIZED_TIME, &[parts.time]),
            &parts.accuracy,
            &parts.rest,
        ])
    }

    #[test]
    fn reads_a_fraction_of_a_second_and_the_accuracy() {
        let bytes = encode(&parts());
        let info = TstInfo::parse(&bytes).unwrap();
        assert_eq!(info.generated.to_string(), "2025-01-21T09:17:46.641Z");
        assert_eq!(info.accuracy, SignedDuration::from_millis(500));
        assert_eq!(info.hash, Some(Hash::Sha256));
        assert_eq!(info.hashed_message, [7; 32]);
    }

    #[test]
    fn adds_up_the_accuracy() {
        let baseline = oid(oids::BASELINE_TSA_POLICY);
        let other = oid(b"\x2a\x03");
        let all: &[&[u8]] = &[&tlv(INTEGER, &[&[2]]), &tlv(0x80, &[&[3]]), &tlv(0x81, &[&[4]])];
        let cases = [
            ("all parts", &other, sequence(all), Some(2_003_004)),
            ("none", &other, vec![], Some(0)),
            ("none under the baseline policy", &baseline, vec![], Some(1_000_000)),
            ("zero under the baseline policy", &baseline, sequence(&[]), Some(1_000_000)),
            ("own under the baseline policy", &baseline, sequence(&[all[1]]), Some(3_000)),
            ("999 ms", &other, sequence(&[&tlv(0x80, &[&[3, 0xe7]])]), Some(999_000)),
            ("1000 ms", &other, sequence(&[&tlv(0x80, &[&[3, 0xe8]])]), None),
            ("negative", &other, sequence(&[&tlv(INTEGER, &[&[0xff]])]), None),
            ("out of order", &other, sequence(&[all[1], all[0]]), None),
        ];
        for (name, policy, accuracy, expect) in cases {
            let bytes = encode(&Parts { policy: policy.clone(), accuracy, ..parts() });
            let accuracy = TstInfo::parse(&bytes).ok().map(|info| info.accuracy.as_micros());
            assert_eq!(accuracy, expect, "{name}");
        }
    }

    #[test]
    fn refuses_what_rfc_3161_does_not_allow() {
        let extension = |critical: &[u8]| {
            let inner = sequence(&[&oid(b"\x2a\x03"), critical, &octets(b"")]);
            tlv(0xa1, &[&inner])
        };
        let critical = tlv(der::BOOLEAN, &[&[0xff]]);
        let ordering = tlv(der::BOOLEAN, &[&[0xff]]);
        let nonce = tlv(INTEGER, &[&[1]]);
        let authority = tlv(0xa0, &[&tlv(0x82, &[b"a"])]);
        let whole = [&ordering[..], &nonce, &authority, &extension(b"")].concat();
        let cases = [
            ("nothing optional", Parts { rest: vec![], ..parts() }, true),
            ("all that is optional", Parts { rest: whole, ..parts() }, true),
            ("version 2", Parts { version: tlv(INTEGER, &[&[2]]), ..parts() }, false),
            ("critical extension", Parts { rest: extension(&critical), ..parts() }, false),
            ("something after", Parts { rest: tlv(asn1::NULL, &[]), ..parts() }, false),
            ("local time", Parts { time: b"20250121091746", ..parts() }, false),
            ("offset", Parts { time: b"20250121091746+0100", ..parts() }, false),
        ];
        for (name, parts, expect) in cases {
            assert_eq!(TstInfo::parse(&encode(&parts)).is_ok(), expect, "{name}");
        }
        let trailing = [encode(&parts()), vec![0]].concat();
        assert!(TstInfo::parse(&trailing).is_err());
    }
}
