//! Revocation data in a process that serves: read from where certificates name it, and kept.

use assay_testkit::notation::{Signer, sign};

use crate::notation::vendor_policy;
use crate::serve::Server;
use crate::support::{Stage, with};

#[tokio::test]
async fn a_crl_is_read_once_whatever_becomes_of_policies() {
    let stage = Stage::start().await;
    let registry = &stage.registry;
    let mut signer = Signer::generate().unwrap();
    let crl = signer.crl("2049-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let crl = registry.push_blob("ca", crl);
    signer.name_crl(&format!("http://{}/v2/ca/blobs/{crl}", registry.host())).unwrap();
    let digest = registry.push_image("vendor/agent", "v1");
    sign(registry, "vendor/agent", &digest, &signer).unwrap();
    let documents = vendor_policy(&stage, &signer, "userMetadata: {}");
    stage.folder.write("policies/policy.yaml", &documents);
    let mut server = Server::start(&stage).await;
    let image = format!("{}/vendor/agent:v1", registry.host());
    server.admits(&image).await;
    assert_eq!(registry.count(&crl), 1);

    // Metadata is looked at last: whoever is told that it is wrong was asked about revocation.
    let stricter = with(&documents, "userMetadata: {}", "userMetadata: {env: prod}");
    stage.folder.write("policies/policy.yaml", &stricter);
    server.refuses(&image, "ANNOTATION_MISMATCH").await;
    assert_eq!(registry.count(&crl), 1);
    assert!(server.terminate().await.success());
}
