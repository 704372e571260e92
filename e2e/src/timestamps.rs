//! A real timestamp authority, sigstore's (`e2e/tools/timestamp-authority`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::http::send;
use crate::process::{Process, command, free_port, write};
use crate::tools::tool;

/// A running authority, whose key is gone when it ends.
#[derive(Debug)]
pub struct TimestampAuthority {
    url: String,
    root: String,
    root_file: PathBuf,
    _process: Process,
}

impl TimestampAuthority {
    /// An authority that answers. Its files go into `directory`.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub fn start(directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut authority = command(&tool("timestamp-authority")?, directory);
        authority.arg(port.to_string());
        let mut process = Process::start("timestamp-authority", authority, directory)?;
        let host = format!("http://127.0.0.1:{port}");
        let ping = format!("{host}/ping");
        process.wait_until(|| send("GET", &ping, "", "").is_ok_and(|found| found.status == 200))?;
        let url = format!("{host}/api/v1/timestamp");
        let chain = send("GET", &format!("{url}/certchain"), "", "")?.body;
        let root = chain.rfind("-----BEGIN").and_then(|start| chain.get(start..));
        let root = root.context("no certificates")?.to_owned();
        let root_file = write(directory, "timestamp-root.pem", &root)?;
        Ok(Self { url, root, root_file, _process: process })
    }

    /// The root certificate, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Where timestamps are asked for.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The file of the root certificate.
    pub(crate) fn root_file(&self) -> &Path {
        &self.root_file
    }
}
