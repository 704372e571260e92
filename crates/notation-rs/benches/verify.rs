//! One verification of a signature with a chain of three certificates, without network, beside the
//! same one by the Notary Project's own library: `make bench NAMES=notation`, or `cargo bench -p
//! notation-rs --bench verify` after `make e2e-tools`.
//!
//! Both verify the same bytes at level strict. Both hold policy and trust store already, select the
//! statement, and find that the certificates name nobody to ask about revocation. Allocated bytes are
//! those of the respective language: what the C of aws-lc allocates is not counted, and a buffer that
//! grows in place counts only for its growth. Counting them slows ours a little.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![allow(clippy::print_stdout, reason = "the table goes to standard output")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark may end anywhere")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use notation_rs::EnvelopeFormat;
use notation_rs::revocation::{BoxFuture, FetchError, FetchRequest, Fetcher, NoCache};
use notation_rs::trust_policy::OciTrustPolicy;
use notation_rs::trust_store::{TrustStore, TrustStoreType, TrustStores};
use notation_rs::verify::{OnlineRevocation, Request, Subject, Verifier};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target");
const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const REPOSITORY: &str = "registry.example/notation";

/// Calls in one batch, so that reading the clock costs nothing beside them, and batches, of which the
/// middle one counts.
const BATCH_CALLS: u32 = 20;
const BATCHES: usize = 201;

/// What ours may take of theirs.
const GOAL_RATIO: f64 = 0.5;

type Error = Box<dyn std::error::Error>;

/// What one verification takes.
struct Figure {
    time: Duration,
    allocated_bytes: f64,
}

fn main() -> Result<(), Error> {
    let folder = Path::new(TARGET).join("tmp/notation-bench");
    fs::create_dir_all(&folder)?;
    let descriptor = folder.join("descriptor.json");
    let json = serde_json::json!({"mediaType": MEDIA_TYPE, "digest": DIGEST, "size": 2});
    fs::write(&descriptor, json.to_string())?;
    notation_go("sign", &folder, &descriptor, &[])?;
    let theirs = notation_go("bench", &folder, &descriptor, &["es256", "ps256"])?;
    println!("\n| figure | measured | yardstick | ratio | goal | met |");
    println!("|---|---|---|---|---|---|");
    for line in theirs.lines() {
        let line: Value = serde_json::from_str(line)?;
        let envelope = line["envelope"].as_str().ok_or("no envelope")?;
        let time = Duration::from_nanos(line["nanoseconds"].as_u64().ok_or("no time")?);
        let allocated_bytes = line["allocatedBytes"].as_f64().ok_or("no bytes")?;
        print(envelope, &measure(&folder.join(envelope))?, &Figure { time, allocated_bytes });
    }
    Ok(())
}

/// What the Notary Project's own library prints (`e2e/tools/notation`).
fn notation_go(
    verb: &str,
    folder: &Path,
    descriptor: &Path,
    keys: &[&str],
) -> Result<String, Error> {
    let program = Path::new(TARGET).join("e2e-bin/notation-go");
    let output = Command::new(&program)
        .arg(verb)
        .args([folder, descriptor])
        .args(keys)
        .output()
        .map_err(|error| format!("{}: {error}; run `make e2e-tools`", program.display()))?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8(output.stderr)?.into()),
    }
}

/// Verifies the envelope, whose root lies beside it, again and again.
fn measure(envelope: &Path) -> Result<Figure, Error> {
    let format = match envelope.extension().is_some_and(|suffix| suffix == "cose") {
        true => EnvelopeFormat::Cose,
        false => EnvelopeFormat::Jws,
    };
    let root = fs::read(envelope.with_file_name("root.pem"))?;
    let mut trust_stores = TrustStores::default();
    trust_stores.insert("root", TrustStore::from_files(TrustStoreType::Ca, [root.as_slice()])?);
    let policy = serde_json::json!({"version": "1.0", "trustPolicies": [{
        "name": "bench",
        "registryScopes": [REPOSITORY],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:root"],
        "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Acme"],
    }]});
    let policy = OciTrustPolicy::parse(policy.to_string().as_bytes())?;
    let revocation = OnlineRevocation { fetcher: &Nowhere, cache: &NoCache };
    let verifier = Verifier::new(&trust_stores, &revocation, &revocation);
    let bytes = fs::read(envelope)?;
    let (reference, user_metadata) = (format!("{REPOSITORY}@{DIGEST}"), BTreeMap::new());
    let verify = || {
        let request = Request {
            envelope: (format, &bytes),
            subject: Subject::Artifact { media_type: MEDIA_TYPE, digest: DIGEST, size: 2 },
            user_metadata: &user_metadata,
            statement: policy.select(&reference).expect("the policy is for the repository"),
            now: Timestamp::now(),
        };
        let outcome = verifier.verify(&request).now_or_never().expect("nothing is waited for");
        assert!(outcome.verdict.is_ok(), "{:?}", outcome.verdict);
    };
    Ok(figure(verify))
}

/// The time of the middle batch, and the bytes of an average call.
fn figure(call: impl Fn()) -> Figure {
    let batch = || {
        let start = Instant::now();
        (0..BATCH_CALLS).for_each(|_| call());
        start.elapsed() / BATCH_CALLS
    };
    // The first calls fill what is filled once.
    batch();
    let region = Region::new(ALLOCATOR);
    (0..BATCH_CALLS).for_each(|_| call());
    let allocated_bytes = region.change().bytes_allocated as f64 / f64::from(BATCH_CALLS);
    let mut batches: Vec<Duration> = (0..BATCHES).map(|_| batch()).collect();
    batches.sort();
    Figure { time: batches[BATCHES / 2], allocated_bytes }
}

/// A line for the time and one for the bytes, as the table of `docs/benchmarks.md` has them.
fn print(envelope: &str, ours: &Figure, theirs: &Figure) {
    let micros = |figure: &Figure| figure.time.as_secs_f64() * 1e6;
    let kilobytes = |figure: &Figure| figure.allocated_bytes / 1e3;
    for (what, unit, ours, theirs) in [
        ("time", "µs", micros(ours), micros(theirs)),
        ("allocated", "KB", kilobytes(ours), kilobytes(theirs)),
    ] {
        let ratio = ours / theirs;
        let met = if ratio <= GOAL_RATIO { "yes" } else { "**no**" };
        println!(
            "| verification of `{envelope}`, {what} | {ours:.1} {unit} | notation-go: {theirs:.1} {unit} \
             | {ratio:.2} | at most {GOAL_RATIO} | {met} |"
        );
    }
}

/// There is no network, and nobody asks for one.
#[derive(Debug)]
struct Nowhere;

impl Fetcher for Nowhere {
    fn fetch<'a>(&'a self, _: FetchRequest<'a>) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(std::future::ready(Err(FetchError::Unreachable)))
    }
}
