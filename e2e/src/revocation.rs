//! The server that certificates name: the lists of revoked certificates, and OCSP responders
//! (`e2e/tools/notation`).

use std::path::Path;

use anyhow::Result;

use crate::http::send;
use crate::process::{Process, command, free_port};
use crate::tools::tool;

/// A running server, without TLS.
#[derive(Debug)]
pub struct RevocationServer {
    host: String,
    _process: Process,
}

impl RevocationServer {
    /// A server that answers about the signers in `folder` of `directory`, which may come later.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub fn start(directory: &Path, folder: &str) -> Result<Self> {
        let port = free_port()?;
        let mut server = command(&tool("notation-go")?, directory);
        server.args(["serve", folder, &port.to_string()]);
        let mut process = Process::start("revocation-server", server, directory)?;
        let host = format!("127.0.0.1:{port}");
        let url = format!("http://{host}/");
        process.wait_until(|| send("GET", &url, "", "").is_ok())?;
        Ok(Self { host, _process: process })
    }

    /// The host and port.
    pub fn host(&self) -> &str {
        &self.host
    }
}
