//! Whole chains: who is asked, in which order, how often, and what the answers mean together.

use std::collections::HashMap;
use std::task::{Context as Task, Poll, Waker};

use super::*;

#[derive(Default)]
pub(super) struct Memory(pub(super) Mutex<HashMap<CacheKey, Evidence>>);

impl Cache for Memory {
    fn get_or_fetch<'a>(
        &'a self,
        key: CacheKey,
        now: Timestamp,
        fetch: BoxFuture<'a, Result<Evidence, RevocationError>>,
    ) -> BoxFuture<'a, Result<Evidence, RevocationError>> {
        Box::pin(async move {
            let kept = self.0.lock().unwrap().get(&key).cloned();
            if let Some(evidence) = kept.filter(|evidence| now <= evidence.fresh_until()) {
                return Ok(evidence);
            }
            let evidence = fetch.await?;
            self.0.lock().unwrap().insert(key, evidence.clone());
            Ok(evidence)
        })
    }
}

/// A cache that has one thing for whoever asks.
struct Confused(Evidence);

impl Cache for Confused {
    fn get_or_fetch<'a>(
        &'a self,
        _: CacheKey,
        _: Timestamp,
        _: BoxFuture<'a, Result<Evidence, RevocationError>>,
    ) -> BoxFuture<'a, Result<Evidence, RevocationError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// A leaf that names an OCSP responder and a CRL.
fn both() -> Pki {
    Pki::new(vec![authority_information(&[OCSP_URL]), distribution_points(&[CRL_URL])])
}

fn revoked_crl() -> CrlSpec {
    CrlSpec { entries: vec![entry(LEAF_SERIAL, "250101000000Z", &[])], ..CrlSpec::default() }
}

#[test]
fn asks_nobody_about_certificates_that_name_nobody() {
    let net = Net::default();
    assert_eq!(Pki::new(vec![]).status(&net), CertificateStatus::NonRevokable);
    assert!(net.asked().is_empty());
}

#[test]
fn asks_nobody_whom_certificates_above_the_trusted_one_name() {
    let pki = both();
    let key = Key::new();
    let middle = [ca_extensions(), vec![authority_information(&[OCSP_URL])]].concat();
    let middle = certificate("Middle", 7, middle, &key, &pki.root_key);
    let fields = Fields {
        subject: "Leaf",
        issuer: "Middle",
        serial: vec![8],
        validity: VALIDITY,
        extensions: vec![test_pki::key_usage(0x80)],
    };
    let leaf = test_pki::certificate(&fields, &Key::new(), &key);
    let chain = [leaf, middle, pki.root];
    for (name, anchor, asked) in [("leaf", 0, 0), ("middle", 1, 1), ("root", 2, 1)] {
        let net = Net::default();
        let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &NoCache };
        let status = check_below(&chain, anchor, Purpose::CodeSigning, &context);
        let status = status.now_or_never().unwrap().unwrap();
        assert_eq!((status.certificates.len(), net.asked().len()), (3, asked), "{name}");
        assert_eq!(status.verdict() == Verdict::Good, asked == 0, "{name}");
    }
}

#[test]
fn asks_nothing_about_a_chain_that_breaks_its_profile() {
    let pki = both();
    let net = Net::default();
    let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &NoCache };
    let check = |chain: &[Certificate], purpose| {
        check(chain, purpose, &context).now_or_never().unwrap().is_err()
    };
    assert!(check(&pki.chain(), Purpose::Timestamping));
    assert!(check(&[pki.leaf.clone(), pki.leaf.clone()], Purpose::CodeSigning));
    assert!(check(&[], Purpose::CodeSigning));
    assert!(net.asked().is_empty());
    assert!(!check(&pki.chain(), Purpose::CodeSigning));
}

