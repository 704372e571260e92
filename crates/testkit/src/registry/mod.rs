//! An OCI distribution registry in this process: what tests and the demo talk to in place of a real
//! one. It serves reads only; content is put in through methods, so that a test can put in what no
//! registry would accept. It is honest until a [`Fault`] says otherwise, and remembers each request.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

mod auth;
mod fault;
mod server;
mod store;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::tls::TestAuthority;
pub use auth::{Auth, Credentials};
pub use fault::{Effect, Fault};
use store::Store;
pub use store::{StoredManifest, fallback_tag, media_type, sha256_digest};

/// How a [`TestRegistry`] behaves when no fault is in play.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Who may read.
    pub auth: Auth,
    /// Whether `GET /v2/<name>/referrers/<digest>` exists. Without it, [`TestRegistry::push_referrer`]
    /// keeps the fallback tag up, as clients do for distribution, GHCR and Docker Hub.
    pub referrers_api: bool,
    /// Entries per page of the referrers API; the next page is named by a `Link` header.
    pub referrers_per_page: usize,
    /// Whether to speak TLS, with a certificate of an authority of its own, instead of HTTP.
    pub tls: bool,
    /// DNS names in that certificate besides the loopback ones.
    pub names: Vec<String>,
    /// Whether, over TLS, a client must show a certificate of the same authority.
    pub client_certificates: bool,
}

impl Default for RegistryOptions {
    /// An open registry over plain HTTP, with the referrers API in pages of 100.
    fn default() -> Self {
        Self {
            auth: Auth::None,
            referrers_api: true,
            referrers_per_page: 100,
            tls: false,
            names: Vec::new(),
            client_certificates: false,
        }
    }
}

/// One request as it arrived, before authentication and faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Host` header.
    pub host: Option<String>,
}

/// A registry on a loopback port that ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct TestRegistry {
    shared: Arc<Shared>,
    authority: Option<TestAuthority>,
    ca_pem: Option<String>,
    _tasks: JoinSet<()>,
}

/// What the connections of one registry share.
#[derive(Debug)]
struct Shared {
    options: RegistryOptions,
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    faults: Vec<Fault>,
    requests: Vec<RecordedRequest>,
    tokens: auth::Tokens,
}

impl Shared {
    /// The state, also after a panic in another test thread: no invariant spans two fields.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TestRegistry {
    /// A registry that listens on a free port of 127.0.0.1, served by the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound or, with TLS, no certificate can be made.
    pub async fn start(options: RegistryOptions) -> io::Result<Self> {
        let authority = match options.tls {
            true => Some(TestAuthority::generate().map_err(io::Error::other)?),
            false => None,
        };
        let acceptor = authority.as_ref();
        let acceptor =
            acceptor.map(|authority| server::tls_acceptor(authority, &options)).transpose()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { options, address, state: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(server::accept(listener, acceptor, Arc::clone(&shared)));
        let ca_pem = authority.as_ref().map(TestAuthority::certificate_pem);
        Ok(Self { shared, authority, ca_pem, _tasks: tasks })
    }

    /// `127.0.0.1:PORT`, as it stands in an image reference.
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// The certificate that a client must trust, PEM; `None` over plain HTTP.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The authority of its certificate and of its clients'; `None` over plain HTTP.
    pub fn authority(&self) -> Option<&TestAuthority> {
        self.authority.as_ref()
    }

    /// Puts in a blob and returns its digest.
    pub fn push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        self.shared.state().store.push_blob(repository, bytes.into())
    }

    /// Puts in a manifest, byte for byte, and returns its digest; `tag` then names it.
    /// Neither its media type nor its content is checked.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> String {
        self.shared.state().store.push_manifest(repository, tag, media_type, bytes.into())
    }

    /// Puts in a valid image of one empty layer, its content particular to (repository, tag), and
    /// returns its digest.
    pub fn push_image(&self, repository: &str, tag: &str) -> String {
        let layer = self.push_content(repository, media_type::LAYER, EMPTY_TAR);
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "author": format!("{repository}:{tag}"),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": self.push_content(repository, media_type::CONFIG, config.to_string()),
            "layers": [layer],
        });
        self.push_manifest(repository, Some(tag), media_type::MANIFEST, manifest.to_string())
    }

    /// Puts in an index over manifests of this repository, each with its Linux architecture, and
    /// returns its digest.
    pub fn push_index(&self, repository: &str, tag: &str, children: &[(&str, &str)]) -> String {
        let manifests: Vec<Value> = children
            .iter()
            .map(|(digest, architecture)| {
                let mut entry = self.descriptor(repository, digest);
                entry["platform"] = json!({"architecture": architecture, "os": "linux"});
                entry
            })
            .collect();
        self.push_manifest(repository, Some(tag), media_type::INDEX, store::index(manifests))
    }

    /// Puts in an image manifest with a `subject` and returns its digest. Without the referrers API
    /// it is also appended to the index at the subject's fallback tag.
    pub fn push_referrer(&self, repository: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string();
        let digest = self.push_manifest(repository, None, media_type::MANIFEST, bytes);
        if !self.shared.options.referrers_api {
            self.append_to_fallback_tag(repository, manifest, &digest);
        }
        digest
    }

    /// Appends an entry that has the artifact type but no annotations, as Cosign writes it.
    fn append_to_fallback_tag(&self, repository: &str, manifest: &Value, digest: &str) {
        let Some(subject) = manifest["subject"]["digest"].as_str() else {
            return;
        };
        let tag = fallback_tag(subject);
        let mut entries = self
            .manifest(repository, &tag)
            .and_then(|stored| stored.json()["manifests"].as_array().cloned())
            .unwrap_or_default();
        let mut entry = self.descriptor(repository, digest);
        entry["artifactType"] = store::artifact_type(manifest);
        entries.push(entry);
        self.push_manifest(repository, Some(&tag), media_type::INDEX, store::index(entries));
    }

    /// Puts in a blob and returns its descriptor.
    pub fn push_content(
        &self,
        repository: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Value {
        let bytes = bytes.into();
        let size = bytes.len();
        store::descriptor(media_type, &self.push_blob(repository, bytes), size)
    }

    /// The blob of this digest.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.shared.state().store.blob(repository, digest).cloned()
    }

    /// The manifest at a tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<StoredManifest> {
        self.shared.state().store.manifest(repository, reference).cloned()
    }

    /// The descriptor of a manifest; of size 0 and image type where the repository has none such,
    /// as a lying registry would make it.
    pub fn descriptor(&self, repository: &str, digest: &str) -> Value {
        match self.manifest(repository, digest) {
            Some(found) => store::descriptor(&found.media_type, digest, found.bytes.len()),
            None => store::descriptor(media_type::MANIFEST, digest, 0),
        }
    }

    /// Adds a fault. The first in the table that matches a request and has turns left takes it.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// Makes the registry honest again.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Makes every token handed out so far worthless, as time would.
    pub fn expire_tokens(&self) {
        self.shared.state().tokens.expire();
    }

    /// Every request since the start or [`TestRegistry::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.state().requests.clone()
    }

    /// How many of [`TestRegistry::requests`] have a path that contains `path`.
    pub fn count(&self, path: &str) -> usize {
        let state = self.shared.state();
        state.requests.iter().filter(|request| request.path.contains(path)).count()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.state().requests.clear();
    }
}

/// A tar archive of no files is two blocks of zeros.
const EMPTY_TAR: &[u8] = &[0; 1024];
