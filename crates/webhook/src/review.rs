//! Room 2: from the bytes of an AdmissionReview to the Request that is judged. A partial parse:
//! only fields that something depends on are read, and objects are not copied.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use assay_core::Digest;
use assay_policy::{Object, ObjectError, Operation, Request};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::response::API_VERSION;

/// Bytes of a review's uid: a UUID, with room to spare.
const UID_BYTES_MAX: usize = 128;

/// Digits of a request's id.
const ID_DIGITS: usize = 8;

/// The resources whose objects have images, and the names that metrics have for them.
const RESOURCES: [(&str, &str); 9] = [
    ("", "pods"),
    ("", "podtemplates"),
    ("", "replicationcontrollers"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
];

/// What is known of a review, judged or not.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The review's uid, to be echoed.
    pub(crate) uid: String,
    /// The short id in messages and logs: 8 hexadecimal digits of the uid's hash.
    pub(crate) id: String,
    /// The object's namespace; empty for cluster-scoped objects.
    pub(crate) namespace: String,
    /// The object's name, or what it will begin with.
    pub(crate) name: String,
    /// One of [`RESOURCES`], or `other`.
    pub(crate) resource: &'static str,
    /// The operation; empty where it is not known.
    pub(crate) operation: &'static str,
    /// Whether nothing will be stored.
    pub(crate) dry_run: bool,
}

/// A review, and what is asked by it.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) head: Head,
    /// What is to be judged; or why that cannot be told, and the review is refused.
    pub(crate) request: Result<Request, Unjudgeable>,
}

/// Why a review cannot be judged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unjudgeable {
    #[error("the object cannot be judged: it is missing")]
    NoObject,
    #[error("the object cannot be judged: {0}")]
    Object(#[from] ObjectError),
    #[error("the operation is none of CREATE, UPDATE, DELETE and CONNECT")]
    Operation,
}

/// Why the bytes are no AdmissionReview.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReviewError {
    #[error("the body is empty")]
    Empty,
    #[error("the body is no AdmissionReview: {0}")]
    Malformed(String),
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("the request's uid is missing, or longer than {UID_BYTES_MAX} bytes")]
    Uid,
    #[error("the body is no AdmissionReview of {API_VERSION}")]
    Version,
}

// What is absent may be null, and unknown fields are ignored, as everywhere in Kubernetes. serde
// refuses a known key that stands twice, and skips unknown values without recursion.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReview<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Option<WireRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    uid: Option<String>,
    #[serde(borrow)]
    resource: Option<WireResource<'a>>,
    sub_resource: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(borrow, default)]
    operation: Cow<'a, str>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireResource<'a> {
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    #[serde(borrow, default)]
    resource: Cow<'a, str>,
}

impl Review {
    /// The review in `body`, to be answered at `deadline` in the ticks of the clock.
    ///
    /// # Errors
    /// [`ReviewError`] where there is no review to answer in.
    pub(crate) fn parse(body: &[u8], deadline: Duration) -> Result<Self, ReviewError> {
        if body.is_empty() {
            return Err(ReviewError::Empty);
        }
        let review: WireReview<'_> = serde_json::from_slice(body)
            .map_err(|error| ReviewError::Malformed(error.to_string()))?;
        if review.api_version != API_VERSION || review.kind != "AdmissionReview" {
            return Err(ReviewError::Version);
        }
        let mut wire = review.request.ok_or(ReviewError::NoRequest)?;
        let uid = wire.uid.take().filter(|uid| is_uid(uid)).ok_or(ReviewError::Uid)?;
        let mut head = Head {
            namespace: wire.namespace.take().unwrap_or_default(),
            name: wire.name.take().unwrap_or_default(),
            resource: wire.known_resource().unwrap_or("other"),
            dry_run: wire.dry_run.unwrap_or_default(),
            ..Head::of(uid)
        };
        let request = request(&wire, &mut head, deadline);
        Ok(Self { head, request })
    }
}

