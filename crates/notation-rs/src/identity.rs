//! Trusted identities: who, of all that a trusted root certifies, may sign.
//!
//! An identity names attributes of the subject of the signing certificate. The policy's side is text
//! (RFC 4514, narrowed to what has one meaning only), the certificate's side is DER; both come out
//! as the same map, and each attribute of the policy has to be in the certificate with the same
//! value. Values are compared as they are: no case folding, no normalisation.

use std::collections::BTreeMap;

use crate::der::{self, Element, Malformed, OID, Reader, SEQUENCE};

/// The string types of DER that have one reading as text, beyond ASCII or not. Teletex strings have
/// none, so that they are taken as ASCII only.
const UTF8_STRING: u8 = 0x0c;
const ASCII_STRINGS: [u8; 4] = [0x12, 0x13, 0x14, 0x16];
const BMP_STRING: u8 = 0x1e;
const SET: u8 = 0x31;

/// The attributes that a certificate's subject is compared by: their names in a policy, and their
/// object identifiers 2.5.4.6 and so on.
/// Attributes of other types never match; [`UnknownAttributes`] says whether they are in the way.
const ATTRIBUTES: [(&str, &[u8]); 9] = [
    ("C", &[0x55, 4, 6]),
    ("CN", &[0x55, 4, 3]),
    ("L", &[0x55, 4, 7]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
    ("POSTALCODE", &[0x55, 4, 17]),
    ("SERIALNUMBER", &[0x55, 4, 5]),
    ("ST", &[0x55, 4, 8]),
    ("STREET", &[0x55, 4, 9]),
];

/// What an attribute of an unknown type (`emailAddress`, `DC`, `UID`) makes of a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownAttributes {
    /// Nothing: it is as if it were not there.
    #[default]
    Ignore,
    /// One that can't be compared with any identity, as in the Notary Project's own library.
    Refuse,
}

/// Attributes that both sides must have: without them a name says too little to be trusted.
const REQUIRED: [&str; 3] = ["C", "ST", "O"];

/// The characters that a backslash may escape (RFC 4514, section 2.4).
const ESCAPABLE: &str = " \"#+,;<=>\\";

/// One entry of `trustedIdentities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedIdentity {
    /// `*`: whoever a certificate of the trust stores certifies.
    Any,
    /// A kind of identity that is not known here. It never matches.
    Unknown(String),
    /// `x509.subject:` and a distinguished name.
    X509Subject(DistinguishedName),
}

impl TrustedIdentity {
    /// The identity that `text` names: `*`, or a kind, a colon and a value.
    ///
    /// # Errors
    /// No colon, or a name that [`DistinguishedName::parse`] refuses.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.split_once(':') {
            None => Err(IdentityError::NoKind),
            Some(("x509.subject", name)) => Ok(Self::X509Subject(DistinguishedName::parse(name)?)),
            Some(_) => Ok(Self::Unknown(text.to_owned())),
        }
    }
}

/// A distinguished name in which each attribute occurs once, with C, ST and O among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    attributes: BTreeMap<String, String>,
}

