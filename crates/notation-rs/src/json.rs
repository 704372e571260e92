//! JSON as strictly as signatures need it: what one parser reads and another does not is a way to be
//! shown one thing and verify another.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Levels of arrays and objects in each other; envelopes, payloads and policies need at most six.
pub(crate) const NESTING_MAX: usize = 16;

/// The value that `bytes` are: UTF-8, nothing after it, no deeper than [`NESTING_MAX`]. None if they
/// are not; why is not told, since the text would be the other side's.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    if deepest(bytes) > NESTING_MAX { None } else { serde_json::from_slice(bytes).ok() }
}

/// The number of levels of valid JSON; of anything else, some number.
fn deepest(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A `T` from an object only: structs derived by serde take arrays too.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(FromMap(PhantomData))
    }
}

/// An object of at most `MAX` members, each name once.
#[derive(Debug)]
pub(crate) struct Unique<V, const MAX: usize>(pub(crate) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Unique<V, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V, const MAX: usize>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>, const MAX: usize> Visitor<'de> for Members<V, MAX> {
            type Value = Unique<V, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {MAX} members, each name once")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() || members.len() > MAX {
                        return Err(A::Error::custom("too many members, or one name twice"));
                    }
                }
                Ok(Unique(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_its_bounds() {
        let nested = |levels| [vec![b'['; levels], vec![b']'; levels]].concat();
        let accepts = |bytes: &[u8]| parse::<serde::de::IgnoredAny>(bytes).is_some();
        assert!(accepts(&nested(NESTING_MAX)));
        assert!(!accepts(&nested(NESTING_MAX + 1)));
        assert!(accepts(br#""[[[[[[[[[[[[[[[[[[[[[[\"[[[""#), "brackets in a string are text");

        assert!(parse::<Unique<u8, 2>>(br#"{"a":1,"b":2}"#).is_some());
        assert!(parse::<Unique<u8, 2>>(br#"{"a":1,"b":2,"c":3}"#).is_none());
    }

    #[test]
    fn rejects_what_parsers_differ_on() {
        assert!(parse::<Unique<u8, 9>>(br#"{"a":1,"a":1}"#).is_none(), "one name twice");
        assert!(parse::<Unique<u8, 9>>(br#"{"a":1,"\u0061":1}"#).is_none(), "in two spellings");
        assert!(parse::<Unique<u8, 9>>(b"{}{}").is_none(), "trailing data");
        assert!(parse::<Unique<u8, 9>>(b"\xef\xbb\xbf{}").is_none(), "byte order mark");
    }
}