/// The request in the AdmissionReview `body`, with no deadline. The server reads it so; this is for
/// whoever wants to know how long that takes.
///
/// # Errors
/// Why there is no request, or none that can be judged.
pub fn read_request(body: &[u8]) -> Result<Request, String> {
    let review = Review::parse(body, Duration::MAX).map_err(|error| error.to_string())?;
    review.request.map_err(|error| error.to_string())
}

/// What is asked. The object is read where it may be judged, and nowhere else, so that nothing that
/// is wrong with it can hold up a deletion.
fn request(
    wire: &WireRequest<'_>,
    head: &mut Head,
    deadline: Duration,
) -> Result<Request, Unjudgeable> {
    let operation = operation(&wire.operation).ok_or(Unjudgeable::Operation)?;
    head.operation = operation.as_str();
    let mut request = Request {
        id: head.id.clone(),
        operation,
        namespace: head.namespace.clone(),
        object: None,
        old_object: None,
        dry_run: head.dry_run,
        enforce_templates: false,
        deadline,
    };
    if !wire.is_judged() || !matches!(operation, Operation::Create | Operation::Update) {
        return Ok(request);
    }
    let object = object(wire.object, &head.namespace)?.ok_or(Unjudgeable::NoObject)?;
    if head.name.is_empty() {
        let name = if object.name.is_empty() { &object.generate_name } else { &object.name };
        head.name.clone_from(name);
    }
    request.object = Some(object);
    if operation == Operation::Update {
        request.old_object = self::object(wire.old_object, &head.namespace)?;
    }
    Ok(request)
}

/// The object, in the namespace of the request: the URL says where it goes, whatever it says.
fn object(json: Option<&RawValue>, namespace: &str) -> Result<Option<Object>, ObjectError> {
    let Some(json) = json else { return Ok(None) };
    let object = Object::parse(json.get())?;
    Ok(Some(Object { namespace: namespace.to_owned(), ..object }))
}

fn operation(name: &str) -> Option<Operation> {
    let all = [Operation::Connect, Operation::Create, Operation::Delete, Operation::Update];
    all.into_iter().find(|operation| operation.as_str() == name)
}

fn is_uid(uid: &str) -> bool {
    (1..=UID_BYTES_MAX).contains(&uid.len())
}

impl WireRequest<'_> {
    fn known_resource(&self) -> Option<&'static str> {
        let resource = self.resource.as_ref()?;
        let mut known = RESOURCES.iter().filter(|(group, _)| *group == resource.group);
        known.find(|(_, name)| *name == resource.resource).map(|(_, name)| *name)
    }

    /// Whether the object may bring an image: other subresources (status, scale, resize, binding, …)
    /// cannot change one.
    fn is_judged(&self) -> bool {
        match self.sub_resource.as_deref().unwrap_or_default() {
            "" => true,
            "ephemeralcontainers" => self.known_resource() == Some("pods"),
            _ => false,
        }
    }
}

impl Head {
    /// The head of a review of which nothing but the uid is known.
    pub(crate) fn of(uid: String) -> Self {
        let hash = Digest::sha256(uid.as_bytes());
        let id = hash.hex().chars().take(ID_DIGITS).collect();
        Self { uid, id, resource: "other", ..Self::default() }
    }

    /// The head of a review whose bytes may be cut off anywhere: `request.uid`, which the API server
    /// writes first, is all that is looked for.
    pub(crate) fn scan(bytes: &[u8]) -> Option<Self> {
        let mut uid = None;
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let path = Path { keys: &["request", "uid"], found: &mut uid };
        // It always fails: at the end of the bytes, or because no more needs to be read.
        let _ = path.deserialize(&mut deserializer);
        uid.filter(|uid| is_uid(uid)).map(Self::of)
    }
}

/// Looks for the string at the end of a path of keys, and stops reading once it is found.
struct Path<'a> {
    keys: &'a [&'a str],
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Path<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.keys.is_empty() {
            return deserializer.deserialize_map(self);
        }
        *self.found = Some(String::deserialize(deserializer)?);
        Err(Error::custom("found"))
    }
}

impl<'de> Visitor<'de> for Path<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, keys)) = self.keys.split_first() else {
            return Ok(());
        };
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key == *wanted {
                map.next_value_seed(Path { keys, found: &mut *self.found })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
