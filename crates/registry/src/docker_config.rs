//! Credentials from Docker's `config.json`: entries by host, and helpers that keep them elsewhere.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::ports::{Clock, CredentialError, CredentialSource, PullIdentity};
use assay_core::{Credential, ImageReference, Repository};
use async_trait::async_trait;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

use crate::credential_helper::Helpers;

/// A `config.json`, read again whenever what was read is 10 s old.
pub struct DockerConfig {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    helpers: Helpers,
    answers: Mutex<HashMap<Repository, Answer>>,
}

/// When it was asked for, and the answer once it is there: one reader per repository.
type Answer = (Duration, Arc<OnceCell<Vec<Credential>>>);

/// How long an answer stands: no helper runs for each of many pods, and a password that changed
/// works at once by a human's measure.
const ANSWER_LIFETIME: Duration = Duration::from_secs(10);

/// Repositories whose answers are kept; past that all are forgotten.
const ANSWERS_MAX: usize = 1024;

/// Bytes of the file: some thousand entries.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// With padding, as Docker writes it, or without, as the kubelet takes it too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What helpers know Docker Hub by.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

impl DockerConfig {
    /// The credentials in the file at `path`, which is read when they are first asked for. There
    /// need not be one.
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self::with_helpers(path.into(), clock, Helpers::default())
    }

    /// The credentials that `bytes`, a `config.json`, holds itself for `repository`, the longest path
    /// first. No helper is asked.
    ///
    /// # Errors
    /// A text that names the field, and nothing that stands in it.
    pub fn stored(bytes: &[u8], repository: &Repository) -> Result<Vec<Credential>, String> {
        let file = File::parse(bytes)?;
        Ok(best(&file.auths, repository).into_iter().cloned().collect())
    }

    pub(crate) fn with_helpers(path: PathBuf, clock: Arc<dyn Clock>, helpers: Helpers) -> Self {
        Self { path, clock, helpers, answers: Mutex::default() }
    }

    /// The cell of the answer for `repository`, a new one where there is none or it is too old.
    fn answer(&self, repository: &Repository) -> Arc<OnceCell<Vec<Credential>>> {
        let now = self.clock.ticks();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, answer)) = answers.get(repository)
            && now.saturating_sub(*asked) < ANSWER_LIFETIME
        {
            return Arc::clone(answer);
        }
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        let answer = Arc::<OnceCell<_>>::default();
        answers.insert(repository.clone(), (now, Arc::clone(&answer)));
        answer
    }

    /// The credentials as Docker looks for them: the host's own helper, the common one, the file.
    async fn read(&self, repository: &Repository) -> Result<Vec<Credential>, String> {
        let Some(bytes) = self.file().await? else {
            return Ok(Vec::new());
        };
        let file = File::parse(&bytes).map_err(|error| self.wrong(&error))?;
        let own = best(&file.helpers, repository);
        for helper in own.into_iter().chain(file.store.as_ref()) {
            let found = self.helpers.get(helper, server(repository)).await?;
            if let Some(found) = found {
                return Ok(vec![found]);
            }
        }
        Ok(best(&file.auths, repository).into_iter().cloned().collect())
    }

    /// The file's bytes; `None` where there is no file.
    async fn file(&self) -> Result<Option<Vec<u8>>, String> {
        let wrong = |error: io::Error| self.wrong(&error.kind().to_string());
        let file = match tokio::fs::File::open(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(wrong)?,
        };
        let mut bytes = Vec::new();
        let mut limited = file.take(FILE_BYTES_MAX.saturating_add(1));
        limited.read_to_end(&mut bytes).await.map_err(wrong)?;
        if limited.limit() == 0 {
            return Err(self.wrong(&format!("it exceeds {FILE_BYTES_MAX} bytes")));
        }
        Ok(Some(bytes))
    }

    fn wrong(&self, error: &str) -> String {
        format!("{}: {error}", self.path.display())
    }
}

#[async_trait]
impl CredentialSource for DockerConfig {
    async fn credentials(
        &self,
        repository: &Repository,
        _: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        let answer = self.answer(repository);
        let found = answer.get_or_try_init(|| self.read(repository)).await;
        let host = || repository.host().to_owned();
        found.cloned().map_err(|reason| CredentialError::Unavailable { host: host(), reason })
    }
}

/// The file, parsed.
struct File {
    auths: Vec<(Key, Credential)>,
    helpers: Vec<(Key, String)>,
    store: Option<String>,
}

