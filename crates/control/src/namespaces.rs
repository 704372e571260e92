//! Where the labels of namespaces come from: the API server, documents and flags, or nowhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use assay_core::ports::{Clock, NamespaceError, NamespaceSource};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Api, Client};

/// The labels of one namespace.
pub(crate) type Labels = Arc<BTreeMap<String, String>>;

/// How long labels that the API server gave are used: whoever relabels a namespace waits so long.
const LABELS_TTL: Duration = Duration::from_secs(10);

/// Namespaces whose labels are kept. With labels of a few hundred bytes each that is below 1 MiB;
/// further ones cost a read each time.
const NAMESPACES_MAX: u64 = 1_024;

/// How long one read may take, the client's own retries included: half the API server's default
/// timeout for a webhook (10 s), so that time for the images is left.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest name of a namespace, in bytes (RFC 1123 label).
const NAME_BYTES_MAX: usize = 63;

/// Namespaces as the API server has them, each read at most once in 10 s, however many ask.
pub struct LiveNamespaces {
    api: Api<Namespace>,
    clock: Arc<dyn Clock>,
    entries: moka::future::Cache<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    labels: Labels,
    /// In ticks of the clock.
    expires: Duration,
}

impl LiveNamespaces {
    /// Namespaces as `client` reads them. It needs the verb `get` on `namespaces`.
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { api: Api::all(client), clock, entries: moka::future::Cache::new(NAMESPACES_MAX) }
    }

    async fn read(&self, namespace: &str) -> Result<Entry, NamespaceError> {
        let expires = self.clock.ticks().saturating_add(LABELS_TTL);
        let answer = tokio::time::timeout(READ_TIME_MAX, self.api.get_metadata(namespace)).await;
        let reason = match answer {
            Ok(Ok(found)) => {
                let labels = Arc::new(found.metadata.labels.unwrap_or_default());
                return Ok(Entry { labels, expires });
            }
            Ok(Err(error)) => {
                tracing::warn!(namespace, %error, "namespace not read");
                reason(&error)
            }
            Err(_) => "the API server did not answer in time".to_owned(),
        };
        Err(unknown(namespace, reason))
    }
}

#[async_trait]
impl NamespaceSource for LiveNamespaces {
    async fn labels(&self, namespace: &str) -> Result<Labels, NamespaceError> {
        // The name becomes a part of a URL's path.
        if !is_label(namespace) {
            return Err(unknown(namespace, "this is no name of a namespace"));
        }
        if let Some(entry) = self.entries.get(namespace).await {
            if self.clock.ticks() < entry.expires {
                return Ok(entry.labels);
            }
            self.entries.invalidate(namespace).await;
        }
        self.entries
            .try_get_with_by_ref(namespace, self.read(namespace))
            .await
            .map(|entry| entry.labels)
            .map_err(Arc::unwrap_or_clone)
    }
}

/// Namespaces as a watch brings them; one that it has not brought yet is read live.
pub(crate) struct WatchedNamespaces {
    live: LiveNamespaces,
    watched: RwLock<Watched>,
}

#[derive(Default)]
struct Watched {
    labels: HashMap<String, Labels>,
    /// What a list that is under way has brought.
    incoming: HashMap<String, Labels>,
    listed: bool,
}

impl WatchedNamespaces {
    pub(crate) fn new(live: LiveNamespaces) -> Self {
        Self { live, watched: RwLock::default() }
    }

    /// Takes an event of the watch.
    pub(crate) fn event(&self, event: Event<PartialObjectMeta<Namespace>>) {
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        let entry = |object: PartialObjectMeta<Namespace>| {
            let metadata = object.metadata;
            (metadata.name.unwrap_or_default(), Arc::new(metadata.labels.unwrap_or_default()))
        };
        match event {
            Event::Init => watched.incoming.clear(),
            Event::InitApply(object) => watched.incoming.extend([entry(object)]),
            Event::InitDone => {
                watched.labels = std::mem::take(&mut watched.incoming);
                watched.listed = true;
            }
            Event::Apply(object) => watched.labels.extend([entry(object)]),
            Event::Delete(object) => {
                watched.labels.remove(&entry(object).0);
            }
        }
    }

    /// Whether they were listed in full once.
    pub(crate) fn are_listed(&self) -> bool {
        self.watched.read().unwrap_or_else(PoisonError::into_inner).listed
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(String, Labels)> {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        watched.labels.iter().map(|(name, labels)| (name.clone(), labels.clone())).collect()
    }
}

#[async_trait]
impl NamespaceSource for WatchedNamespaces {
    async fn labels(&self, namespace: &str) -> Result<Labels, NamespaceError> {
        let watched = {
            let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
            watched.labels.get(namespace).cloned()
        };
        match watched {
            Some(labels) => Ok(labels),
            None => self.live.labels(namespace).await,
        }
    }
}

/// Namespaces as documents and flags give them, for the command line.
#[derive(Clone, Debug, Default)]
pub struct GivenNamespaces {
    given: BTreeMap<String, BTreeMap<String, String>>,
}

impl GivenNamespaces {
    /// Gives `namespace` these labels beside those that it was given before; the later value of a
    /// key counts. As in a cluster, it is labelled with its name as well.
    pub fn give(&mut self, namespace: &str, labels: impl IntoIterator<Item = (String, String)>) {
        let own = self.given.entry(namespace.to_owned()).or_default();
        own.extend(labels);
        own.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
    }
}

#[async_trait]
impl NamespaceSource for GivenNamespaces {
    async fn labels(&self, namespace: &str) -> Result<Labels, NamespaceError> {
        let labels = self.given.get(namespace).cloned().map(Arc::new);
        labels.ok_or_else(|| {
            let advice = "give them by --namespace-label or a Namespace document";
            unknown(namespace, advice)
        })
    }
}

/// No namespaces: a webhook without a cluster.
#[derive(Clone, Copy, Debug)]
pub struct NoNamespaces;

#[async_trait]
impl NamespaceSource for NoNamespaces {
    async fn labels(&self, namespace: &str) -> Result<Labels, NamespaceError> {
        Err(unknown(namespace, "there is no cluster to read it from"))
    }
}

fn unknown(namespace: &str, reason: impl Into<String>) -> NamespaceError {
    NamespaceError { namespace: namespace.to_owned(), reason: reason.into() }
}

/// What went wrong, without a word of the answer's.
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => "there is no such namespace".to_owned(),
            code => format!("the API server refuses (HTTP {code})"),
        },
        kube::Error::SerdeError(_) => "the API server's answer does not decode".to_owned(),
        _ => "the API server cannot be reached".to_owned(),
    }
}

/// Whether `name` is an RFC 1123 label, as every namespace's name is.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests;
