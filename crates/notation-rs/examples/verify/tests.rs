//! Envelopes of the Notary Project's own library, and the arguments to hold them against.

use super::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/notation-go");
const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const SIGNED: &str = "2026-11-22T06:46:30Z";
const EXPIRED: &str = "2026-11-22T17:00:00Z";
const CERTIFICATES_EXPIRED: &str = "2026-11-24T00:00:00Z";

/// The stage of the failure, or `pass`, or `usage`, for an envelope of the Notary Project's own
/// library. An argument replaces those of its option.
fn verify(envelope: &str, arguments: &[&str]) -> String {
    let (key, suffix) = envelope.split_once('.').unwrap();
    let media_type = if suffix == "cose" { "application/cose" } else { "application/jose+json" };
    let defaults = [
        ("--envelope", format!("{DATA}/{envelope}")),
        ("--media-type", media_type.to_owned()),
        ("--artifact", format!("{DATA}/descriptor.json")),
        ("--reference", format!("registry.example/a@{DIGEST}")),
        ("--level", "strict".to_owned()),
        ("--trust-store", format!("ca:roots={DATA}/{key}.pem")),
        ("--trusted-identity", "x509.subject: C=US, ST=WA, O=Notary".to_owned()),
        ("--now", SIGNED.to_owned()),
    ];
    let defaults = defaults.into_iter().filter(|(option, _)| !arguments.contains(option));
    let given = arguments.iter().map(ToString::to_string);
    let all = defaults.flat_map(|(option, value)| [option.to_owned(), value]).chain(given);
    match run(all) {
        Err(_) => "usage".to_owned(),
        Ok((true, report)) => {
            assert_eq!(report["verdict"], "pass");
            assert_eq!(report["stage"], Value::Null);
            "pass".to_owned()
        }
        Ok((false, report)) => {
            assert_eq!(report["verdict"], "fail");
            report["stage"].as_str().unwrap().to_owned()
        }
    }
}

#[test]
fn verifies_envelopes_of_the_notary_projects_own_library() {
    let cases: [(&[&str], &str); 17] = [
        (&[], "pass"),
        (&["--user-metadata", "env=prod"], "pass"),
        (&["--user-metadata", "env=test"], "metadata"),
        (&["--trusted-identity", "x509.subject: C=US, ST=WA, O=Acme"], "authenticity"),
        (&["--now", EXPIRED], "expiry"),
        (&["--now", EXPIRED, "--override", "expiry=log"], "pass"),
        (&["--now", EXPIRED, "--level", "permissive"], "pass"),
        (&["--now", CERTIFICATES_EXPIRED, "--override", "expiry=log"], "authenticTimestamp"),
        (&["--now", CERTIFICATES_EXPIRED, "--level", "audit"], "pass"),
        (&["--level", "skip"], "pass"),
        (&["--media-type", "application/jose"], "integrity"),
        (&["--media-type", "application/jose", "--level", "skip"], "pass"),
        (&["--level", "none"], "usage"),
        (&["--trusted-identity", "x509.subject: C=US, ST=WA"], "usage"),
        (&["--override", "expiry=skip"], "usage"),
        (&["--reference", "registry.example/a:tag"], "usage"),
        (&["--unknown", "x"], "usage"),
    ];
    for envelope in ["rsa.jws", "rsa.cose", "ec.jws", "ec.cose"] {
        for (arguments, expect) in cases {
            assert_eq!(verify(envelope, arguments), expect, "{envelope} {arguments:?}");
        }
    }
}

