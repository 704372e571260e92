//! JWS envelopes, made.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{SignRequest, SignerError, SigningKey, Unsigned};
use crate::PAYLOAD_CONTENT_TYPE;
use crate::algorithm::Algorithm;
use crate::envelope::SigningScheme;
use crate::envelope::header::{EXPIRY, SIGNING_AGENT, SIGNING_SCHEME, TIMESTAMP_SIGNATURE};

/// The protected header: compact JSON, members sorted by name.
pub(super) fn protected(request: &SignRequest<'_>, algorithm: Algorithm) -> Vec<u8> {
    let scheme = request.scheme;
    let mut header = BTreeMap::from([
        ("alg", json!(algorithm.jws_name())),
        ("cty", json!(PAYLOAD_CONTENT_TYPE)),
        (SIGNING_SCHEME, json!(scheme.name())),
        (scheme.time_header(), json!(seconds(request.signing_time))),
    ]);
    let mut critical = vec![SIGNING_SCHEME];
    if scheme == SigningScheme::X509SigningAuthority {
        critical.push(scheme.time_header());
    }
    for (name, text, is_critical) in request.extended {
        header.insert(name, json!(text));
        if *is_critical {
            critical.push(name);
        }
    }
    if let Some(expiry) = request.expiry {
        header.insert(EXPIRY, json!(seconds(expiry)));
        critical.push(EXPIRY);
    }
    header.insert("crit", json!(critical));
    json!(header).to_string().into_bytes()
}

/// The envelope of any protected header and payload, right or wrong, that `key` signs.
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
    let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign_envelope(algorithm, format!("{protected}.{payload}").as_bytes())?;
    let chain: Vec<_> = unsigned.chain.iter().map(|link| STANDARD.encode(link.der())).collect();
    let mut header = BTreeMap::from([("x5c", json!(chain))]);
    if let Some(agent) = unsigned.signing_agent {
        header.insert(SIGNING_AGENT, json!(agent));
    }
    if let Some(token) = unsigned.timestamp(&signature)? {
        header.insert(TIMESTAMP_SIGNATURE, json!(STANDARD.encode(token)));
    }
    let envelope: Value = json!({
        "payload": payload,
        "protected": protected,
        "header": header,
        "signature": URL_SAFE_NO_PAD.encode(signature),
    });
    Ok(envelope.to_string().into_bytes())
}

fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}