#[test]
fn falls_back_to_the_crl_only_where_ocsp_gives_no_answer() {
    let pki = both();
    let ocsp = |spec: OcspSpec| (OCSP_URL, spec.sign(&pki, &pki.root_key, &[]));
    let crl = |spec: CrlSpec| (CRL_URL, spec.sign(&pki.root_key));
    let not_known = || OcspSpec { status: tlv(0x82, &[]), ..OcspSpec::default() };
    let cases = [
        (
            "good by OCSP",
            vec![ocsp(OcspSpec::default()), crl(revoked_crl())],
            CertificateStatus::Good,
            1,
        ),
        (
            "revoked by OCSP",
            vec![ocsp(OcspSpec::revoked()), crl(CrlSpec::default())],
            CertificateStatus::Revoked,
            1,
        ),
        (
            "unknown to OCSP",
            vec![ocsp(not_known()), crl(CrlSpec::default())],
            CertificateStatus::Good,
            2,
        ),
        ("no OCSP", vec![crl(revoked_crl())], CertificateStatus::Revoked, 2),
        (
            "neither",
            vec![],
            CertificateStatus::Unknown(vec![RevocationError::Fetch(FetchError::Status(404)); 2]),
            2,
        ),
    ];
    for (name, answers, expect, asked) in cases {
        let net = Net::new(answers);
        assert_eq!(pki.status(&net), expect, "{name}");
        assert_eq!(net.asked().len(), asked, "{name}");
    }
}

#[test]
fn asks_responders_in_turn_until_one_answers() {
    let pki = Pki::new(vec![authority_information(&["https://a.test", "http://b.test", OCSP_URL])]);
    let good = OcspSpec::default().sign(&pki, &pki.root_key, &[]);
    let net = Net::new(vec![(OCSP_URL, good.clone())]);
    assert_eq!(pki.status(&net), CertificateStatus::Good);
    assert_eq!(net.asked().len(), 2);

    let not_known = OcspSpec { status: tlv(0x82, &[]), ..OcspSpec::default() };
    let not_known = not_known.sign(&pki, &pki.root_key, &[]);
    let net = Net::new(vec![("http://b.test", not_known), (OCSP_URL, good)]);
    let expect = vec![RevocationError::Url, RevocationError::UnknownToResponder];
    assert_eq!(pki.status(&net), CertificateStatus::Unknown(expect));
    assert_eq!(net.asked().len(), 1);
}

#[test]
fn reads_who_answers_for_a_certificate() {
    let information = |descriptions: &[u8]| {
        extension(oids::AUTHORITY_INFO_ACCESS, false, &sequence(&[descriptions]))
    };
    let issuers = b"\x2b\x06\x01\x05\x05\x07\x30\x02";
    let ca_issuers = sequence(&[&oid(issuers), &tlv(0x86, &[b"http://ca.test/root"])]);
    let by_name = sequence(&[&oid(oids::OCSP), &tlv(0xa4, &[&test_pki::name("Responder")])]);
    let no_answer = |count| {
        CertificateStatus::Unknown(vec![RevocationError::Fetch(FetchError::Status(404)); count])
    };
    let malformed = RevocationError::Malformed("authorityInfoAccess");
    let cases = [
        ("issuers only", information(&ca_issuers), CertificateStatus::NonRevokable, 0),
        ("no URL", information(&by_name), unknown(RevocationError::Url), 0),
        ("malformed", information(b"x"), unknown(malformed), 0),
        ("at the bound", authority_information(&[OCSP_URL; 8]), no_answer(8), 8),
        (
            "past it",
            authority_information(&[OCSP_URL; 9]),
            unknown(RevocationError::TooManyUrls),
            0,
        ),
    ];
    for (name, extension, expect, asked) in cases {
        let net = Net::default();
        assert_eq!(Pki::new(vec![extension]).status(&net), expect, "{name}");
        assert_eq!(net.asked().len(), asked, "{name}");
    }
}

