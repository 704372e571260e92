//! Revocation through the context, on what the Notary Project's own library signed.

use assay_core::{NotationConfig, ReasonCode, State, StoreError};
use bytes::Bytes;
use notation_rs::EnvelopeFormat;

use crate::world::{World, at, build, not_found, stating};

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

/// One test, for what was read is remembered for all that come later: that is the last step.
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
        ("still revoked", "enforce", vec![], State::Rejected(ReasonCode::CertificateRevoked)),
        ("good by OCSP", "enforce", vec![(OCSP, page("good.ocsp"))], good),
        ("still good", "enforce", vec![], good),
    ];
    let root = data("revocation.pem");
    for (name, action, pages, expect) in cases {
        let mut world = world();
        world.pages = pages;
        let outcome = world.check(name, &*build(config(action), &root).unwrap(), expect);
        if name == "slow, logged" {
            assert!(outcome.message.contains("revocation: "), "{}", outcome.message);
        }
        if name == "still good" {
            // The answer's nextUpdate, which is the end of the certificates too.
            assert_eq!(outcome.valid_until, Some(at("2027-11-22T06:51:06Z")));
        }
    }
}
