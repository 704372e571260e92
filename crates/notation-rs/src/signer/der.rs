//! A writer of DER: what it is asked for, right or wrong.

use crate::der::{BIT_STRING, INTEGER, OCTET_STRING, OID, SEQUENCE};

/// An element of `tag` around `parts`, one after the other. Content of 4 GiB or more has no length
/// that anything would read.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [_, b, c, low] = length;
    let mut bytes = vec![tag];
    match length {
        [0, 0, 0, 0..=0x7f] => bytes.push(low),
        [0, 0, 0, _] => bytes.extend([0x81, low]),
        [0, 0, ..] => bytes.extend([0x82, c, low]),
        [0, ..] => bytes.extend([0x83, b, c, low]),
        [a, ..] => bytes.extend([0x84, a, b, c, low]),
    }
    bytes.extend(content);
    bytes
}

/// A SEQUENCE of `parts`.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// An OBJECT IDENTIFIER with these content octets.
pub fn oid(content: &[u8]) -> Vec<u8> {
    element(OID, &[content])
}

/// An OCTET STRING.
pub fn octets(content: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, &[content])
}

/// A BIT STRING of whole bytes.
pub fn bits(content: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], content])
}

/// An INTEGER of the number that `magnitude` is, big endian.
pub fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let digits = magnitude.get(zeros..).unwrap_or_default();
    // A first bit that is set would be a sign; no digit at all is no number.
    let padding: &[u8] = if digits.first().is_none_or(|byte| *byte > 0x7f) { &[0] } else { &[] };
    element(INTEGER, &[padding, digits])
}
