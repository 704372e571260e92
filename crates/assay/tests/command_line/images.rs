//! `assay verify IMAGE`: what each verdict comes to, and where it is told.

use std::net::TcpListener;
use std::sync::Arc;

use assay_testkit::{Auth, Credentials, Effect, Fault, RegistryOptions};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{
    Ended, Signed, Stage, finish, in_time, policy, store_of, trust_store, until, with,
};

/// `127.0.0.1:PORT`, where nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn admits_signatures_of_both_forms_whatever_the_match() {
    let stage = Stage::start().await;
    let nowhere = "spec:\n  match: {namespaces: [nowhere]}\n  requireDigest";
    stage.folder.write("policy.yaml", &with(&stage.documents(), "spec:\n  requireDigest", nowhere));
    let bundle = stage.push("shop/web", Signed::InBundle);
    let tag = stage.push("shop/api", Signed::InTag);

    let ended = stage.verify(&[&bundle, &tag]).await;

    let report = "release-signature: cosign verification success. valid signatures found";
    ended.check("signed", 0, &[report], &[]);
    let verdicts: Vec<&str> = ended.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    let repository = |line: &&str| line.contains("/shop/web@sha256:");
    assert!(verdicts.iter().all(|line| line.starts_with("allow ")), "{verdicts:?}");
    assert_eq!(verdicts.iter().map(repository).collect::<Vec<_>>(), [true, false]);
    let said = "assay: images are judged under every cluster policy given, whatever its match\n";
    assert_eq!(ended.stderr, said, "once, and nothing else");
}

#[tokio::test]
async fn denies_what_is_not_signed_by_the_key_also_beside_what_is_not_decided() {
    let stage = Stage::start().await;
    let down = closed_port();
    stage.folder.write("down/policy.yaml", &with(&policy(&down), "release-images", "down"));
    let signed = stage.push("shop/web", Signed::InBundle);
    let unsigned = stage.push("shop/debug", Signed::Not);
    let stranger = stage.push("shop/cart", Signed::ByStranger);
    let lost = format!("{down}/shop/web:v1");
    let not_found = "SIGNATURE_NOT_FOUND: no signature by a key of release-keys";
    let cases: [(&str, &[&str], i32, &[&str]); 4] = [
        ("unsigned", &[&unsigned], 1, &["deny ", not_found, "next: sign the image\n"]),
        ("wrong key", &[&signed, &stranger], 1, &["allow ", "deny ", "KEY_MISMATCH: "]),
        ("undecided", &[&lost, &signed], 3, &["undecided ", "REGISTRY_UNREACHABLE: ", "allow "]),
        ("both", &[&lost, &unsigned], 1, &["undecided ", "deny "]),
    ];
    for (name, images, code, stdout) in cases {
        stage.verify(&[&["--policy", "down"], images].concat()).await.check(
            name,
            code,
            stdout,
            &[],
        );
    }
}

#[tokio::test]
async fn cannot_decide_while_the_registry_fails_or_is_silent() {
    let stage = Stage::start().await;
    let image = stage.push("shop/web", Signed::InBundle);
    stage.registry.fault(Fault::new(
        "/v2/",
        Effect::Status(
            hyper::StatusCode::INTERNAL_SERVER_ERROR,
            Vec::new(),
            "a registry's own words".into(),
        ),
    ));
    let ended = stage.verify(&[&image]).await;
    ended.check("500", 3, &["undecided ", "REGISTRY_UNREACHABLE: "], &[]);
    assert!(!ended.stdout.contains("own words"), "{}", ended.stdout);

    stage.registry.clear_faults();
    let held = Effect::Hold(Arc::new(Semaphore::new(0)));
    stage.registry.fault(Fault::new("/v2/", held));
    let ended = stage.verify(&[&image, "--timeout", "1"]).await;
    ended.check("held", 3, &["undecided ", "TIMEOUT: "], &[]);
}

