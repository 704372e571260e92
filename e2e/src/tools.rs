//! Where the real parts are. A part that is missing fails the test and names the command that
//! makes it: a cluster test that skips itself would pass without having looked.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The path of a part that `make e2e-tools` provides.
///
/// # Errors
/// When it is not there.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    let path = target().join("e2e-bin").join(name);
    ensure!(path.is_file(), "{} is missing: run `make e2e-tools`", path.display());
    Ok(path)
}

/// The path of the binary under test: `ASSAY_BIN` (absolute), else the debug build.
///
/// # Errors
/// When it is not there.
pub fn assay() -> Result<PathBuf> {
    let path = match std::env::var_os("ASSAY_BIN") {
        Some(path) => PathBuf::from(path),
        None => target().join("debug/assay"),
    };
    ensure!(path.is_file(), "{} is missing: run `cargo build -p assay`", path.display());
    Ok(path)
}

/// The path of an example of `notation-rs`, which is the way in to it for other programs.
///
/// # Errors
/// When it is not there.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    let path = target().join("debug/examples").join(name);
    let build = "cargo build -p notation-rs --features signer --examples";
    ensure!(path.is_file(), "{} is missing: run `{build}`", path.display());
    Ok(path)
}

/// The path of a shipped manifest, or with an empty name of their folder.
pub fn manifest(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    folder.join(name).to_string_lossy().into_owned()
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}
