//! Keys that count from some time on, or until some time.

use assay_core::{Outcome, Validity};
use assay_testkit::cosign::SigningKey;
use jiff::Timestamp;

use crate::world::{ACCEPTED, KEY_MISMATCH, STORE, World, build, build_with, key, pem};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn window(not_before: Option<i64>, not_after: Option<i64>) -> Validity {
    Validity { not_before: not_before.map(at), not_after: not_after.map(at) }
}

/// The outcome at `now` for an image that all of `signers` signed, where these stores hold one key
/// each.
fn verify(now: i64, signers: &[&SigningKey], stores: &[(&str, &SigningKey, Validity)]) -> Outcome {
    let mut world = World::new();
    world.now = at(now);
    for signer in signers {
        world.sign_simple(signer);
        world.sign_bundle(signer);
    }
    let texts: Vec<String> = stores.iter().map(|(_, key, _)| pem(&[key])).collect();
    let stores =
        stores.iter().zip(&texts).map(|((name, _, validity), pem)| (*name, &**pem, *validity));
    let stores: Vec<_> = stores.collect();
    world.verify_by(&*build_with(&stores, |_| {}).unwrap())
}

#[test]
fn counts_a_key_within_its_window_alone() {
    let key = key();
    let early =
        "signed by a key of release-keys: key not yet valid, but from 1970-01-01T00:00:10Z on";
    let late = "signed by a key of release-keys: key expired at 1970-01-01T00:00:20Z";
    for (not_before, not_after, now, expect) in [
        (None, None, 15, Ok(None)),
        (Some(10), Some(20), 9, Err(early)),
        (Some(10), Some(20), 10, Ok(Some(20))),
        (Some(10), Some(20), 20, Ok(Some(20))),
        (Some(10), Some(20), 21, Err(late)),
        (Some(10), None, 9, Err(early)),
        (Some(10), None, 10, Ok(None)),
        (None, Some(20), 20, Ok(Some(20))),
        (None, Some(20), 21, Err(late)),
    ] {
        let outcome = verify(now, &[&key], &[(STORE, &key, window(not_before, not_after))]);
        let name = format!("{not_before:?} to {not_after:?} at {now}");
        match expect {
            Ok(end) => {
                assert_eq!(outcome.state, ACCEPTED, "{name}");
                assert_eq!(outcome.valid_until, end.map(at), "{name}");
            }
            Err(message) => {
                assert_eq!(outcome.state, KEY_MISMATCH, "{name}");
                assert_eq!(outcome.message, message, "{name}");
                assert_eq!((outcome.valid_until, outcome.signers.len()), (None, 0), "{name}");
            }
        }
    }
}

#[test]
fn rests_on_the_first_key_that_expires_among_those_that_signed() {
    let (one, two, three) = (key(), key(), key());
    let stores = [
        ("one", &one, window(None, Some(30))),
        ("two", &two, window(None, Some(20))),
        ("three", &three, window(None, Some(10))),
    ];
    let outcome = verify(5, &[&one, &two], &stores);
    assert_eq!((outcome.signers.len(), outcome.valid_until), (2, Some(at(20))));
    let outcome = verify(25, &[&one, &two], &stores);
    assert_eq!((outcome.state, outcome.signers.len()), (ACCEPTED, 1));
    assert_eq!(outcome.valid_until, Some(at(30)));
}

#[test]
fn counts_a_key_while_any_store_that_holds_it_does() {
    let key = key();
    let stores = [("old", &key, window(None, Some(20))), ("new", &key, window(Some(15), Some(30)))];
    for (now, expect) in [(10, Some(20)), (15, Some(30)), (25, Some(30)), (31, None)] {
        let outcome = verify(now, &[&key], &stores);
        assert_eq!(outcome.state == ACCEPTED, expect.is_some(), "{now}");
        assert_eq!(outcome.valid_until, expect.map(at), "{now}");
    }
}

#[test]
fn tells_an_expired_key_from_a_strangers_in_any_order() {
    let (own, stranger) = (key(), key());
    let stores = [(STORE, &own, window(None, Some(20)))];
    for signers in [[&own, &stranger], [&stranger, &own]] {
        let message = verify(21, &signers, &stores).message;
        assert!(message.ends_with("key expired at 1970-01-01T00:00:20Z"), "{message}");
    }
    let message = verify(21, &[&stranger], &stores).message;
    assert_eq!(message, "signed, but by no key of release-keys");
}

/// A good signature is found among all, when the only other key has expired: the search does not
/// stop for want of keys, nor go on for one that cannot count.
#[test]
fn stops_when_every_key_that_counts_has_signed() {
    let (own, expired) = (key(), key());
    let stores = [(STORE, &own, window(None, None)), ("old", &expired, window(None, Some(1)))];
    let outcome = verify(2, &[&expired, &own], &stores);
    assert_eq!((outcome.state, outcome.signers.len(), outcome.valid_until), (ACCEPTED, 1, None));
}

#[test]
fn windows_are_part_of_the_fingerprint() {
    let pem = pem(&[&key()]);
    let fingerprint =
        |validity| build_with(&[(STORE, &pem, validity)], |_| {}).unwrap().fingerprint().clone();
    let unbounded = build(&[(STORE, &pem)]).unwrap().fingerprint().clone();
    assert_eq!(fingerprint(window(None, None)), unbounded);
    let windows =
        [(None, None), (Some(1), None), (None, Some(1)), (Some(1), Some(1)), (Some(2), None)];
    let all: std::collections::BTreeSet<_> =
        windows.iter().map(|(start, end)| fingerprint(window(*start, *end))).collect();
    assert_eq!(all.len(), windows.len());
}
