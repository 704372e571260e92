//! A writer of DER for tests: right and wrong structures alike.

use crate::der::{INTEGER, OCTET_STRING, OID, SEQUENCE};

/// An element of `tag` around the concatenated parts.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = u32::try_from(contents.len()).unwrap();
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&b| b == 0).collect();
        bytes.push(0x80 | u8::try_from(digits.len()).unwrap());
        bytes.extend(digits);
    }
    bytes.extend(contents);
    bytes
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

pub(crate) fn oid(contents: &[u8]) -> Vec<u8> {
    tlv(OID, &[contents])
}

pub(crate) fn octets(contents: &[u8]) -> Vec<u8> {
    tlv(OCTET_STRING, &[contents])
}

pub(crate) fn integer(value: u64) -> Vec<u8> {
    let bytes = [&[0][..], &value.to_be_bytes()].concat();
    let extra = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    tlv(INTEGER, &[&bytes[extra..]])
}