#[test]
fn wants_all_crls_and_one_is_enough_to_revoke() {
    const OTHER_URL: &str = "http://other.test/crl";
    let pki = Pki::new(vec![distribution_points(&[CRL_URL, OTHER_URL])]);
    let good = CrlSpec::default().sign(&pki.root_key);
    let bad = revoked_crl().sign(&pki.root_key);
    let missing = unknown(RevocationError::Fetch(FetchError::Status(404)));
    let cases = [
        (
            "both good",
            vec![(CRL_URL, good.clone()), (OTHER_URL, good.clone())],
            CertificateStatus::Good,
        ),
        (
            "second revokes",
            vec![(CRL_URL, good.clone()), (OTHER_URL, bad.clone())],
            CertificateStatus::Revoked,
        ),
        ("first revokes", vec![(CRL_URL, bad)], CertificateStatus::Revoked),
        ("second missing", vec![(CRL_URL, good)], missing),
    ];
    for (name, answers, expect) in cases {
        assert_eq!(pki.status(&Net::new(answers)), expect, "{name}");
    }
}

#[test]
fn refuses_addresses_that_are_not_http() {
    for (url, expect) in
        [("https://ca.test/crl", false), ("ldap://ca.test", false), (CRL_URL, true)]
    {
        let pki = Pki::new(vec![distribution_points(&[url])]);
        let net = Net::new(vec![("", CrlSpec::default().sign(&pki.root_key))]);
        let status = pki.status(&net);
        assert_eq!(status == CertificateStatus::Good, expect, "{url}");
        assert_eq!(net.asked().len(), usize::from(expect), "{url}");
    }
}

#[test]
fn bounds_the_sizes_of_answers() {
    let too_large = unknown(RevocationError::Fetch(FetchError::TooLarge));
    let cases = [
        (authority_information(&[OCSP_URL]), OCSP_BYTES_MAX, "OCSP response"),
        (distribution_points(&[CRL_URL]), CRL_BYTES_MAX, "CRL"),
    ];
    for (addresses, most, what) in cases {
        let pki = Pki::new(vec![addresses]);
        let at = Net::new(vec![("", vec![0; most])]);
        assert_eq!(pki.status(&at), unknown(RevocationError::Malformed(what)));
        let past = Net::new(vec![("", vec![0; most + 1])]);
        assert_eq!(pki.status(&past), too_large);
    }
}

#[test]
fn passes_on_why_nothing_was_fetched() {
    let errors = [
        FetchError::Refused,
        FetchError::Status(500),
        FetchError::TimedOut,
        FetchError::TooLarge,
        FetchError::Unreachable,
    ];
    for error in errors {
        let net = Net { answers: vec![("", Err(error))], ..Net::default() };
        let pki = Pki::new(vec![distribution_points(&[CRL_URL])]);
        assert_eq!(pki.status(&net), unknown(RevocationError::Fetch(error)));
    }
}

#[test]
fn keeps_evidence_until_it_expires() {
    let cases = [
        ("OCSP", authority_information(&[OCSP_URL]), true),
        ("CRL", distribution_points(&[CRL_URL]), false),
    ];
    for (name, addresses, ocsp) in cases {
        let pki = Pki::new(vec![addresses]);
        let answer = if ocsp {
            OcspSpec::default().sign(&pki, &pki.root_key, &[])
        } else {
            CrlSpec::default().sign(&pki.root_key)
        };
        let (net, cache) = (Net::new(vec![("", answer)]), Memory::default());
        let chain = pki.chain();
        let verdict = |now| {
            let context =
                Context { now: at(now), signing_time: None, fetcher: &net, cache: &cache };
            let status = check(&chain, Purpose::CodeSigning, &context).now_or_never().unwrap();
            (status.unwrap().verdict() == Verdict::Good, net.asked().len())
        };
        assert_eq!(verdict(NOW), (true, 1), "{name}");
        assert_eq!(verdict("2025-06-01T13:00:00Z"), (true, 1), "{name}");
        assert_eq!(verdict("2025-06-01T13:00:01Z"), (false, 2), "{name}");
        let kept: Vec<Evidence> = cache.0.lock().unwrap().values().cloned().collect();
        assert_eq!(kept.len(), 1, "{name}");
        assert_eq!(kept[0].fresh_until(), at("2025-06-01T13:00:00Z"), "{name}");
        assert!(kept[0].size_bytes() > 0, "{name}");
    }
}

