//! The policies and trust stores that the cluster holds, as the watches brought them, each decoded by
//! itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use assay_api::resources::{
    ClusterImageAdmissionPolicy, ClusterTrustStore, ImageAdmissionPolicy, TrustStore,
};
use assay_api::{Document, Origin, document_from_value};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ClusterPolicy,
    ClusterTrustStore,
    Policy,
    TrustStore,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectId {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// An object, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) document: Arc<Document>,
    /// `uid` and `generation`: the same pair always has the same `spec`.
    pub(crate) version: (String, i64),
    pub(crate) resource_version: String,
    /// As it is in the cluster, whoever wrote it.
    pub(crate) status: Value,
}

/// All objects of all kinds.
#[derive(Default)]
pub(crate) struct Objects {
    kinds: Mutex<BTreeMap<Kind, KindObjects>>,
}

#[derive(Default)]
struct KindObjects {
    held: BTreeMap<ObjectId, Held>,
    /// What a list that is under way has brought.
    incoming: BTreeMap<ObjectId, Held>,
    listed: bool,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::ClusterPolicy, Self::ClusterTrustStore, Self::Policy, Self::TrustStore];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClusterPolicy => "ClusterImageAdmissionPolicy",
            Self::ClusterTrustStore => "ClusterTrustStore",
            Self::Policy => "ImageAdmissionPolicy",
            Self::TrustStore => "TrustStore",
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::ClusterPolicy => ApiResource::erase::<ClusterImageAdmissionPolicy>(&()),
            Self::ClusterTrustStore => ApiResource::erase::<ClusterTrustStore>(&()),
            Self::Policy => ApiResource::erase::<ImageAdmissionPolicy>(&()),
            Self::TrustStore => ApiResource::erase::<TrustStore>(&()),
        }
    }

    pub(crate) fn is_policy(self) -> bool {
        matches!(self, Self::ClusterPolicy | Self::Policy)
    }
}

impl ObjectId {
    fn new(kind: Kind, object: &DynamicObject) -> Self {
        let (name, namespace) = (&object.metadata.name, &object.metadata.namespace);
        Self { kind, namespace: namespace.clone(), name: name.clone().unwrap_or_default() }
    }

    /// Where its document stands.
    pub(crate) fn origin(&self) -> Origin {
        Origin::Cluster {
            kind: self.kind.as_str(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "{} {namespace}/{name}", kind.as_str()),
            None => write!(f, "{} {name}", kind.as_str()),
        }
    }
}

impl Objects {
    /// Takes an event of the watch on `kind`. Whether there is something new to compile.
    pub(crate) fn event(&self, kind: Kind, event: Event<DynamicObject>) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kinds.entry(kind).or_default();
        match event {
            Event::Init => own.incoming.clear(),
            Event::InitApply(object) => {
                let (id, held) = own.decode(kind, object);
                own.incoming.insert(id, held);
            }
            Event::InitDone => return own.listed(),
            Event::Apply(object) => {
                let (id, held) = own.decode(kind, object);
                let version = held.version.clone();
                let before = own.held.insert(id, held);
                return before.is_none_or(|before| before.version != version);
            }
            Event::Delete(object) => {
                return own.held.remove(&ObjectId::new(kind, &object)).is_some();
            }
        }
        false
    }

    /// Whether every kind was listed in full once.
    pub(crate) fn are_listed(&self) -> bool {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        Kind::ALL.iter().all(|kind| kinds.get(kind).is_some_and(|own| own.listed))
    }

    /// Every object, in order.
    pub(crate) fn all(&self) -> BTreeMap<ObjectId, Held> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.values().flat_map(|own| own.held.clone()).collect()
    }

    /// One object, as it is now.
    pub(crate) fn held(&self, id: &ObjectId) -> Option<Held> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&id.kind)?.held.get(id).cloned()
    }
}

impl KindObjects {
    /// The end of a list: what it brought is what there is.
    fn listed(&mut self) -> bool {
        let next = std::mem::take(&mut self.incoming);
        let same = self.listed
            && next.len() == self.held.len()
            && next
                .iter()
                .zip(&self.held)
                .all(|((id, held), (own_id, own))| id == own_id && held.version == own.version);
        self.held = next;
        self.listed = true;
        !same
    }

    /// The object, with its document as it was where only the status changed.
    fn decode(&self, kind: Kind, object: DynamicObject) -> (ObjectId, Held) {
        let id = ObjectId::new(kind, &object);
        let DynamicObject { metadata, mut data, .. } = object;
        let resource_version = metadata.resource_version.unwrap_or_default();
        let version = match (metadata.uid, metadata.generation) {
            (Some(uid), Some(generation)) => (uid, generation),
            _ => (resource_version.clone(), 0),
        };
        let status = data.get_mut("status").map(Value::take).unwrap_or_default();
        let known = self.held.get(&id).filter(|known| known.version == version);
        let document = match known {
            Some(known) => known.document.clone(),
            None => Arc::new(document(&id, data)),
        };
        (id, Held { document, version, resource_version, status })
    }
}

/// The document of an object. What the API server adds is left out: the name, the namespace and what
/// its author wrote decide.
fn document(id: &ObjectId, data: Value) -> Document {
    let mut value = match data {
        Value::Object(fields) => fields,
        _ => Default::default(),
    };
    value.remove("status");
    value.insert("apiVersion".to_owned(), assay_api::resources::API_VERSION.into());
    value.insert("kind".to_owned(), id.kind.as_str().into());
    let metadata = match &id.namespace {
        Some(namespace) => json!({"name": id.name, "namespace": namespace}),
        None => json!({"name": id.name}),
    };
    value.insert("metadata".to_owned(), metadata);
    document_from_value(id.origin(), Value::Object(value))
}
