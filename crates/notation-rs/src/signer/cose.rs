//! COSE envelopes, made.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{SignRequest, SignerError, SigningKey, Unsigned};
use crate::PAYLOAD_CONTENT_TYPE;
use crate::algorithm::Algorithm;
use crate::envelope::SigningScheme;
use crate::envelope::cose::{push_head, to_be_signed};
use crate::envelope::header::{EXPIRY, SIGNING_AGENT, SIGNING_SCHEME, TIMESTAMP_SIGNATURE};

/// The protected headers: a CBOR map, sorted by the bytes of the labels.
pub(super) fn protected(
    request: &SignRequest<'_>,
    algorithm: Algorithm,
) -> Result<Vec<u8>, SignerError> {
    let scheme = request.scheme;
    let mut critical = vec![SIGNING_SCHEME];
    let mut map = BTreeMap::from([
        (number(1), number(algorithm.cose_number())),
        (number(3), text(PAYLOAD_CONTENT_TYPE)),
        (text(SIGNING_SCHEME), text(scheme.name())),
        (text(scheme.time_header()), epoch(request.signing_time)?),
    ]);
    if scheme == SigningScheme::X509SigningAuthority {
        critical.push(scheme.time_header());
    }
    if let Some(expiry) = request.expiry {
        map.insert(text(EXPIRY), epoch(expiry)?);
        critical.push(EXPIRY);
    }
    for (name, value, is_critical) in request.extended {
        map.insert(text(name), text(value));
        if *is_critical {
            critical.push(name);
        }
    }
    map.insert(number(2), array(critical.into_iter().map(text)));
    Ok(encode_map(map))
}

/// The envelope of any protected headers and payload, right or wrong, that `key` signs.
///
/// # Errors
/// [`SignerError::Key`], [`SignerError::Timestamp`].
pub fn seal(
    protected: &[u8],
    payload: &[u8],
    key: &SigningKey,
    unsigned: &Unsigned<'_>,
) -> Result<Vec<u8>, SignerError> {
    let algorithm = Algorithm::for_key(key.kind()).map_err(|_| SignerError::Key)?;
    let signature = key.sign_envelope(algorithm, &to_be_signed(protected, payload))?;
    let chain = unsigned.chain.iter().map(|link| bytes(link.der()));
    let mut map = BTreeMap::from([(number(33), array(chain))]);
    if let Some(agent) = unsigned.signing_agent {
        map.insert(text(SIGNING_AGENT), text(agent));
    }
    if let Some(token) = unsigned.timestamp(&signature)? {
        map.insert(text(TIMESTAMP_SIGNATURE), bytes(&token));
    }
    let parts = [bytes(protected), encode_map(map), bytes(payload), bytes(&signature)];
    Ok([vec![0xd2], array(parts.into_iter())].concat())
}

pub(crate) fn encode_map(map: BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut encoded = head(5, map.len());
    encoded.extend(map.into_iter().flat_map(|(label, value)| [label, value]).flatten());
    encoded
}

pub(crate) fn array(items: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoded = head(4, items.len());
    encoded.extend(items.flatten());
    encoded
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

pub(crate) fn number(number: i64) -> Vec<u8> {
    let mut encoded = Vec::new();
    let major = u8::from(number < 0);
    push_head(&mut encoded, major, if number < 0 { !number } else { number }.unsigned_abs());
    encoded
}

/// An epoch-based time: tag 1 around whole seconds.
fn epoch(time: Timestamp) -> Result<Vec<u8>, SignerError> {
    let seconds = Some(time.as_second()).filter(|seconds| *seconds >= 0);
    Ok([head(6, 1), number(seconds.ok_or(SignerError::SigningTime)?)].concat())
}

fn head(major: u8, length: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    push_head(&mut encoded, major, u64::try_from(length).unwrap_or(u64::MAX));
    encoded
}
