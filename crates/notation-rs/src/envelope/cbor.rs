//! CBOR (RFC 8949) as COSE headers need it, read strictly: definite lengths, each map key once, keys
//! that are numbers or text, UTF-8, nothing after the end. What came is borrowed, so that signed
//! bytes stay what they were.

use std::collections::BTreeMap;

use super::Label;
use crate::json::NESTING_MAX;

/// Data items of one CBOR document: a COSE envelope has about 30, and each takes memory.
const ITEMS_MAX: usize = 1024;

/// A map of a COSE header.
pub(super) type Map<'a> = BTreeMap<Label, Item<'a>>;

/// A data item, as far as COSE envelopes have a use for it.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    Array(Vec<Self>),
    Bytes(&'a [u8]),
    Float(f64),
    Map(Map<'a>),
    /// Any integer that fits.
    Number(i64),
    /// Booleans, null, and integers that do not fit.
    Other,
    Tag(u64, Box<Self>),
    Text(&'a str),
}

/// The one item that `bytes` are; none if they are none.
pub(super) fn parse(bytes: &[u8]) -> Option<Item<'_>> {
    let mut decoder = Decoder { rest: bytes, items: 0 };
    let item = decoder.item(0)?;
    decoder.rest.is_empty().then_some(item)
}

struct Decoder<'a> {
    rest: &'a [u8],
    items: usize,
}

impl<'a> Decoder<'a> {
    fn item(&mut self, depth: usize) -> Option<Item<'a>> {
        self.items = self.items.checked_add(1).filter(|items| *items <= ITEMS_MAX)?;
        let (major, detail, argument) = self.head()?;
        // Only the three kinds that hold others are a level.
        let inner = depth.checked_add(1)?;
        if (4..=6).contains(&major) && inner > NESTING_MAX {
            return None;
        }
        Some(match major {
            0 => i64::try_from(argument).map_or(Item::Other, Item::Number),
            1 => i64::try_from(argument).map_or(Item::Other, |value| Item::Number(!value)),
            2 => Item::Bytes(self.take(argument)?),
            3 => Item::Text(std::str::from_utf8(self.take(argument)?).ok()?),
            4 => Item::Array((0..argument).map(|_| self.item(inner)).collect::<Option<_>>()?),
            5 => Item::Map(self.map(argument, inner)?),
            6 => Item::Tag(argument, Box::new(self.item(inner)?)),
            _ => simple(detail, argument)?,
        })
    }

    fn map(&mut self, length: u64, depth: usize) -> Option<Map<'a>> {
        let mut map = Map::new();
        for _ in 0..length {
            let label = match self.item(depth)? {
                Item::Number(number) => Label::Number(number),
                Item::Text(text) => Label::Text(text.to_owned()),
                _ => return None,
            };
            let value = self.item(depth)?;
            if map.insert(label, value).is_some() {
                return None;
            }
        }
        Some(map)
    }

    /// The major type, the additional information and the argument of an item's head.
    fn head(&mut self) -> Option<(u8, u8, u64)> {
        let [first] = *self.take(1)? else { return None };
        let detail = first & 0x1f;
        let length: u64 = match detail {
            0..=23 => return Some((first >> 5, detail, u64::from(detail))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            // Reserved, and lengths that are not definite.
            _ => return None,
        };
        let argument =
            self.take(length)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        Some((first >> 5, detail, argument))
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Major type 7. Half floats (RFC 8949, appendix D) never hold a time of this century.
fn simple(detail: u8, argument: u64) -> Option<Item<'static>> {
    match detail {
        20..=23 | 25 => Some(Item::Other),
        26 => Some(Item::Float(f64::from(f32::from_bits(u32::try_from(argument).ok()?)))),
        27 => Some(Item::Float(f64::from_bits(argument))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], expect: Option<Item<'_>>) {
        assert_eq!(parse(bytes), expect, "{name}");
    }

    #[test]
    fn reads_definite_items() {
        check("number", &[0x18, 0x64], Some(Item::Number(100)));
        check("negative", &[0x38, 0x24], Some(Item::Number(-37)));
        check(
            "least number",
            &[&[0x3b, 0x7f][..], &[0xff; 7]].concat(),
            Some(Item::Number(i64::MIN)),
        );
        check("too great a number", &[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0], Some(Item::Other));
        check("bytes", &[0x42, 1, 2], Some(Item::Bytes(&[1, 2])));
        check("text", b"\x62ab", Some(Item::Text("ab")));
        check("tag", &[0xc1, 0x01], Some(Item::Tag(1, Box::new(Item::Number(1)))));
        check("float", &[0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Some(Item::Float(1.5)));
        let map = Map::from([(Label::Number(1), Item::Number(2))]);
        check("map", &[0xa1, 1, 2], Some(Item::Map(map)));
        check("null", &[0xf6], Some(Item::Other));
    }

    #[test]
    fn rejects_what_is_indefinite_ambiguous_or_endless() {
        let rejects = |name, bytes: &[u8]| check(name, bytes, None);
        rejects("nothing", &[]);
        rejects("trailing byte", &[0x01, 0x01]);
        rejects("indefinite array", &[0x9f, 0x01, 0xff]);
        rejects("indefinite bytes", &[0x5f, 0x41, 0x01, 0xff]);
        rejects("reserved head", &[0x1c]);
        rejects("shorter than its length", &[0x42, 1]);
        rejects("length beyond memory", &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        rejects("array beyond memory", &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        rejects("one key twice", &[0xa2, 1, 2, 1, 3]);
        rejects("one key in two spellings", &[0xa2, 1, 2, 0x18, 1, 3]);
        rejects("key of bytes", &[0xa1, 0x41, 1, 2]);
        rejects("text that is no UTF-8", &[0x61, 0xff]);
        rejects("undefined simple value", &[0xf0]);
    }

    #[test]
    fn stops_at_its_bounds() {
        let nested = |levels| [vec![0x81; levels], vec![0x01]].concat();
        assert!(parse(&nested(NESTING_MAX)).is_some());
        assert!(parse(&nested(NESTING_MAX + 1)).is_none());
        let flat = |items: usize| {
            let length = u16::try_from(items - 1).unwrap().to_be_bytes();
            [&[0x99, length[0], length[1]][..], &vec![0x01; items - 1]].concat()
        };
        assert!(parse(&flat(ITEMS_MAX)).is_some());
        assert!(parse(&flat(ITEMS_MAX + 1)).is_none());
    }
}
