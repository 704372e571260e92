//! How long each answer is kept: to the nanosecond before its end, and not at it.

use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{Context, Selector, Verifier};
use assay_core::{Descriptor, Digest, Outcome, ReasonCode, State, StoreError, Subject};
use assay_engine::CacheConfig;
use assay_policy::CacheUse;
use async_trait::async_trait;

use crate::fakes::{FakeVerifier, accepted, descriptor, digest_of};
use crate::world::{IMAGE, World, assert_admitted, codes, policy, require, until_idle};

const NANOSECOND: Duration = Duration::from_nanos(1);

/// Long past every lifetime but that of content by digest.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// How long, after one request, the next ones do not make `count` greater: `None` is not at all.
async fn check_kept(
    name: &str,
    world: &World,
    count: impl Fn(&World) -> usize,
    kept: Option<Duration>,
) {
    world.judge(&[IMAGE]).await;
    assert_eq!(count(world), 1, "{name}: first");
    if let Some(kept) = kept {
        world.clock.advance(kept - NANOSECOND);
        world.judge(&[IMAGE]).await;
        assert_eq!(count(world), 1, "{name}: just before its end");
        world.clock.advance(NANOSECOND);
    }
    world.judge(&[IMAGE]).await;
    assert_eq!(count(world), 2, "{name}: at its end");
}

/// A configuration in which everything has a lifetime of its own.
fn config() -> CacheConfig {
    CacheConfig {
        tag_ttl: Duration::from_secs(3),
        referrers_ttl: Duration::from_secs(5),
        verdict_ttl: Duration::from_secs(70),
        negative_ttl: Duration::from_secs(11),
        ..CacheConfig::default()
    }
}

fn asking(cache: CacheConfig, verifier: &Arc<impl Verifier + 'static>) -> World {
    World::with(cache, [policy("one", [require([verifier.clone() as Arc<dyn Verifier>])])])
}

#[test]
fn keeps_answers_as_long_as_the_contract_says() {
    let expect = CacheConfig {
        tag_ttl: Duration::from_secs(30),
        referrers_ttl: Duration::from_secs(60),
        verdict_ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(10),
        bytes_max: 67_108_864,
    };
    assert_eq!(CacheConfig::default(), expect);
}

