//! A CRL and responses that OpenSSL made (`tests/data/openssl`).

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
