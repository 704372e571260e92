//! The kubelet's credential providers: programs that know how to get in where a cloud is the registry.
//! A provider that a node has, with the configuration file that the node has for it, serves here too.
//!
//! Specification: <https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/>,
//! without `tokenAttributes`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_core::ports::{Clock, CredentialError, CredentialSource, PullIdentity};
use assay_core::{Credential, Repository, parse_go_duration};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};

use crate::keyring::{ImagePattern, Keyring};
use crate::process;

/// The time for one answer, with the wait until the program may run. The kubelet gives it a minute, but
/// no admission lasts that long.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer; tokens seen are below 8 KiB.
pub(crate) const PROVIDER_BYTES_MAX: usize = 64 * 1024;

/// Processes of one provider at once: whoever creates pods chooses how often it is asked.
pub(crate) const PROCESSES_MAX: usize = 4;

/// Answers of one provider that are kept; past that all are forgotten.
pub(crate) const ANSWERS_MAX: usize = 1024;

/// One credential provider.
#[derive(Clone)]
pub struct ProviderConfig {
    /// Its name, for messages.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that it gets beside those of this process, which it may rely on.
    pub env: Vec<(String, String)>,
    /// The version of the protocol that it speaks: `credentialprovider.kubelet.k8s.io/v1`.
    pub api_version: String,
    /// Patterns, as the kubelet has them, of the images that it is asked about.
    pub match_images: Vec<String>,
    /// How long an answer is kept that does not say so itself.
    pub default_cache_duration: Duration,
}

impl fmt::Debug for ProviderConfig {
    /// The name only: its variables may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderConfig({})", self.name)
    }
}

/// The credentials that the kubelet's credential providers give.
pub struct CredentialProviders {
    providers: Vec<Provider>,
}

impl CredentialProviders {
    /// The credentials of these providers; where several are for an image, those of the first are tried
    /// first under the same key.
    ///
    /// # Errors
    /// A text that names a pattern which is none.
    pub fn new(configs: Vec<ProviderConfig>, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        Self::with_limit(configs, clock, PROVIDER_TIMEOUT)
    }

    pub(crate) fn with_limit(
        configs: Vec<ProviderConfig>,
        clock: &Arc<dyn Clock>,
        limit: Duration,
    ) -> Result<Self, String> {
        let providers = configs.into_iter().map(|config| {
            let pattern = |text: &String| {
                let wrong = || format!("matchImages of {}: '{text}' is no host", config.name);
                ImagePattern::parse(text).ok_or_else(wrong)
            };
            let patterns = config.match_images.iter().map(pattern).collect::<Result<_, _>>()?;
            Ok::<_, String>(Provider {
                config,
                patterns,
                limit,
                clock: clock.clone(),
                processes: Semaphore::new(PROCESSES_MAX),
                answers: Mutex::default(),
                under_way: Mutex::default(),
            })
        });
        Ok(Self { providers: providers.collect::<Result<_, _>>()? })
    }
}

#[async_trait]
impl CredentialSource for CredentialProviders {
    async fn credentials(
        &self,
        repository: &Repository,
        _: &PullIdentity,
    ) -> Result<Vec<Credential>, CredentialError> {
        let mut keyring = Keyring::default();
        for provider in &self.providers {
            if provider.patterns.iter().any(|pattern| pattern.covers(repository)) {
                keyring.extend(&*provider.keyring(repository).await?);
            }
        }
        Ok(keyring.credentials(repository))
    }
}

struct Provider {
    config: ProviderConfig,
    patterns: Vec<ImagePattern>,
    limit: Duration,
    clock: Arc<dyn Clock>,
    processes: Semaphore,
    answers: Mutex<HashMap<AnswerKey, Answer>>,
    /// One process for all who ask about the same images.
    under_way: Mutex<HashMap<Repository, Arc<OnceCell<Asked>>>>,
}

type Asked = Result<Arc<Keyring>, CredentialError>;

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum AnswerKey {
    Global,
    Image(Repository),
    Registry(String),
}

struct Answer {
    keyring: Arc<Keyring>,
    /// In ticks of the clock.
    expires: Duration,
}

/// What a provider writes. As with the kubelet, what it says more than that is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Response {
    api_version: String,
    kind: String,
    cache_key_type: CacheKeyType,
    cache_duration: Option<String>,
    auth: Option<BTreeMap<String, Auth>>,
}

#[derive(Deserialize)]
enum CacheKeyType {
    Global,
    Image,
    Registry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    username: Option<String>,
    password: Option<String>,
}

impl Provider {
    /// What the provider gives for `repository`, kept or asked for.
    async fn keyring(&self, repository: &Repository) -> Asked {
        if let Some(kept) = self.kept(repository) {
            return Ok(kept);
        }
        let cell = lock(&self.under_way).entry(repository.clone()).or_default().clone();
        let asked = cell.get_or_init(|| self.ask(repository)).await.clone();
        let mut under_way = lock(&self.under_way);
        if under_way.get(repository).is_some_and(|other| Arc::ptr_eq(other, &cell)) {
            under_way.remove(repository);
        }
        asked
    }

