//! Revocation through the context, on what the Notary Project's own library signed.

use std::time::Duration;

use assay_core::ports::FetchLimits;
use assay_core::{NotationConfig, NotationTrustPolicy, ReasonCode, State, StoreError};
use bytes::Bytes;
use notation_rs::EnvelopeFormat;

use crate::world::{World, at, build, not_found, pki, stating, verifier};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../notation-rs/tests/data/notation-go");

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{DATA}/{name}")).unwrap()
}

/// The image of the test data, which may be signed by anybody whom the data's root knows.
fn world() -> World {
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let mut world = World::of(digest.parse().unwrap(), 2);
    world.now = at("2026-12-01T00:00:00Z");
    world.push(&data("revocation.cose"), EnvelopeFormat::Cose);
    world
}

fn config(action: &str) -> NotationConfig {
    stating(|statement| {
        statement.trusted_identities = vec!["*".to_owned()];
        statement.overrides.insert("revocation".to_owned(), action.to_owned());
    })
}

#[test]
fn asks_and_remembers() {
    const OCSP: &str = "http://ocsp.example";
    const CRL: &str = "http://crl.example/root.crl";
    let unreachable = || StoreError::Unreachable { host: "a".to_owned(), reason: "no" };
    let denied = || StoreError::Denied { host: "a".to_owned(), status: 403 };
    let page = |name: &str| Ok(Bytes::from(data(name)));
    let junk = || Ok(Bytes::from_static(b"junk"));
    let unknown = State::Rejected(ReasonCode::RevocationUnknown);
    let undecided = State::Unavailable(ReasonCode::RevocationUnknown);
    let good = State::Accepted;
    let cases = [
        ("slow", "enforce", vec![], undecided),
        ("slow, logged", "log", vec![], good),
        ("not asked", "skip", vec![], good),
        ("away", "enforce", vec![(OCSP, Err(unreachable())), (CRL, Err(unreachable()))], undecided),
        ("absent", "enforce", vec![(OCSP, Err(not_found())), (CRL, Err(not_found()))], unknown),
        ("refused", "enforce", vec![(OCSP, Err(denied())), (CRL, Err(denied()))], unknown),
        ("junk, then slow", "enforce", vec![(OCSP, junk())], unknown),
        (
            "too large",
            "enforce",
            vec![(OCSP, Ok(Bytes::from(vec![0; 20_481]))), (CRL, Err(not_found()))],
            unknown,
        ),
        (
            "revoked by CRL",
            "enforce",
            vec![(CRL, page("revoked.crl"))],
            State::Rejected(ReasonCode::CertificateRevoked),
        ),
        ("good by OCSP", "enforce", vec![(OCSP, page("good.ocsp"))], good),
    ];
    let root = data("revocation.pem");
    for (name, action, pages, expect) in cases {
        let verifier = build(config(action), &root).unwrap();
        let mut world = world();
        world.pages = pages;
        let outcome = world.check(name, &*verifier, expect);
        if name == "slow, logged" {
            assert!(outcome.message.contains("revocation: "), "{}", outcome.message);
        }
        if name == "good by OCSP" {
            // The answer's nextUpdate, which is the end of the certificates too.
            assert_eq!(outcome.valid_until, Some(at("2027-11-22T06:51:06Z")));
        }
        let asked = world.fetched.lock().unwrap().len();
        world.pages.clear();
        world.check(name, &*verifier, expect);
        assert_eq!(world.fetched.lock().unwrap().len(), asked, "{name}: asked again");
    }
}

#[test]
fn hands_on_the_limits_of_each_request() {
    let world = world();
    world.verify(&*build(config("enforce"), &data("revocation.pem")).unwrap());
    let limits =
        |bytes_max, seconds| FetchLimits { bytes_max, timeout: Duration::from_secs(seconds) };
    let fetched = world.fetched.lock().unwrap();
    let found: Vec<_> = fetched.iter().map(|(url, limits)| (&url[..13], *limits)).collect();
    let expect = [("http://ocsp.e", limits(20_480, 2)), ("http://crl.ex", limits(16 << 20, 5))];
    assert_eq!(found, expect);
}

/// Their addresses are a stranger's words.
#[test]
fn asks_nobody_about_a_chain_that_is_not_trusted() {
    let stranger = pki();
    for (level, expect) in
        [("strict", ReasonCode::KeyMismatch), ("audit", ReasonCode::RevocationUnknown)]
    {
        let mut config = config("enforce");
        let NotationTrustPolicy::Statement(statement) = &mut config.trust_policy else {
            unreachable!("it is a statement")
        };
        statement.level = level.to_owned();
        let world = world();
        world.check(level, &*verifier(config, &stranger), State::Rejected(expect));
        assert!(world.fetched.lock().unwrap().is_empty(), "{level}");
    }
}
