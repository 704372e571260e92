//! Policies from files: read, compiled, and looked at again by content. A file that no longer
//! parses keeps its last good version and says so; nothing is dropped from force by an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use assay_api::limits::{FILE_BYTES_MAX, TRUST_STORE_BYTES_MAX};
use assay_api::{
    CompileOptions, Compiled, Document, GivenSources, Origin, compile, read_documents,
};
use assay_control::Files;
use assay_core::Digest;
use assay_core::ports::VerifierFactory;
use assay_policy::{Invalid, Snapshot};

/// Files of policies that are read from a directory; ten thousand policies fit, each in a file of
/// its own beside its trust store.
const FILES_MAX: usize = 20_000;

/// The files that documents are read from in a directory.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// The policies of files and directories.
pub(crate) struct PolicyFiles {
    paths: Vec<PathBuf>,
    options: CompileOptions,
    files: Mutex<BTreeMap<PathBuf, PolicyFile>>,
    /// The trust material that was read, by file, as it was looked at last. What is no longer named
    /// stays, and costs a look.
    material: Mutex<BTreeMap<PathBuf, Digest>>,
}

struct PolicyFile {
    /// The content that was looked at last, good or bad.
    digest: Digest,
    documents: Vec<Document>,
}

/// What looking at the files again found.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    /// Whether there is something to compile.
    pub(crate) changed: bool,
    /// What could not be read, and stays as it was.
    pub(crate) complaints: Vec<String>,
}

impl PolicyFiles {
    /// The policies at `paths`, read once.
    ///
    /// # Errors
    /// A path that is not there or cannot be read. Whether its documents compile is for
    /// [`PolicyFiles::compile`] to say.
    pub(crate) fn read(paths: Vec<PathBuf>, options: CompileOptions) -> anyhow::Result<Self> {
        let (files, material) = (Mutex::default(), Mutex::default());
        let all = Self { paths, options, files, material };
        if let Some(complaint) = all.refresh().complaints.into_iter().next() {
            bail!(complaint);
        }
        Ok(all)
    }

    /// Looks at every file again.
    pub(crate) fn refresh(&self) -> Refresh {
        let mut refresh = Refresh::default();
        let mut listed = BTreeSet::new();
        let mut unlisted = Vec::new();
        for path in &self.paths {
            match list(path) {
                Ok(files) => listed.extend(files),
                Err(error) => {
                    refresh.complaints.push(format!("{}: {error}", path.display()));
                    unlisted.push(path);
                }
            }
        }
        refresh.changed = self.material_changed();
        let mut files = lock(&self.files);
        let before = files.len();
        // What cannot be looked at is not known to be gone.
        files.retain(|file, _| {
            listed.contains(file) || unlisted.iter().any(|path| file.starts_with(path))
        });
        refresh.changed |= files.len() != before;
        for path in listed {
            match read_capped(&path, FILE_BYTES_MAX) {
                Ok(bytes) => look(&mut files, path, &bytes, &mut refresh),
                Err(error) => refresh.complaints.push(format!("{}: {error}", path.display())),
            }
        }
        refresh
    }

    fn material_changed(&self) -> bool {
        let mut changed = false;
        for (path, digest) in lock(&self.material).iter_mut() {
            let now = digest_of(&read_material(path));
            changed |= *digest != now;
            *digest = now;
        }
        changed
    }

    /// The Snapshot that the documents make; `last_good` is the one in force.
    pub(crate) fn compile(
        &self,
        factory: &dyn VerifierFactory,
        last_good: Option<&Snapshot>,
    ) -> Compiled {
        let documents = self.documents();
        let read = |path: &Path| Files::read(self, path);
        let sources = GivenSources { documents: &documents, read: &read };
        compile(&documents, &self.options, &sources, factory, last_good)
    }
}

impl Files for PolicyFiles {
    fn documents(&self) -> Vec<Document> {
        lock(&self.files).values().flat_map(|file| file.documents.iter().cloned()).collect()
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = read_material(path);
        lock(&self.material).insert(path.to_owned(), digest_of(&read));
        read
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what the file at `path` holds now, where that is good or there is nothing better.
fn look(
    files: &mut BTreeMap<PathBuf, PolicyFile>,
    path: PathBuf,
    bytes: &[u8],
    refresh: &mut Refresh,
) {
    let digest = Digest::sha256(bytes);
    let known = files.get_mut(&path);
    if known.as_ref().is_some_and(|known| known.digest == digest) {
        return;
    }
    let documents = read_documents(&path, bytes);
    let good = known.filter(|known| first_error(&known.documents).is_none());
    if let (Some(good), Some((origin, invalid))) = (good, first_error(&documents)) {
        let complaint = format!("{origin}: {invalid}: the file's last good version stays");
        refresh.complaints.push(complaint);
        good.digest = digest;
        return;
    }
    refresh.changed = true;
    files.insert(path, PolicyFile { digest, documents });
}

fn first_error(documents: &[Document]) -> Option<(&Origin, &Invalid)> {
    documents
        .iter()
        .find_map(|document| Some((&document.origin, &document.body.as_ref().err()?.invalid)))
}

/// The files at `path`: a file is itself, a directory the documents in it.
fn list(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if is_document(&file) {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            bail!("more than {FILES_MAX} files");
        }
    }
    Ok(files)
}

/// Whether documents are read from this entry of a directory. Those of mounted volumes are links, so
/// it is what they lead to that counts; what cannot be told is for the reader to say.
fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
        && match fs::metadata(path) {
            Ok(found) => found.is_file(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
}

/// The file at `path`, at most `bytes_max` bytes and one more, by which it is seen to be too long.
pub(crate) fn read_capped(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The trust material at `path`.
pub(crate) fn read_material(path: &Path) -> Result<Vec<u8>, String> {
    read_capped(path, TRUST_STORE_BYTES_MAX).map_err(|error| format!("{}: {error}", path.display()))
}

fn digest_of(read: &Result<Vec<u8>, String>) -> Digest {
    match read {
        Ok(bytes) => Digest::sha256(bytes),
        Err(error) => Digest::sha256(format!("error: {error}").as_bytes()),
    }
}

#[cfg(test)]
mod tests;
