//! CRLs and responses that OpenSSL made (`tests/data/openssl`, `tests/data/openssl-authorities`).

use super::*;

/// Within the times that the files name.
const MADE: &str = "2026-11-23T00:00:00Z";

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/openssl/", $name, ".der")).as_slice()
    };
}

fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

#[test]
fn reads_the_crl_of_openssl() {
    let root = certificate(file!("root"));
    let list = crl::Crl::parse(file!("crl")).unwrap();
    assert_eq!(list.check(&root, at(MADE)).map(|until| until > at(MADE)), Ok(true));
    assert_eq!(list.check(&root, at("2027-11-23T00:00:00Z")), Err(RevocationError::Expired));
    for (name, der, expect) in
        [("good", file!("good"), vec![]), ("revoked", file!("revoked"), vec![Some(1)])]
    {
        let mut reasons = Vec::new();
        let serial = certificate(der).serial().to_vec();
        list.entries_of(&serial, |entry| reasons.push(entry.reason)).unwrap();
        assert_eq!(reasons, expect, "{name}");
    }
}

#[test]
fn reads_the_responses_of_openssl() {
    let root = certificate(file!("root"));
    let cases = [
        ("good", file!("good"), file!("ocsp-good"), Ok(Finding::Good)),
        ("revoked", file!("revoked"), file!("ocsp-revoked"), Ok(Finding::Revoked)),
        ("delegated", file!("good"), file!("ocsp-good-delegated"), Ok(Finding::Good)),
        (
            "about the other",
            file!("revoked"),
            file!("ocsp-good"),
            Err(RevocationError::OtherCertificate),
        ),
    ];
    for (name, der, response, expect) in cases {
        let certificate = certificate(der);
        let id = CertificateId::new(&certificate, &root);
        let answer = OcspAnswer::verify(response, &id, &root);
        let finding = answer.and_then(|answer| answer.finding(at(MADE), None));
        assert_eq!(finding, expect, "{name}");
    }
}

#[test]
fn follows_the_authorities_of_openssl_to_a_status() {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/data/openssl-authorities/", $name)).to_vec()
        };
    }
    const OCSP: &str = "http://ocsp.example";
    const BASE: &str = "http://crl.example/base.crl";
    const DELTA: &str = "http://crl.example/delta.crl";
    let chain = [certificate(&file!("leaf.der")), certificate(&file!("root.der"))];
    let absent = || RevocationError::Fetch(FetchError::Status(404));
    let cases = [
        ("responder, good", vec![(OCSP, file!("good.ocsp"))], CertificateStatus::Good),
        ("responder, revoked", vec![(OCSP, file!("revoked.ocsp"))], CertificateStatus::Revoked),
        (
            "delta without the leaf",
            vec![(BASE, file!("base.crl")), (DELTA, file!("delta-good.crl"))],
            CertificateStatus::Good,
        ),
        (
            "delta with the leaf",
            vec![(BASE, file!("base.crl")), (DELTA, file!("delta-revoked.crl"))],
            CertificateStatus::Revoked,
        ),
        (
            "no delta",
            vec![(BASE, file!("base.crl"))],
            CertificateStatus::Unknown(vec![absent(), absent()]),
        ),
        (
            "delta as base",
            vec![(BASE, file!("delta-good.crl"))],
            CertificateStatus::Unknown(vec![absent(), RevocationError::DeltaCrl]),
        ),
        (
            "base as delta",
            vec![(BASE, file!("base.crl")), (DELTA, file!("base.crl"))],
            CertificateStatus::Unknown(vec![absent(), RevocationError::DeltaCrl]),
        ),
    ];
    for (name, answers, expect) in cases {
        let net = Net::new(answers);
        let context = Context { now: at(MADE), signing_time: None, fetcher: &net, cache: &NoCache };
        let status = check(&chain, Purpose::CodeSigning, &context).now_or_never().unwrap();
        assert_eq!(status.unwrap().certificates[0], expect, "{name}");
    }
}
