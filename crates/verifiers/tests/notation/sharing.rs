//! What verifications share: one fetches for all, what is remembered outlives verifiers, failures
//! pass, and CRLs are fetched anew before they end.

use std::sync::Arc;

use assay_core::ports::{Context, Verifier};
use assay_core::{
    CertificateKind, CertificateStore, KeySource, NotationConfig, Outcome, ReasonCode, State,
    StoreError,
};
use assay_testkit::FixedClock;
use assay_testkit::notation::{empty_crl, name_crls};
use assay_verifiers::{Factory, StaleCrl};
use bytes::Bytes;
use futures_util::future::{abortable, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use notation_rs::signer::Pki;

use crate::world::{NOW, World, at, build_with, config, pki, settle, verifier};

const CRL: &str = "http://crl.example/crl";
const ENDS: &str = "2026-01-01T12:00:00Z";
const UNDECIDED: State = State::Unavailable(ReasonCode::RevocationUnknown);
const UNKNOWN: State = State::Rejected(ReasonCode::RevocationUnknown);

/// A chain whose leaf names these CRLs.
fn pki_naming(urls: &[&str]) -> Pki {
    let mut pki = pki();
    name_crls(&mut pki, urls).unwrap();
    pki
}

/// A CRL by the CA of `pki` until `ends`.
fn crl(pki: &Pki, ends: &str) -> Result<Bytes, StoreError> {
    Ok(empty_crl(&pki.intermediate, at(ends)).unwrap().into())
}

fn unreachable() -> Result<Bytes, StoreError> {
    Err(StoreError::Unreachable { host: "crl.example".to_owned(), reason: "no connection" })
}

/// An image that is signed with a chain that names [`CRL`], and the factory of its verifiers.
struct Shared {
    pki: Pki,
    world: World,
    factory: Factory,
}

impl Shared {
    /// With this as what is found at [`CRL`].
    fn new(page: impl FnOnce(&Pki) -> Result<Bytes, StoreError>) -> Self {
        let (pki, mut world) = (pki_naming(&[CRL]), World::new());
        world.sign(&pki);
        world.pages = vec![(CRL, page(&pki))];
        Self { pki, world, factory: Factory::default() }
    }

    fn good() -> Self {
        Self::new(|pki| crl(pki, ENDS))
    }

    /// A new verifier, as after each change of a policy.
    fn verifier(&self) -> Arc<dyn Verifier> {
        build_with(&self.factory, config(), self.pki.root.certificate.der()).unwrap()
    }

    /// One verification at `now`, by a verifier of its own, and how many requests it made.
    #[track_caller]
    fn check(&mut self, name: &str, now: Timestamp, expect: (State, usize)) {
        self.world.now = now;
        let before = self.requests();
        let outcome = self.world.verify(&*self.verifier());
        assert_eq!((outcome.state, self.requests() - before), expect, "{name}");
    }

    /// One round of fetching anew at `now`, what it could not fetch, and how many requests it made.
    fn refresh(&self, now: Timestamp) -> (Vec<StaleCrl>, usize) {
        let before = self.requests();
        let clock = FixedClock::at(now);
        let stale = settle(self.factory.refresh_crls(self.world.fetch(), &clock));
        (stale, self.requests() - before)
    }

    fn requests(&self) -> usize {
        self.world.fetched.lock().unwrap().len()
    }
}

fn after(start: &str, millis: i64) -> Timestamp {
    at(start) + jiff::SignedDuration::from_millis(millis)
}

#[test]
fn one_fetches_for_all_who_wait() {
    // More than `join_all` polls unasked.
    const MANY: usize = 40;
    let cases = [
        ("good", Shared::good(), State::Accepted),
        ("away", Shared::new(|_| unreachable()), UNDECIDED),
        ("junk", Shared::new(|_| Ok(Bytes::from_static(b"junk"))), UNKNOWN),
    ];
    for (name, shared, expect) in cases {
        let verifiers: Vec<_> = (0..MANY).map(|_| shared.verifier()).collect();
        let Shared { world, .. } = &shared;
        let all = verifiers.iter().map(|verifier| verifier.verify(&world.subject, world));
        let mut all = join_all(all);
        world.hold.set();
        assert!((&mut all).now_or_never().is_none(), "{name}");
        world.hold.let_go();
        let outcomes: Vec<Outcome> = settle(all);
        assert!(outcomes.iter().all(|outcome| outcome.state == expect), "{name}: {outcomes:?}");
        assert_eq!(shared.requests(), 1, "{name}");
    }
}

#[test]
fn who_gives_up_leaves_the_rest_waiting_for_nothing() {
    // Who gives up: the one who fetches, one who waits, or one whose turn has just come.
    for (name, gives_up, is_fetched, requests) in
        [("fetching", 0, false, 2), ("waiting", 1, false, 1), ("next in turn", 1, true, 1)]
    {
        let shared = Shared::good();
        let verifier = shared.verifier();
        let Shared { world, .. } = &shared;
        world.hold.set();
        let verify = |_| abortable(verifier.verify(&world.subject, world));
        let (all, handles): (Vec<_>, Vec<_>) = (0..3).map(verify).unzip();
        // It polls whom somebody has woken, and no other.
        let mut all: FuturesUnordered<_> = all.into_iter().collect();
        assert!(all.next().now_or_never().is_none(), "{name}");
        let mut ended = Vec::new();
        if is_fetched {
            world.hold.let_go();
            ended.extend(settle(all.next()));
        }
        handles[gives_up].abort();
        world.hold.let_go();
        ended.extend(settle(all.collect::<Vec<_>>()));
        let good = ended.iter().flatten().filter(|outcome| outcome.state == State::Accepted);
        assert_eq!((good.count(), ended.len()), (2, 3), "{name}");
        assert_eq!(shared.requests(), requests, "{name}");
    }
}

#[test]
fn remembers_failures_for_5_s() {
    for (name, millis, expect) in [
        ("at once", 0, (UNDECIDED, 0)),
        ("just before", 4_999, (UNDECIDED, 0)),
        ("then", 5_000, (State::Accepted, 1)),
        ("by a clock that went back", -1, (State::Accepted, 1)),
    ] {
        let mut shared = Shared::new(|_| unreachable());
        shared.check(name, at(NOW), (UNDECIDED, 1));
        shared.world.pages = vec![(CRL, crl(&shared.pki, ENDS))];
        shared.check(name, after(NOW, millis), expect);
    }
}

#[test]
fn what_is_too_much_for_us_is_no_failure_of_the_server() {
    let overloaded = StoreError::Overloaded { host: "crl.example".to_owned() };
    let mut shared = Shared::new(|_| Err(overloaded));
    let undecided = State::Unavailable(ReasonCode::Overloaded);
    shared.check("too much", at(NOW), (undecided, 1));
    shared.world.pages = vec![(CRL, crl(&shared.pki, ENDS))];
    shared.check("at once", at(NOW), (State::Accepted, 1));
}

#[test]
fn reads_for_10_s_and_no_longer() {
    // Each look at the clock is a second later than the one before.
    for (name, urls, expect) in [("few", 2, State::Accepted), ("many", 8, UNDECIDED)] {
        let numbered = (0..urls).map(|number| format!("http://{number}.example"));
        let urls: Vec<&'static str> = numbered.map(|url| &*url.leak()).collect();
        let (pki, mut world) = (pki_naming(&urls), World::new());
        world.sign(&pki);
        world.pages = urls.iter().map(|url| (*url, crl(&pki, ENDS))).collect();
        world.tick = jiff::SignedDuration::from_secs(1);
        world.check(name, &*verifier(config(), &pki), expect);
        assert!(world.fetched.lock().unwrap().len() < 8, "{name}");
    }
}

#[test]
fn what_is_remembered_outlives_verifiers_and_no_factory() {
    let mut shared = Shared::good();
    shared.check("first", at(NOW), (State::Accepted, 1));
    shared.check("until the end", at(ENDS), (State::Accepted, 0));
    shared.check("past the end", after(ENDS, 1_000), (UNKNOWN, 1));
    shared.factory = Factory::default();
    shared.check("another factory", at(NOW), (State::Accepted, 1));
}

#[test]
fn what_namespaces_trust_has_a_memory_of_its_own() {
    let mut shared = Shared::good();
    let tenants = || {
        let source = KeySource::TrustStore("roots".to_owned());
        let stores = vec![CertificateStore { kind: CertificateKind::Ca, source }];
        let config = NotationConfig { stores, ..config() };
        build_with(&shared.factory, config, shared.pki.root.certificate.der()).unwrap()
    };
    for (name, requests) in [("first", 1), ("again", 1)] {
        shared.world.check(name, &*tenants(), State::Accepted);
        assert_eq!(shared.requests(), requests, "{name}");
    }
    assert_eq!(shared.refresh(at(ENDS)).1, 1, "theirs is fetched anew too");
    shared.check("of the cluster", at(NOW), (State::Accepted, 1));
}

#[test]
fn fetches_so_many_crls_at_once_and_all_of_them() {
    for (name, is_tenants, at_once) in [("cluster", false, 8), ("namespaces", true, 2)] {
        let source = match is_tenants {
            true => KeySource::TrustStore("roots".to_owned()),
            false => KeySource::ClusterTrustStore("roots".to_owned()),
        };
        let stores = vec![CertificateStore { kind: CertificateKind::Ca, source }];
        let factory = Factory::default();
        // Each a chain and a CRL of its own, on a web that holds up all of them.
        let worlds: Vec<(World, Arc<dyn Verifier>)> = (0..=at_once)
            .map(|_| {
                let Shared { pki, world, .. } = Shared::good();
                let config = NotationConfig { stores: stores.clone(), ..config() };
                let root = pki.root.certificate.der();
                (world, build_with(&factory, config, root).unwrap())
            })
            .collect();
        worlds.iter().for_each(|(world, _)| world.hold.set());
        let mut all =
            join_all(worlds.iter().map(|(world, verifier)| verifier.verify(&world.subject, world)));
        assert!((&mut all).now_or_never().is_none(), "{name}");
        let asked = worlds.iter().filter(|(world, _)| !world.fetched.lock().unwrap().is_empty());
        assert_eq!(asked.count(), at_once, "{name}");
        worlds.iter().for_each(|(world, _)| world.hold.let_go());
        let outcomes = settle(all);
        assert!(outcomes.iter().all(|outcome| outcome.state == State::Accepted), "{name}");
    }
}

#[test]
fn fetches_anew_what_ends_within_10_minutes() {
    let mut shared = Shared::good();
    assert_eq!(shared.refresh(at(ENDS)), (vec![], 0), "nothing is known");
    shared.check("used", at(NOW), (State::Accepted, 1));
    let next = "2026-01-02T12:00:00Z";
    shared.world.pages = vec![(CRL, crl(&shared.pki, next))];
    assert_eq!(shared.refresh(after(ENDS, -600_001)), (vec![], 0), "too early");
    assert_eq!(shared.refresh(after(ENDS, 1)), (vec![], 0), "past its end");
    assert_eq!(shared.refresh(after(ENDS, -600_000)), (vec![], 1), "soon");
    assert_eq!(shared.refresh(after(ENDS, -600_000)), (vec![], 0), "once");
    assert_eq!(shared.refresh(at(next)), (vec![], 0), "not used since");
    shared.check("past the end of the first", after(ENDS, 1_000), (State::Accepted, 0));
    assert_eq!(shared.refresh(at(next)).1, 1, "used again");
}

#[test]
fn keeps_what_cannot_be_fetched_anew_until_its_end() {
    let junk = || Ok(Bytes::from_static(b"junk"));
    for (name, page, error, past) in [
        (
            "away",
            unreachable(),
            "the revocation status cannot be fetched: the server cannot be reached",
            UNDECIDED,
        ),
        ("junk", junk(), "malformed CRL", UNKNOWN),
    ] {
        let mut shared = Shared::good();
        shared.check(name, at(NOW), (State::Accepted, 1));
        shared.world.pages = vec![(CRL, page)];
        let stale =
            StaleCrl { host: "crl.example".to_owned(), error: error.to_owned(), ends: at(ENDS) };
        for time in [after(ENDS, -1), at(ENDS)] {
            assert_eq!(shared.refresh(time), (vec![stale.clone()], 1), "{name}");
            shared.check(name, time, (State::Accepted, 0));
        }
        shared.check(name, after(ENDS, 1), (past, 1));
    }
}

#[test]
fn takes_no_older_list_for_a_newer_one() {
    for (name, ends, kept_until, again) in [
        ("older", "2026-01-01T11:59:59Z", ENDS, 1),
        ("the same", ENDS, ENDS, 1),
        ("newer", "2026-01-01T12:00:01Z", "2026-01-01T12:00:01Z", 0),
    ] {
        let mut shared = Shared::good();
        shared.check(name, at(NOW), (State::Accepted, 1));
        shared.world.pages = vec![(CRL, crl(&shared.pki, ends))];
        let (stale, requests) = shared.refresh(after(ENDS, -60_000));
        assert_eq!((stale.len(), requests), (again, 1), "{name}");
        let mut errors = stale.iter().map(|crl| crl.error.as_str());
        assert!(errors.all(|error| error == "the server has none that ends later"), "{name}");
        assert_eq!(shared.refresh(after(ENDS, -60_000)).1, again, "{name}");
        shared.check(name, at(kept_until), (State::Accepted, 0));
        shared.check(name, after(kept_until, 1), (UNKNOWN, 1));
    }
}

#[test]
fn fetches_anew_16_in_one_round_the_first_to_end_first() {
    let numbered: Vec<String> = (0..17).map(|number| format!("http://{number}.example")).collect();
    let urls: Vec<&'static str> = numbered.into_iter().map(|url| &*url.leak()).collect();
    let mut shared = Shared::good();
    // Three signers, since a certificate names eight CRLs at most.
    for urls in urls.chunks(8) {
        let named = pki_naming(urls);
        let mut world = World::new();
        world.sign(&named);
        let ends =
            |url: &str| if url == "http://3.example" { "2026-01-01T12:00:01Z" } else { ENDS };
        world.pages = urls.iter().map(|url| (*url, crl(&named, ends(url)))).collect();
        let root = named.root.certificate.der();
        let verifier = build_with(&shared.factory, config(), root).unwrap();
        world.check("used", &*verifier, State::Accepted);
        shared.world.pages.extend(world.pages);
    }
    let (stale, requests) = shared.refresh(at(ENDS));
    assert_eq!((stale.len(), requests), (16, 16));
    let fetched = shared.world.fetched.lock().unwrap();
    assert!(fetched.iter().all(|(url, _)| url != "http://3.example"), "{fetched:?}");
}