impl DistinguishedName {
    /// The name that a policy's `text` writes: `C=US, ST=WA, O=Acme`, in any order. `;` separates
    /// too, `S` means `ST`, and a backslash escapes a special character or gives a byte in hex.
    ///
    /// # Errors
    /// What has no meaning, or two; and a name without C, ST or O.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.contains("=#") {
            return Err(IdentityError::HexValue);
        }
        let mut attributes = BTreeMap::new();
        for part in split_unescaped(text) {
            let (name, value) = part.split_once('=').ok_or_else(|| malformed(part))?;
            let name = match name.trim_matches(' ') {
                "" => return Err(malformed(part)),
                name if name.contains(['\\', '+']) => return Err(malformed(part)),
                "S" => "ST",
                name => name,
            };
            add(&mut attributes, name, unescape(value)?)?;
        }
        Self::checked(attributes)
    }

    /// The name in `der`, a DER-encoded certificate subject. Attributes of types that policies can't
    /// name are left out.
    ///
    /// # Errors
    /// DER that is no name, a type that repeats, a value that is no plain text, and a name without C,
    /// ST or O.
    pub fn from_subject_der(der: &[u8]) -> Result<Self, IdentityError> {
        Self::read(der, UnknownAttributes::Ignore)
    }

    /// The same, where `unknown` says what attributes of other types are.
    pub(crate) fn read(der: &[u8], unknown: UnknownAttributes) -> Result<Self, IdentityError> {
        let mut parts = der::only(SEQUENCE, der)?.reader();
        let mut attributes = BTreeMap::new();
        while !parts.is_empty() {
            let mut part = parts.expect(SET)?.reader();
            // Attributes that share a part count as in parts of their own. A part without any is none.
            loop {
                if let Some((name, value)) = subject_attribute(&mut part, unknown)? {
                    add(&mut attributes, name, value)?;
                }
                if part.is_empty() {
                    break;
                }
            }
        }
        Self::checked(attributes)
    }

    /// Whether every attribute of this name is in `other`, with the same value.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.attributes.iter().all(|(name, value)| other.attributes.get(name) == Some(value))
    }

    fn checked(attributes: BTreeMap<String, String>) -> Result<Self, IdentityError> {
        match REQUIRED.into_iter().find(|name| !attributes.contains_key(*name)) {
            Some(name) => Err(IdentityError::Missing { name }),
            None => Ok(Self { attributes }),
        }
    }
}

/// The next attribute of a certificate's subject, by the name that policies have for it; none if they
/// have none.
fn subject_attribute(
    part: &mut Reader<'_>,
    unknown: UnknownAttributes,
) -> Result<Option<(&'static str, String)>, IdentityError> {
    let mut attribute = part.expect(SEQUENCE)?.reader();
    let (oid, value) = (attribute.expect(OID)?.content, attribute.any()?);
    attribute.finish()?;
    let Some((name, _)) = ATTRIBUTES.into_iter().find(|(_, known)| *known == oid) else {
        return match unknown {
            UnknownAttributes::Ignore => Ok(None),
            UnknownAttributes::Refuse => Err(IdentityError::UnknownAttribute),
        };
    };
    let value = text_of(&value).ok_or_else(|| IdentityError::NotText { name: name.to_owned() })?;
    if value.contains("=#") { Err(IdentityError::HexValue) } else { Ok(Some((name, value))) }
}

/// The distinguished name in `der`, of a certificate's subject or issuer, for people: the last part
/// first and special characters escaped (RFC 4514), as Go prints it. What policies can't name is left
/// out, and so is what is not text. Not to be compared with anything.
pub fn name_text(der: &[u8]) -> String {
    let mut parts = parts_text(der).unwrap_or_default();
    parts.reverse();
    parts.join(",")
}