    /// What is kept for `repository`.
    fn kept(&self, repository: &Repository) -> Option<Arc<Keyring>> {
        let now = self.clock.ticks();
        let answers = lock(&self.answers);
        let keys = [
            AnswerKey::Image(repository.clone()),
            AnswerKey::Registry(repository.host().to_owned()),
            AnswerKey::Global,
        ];
        let mut found = keys.iter().filter_map(|key| answers.get(key));
        found.find(|answer| now < answer.expires).map(|answer| answer.keyring.clone())
    }

    /// Asks the provider, once it may run.
    async fn ask(&self, repository: &Repository) -> Asked {
        let late = || self.unavailable(repository, "did not answer in time");
        let ask = async {
            let _process = self.processes.acquire().await.map_err(|_| late())?;
            // What another was told meanwhile may hold for this one too.
            match self.kept(repository) {
                Some(kept) => Ok(kept),
                None => self.run(repository).await,
            }
        };
        tokio::time::timeout(self.limit, ask).await.unwrap_or_else(|_| Err(late()))
    }

    async fn run(&self, repository: &Repository) -> Asked {
        let config = &self.config;
        let mut command = Command::new(&config.program);
        command.args(&config.args).envs(config.env.iter().map(|(name, value)| (name, value)));
        let request = json!({
            "apiVersion": config.api_version,
            "kind": "CredentialProviderRequest",
            "image": repository.to_string(),
        });
        let asked = process::ask(command, request.to_string().as_bytes(), PROVIDER_BYTES_MAX).await;
        let failed = |reason: String| self.unavailable(repository, &format!("failed: {reason}"));
        let (status, output) = asked.map_err(|error| failed(error.kind().to_string()))?;
        if output.len() > PROVIDER_BYTES_MAX {
            return Err(self.unusable(repository, "answered at too great a length"));
        }
        if !status.success() {
            return Err(failed(status.to_string()));
        }
        let answer = self.take(repository, &output);
        answer.ok_or_else(|| self.unusable(repository, "sent a malformed answer"))
    }

    /// What `output`, an answer about `repository`, gives; it is kept as it says. `None` where it is no
    /// answer.
    fn take(&self, repository: &Repository, output: &[u8]) -> Option<Arc<Keyring>> {
        let response: Response = serde_json::from_slice(output).ok()?;
        let Response { api_version, kind, cache_key_type, cache_duration, auth } = response;
        if api_version != self.config.api_version || kind != "CredentialProviderResponse" {
            return None;
        }
        let lifetime = match cache_duration {
            Some(text) => parse_go_duration(&text)?,
            None => self.config.default_cache_duration,
        };
        let mut keyring = Keyring::default();
        for (key, Auth { username, password }) in auth.into_iter().flatten() {
            let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
            // Neither is as good as no credential.
            if !(username.is_empty() && password.is_empty()) {
                keyring.add(&key, Credential::Basic { username, password });
            }
        }
        let keyring = Arc::new(keyring);
        if !lifetime.is_zero() {
            let key = match cache_key_type {
                CacheKeyType::Global => AnswerKey::Global,
                CacheKeyType::Image => AnswerKey::Image(repository.clone()),
                CacheKeyType::Registry => AnswerKey::Registry(repository.host().to_owned()),
            };
            self.keep(key, keyring.clone(), lifetime);
        }
        Some(keyring)
    }

    fn keep(&self, key: AnswerKey, keyring: Arc<Keyring>, lifetime: Duration) {
        let mut answers = lock(&self.answers);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        let expires = self.clock.ticks().saturating_add(lifetime);
        answers.insert(key, Answer { keyring, expires });
    }

    fn unavailable(&self, repository: &Repository, reason: &str) -> CredentialError {
        let (host, reason) = self.blame(repository, reason);
        CredentialError::Unavailable { host, reason }
    }

    fn unusable(&self, repository: &Repository, reason: &str) -> CredentialError {
        let (host, reason) = self.blame(repository, reason);
        CredentialError::Unusable { host, reason }
    }

    fn blame(&self, repository: &Repository, reason: &str) -> (String, String) {
        let reason = format!("credential provider {} {reason}", self.config.name);
        (repository.host().to_owned(), reason)
    }
}

#[cfg(test)]
impl CredentialProviders {
    /// Keeps the first provider's answers for so many other images.
    pub(crate) fn keep_others(&self, count: usize) {
        for index in 0..count {
            let image = Repository::new("other.example", index.to_string());
            self.providers[0].keep(AnswerKey::Image(image), Arc::default(), Duration::MAX);
        }
    }

    /// How many answers of the first provider are kept.
    pub(crate) fn kept(&self) -> usize {
        lock(&self.providers[0].answers).len()
    }

    /// How many more processes of the first provider may run.
    pub(crate) fn idle(&self) -> usize {
        self.providers[0].processes.available_permits()
    }
}

/// The content, also after a panic elsewhere: no invariant spans two entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