impl File {
    /// # Errors
    /// A text that names the field, and nothing that stands in it.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("not a JSON object: malformed at line {line}, column {column}")
        })?;
        let auths = credentials(object(&file, "auths")?)?.into_iter();
        let auths =
            auths.filter_map(|(server, credential)| Some((Key::parse(server)?, credential)));
        let mut helpers = Vec::new();
        for (server, name) in object(&file, "credHelpers")? {
            let wrong = || format!("credHelpers[\"{server}\"] is not a string");
            let name = name.as_str().ok_or_else(wrong)?;
            helpers.extend(Key::parse(server).map(|key| (key, name.to_owned())));
        }
        let store = text(&file, "credsStore")?;
        Ok(Self {
            auths: auths.collect(),
            helpers,
            store: (!store.is_empty()).then(|| store.to_owned()),
        })
    }
}

/// The credentials in the entries of `auths`, each with the server that it is for, as written.
///
/// # Errors
/// A text that names the field, and nothing that stands in it.
pub(crate) fn credentials<'a>(
    auths: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<Vec<(&'a str, Credential)>, String> {
    let mut credentials = Vec::new();
    for (server, entry) in auths {
        let field = format!("auths[\"{server}\"]");
        let entry = entry.as_object().ok_or_else(|| format!("{field} is not an object"))?;
        let credential = credential(entry).map_err(|error| format!("{field}.{error}"))?;
        credentials.extend(credential.map(|credential| (server.as_str(), credential)));
    }
    Ok(credentials)
}

/// The credential of one entry of `auths`; an empty entry, as Docker leaves it beside a helper, has
/// none.
fn credential(entry: &Map<String, Value>) -> Result<Option<Credential>, String> {
    let token = text(entry, "identitytoken")?;
    if !token.is_empty() {
        return Ok(Some(Credential::IdentityToken(token.to_owned())));
    }
    let auth = text(entry, "auth")?;
    if !auth.is_empty() {
        let credential = decode(auth).ok_or("auth is not base64 of user:password")?;
        return Ok(Some(credential));
    }
    let (username, password) = (text(entry, "username")?, text(entry, "password")?);
    Ok((!username.is_empty()).then(|| Credential::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    }))
}

fn decode(auth: &str) -> Option<Credential> {
    let decoded = String::from_utf8(BASE64.decode(auth).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credential::Basic {
        username: username.to_owned(),
        // Docker has padded passwords with NUL.
        password: password.trim_end_matches('\0').to_owned(),
    })
}

/// The entries of an object's `field`; none where it is absent.
///
/// # Errors
/// It is something else.
pub(crate) fn object<'a>(
    parent: &'a Map<String, Value>,
    field: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
    let entries = match parent.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::Object(entries)) => Some(entries),
        Some(_) => return Err(format!("{field} is not an object")),
    };
    Ok(entries.into_iter().flatten())
}

fn text<'a>(parent: &'a Map<String, Value>, field: &str) -> Result<&'a str, String> {
    match parent.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{field} is not a string")),
    }
}

/// What an entry is for: a host, and the paths on it that begin with `path`.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    host: String,
    path: String,
}

impl Key {
    /// The key that `server` means: a host, or a URL as Docker wrote it in former times. `None`
    /// where no image reference can have such a host.
    fn parse(server: &str) -> Option<Self> {
        let server = server.trim_start_matches("https://").trim_start_matches("http://");
        let (host, path) = server.split_once('/').unwrap_or((server, ""));
        if !host.contains(['.', ':']) && !host.eq_ignore_ascii_case("localhost") {
            return None;
        }
        // The one normaliser of hosts is that of references.
        let reference: ImageReference = format!("{host}/any").parse().ok()?;
        let path = path.trim_matches('/');
        Some(Self {
            host: reference.repository().host().to_owned(),
            path: match path {
                "v1" | "v2" => String::new(),
                path => path.to_owned(),
            },
        })
    }

    fn covers(&self, repository: &Repository) -> bool {
        let rest = repository.path().strip_prefix(&self.path);
        let on_path = |rest: &str| self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        self.host == repository.host() && rest.is_some_and(on_path)
    }
}

/// What is said for `repository`, the longest path first.
fn best<'a, T>(entries: &'a [(Key, T)], repository: &Repository) -> Vec<&'a T> {
    let mut found: Vec<_> = entries.iter().filter(|(key, _)| key.covers(repository)).collect();
    found.sort_by_key(|(key, _)| std::cmp::Reverse(key.path.len()));
    found.into_iter().map(|(_, value)| value).collect()
}

/// What helpers know the registry of `repository` by.
fn server(repository: &Repository) -> &str {
    match repository.host() {
        "docker.io" => DOCKER_HUB_SERVER,
        host => host,
    }
}
