//! Manifests: the objects that `assay verify -f` judges, and the Namespaces beside them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use assay_api::read_objects;
use assay_policy::{Object, Role};
use serde_json::Value;

use crate::files::read_capped;

/// Bytes of one file of manifests: many times what the API server takes as one object.
const MANIFESTS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What manifests hold.
#[derive(Default)]
pub(super) struct Manifests {
    /// How many objects there are, of whatever kind.
    count: usize,
    /// The pods and workloads, in order.
    pub(super) objects: Vec<Object>,
    /// The namespaces and their labels.
    pub(super) namespaces: Vec<(String, BTreeMap<String, String>)>,
}

/// The manifests in `files`; `-` is standard input. Objects without a namespace are in `namespace`.
pub(super) fn read(files: &[PathBuf], namespace: &str) -> anyhow::Result<Manifests> {
    let mut manifests = Manifests::default();
    for file in files {
        let bytes = read_file(file).with_context(|| file.display().to_string())?;
        if bytes.len() > MANIFESTS_BYTES_MAX {
            bail!("{}: more than {MANIFESTS_BYTES_MAX} bytes", file.display());
        }
        for (index, value) in read_objects(&bytes).into_iter().enumerate() {
            let place = || format!("{}, document {}", file.display(), index.saturating_add(1));
            let value = value.map_err(anyhow::Error::msg).with_context(place)?;
            manifests.add(value, namespace).with_context(place)?;
        }
    }
    if manifests.count == 0 {
        bail!("there is no object in the manifests");
    }
    Ok(manifests)
}

fn read_file(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return read_capped(file, MANIFESTS_BYTES_MAX);
    }
    let limit = u64::try_from(MANIFESTS_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Manifests {
    /// Adds the object in `value`, or each of a list: a List, a PodList, ….
    fn add(&mut self, mut value: Value, namespace: &str) -> anyhow::Result<()> {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let title = format!("{} {}", text("/kind"), text("/metadata/name"));
        if text("/kind").ends_with("List")
            && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take)
        {
            return items.into_iter().try_for_each(|item| self.add(item, namespace));
        }
        self.count = self.count.saturating_add(1);
        let mut object = Object::parse(&value.to_string()).context(title)?;
        if object.is_namespace() {
            self.namespaces.push((object.name, object.labels));
        } else if object.role() != Role::Other {
            if object.namespace.is_empty() {
                object.namespace = namespace.to_owned();
            }
            self.objects.push(object);
        }
        Ok(())
    }
}
