//! A real registry, and images in it.

use std::fs::create_dir;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::{Response, send_as};
use crate::process::{Process, command, free_port, write};
use crate::tools::tool;

/// The empty descriptor's digest, of the two bytes `{}`: OCI image specification 1.1,
/// "Guidance for an Empty Descriptor".
const EMPTY_DIGEST: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// The media type of an image manifest.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Who may read and write a private registry, as `user:password`.
pub const PRIVATE_LOGIN: &str = "robot:secret";

/// The same as a line of htpasswd. It guards nothing outside of a test on loopback.
const PRIVATE_LOGIN_HASH: &str =
    "robot:$2b$04$CtKuWTVo5JUP4MYHFoz1d.C0hHdMla6LGNhwgnDS4x/.fa5T1dMLe";

/// A registry that can be stopped and started again at the same address, with what it holds.
#[derive(Debug)]
pub struct Registry {
    program: &'static str,
    arguments: Vec<String>,
    directory: PathBuf,
    host: String,
    login: Option<&'static str>,
    process: Option<Process>,
}

impl Registry {
    /// A registry that answers. Its files go into `directory`.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub fn start(directory: &Path) -> Result<Self> {
        Self::start_for(None, &directory.join("registry"))
    }

    /// A registry that answers to [`PRIVATE_LOGIN`] alone. Its files go into `directory`.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub fn start_private(directory: &Path) -> Result<Self> {
        Self::start_for(Some(PRIVATE_LOGIN), &directory.join("private-registry"))
    }

    /// A registry that answers the referrers API, which the others do not, and forgets what it holds
    /// when it is stopped.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub fn start_with_referrers(directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut registry = Self {
            program: "referrers-registry",
            arguments: vec![port.to_string()],
            directory: directory.to_owned(),
            host: format!("127.0.0.1:{port}"),
            login: None,
            process: None,
        };
        registry.resume()?;
        Ok(registry)
    }

    fn start_for(login: Option<&'static str>, directory: &Path) -> Result<Self> {
        create_dir(directory)?;
        let host = format!("127.0.0.1:{}", free_port()?);
        let mut configuration = json!({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": directory.join("content")}},
            "http": {"addr": host},
        });
        if login.is_some() {
            let users = write(directory, "htpasswd", PRIVATE_LOGIN_HASH)?;
            configuration["auth"] = json!({"htpasswd": {"realm": "private", "path": users}});
        }
        write(directory, "registry.yaml", &configuration.to_string())?;
        let mut registry = Self {
            program: "registry",
            arguments: ["serve", "registry.yaml"].map(str::to_owned).to_vec(),
            directory: directory.to_owned(),
            host,
            login,
            process: None,
        };
        registry.resume()?;
        Ok(registry)
    }

    /// The host and port of its image references; plain HTTP.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Ends it. What it holds stays on disk.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn resume(&mut self) -> Result<()> {
        let mut registry = command(&tool(self.program)?, &self.directory);
        registry.env("OTEL_TRACES_EXPORTER", "none").args(&self.arguments);
        let mut process = Process::start(self.program, registry, &self.directory)?;
        let url = format!("http://{}/v2/", self.host);
        let is_up = || {
            let found = send_as(self.login, "GET", &url, "", "");
            found.is_ok_and(|found| found.status == 200)
        };
        process.wait_until(is_up)?;
        self.process = Some(process);
        Ok(())
    }

    /// Pushes an image without layers, which `mark` makes unlike any other, and returns its
    /// reference by digest.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn push(&self, repository: &str, mark: &str) -> Result<String> {
        let base = format!("http://{}/v2/{repository}", self.host);
        let upload = self.created("POST", &format!("{base}/blobs/uploads/"), "", "")?;
        let location = upload.header("Location").context("no address to upload to")?;
        let location = self.absolute(location);
        let next = if location.contains('?') { '&' } else { '?' };
        let blob = format!("{location}{next}digest={EMPTY_DIGEST}");
        self.created("PUT", &blob, "application/octet-stream", "{}")?;
        let url = format!("{base}/manifests/{mark}");
        let manifest = self.created("PUT", &url, MANIFEST_TYPE, &manifest(mark))?;
        let digest = manifest.header("Docker-Content-Digest").context("no digest")?;
        Ok(format!("{}/{repository}@{digest}", self.host))
    }

    /// Whether there is something at a path below `/v2/`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn has(&self, path: &str) -> Result<bool> {
        let url = format!("http://{}/v2/{path}", self.host);
        Ok(send_as(self.login, "GET", &url, "", "")?.status == 200)
    }

    /// The address that a `Location` means.
    fn absolute(&self, location: &str) -> String {
        let path = location.strip_prefix('/').map(|path| format!("http://{}/{path}", self.host));
        path.unwrap_or_else(|| location.to_owned())
    }

    fn created(&self, method: &str, url: &str, kind: &str, body: &str) -> Result<Response> {
        let response = send_as(self.login, method, url, kind, body)?;
        let accepted = matches!(response.status, 201 | 202);
        ensure!(accepted, "{method} {url}: {} {}", response.status, response.body);
        Ok(response)
    }
}

/// The descriptor of an image that was pushed with this mark.
///
/// # Errors
/// When the reference is not by digest.
pub fn descriptor(image: &str, mark: &str) -> Result<Value> {
    let (_, digest) = image.split_once('@').context("no digest")?;
    Ok(json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": manifest(mark).len()}))
}

fn manifest(mark: &str) -> String {
    let empty = "application/vnd.oci.empty.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": empty, "digest": EMPTY_DIGEST, "size": 2},
        "layers": [],
        "annotations": {"mark": mark},
    });
    manifest.to_string()
}
