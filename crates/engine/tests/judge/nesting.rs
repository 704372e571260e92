//! Verifiers that call verifiers, and what is extracted from documents.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use assay_core::ReasonCode::EvidenceInvalid;
use assay_core::ports::{Context, Derived, NESTING_DEPTH_MAX, Verifier};
use assay_core::{Digest, Outcome, Subject};
use assay_engine::CacheConfig;
use assay_policy::CacheUse;
use async_trait::async_trait;

use crate::fakes::{FakeVerifier, accepted};
use crate::world::{IMAGE, World, assert_admitted, assert_denied, policy, require, rule};

/// A verifier that accepts what the next one accepts.
struct Link {
    fingerprint: Digest,
    next: OnceLock<Arc<dyn Verifier>>,
}

impl Link {
    fn new(fingerprint: &str) -> Arc<Self> {
        Arc::new(Self {
            fingerprint: Digest::sha256(fingerprint.as_bytes()),
            next: OnceLock::new(),
        })
    }

    fn to(fingerprint: &str, next: Arc<dyn Verifier>) -> Arc<Self> {
        let link = Self::new(fingerprint);
        assert!(link.next.set(next).is_ok());
        link
    }
}

#[async_trait]
impl Verifier for Link {
    fn kind(&self) -> &'static str {
        "link"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        context.nested(self.next.get().unwrap(), subject).await
    }
}

/// A verifier that accepts, below so many that call the next one.
fn chain(last: &Arc<FakeVerifier>, links: usize) -> Arc<dyn Verifier> {
    (0..links).fold(last.clone() as Arc<dyn Verifier>, |next, index| {
        Link::to(&format!("link {index}"), next)
    })
}

fn asking(verifier: Arc<dyn Verifier>) -> World {
    World::new([policy("one", [require([verifier])])])
}

#[tokio::test(start_paused = true)]
async fn nests_to_the_limit_and_no_deeper() {
    let last = FakeVerifier::new("last");
    let world = asking(chain(&last, NESTING_DEPTH_MAX));
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    assert_eq!(last.runs(), 1);

    let last = FakeVerifier::new("last");
    let world = asking(chain(&last, NESTING_DEPTH_MAX + 1));
    assert_denied(&world.judge(&[IMAGE]).await, &[EvidenceInvalid]);
    assert_eq!(last.runs(), 0);
}

#[tokio::test(start_paused = true)]
async fn does_not_let_depth_decide_for_who_is_not_as_deep() {
    let last = FakeVerifier::new("last");
    let fits = chain(&last, NESTING_DEPTH_MAX);
    let too_deep = Link::to("one more", fits.clone());
    let world = World::new([policy(
        "one",
        [
            rule("registry.example/app:deep", require([too_deep as Arc<dyn Verifier>]).body),
            rule("**", require([fits]).body),
        ],
    )]);
    world
        .store
        .resolves(|_, _, _| Ok(crate::fakes::descriptor(crate::fakes::digest_of("one digest"))));
    let verdict = world.judge(&["registry.example/app:deep"]).await;
    assert_denied(&verdict, &[EvidenceInvalid]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
}

#[tokio::test(start_paused = true)]
async fn ends_where_verifiers_call_each_other() {
    let (one, other) = (Link::new("one"), Link::new("other"));
    assert!(one.next.set(other.clone()).is_ok() && other.next.set(one.clone()).is_ok());
    let both = [one as Arc<dyn Verifier>, other];
    let world = World::new([policy("one", [require(both)])]);
    let verdict = world.judge(&[IMAGE]).await;
    assert_denied(&verdict, &[EvidenceInvalid, EvidenceInvalid]);
}

#[tokio::test(start_paused = true)]
async fn verifies_evidence_about_evidence_once() {
    let last = FakeVerifier::new("last");
    let [one, other] = ["one", "other"].map(|name| Link::to(name, last.clone()));
    let both = [one as Arc<dyn Verifier>, other];
    let world = World::new([policy("one", [require(both)])]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    assert_eq!(last.runs(), 1);
}

/// A verifier that extracts something from a document, and accepts if it is its own.
struct Extractor {
    fingerprint: Digest,
    document: Digest,
    parser: &'static str,
    version: u32,
    bytes: usize,
    extracted: Arc<AtomicUsize>,
}

#[async_trait]
impl Verifier for Extractor {
    fn kind(&self) -> &'static str {
        "extractor"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    async fn verify(&self, _: &Subject, context: &dyn Context) -> Outcome {
        let extract = {
            let (bytes, extracted) = (self.bytes, self.extracted.clone());
            let own = format!("{} {} {}", self.document, self.parser, self.version);
            move || {
                extracted.fetch_add(1, Ordering::Relaxed);
                Derived { value: Arc::new(own), bytes }
            }
        };
        let derived =
            context.derived(&self.document, self.parser, self.version, Box::new(extract)).await;
        let own = format!("{} {} {}", self.document, self.parser, self.version);
        assert_eq!(derived.value.downcast_ref::<String>(), Some(&own));
        accepted()
    }
}

/// How often two verifiers extract, where the second names this document, parser and version, and
/// extracts are so large.
async fn check_extracted(
    (document, parser, version): (&str, &'static str, u32),
    bytes: usize,
    expect: usize,
) {
    let extracted = Arc::new(AtomicUsize::new(0));
    let extractor = |fingerprint: &str, document: &str, parser, version| Extractor {
        fingerprint: Digest::sha256(fingerprint.as_bytes()),
        document: Digest::sha256(document.as_bytes()),
        parser,
        version,
        bytes,
        extracted: extracted.clone(),
    };
    let first = Arc::new(extractor("a", "sbom", "spdx", 1));
    let second = Arc::new(extractor("b", document, parser, version));
    let cache = CacheConfig { bytes_max: BYTES_MAX, ..CacheConfig::default() };
    let policy = policy("one", [require([first as Arc<dyn Verifier>, second])]);
    let world = World::with(cache, [policy]);
    assert_admitted(&world.judge(&[IMAGE]).await, CacheUse::Miss);
    assert_eq!(extracted.load(Ordering::Relaxed), expect, "{document} {parser} {version} {bytes}");
}

async fn check_derived(what: (&str, &'static str, u32), expect: usize) {
    check_extracted(what, 0, expect).await;
}

/// Bytes of all caches together. A sixteenth is for extracts; one takes 1,024 beside its own.
const BYTES_MAX: u64 = 16 * 4_096;

#[tokio::test(start_paused = true)]
async fn keeps_no_extracts_but_those_that_fit() {
    check_extracted(("sbom", "spdx", 1), 4_096 - 1_024, 1).await;
    check_extracted(("sbom", "spdx", 1), 4_096 - 1_024 + 1, 2).await;
}

#[tokio::test(start_paused = true)]
async fn derives_once_by_document_parser_and_version() {
    check_derived(("sbom", "spdx", 1), 1).await;
    check_derived(("other", "spdx", 1), 2).await;
    check_derived(("sbom", "cyclonedx", 1), 2).await;
    check_derived(("sbom", "spdx", 2), 2).await;
}
