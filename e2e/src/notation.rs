//! Notary Project signatures in files, and two verifiers of them: the Notary Project's own library
//! (`e2e/tools/notation`) and the command line of `notation-rs`.

use std::fs::{create_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{Output, command, run, write};
use crate::tools::{example, tool};

/// The kinds of keys, by the algorithm that each of them fixes; also the names of signers that have
/// one.
pub const KEY_KINDS: [&str; 6] = ["ps256", "ps384", "ps512", "es256", "es384", "es512"];

/// The artifact, of which nobody needs more than this.
const DESCRIPTOR: &str = r#"{"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
"digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
const REFERENCE: &str = "registry.example/notation@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// A part of the subject of every signer.
pub const IDENTITY: &str = "x509.subject: C=US, ST=WA, O=Acme";

/// Envelopes with keys of every kind, both formats and both schemes, with and without expiry, of one
/// maker.
#[derive(Debug)]
pub struct Envelopes {
    folder: PathBuf,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The algorithm that the leaf's key fixes, in lower case.
    pub key: &'static str,
    /// The signing scheme, without `notary.` and, after `x509`, without the `x509.`.
    pub scheme: &'static str,
    /// Whether it expires within a day.
    pub is_expiring: bool,
    /// The format, as the file's name ends.
    pub format: &'static str,
}

impl Envelope {
    /// Each that a maker makes.
    pub fn all() -> impl Iterator<Item = Self> {
        KEY_KINDS.into_iter().flat_map(|key| {
            ["x509", "signingAuthority"].into_iter().flat_map(move |scheme| {
                [false, true].into_iter().flat_map(move |is_expiring| {
                    ["cose", "jws"].into_iter().map(move |format| Self {
                        key,
                        scheme,
                        is_expiring,
                        format,
                    })
                })
            })
        })
    }

    fn file(self) -> String {
        let Self { key, scheme, format, .. } = self;
        let expiring = if self.is_expiring { "-expiring" } else { "" };
        format!("{key}/{scheme}{expiring}.{format}")
    }

    const fn media_type(self) -> &'static str {
        match self.format.as_bytes() {
            b"cose" => "application/cose",
            _ => "application/jose+json",
        }
    }

    /// The type of trust store that anchors the scheme.
    pub const fn store(self) -> &'static str {
        match self.scheme.as_bytes() {
            b"x509" => "ca",
            _ => "signingAuthority",
        }
    }
}

impl Envelopes {
    /// Those of the Notary Project's own library, in a new folder of `directory`.
    ///
    /// # Errors
    /// When it fails.
    pub fn of_notation_go(directory: &Path) -> Result<Self> {
        Self::by(&tool("notation-go")?, &["sign"], directory.join("notation-go"), DESCRIPTOR)
    }

    /// Those of `notation-rs`, in a new folder of `directory`.
    ///
    /// # Errors
    /// When it fails.
    pub fn of_notation_rs(directory: &Path) -> Result<Self> {
        Self::by(&example("sign")?, &[], directory.join("notation-rs"), DESCRIPTOR)
    }

    /// Those of `notation-rs` for the artifact of this descriptor, in the new folder `folder`.
    ///
    /// # Errors
    /// When it fails.
    pub fn of_artifact(folder: PathBuf, descriptor: &Value) -> Result<Self> {
        Self::by(&example("sign")?, &[], folder, &descriptor.to_string())
    }

    fn by(program: &Path, arguments: &[&str], folder: PathBuf, descriptor: &str) -> Result<Self> {
        create_dir(&folder)?;
        write(&folder, "descriptor.json", descriptor)?;
        let sign = [arguments, &[".", "descriptor.json"]].concat();
        run(command(program, &folder).args(sign), "")?.succeeded()?;
        Ok(Self { folder })
    }

    /// Pushes each envelope as the signature of an image, in a manifest of the newer shape, which
    /// `notation-go` does not make of itself.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn attach(&self, images: &[(Envelope, String)]) -> Result<()> {
        let orders = images.iter().map(|(envelope, image)| {
            json!({
                "image": image,
                "envelope": envelope.file(),
                "format": envelope.format,
                "hasArtifactType": true,
            })
        });
        sign_images(&self.folder, &orders.collect())
    }

    /// The root of `key`'s chain, PEM.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn root(&self, key: &str) -> Result<String> {
        Ok(read_to_string(self.folder.join(key).join("root.pem"))?)
    }

    /// Whether the Notary Project's own library accepts the envelope, where the root of `key`'s chain
    /// is trusted.
    ///
    /// # Errors
    /// When it gives no verdict.
    pub fn notation_go_accepts(&self, envelope: Envelope, key: &str) -> Result<bool> {
        let root = format!("{}={key}/root.pem", envelope.store());
        notation_go_says(
            &self.folder,
            &["verify", "descriptor.json", &envelope.file(), IDENTITY, &root],
        )
    }

    /// Whether it accepts the image that has the envelope as its signature.
    ///
    /// # Errors
    /// When it gives no verdict.
    pub fn notation_go_accepts_image(
        &self,
        envelope: Envelope,
        image: &str,
        key: &str,
    ) -> Result<bool> {
        let root = format!("{}={key}/root.pem", envelope.store());
        notation_go_says(&self.folder, &["verify-image", image, IDENTITY, &root])
    }

    /// What `notation-rs` says of the envelope, where the root of `key`'s chain is trusted, at the time
    /// `now` of RFC 3339, without it the present: `pass`, or the stage at which it fails.
    ///
    /// # Errors
    /// When it gives no verdict.
    pub fn notation_rs_says(
        &self,
        envelope: Envelope,
        key: &str,
        now: Option<&str>,
    ) -> Result<String> {
        let root = format!("{}:root={key}/root.pem", envelope.store());
        let mut verify = command(&example("verify")?, &self.folder);
        verify.args(["--envelope", &envelope.file(), "--media-type", envelope.media_type()]);
        verify.args(["--artifact", "descriptor.json", "--reference", REFERENCE]);
        verify.args(["--level", "strict", "--trust-store", &root]);
        verify.args(["--trusted-identity", IDENTITY]);
        verify.args(now.map_or_else(Vec::new, |now| vec!["--now", now]));
        let output = run(&mut verify, "")?;
        let report: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        match (output.success, report["verdict"].as_str(), report["stage"].as_str()) {
            (true, Some("pass"), None) => Ok("pass".to_owned()),
            (false, Some("fail"), Some(stage)) => Ok(stage.to_owned()),
            _ => bail!("no verdict: {report}"),
        }
    }
}

/// Has the Notary Project's own library sign images, with keys in `folder`.
pub(crate) fn sign_images(folder: &Path, orders: &Value) -> Result<()> {
    let mut sign = command(&tool("notation-go")?, folder);
    run(sign.arg("sign-images"), &orders.to_string())?.succeeded()?;
    Ok(())
}

/// Its verdict, given these arguments and what is in `folder`.
pub(crate) fn notation_go_says(folder: &Path, arguments: &[&str]) -> Result<bool> {
    let Output { success, stdout, stderr } =
        run(command(&tool("notation-go")?, folder).args(arguments), "")?;
    match (success, stdout.starts_with("fail: ")) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => bail!("no verdict: {stdout}{stderr}"),
    }
}
