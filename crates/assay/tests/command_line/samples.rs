//! What users copy, read by the binary itself: the policies of the README and of `docs/`, and
//! everything in `config/`.

use std::fs;
use std::path::{Path, PathBuf};

use assay_core::ReasonCode;
use assay_testkit::cosign::SigningKey;
use assay_testkit::notation::Signer;
use serde_json::json;

use crate::support::{Folder, with};

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

/// The YAML that a page of `docs/` shows.
fn shown_yaml(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// All that the page shows belongs together; the ConfigMap is what its command would make.
#[tokio::test]
async fn notation_docs_show_policies_that_work() {
    let page = fs::read_to_string(root().join("docs/notation.md")).unwrap();
    let blocks = shown_yaml(&page);
    assert_eq!(blocks.len(), 3);
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "vendor-roots", "namespace": "assay-system"},
        "data": {"roots.pem": Signer::generate().unwrap().root_pem()},
    });
    let folder = Folder::new();
    let verify = ["verify", "registry.example/app:v1", "--allow-unmatched", "--policy", "policies"];
    let documents = [blocks.as_slice(), &[config_map.to_string()]].concat();
    folder.write("policies/all.yaml", &documents.join("---\n"));
    folder.run(&verify).await.check("the page", 0, &["no policy covers this image"], &[]);

    let verified = "{\"level\": \"permissive\", \"override\": {\"revocation\": \"enforce\"}},
              \"trustStores\": [\"ca:vendor-roots\"],
              \"trustedIdentities\": [\"x509.subject: C=US, ST=WA, O=vendor.example\"]";
    let skips = with(&documents.join("---\n"), verified, "{\"level\": \"skip\"}");
    folder.write("policies/all.yaml", &skips);
    folder.run(&verify).await.check_refused("level skip", &["trustPolicies[0]", "allow: true"]);
    folder.write("policies/all.yaml", &blocks.join("---\n"));
    folder.run(&verify).await.check_refused("without the ConfigMap", &["vendor-roots"]);
}

#[test]
fn notation_docs_name_codes_that_there_are() {
    let page = fs::read_to_string(root().join("docs/notation.md")).unwrap();
    let table = page.split("\n## Reason codes\n").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let named: Vec<&str> = rows.collect();
    assert!(named.contains(&ReasonCode::SignatureExpired.as_str()), "{named:?}");
    for code in named {
        assert!(ReasonCode::ALL.iter().any(|known| known.as_str() == code), "{code}");
    }
}
