//! Chains, CRLs and OCSP responses of our own, each wrong in one fact, and some by OpenSSL.

mod chains;
mod crls;
mod openssl;
mod responses;

use std::sync::Mutex;

use futures_util::FutureExt as _;

use super::*;
use crate::algorithm::Hash;
use crate::asn1::ENUMERATED;
use crate::der::{GENERALIZED_TIME, OID, context};
use crate::test_der::{integer, octets, oid, sequence, tlv};
use crate::test_pki::{self, Fields, Key, ca_extensions, extension};

const VALIDITY: (&str, &str) = ("240101000000Z", "300101000000Z");
const NOW: &str = "2025-06-01T12:00:00Z";
const LEAF_SERIAL: u64 = 0x1234;
const CRL_URL: &str = "http://ca.test/crl";
const DELTA_URL: &str = "http://ca.test/delta";
const OCSP_URL: &str = "http://ocsp.test";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// Answers for URLs by their beginnings, 404 for all others, and a record of what was asked: the
/// URL, after `POST` if it was none to get.
#[derive(Default)]
struct Net {
    answers: Vec<(&'static str, Result<Vec<u8>, FetchError>)>,
    asked: Mutex<Vec<String>>,
}

impl Net {
    fn new(answers: Vec<(&'static str, Vec<u8>)>) -> Self {
        let answers = answers.into_iter().map(|(url, answer)| (url, Ok(answer))).collect();
        Self { answers, ..Self::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Fetcher for Net {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        let method = if request.post.is_some() { "POST " } else { "" };
        self.asked.lock().unwrap().push(format!("{method}{}", request.url));
        let found = self.answers.iter().find(|(url, _)| request.url.starts_with(url));
        let answer = found.map_or(Err(FetchError::Status(404)), |(_, answer)| answer.clone());
        Box::pin(async move { answer })
    }
}

/// A root, and a code signing leaf that it issued.
struct Pki {
    root_key: Key,
    root: Certificate,
    leaf: Certificate,
}

impl Pki {
    /// With these extensions of the leaf, besides its key usage.
    fn new(leaf: Vec<Vec<u8>>) -> Self {
        Self::with_root(ca_extensions(), leaf)
    }

    fn with_root(root: Vec<Vec<u8>>, mut leaf: Vec<Vec<u8>>) -> Self {
        let root_key = Key::new();
        leaf.push(test_pki::key_usage(0x80));
        let root = certificate("Root", 1, root, &root_key, &root_key);
        let leaf = certificate("Leaf", LEAF_SERIAL, leaf, &Key::new(), &root_key);
        Self { root_key, root, leaf }
    }

    fn chain(&self) -> Vec<Certificate> {
        vec![self.leaf.clone(), self.root.clone()]
    }

    fn status(&self, net: &Net) -> CertificateStatus {
        self.status_at(net, NOW, None)
    }

    fn status_at(&self, net: &Net, now: &str, signed: Option<&str>) -> CertificateStatus {
        let context =
            Context { now: at(now), signing_time: signed.map(at), fetcher: net, cache: &NoCache };
        let chain = self.chain();
        let status = check(&chain, Purpose::CodeSigning, &context).now_or_never().unwrap();
        status.unwrap().certificates.remove(0)
    }
}

fn certificate(
    subject: &'static str,
    serial: u64,
    extensions: Vec<Vec<u8>>,
    key: &Key,
    issuer_key: &Key,
) -> Certificate {
    let serial = serial.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    let fields = Fields { subject, issuer: "Root", serial, validity: VALIDITY, extensions };
    test_pki::certificate(&fields, key, issuer_key)
}

fn authority_information(urls: &[&str]) -> Vec<u8> {
    let one = |url: &&str| sequence(&[&oid(oids::OCSP), &tlv(0x86, &[url.as_bytes()])]);
    let all: Vec<u8> = urls.iter().flat_map(one).collect();
    extension(oids::AUTHORITY_INFO_ACCESS, false, &sequence(&[&all]))
}

/// The syntax of distribution points and of the freshest CRL, with one point per URL.
fn points(id: &[u8], urls: &[&str]) -> Vec<u8> {
    let one = |url: &&str| sequence(&[&tlv(0xa0, &[&full_name(url)])]);
    let all: Vec<u8> = urls.iter().flat_map(one).collect();
    extension(id, false, &sequence(&[&all]))
}

fn full_name(url: &str) -> Vec<u8> {
    tlv(0xa0, &[&tlv(0x86, &[url.as_bytes()])])
}

fn distribution_points(urls: &[&str]) -> Vec<u8> {
    points(oids::CRL_DISTRIBUTION_POINTS, urls)
}

fn generalized(time: &str) -> Vec<u8> {
    tlv(GENERALIZED_TIME, &[time.as_bytes()])
}

fn unknown(cause: RevocationError) -> CertificateStatus {
    CertificateStatus::Unknown(vec![cause])
}

/// What goes into a CRL. The default is a right one that is empty.
struct CrlSpec {
    version: u64,
    issuer: &'static str,
    this_update: &'static str,
    next_update: Option<&'static str>,
    entries: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
    other_key: bool,
}

impl Default for CrlSpec {
    fn default() -> Self {
        Self {
            version: 1,
            issuer: "Root",
            this_update: "250601110000Z",
            next_update: Some("250601130000Z"),
            entries: Vec::new(),
            extensions: Vec::new(),
            other_key: false,
        }
    }
}

impl CrlSpec {
    fn sign(&self, key: &Key) -> Vec<u8> {
        let entries = self.entries.concat();
        let extensions = sequence(&[&self.extensions.concat()]);
        let tbs = sequence(&[
            &integer(self.version),
            &test_pki::ecdsa_sha256(),
            &test_pki::name(self.issuer),
            &test_pki::utc(self.this_update),
            &self.next_update.map(test_pki::utc).unwrap_or_default(),
            &if entries.is_empty() { Vec::new() } else { sequence(&[&entries]) },
            &if self.extensions.is_empty() { Vec::new() } else { tlv(context(0), &[&extensions]) },
        ]);
        let other = Key::new();
        test_pki::signed(&tbs, if self.other_key { &other } else { key }, &[])
    }
}

/// An entry of a CRL, with the extensions that an entry may have.
fn entry(serial: u64, revoked_at: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let list = if extensions.is_empty() { Vec::new() } else { sequence(&[&extensions]) };
    sequence(&[&integer(serial), &test_pki::utc(revoked_at), &list])
}

fn reason(code: u8) -> Vec<u8> {
    extension(oids::CRL_REASON, false, &tlv(ENUMERATED, &[&[code]]))
}

fn invalidity_date(time: &str) -> Vec<u8> {
    extension(oids::INVALIDITY_DATE, false, &generalized(time))
}

/// What goes into an OCSP response about the leaf. The default is a right one that says "good".
struct OcspSpec {
    response_status: u8,
    response_type: &'static [u8],
    hash_algorithm: &'static [u8],
    /// What hashes; SHA-1 if none.
    hash: Option<Hash>,
    serial: u64,
    issuer_name: Option<&'static str>,
    issuer_key: Option<&'static [u8]>,
    status: Vec<u8>,
    this_update: &'static str,
    next_update: Option<&'static str>,
    single_extensions: Vec<Vec<u8>>,
    response_extensions: Vec<Vec<u8>>,
    singles: usize,
}

impl Default for OcspSpec {
    fn default() -> Self {
        Self {
            response_status: 0,
            response_type: oids::OCSP_BASIC,
            hash_algorithm: oids::SHA1,
            hash: None,
            serial: LEAF_SERIAL,
            issuer_name: None,
            issuer_key: None,
            status: tlv(0x80, &[]),
            this_update: "20250601110000Z",
            next_update: Some("20250601130000Z"),
            single_extensions: Vec::new(),
            response_extensions: Vec::new(),
            singles: 1,
        }
    }
}

impl OcspSpec {
    fn revoked() -> Self {
        let since = generalized("20250601100000Z");
        Self { status: tlv(0xa1, &[&since]), ..Self::default() }
    }

    /// Signed by `key`, with `embedded` alongside.
    fn sign(&self, pki: &Pki, key: &Key, embedded: &[&Certificate]) -> Vec<u8> {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
        let hash = |bytes: &[u8]| self.hash.map_or_else(|| sha1(bytes), |hash| hash.digest(bytes));
        let name = self.issuer_name.map_or(pki.root.subject_der().to_vec(), test_pki::name);
        let id = sequence(&[
            &sequence(&[&oid(self.hash_algorithm)]),
            &octets(&hash(&name)),
            &octets(&hash(self.issuer_key.unwrap_or(pki.root.public_key_bits()))),
            &integer(self.serial),
        ]);
        let explicit = |tag, extensions: &[Vec<u8>]| {
            let list = sequence(&[&extensions.concat()]);
            if extensions.is_empty() { Vec::new() } else { tlv(context(tag), &[&list]) }
        };
        let next = |time| tlv(context(0), &[&generalized(time)]);
        let single = sequence(&[
            &id,
            &self.status,
            &generalized(self.this_update),
            &self.next_update.map(next).unwrap_or_default(),
            &explicit(1, &self.single_extensions),
        ]);
        let data = sequence(&[
            &tlv(context(2), &[&octets(b"key")]),
            &generalized("20250601110000Z"),
            &sequence(&[&single.repeat(self.singles)]),
            &explicit(1, &self.response_extensions),
        ]);
        let certificates: Vec<u8> = embedded.iter().flat_map(|one| one.der()).copied().collect();
        let certificates = tlv(context(0), &[&sequence(&[&certificates])]);
        let more = if embedded.is_empty() { &[][..] } else { &certificates };
        let basic = test_pki::signed(&data, key, more);
        let typed = sequence(&[&tlv(OID, &[self.response_type]), &octets(&basic)]);
        let status = tlv(ENUMERATED, &[&[self.response_status]]);
        sequence(&[&status, &tlv(context(0), &[&typed])])
    }
}
