//! Verifies one signature from files and prints what came of it as one JSON object: the way in for
//! test suites that are written in other languages.
//!
//! Exits with 0 if the artifact may pass, 1 if it may not, and 2 without a report if the arguments make
//! no sense. It uses no network: what `--http` names is all that there is; of two prefixes that fit a
//! URL, the longer one answers.
//!
//! The policy is made of the arguments, and holds for the repository of `--reference`. What makes no
//! trust policy document makes no arguments either: a level, an override, an identity or the name of a
//! store that is not allowed, a reference without a digest, and a file that can't be read. What a
//! verifier meets only when it reads a signature is a verdict: a media type that is no envelope's
//! (`integrity`), a trust store that holds no certificates, or some that it must not hold, where the
//! signature needs that store (`authenticity` or `authenticTimestamp`). Digests of reference and
//! descriptor are not compared: whoever resolves the reference has done that.

mod options;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use notation_rs::EnvelopeFormat;
use notation_rs::revocation::{BoxFuture, FetchError, FetchRequest, Fetcher};
use notation_rs::trust_policy::{OciTrustPolicy, ValidationType};
use notation_rs::trust_store::{TrustStore, TrustStoreRef, TrustStores};
use notation_rs::verify::{
    NeverRevoked, OnlineRevocation, Outcome, Request, RevocationCheck, Subject, Verifier,
};
use serde_json::{Map, Value, json};

use options::{Options, Usage, pairs};

const USAGE: &str = "usage: verify --envelope FILE --media-type TYPE --artifact DESCRIPTOR.json \
    --reference REF --level LEVEL [--override TYPE=ACTION]... \
    [--verify-timestamp always|afterCertExpiry] --trust-store TYPE:NAME=FILE... \
    --trusted-identity ID... [--user-metadata K=V]... [--http PREFIX=FILE]... \
    [--tsa-revocation good] [--now RFC3339]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok((passes, report)) => {
            // A reader that went away has no use for the report.
            let _ = writeln!(std::io::stdout(), "{report}");
            ExitCode::from(u8::from(!passes))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Whether the artifact may pass, and the report.
