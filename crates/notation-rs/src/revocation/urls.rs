//! Where a certificate says that its revocation status is to be asked (RFC 5280, sections 4.2.1.13
//! and
//! 4.2.2.1). The addresses are the CA's words; only `http` is asked.

use super::RevocationError;
use crate::asn1;
use crate::certificate::Certificate;
use crate::der::{self, Malformed, OID, Reader, SEQUENCE};
use crate::oids;

/// Addresses of one extension. CAs write one or two; each costs an exchange with a remote host.
pub(super) const URLS_MAX: usize = 8;

/// Bytes of one address; those in use have at most 200.
const URL_BYTES_MAX: usize = 2048;

/// The address that `bytes` are.
///
/// # Errors
/// [`RevocationError::Url`] if they are not an `http` URL, or too long; anything but printable
/// ASCII could end up as part of another line of the request.
pub(super) fn check(bytes: &[u8]) -> Result<&str, RevocationError> {
    const SCHEME: &[u8] = b"http://";
    let (scheme, rest) = bytes.split_at_checked(SCHEME.len()).ok_or(RevocationError::Url)?;
    let fits = scheme.eq_ignore_ascii_case(SCHEME)
        && !rest.is_empty()
        && bytes.len() <= URL_BYTES_MAX
        && bytes.iter().all(u8::is_ascii_graphic);
    if !fits {
        return Err(RevocationError::Url);
    }
    std::str::from_utf8(bytes).map_err(|_| RevocationError::Url)
}

/// The addresses of the OCSP responders, in the certificate's order, not yet checked.
pub(super) fn ocsp(certificate: &Certificate) -> Result<Vec<&[u8]>, RevocationError> {
    let Some((_, value)) = certificate.extension(oids::AUTHORITY_INFO_ACCESS) else {
        return Ok(Vec::new());
    };
    limited(authority_information(value), "authorityInfoAccess")
}

/// The addresses of the CRLs, in the certificate's order, not yet checked; none without the
/// extension.
pub(super) fn crls(certificate: &Certificate) -> Result<Option<Vec<&[u8]>>, RevocationError> {
    match certificate.extension(oids::CRL_DISTRIBUTION_POINTS) {
        Some((_, value)) => distribution_points(value).map(Some),
        None => Ok(None),
    }
}

/// The addresses of `CRLDistributionPoints`, the syntax of the freshest-CRL extension too.
///
/// # Errors
/// There is none, or more than [`URLS_MAX`]: an extension that names no address cannot mean that
/// nothing need be asked.
pub(super) fn distribution_points(value: &[u8]) -> Result<Vec<&[u8]>, RevocationError> {
    let urls = limited(points(value), "CRL distribution point")?;
    if urls.is_empty() { Err(RevocationError::Url) } else { Ok(urls) }
}

/// The addresses in the `fullName` of a `DistributionPointName`, whose tag has been read.
pub(super) fn full_name(mut name: Reader<'_>) -> Result<Vec<&[u8]>, Malformed> {
    let full_name = name.optional(der::context(0))?;
    name.optional(der::context(1))?;
    name.finish()?;
    let mut urls = Vec::new();
    if let Some(full_name) = full_name {
        let mut names = full_name.reader();
        while !names.is_empty() {
            let name = names.any()?;
            if name.tag == URI {
                urls.push(name.content);
            }
        }
    }
    Ok(urls)
}

/// The tag of a `GeneralName` that is a URI.
const URI: u8 = asn1::primitive(6);

fn limited<'a>(
    urls: Result<Vec<&'a [u8]>, Malformed>,
    part: &'static str,
) -> Result<Vec<&'a [u8]>, RevocationError> {
    let urls = urls.map_err(|_| RevocationError::Malformed(part))?;
    if urls.len() > URLS_MAX { Err(RevocationError::TooManyUrls) } else { Ok(urls) }
}

fn authority_information(value: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut descriptions = der::only(SEQUENCE, value)?.reader();
    let mut urls = Vec::new();
    while !descriptions.is_empty() {
        let mut description = descriptions.sequence()?;
        let method = description.content(OID)?;
        let location = description.any()?;
        description.finish()?;
        if method == oids::OCSP {
            // A location of another kind is no URL, and is refused as one.
            urls.push(if location.tag == URI { location.content } else { &[] });
        }
    }
    Ok(urls)
}

fn points(value: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut points = der::only(SEQUENCE, value)?.reader();
    let mut urls = Vec::new();
    while !points.is_empty() {
        let mut point = points.sequence()?;
        if let Some(name) = point.optional(der::context(0))? {
            urls.extend(full_name(name.reader())?);
        }
        point.optional(asn1::primitive(1))?;
        point.optional(der::context(2))?;
        point.finish()?;
    }
    Ok(urls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_der::{sequence, tlv};

    #[test]
    fn takes_only_printable_http_urls() {
        let longest = format!("http://{}", "a".repeat(URL_BYTES_MAX - 7));
        let cases = [
            ("http://a", true),
            ("HTTP://a/b?c=d", true),
            (&longest, true),
            (&format!("{longest}a"), false),
            ("https://a", false),
            ("ldap://a", false),
            ("http://", false),
            ("http:/a", false),
            ("http://a b", false),
            ("http://a\r\nHost: b", false),
            ("http://\u{e4}", false),
            ("", false),
        ];
        for (url, expect) in cases {
            assert_eq!(check(url.as_bytes()).is_ok(), expect, "{url}");
        }
    }

    fn point(urls: &[&str]) -> Vec<u8> {
        let names: Vec<u8> = urls.iter().flat_map(|url| tlv(0x86, &[url.as_bytes()])).collect();
        sequence(&[&tlv(0xa0, &[&tlv(0xa0, &[&names])])])
    }

    #[test]
    fn reads_up_to_eight_urls_of_distribution_points() {
        let eight = point(&["http://a"; URLS_MAX]);
        let relative = sequence(&[&tlv(0xa0, &[&tlv(0xa1, &[])])]);
        let with_rest =
            sequence(&[&tlv(0xa0, &[&tlv(0xa0, &[])]), &tlv(0x81, &[&[0]]), &tlv(0xa2, &[])]);
        let cases = [
            ("one", sequence(&[&point(&["http://a"])]), Ok(1)),
            ("two points", sequence(&[&point(&["http://a"]), &point(&["http://b", "c"])]), Ok(3)),
            ("at the bound", sequence(&[&eight]), Ok(8)),
            (
                "past it",
                sequence(&[&eight, &point(&["http://a"])]),
                Err(RevocationError::TooManyUrls),
            ),
            ("no URL", sequence(&[&with_rest]), Err(RevocationError::Url)),
            ("relative name", sequence(&[&relative]), Err(RevocationError::Url)),
            ("no point", sequence(&[]), Err(RevocationError::Url)),
            ("not DER", vec![1], Err(RevocationError::Malformed("CRL distribution point"))),
        ];
        for (name, value, expect) in cases {
            assert_eq!(distribution_points(&value).map(|urls| urls.len()), expect, "{name}");
        }
    }
}
