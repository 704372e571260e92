//! Certificate revocation lists (RFC 5280, section 5): parsed without copying, since they reach
//! megabytes, and searched from front to back.

use jiff::Timestamp;

use super::{CLOCK_SKEW, RevocationError, urls};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{self, ENUMERATED};
use crate::certificate::Certificate;
use crate::der::{self, BIT_STRING, INTEGER, Malformed, Reader, SEQUENCE};
use crate::{oids, profile};

/// A list as it came; [`Crl::check`] tells whether it counts.
#[derive(Debug)]
pub(super) struct Crl<'a> {
    tbs: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    entries: Reader<'a>,
    extensions: Vec<asn1::Extension<'a>>,
}

/// One revoked certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) revoked_at: Timestamp,
    pub(super) reason: Option<u64>,
    pub(super) invalid_since: Option<Timestamp>,
}

impl<'a> Crl<'a> {
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, RevocationError> {
        Self::read(input).map_err(|_| RevocationError::Malformed("CRL"))
    }

    fn read(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut list = der::only(SEQUENCE, input)?.reader();
        let tbs = list.expect(SEQUENCE)?;
        let signature_algorithm = list.expect(SEQUENCE)?.whole;
        let signature = der::whole_bits(list.content(BIT_STRING)?)?;
        list.finish()?;
        let mut fields = tbs.reader();
        // Version 2 is written as 1. RFC 5280 knows no other for lists.
        if fields.content(INTEGER)? != [1] {
            return Err(Malformed);
        }
        if fields.expect(SEQUENCE)?.whole != signature_algorithm {
            return Err(Malformed);
        }
        let issuer = fields.expect(SEQUENCE)?.whole;
        let this_update = fields.time()?;
        let next_update = if fields.next_is_time() { Some(fields.time()?) } else { None };
        let entries = fields.optional(SEQUENCE)?.map_or(Reader::new(&[]), |list| list.reader());
        let extensions = fields.explicit_extensions(der::context(0))?;
        fields.finish()?;
        Ok(Self {
            tbs: tbs.whole,
            signature_algorithm,
            signature,
            issuer,
            this_update,
            next_update,
            entries,
            extensions,
        })
    }

    /// The last moment at which the list counts, if `issuer` signed it and it counts at `now`.
    ///
    /// 1. The issuer's name, and the right of its key to sign CRLs;
    /// 2. the signature;
    /// 3. `thisUpdate` and `nextUpdate`;
    /// 4. critical extensions.
    pub(super) fn check(
        &self,
        issuer: &Certificate,
        now: Timestamp,
    ) -> Result<Timestamp, RevocationError> {
        if self.issuer != issuer.subject_der() {
            return Err(RevocationError::OtherIssuer);
        }
        let usage = profile::key_usage(issuer).map_err(|_| RevocationError::NoCrlSigner)?;
        let may_sign = usage.is_none_or(|(_, usage)| usage & profile::CRL_SIGN != 0);
        if !may_sign || profile::check_may_issue(issuer).is_err() {
            return Err(RevocationError::NoCrlSigner);
        }
        let algorithm = SignatureAlgorithm::from_identifier(self.signature_algorithm)?;
        issuer.public_key()?.verify(algorithm, self.tbs, self.signature)?;
        if self.this_update > now.saturating_add(CLOCK_SKEW).unwrap_or(now) {
            return Err(RevocationError::NotYetValid);
        }
        let next_update = self.next_update.ok_or(RevocationError::NoNextUpdate)?;
        if now > next_update {
            return Err(RevocationError::Expired);
        }
        let known = [oids::ISSUING_DISTRIBUTION_POINT, oids::DELTA_CRL_INDICATOR];
        if asn1::has_unknown_critical(&self.extensions, &known) {
            return Err(RevocationError::CriticalExtension);
        }
        Ok(next_update)
    }

