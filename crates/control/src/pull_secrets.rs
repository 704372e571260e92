//! The pull Secrets of pods: read one by one, by name, when an image of a pod that has them is looked
//! at, and only where the administrator grants it. Nothing is listed or watched, and a pod reaches the
//! Secrets of its own namespace only, as on a node.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use assay_api::PullSecrets;
use assay_core::ports::{
    Clock, CredentialError, PullIdentity, PullSecret, PullSecretFormat, PullSecretSource,
};
use assay_policy::PULL_SECRETS_MAX;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::Client;
use kube::client::Body;
use tokio::sync::Semaphore;

use crate::names::is_subdomain;

/// The ClusterRole whose binding lets Assay read the pull Secrets of a namespace, or of all.
const READER_ROLE: &str = "assay-pull-secret-reader";

/// How long what was read is used: whoever revokes a Secret waits so long.
const OBJECT_TTL: Duration = Duration::from_secs(10);

/// How long one read may take, with the wait for its turn: as long as a namespace's labels may.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer. The API server takes no Secret of more than 1 MiB, which base64 makes a third
/// longer, and 256 KiB of annotations.
const OBJECT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of all Secrets that are kept; further ones cost a read each time.
const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes that an entry takes beside what it holds.
const ENTRY_BYTES: usize = 1_024;

/// Reads at once, so that a burst of pods is no burst at the API server.
const READS_MAX: usize = 32;

/// Reads at once for one namespace: a quarter of them, so that none can use them up alone.
const NAMESPACE_READS_MAX: usize = READS_MAX / 4;

/// Namespaces whose reads are counted.
const NAMESPACES_MAX: u64 = 1_024;

/// The types of pull Secrets, each with the key that holds the configuration.
const FORMATS: [(&str, &str, PullSecretFormat); 2] = [
    ("kubernetes.io/dockerconfigjson", ".dockerconfigjson", PullSecretFormat::DockerConfigJson),
    ("kubernetes.io/dockercfg", ".dockercfg", PullSecretFormat::DockerCfg),
];

/// Pull Secrets as the API server has them, each read at most once in 10 s, however many ask.
pub struct LivePullSecrets {
    grant: PullSecrets,
    client: Client,
    secrets: Kept<Option<Arc<PullSecret>>>,
    /// What ServiceAccounts give.
    accounts: Kept<Arc<[String]>>,
    reads: Semaphore,
    namespace_reads: moka::future::Cache<String, Arc<Semaphore>>,
}

/// Why an object cannot be had.
#[derive(Clone, Debug)]
enum Trouble {
    /// The API server cannot be asked, or does not answer.
    Unavailable(String),
    /// It answers something else.
    Unusable(String),
}

/// Which object: a resource's plural name, a namespace and a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    plural: &'static str,
    namespace: String,
    name: String,
}

impl LivePullSecrets {
    /// The pull Secrets of the namespaces that `grant` names, as `client` reads them. It needs the verb
    /// `get` on their `secrets` and `serviceaccounts`.
    pub fn new(client: Client, grant: PullSecrets, clock: &Arc<dyn Clock>) -> Self {
        let secret_bytes = |secret: &Option<Arc<PullSecret>>| {
            secret.as_ref().map_or(0, |secret| secret.bytes.len())
        };
        let account_bytes = |names: &Arc<[String]>| names.iter().map(String::len).sum();
        Self {
            grant,
            client,
            secrets: Kept::new(clock.clone(), secret_bytes),
            accounts: Kept::new(clock.clone(), account_bytes),
            reads: Semaphore::new(READS_MAX),
            namespace_reads: moka::future::Cache::new(NAMESPACES_MAX),
        }
    }

    /// The names of the identity's Secrets: its own, else those of its ServiceAccount.
    async fn names(&self, identity: &PullIdentity) -> Result<Arc<[String]>, Trouble> {
        let Some(account) = &identity.service_account else {
            return Ok(identity.secrets.clone().into());
        };
        let place = Place::new("serviceaccounts", identity, account);
        let read = async {
            let read: Option<ServiceAccount> = self.read(&place).await?;
            let secrets = read.and_then(|account| account.image_pull_secrets).unwrap_or_default();
            let names = secrets.into_iter().map(|secret| secret.name);
            Ok(names.filter(|name| !name.is_empty()).collect())
        };
        self.accounts.get(&place, read).await
    }

    /// The Secret of this name; `None` where there is none, or none that pulls, as for the kubelet.
    async fn secret(
        &self,
        identity: &PullIdentity,
        name: &str,
    ) -> Result<Option<Arc<PullSecret>>, Trouble> {
        let place = Place::new("secrets", identity, name);
        let read = async {
            let read: Option<Secret> = self.read(&place).await?;
            Ok(read.and_then(|secret| pull_secret(name, secret)).map(Arc::new))
        };
        self.secrets.get(&place, read).await
    }

    /// The object at `place`, in its turn; `None` where there is none, or can be none.
    async fn read<T>(&self, place: &Place) -> Result<Option<T>, Trouble>
    where
        T: DeserializeOwned,
    {
        if !is_subdomain(&place.namespace) || !is_subdomain(&place.name) {
            return Ok(None);
        }
        let read = async {
            let new = async { Arc::new(Semaphore::new(NAMESPACE_READS_MAX)) };
            let own = self.namespace_reads.get_with_by_ref(&place.namespace, new).await;
            // Neither is ever closed; without a turn nothing is read all the same.
            let _own = own.acquire().await.map_err(|_| place.unreached())?;
            let _turn = self.reads.acquire().await.map_err(|_| place.unreached())?;
            self.ask(place).await
        };
        let late = || Err(place.unavailable("the API server did not answer in time"));
        let bytes = tokio::time::timeout(READ_TIME_MAX, read).await.unwrap_or_else(|_| late())?;
        let decode = |bytes: Bytes| serde_json::from_slice(&bytes);
        // The error may quote what it stumbled over.
        bytes.map(decode).transpose().map_err(|_| place.unusable("it does not decode"))
    }