#[test]
fn asks_the_files_about_revocation() {
    let page = |url: &str, file: &str| format!("http://{url}={DATA}/{file}");
    let good_ocsp = page("ocsp.example", "good.ocsp");
    let revoked_ocsp = page("ocsp.example", "revoked.ocsp");
    let good_crl = page("crl.example/root.crl", "good.crl");
    let revoked_crl = page("crl.example/", "revoked.crl");
    let elsewhere = page("crl.example/other", "good.crl");
    let cases: [(&[&str], &str); 11] = [
        (&[], "revocation"),
        (&["--override", "revocation=skip"], "pass"),
        (&["--override", "revocation=log"], "pass"),
        (&["--http", &good_ocsp], "pass"),
        (&["--http", &revoked_ocsp, "--http", &good_crl], "revocation"),
        (&["--http", &good_crl], "pass"),
        (&["--http", &revoked_crl], "revocation"),
        (&["--http", &elsewhere], "revocation"),
        (&["--http", &good_ocsp, "--http", &revoked_crl], "pass"),
        (&["--http", &good_crl, &revoked_crl], "pass"),
        (&["--http", &revoked_crl, &good_crl], "pass"),
    ];
    for (arguments, expect) in cases {
        let arguments = [&["--now", "2026-11-22T12:00:00Z"], arguments].concat();
        assert_eq!(verify("revocation.cose", &arguments), expect, "{arguments:?}");
    }
    let other = ["--http", &good_ocsp, "--tsa-revocation", "bad"];
    assert_eq!(verify("revocation.cose", &other), "usage");
}

#[test]
fn takes_the_word_of_a_timestamp_authority() {
    let roots = format!("ca:roots={DATA}/ec.pem");
    let tsa = format!("tsa:stamps={DATA}/tsa.pem");
    let other = format!("tsa:stamps={DATA}/ec.pem");
    let late: &[&str] =
        &["--now", CERTIFICATES_EXPIRED, "--override", "expiry=log", "--trust-store", &roots];
    let good = ["--tsa-revocation", "good"];
    let cases: [(&[&str], &str); 5] = [
        (&[], "authenticTimestamp"),
        (&["--trust-store", &tsa], "authenticTimestamp"),
        (&["--trust-store", &tsa, good[0], good[1]], "pass"),
        (&["--trust-store", &tsa, good[0], good[1], "--verify-timestamp", "always"], "pass"),
        (&["--trust-store", &other, good[0], good[1]], "authenticTimestamp"),
    ];
    for (arguments, expect) in cases {
        let arguments = [late, arguments].concat();
        assert_eq!(verify("timestamped.jws", &arguments), expect, "{arguments:?}");
    }
}

#[test]
fn uses_the_files_that_it_is_given() {
    let other = format!("ca:roots={DATA}/ec.pem");
    let tsa = format!("tsa:stamps={DATA}/ec.pem");
    let own = format!("ca:roots={DATA}/rsa.pem");
    let no_store = format!("ca:roots={DATA}/descriptor.json");
    let absent = format!("{DATA}/absent");
    let cose = format!("{DATA}/rsa.cose");
    let file = own.trim_start_matches("ca:roots=");
    let cases: [(&[&str], &str); 13] = [
        (&["--trust-store", &other], "authenticity"),
        (&["--trust-store", &other, file], "pass"),
        (&["--trust-store", file], "usage"),
        (&["--trust-store", &other, "--trust-store", &own], "pass"),
        (&["--trust-store", &own, "--trust-store", &tsa], "authenticTimestamp"),
        (
            &[
                "--trust-store",
                &own,
                "--trust-store",
                &tsa,
                "--verify-timestamp",
                "afterCertExpiry",
            ],
            "pass",
        ),
        (&["--trust-store", &other, &own], "pass"),
        (&["--level", "strict", &own], "usage"),
        (&["--trust-store", &no_store], "authenticity"),
        (&["--trust-store", "ca:roots"], "usage"),
        (&["--envelope", &cose], "integrity"),
        (&["--envelope", &absent], "usage"),
        (&["--http", "http://ocsp.example/", "--level", "strict"], "usage"),
    ];
    for (arguments, expect) in cases {
        assert_eq!(verify("rsa.jws", arguments), expect, "{arguments:?}");
    }
}
