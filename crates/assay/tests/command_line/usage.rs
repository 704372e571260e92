//! What the command line says of itself, and what it refuses before it does anything.

use std::fs;
use std::path::Path;

use assay_testkit::cosign::SigningKey;
use serde_json::Value;

use crate::support::{Folder, policy, trust_store};

#[tokio::test]
async fn rejects_wrong_usage() {
    let folder = Folder::new();
    let store = trust_store(&SigningKey::generate().unwrap());
    folder.write("policy.yaml", &format!("{store}---\n{}", policy("registry.example")));
    folder.write("stores/store.yaml", &store);
    folder.write(
        "assay.yaml",
        "apiVersion: assay.dev/v1alpha1\nkind: Configuration\ndefaultActions: deny\n",
    );
    let cases: [(&str, &[&str], &str); 10] = [
        ("no policy", &["app:v1"], "--policy <FILE|DIR>"),
        (
            "a policy that is not there",
            &["app:v1", "--policy", "none"],
            "--policy: none: No such file",
        ),
        (
            "a folder without policies",
            &["app:v1", "--policy", "stores"],
            "there is no policy in it",
        ),
        ("nothing to judge", &["--policy", "policy.yaml"], "<IMAGE|--filename <MANIFESTS>>"),
        ("both", &["app:v1", "-f", "-", "--policy", "policy.yaml"], "cannot be used with"),
        (
            "a label",
            &["app:v1", "--policy", "policy.yaml", "--namespace-label", "env"],
            "write KEY=VALUE",
        ),
        (
            "a store",
            &["app:v1", "--policy", "policy.yaml", "--trust-store", "a/b/c=k"],
            "NAMESPACE/NAME",
        ),
        (
            "a store twice",
            &[
                "app:v1",
                "--policy",
                "policy.yaml",
                "--trust-store",
                "a=policy.yaml",
                "--trust-store",
                "a=policy.yaml",
            ],
            "ClusterTrustStore a is given twice",
        ),
        ("no time", &["app:v1", "--policy", "policy.yaml", "--timeout", "0"], "--timeout"),
        (
            "a configuration",
            &["app:v1", "--policy", "policy.yaml", "--config", "assay.yaml"],
            "assay.yaml: defaultActions: ",
        ),
    ];
    for (name, arguments, stderr) in cases {
        folder.run(&[&["verify"], arguments].concat()).await.check_refused(name, &[stderr]);
    }
}

#[tokio::test]
async fn says_what_each_command_takes() {
    let folder = Folder::new();
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--help"], &["serve", "verify", "demo", "crds", "schema", "completions"]),
        (&["serve", "--help"], &["--config <FILE>", "ASSAY_CONFIG", "--listen"]),
        (&["verify", "--help"], &["3 could not decide", "--fail-on", "--allow-unmatched"]),
        (&["completions", "bash"], &["_assay()", "verify", "--allow-unmatched"]),
        (&["--version"], &[concat!("assay ", env!("CARGO_PKG_VERSION"))]),
    ];
    for (arguments, stdout) in cases {
        folder.run(arguments).await.check(&arguments.join(" "), 0, stdout, &[]);
    }
}

#[tokio::test]
async fn prints_the_definitions_that_manifests_hold() {
    let ended = Folder::new().run(&["crds"]).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds.yaml");
    assert!(ended.stdout == fs::read_to_string(file).unwrap(), "write it anew: make crds");
}

#[tokio::test]
async fn prints_schemas_for_editors() {
    let folder = Folder::new();
    let print = async |arguments: &[&str]| {
        let ended = folder.run(arguments).await;
        ended.check(&arguments.join(" "), 0, &[], &[]);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let all = print(&["schema"]).await;
    let kinds: Vec<&String> = all["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(kinds.len(), 4);
    for kind in kinds {
        let own = print(&["schema", kind]).await;
        assert_eq!(own["properties"]["kind"]["const"], **kind);
    }
    let unknown = folder.run(&["schema", "Policy"]).await;
    unknown.check_refused("an unknown kind", &["possible values: ClusterImageAdmissionPolicy"]);
}
