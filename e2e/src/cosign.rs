//! The real cosign, offline: signing keys in files, no transparency log, no timestamps.

use std::fs::{create_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{Output, command, run};
use crate::tools::tool;

/// What one call may take, most of it for the registry.
const TIMEOUT: &str = "--timeout=30s";

/// How a signature is stored beside its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Sigstore bundle as a referrer: cosign 3.
    Bundle,
    /// A manifest under the tag `sha256-<hex>.sig`: cosign 2.
    Tag,
}

/// A key pair of cosign's own making.
#[derive(Debug)]
pub struct Signer {
    directory: PathBuf,
}

impl Signer {
    /// A new ECDSA P-256 key pair, in a folder `name` of `directory`.
    ///
    /// # Errors
    /// When cosign fails.
    pub fn generate(directory: &Path, name: &str) -> Result<Self> {
        let directory = directory.join(name);
        create_dir(&directory)?;
        let signer = Self { directory };
        signer.cosign(&["generate-key-pair"])?.succeeded()?;
        let root = ["trusted-root", "create", "--out=empty-root.json"];
        let nobody = ["fulcio", "rekor", "tsa", "ctfe"].map(|name| format!("--no-default-{name}"));
        let arguments: Vec<&str> =
            root.into_iter().chain(nobody.iter().map(String::as_str)).collect();
        signer.cosign(&arguments)?.succeeded()?;
        Ok(signer)
    }

    /// The public key, PEM.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn public_key(&self) -> Result<String> {
        Ok(read_to_string(self.directory.join("cosign.pub"))?)
    }

    /// Signs an image, given by digest.
    ///
    /// # Errors
    /// When cosign fails.
    pub fn sign(&self, image: &str, form: Form) -> Result<()> {
        let mut arguments = vec!["sign", "--key=cosign.key", "--yes", TIMEOUT];
        // Without a signing configuration, and without this, cosign asks the public good instance.
        arguments.extend(["--tlog-upload=false", "--use-signing-config=false"]);
        arguments.push(form.flag());
        arguments.push(image);
        self.cosign(&arguments)?.succeeded()?;
        Ok(())
    }

    /// What `cosign verify` with this key says of an image.
    ///
    /// # Errors
    /// When cosign cannot be run; not when it refuses the image.
    pub fn verify(&self, image: &str, form: Form) -> Result<Output> {
        let arguments = ["verify", "--key=cosign.pub", "--insecure-ignore-tlog", TIMEOUT];
        let mut arguments = arguments.to_vec();
        arguments.extend(["--trusted-root=empty-root.json", form.flag(), image]);
        self.cosign(&arguments)
    }

    fn cosign(&self, arguments: &[&str]) -> Result<Output> {
        let mut cosign = command(&tool("cosign")?, &self.directory);
        run(cosign.env("COSIGN_PASSWORD", "").args(arguments), "")
    }
}

impl Form {
    fn flag(self) -> &'static str {
        match self {
            Self::Bundle => "--new-bundle-format=true",
            Self::Tag => "--new-bundle-format=false",
        }
    }
}
