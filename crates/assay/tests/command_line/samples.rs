//! What users copy, read by the binary itself: the README's policy and everything in `config/`.

use std::fs;
use std::path::{Path, PathBuf};

use assay_testkit::cosign::SigningKey;

use crate::support::Folder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The YAML files in `folder` and those below it.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn samples_are_good() {
    let (folder, samples) = (Folder::new(), root().join("config"));
    let policies = samples.join("policies");
    let files = yaml_files(&samples);
    let (of_policies, others): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| file.parent() == Some(&policies));
    assert!(!of_policies.is_empty() && !others.is_empty(), "{files:?}");
    for file in others {
        // An image that the sample policies decide without asking a registry.
        let arguments = ["verify", "registry.k8s.io/pause:3.10"];
        let mut command = folder.assay();
        command.args(arguments).arg("--policy").arg(&policies).arg("--config").arg(file);
        let ended = crate::support::finish(&mut command).await;
        ended.check(&file.display().to_string(), 1, &["IMAGE_DENIED: images come from"], &[]);
    }
}

#[tokio::test]
async fn readme_shows_a_policy_that_works() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let policy = readme.split("\n## A policy\n").nth(1).unwrap();
    let policy = policy.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::new();
    folder.write("policy.yaml", policy);
    folder.write("cosign.pub", &SigningKey::generate().unwrap().public_key_pem().unwrap());

    let images = ["registry.k8s.io/pause:3.10", "busybox"];
    let ended = folder.run(&["verify", images[0], images[1], "--policy", "policy.yaml"]).await;

    let denied = "IMAGE_DENIED: images come from registry.corp.example";
    ended.check("README", 1, &["allow     registry.k8s.io/pause:3.10", denied], &[]);
}
