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

const USAGE: &str = "usage: verify --envelope FILE --media-type TYPE --artifact DESCRIPTOR.json \
    --reference REF --level LEVEL [--override TYPE=ACTION]... \
    [--verify-timestamp always|afterCertExpiry] --trust-store TYPE:NAME=FILE... \
    --trusted-identity ID... [--user-metadata K=V]... [--http PREFIX=FILE]... \
    [--tsa-revocation good] [--now RFC3339]";

/// Options that may be given once, and those that may be given any number of times.
const ONCE: [&str; 8] = [
    "artifact",
    "envelope",
    "level",
    "media-type",
    "now",
    "reference",
    "tsa-revocation",
    "verify-timestamp",
];
const REPEATED: [&str; 5] =
    ["http", "override", "trust-store", "trusted-identity", "user-metadata"];

/// Anything that is wrong with the arguments or the files that they name.
type Usage = Box<dyn std::error::Error>;

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

/// `K=V` arguments, each key once.
fn pairs<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, String>, Usage> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (key, value) =
            argument.split_once('=').ok_or_else(|| format!("`{argument}` is not KEY=VALUE"))?;
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("`{key}` is given twice").into());
        }
    }
    Ok(pairs)
}

/// The arguments, by option.
struct Options(Vec<(String, String)>);

impl Options {
    /// An option that may be repeated may also have several values in a row.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Usage> {
        let mut options: Vec<(String, String)> = Vec::new();
        while let Some(argument) = arguments.next() {
            let last = options.last().map(|(name, _)| name.clone());
            if let Some(name) = last.filter(|name| REPEATED.contains(&name.as_str()))
                && !argument.starts_with("--")
            {
                options.push((name, argument));
                continue;
            }
            let name = argument.strip_prefix("--").unwrap_or_default();
            let is_first = !options.iter().any(|(known, _)| known == name);
            if !(REPEATED.contains(&name) || ONCE.contains(&name) && is_first) {
                return Err(format!("`{argument}` is unknown, or given twice").into());
            }
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            options.push((name.to_owned(), value));
        }
        Ok(Self(options))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn one(&self, name: &str) -> Result<&str, Usage> {
        Ok(self.maybe(name).ok_or_else(|| format!("--{name} is missing"))?)
    }
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
mod tests {
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
        let media_type =
            if suffix == "cose" { "application/cose" } else { "application/jose+json" };
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
}
