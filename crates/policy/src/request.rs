//! What is asked: one object on its way into the cluster.

use std::borrow::Cow;
use std::time::Duration;

use assay_core::ports::PullIdentity;

use crate::{Object, Role};

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A stream to it is opened: never judged.
    Connect,
    /// It is created.
    Create,
    /// It is deleted: never judged.
    Delete,
    /// It is changed.
    Update,
}

/// One request: an object, what it was before, and until when an answer is needed.
#[derive(Clone, Debug)]
pub struct Request {
    /// A short id that the message and the log line share.
    pub id: String,
    /// What is done.
    pub operation: Operation,
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The object as it would be.
    pub object: Option<Object>,
    /// The object as it is.
    pub old_object: Option<Object>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// Whether a workload's template is judged as strictly as the pods that it makes: so on the
    /// command line, where no pod will come after it. In a cluster it makes warnings.
    pub enforce_templates: bool,
    /// When the answer must be there, in the ticks of the clock.
    pub deadline: Duration,
}

impl Operation {
    /// The operation as the API server names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Update => "UPDATE",
        }
    }
}

/// One look at a request's object.
pub(crate) struct View<'a> {
    pub(crate) object: Cow<'a, Object>,
    pub(crate) old_object: Option<Cow<'a, Object>>,
    /// Violations are warnings at most: whoever applies a workload sees what its pods will meet.
    pub(crate) advisory: bool,
    /// Only policies that name the object's kind literally look at it.
    pub(crate) literal_kind: bool,
}

impl Request {
    /// In whose name its images are read: that of the pods that come of it.
    pub fn pull_identity(&self) -> PullIdentity {
        let object = self.object.as_ref();
        PullIdentity {
            namespace: self.namespace.clone(),
            secrets: object.map(|object| object.pull_secrets.clone()).unwrap_or_default(),
            service_account: object.and_then(|object| object.service_account.clone()),
        }
    }

    /// The looks that are taken at the object: one at a pod; at a workload one at the pod that it
    /// would make and one at itself; none at anything else, nor at what its controller owns.
    pub(crate) fn views(&self) -> Vec<View<'_>> {
        let judged = matches!(self.operation, Operation::Create | Operation::Update);
        let Some(object) = self.object.as_ref().filter(|_| judged) else {
            return Vec::new();
        };
        let old_object = self.old_object.as_ref().filter(|_| self.operation == Operation::Update);
        let original = |literal_kind| View {
            object: Cow::Borrowed(object),
            old_object: old_object.map(Cow::Borrowed),
            advisory: false,
            literal_kind,
        };
        match object.role() {
            Role::Pod => vec![original(false)],
            Role::Workload if !object.controlled => {
                let generated = object.generated_pod().map(|pod| View {
                    object: Cow::Owned(pod),
                    old_object: old_object.and_then(Object::generated_pod).map(Cow::Owned),
                    advisory: !self.enforce_templates,
                    literal_kind: false,
                });
                generated.into_iter().chain([original(true)]).collect()
            }
            Role::Workload | Role::Other => Vec::new(),
        }
    }
}