#[test]
fn keeps_no_evidence_that_is_not_verified() {
    let pki = both();
    let net = Net::new(vec![
        (OCSP_URL, OcspSpec::default().sign(&pki, &Key::new(), &[])),
        (CRL_URL, CrlSpec { other_key: true, ..CrlSpec::default() }.sign(&pki.root_key)),
    ]);
    let cache = Memory::default();
    let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &cache };
    let status = check(&pki.chain(), Purpose::CodeSigning, &context).now_or_never().unwrap();
    assert!(matches!(status.unwrap().verdict(), Verdict::Unknown { position: 0, .. }));
    assert!(cache.0.lock().unwrap().is_empty());
}

#[test]
fn takes_no_stale_and_no_other_evidence_from_a_cache() {
    let by_crl = Pki::new(vec![distribution_points(&[CRL_URL])]);
    let by_ocsp = Pki::new(vec![authority_information(&[OCSP_URL])]);
    let crl = CrlSpec::default().sign(&by_crl.root_key);
    let ocsp = OcspSpec::default().sign(&by_ocsp, &by_ocsp.root_key, &[]);
    let kept = |pki: &Pki, answer: &Vec<u8>| {
        let (net, cache) = (Net::new(vec![("", answer.clone())]), Memory::default());
        let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &cache };
        check(&pki.chain(), Purpose::CodeSigning, &context).now_or_never().unwrap().unwrap();
        cache.0.into_inner().unwrap().into_values().next().unwrap()
    };
    let (crl, ocsp) = (kept(&by_crl, &crl), kept(&by_ocsp, &ocsp));
    let (now, late) = (NOW, "2025-06-01T13:00:01Z");
    let good = CertificateStatus::Good;
    let malformed = |what| unknown(RevocationError::Malformed(what));
    for (name, pki, kept, now, expect) in [
        ("CRL", &by_crl, &crl, now, good.clone()),
        ("stale CRL", &by_crl, &crl, late, unknown(RevocationError::Expired)),
        ("OCSP in place of a CRL", &by_crl, &ocsp, now, malformed("CRL")),
        ("OCSP", &by_ocsp, &ocsp, now, good),
        ("stale OCSP", &by_ocsp, &ocsp, late, unknown(RevocationError::Expired)),
        ("CRL in place of OCSP", &by_ocsp, &crl, now, malformed("OCSP response")),
    ] {
        let (net, cache) = (Net::default(), Confused(kept.clone()));
        let context = Context { now: at(now), signing_time: None, fetcher: &net, cache: &cache };
        let status = check(&pki.chain(), Purpose::CodeSigning, &context).now_or_never().unwrap();
        assert_eq!(status.unwrap().certificates[0], expect, "{name}");
        assert!(net.asked().is_empty(), "{name}");
    }
}

#[test]
fn answers_for_no_other_issuer_from_the_cache() {
    let (one, other) = (
        Pki::new(vec![distribution_points(&[CRL_URL])]),
        Pki::new(vec![distribution_points(&[CRL_URL])]),
    );
    let net = Net::new(vec![(CRL_URL, CrlSpec::default().sign(&one.root_key))]);
    let cache = Memory::default();
    let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &cache };
    let status = |pki: &Pki| {
        let chain = pki.chain();
        let status = check(&chain, Purpose::CodeSigning, &context).now_or_never().unwrap();
        status.unwrap().certificates.remove(0)
    };
    assert_eq!(status(&one), CertificateStatus::Good);
    let invalid = RevocationError::Signature(SignatureError::Invalid);
    assert_eq!(status(&other), unknown(invalid));
    assert_eq!(status(&one), CertificateStatus::Good);
    assert_eq!(net.asked().len(), 2);
}

