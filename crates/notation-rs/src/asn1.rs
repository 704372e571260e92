//! What timestamps, CRLs and OCSP responses are made of, on top of `der.rs`: integers, times with
//! fractions, algorithm identifiers, extensions.

use jiff::{SignedDuration, Timestamp};

use crate::der::{
    self, BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader,
    SEQUENCE, UTC_TIME,
};
use crate::time;

pub(crate) const NULL: u8 = 0x05;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SET: u8 = 0x31;

/// Extensions in one list; those in use have at most five. They are compared with each other.
const EXTENSIONS_MAX: usize = 16;

/// The tag of `[number]` with primitive contents.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// One extension (RFC 5280, section 4.2), with the contents of its identifier and of its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The content of the next element, which must have `tag`.
    pub(crate) fn content(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        Ok(self.expect(tag)?.content)
    }

    /// A reader of the next element, which must have `tag`.
    pub(crate) fn nested(&mut self, tag: u8) -> Result<Self, Malformed> {
        Ok(self.expect(tag)?.reader())
    }

    /// A reader of the next element, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.nested(SEQUENCE)
    }

    /// The value of the next element, an INTEGER that is not negative and fits 64 bits.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Malformed> {
        unsigned(self.content(INTEGER)?)
    }

    /// The value of a BOOLEAN of `tag` that is FALSE if absent.
    pub(crate) fn default_false(&mut self, tag: u8) -> Result<bool, Malformed> {
        self.optional(tag)?.map_or(Ok(false), |element| der::boolean(element.content))
    }

    /// The bytes of the next element, a BIT STRING.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], Malformed> {
        der::whole_bits(self.content(BIT_STRING)?)
    }

    /// Whether the next element has `tag`.
    pub(crate) fn next_is(&self, tag: u8) -> bool {
        let mut ahead = *self;
        ahead.expect(tag).is_ok()
    }

    /// The next element, a time as RFC 5280 (section 4.1.2.5) writes it.
    pub(crate) fn time(&mut self) -> Result<Timestamp, Malformed> {
        let element = self.any()?;
        match element.tag {
            UTC_TIME => time::utc_time(element.content),
            GENERALIZED_TIME => time::generalized_time(element.content),
            _ => None,
        }
        .ok_or(Malformed)
    }

    /// Whether the next element has one of the tags of a time.
    pub(crate) fn next_is_time(&self) -> bool {
        self.next_is(UTC_TIME) || self.next_is(GENERALIZED_TIME)
    }

    /// The identifier's content of the next element, an algorithm with parameters absent or NULL.
    pub(crate) fn algorithm(&mut self) -> Result<&'a [u8], Malformed> {
        let mut algorithm = self.sequence()?;
        let oid = algorithm.content(OID)?;
        if algorithm.optional(NULL)?.is_some_and(|null| !null.content.is_empty()) {
            return Err(Malformed);
        }
        algorithm.finish()?;
        Ok(oid)
    }

    /// The next element, a SEQUENCE of extensions in which none occurs twice.
    pub(crate) fn extensions(&mut self) -> Result<Vec<Extension<'a>>, Malformed> {
        self.sequence()?.extension_list()
    }

    /// All that is left, extensions of which none occurs twice.
    pub(crate) fn extension_list(mut self) -> Result<Vec<Extension<'a>>, Malformed> {
        let mut extensions: Vec<Extension<'a>> = Vec::new();
        while !self.is_empty() {
            let mut fields = self.sequence()?;
            let oid = fields.content(OID)?;
            let critical = fields.default_false(BOOLEAN)?;
            let value = fields.content(OCTET_STRING)?;
            fields.finish()?;
            let twice = extensions.iter().any(|known| known.oid == oid);
            if twice || extensions.len() == EXTENSIONS_MAX {
                return Err(Malformed);
            }
            extensions.push(Extension { oid, critical, value });
        }
        Ok(extensions)
    }

    /// The extensions inside the next element if it has `tag`, that of an explicit field.
    pub(crate) fn explicit_extensions(&mut self, tag: u8) -> Result<Vec<Extension<'a>>, Malformed> {
        let Some(explicit) = self.optional(tag)? else { return Ok(Vec::new()) };
        let mut inner = explicit.reader();
        let extensions = inner.extensions()?;
        inner.finish()?;
        Ok(extensions)
    }
}

/// The value of the extension `oid`.
pub(crate) fn find<'a>(extensions: &[Extension<'a>], oid: &[u8]) -> Option<&'a [u8]> {
    extensions.iter().find(|extension| extension.oid == oid).map(|extension| extension.value)
}

