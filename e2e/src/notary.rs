//! Images that the Notary Project's own library signs and verifies (`e2e/tools/notation`).

use std::fs::{create_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::notation::{IDENTITY, notation_go_says, sign_images};
use crate::process::{command, run};
use crate::timestamps::TimestampAuthority;
use crate::tools::tool;

/// Signers with a key and certificates each, in a folder: one for each of [`crate::KEY_KINDS`], of its
/// name; and those of one authority, whose certificates say where to ask whether they are revoked
/// (`e2e/tools/notation/revocation.go`).
#[derive(Debug)]
pub struct Notary {
    folder: PathBuf,
}

/// A signature that an image is to have.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The image, by digest.
    pub image: &'a str,
    /// Who signs.
    pub signer: &'a str,
    /// `x509` or `signingAuthority`.
    pub scheme: &'a str,
    /// `cose` or `jws`.
    pub format: &'a str,
    /// The seconds for which it counts; 0 is for ever.
    pub expiry_s: u64,
    /// Who says when it was made.
    pub timestamps: Option<&'a TimestampAuthority>,
    /// What is signed too.
    pub user_metadata: &'a [(&'a str, &'a str)],
    /// Whether its manifest has the newer of the two shapes.
    pub has_artifact_type: bool,
}

impl<'a> Order<'a> {
    /// A signature as plain as can be.
    pub fn new(image: &'a str, signer: &'a str) -> Self {
        Self {
            image,
            signer,
            scheme: "x509",
            format: "jws",
            expiry_s: 0,
            timestamps: None,
            user_metadata: &[],
            has_artifact_type: false,
        }
    }

    fn to_json(self) -> Value {
        let metadata =
            self.user_metadata.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
        let mut order = json!({
            "image": self.image,
            "keys": self.signer,
            "scheme": self.scheme,
            "format": self.format,
            "expirySeconds": self.expiry_s,
            "userMetadata": Value::Object(metadata.collect()),
            "hasArtifactType": self.has_artifact_type,
        });
        if let Some(authority) = self.timestamps {
            order["timestampUrl"] = authority.url().into();
            order["timestampRoot"] = json!(authority.root_file());
        }
        order
    }
}

impl Notary {
    /// The signers in `folder`, made where there is none. Their certificates name the server at `host`.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(folder: &Path, host: &str) -> Result<Self> {
        if !folder.exists() {
            create_dir(folder)?;
            let url = format!("http://{host}");
            let mut keys = command(&tool("notation-go")?, folder);
            run(keys.args(["keys", ".", &url]), "")?.succeeded()?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Makes a signer whose certificate expires in so many seconds.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn add_brief(&self, name: &str, seconds: u32) -> Result<()> {
        let mut keys = command(&tool("notation-go")?, &self.folder);
        run(keys.args(["brief-keys", name, &seconds.to_string()]), "")?.succeeded()?;
        Ok(())
    }

    /// When a new root ends, which is after so many days, in RFC 3339; and the root, PEM.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new_root(&self, days: u32) -> Result<(String, String)> {
        let mut root = command(&tool("notation-go")?, &self.folder);
        let printed = run(root.args(["root", &days.to_string()]), "")?.succeeded()?;
        let (end, root) = printed.split_once('\n').context(printed.clone())?;
        Ok((end.to_owned(), root.to_owned()))
    }

    /// The root of a signer's chain, PEM.
    ///
    /// # Errors
    /// When there is no such signer.
    pub fn root(&self, signer: &str) -> Result<String> {
        let path = self.folder.join(signer).join("root.pem");
        read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Signs images.
    ///
    /// # Errors
    /// When one of them cannot be signed.
    pub fn sign(&self, orders: &[Order<'_>]) -> Result<()> {
        sign_images(&self.folder, &orders.iter().map(|order| order.to_json()).collect())
    }

    /// Whether the library accepts an image where the root of `signer` is trusted as a store of this
    /// type, and, if one is given, the root of an authority for timestamps, which are needed then.
    ///
    /// # Errors
    /// When it gives no verdict.
    pub fn accepts(
        &self,
        image: &str,
        store: &str,
        signer: &str,
        timestamps: Option<&TimestampAuthority>,
    ) -> Result<bool> {
        let root = format!("{store}={signer}/root.pem");
        let tsa = timestamps.map(|authority| format!("tsa={}", authority.root_file().display()));
        let mut arguments = vec!["verify-image", image, IDENTITY, &root];
        arguments.extend(tsa.as_deref());
        notation_go_says(&self.folder, &arguments)
    }
}
