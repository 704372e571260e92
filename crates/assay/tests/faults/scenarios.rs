//! The reviews: each that is right beside one that is wrong in a single fact.

use std::sync::Arc;

use assay_testkit::cosign::simple::SimpleSigning;
use assay_testkit::cosign::{SigningKey, bundle, simple};
use assay_testkit::{RegistryOptions, TestRegistry};
use tokio::time::Instant;

use crate::faults::Faults;
use crate::ports::{ALICE, MALLORY, Outside};
use crate::world::World;

const PATH: &str = "app";

/// Every policy looks at everything.
const EVERYTHING: (&str, &str) = ("{}", "**");

/// A world to be made.
struct Making {
    registry: TestRegistry,
    key: SigningKey,
    stranger: SigningKey,
    /// The image at `v1`.
    digest: String,
    images: Vec<String>,
    users: Vec<&'static str>,
}

impl Making {
    /// An image that nobody has signed.
    async fn new() -> Self {
        let options = RegistryOptions { referrers_api: false, ..RegistryOptions::default() };
        let registry = TestRegistry::start(options).await.unwrap();
        let digest = registry.push_image(PATH, "v1");
        let [key, stranger] = [(); 2].map(|()| SigningKey::generate().unwrap());
        let images = vec![format!("{}/{PATH}:v1", registry.host())];
        Self { registry, key, stranger, digest, images, users: Vec::new() }
    }

    fn tagged(&self, tag: &str) -> String {
        format!("{}/{PATH}:{tag}", self.registry.host())
    }

    fn sign(&self, key: &SigningKey) {
        simple::sign(&self.registry, PATH, &self.digest, key).unwrap();
    }

    fn sign_bundle(&self, key: &SigningKey) {
        bundle::sign(&self.registry, PATH, &self.digest, key).unwrap();
    }

    async fn check(self, is_good: bool) {
        self.check_under(EVERYTHING, is_good).await;
    }

    async fn check_under(self, policy: (&str, &str), is_good: bool) {
        let outside = Outside {
            faults: Arc::new(Faults::default()),
            registry: self.registry,
            users: self.users,
            env: "prod",
            start: Instant::now(),
        };
        World::new(outside, policy, &self.key, &self.images, is_good).check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn signed() {
    let making = Making::new().await;
    making.sign(&making.key);
    making.check(true).await;
}

#[tokio::test(start_paused = true)]
async fn signed_with_bundle() {
    let making = Making::new().await;
    making.sign_bundle(&making.key);
    making.check(true).await;
}

#[tokio::test(start_paused = true)]
async fn unsigned() {
    Making::new().await.check(false).await;
}

#[tokio::test(start_paused = true)]
async fn signed_by_stranger() {
    let making = Making::new().await;
    making.sign(&making.stranger);
    making.sign_bundle(&making.stranger);
    making.check(false).await;
}

/// A good signature, of another image, at the place of this one's.
fn sign_other(making: &Making) {
    let other = making.registry.push_image(PATH, "v2");
    let signature = SimpleSigning::new("app", other).sign(&making.key).unwrap();
    signature.attach(&making.registry, PATH, &making.digest);
}

#[tokio::test(start_paused = true)]
async fn signed_beside_signature_of_another() {
    let making = Making::new().await;
    sign_other(&making);
    making.sign_bundle(&making.key);
    making.check(true).await;
}

#[tokio::test(start_paused = true)]
async fn signature_of_another() {
    let making = Making::new().await;
    sign_other(&making);
    making.check(false).await;
}

#[tokio::test(start_paused = true)]
async fn tag_proven() {
    let mut making = Making::new().await;
    making.sign(&making.key);
    making.images = vec![format!("{}@{}", making.tagged("v1"), making.digest)];
    let glob = making.tagged("v1");
    making.check_under(("{}", &glob), true).await;
}

#[tokio::test(start_paused = true)]
async fn tag_elsewhere() {
    let mut making = Making::new().await;
    making.sign(&making.key);
    making.registry.push_image(PATH, "v2");
    making.images = vec![format!("{}@{}", making.tagged("v2"), making.digest)];
    let glob = making.tagged("v2");
    making.check_under(("{}", &glob), false).await;
}

#[tokio::test(start_paused = true)]
async fn selected_by_namespace() {
    let making = Making::new().await;
    let matching = "{namespaceSelector: {matchLabels: {env: prod}}}";
    making.check_under((matching, "**"), false).await;
}

#[tokio::test(start_paused = true)]
async fn second_image_missing() {
    let mut making = Making::new().await;
    making.sign(&making.key);
    making.images.push(making.tagged("v2"));
    making.check(false).await;
}

#[tokio::test(start_paused = true)]
async fn signed_behind_second_credential() {
    let mut making = Making::new().await;
    making.sign(&making.key);
    making.users = vec![MALLORY, ALICE];
    making.check(true).await;
}

#[tokio::test(start_paused = true)]
async fn unsigned_behind_second_credential() {
    let mut making = Making::new().await;
    making.users = vec![MALLORY, ALICE];
    making.check(false).await;
}
