//! Signatures of the Notary Project that a policy lets pass with a warning: what whoever applies a
//! pod, and whoever runs a pipeline, is told of them.

use assay_core::ReasonCode;
use assay_testkit::notation::{IDENTITY, Signer, sign_with};
use serde_json::{Value, json};

use crate::serve::Server;
use crate::support::{Stage, with};

/// A stage with a vendor's image whose signature has expired, and its policy at level permissive.
async fn stage() -> (Stage, String) {
    let stage = Stage::start().await;
    let signer = Signer::generate().unwrap();
    let digest = stage.registry.push_image("vendor/agent", "v1");
    sign_with(&stage.registry, "vendor/agent", &digest, &signer, |request| {
        request.expiry = "2026-02-01T00:00:00Z".parse().ok();
    })
    .unwrap();
    let documents = vendor_policy(&stage, &signer, "level: permissive");
    stage.folder.write("policy.yaml", &documents);
    (stage, documents)
}

/// A policy of images below `vendor/` that trusts the root of `signer`, with another field of its
/// verifier.
pub(crate) fn vendor_policy(stage: &Stage, signer: &Signer, field: &str) -> String {
    format!(
        r#"apiVersion: assay.dev/v1alpha1
kind: ClusterTrustStore
metadata: {{name: vendor-roots}}
spec:
  certificates: {{type: ca, inline: {root:?}}}
---
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {{name: vendor-images}}
spec:
  enforcementAction: deny
  requireDigest: allow
  verifiers:
  - name: vendor-signature
    notation:
      trustStores: [{{type: ca, name: vendor-roots}}]
      trustedIdentities: ["{IDENTITY}"]
      {field}
  rules:
  - images: ["{host}/vendor/*"]
    require: {{all: [vendor-signature]}}
"#,
        root = signer.root_pem(),
        host = stage.registry.host(),
    )
}

#[tokio::test]
async fn warns_whoever_applies_the_pod_cold_and_warm() {
    let (stage, documents) = stage().await;
    stage.folder.write("policies/policy.yaml", &documents);
    let mut server = Server::start(&stage).await;
    let image = format!("{}/vendor/agent:v1", stage.registry.host());
    let warning = format!("[vendor-images] container \"main\" {image}: SIGNATURE_EXPIRED");
    for cost in ["cold", "warm"] {
        stage.registry.clear_requests();
        let response = server.review(&image).await;
        assert_eq!(response["allowed"], true, "{cost}: {response}");
        assert_eq!(response["warnings"], json!([warning]), "{cost}");
        assert_eq!(stage.registry.requests().is_empty(), cost == "warm");
    }

    let strict = with(&documents, "level: permissive", "level: strict");
    stage.folder.write("policies/policy.yaml", &strict);
    server.refuses(&image, "SIGNATURE_EXPIRED: no good signature by a certificate of").await;
    assert_eq!(server.review(&image).await["warnings"], Value::Null);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn warns_a_pipeline_as_it_asks() {
    let (stage, documents) = stage().await;
    let image = format!("{}/vendor/agent:v1", stage.registry.host());
    let warning = "warning: SIGNATURE_EXPIRED: sign the image again";
    let as_it_is = documents.as_str();
    let strict = &with(&documents, "level: permissive", "level: strict");
    let dryrun = &with(&documents, "Action: deny", "Action: dryrun");
    let cases = [
        ("told", as_it_is, &[][..], 0, &["allow ", warning][..]),
        ("--fail-on warn", as_it_is, &["--fail-on", "warn"], 1, &["allow ", warning]),
        ("strict", strict, &[], 1, &["deny ", "SIGNATURE_EXPIRED: no good signature"]),
        ("dryrun", dryrun, &["--fail-on", "warn"], 0, &["allow "]),
        ("yaml", as_it_is, &["-o", "yaml"], 0, &["code: SIGNATURE_EXPIRED"]),
    ];
    for (name, documents, arguments, code, stdout) in cases {
        stage.folder.write("policy.yaml", documents);
        let ended = stage.verify(&[&[image.as_str()], arguments].concat()).await;
        ended.check(name, code, stdout, &[]);
        assert_eq!(ended.stdout.contains("warning: "), stdout.contains(&warning), "{name}");
    }
    stage.folder.write("policy.yaml", &documents);
    let ended = stage.verify(&[&image, "-o", "json"]).await;
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    let policy = &found["images"][0]["policies"][0];
    let code = ReasonCode::SignatureExpired;
    let expect = json!([{"code": code, "remediation": code.remediation()}]);
    assert_eq!((&policy["decision"], &policy["warnings"]), (&json!("allow"), &expect));
    let message = found["images"][0]["verifierReports"][0]["message"].as_str().unwrap();
    assert!(message.contains("success, but: expiry: the signature expired at"), "{message}");
}

#[tokio::test]
async fn a_cold_verification_is_four_requests() {
    let (stage, _) = stage().await;
    let image = format!("{}/vendor/agent:v1", stage.registry.host());
    stage.verify(&[&image]).await.check("signed", 0, &["allow "], &[]);
    let asked: Vec<String> = stage
        .registry
        .requests()
        .iter()
        .map(|request| {
            let path = request.path.trim_start_matches("/v2/vendor/agent/");
            format!("{} {}", request.method, path.split('/').next().unwrap())
        })
        .collect();
    assert_eq!(asked, ["HEAD manifests", "GET referrers", "GET manifests", "GET blobs"]);
}
