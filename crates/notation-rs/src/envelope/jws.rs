//! The JWS envelope: flattened JSON serialisation (RFC 7515, section 7.2.2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::header::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, PLUGIN, PLUGIN_MIN_VERSION, SIGNING_AGENT, SIGNING_SCHEME,
    SIGNING_TIME, TIMESTAMP_SIGNATURE,
};
use super::{
    Envelope, EnvelopeError, HEADERS_MAX, Headers, Label, Value, is_time, read_chain,
    signed_attributes,
};
use crate::algorithm::Algorithm;
use crate::json::{self, Object, Unique};
use crate::time;

/// The envelope that `bytes` are.
pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    const MALFORMED: EnvelopeError = EnvelopeError::Malformed("flattened JSON web signature");
    let Object(outer) = json::parse::<Object<Outer<'_>>>(bytes).ok_or(MALFORMED)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED);
    let protected = decode(&outer.protected)?;
    let Unique(mut protected) =
        json::parse::<Unique<Json, HEADERS_MAX>>(&protected).ok_or(MALFORMED)?;
    let Unique(mut unprotected) = outer.header;
    // Early versions of notation-go wrote `SigningAgent`. What it says decides nothing.
    let may_differ = |name: &&String| name.eq_ignore_ascii_case(SIGNING_AGENT);
    let exact = unprotected.keys().filter(|name| !may_differ(name));
    if let Some(name) = misspelt(protected.keys().chain(exact)) {
        return Err(EnvelopeError::ForbiddenHeader(name));
    }
    // RFC 7515, section 7.2.1: the two have no name in common.
    if unprotected.keys().any(|name| protected.contains_key(name)) {
        return Err(MALFORMED);
    }

    let algorithm = match protected.remove(ALG) {
        Some(Json::Text(name)) => Algorithm::from_jws(&name),
        Some(_) => None,
        None => return Err(EnvelopeError::MissingHeader(ALG)),
    }
    .ok_or(EnvelopeError::UnsupportedAlgorithm)?;
    let content_type = text(protected.remove(CTY), CTY)?.ok_or(EnvelopeError::ContentType)?;
    let critical = match protected.remove(CRIT) {
        Some(Json::Texts(names)) => names.into_iter().map(Label::Text).collect(),
        _ => return Err(EnvelopeError::Critical),
    };
    let attributes = signed_attributes(headers(protected), critical)?;

    let chain = match unprotected.remove(X5C) {
        Some(Json::Texts(texts)) => texts,
        Some(_) => return Err(EnvelopeError::Header(X5C)),
        None => return Err(EnvelopeError::MissingHeader(X5C)),
    };
    let ders = chain.iter().map(|text| STANDARD.decode(text)).collect::<Result<Vec<_>, _>>();
    let timestamp_signature = text(unprotected.remove(TIMESTAMP_SIGNATURE), TIMESTAMP_SIGNATURE)?
        .map(|token| STANDARD.decode(token))
        .transpose()
        .map_err(|_| EnvelopeError::Header(TIMESTAMP_SIGNATURE))?;
    Ok(Envelope {
        algorithm,
        attributes,
        chain: read_chain(ders.map_err(|_| EnvelopeError::Header(X5C))?)?,
        content_type,
        payload: decode(&outer.payload)?,
        signature: decode(&outer.signature)?,
        // Opaque, and nobody's to validate.
        signing_agent: match unprotected.remove(SIGNING_AGENT) {
            Some(Json::Text(agent)) => Some(agent),
            _ => None,
        },
        timestamp_signature,
        to_be_signed: [outer.protected.as_bytes(), b".", outer.payload.as_bytes()].concat(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow)]
    protected: Cow<'a, str>,
    header: Unique<Json, HEADERS_MAX>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

/// A header's value. Both lists that have a meaning, `crit` and `x5c`, are of text and short; a
/// longer one is like a value of another type, and is not kept.
#[derive(Debug)]
enum Json {
    Other,
    Text(String),
    Texts(Vec<String>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(element) = list.next_element()? {
            texts = match (texts, element) {
                (Some(mut texts), Json::Text(text)) if texts.len() < LIST_MAX => {
                    texts.push(text);
                    Some(texts)
                }
                _ => None,
            };
        }
        Ok(texts.map_or(Json::Other, Json::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }
}

/// The protected headers that are left, times read as such.
fn headers(protected: BTreeMap<String, Json>) -> Headers {
    let read = |(name, value)| {
        let label = Label::Text(name);
        let value = match value {
            Json::Text(text) if is_time(&label) => {
                time::rfc3339(&text).map_or(Value::Other, Value::Time)
            }
            Json::Text(text) => Value::Text(text),
            _ => Value::Other,
        };
        (label, value)
    };
    protected.into_iter().map(read).collect()
}

fn text(value: Option<Json>, name: &'static str) -> Result<Option<String>, EnvelopeError> {
    match value {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(EnvelopeError::Header(name)),
    }
}

/// The first header that one of `names` is, but for its case: other parsers would take it for that.
fn misspelt<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'static str> {
    names.find_map(|name| {
        KNOWN.into_iter().find(|known| known != name && known.eq_ignore_ascii_case(name))
    })
}

const ALG: &str = "alg";
const CTY: &str = "cty";
const CRIT: &str = "crit";
const X5C: &str = "x5c";

const KNOWN: [&str; 12] = [
    ALG,
    CTY,
    CRIT,
    X5C,
    SIGNING_SCHEME,
    SIGNING_TIME,
    AUTHENTIC_SIGNING_TIME,
    EXPIRY,
    PLUGIN,
    PLUGIN_MIN_VERSION,
    TIMESTAMP_SIGNATURE,
    SIGNING_AGENT,
];

/// Elements of a list in a header that are read: no critical list names more than all headers, and
/// no chain is longer.
const LIST_MAX: usize = HEADERS_MAX;
