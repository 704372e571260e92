//! What third parties say of Notary Project signatures: timestamps, OCSP responses and CRLs, as
//! OpenSSL and Go made them, and then changed. Whatever a server answers, no more is believed than
//! what the authority's key signed.

use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use jiff::Timestamp;
use notation_rs::EnvelopeFormat;
use notation_rs::certificate::Certificate;
use notation_rs::envelope::Envelope;
use notation_rs::profile::Purpose;
use notation_rs::revocation::{
    BoxFuture, CertificateStatus, Context, FetchError, FetchRequest, Fetcher, NoCache, check,
};
use notation_rs::timestamp;

use crate::notation::data;

const GOOD_CRL: &[u8] = data!("notation-go/good.crl");
const GOOD_OCSP: &[u8] = data!("notation-go/good.ocsp");
const TOKEN: &[u8] = data!("openssl/token.der");

/// CRLs: one without the certificate, one with it.
pub const CRLS: &[&[u8]] = &[GOOD_CRL, data!("notation-go/revoked.crl")];
/// OCSP responses: good and revoked.
pub const OCSP: &[&[u8]] = &[GOOD_OCSP, data!("notation-go/revoked.ocsp")];
/// Timestamp tokens.
pub const TIMESTAMPS: &[&[u8]] = &[TOKEN];

/// What [`TOKEN`] is over.
const STAMPED: &[u8] = b"the signature";

/// Where the leaf has its OCSP responder, and where its CRL.
const RESPONDER: &str = "http://ocsp.example";
const CRL: &str = "http://crl.example/root.crl";

/// A time at which all the files count.
const NOW: &str = "2026-11-22T12:00:00Z";

/// A token proves the time that its authority signed, of the one signature that it is over.
pub fn timestamp(data: &[u8]) -> bool {
    let root = Certificate::from_der(data!("openssl/root.der")).expect("a certificate");
    let roots = [root];
    assert!(timestamp::verify(data, b"another signature", &roots).is_err());
    assert!(timestamp::verify(data, STAMPED, &[]).is_err(), "nobody is trusted");
    let Ok(verified) = timestamp::verify(data, STAMPED, &roots) else { return false };
    assert_eq!(Ok(verified), timestamp::verify(TOKEN, STAMPED, &roots));
    true
}

/// An OCSP response says nothing that the CA did not sign.
pub fn ocsp(data: &[u8]) -> bool {
    is_definite(RESPONDER, data, OCSP, ocsp_signed)
}

/// A CRL says nothing that the CA did not sign.
pub fn crl(data: &[u8]) -> bool {
    is_definite(CRL, data, CRLS, crl_signed)
}

/// Whether `data`, served at `url` alone, tells the status of the leaf. If so, what was signed of it
/// is what was signed of the original with this status: the first of `originals` is the good one.
fn is_definite(
    url: &'static str,
    data: &[u8],
    originals: &[&[u8]],
    signed: fn(&[u8]) -> &[u8],
) -> bool {
    let position = match status(url, data) {
        CertificateStatus::Good => 0,
        CertificateStatus::Revoked => 1,
        CertificateStatus::Unknown(_) => return false,
        CertificateStatus::NonRevokable => panic!("the leaf names whom to ask"),
    };
    assert_eq!(signed(data), signed(originals[position]));
    true
}

fn status(url: &'static str, data: &[u8]) -> CertificateStatus {
    let envelope = Envelope::parse(EnvelopeFormat::Cose, data!("notation-go/revocation.cose"));
    let envelope = envelope.expect("an envelope");
    let web = Page { url, body: data };
    let now: Timestamp = NOW.parse().expect("a time");
    let context = Context { now, signing_time: None, fetcher: &web, cache: &NoCache };
    let mut checked = pin!(check(envelope.chain(), Purpose::CodeSigning, &context));
    match checked.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(status) => status.expect("a chain").certificates.swap_remove(0),
        Poll::Pending => panic!("the page is there already"),
    }
}

/// The `tbsCertList` of a CRL that has been accepted.
fn crl_signed(der: &[u8]) -> &[u8] {
    first(content(der)).0
}

/// The `tbsResponseData` of an OCSP response that has been accepted (RFC 6960, section 4.2.1).
fn ocsp_signed(der: &[u8]) -> &[u8] {
    let (_status, response_bytes) = first(content(der));
    let (_type, response) = first(content(content(response_bytes)));
    first(content(content(response))).0
}

/// The content of the first element of DER.
fn content(der: &[u8]) -> &[u8] {
    let (whole, _) = first(der);
    &whole[header_bytes(whole)..]
}

/// The first element of DER, and what follows it.
fn first(der: &[u8]) -> (&[u8], &[u8]) {
    let header = header_bytes(der);
    let length = match header {
        2 => usize::from(der[1]),
        _ => der[2..header].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    der.split_at(header + length)
}

/// How long tag and length of the first element are.
fn header_bytes(der: &[u8]) -> usize {
    if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) }
}

/// All of the web: one page.
struct Page<'a> {
    url: &'static str,
    body: &'a [u8],
}

impl Fetcher for Page<'_> {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        let is_here = request.url.starts_with(self.url);
        let answer = if is_here { Ok(self.body.to_vec()) } else { Err(FetchError::Status(404)) };
        Box::pin(std::future::ready(answer))
    }
}