fn run(arguments: impl Iterator<Item = String>) -> Result<(bool, Value), Usage> {
    let options = Options::parse(arguments)?;
    let envelope = std::fs::read(options.one("envelope")?)?;
    let format = EnvelopeFormat::from_media_type(options.one("media-type")?);
    let artifact: Value = serde_json::from_slice(&std::fs::read(options.one("artifact")?)?)?;
    let (Some(media_type), Some(digest), Some(size)) =
        (artifact["mediaType"].as_str(), artifact["digest"].as_str(), artifact["size"].as_u64())
    else {
        return Err("--artifact: needs mediaType, digest and size".into());
    };
    let (files, trust_stores) = stores(&options)?;
    let policy = OciTrustPolicy::parse(&policy(&options, files.keys())?)?;
    let statement = policy.select(options.one("reference")?)?;
    let user_metadata = pairs(options.all("user-metadata"))?;
    let web = Web::new(&options)?;
    let online = OnlineRevocation { fetcher: &web, cache: &notation_rs::revocation::NoCache };
    let timestamp_revocation: &dyn RevocationCheck = match options.maybe("tsa-revocation") {
        None => &online,
        Some("good") => &NeverRevoked,
        Some(other) => return Err(format!("--tsa-revocation: `{other}` is not good").into()),
    };
    let verifier = Verifier::new(&trust_stores, &online, timestamp_revocation);
    let now = options.maybe("now").map_or_else(|| Ok(now()), str::parse)?;
    let request = |format| Request {
        envelope: (format, &envelope),
        subject: Subject::Artifact { media_type, digest, size },
        user_metadata: &user_metadata,
        statement,
        now,
    };
    let outcome = match format {
        Some(format) => block_on(verifier.verify(&request(format))),
        None => Outcome::of_unsupported_format(*statement.level()),
    };
    Ok((outcome.verdict.is_ok(), report(&outcome)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the library takes the time; somebody has to know it"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// All five checks, made or not, and the end.
fn report(outcome: &Outcome) -> Value {
    let results = ValidationType::ALL.map(|check| {
        let result = outcome.results.iter().find(|result| result.check == check);
        let error = result.and_then(|result| result.error.as_ref());
        json!({
            "type": check.as_str(),
            "action": outcome.level.action(check).as_str(),
            "performed": result.is_some(),
            "error": error.map(|error| error.code()),
            "message": error.map(ToString::to_string),
        })
    });
    let mut report = json!({
        "verdict": if outcome.verdict.is_ok() { "pass" } else { "fail" },
        "level": outcome.level.name(),
        "results": results,
    });
    if let Err(failure) = &outcome.verdict {
        report["stage"] = failure.stage.as_str().into();
        report["error"] = failure.error.code().into();
        report["message"] = failure.error.to_string().into();
    }
    report
}

/// A trust policy with one statement, for the repository of the reference. At level skip it names no
/// store and no identity, as it must.
fn policy<'a>(
    options: &Options,
    stores: impl Iterator<Item = &'a TrustStoreRef>,
) -> Result<Vec<u8>, Usage> {
    let reference = options.one("reference")?;
    let (repository, _) = reference.rsplit_once('@').ok_or("--reference: needs a digest")?;
    let level = options.one("level")?;
    let mut verification = Map::new();
    verification.insert("level".to_owned(), level.into());
    if options.all("override").next().is_some() {
        verification.insert("override".to_owned(), json!(pairs(options.all("override"))?));
    }
    if let Some(value) = options.maybe("verify-timestamp") {
        verification.insert("verifyTimestamp".to_owned(), value.into());
    }
    let is_skip = level == "skip";
    let stores: Vec<String> = stores.filter(|_| !is_skip).map(ToString::to_string).collect();
    let identities: Vec<&str> = options.all("trusted-identity").filter(|_| !is_skip).collect();
    let document = json!({"version": "1.0", "trustPolicies": [{
        "name": "arguments",
        "registryScopes": [repository],
        "signatureVerification": verification,
        "trustStores": stores,
        "trustedIdentities": identities,
    }]});
    Ok(document.to_string().into_bytes())
}

/// What the arguments give of each store.
type Files = BTreeMap<TrustStoreRef, Vec<Vec<u8>>>;

/// The files' contents by store, and the stores. One whose contents are refused is not there, so that
/// verification fails where it needs it.
fn stores(options: &Options) -> Result<(Files, TrustStores), Usage> {
    let mut files = Files::new();
    let mut last = None;
    for argument in options.all("trust-store") {
        let wrong = || format!("--trust-store: `{argument}` is not TYPE:NAME=FILE");
        let (name, file) = match argument.split_once('=') {
            Some((name, file)) => (TrustStoreRef::parse(name).ok_or_else(wrong)?, file),
            // One more file of the store before.
            None => (last.ok_or_else(wrong)?, argument),
        };
        files.entry(name.clone()).or_default().push(std::fs::read(file)?);
        last = Some(name);
    }
    let mut stores = TrustStores::default();
    for (name, files) in &files {
        match TrustStore::from_files(name.kind(), files.iter().map(Vec::as_slice)) {
            Ok(store) => drop(stores.insert(name.name(), store)),
            Err(error) => writeln!(std::io::stderr(), "--trust-store: {name}: {error}")?,
        }
    }
    Ok((files, stores))
}

/// All of the web: files, by the beginning of the URLs that they answer.
#[derive(Debug)]
struct Web(Vec<(String, Vec<u8>)>);

impl Web {
    fn new(options: &Options) -> Result<Self, Usage> {
        let page = |argument: &str| -> Result<(String, Vec<u8>), Usage> {
            let (prefix, file) = argument
                .rsplit_once('=')
                .ok_or_else(|| format!("--http: `{argument}` is not PREFIX=FILE"))?;
            Ok((prefix.to_owned(), std::fs::read(file)?))
        };
        options.all("http").map(page).collect::<Result<_, _>>().map(Self)
    }
}

impl Fetcher for Web {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        let fitting = self.0.iter().filter(|(prefix, _)| request.url.starts_with(prefix));
        let found = fitting.max_by_key(|(prefix, _)| prefix.len());
        let answer = match found {
            None => Err(FetchError::Status(404)),
            Some((_, body)) if body.len() > request.body_bytes_max => Err(FetchError::TooLarge),
            Some((_, body)) => Ok(body.clone()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// The output of `future`, which waits for nothing: files are all in memory.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[cfg(test)]
mod tests;
