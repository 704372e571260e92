//! The parts of a Kubernetes object's JSON that an [`Object`] is made of: a partial parse, in two
//! steps, because the kind decides what `spec` means.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    ImageField, OBJECT_IMAGES_MAX, Object, ObjectError, ObjectImage, PULL_SECRETS_MAX, PodPlace,
    Source,
};

// Every field is an `Option`, for Kubernetes reads null as absence. serde refuses a known key that
// stands twice, and skips unknown values without recursion, however deep they are.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<Metadata>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    template: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, Option<String>>>,
    owner_references: Option<Vec<Option<OwnerReference>>>,
}

#[derive(Deserialize)]
struct OwnerReference {
    controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CronJobSpec {
    job_template: Option<JobTemplate>,
}

#[derive(Deserialize)]
struct JobTemplate {
    spec: Option<WorkloadSpec>,
}

#[derive(Default, Deserialize)]
struct WorkloadSpec {
    template: Option<PodTemplate>,
}

#[derive(Default, Deserialize)]
struct PodTemplate {
    metadata: Option<Metadata>,
    spec: Option<PodSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    containers: Option<Images<Container>>,
    init_containers: Option<Images<Container>>,
    ephemeral_containers: Option<Images<Container>>,
    volumes: Option<Images<Volume>>,
    image_pull_secrets: Option<PullSecrets>,
    service_account_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Container {
    name: Option<String>,
    image: Option<String>,
}

#[derive(Default, Deserialize)]
struct Volume {
    name: Option<String>,
    image: Option<ImageVolume>,
}

#[derive(Deserialize)]
struct ImageVolume {
    reference: Option<String>,
}

pub(super) fn parse(json: &str) -> Result<Object, ObjectError> {
    let head: Head<'_> = decode(json)?;
    let group = head.api_version.as_deref().and_then(group).ok_or(ObjectError::NoApiVersion)?;
    let kind = head.kind.filter(|kind| !kind.is_empty()).ok_or(ObjectError::NoKind)?;
    let (template_labels, mut pod) = match PodPlace::of(group, &kind) {
        None => (None, PodSpec::default()),
        Some(PodPlace::Itself) => (None, decode_part(head.spec)?),
        Some(PodPlace::Template) => workload(decode_part(head.template)?),
        Some(PodPlace::Spec) => workload(decode_part::<WorkloadSpec>(head.spec)?.pod_template()),
        Some(PodPlace::JobTemplate) => {
            let job = decode_part::<CronJobSpec>(head.spec)?.job_template;
            workload(job.and_then(|job| job.spec).unwrap_or_default().pod_template())
        }
    };
    let metadata = head.metadata.unwrap_or_default();
    let (pull_secrets, service_account) = pod.pull_secrets(template_labels.is_some());
    Ok(Object {
        group: group.to_owned(),
        kind,
        controlled: metadata.controlled(),
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        generate_name: metadata.generate_name.unwrap_or_default(),
        labels: labels(metadata.labels),
        source: Source::Original,
        images: pod.images()?,
        template_labels,
        pull_secrets,
        service_account,
    })
}

/// The group of an apiVersion, `version` or `group/version`.
fn group(api_version: &str) -> Option<&str> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (!version.is_empty() && !version.contains('/')).then_some(group)
}

fn workload(template: PodTemplate) -> (Option<BTreeMap<String, String>>, PodSpec) {
    let metadata = template.metadata.unwrap_or_default();
    (Some(labels(metadata.labels)), template.spec.unwrap_or_default())
}

fn labels(written: Option<BTreeMap<String, Option<String>>>) -> BTreeMap<String, String> {
    let pairs = written.into_iter().flatten();
    pairs.map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

fn decode_part<'a, T: Deserialize<'a> + Default>(
    part: Option<&'a RawValue>,
) -> Result<T, ObjectError> {
    part.map_or_else(|| Ok(T::default()), |part| decode(part.get()))
}

fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ObjectError> {
    // serde's message may quote a value of any length.
    serde_json::from_str(json).map_err(|error| ObjectError::Decode {
        reason: error.to_string().chars().take(REASON_CHARS_MAX).collect(),
    })
}

/// Characters of a decoding error that are passed on: a message is about 900 bytes in all.
const REASON_CHARS_MAX: usize = 200;

impl Metadata {
    fn controlled(&self) -> bool {
        let mut owners = self.owner_references.iter().flatten().flatten();
        owners.any(|owner| owner.controller == Some(true))
    }
}

impl WorkloadSpec {
    fn pod_template(self) -> PodTemplate {
        self.template.unwrap_or_default()
    }
}

impl PodSpec {
    /// The names of the pull Secrets, and of the ServiceAccount that gives a template's pods theirs
    /// where it has none: as the API server's admission does it, by entries, named or not.
    fn pull_secrets(&mut self, is_template: bool) -> (Vec<String>, Option<String>) {
        let PullSecrets { names, entries } = self.image_pull_secrets.take().unwrap_or_default();
        let account = self.service_account_name.take().filter(|name| !name.is_empty());
        let account = account.unwrap_or_else(|| DEFAULT_SERVICE_ACCOUNT.to_owned());
        let gives = is_template && entries == 0 && account.len() <= NAME_BYTES_MAX;
        (names, gives.then_some(account))
    }

    fn images(self) -> Result<Vec<ObjectImage>, ObjectError> {
        let containers = [self.containers, self.init_containers, self.ephemeral_containers];
        let containers = containers.into_iter().flatten().flat_map(|list| list.images);
        let volumes = self.volumes.into_iter().flat_map(|list| list.images);
        let images: Vec<_> = containers.chain(volumes).collect();
        if images.len() > OBJECT_IMAGES_MAX {
            return Err(ObjectError::TooManyImages);
        }
        Ok(images)
    }
}

/// The ServiceAccount of pods that name none.
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// Bytes of the name of a Secret or ServiceAccount (RFC 1123 subdomain). What is longer names none.
const NAME_BYTES_MAX: usize = 253;

/// The names in a list of pull Secrets, each once, one more than [`PULL_SECRETS_MAX`] at most; what
/// names no Secret is passed over, as kubelet does.
#[derive(Default)]
struct PullSecrets {
    names: Vec<String>,
    /// How many the list has.
    entries: usize,
}

#[derive(Default, Deserialize)]
struct PullSecret {
    name: Option<String>,
}

impl<'de> Deserialize<'de> for PullSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for PullSecrets {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(item) = list.next_element::<Option<PullSecret>>()? {
            self.entries = self.entries.saturating_add(1);
            let name = item.unwrap_or_default().name.unwrap_or_default();
            let is_name = (1..=NAME_BYTES_MAX).contains(&name.len());
            if is_name && self.names.len() <= PULL_SECRETS_MAX && !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        Ok(self)
    }
}

/// The images of a list's items, one more than [`OBJECT_IMAGES_MAX`] at most: a list of empty
/// containers, at three bytes each, must not grow in memory.
struct Images<T> {
    images: Vec<ObjectImage>,
    items: PhantomData<T>,
}

/// An item of a list that may have an image.
trait HasImage {
    fn image(self) -> Option<ObjectImage>;
}

impl HasImage for Container {
    fn image(self) -> Option<ObjectImage> {
        Some(ObjectImage {
            reference: self.image.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            field: ImageField::Container,
        })
    }
}

impl HasImage for Volume {
    fn image(self) -> Option<ObjectImage> {
        Some(ObjectImage {
            reference: self.image?.reference.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            field: ImageField::Volume,
        })
    }
}

impl<'de, T: Deserialize<'de> + Default + HasImage> Deserialize<'de> for Images<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self { images: Vec::new(), items: PhantomData })
    }
}

impl<'de, T: Deserialize<'de> + Default + HasImage> Visitor<'de> for Images<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        // Null is an empty item, as it is in Kubernetes.
        while let Some(item) = list.next_element::<Option<T>>()? {
            self.images.extend(item.unwrap_or_default().image());
            if self.images.len() > OBJECT_IMAGES_MAX {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(self)
    }
}
