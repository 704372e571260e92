//! Policies that do not compile: `verify` refuses them, and says where, what, and the way out.

use assay_testkit::cosign::SigningKey;

use crate::support::{Folder, policy, store_of, trust_store, with};

/// A change that breaks a policy.
struct Broken {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    /// What is said of it.
    stderr: &'static [&'static str],
}

const BROKEN: &[Broken] = &[
    Broken {
        name: "an unknown field",
        from: "requireDigest:",
        to: "requireDigests:",
        stderr: &[
            "ClusterImageAdmissionPolicy release-images: spec.requireDigests",
            "expected one of",
        ],
    },
    Broken {
        name: "a bad glob",
        from: "registry.example/**",
        to: "shop/*",
        stderr: &["spec.rules[0].images[0]: 'shop/*'", "did you mean 'docker.io/shop/*'?"],
    },
    Broken {
        name: "an unknown verifier",
        from: "all: [release-signature]",
        to: "all: [signature]",
        stderr: &["spec.rules[0].require.all[0]: 'signature'", "known are: release-signature"],
    },
    Broken {
        name: "an unknown kind of verifier",
        from: "cosign: {",
        to: "cosine: {",
        stderr: &["spec.verifiers[0].cosine", "`cosign`"],
    },
    Broken {
        name: "two verifiers of one name",
        from: "  verifiers:",
        to: "  verifiers:\n  - {name: release-signature, cosign: {keys: [{trustStore: release-keys}]}}",
        stderr: &["spec.verifiers[1].name: 'release-signature' is given twice"],
    },
    Broken {
        name: "a require that names nothing",
        from: "all: [release-signature]",
        to: "all: []",
        stderr: &["spec.rules[0].require.all: is empty"],
    },
    Broken {
        name: "a require without anything",
        from: "{all: [release-signature]}",
        to: "{}",
        stderr: &["spec.rules[0].require: needs exactly one of all, any, atLeast"],
    },
    Broken {
        name: "a missing trust store",
        from: "trustStore: release-keys",
        to: "trustStore: others",
        stderr: &["spec.verifiers[0].cosign.keys[0]", "ClusterTrustStore others"],
    },
    Broken {
        name: "an unknown kind",
        from: "kind: ClusterImageAdmissionPolicy",
        to: "kind: ClusterImagePolicy",
        stderr: &[
            "kind: apiVersion 'assay.dev/v1alpha1' and kind 'ClusterImagePolicy'",
            "known are ",
        ],
    },
    Broken {
        name: "a syntax error",
        from: "rules:\n",
        to: "rules: [\n",
        stderr: &["document: line "],
    },
];

/// Sources of keys that cannot be used, and what is said of them.
const BAD_KEYS: &[(&str, &str)] = &[
    ("{}", "spec.publicKeys: needs exactly one of inline, secretRef, configMapRef, file"),
    ("{inline: ''}", "spec.publicKeys.inline: is empty"),
    ("{inline: text}", "spec.publicKeys: trust store 'release-keys' holds "),
    ("{file: cosign.pub}", "spec.publicKeys.file: cosign.pub: No such file"),
];

#[tokio::test]
async fn rejects_what_does_not_compile_by_file_document_and_field() {
    let folder = Folder::new();
    let store = trust_store(&SigningKey::generate().unwrap());
    let policy = policy("registry.example");
    let good = format!("{store}---\n{policy}");
    let check = async |name: &str, documents: &str, stderr: &[&str]| {
        folder.write("policy.yaml", documents);
        let arguments = ["verify", "registry.example/app:v1", "--policy", "policy.yaml"];
        folder.run(&arguments).await.check_refused(name, stderr);
    };
    for Broken { name, from, to, stderr } in BROKEN {
        check(name, &with(&good, from, to), &[&["policy.yaml, document 2: "], *stderr].concat())
            .await;
    }
    for (source, reason) in BAD_KEYS {
        let store = format!("policy.yaml, document 1: ClusterTrustStore release-keys: {reason}");
        check(source, &format!("{}---\n{policy}", store_of(source)), &[&store]).await;
    }
}
