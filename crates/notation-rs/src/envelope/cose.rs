//! The COSE envelope: `COSE_Sign1`, tagged, with the payload in it (RFC 9052, section 4.2).

use jiff::{SignedDuration, Timestamp};

use super::cbor::{self, Item, Map};
use super::header::{SIGNING_AGENT, TIMESTAMP_SIGNATURE};
use super::{
    Envelope, EnvelopeError, HEADERS_MAX, Headers, Label, Value, is_time, read_chain,
    signed_attributes,
};
use crate::algorithm::Algorithm;
use crate::time;

/// The envelope that `bytes` are.
pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    const MALFORMED: EnvelopeError = EnvelopeError::Malformed("tagged COSE_Sign1");
    // Tag 18 around an array of four, in their shortest form, which tells it from other formats.
    if !bytes.starts_with(&[0xd2, 0x84]) {
        return Err(MALFORMED);
    }
    let Some(Item::Tag(18, message)) = cbor::parse(bytes) else { return Err(MALFORMED) };
    let Item::Array(parts) = *message else { return Err(MALFORMED) };
    let Ok(
        [
            Item::Bytes(protected_bytes),
            Item::Map(mut unprotected),
            Item::Bytes(payload),
            Item::Bytes(signature),
        ],
    ) = <[Item<'_>; 4]>::try_from(parts)
    else {
        return Err(MALFORMED);
    };
    let Some(Item::Map(mut protected)) = cbor::parse(protected_bytes) else {
        return Err(MALFORMED);
    };
    if protected.contains_key(&X5CHAIN) {
        return Err(EnvelopeError::ForbiddenHeader("x5chain (33)"));
    }
    // RFC 9052, section 3: the two have no label in common.
    let disjoint = !unprotected.keys().any(|label| protected.contains_key(label));
    if !disjoint || protected.len() > HEADERS_MAX || unprotected.len() > HEADERS_MAX {
        return Err(MALFORMED);
    }

    let algorithm = match protected.remove(&ALG) {
        Some(Item::Number(number)) => Algorithm::from_cose(number),
        Some(_) => None,
        None => return Err(EnvelopeError::MissingHeader("alg (1)")),
    }
    .ok_or(EnvelopeError::UnsupportedAlgorithm)?;
    let Some(Item::Text(content_type)) = protected.remove(&CONTENT_TYPE) else {
        return Err(EnvelopeError::ContentType);
    };
    let critical = critical_labels(protected.remove(&CRIT))?;
    let attributes = signed_attributes(headers(protected), critical)?;
    Ok(Envelope {
        algorithm,
        attributes,
        chain: read_chain(x5chain(&mut unprotected)?)?,
        content_type: content_type.to_owned(),
        payload: payload.to_vec(),
        signature: signature.to_vec(),
        // What is no text here is no one's name; nothing depends on it.
        signing_agent: match unprotected.remove(&Label::Text(SIGNING_AGENT.to_owned())) {
            Some(Item::Text(agent)) => Some(agent.to_owned()),
            _ => None,
        },
        timestamp_signature: match unprotected.remove(&Label::Text(TIMESTAMP_SIGNATURE.to_owned()))
        {
            None => None,
            Some(Item::Bytes(token)) => Some(token.to_vec()),
            Some(_) => return Err(EnvelopeError::Header(TIMESTAMP_SIGNATURE)),
        },
        to_be_signed: to_be_signed(protected_bytes, payload),
    })
}

/// The `Sig_structure` of RFC 9052, section 4.4, which the signature is over.
pub(crate) fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    // An array of four: the context, the protected headers, no external data, the payload.
    let mut bytes = b"\x84\x6aSignature1".to_vec();
    push_bytes(&mut bytes, protected);
    push_bytes(&mut bytes, &[]);
    push_bytes(&mut bytes, payload);
    bytes
}

/// Appends a byte string with the shortest head.
fn push_bytes(to: &mut Vec<u8>, content: &[u8]) {
    push_head(to, 2, u64::try_from(content.len()).unwrap_or(u64::MAX));
    to.extend_from_slice(content);
}

/// Appends the shortest head of an item of a major type (below 8) with an argument.
pub(crate) fn push_head(to: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let [.., low] = bytes;
    let (detail, padding) = match argument {
        0..=23 => (low, 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    to.push((major << 5) | detail);
    to.extend(bytes.iter().skip(padding));
}

fn critical_labels(item: Option<Item<'_>>) -> Result<Vec<Label>, EnvelopeError> {
    let Some(Item::Array(items)) = item else { return Err(EnvelopeError::Critical) };
    let label = |item| match item {
        Item::Number(number) => Ok(Label::Number(number)),
        Item::Text(text) => Ok(Label::Text(text.to_owned())),
        _ => Err(EnvelopeError::Critical),
    };
    items.into_iter().map(label).collect()
}

/// The protected headers that are left, times read as such.
fn headers(protected: Map<'_>) -> Headers {
    let read = |(label, item)| {
        let value = match item {
            Item::Tag(1, seconds) if is_time(&label) => {
                epoch(&seconds).map_or(Value::Other, Value::Time)
            }
            Item::Text(text) => Value::Text(text.to_owned()),
            _ => Value::Other,
        };
        (label, value)
    };
    protected.into_iter().map(read).collect()
}

/// The time of an epoch-based date (RFC 8949, section 3.4.2).
fn epoch(seconds: &Item<'_>) -> Option<Timestamp> {
    match *seconds {
        Item::Number(seconds) => time::epoch(seconds),
        Item::Float(seconds) => {
            let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
            Timestamp::from_duration(duration).ok()
        }
        _ => None,
    }
}

/// The certificates: always an array, though RFC 9360 lets a lone one be without.
fn x5chain(unprotected: &mut Map<'_>) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    const NAME: &str = "x5chain (33)";
    let certificates = match unprotected.remove(&X5CHAIN) {
        None => return Err(EnvelopeError::MissingHeader(NAME)),
        Some(Item::Array(certificates)) => certificates,
        Some(_) => return Err(EnvelopeError::Header(NAME)),
    };
    let der = |item| match item {
        Item::Bytes(der) => Ok(der.to_vec()),
        _ => Err(EnvelopeError::Header(NAME)),
    };
    certificates.into_iter().map(der).collect()
}

const ALG: Label = Label::Number(1);
const CRIT: Label = Label::Number(2);
const CONTENT_TYPE: Label = Label::Number(3);
const X5CHAIN: Label = Label::Number(33);