fn parts_text(der: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut parts = der::only(SEQUENCE, der)?.reader();
    let mut texts = Vec::new();
    while !parts.is_empty() {
        let mut part = parts.expect(SET)?.reader();
        let mut attributes = Vec::new();
        while !part.is_empty() {
            let mut attribute = part.expect(SEQUENCE)?.reader();
            let (oid, value) = (attribute.expect(OID)?.content, attribute.any()?);
            let known = ATTRIBUTES.iter().find(|(_, known)| *known == oid);
            if let (Some((name, _)), Some(value)) = (known, text_of(&value)) {
                attributes.push(format!("{name}={}", escape(&value)));
            }
        }
        if !attributes.is_empty() {
            texts.push(attributes.join("+"));
        }
    }
    Ok(texts)
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let is_special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (character == '#' && index == 0)
            || (character == ' ' && (index == 0 || index == last));
        if is_special {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Why a text or a certificate's subject is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An attribute without a value, which would match a subject that has none.
    #[error("attribute {name} is empty; give it a value or leave it out")]
    EmptyValue {
        /// The attribute's type.
        name: String,
    },
    /// A backslash that escapes nothing that may be escaped, or bytes that are not UTF-8.
    #[error(
        "`{part}` has a wrong escape; write a backslash as \\\\, and a byte as \\ and two digits"
    )]
    Escape {
        /// The value with it.
        part: String,
    },
    /// A value written as, or like, hex-encoded BER.
    #[error("`=#` is not supported in a name; values must be plain text")]
    HexValue,
    /// No `type=value`.
    #[error("`{part}` is not type=value, with parts separated by commas")]
    Malformed {
        /// The text in its place.
        part: String,
    },
    /// An attribute that each name must have.
    #[error("attribute {name} is missing; a name needs C, ST and O")]
    Missing {
        /// The attribute's type.
        name: &'static str,
    },
    /// A relative distinguished name with more than one attribute.
    #[error("a part of the name has several attributes (`+`), which is not supported")]
    MultiValued,
    /// A policy's identity without a kind.
    #[error("the identity has no kind; write `x509.subject: C=.., ST=.., O=..`, or `*` alone")]
    NoKind,
    /// A subject that is no DER-encoded name.
    #[error("the subject is not a DER-encoded name")]
    NotDer,
    /// A subject's attribute in an encoding that has no one reading as text.
    #[error("attribute {name} is not text")]
    NotText {
        /// The attribute's type.
        name: String,
    },
    /// An attribute that occurs twice.
    #[error("attribute {name} occurs twice")]
    Repeated {
        /// The attribute's type.
        name: String,
    },
    /// A subject's attribute of an unknown type, where that is not let pass.
    #[error("the subject has an attribute of an unknown type")]
    UnknownAttribute,
}

impl From<Malformed> for IdentityError {
    fn from(Malformed: Malformed) -> Self {
        Self::NotDer
    }
}

fn malformed(part: &str) -> IdentityError {
    IdentityError::Malformed { part: part.to_owned() }
}

fn add(
    attributes: &mut BTreeMap<String, String>,
    name: &str,
    value: String,
) -> Result<(), IdentityError> {
    let name = name.to_owned();
    if value.is_empty() {
        return Err(IdentityError::EmptyValue { name });
    }
    if attributes.contains_key(&name) {
        return Err(IdentityError::Repeated { name });
    }
    attributes.insert(name, value);
    Ok(())
}

/// The parts of `text` between separators that no backslash escapes.
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |character| {
        let separates = !escaped && matches!(character, ',' | ';');
        escaped = !escaped && character == '\\';
        separates
    })
}

/// The value that `text` writes, without the spaces around it that are not escaped.
fn unescape(text: &str) -> Result<String, IdentityError> {
    let wrong = || IdentityError::Escape { part: text.to_owned() };
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return Err(IdentityError::HexValue);
    }
    let mut value = Vec::with_capacity(text.len());
    // How long the value is without the spaces at its end that may yet prove to be the last.
    let mut length = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '+' => return Err(IdentityError::MultiValued),
            '\\' => value.push(escaped(&mut characters).ok_or_else(wrong)?),
            other => value.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        if character != ' ' {
            length = value.len();
        }
    }
    value.truncate(length);
    String::from_utf8(value).map_err(|_| wrong())
}

/// The byte that follows a backslash: a special character, or two hex digits.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<u8> {
    let first = characters.next()?;
    if ESCAPABLE.contains(first) {
        return u8::try_from(first).ok();
    }
    let digits = [first, characters.next()?];
    if !digits.iter().all(char::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(&String::from_iter(digits), 16).ok()
}

/// The text of an attribute value, if its encoding has one reading.
fn text_of(value: &Element<'_>) -> Option<String> {
    let text = |bytes: &[u8]| str::from_utf8(bytes).ok().map(str::to_owned);
    match value.tag {
        UTF8_STRING => text(value.content),
        tag if ASCII_STRINGS.contains(&tag) => text(value.content).filter(|text| text.is_ascii()),
        BMP_STRING => {
            let (units, []) = value.content.as_chunks::<2>() else { return None };
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