#[test]
fn refreshes_a_list_with_what_is_published_now() {
    let pki = Pki::new(vec![distribution_points(&[CRL_URL])]);
    let net = Net::new(vec![(CRL_URL, CrlSpec::default().sign(&pki.root_key))]);
    let bundle =
        CrlBundle::fetch(CRL_URL, &pki.root, at(NOW), &net).now_or_never().unwrap().unwrap();
    let later = CrlSpec { next_update: Some("250701000000Z"), ..CrlSpec::default() };
    let net = Net::new(vec![(CRL_URL, later.sign(&pki.root_key))]);
    let fresh = bundle.refresh(at(NOW), &net).now_or_never().unwrap().unwrap();
    assert_eq!(fresh.fresh_until(), at("2025-07-01T00:00:00Z"));
    let failed = bundle.refresh(at(NOW), &Net::default()).now_or_never().unwrap();
    assert_eq!(failed.err(), Some(RevocationError::Fetch(FetchError::Status(404))));
}

#[test]
fn sums_a_chain_up() {
    use CertificateStatus::{Good, NonRevokable, Revoked, Unknown};
    let unknown = || Unknown(vec![RevocationError::Url]);
    let causes = &[RevocationError::Url][..];
    let cases = [
        (vec![Good, NonRevokable], Verdict::Good),
        (vec![Good, unknown(), NonRevokable], Verdict::Unknown { position: 1, causes }),
        (vec![unknown(), unknown(), NonRevokable], Verdict::Unknown { position: 1, causes }),
        (vec![Revoked, unknown(), NonRevokable], Verdict::Revoked { position: 0 }),
        (vec![Revoked, Revoked, NonRevokable], Verdict::Revoked { position: 1 }),
    ];
    for (certificates, expect) in cases {
        assert_eq!(ChainStatus { certificates }.verdict(), expect);
    }
}

/// Never answers, and counts who asks.
#[derive(Default)]
struct Silent(Net);

impl Fetcher for Silent {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        drop(self.0.fetch(request));
        Box::pin(std::future::pending())
    }
}

#[test]
fn asks_about_all_certificates_at_the_same_time() {
    let (root_key, ca_key) = (Key::new(), Key::new());
    let root = certificate("Root", 1, ca_extensions(), &root_key, &root_key);
    let ca = [ca_extensions(), vec![distribution_points(&[CRL_URL])]].concat();
    let ca = certificate("CA", 2, ca, &ca_key, &root_key);
    let leaf = Fields {
        subject: "Leaf",
        issuer: "CA",
        serial: vec![3],
        validity: VALIDITY,
        extensions: vec![test_pki::key_usage(0x80), authority_information(&[OCSP_URL])],
    };
    let leaf = test_pki::certificate(&leaf, &Key::new(), &ca_key);
    let net = Silent::default();
    let context = Context { now: at(NOW), signing_time: None, fetcher: &net, cache: &NoCache };
    let chain = [leaf, ca, root];
    let mut future = Box::pin(check(&chain, Purpose::CodeSigning, &context));
    let polled = future.as_mut().poll(&mut Task::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    let asked = net.0.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with(OCSP_URL) && asked[1].starts_with(CRL_URL), "{asked:?}");
}

#[test]
fn survives_any_bytes() {
    let pki = both();
    let response = OcspSpec::revoked().sign(&pki, &pki.root_key, &[&pki.leaf]);
    let list = CrlSpec {
        extensions: vec![points(oids::FRESHEST_CRL, &[DELTA_URL])],
        entries: vec![entry(LEAF_SERIAL, "250101000000Z", &[reason(6)])],
        ..CrlSpec::default()
    };
    let list = list.sign(&pki.root_key);
    let id = CertificateId::new(&pki.leaf, &pki.root);
    let mut seed: u64 = 0x5eed;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for round in 0..5_000 {
        let mut bytes = if round % 2 == 0 { response.clone() } else { list.clone() };
        for _ in 0..=random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(if round % 3 == 0 { random() % bytes.len() } else { bytes.len() });
        let _ = OcspAnswer::verify(&bytes, &id, &pki.root);
        if let Ok(list) = crl::Crl::parse(&bytes) {
            let _ = list.delta_urls();
            let _ = list.covers(&pki.leaf, &[]);
            let _ = list.entries_of(pki.leaf.serial(), |_| {});
            let _ = list.is_delta_of(&list);
        }
    }
}
