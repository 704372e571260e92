//! An API server as far as the controller knows one: lists, watches from a version on, status by
//! server-side apply, and failures on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Stands for no answer.
pub(super) const HANGS: u16 = 1;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

/// Plural names, and where they are.
const COLLECTIONS: [(&str, &str, &str); 8] = [
    ("ClusterImageAdmissionPolicy", "/apis/assay.dev/v1alpha1", "clusterimageadmissionpolicies"),
    ("ImageAdmissionPolicy", "/apis/assay.dev/v1alpha1", "imageadmissionpolicies"),
    ("ClusterTrustStore", "/apis/assay.dev/v1alpha1", "clustertruststores"),
    ("TrustStore", "/apis/assay.dev/v1alpha1", "truststores"),
    ("Namespace", "/api/v1", "namespaces"),
    ("Secret", "/api/v1", "secrets"),
    ("ConfigMap", "/api/v1", "configmaps"),
    ("Lease", "/apis/coordination.k8s.io/v1", "leases"),
];

/// The API server.
#[derive(Default)]
pub(super) struct ApiServer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Value>,
    events: Vec<Event>,
    /// The version before which events are gone.
    compacted: u64,
    watches: Vec<Watch>,
    /// Paths, by their beginnings, and the status that they are answered with; 0 is no connection, and
    /// [`HANGS`] no answer.
    faults: Vec<(String, u16)>,
    log: Vec<String>,
}

/// Kind, namespace and name.
type Key = (String, String, String);

#[derive(Clone)]
struct Event {
    version: u64,
    kind: &'static str,
    key: Key,
    object: Value,
}

struct Watch {
    selection: Selection,
    sender: UnboundedSender<Result<Bytes, BoxError>>,
}

/// What a list or watch asks for.
#[derive(Clone)]
struct Selection {
    kind: &'static str,
    namespace: Option<String>,
    name: Option<String>,
}

impl Selection {
    fn holds(&self, (kind, namespace, name): &Key) -> bool {
        kind == self.kind
            && self.namespace.as_ref().is_none_or(|own| own == namespace)
            && self.name.as_ref().is_none_or(|own| own == name)
    }
}

impl ApiServer {
    pub(super) fn new(objects: impl IntoIterator<Item = Value>) -> Arc<Self> {
        let server = Arc::new(Self::default());
        objects.into_iter().for_each(|object| server.put(object));
        server
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.serve(request).await }
        });
        Client::new(service, "default")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Creates or replaces an object.
    pub(super) fn put(&self, object: Value) {
        self.lock().put(object);
    }

    pub(super) fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let mut state = self.lock();
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = state.objects.remove(&key).expect("the object is there");
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.tell("DELETED", key, object);
    }

    pub(super) fn object(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned().unwrap_or_default()
    }

    /// Answers what begins with `path` with an HTTP status; 0 is no connection, [`HANGS`] no answer.
    pub(super) fn refuse(&self, path: &str, status: u16) {
        self.lock().faults.push((path.to_owned(), status));
    }

    pub(super) fn allow(&self) {
        self.lock().faults.clear();
    }

    /// Breaks every watch that is open.
    pub(super) fn disconnect(&self) {
        for watch in self.lock().watches.drain(..) {
            let _ = watch.sender.send(Err("connection reset".into()));
        }
    }

    /// Forgets all events, and says so to every watch that is open (HTTP 410).
    pub(super) fn compact(&self) {
        let mut state = self.lock();
        state.version += 1;
        state.compacted = state.version;
        for watch in state.watches.drain(..) {
            let _ = watch.sender.send(Ok(line(&gone())));
        }
    }

    /// The requests so far, without parameters that say nothing here.
    pub(super) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// How many requests began so.
    pub(super) fn count(&self, beginning: &str) -> usize {
        self.lock().log.iter().filter(|line| line.starts_with(beginning)).count()
    }

    async fn serve(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            let pairs = url_pairs(query);
            pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let watch = parameter("watch").is_some();
        let name = parameter("fieldSelector");
        let name = name.map(|selector| selector.replace("metadata.name=", ""));
        let body = body.collect_bytes().await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if self.lock().fault(&path) == Some(HANGS) {
            return std::future::pending().await;
        }
        let mut state = self.lock();
        let verb = if watch { "WATCH" } else { parts.method.as_str() };
        let selector = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        state.log.push(format!("{verb} {path}{selector}"));
        match state.fault(&path) {
            Some(0) => return Err("connection refused".into()),
            Some(status) => return answer(status, &failure(status)),
            None => {}
        }
        let (collection, object) = route(&path);
        let selection = Selection { name, ..collection };
        match (parts.method, object) {
            (Method::GET, None) if watch => {
                let from = parameter("resourceVersion").unwrap_or_default().parse().unwrap_or(0);
                state.watch(selection, from)
            }
            (Method::GET, None) => answer(200, &state.list(&selection)),
            (method, name) => {
                let name = name.unwrap_or_else(|| text(&body["metadata"]["name"]));
                let key =
                    (selection.kind.to_owned(), selection.namespace.unwrap_or_default(), name);
                state.write(&method, key, body, path.ends_with("/status"))
            }
        }
    }
}