#[tokio::test(start_paused = true)]
async fn keeps_what_an_image_resolves_to() {
    let off = CacheConfig { tag_ttl: Duration::ZERO, ..config() };
    let negative_off = CacheConfig { negative_ttl: Duration::ZERO, ..config() };
    let found = || Ok(descriptor(digest_of("v1")));
    let missing = || Err(StoreError::NotFound { host: "registry.example".to_owned() });
    let cases = [
        ("found", config(), found(), seconds(3)),
        ("found, tagTtl 0s", off, found(), None),
        ("found, negativeTtl 0s", negative_off, found(), seconds(3)),
        ("missing", config(), missing(), seconds(11)),
        ("missing, negativeTtl 0s", negative_off, missing(), None),
    ];
    for (name, cache, answer, kept) in cases {
        let world = asking(cache, &FakeVerifier::new("a"));
        world.store.resolves(move |_, _, _| answer.clone());
        check_kept(name, &world, World::resolves, kept).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_what_a_digest_resolves_to_no_longer() {
    let world = asking(config(), &FakeVerifier::new("a"));
    let image = format!("registry.example/app@{}", digest_of("v1"));
    for (step, expect) in [(0, 1), (2, 1), (1, 2)] {
        world.clock.advance(Duration::from_secs(step));
        world.judge(&[&image]).await;
        assert_eq!(world.resolves(), expect, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_verdicts() {
    let off = CacheConfig { verdict_ttl: Duration::ZERO, ..config() };
    let negative_off = CacheConfig { negative_ttl: Duration::ZERO, ..config() };
    let outcome = |state| Outcome::new(state, "");
    let until = |second: i64| jiff::Timestamp::from_second(second).ok();
    let cut = |second| Outcome { valid_until: until(second), ..accepted() };
    let missing = || outcome(State::Missing(ReasonCode::SignatureNotFound));
    let rejected = || outcome(State::Rejected(ReasonCode::KeyMismatch));
    let unavailable = |code| outcome(State::Unavailable(code));
    let cases = [
        ("accepted", config(), accepted(), seconds(70)),
        ("accepted, verdictTtl 0s", off, accepted(), None),
        ("accepted, negativeTtl 0s", negative_off, accepted(), seconds(70)),
        ("expires first", config(), cut(5), seconds(5)),
        ("expires last", config(), cut(100), seconds(70)),
        ("expired already", config(), cut(0), None),
        ("missing", config(), missing(), seconds(11)),
        ("missing, negativeTtl 0s", negative_off, missing(), None),
        ("missing, verdictTtl 0s", off, missing(), seconds(11)),
        ("rejected", config(), rejected(), seconds(11)),
        ("rejected, negativeTtl 0s", negative_off, rejected(), None),
        ("a defect", config(), outcome(State::Rejected(ReasonCode::Internal)), None),
        ("unreachable", config(), unavailable(ReasonCode::RegistryUnreachable), None),
        ("timeout", config(), unavailable(ReasonCode::Timeout), None),
    ];
    for (name, cache, outcome, kept) in cases {
        let verifier = FakeVerifier::new("a");
        verifier.finds(move |_| outcome.clone());
        let runs = verifier.clone();
        check_kept(name, &asking(cache, &verifier), |_| runs.runs(), kept).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tells_hits_from_misses() {
    let (first, second) = (FakeVerifier::new("a"), FakeVerifier::new("b"));
    let verifiers = [first.clone() as Arc<dyn Verifier>, second.clone()];
    let world = World::new([policy("one", [require(verifiers)])]);
    second.finds(|_| Outcome { valid_until: jiff::Timestamp::from_second(5).ok(), ..accepted() });

    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Hit);
    world.clock.advance(Duration::from_secs(5));
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    let log = &world.recorder.0;
    assert_eq!((log.count("verdict miss"), log.count("verdict hit")), (3, 3));
    assert_eq!((log.count("tag miss"), log.count("tag hit")), (1, 2));
    assert_eq!(log.count("fake accepted"), 3);
}

#[tokio::test(start_paused = true)]
async fn warns_from_the_cache_as_at_first() {
    let verifier = FakeVerifier::new("a");
    let warnings = vec![ReasonCode::SignatureExpired, ReasonCode::RevocationUnknown];
    let outcome = Outcome { warnings: warnings.clone(), ..accepted() };
    verifier.finds(move |_| outcome.clone());
    let world = World::asking(&verifier);

    for cost in [CacheUse::Miss, CacheUse::Hit] {
        let verdict = world.judge(&[IMAGE]).await;
        assert_admitted(&verdict, cost);
        assert_eq!(verdict.images[0].policies[0].warnings, warnings, "{cost:?}");
    }
    assert_eq!(verifier.runs(), 1);
}

/// A verifier that reads what every test of content looks at, each time anew.
pub(crate) struct Reader {
    fingerprint: Digest,
    /// The limit under which it reads the blob.
    bytes_max: u64,
}

impl Reader {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { fingerprint: Digest::sha256(&bytes_max.to_be_bytes()), bytes_max })
    }
}

#[async_trait]
impl Verifier for Reader {
    fn kind(&self) -> &'static str {
        "reader"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        let Subject { repository, descriptor, access } = subject;
        let store = context.store();
        let digest = &descriptor.digest;
        let mut read = Ok(());
        for at in [Selector::Digest(digest.clone()), Selector::Tag(format!("{}.sig", digest.hex()))]
        {
            read = read.and(store.manifest(repository, &at, access).await.map(drop));
        }
        read = read.and(store.referrers(subject).await.map(drop));
        read = read.and(store.blob(repository, digest, access, self.bytes_max).await.map(drop));
        match read {
            Ok(()) => accepted(),
            Err(error) => Outcome::unread(&error, ReasonCode::SignatureNotFound),
        }
    }
}

/// Every error of a store, and whether it is one of infrastructure, which no cache may keep.
fn errors() -> [(StoreError, bool); 12] {
    let host = || "registry.example".to_owned();
    [
        (StoreError::Internal, true),
        (StoreError::Overloaded { host: host() }, true),
        (StoreError::Throttled { host: host() }, true),
        (StoreError::Timeout { host: host() }, true),
        (StoreError::Unreachable { host: host(), reason: "no connection" }, true),
        (StoreError::Blocked { host: host(), reason: "loopback" }, false),
        (StoreError::Denied { host: host(), status: 401 }, false),
        (StoreError::DigestMismatch { expected: digest_of("v1") }, false),
        (StoreError::Malformed { host: host(), reason: "no JSON" }, false),
        (StoreError::NotFound { host: host() }, false),
        (StoreError::TooLarge { limit: 1 }, false),
        (StoreError::TooMany { what: "referrers", limit: 1 }, false),
    ]
}

#[tokio::test(start_paused = true)]
async fn keeps_no_error_of_infrastructure() {
    for (error, is_transient) in errors() {
        let kept = if is_transient { None } else { seconds(11) };
        let world = asking(config(), &FakeVerifier::new("a"));
        let answer = error.clone();
        world.store.resolves(move |_, _, _| Err(answer.clone()));
        check_kept(&format!("resolve: {error}"), &world, World::resolves, kept).await;

        for call in ["manifest Digest", "manifest Tag", "referrers", "blob"] {
            let world = asking(config(), &Again::new());
            *world.store.error.lock().unwrap() = Some(error.clone());
            let count = |world: &World| world.store.log.count(call);
            check_kept(&format!("{call}: {error}"), &world, count, kept).await;
        }
    }
}

/// A reader whose own outcome is never kept.
struct Again(Arc<Reader>);

impl Again {
    fn new() -> Arc<Self> {
        Arc::new(Self(Reader::new(4)))
    }
}

#[async_trait]
impl Verifier for Again {
    fn kind(&self) -> &'static str {
        "again"
    }

    fn fingerprint(&self) -> &Digest {
        self.0.fingerprint()
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        self.0.verify(subject, context).await;
        Outcome::new(State::Unavailable(ReasonCode::Timeout), "")
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_content() {
    let off = CacheConfig { referrers_ttl: Duration::ZERO, ..config() };
    let negative_off = CacheConfig { negative_ttl: Duration::ZERO, ..config() };
    let cases = [
        ("referrers", "referrers", config(), true, seconds(5)),
        ("referrers, referrersTtl 0s", "referrers", off, true, None),
        ("no referrers", "referrers", config(), false, seconds(11)),
        ("no referrers, referrersTtl 0s", "referrers", off, false, seconds(11)),
        ("no referrers, negativeTtl 0s", "referrers", negative_off, false, None),
        ("manifest by tag", "manifest Tag", config(), true, seconds(5)),
        ("manifest by tag, referrersTtl 0s", "manifest Tag", off, true, None),
    ];
    for (name, call, cache, has_referrers, kept) in cases {
        let world = asking(CacheConfig { verdict_ttl: Duration::ZERO, ..cache }, &Reader::new(4));
        if has_referrers {
            *world.store.referrers.lock().unwrap() = vec![descriptor(digest_of("signature"))];
        }
        check_kept(name, &world, |world| world.store.log.count(call), kept).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_content_by_digest_for_good() {
    let world = asking(CacheConfig { verdict_ttl: Duration::ZERO, ..config() }, &Reader::new(4));
    for _ in 0..2 {
        assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
        world.clock.advance(YEAR);
    }
    let log = &world.store.log;
    assert_eq!((log.count("blob"), log.count("manifest Digest")), (1, 1));
    assert_eq!(log.count("manifest Tag"), 2);
}

#[tokio::test(start_paused = true)]
async fn answers_each_limit_for_itself() {
    let (narrow, wide) = (Reader::new(3), Reader::new(4));
    let world = World::new([
        policy("narrow", [require([narrow as Arc<dyn Verifier>])]),
        policy("wide", [require([wide as Arc<dyn Verifier>])]),
    ]);
    // Both ask at once, and neither gets the other's answer.
    world.store.gate.shut();
    let (verdict, ()) = tokio::join!(world.judge(&[IMAGE]), async {
        until_idle().await;
        world.store.gate.open();
    });
    let violations: Vec<_> =
        verdict.images[0].policies.iter().map(|policy| policy.violations.len()).collect();
    assert_eq!(violations, [1, 0], "{verdict:#?}");
    assert_eq!(codes(&verdict), [ReasonCode::EvidenceTooLarge]);
}

#[tokio::test(start_paused = true)]
async fn separates_content_by_repository_digest_and_scope() {
    let cases: [(&str, &str, &[&str], usize); 4] = [
        ("the same", IMAGE, &["alice"], 1),
        ("repository", "registry.example/db:v1", &["alice"], 2),
        ("digest", "registry.example/app:v2", &["alice"], 2),
        ("scope", IMAGE, &["bob"], 2),
    ];
    for (name, image, users, expect) in cases {
        let cache = CacheConfig { verdict_ttl: Duration::ZERO, ..config() };
        let world = asking(cache, &Reader::new(4));
        world.credentials.of(&["alice"]);
        assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
        world.credentials.of(users);
        assert_admitted(&world.judge(&[image]).await, CacheUse::Miss);
        for call in ["blob", "manifest Digest", "manifest Tag", "referrers", "resolve"] {
            assert_eq!(world.store.log.count(call), expect, "{name}: {call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_no_more_than_the_bytes_it_may() {
    // Six sixteenths of them are for verdicts: 1,536, of which an entry takes 1,024 beside its text.
    for (message, bytes_max, kept) in [(512, 4_096, seconds(70)), (513, 4_096, None), (0, 0, None)]
    {
        let verifier = FakeVerifier::new("a");
        verifier.finds(move |_| Outcome::new(State::Accepted, "x".repeat(message)));
        let world = asking(CacheConfig { bytes_max, ..config() }, &verifier);
        check_kept(&format!("{message}"), &world, |_| verifier.runs(), kept).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_no_more_entries_than_it_may() {
    // Six sixteenths of the bytes are for verdicts, which take 1,024 each beside their text.
    const ENTRIES: usize = 3;
    for (images, is_kept) in [(ENTRIES, true), (ENTRIES + 1, false)] {
        let verifier = FakeVerifier::new("a");
        let bytes_max = 16 * 1_024 * ENTRIES as u64 / 6;
        let world = asking(CacheConfig { bytes_max, ..config() }, &verifier);
        let images: Vec<String> =
            (0..images).map(|index| format!("registry.example/app:v{index}")).collect();
        for image in images.iter().chain(&images) {
            world.judge(&[image]).await;
        }
        assert_eq!(verifier.runs() == images.len(), is_kept, "{}", images.len());
    }
}

#[tokio::test(start_paused = true)]
async fn weighs_whatever_a_registry_writes_into_a_list() {
    let long = || "x".repeat(20_000);
    let signature = || descriptor(digest_of("signature"));
    let cases = [
        ("short", signature(), seconds(5)),
        (
            "annotation",
            Descriptor { annotations: [("a".into(), long())].into(), ..signature() },
            None,
        ),
        ("key", Descriptor { annotations: [(long(), "a".into())].into(), ..signature() }, None),
        ("media type", Descriptor { media_type: long(), ..signature() }, None),
        ("artifact type", Descriptor { artifact_type: Some(long()), ..signature() }, None),
    ];
    for (name, referrer, kept) in cases {
        let cache = CacheConfig { verdict_ttl: Duration::ZERO, bytes_max: 8 * 10_000, ..config() };
        let world = asking(cache, &Reader::new(4));
        *world.store.referrers.lock().unwrap() = vec![referrer];
        check_kept(name, &world, |world| world.store.log.count("referrers"), kept).await;
    }
}
