//! The real cosign, offline: signing keys in files, no transparency log, no timestamps.

use std::fs::{create_dir, create_dir_all, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::json;

use crate::process::{Output, command, run, write};
use crate::tools::tool;

/// What one call may take, most of it for the registry.
const TIMEOUT: &str = "--timeout=30s";

const OCI_1_1: &str = "--registry-referrers-mode=oci-1-1";

/// How a signature is stored beside its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Sigstore bundle as a referrer: cosign 3.
    Bundle,
    /// A manifest of simple signing as a referrer: cosign's `oci-1-1` mode.
    Referrer,
    /// A manifest under the tag `sha256-<hex>.sig`: cosign 2.
    Tag,
}

/// The kinds of keys that cosign takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA, P-256.
    P256,
    /// ECDSA, P-384.
    P384,
    /// ECDSA, P-521.
    P521,
    /// RSA, 2,048 bits.
    Rsa2048,
    /// RSA, 4,096 bits.
    Rsa4096,
    /// Ed25519, which cosign signs with pre-hashed.
    Ed25519,
}

impl KeyKind {
    /// Each of them, with a name for it.
    pub const ALL: [(&str, Self); 6] = [
        ("p256", Self::P256),
        ("p384", Self::P384),
        ("p521", Self::P521),
        ("rsa-2048", Self::Rsa2048),
        ("rsa-4096", Self::Rsa4096),
        ("ed25519", Self::Ed25519),
    ];

    fn generate(self) -> Result<KeyPair> {
        Ok(match self {
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?,
            Self::P521 => KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?,
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519)?,
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            Self::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096)?,
        })
    }
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

    /// A new key pair of this kind, which cosign imports, in a folder `name` of `directory`.
    ///
    /// # Errors
    /// When cosign does not take it.
    pub fn import(directory: &Path, name: &str, kind: KeyKind) -> Result<Self> {
        let directory = directory.join(name);
        create_dir(&directory)?;
        write(&directory, "key.pem", &kind.generate()?.serialize_pem())?;
        let signer = Self { directory };
        let import = ["import-key-pair", "--key=key.pem", "--output-key-prefix=cosign", "--yes"];
        signer.cosign(&import)?.succeeded()?;
        Ok(signer)
    }

    /// Has cosign log in to a registry as `user:password`.
    ///
    /// # Errors
    /// When the login cannot be kept.
    pub fn log_in(&self, host: &str, login: &str) -> Result<()> {
        create_dir_all(self.directory.join(".docker"))?;
        write(&self.directory, ".docker/config.json", &docker_config(host, login))?;
        Ok(())
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
        arguments.extend(form.signs());
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
        arguments.push("--trusted-root=empty-root.json");
        arguments.extend(form.verifies());
        arguments.push(image);
        self.cosign(&arguments)
    }

    fn cosign(&self, arguments: &[&str]) -> Result<Output> {
        let mut cosign = command(&tool("cosign")?, &self.directory);
        // To cosign, simple signing as a referrer is an experiment.
        if arguments.contains(&OCI_1_1) {
            cosign.env("COSIGN_EXPERIMENTAL", "1");
        }
        run(cosign.env("COSIGN_PASSWORD", "").args(arguments), "")
    }
}

impl Form {
    fn signs(self) -> &'static [&'static str] {
        match self {
            Self::Bundle => &["--new-bundle-format=true"],
            Self::Referrer => &["--new-bundle-format=false", OCI_1_1],
            Self::Tag => &["--new-bundle-format=false"],
        }
    }

    fn verifies(self) -> &'static [&'static str] {
        match self {
            Self::Bundle => &["--new-bundle-format=true"],
            Self::Referrer => &["--new-bundle-format=false", "--experimental-oci11"],
            Self::Tag => &["--new-bundle-format=false"],
        }
    }
}

/// Docker's `config.json` for one host and one `user:password`.
pub(crate) fn docker_config(host: &str, login: &str) -> String {
    let login = base64::engine::general_purpose::STANDARD.encode(login);
    json!({"auths": {host: {"auth": login}}}).to_string()
}
