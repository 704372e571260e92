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

const TOKEN: &[u8] = data!("openssl/token.der");
const BASE_CRL: &[u8] = data!("openssl-authorities/base.crl");
const DELTA_CRL: &[u8] = data!("openssl-authorities/delta-good.crl");

/// CRLs without the certificate and with it, and the same in deltas of a base.
pub const CRLS: &[&[u8]] = &[
    data!("notation-go/good.crl"),
    data!("notation-go/revoked.crl"),
    BASE_CRL,
    DELTA_CRL,
    data!("openssl-authorities/delta-revoked.crl"),
];
/// OCSP responses: good and revoked, by one CA, and by a responder of another.
pub const OCSP: &[&[u8]] = &[
    data!("notation-go/good.ocsp"),
    data!("notation-go/revoked.ocsp"),
    data!("openssl-authorities/good.ocsp"),
    data!("openssl-authorities/revoked.ocsp"),
];
/// Timestamp tokens.
pub const TIMESTAMPS: &[&[u8]] = &[TOKEN];

/// What [`TOKEN`] is over.
const STAMPED: &[u8] = b"the signature";

/// Where the leaves have their OCSP responder.
const RESPONDER: &str = "http://ocsp.example";
/// Where the leaf that Go certified has its CRL, and where the other's base and delta are.
const CRL: &str = "http://crl.example/root.crl";
const BASE: &str = "http://crl.example/base.crl";
const DELTA: &str = "http://crl.example/delta.crl";

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
    let by_ca = is_definite(&by_go(), &[(RESPONDER, data)], ocsp_signed, &OCSP[..2]);
    let by_responder = is_definite(&by_openssl(), &[(RESPONDER, data)], ocsp_signed, &OCSP[2..]);
    by_ca || by_responder
}

/// A CRL says nothing that the CA did not sign, whether it stands alone, for a base or for a delta.
pub fn crl(data: &[u8]) -> bool {
    let other = by_openssl();
    let alone = is_definite(&by_go(), &[(CRL, data)], crl_signed, &CRLS[..2]);
    let base = is_definite(&other, &[(BASE, data), (DELTA, DELTA_CRL)], crl_signed, &[BASE_CRL]);
    let delta = is_definite(&other, &[(DELTA, data), (BASE, BASE_CRL)], crl_signed, &CRLS[3..]);
    alone || base || delta
}

/// Whether the first of `pages`, with the others, tells the status of the leaf. If so, what was
/// signed of it is what was signed of the original with this status: `originals` begins with good.
fn is_definite(
    chain: &[Certificate],
    pages: &[(&'static str, &[u8])],
    signed: fn(&[u8]) -> &[u8],
    originals: &[&[u8]],
) -> bool {
    let position = match status(chain, pages) {
        CertificateStatus::Good => 0,
        CertificateStatus::Revoked => 1,
        CertificateStatus::Unknown(_) => return false,
        CertificateStatus::NonRevokable => panic!("the leaf names whom to ask"),
    };
    assert_eq!(signed(pages[0].1), signed(originals[position]));
    true
}

/// The chain of an envelope, of Go's making.
fn by_go() -> Vec<Certificate> {
    let envelope = Envelope::parse(EnvelopeFormat::Cose, data!("notation-go/revocation.cose"));
    envelope.expect("an envelope").chain().to_vec()
}

fn by_openssl() -> Vec<Certificate> {
    let files = [data!("openssl-authorities/leaf.der"), data!("openssl-authorities/root.der")];
    files.map(|der| Certificate::from_der(der).expect("a certificate")).into()
}

fn status(chain: &[Certificate], pages: &[(&'static str, &[u8])]) -> CertificateStatus {
    let web = Pages(pages);
    let now: Timestamp = NOW.parse().expect("a time");
    let context = Context { now, signing_time: None, fetcher: &web, cache: &NoCache };
    let mut checked = pin!(check(chain, Purpose::CodeSigning, &context));
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

/// All of the web.
struct Pages<'a>(&'a [(&'static str, &'a [u8])]);

impl Fetcher for Pages<'_> {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        let page = self.0.iter().find(|(url, _)| request.url.starts_with(url));
        let answer = page.map(|(_, body)| body.to_vec()).ok_or(FetchError::Status(404));
        Box::pin(std::future::ready(answer))
    }
}