    /// The bytes of the object at `place`, where there is one.
    async fn ask(&self, place: &Place) -> Result<Option<Bytes>, Trouble> {
        let Place { plural, namespace, name } = place;
        let path = format!("/api/v1/namespaces/{namespace}/{plural}/{name}");
        let request = Request::get(path).body(Body::empty()).map_err(|_| place.unreached())?;
        let response = self.client.send(request).await.map_err(|error| {
            tracing::warn!(%place, %error, "not read");
            place.unreached()
        })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => {
                tracing::warn!(%place, status = status.as_u16(), "not read");
                let mut reason = format!("the API server refuses (HTTP {})", status.as_u16());
                if status == StatusCode::FORBIDDEN {
                    reason += ": bind the ClusterRole ";
                    reason += READER_ROLE;
                }
                let is_away = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                return Err(match is_away {
                    true => place.unavailable(&reason),
                    false => place.unusable(&reason),
                });
            }
        }
        let body = Limited::new(response.into_body(), OBJECT_BYTES_MAX).collect().await;
        match body {
            Ok(body) => Ok(Some(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(place.unusable(&format!("it exceeds {OBJECT_BYTES_MAX} bytes")))
            }
            Err(_) => Err(place.unreached()),
        }
    }
}

#[async_trait]
impl PullSecretSource for LivePullSecrets {
    async fn secrets(
        &self,
        identity: &PullIdentity,
        host: &str,
    ) -> Result<Vec<Arc<PullSecret>>, CredentialError> {
        if !self.grant.grants(&identity.namespace) {
            return Ok(Vec::new());
        }
        let found = async {
            let names = self.names(identity).await?;
            if names.len() > PULL_SECRETS_MAX {
                let reason = format!("there are more than {PULL_SECRETS_MAX} pull Secrets");
                return Err(Trouble::Unusable(reason));
            }
            let secrets = try_join_all(names.iter().map(|name| self.secret(identity, name)));
            Ok(secrets.await?.into_iter().flatten().collect())
        };
        let host = || host.to_owned();
        found.await.map_err(|trouble| match trouble {
            Trouble::Unavailable(reason) => CredentialError::Unavailable { host: host(), reason },
            Trouble::Unusable(reason) => CredentialError::Unusable { host: host(), reason },
        })
    }
}

/// What of `secret` pulls images.
fn pull_secret(name: &str, secret: Secret) -> Option<PullSecret> {
    let own = secret.type_.unwrap_or_default();
    let (_, key, format) = FORMATS.into_iter().find(|(type_, _, _)| *type_ == own)?;
    let bytes = secret.data?.remove(key)?.0;
    let holds = !bytes.is_empty();
    holds.then(|| PullSecret { name: name.to_owned(), format, bytes: bytes.into() })
}

impl Place {
    fn new(plural: &'static str, identity: &PullIdentity, name: &str) -> Self {
        Self { plural, namespace: identity.namespace.clone(), name: name.to_owned() }
    }

    fn unreached(&self) -> Trouble {
        self.unavailable("the API server cannot be reached")
    }

    fn unavailable(&self, reason: &str) -> Trouble {
        Trouble::Unavailable(format!("{self} cannot be read: {reason}"))
    }

    fn unusable(&self, reason: &str) -> Trouble {
        Trouble::Unusable(format!("{self} cannot be read: {reason}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plural, namespace, name } = self;
        let kind = if *plural == "secrets" { "Secret" } else { "ServiceAccount" };
        write!(f, "{kind} '{name}' of namespace '{namespace}'")
    }
}

/// What was read of late.
struct Kept<V> {
    /// With when it is too old, in ticks of the clock.
    entries: moka::future::Cache<Place, (V, Duration)>,
    clock: Arc<dyn Clock>,
}

impl<V: Clone + Send + Sync + 'static> Kept<V> {
    fn new(clock: Arc<dyn Clock>, bytes: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        let weight = move |_: &Place, (value, _): &(V, Duration)| {
            u32::try_from(bytes(value).saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX)
        };
        let entries = moka::future::Cache::builder().max_capacity(KEPT_BYTES_MAX).weigher(weight);
        Self { entries: entries.build(), clock }
    }

    /// What is kept for `place`, else what `read` ends in, once for all who ask. No error is kept.
    async fn get(
        &self,
        place: &Place,
        read: impl Future<Output = Result<V, Trouble>>,
    ) -> Result<V, Trouble> {
        if let Some((value, expires)) = self.entries.get(place).await {
            if self.clock.ticks() < expires {
                return Ok(value);
            }
            self.entries.invalidate(place).await;
        }
        let expires = self.clock.ticks().saturating_add(OBJECT_TTL);
        let read = async { Ok((read.await?, expires)) };
        let entry = self.entries.try_get_with_by_ref(place, read).await;
        entry.map(|(value, _)| value).map_err(Arc::unwrap_or_clone)
    }
}

#[cfg(test)]
mod tests;