/// `value` without what is another each time.
fn settled(mut value: Value) -> Value {
    for image in value["images"].as_array_mut().unwrap() {
        for field in ["timestamp", "traceID"] {
            assert!(image[field].take().as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
    }
    value
}

#[tokio::test]
async fn reports_the_same_in_every_form() {
    let stage = Stage::start().await;
    let image = stage.push("shop/debug", Signed::Not);
    let table = stage.verify(&[&image]).await;
    table.check("table", 1, &["[release-images] rules[0]: deny"], &[]);

    let ended = stage.verify(&[&image, "-o", "json"]).await;
    ended.check("json", 1, &[], &["whatever its match"]);
    let found = settled(serde_json::from_str(&ended.stdout).unwrap());
    let digest = stage.registry.push_image("shop/debug", "v1");
    let expect = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "VerificationResult",
        "decision": "deny",
        "images": [{
            "version": "1.0.0",
            "image": image,
            "subject": format!("{}/shop/debug@{digest}", stage.registry.host()),
            "isSuccess": false,
            "decision": "deny",
            "code": "REFERRERS_NOT_FOUND",
            "policies": [{
                "name": "release-images",
                "rule": 0,
                "decision": "deny",
                "violations": [{
                    "verifier": "release-signature",
                    "code": "SIGNATURE_NOT_FOUND",
                    "message": "no signature by a key of release-keys",
                    "remediation": "sign the image",
                }],
            }],
            "verifierReports": [],
            "traceID": null,
            "timestamp": null,
        }],
    });
    assert_eq!(found, expect);

    let ended = stage.verify(&[&image, "-o", "yaml"]).await;
    ended.check("yaml", 1, &["kind: VerificationResult\n"], &[]);
    assert_eq!(settled(serde_saphyr::from_str(&ended.stdout).unwrap()), expect);
}

#[tokio::test]
async fn tells_what_no_policy_covers() {
    let stage = Stage::start().await;
    let image = "registry.example/app:v1";
    let denies = "apiVersion: assay.dev/v1alpha1\nkind: Configuration\ndefaultAction: deny\n";
    stage.folder.write("assay.yaml", denies);
    let cases: [(&str, &[&str], i32, &str); 3] = [
        ("uncovered", &[], 4, "no policy covers this image"),
        ("allowed", &["--allow-unmatched"], 0, "no policy covers this image"),
        ("defaultAction: deny", &["--config", "assay.yaml", "--allow-unmatched"], 1, "NOT_COVERED"),
    ];
    for (name, arguments, code, stdout) in cases {
        stage.verify(&[&[image], arguments].concat()).await.check(name, code, &[stdout], &[]);
    }
    let ended = stage.verify(&[image, "--namespace", "kube-system"]).await;
    ended.check("exempt", 4, &[], &["nothing is judged in namespace 'kube-system'"]);
}

#[tokio::test]
async fn takes_warnings_as_asked() {
    let stage = Stage::start().await;
    let image = stage.push("shop/debug", Signed::Not);
    let warns =
        with(&stage.documents(), "spec:\n  require", "spec:\n  enforcementAction: warn\n  require");
    stage.folder.write("policy.yaml", &warns);
    stage.verify(&[&image]).await.check("warn", 0, &["warn ", "SIGNATURE_NOT_FOUND"], &[]);
    stage.verify(&[&image, "--fail-on", "warn"]).await.check("--fail-on", 1, &["warn "], &[]);
}

#[tokio::test]
async fn takes_on_error_for_configured_registries_only() {
    let stage = Stage::start().await;
    let down = closed_port();
    let image = format!("{down}/app:v1");
    let store = trust_store(&stage.key);
    let warns = with(&policy(&down), "spec:\n", "spec:\n  onError: warn\n");
    stage.folder.write("policy.yaml", &format!("{store}---\n{warns}"));
    let configuration = format!(
        "apiVersion: assay.dev/v1alpha1\nkind: Configuration\nregistries: [{{host: \"{down}\", plainHttp: true}}]\n"
    );
    stage.folder.write("assay.yaml", &configuration);
    stage.verify(&[&image]).await.check("not named", 3, &["undecided "], &[]);
    let mut command = stage.folder.assay();
    command.args(["verify", "--policy", "policy.yaml", &image]).env("ASSAY_CONFIG", "assay.yaml");
    finish(&mut command).await.check("named", 0, &["warn ", "REGISTRY_UNREACHABLE"], &[]);
}

/// What `verify` of an image under the documents of these texts ends with.
async fn under(stage: &Stage, documents: &[&str], arguments: &[&str]) -> Ended {
    stage.folder.write("policy.yaml", &documents.join("---\n"));
    stage.verify(arguments).await
}

