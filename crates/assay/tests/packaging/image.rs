//! `tools/image.sh`: what it lays out is an image by the OCI's rules, and the binary in it runs.

use std::fs::{create_dir_all, read, remove_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use assay_core::Digest;
use serde_json::{Value, json};

use crate::project;

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("image-{name}"));
        let _ = remove_dir_all(&folder);
        create_dir_all(&folder).unwrap();
        write(folder.join("roots.pem"), "roots\n").unwrap();
        Self(folder)
    }

    /// The layout with `binary` in it.
    fn image(&self, binary: &Path) -> Layout {
        let layout = self.0.join("layout");
        let output = Command::new(project("tools/image.sh"))
            .arg(binary)
            .env("DESTINATION", &layout)
            .env("CA_CERTIFICATES", self.0.join("roots.pem"))
            .env("ASSAY_REVISION", "1234")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Layout(layout)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.0);
    }
}

/// An OCI image layout.
struct Layout(PathBuf);

impl Layout {
    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&read(self.0.join(file)).unwrap()).unwrap()
    }

    /// The file that a descriptor means, which has the size and the digest that it says.
    fn blob(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        let path = self.0.join("blobs").join(digest.replace(':', "/"));
        let bytes = read(&path).unwrap();
        assert_eq!(Digest::sha256(&bytes).to_string(), digest);
        assert_eq!(descriptor["size"], bytes.len());
        path
    }

    fn document(&self, descriptor: &Value) -> Value {
        let document: Value =
            serde_json::from_slice(&read(self.blob(descriptor)).unwrap()).unwrap();
        let media_type = document.get("mediaType").unwrap_or(&descriptor["mediaType"]);
        assert_eq!(*media_type, descriptor["mediaType"]);
        document
    }
}

#[test]
fn lays_out_an_image_whose_binary_runs() {
    let folder = Folder::new("runs");
    let layout = folder.image(Path::new(env!("CARGO_BIN_EXE_assay")));
    assert_eq!(layout.json("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let tagged = &layout.json("index.json")["manifests"][0];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(tagged["annotations"]["org.opencontainers.image.ref.name"], version);
    let index = layout.document(tagged);
    let manifest = layout.document(&index["manifests"][0]);
    let config = layout.document(&manifest["config"]);
    assert_eq!(config["architecture"], index["manifests"][0]["platform"]["architecture"]);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/assay"]));
    assert_eq!(config["config"]["Labels"], manifest["annotations"]);
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "1234");

    let layer = layout.blob(&manifest["layers"][0]);
    let unpacked = Command::new("gzip").arg("-dc").arg(&layer).output().unwrap();
    let expect = json!([Digest::sha256(&unpacked.stdout).to_string()]);
    assert_eq!(config["rootfs"]["diff_ids"], expect);
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar")
            .args(arguments)
            .arg(&layer)
            .env("TZ", "UTC")
            .current_dir(&folder.0)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let files = tar(&["--list", "--numeric-owner", "--verbose", "--gzip", "--file"]);
    assert_eq!(files.lines().count(), 5, "{files}");
    assert!(files.lines().all(|line| line.contains(" 0/0 ") && line.contains("1970-01-01")));
    tar(&["--extract", "--gzip", "--file"]);
    assert_eq!(read(folder.0.join("etc/ssl/certs/ca-certificates.crt")).unwrap(), b"roots\n");
    let output = Command::new(folder.0.join("assay")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("assay {version}\n"));
}

#[test]
fn makes_the_same_image_of_the_same_files() {
    let (folder, other) = (Folder::new("once"), Folder::new("again"));
    let index = |folder: &Folder, binary: &str| {
        let path = folder.0.join("binary");
        write(&path, binary).unwrap();
        folder.image(&path).json("index.json")
    };
    let first = index(&folder, "binary");
    assert_eq!(index(&other, "binary"), first);
    assert_ne!(index(&other, "another"), first);
}