impl State {
    fn fault(&self, path: &str) -> Option<u16> {
        let fault = self.faults.iter().find(|(beginning, _)| path.starts_with(beginning.as_str()));
        fault.map(|(_, status)| *status)
    }

    fn put(&mut self, mut object: Value) {
        let metadata = &object["metadata"];
        let key = (text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
        self.version += 1;
        let before = self.objects.get(&key);
        let generation = match before {
            Some(before) if before["spec"] == object["spec"] => {
                before["metadata"]["generation"].clone()
            }
            Some(before) => json!(before["metadata"]["generation"].as_i64().unwrap() + 1),
            None => json!(1),
        };
        let uid = before.map_or_else(
            || json!(format!("uid-{}", self.version)),
            |before| before["metadata"]["uid"].clone(),
        );
        let event = if before.is_some() { "MODIFIED" } else { "ADDED" };
        object["metadata"]["generation"] = generation;
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        self.tell(event, key, object);
    }

    fn tell(&mut self, kind: &'static str, key: Key, object: Value) {
        let event = Event { version: self.version, kind, key, object };
        self.watches.retain(|watch| {
            !watch.selection.holds(&event.key) || watch.sender.send(Ok(event.line())).is_ok()
        });
        self.events.push(event);
    }

    fn list(&self, selection: &Selection) -> Value {
        let objects = self.objects.iter().filter(|(key, _)| selection.holds(key));
        let mut items: Vec<Value> = objects.map(|(_, object)| object.clone()).collect();
        // In a list of the core group, items do not say what they are.
        for item in items.iter_mut().filter(|_| matches!(selection.kind, "Secret" | "ConfigMap")) {
            item.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
        }
        json!({
            "apiVersion": "v1",
            "kind": "List",
            "metadata": {"resourceVersion": self.version.to_string()},
            "items": items,
        })
    }

    fn watch(&mut self, selection: Selection, from: u64) -> Answer {
        let (sender, receiver) = unbounded_channel();
        if from < self.compacted {
            let _ = sender.send(Ok(line(&gone())));
        }
        let events = self.events.iter().filter(|event| event.version > from.max(self.compacted));
        for event in events.filter(|event| selection.holds(&event.key)) {
            let _ = sender.send(Ok(event.line()));
        }
        self.watches.push(Watch { selection, sender });
        let frames = stream::unfold(receiver, |mut receiver: UnboundedReceiver<_>| async {
            let next: Result<Bytes, BoxError> = receiver.recv().await?;
            Some((next.map(Frame::data), receiver))
        });
        Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
    }

    fn write(&mut self, method: &Method, key: Key, body: Value, is_status: bool) -> Answer {
        let before = self.objects.get(&key).cloned();
        let version = |object: &Value| text(&object["metadata"]["resourceVersion"]);
        let mut object = match (method, before) {
            (&Method::GET, Some(object)) => return answer(200, &object),
            (&Method::POST, None) => body,
            (&Method::POST, Some(_)) => return answer(409, &failure(409)),
            (&Method::PUT, Some(before)) if version(&before) == version(&body) => body,
            (&Method::PUT, Some(_)) => return answer(409, &failure(409)),
            (&Method::PATCH, Some(mut before)) if is_status => {
                before["status"] = body["status"].clone();
                before
            }
            _ => return answer(404, &failure(404)),
        };
        object["kind"] = json!(key.0);
        if !key.1.is_empty() {
            object["metadata"]["namespace"] = json!(key.1);
        }
        self.put(object);
        answer(200, &self.objects[&key])
    }
}

impl Event {
    fn line(&self) -> Bytes {
        line(&json!({"type": self.kind, "object": self.object}))
    }
}

/// What a path means: a kind, perhaps in a namespace, and perhaps one object.
fn route(path: &str) -> (Selection, Option<String>) {
    let (kind, prefix, plural) = *COLLECTIONS
        .iter()
        .filter(|(_, prefix, plural)| {
            let rest = path.strip_prefix(prefix).unwrap_or_default();
            let parts: Vec<&str> = rest.trim_matches('/').split('/').collect();
            parts.first() == Some(plural) || parts.get(2) == Some(plural)
        })
        // A path of namespaced objects begins as that of their namespace.
        .max_by_key(|(_, _, plural)| *plural != "namespaces")
        .unwrap_or_else(|| panic!("no collection at {path}"));
    let rest = path.strip_prefix(prefix).unwrap().trim_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    let (namespace, rest) = match parts.as_slice() {
        ["namespaces", namespace, rest @ ..] if plural != "namespaces" => {
            (Some((*namespace).to_owned()), rest)
        }
        rest => (None, rest),
    };
    let name = rest.get(1).map(|name| (*name).to_owned());
    (Selection { kind, namespace, name: None }, name)
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| text.replace("%3D", "=").replace("%2F", "/");
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    };
    query.split('&').map(pair).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn gone() -> Value {
    json!({"type": "ERROR", "object": failure(410)})
}

fn failure(code: u16) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        _ => "InternalError",
    };
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "message": "<secret>", "reason": reason,
    })
}

fn answer(status: u16, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    Ok(Response::builder().status(status).body(body.boxed_unsync())?)
}