#[tokio::test]
async fn takes_trust_stores_from_wherever_they_are() {
    let stage = Stage::start().await;
    let image = stage.push("shop/web", Signed::InBundle);
    let pem = stage.key.public_key_pem().unwrap();
    let file = stage.folder.write("keys/cosign.pub", &pem);
    let keyed = |kind: &str, field: &str| {
        let pem: String = pem.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{name: keys, namespace: trust}}\n{field}:\n  cosign.pub: |\n{pem}"
        )
    };
    let policy = policy(&stage.registry.host());
    let (secret, config_map) = (keyed("Secret", "stringData"), keyed("ConfigMap", "data"));
    let of_secret = store_of("{secretRef: {namespace: trust, name: keys, key: cosign.pub}}");
    let of_map = store_of("{configMapRef: {namespace: trust, name: keys, key: cosign.pub}}");
    let stand_in = format!("release-keys={}", file.display());
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("file", &[&policy, &store_of("{file: keys/cosign.pub}")], &[]),
        ("Secret", &[&policy, &of_secret, &secret], &[]),
        ("ConfigMap", &[&policy, &of_map, &config_map], &[]),
        ("stand-in for what is not there", &[&policy], &["--trust-store", &stand_in]),
    ];
    for (name, documents, arguments) in cases {
        let ended = under(&stage, documents, &[&[image.as_str()], arguments].concat()).await;
        ended.check(name, 0, &["allow "], &[]);
    }
    let ended = under(&stage, &[&policy, &of_secret], &[&image]).await;
    ended.check_refused(
        "Secret that is not given",
        &["Secret 'keys' of namespace 'trust'", "--trust-store"],
    );
}

#[tokio::test]
async fn judges_under_the_policies_of_the_namespace() {
    let stage = Stage::start().await;
    let image = stage.push("shop/debug", Signed::Not);
    let own = with(
        &policy(&stage.registry.host()),
        "  name: release-images",
        "  name: own\n  namespace: web",
    );
    let own = with(&own, "ClusterImageAdmissionPolicy", "ImageAdmissionPolicy");
    let key = stage.folder.write("web.pub", &stage.key.public_key_pem().unwrap());
    let stand_in = format!("web/release-keys={}", key.display());
    let arguments = [image.as_str(), "--trust-store", &stand_in];
    let ended = under(&stage, &[&own], &[&arguments[..], &["--namespace", "web"]].concat()).await;
    ended.check("its own", 1, &["[web/own] rules[0]: deny"], &[]);
    let ended = under(&stage, &[&own], &arguments).await;
    ended.check("another", 4, &["no policy covers this image"], &[]);
}

#[tokio::test]
async fn reads_with_dockers_credentials() {
    let credentials = Credentials { user: "user".to_owned(), password: "secret".to_owned() };
    let options = RegistryOptions { auth: Auth::Basic(credentials), ..Default::default() };
    let stage = Stage::with(options).await;
    let image = stage.push("shop/web", Signed::InBundle);
    stage.verify(&[&image]).await.check("none", 1, &["REGISTRY_DENIED"], &[]);
    let host = stage.registry.host();
    let config = json!({"auths": {host: {"auth": "dXNlcjpzZWNyZXQ="}}});
    stage.folder.write("docker/config.json", &config.to_string());
    stage.verify(&[&image]).await.check("Docker's", 0, &["allow "], &[]);
}

/// Images looked at at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn looks_at_so_many_images_at_once_and_reports_in_order() {
    let stage = Stage::start().await;
    let repositories: Vec<String> =
        (0..=AT_ONCE).map(|index| format!("shop/web-{index:02}")).collect();
    let images: Vec<String> =
        repositories.iter().map(|repository| stage.push(repository, Signed::InBundle)).collect();
    let gate = Arc::new(Semaphore::new(0));
    stage.registry.fault(Fault::new("/manifests/v1", Effect::Hold(gate.clone())));
    let images: Vec<&str> = images.iter().map(String::as_str).collect();

    let (ended, ()) = tokio::join!(stage.verify(&images), async {
        let count = || stage.registry.count("/manifests/v1");
        until("all that may be", async || (count() >= AT_ONCE).then_some(())).await;
        assert_eq!(count(), AT_ONCE);
        gate.add_permits(1);
        until("the one past them", async || (count() > AT_ONCE).then_some(())).await;
        gate.close();
    });

    ended.check("all", 0, &[], &[]);
    let shown = ended.stdout.lines().filter_map(|line| line.strip_prefix("allow     "));
    let shown: Vec<&str> = shown
        .filter_map(|line| line.split_once('@')?.0.split_once('/'))
        .map(|(_, repository)| repository)
        .collect();
    assert_eq!(shown, repositories);
}

#[tokio::test]
async fn shows_no_control_characters() {
    let stage = Stage::start().await;
    let ended = in_time(stage.verify(&["app\n\u{1b}[2Jallow   app:v1"])).await;
    ended.check("image", 1, &["deny ", "IMAGE_REFERENCE_INVALID"], &[]);
    assert!(ended.stdout.lines().all(|line| !line.contains(char::is_control)), "{ended:?}");
    assert!(!ended.stdout.contains("\nallow"), "{}", ended.stdout);
}