/// Whether a critical extension is among them whose identifier is none of `known`.
pub(crate) fn has_unknown_critical(extensions: &[Extension<'_>], known: &[&[u8]]) -> bool {
    extensions.iter().any(|extension| extension.critical && !known.contains(&extension.oid))
}

/// The value of an INTEGER's content that is not negative and fits 64 bits.
pub(crate) fn unsigned(content: &[u8]) -> Result<u64, Malformed> {
    let digits = match content {
        [0, second, ..] if second & 0x80 == 0 => return Err(Malformed),
        [0, digits @ ..] if !digits.is_empty() => digits,
        [first, ..] if first & 0x80 == 0 => content,
        _ => return Err(Malformed),
    };
    if digits.len() > 8 {
        return Err(Malformed);
    }
    Ok(digits.iter().fold(0, |value, &digit| (value << 8) | u64::from(digit)))
}

/// `YYYYMMDDhhmmss[.f+]Z`, the time of RFC 3161, which certificates must not use: authorities write
/// fractions. Digits finer than a nanosecond are dropped.
pub(crate) fn precise_time(text: &[u8]) -> Result<Timestamp, Malformed> {
    let (whole, rest) = text.split_at_checked(14).ok_or(Malformed)?;
    let fraction = match rest.strip_suffix(b"Z").ok_or(Malformed)? {
        [] => SignedDuration::ZERO,
        [b'.', digits @ ..] => fraction(digits)?,
        _ => return Err(Malformed),
    };
    let whole = time::generalized_time(&[whole, b"Z"].concat()).ok_or(Malformed)?;
    whole.checked_add(fraction).map_err(|_| Malformed)
}

/// The decimal fraction of a second after the point, of at least one digit.
fn fraction(digits: &[u8]) -> Result<SignedDuration, Malformed> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9).collect();
    let nanoseconds = String::from_utf8(padded).map_err(|_| Malformed)?;
    nanoseconds.parse().map(SignedDuration::from_nanos).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_der::{octets, oid, sequence, tlv};

    #[test]
    fn reads_times_with_fractions() {
        let cases = [
            ("20250121091746Z", Some("2025-01-21T09:17:46Z")),
            ("20250121091746.641Z", Some("2025-01-21T09:17:46.641Z")),
            ("20250121091746.6Z", Some("2025-01-21T09:17:46.6Z")),
            ("20250121091746.1234567899Z", Some("2025-01-21T09:17:46.123456789Z")),
            ("99991231235959.5Z", None),
            ("20250121091746.Z", None),
            ("20250121091746,5Z", None),
            ("20250121091746.+5Z", None),
            ("20250121091746", None),
            ("20250121091746+0100", None),
            ("20250121091746.6", None),
            ("202501210917Z", None),
            ("20250229000000Z", None),
        ];
        for (text, expect) in cases {
            let time = precise_time(text.as_bytes()).ok();
            assert_eq!(time, expect.map(|expect| expect.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn reads_integers_in_their_shortest_form_only() {
        let cases: [(&[u8], Option<u64>); 9] = [
            (&[0], Some(0)),
            (&[0x7f], Some(127)),
            (&[0, 0x80], Some(128)),
            (&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(u64::MAX)),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[0x80], None),
            (&[0, 0x7f], None),
            (&[0, 0], None),
            (&[], None),
        ];
        for (content, expect) in cases {
            assert_eq!(unsigned(content).ok(), expect, "{content:02x?}");
        }
    }

    #[test]
    fn reads_sixteen_extensions_and_refuses_more_or_the_same_twice() {
        let extension = |number: u8| sequence(&[&oid(&[number]), &octets(b"v")]);
        let list = |numbers: &[u8]| {
            sequence(&[&numbers.iter().flat_map(|&number| extension(number)).collect::<Vec<_>>()])
        };
        let sixteen: Vec<u8> = (0..16).collect();
        let seventeen: Vec<u8> = (0..17).collect();
        let cases = [
            ("none", list(&[]), Some(0)),
            ("sixteen", list(&sixteen), Some(16)),
            ("seventeen", list(&seventeen), None),
            ("twice", list(&[1, 1]), None),
            ("no value", sequence(&[&sequence(&[&oid(&[1])])]), None),
        ];
        for (name, bytes, expect) in cases {
            let seen = Reader::new(&bytes).extensions().ok().map(|extensions| extensions.len());
            assert_eq!(seen, expect, "{name}");
        }
    }

    #[test]
    fn refuses_parameters_of_a_hash() {
        let cases = [
            ("absent", vec![], true),
            ("NULL", tlv(NULL, &[]), true),
            ("NULL with content", tlv(NULL, &[b"x"]), false),
            ("other", octets(b"x"), false),
        ];
        for (name, parameters, expect) in cases {
            let bytes = sequence(&[&oid(crate::oids::SHA256), &parameters]);
            assert_eq!(Reader::new(&bytes).algorithm().is_ok(), expect, "{name}");
        }
    }
}
