//! What is installed, held against the code that it installs: manifests, alerts, and the image.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod image;
mod manifests;
mod monitoring;

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file or folder of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file of the project.
fn read(path: &str) -> String {
    read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The objects of `manifests/`, file by file in the order in which kubectl applies them.
fn objects() -> Vec<Value> {
    let mut files: Vec<String> = names("manifests");
    files.retain(|file| file.ends_with(".yaml"));
    assert!(files.len() > 5, "{files:?}");
    files.iter().flat_map(|file| documents(&read(&format!("manifests/{file}")))).collect()
}

/// The documents of a YAML stream.
fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("---\n").filter(|part| !part.trim().is_empty());
    parts.map(|part| serde_saphyr::from_str(part).expect(part)).collect()
}

/// The names in a folder, in order.
fn names(folder: &str) -> Vec<String> {
    let entries = read_dir(project(folder)).unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// The values of a list, none where there is no list.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A list of strings.
fn strings(list: &Value) -> Vec<&str> {
    items(list).filter_map(Value::as_str).collect()
}
