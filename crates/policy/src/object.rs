//! What an object is to Assay: who it is, what a `match` can ask of it, and where images stand in
//! it. The webhook and `assay verify -f` read objects here and nowhere else.

mod wire;

use std::collections::BTreeMap;

/// An object, as far as policies look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The API group of its apiVersion; `""` for the core group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// `metadata.namespace`; `""` where it has none.
    pub namespace: String,
    /// `metadata.name`; `""` where it has none.
    pub name: String,
    /// `metadata.generateName`; `""` where it has none.
    pub generate_name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Where it comes from.
    pub source: Source,
    /// Its images: containers', init containers', ephemeral containers', image volumes', in that
    /// order; one that stands twice is here twice.
    pub images: Vec<ObjectImage>,
    /// Whether an ownerReference has `controller: true`. A claim of whoever wrote the object.
    pub controlled: bool,
    /// The labels of the pod template, for workload kinds.
    pub template_labels: Option<BTreeMap<String, String>>,
    /// The pull Secrets that it or its template names, in order: at most one more than
    /// [`PULL_SECRETS_MAX`], and none by a name that is longer than a Secret's may be.
    pub pull_secrets: Vec<String>,
    /// The ServiceAccount whose pull Secrets its pods get: that of a template that names no Secret.
    /// `None` where there is nothing to get: the API server has given a pod its own already.
    pub service_account: Option<String>,
}

/// An image field of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectImage {
    /// The reference as written, parsed by nobody yet; `""` where the field is absent or empty, so
    /// that it is refused as no reference and not overlooked.
    pub reference: String,
    /// The name of the container, or of the volume.
    pub name: String,
    /// Which of them.
    pub field: ImageField,
}

/// Which kind of field an image stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageField {
    /// A container's image; init containers and ephemeral ones are containers.
    #[default]
    Container,
    /// An image volume's reference.
    Volume,
}

impl ImageField {
    /// The field's owner, as messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
        }
    }
}

/// Where an object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The pod that a workload would make.
    Generated,
    /// The object as it was sent.
    Original,
}

/// What an object is to policies, by group and kind, whatever the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing with images that Assay knows.
    Other,
    /// A core Pod.
    Pod,
    /// A kind with a pod template.
    Workload,
}

/// Why an object cannot be judged; the request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It is not JSON, or a field that Assay reads has another type than Kubernetes gives it.
    #[error("the object does not decode: {reason}")]
    Decode {
        /// What is wrong, and where.
        reason: String,
    },
    /// It has no apiVersion, or one that is not `version` or `group/version`.
    #[error("the object has no valid apiVersion")]
    NoApiVersion,
    /// It has no kind.
    #[error("the object has no kind")]
    NoKind,
    /// It has more than [`OBJECT_IMAGES_MAX`] images.
    #[error("the object has more than {OBJECT_IMAGES_MAX} images")]
    TooManyImages,
}

/// Images that one object may have; each distinct one may cost a verification, so this bounds what
/// one request can ask of registries.
pub const OBJECT_IMAGES_MAX: usize = 256;

/// Pull Secrets that one pod may have; each may cost a read from the API server. Kubernetes has no
/// bound of its own.
pub const PULL_SECRETS_MAX: usize = 32;

impl Object {
    /// The object that `json`, the text of a Kubernetes object, describes. Fields that no policy
    /// looks at are ignored, and null is absence, as in Kubernetes. Images are read from the kinds
    /// of [`Object::role`] only; whether they are image references is not checked.
    ///
    /// # Errors
    /// See [`ObjectError`]; each must deny.
    pub fn parse(json: &str) -> Result<Self, ObjectError> {
        wire::parse(json)
    }

    /// What the object is to policies.
    pub fn role(&self) -> Role {
        match PodPlace::of(&self.group, &self.kind) {
            None => Role::Other,
            Some(PodPlace::Itself) => Role::Pod,
            Some(_) => Role::Workload,
        }
    }

    /// Whether this is a Namespace object: kind `Namespace` of the core group.
    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }

    /// The pod that a workload would make, with the template's labels and images, in the workload's
    /// namespace; nothing for other kinds. Its name begins with the workload's and `-`, or with the
    /// workload's generateName where it has no name yet.
    #[must_use]
    pub fn generated_pod(&self) -> Option<Self> {
        let labels = self.template_labels.clone()?;
        let generate_name = match self.name.as_str() {
            "" => self.generate_name.clone(),
            name => format!("{name}-"),
        };
        Some(Self {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: self.namespace.clone(),
            name: String::new(),
            generate_name,
            labels,
            source: Source::Generated,
            images: self.images.clone(),
            controlled: false,
            template_labels: None,
            pull_secrets: self.pull_secrets.clone(),
            service_account: self.service_account.clone(),
        })
    }
}

/// Where the pod specification stands in an object that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PodPlace {
    /// The object is a pod.
    Itself,
    /// `spec.jobTemplate.spec.template`.
    JobTemplate,
    /// `spec.template`.
    Spec,
    /// `template`.
    Template,
}

impl PodPlace {
    fn of(group: &str, kind: &str) -> Option<Self> {
        Some(match (group, kind) {
            ("", "Pod") => Self::Itself,
            ("", "PodTemplate") => Self::Template,
            ("", "ReplicationController")
            | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
            | ("batch", "Job") => Self::Spec,
            ("batch", "CronJob") => Self::JobTemplate,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
