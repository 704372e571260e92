//! A reader of DER that keeps where everything lies: a certificate's signature is over its bytes as
//! received, so nothing here is ever encoded again. Tags of one byte, definite minimal lengths.

use std::ops::Range;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The tag of the constructed, context-specific field `number` (below 31).
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The bytes are not the DER that was expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub(crate) struct Malformed;

/// One element: its tag, its content, and the two with the length between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
    /// Where the element ends, counted from the start of the outermost bytes.
    end: usize,
}

impl<'a> Element<'a> {
    /// A reader of the elements within.
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader { rest: self.content, at: self.end.saturating_sub(self.content.len()) }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.end.saturating_sub(self.whole.len())..self.end
    }

    pub(crate) fn content_range(&self) -> Range<usize> {
        self.end.saturating_sub(self.content.len())..self.end
    }
}

/// What is left to be read of some DER.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever its tag.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, after_length) = read_length(after_tag)?;
        let (content, rest) = after_length.split_at_checked(length).ok_or(Malformed)?;
        let size = self.rest.len().saturating_sub(rest.len());
        let whole = self.rest.get(..size).ok_or(Malformed)?;
        self.rest = rest;
        self.at = self.at.saturating_add(size);
        Ok(Element { tag, whole, content, end: self.at })
    }

    /// The next element, which must have `tag`.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        Some(self.any()?).filter(|element| element.tag == tag).ok_or(Malformed)
    }

    /// The next element if it has `tag`; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing, if everything has been read.
    pub(crate) const fn finish(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// The one element of `tag` that `bytes` are, with nothing after it.
pub(crate) fn only(tag: u8, bytes: &[u8]) -> Result<Element<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.finish()?;
    Ok(element)
}

/// The value of a BOOLEAN's content: DER knows 0x00 and 0xff only.
pub(crate) const fn boolean(content: &[u8]) -> Result<bool, Malformed> {
    match content {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(Malformed),
    }
}

/// The value of an INTEGER's content that is in 0..=255.
pub(crate) const fn small_integer(content: &[u8]) -> Result<u8, Malformed> {
    match content {
        [value @ 0..=0x7f] | [0, value @ 0x80..=0xff] => Ok(*value),
        _ => Err(Malformed),
    }
}

/// The bytes of a BIT STRING's content, which must be whole bytes.
pub(crate) const fn whole_bits(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// A length and the bytes after it: minimal, definite, at most three bytes of number (16 MiB, four
/// times the largest envelope).
fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    match *bytes {
        [short @ 0..=0x7f, ref rest @ ..] => Ok((usize::from(short), rest)),
        [0x81, a @ 0x80..=0xff, ref rest @ ..] => Ok((usize::from(a), rest)),
        [0x82, a @ 1..=0xff, b, ref rest @ ..] => {
            Ok((usize::from(u16::from_be_bytes([a, b])), rest))
        }
        [0x83, a @ 1..=0xff, b, c, ref rest @ ..] => {
            let length = u32::from_be_bytes([0, a, b, c]);
            Ok((usize::try_from(length).map_err(|_| Malformed)?, rest))
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_minimal_definite_lengths_only() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        let longer = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let cases: [(&str, &[u8], Option<usize>); 12] = [
            ("empty content", &[0x04, 0x00], Some(0)),
            ("one byte", &[0x04, 0x01, 7], Some(1)),
            ("128 bytes", &long, Some(128)),
            ("256 bytes", &longer, Some(256)),
            ("nothing", &[], None),
            ("no length", &[0x04], None),
            ("shorter than its length", &[0x04, 0x02, 7], None),
            ("trailing byte", &[0x04, 0x01, 7, 7], None),
            ("other tag", &[0x05, 0x00], None),
            ("indefinite", &[0x04, 0x80, 0x00, 0x00], None),
            ("not minimal", &[0x04, 0x81, 0x01, 7], None),
            ("not minimal in two bytes", &[0x04, 0x82, 0x00, 0x01, 7], None),
        ];
        for (name, bytes, expect) in cases {
            let seen = only(OCTET_STRING, bytes).ok().map(|element| element.content.len());
            assert_eq!(seen, expect, "{name}");
        }
    }

    #[test]
    fn knows_where_nested_elements_lie() {
        let bytes = [SEQUENCE, 6, SEQUENCE, 4, INTEGER, 2, 1, 2];
        let outer = only(SEQUENCE, &bytes).unwrap();
        let inner = outer.reader().expect(SEQUENCE).unwrap();
        let number = inner.reader().expect(INTEGER).unwrap();
        assert_eq!((number.range(), number.content_range()), (4..8, 6..8));
        assert_eq!(bytes[number.content_range()], *number.content);
    }
}