    /// The addresses of the delta CRL; none if the list has no delta.
    pub(super) fn delta_urls(&self) -> Result<Option<Vec<&'a [u8]>>, RevocationError> {
        let value = asn1::find(&self.extensions, oids::FRESHEST_CRL);
        value.map(urls::distribution_points).transpose()
    }

    pub(super) fn is_delta(&self) -> bool {
        asn1::find(&self.extensions, oids::DELTA_CRL_INDICATOR).is_some()
    }

    /// Whether this list says what has changed since `base` (RFC 5280, section 5.2.4): it is newer,
    /// is made for `base` or an older list, and covers the same certificates.
    pub(super) fn is_delta_of(&self, base: &Self) -> bool {
        let [own_scope, base_scope] =
            [self, base].map(|crl| asn1::find(&crl.extensions, oids::ISSUING_DISTRIBUTION_POINT));
        let own = self.number(oids::CRL_NUMBER);
        let made_for = self.number(oids::DELTA_CRL_INDICATOR);
        let base_number = base.number(oids::CRL_NUMBER);
        let (Some(own), Some(made_for), Some(base_number)) = (own, made_for, base_number) else {
            return false;
        };
        own > base_number && made_for <= base_number && own_scope == base_scope
    }

    /// The value of an extension that holds a CRL number, in an order: it has no limit of size, but
    /// of two without leading zeros the longer one is greater.
    fn number(&self, oid: &[u8]) -> Option<(usize, &'a [u8])> {
        let value = asn1::find(&self.extensions, oid)?;
        let content = der::only(INTEGER, value).ok()?.content;
        let digits = match content {
            [0, second, ..] if second & 0x80 == 0 => return None,
            [0, digits @ ..] => digits,
            [first, ..] if first & 0x80 == 0 => content,
            _ => return None,
        };
        Some((digits.len(), digits))
    }

    /// Nothing, if the list is about `certificate`, which names it with `urls`.
    ///
    /// # Errors
    /// [`RevocationError::Scope`]: the issuing distribution point (RFC 5280, section 5.2.5) covers
    /// other certificates or only some reasons, or is none that the certificate names: whoever
    /// carries the list here must not be able to put another part of it in its place.
    pub(super) fn covers(
        &self,
        certificate: &Certificate,
        urls: &[&[u8]],
    ) -> Result<(), RevocationError> {
        let Some(value) = asn1::find(&self.extensions, oids::ISSUING_DISTRIBUTION_POINT) else {
            return Ok(());
        };
        let point =
            DistributionPoint::parse(value).map_err(|_| RevocationError::Malformed("CRL"))?;
        let is_ca = profile::check_may_issue(certificate).is_ok();
        let excluded = point.partial
            || (point.only_users && is_ca)
            || (point.only_cas && !is_ca)
            || point.urls.is_some_and(|names| !names.iter().any(|name| urls.contains(name)));
        if excluded { Err(RevocationError::Scope) } else { Ok(()) }
    }

    /// Calls `visit` with each entry of the serial number `serial`.
    ///
    /// # Errors
    /// The list is malformed, or an entry of the number has a critical extension that is not known.
    /// The loop is bounded by the greatest body of an answer.
    pub(super) fn entries_of(
        &self,
        serial: &[u8],
        mut visit: impl FnMut(Entry),
    ) -> Result<(), RevocationError> {
        let malformed = |_| RevocationError::Malformed("CRL");
        let mut entries = self.entries;
        while !entries.is_empty() {
            let mut entry = entries.sequence().map_err(malformed)?;
            if entry.content(INTEGER).map_err(malformed)? != serial {
                continue;
            }
            visit(read_entry(entry)?);
        }
        Ok(())
    }
}

/// What an issuing distribution point says that matters here.
#[derive(Debug, Default)]
struct DistributionPoint<'a> {
    urls: Option<Vec<&'a [u8]>>,
    only_users: bool,
    only_cas: bool,
    /// Some reasons only, attribute certificates only, or entries of other issuers.
    partial: bool,
}

impl<'a> DistributionPoint<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = der::only(SEQUENCE, value)?.reader();
        let urls = match fields.optional(der::context(0))? {
            Some(name) => Some(urls::full_name(name.reader())?),
            None => None,
        };
        let only_users = fields.default_false(asn1::primitive(1))?;
        let only_cas = fields.default_false(asn1::primitive(2))?;
        let some_reasons = fields.optional(asn1::primitive(3))?.is_some();
        let indirect = fields.default_false(asn1::primitive(4))?;
        let only_attributes = fields.default_false(asn1::primitive(5))?;
        fields.finish()?;
        Ok(Self {
            urls,
            only_users,
            only_cas,
            partial: some_reasons || indirect || only_attributes,
        })
    }
}

/// The rest of an entry, after its serial number.
fn read_entry(mut fields: Reader<'_>) -> Result<Entry, RevocationError> {
    let mut parse = || -> Result<_, Malformed> {
        let revoked_at = fields.time()?;
        let extensions = if fields.is_empty() { Vec::new() } else { fields.extensions()? };
        fields.finish()?;
        let mut entry = Entry { revoked_at, reason: None, invalid_since: None };
        if let Some(value) = asn1::find(&extensions, oids::CRL_REASON) {
            entry.reason = Some(asn1::unsigned(der::only(ENUMERATED, value)?.content)?);
        }
        if let Some(value) = asn1::find(&extensions, oids::INVALIDITY_DATE) {
            let mut date = Reader::new(value);
            entry.invalid_since = Some(date.time()?);
            date.finish()?;
        }
        Ok((entry, extensions))
    };
    let (entry, extensions) = parse().map_err(|_| RevocationError::Malformed("CRL"))?;
    if asn1::has_unknown_critical(&extensions, &[oids::CRL_REASON, oids::INVALIDITY_DATE]) {
        return Err(RevocationError::CriticalExtension);
    }
    Ok(entry)
}
