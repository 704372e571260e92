//! The CMS container of a timestamp token (RFC 5652): who signed what. Only the shape is checked
//! here; nothing in it may be believed before `signer.rs` has verified one of the signers.

use crate::asn1::SET;
use crate::der::{self, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE};
use crate::oids;

/// Certificates in one token. Real tokens hold two to four; each costs a parse, and may cost the
/// path search signature checks.
const MAX_CERTIFICATES: usize = 20;

/// Signers of one token; RFC 3161 (section 2.4.2) wants one.
const MAX_SIGNERS: usize = 4;

#[derive(Debug)]
pub(super) struct SignedData<'a> {
    /// The DER of each certificate, in the token's order.
    pub(super) certificates: Vec<&'a [u8]>,
    /// The `TSTInfo` that is signed.
    pub(super) content: &'a [u8],
    pub(super) signers: Vec<SignerInfo<'a>>,
}

#[derive(Debug)]
pub(super) struct SignerInfo<'a> {
    pub(super) version: u64,
    /// The signer's identifier as it stands: issuer and serial number in version 1.
    pub(super) identifier: &'a [u8],
    pub(super) digest_algorithm: &'a [u8],
    /// The attributes, tag and length included; none where the content is signed directly.
    pub(super) signed_attributes: Option<&'a [u8]>,
    /// The `AlgorithmIdentifier`, tag and length included.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    /// Parses a `ContentInfo` of signed timestamp contents. CRLs that come along are not looked at.
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, Malformed> {
        let mut content_info = der::only(SEQUENCE, token)?.reader();
        if content_info.content(OID)? != oids::SIGNED_DATA {
            return Err(Malformed);
        }
        let mut explicit = content_info.nested(der::context(0))?;
        content_info.finish()?;
        let mut data = explicit.sequence()?;
        explicit.finish()?;
        if data.unsigned()? != 3 {
            return Err(Malformed);
        }
        let mut digest_algorithms = data.nested(SET)?;
        while !digest_algorithms.is_empty() {
            digest_algorithms.algorithm()?;
        }
        let content = timestamp_contents(data.sequence()?)?;
        let certificates = match data.optional(der::context(0))? {
            Some(set) => elements(set.content, MAX_CERTIFICATES)?,
            None => Vec::new(),
        };
        data.optional(der::context(1))?;
        let signers = elements(data.content(SET)?, MAX_SIGNERS)?;
        data.finish()?;
        let signers = signers.into_iter().map(SignerInfo::parse).collect::<Result<_, _>>()?;
        Ok(Self { certificates, content, signers })
    }
}

impl<'a> SignerInfo<'a> {
    fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut signer = der::only(SEQUENCE, input)?.reader();
        let version = signer.unsigned()?;
        let identifier = signer.any()?.whole;
        let digest_algorithm = signer.algorithm()?;
        let signed_attributes = signer.optional(der::context(0))?.map(|set| set.whole);
        let signature_algorithm = signer.expect(SEQUENCE)?.whole;
        let signature = signer.content(OCTET_STRING)?;
        signer.optional(der::context(1))?;
        signer.finish()?;
        Ok(Self {
            version,
            identifier,
            digest_algorithm,
            signed_attributes,
            signature_algorithm,
            signature,
        })
    }

    /// The one value of the signed attribute `oid`, tag and length included; none if there is no
    /// such attribute.
    ///
    /// # Errors
    /// The attribute stands there twice, or without exactly one value (RFC 5652, section 11).
    pub(super) fn attribute(&self, oid: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(set) = self.signed_attributes else { return Ok(None) };
        let mut attributes = Reader::new(set).nested(der::context(0))?;
        let mut found = None;
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            if attribute.content(OID)? != oid {
                continue;
            }
            let mut values = attribute.nested(SET)?;
            attribute.finish()?;
            let value = values.any()?.whole;
            values.finish()?;
            if found.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        Ok(found)
    }
}

/// An issuer's name and a serial number: the name with tag and length, the number without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IssuerAndSerial<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) serial: &'a [u8],
}

impl<'a> IssuerAndSerial<'a> {
    /// Parses `IssuerAndSerialNumber` (RFC 5652, section 10.2.4).
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = der::only(SEQUENCE, input)?.reader();
        let parsed =
            Self { issuer: reader.expect(SEQUENCE)?.whole, serial: reader.content(INTEGER)? };
        reader.finish()?;
        Ok(parsed)
    }

    /// Parses `IssuerSerial` (RFC 5035), whose issuer is a list of one directory name.
    fn parse_general_names(mut reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut names = reader.sequence()?;
        let mut directory_name = names.nested(der::context(4))?;
        names.finish()?;
        let issuer = directory_name.expect(SEQUENCE)?.whole;
        directory_name.finish()?;
        let parsed = Self { issuer, serial: reader.content(INTEGER)? };
        reader.finish()?;
        Ok(parsed)
    }
}

/// The first certificate identifier of a `SigningCertificateV2` (RFC 5035, section 3).
#[derive(Debug)]
pub(super) struct EssCertificateId<'a> {
    pub(super) hash_algorithm: &'a [u8],
    pub(super) hash: &'a [u8],
    pub(super) issuer_and_serial: Option<IssuerAndSerial<'a>>,
}

impl<'a> EssCertificateId<'a> {
    pub(super) fn parse(signing_certificate: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = der::only(SEQUENCE, signing_certificate)?.reader();
        let mut id = outer.sequence()?.sequence()?;
        outer.optional(SEQUENCE)?;
        outer.finish()?;
        let hash_algorithm = if id.next_is(SEQUENCE) { id.algorithm()? } else { oids::SHA256 };
        let hash = id.content(OCTET_STRING)?;
        let issuer_and_serial = match id.optional(SEQUENCE)? {
            Some(names) => Some(IssuerAndSerial::parse_general_names(names.reader())?),
            None => None,
        };
        id.finish()?;
        Ok(Self { hash_algorithm, hash, issuer_and_serial })
    }
}

/// The octets of an `EncapsulatedContentInfo` that holds a `TSTInfo`.
fn timestamp_contents(mut info: Reader<'_>) -> Result<&[u8], Malformed> {
    if info.content(OID)? != oids::TST_INFO {
        return Err(Malformed);
    }
    let mut explicit = info.nested(der::context(0))?;
    info.finish()?;
    let octets = explicit.content(OCTET_STRING)?;
    explicit.finish()?;
    Ok(octets)
}

/// Each element of a SET, a SEQUENCE of its own; other kinds of certificate or signer are refused.
fn elements(set: &[u8], most: usize) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(set);
    let mut elements = Vec::new();
    while !reader.is_empty() {
        if elements.len() == most {
            return Err(Malformed);
        }
        elements.push(reader.expect(SEQUENCE)?.whole);
    }
    Ok(elements)
}
