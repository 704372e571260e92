//! `assay verify -f`: each object as the cluster would judge it, and a workload as its pods.

use crate::support::{Ended, Signed, Stage, with};

/// What `assay verify -f -` and `arguments` make of `manifests`.
async fn verify(stage: &Stage, manifests: &str, arguments: &[&str]) -> Ended {
    let always = ["verify", "--policy", "policy.yaml", "-f", "-"];
    stage.folder.run_with(&[&always, arguments].concat(), manifests).await
}

/// One document of a manifest, after those before it.
fn object(api_version: &str, kind: &str, spec: &str) -> String {
    format!("---\napiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: web}}\nspec: {spec}\n")
}

fn pod_spec(image: &str) -> String {
    format!("{{containers: [{{name: main, image: \"{image}\"}}]}}")
}

fn pod(image: &str) -> String {
    object("v1", "Pod", &pod_spec(image))
}

fn deployment(image: &str) -> String {
    object("apps/v1", "Deployment", &format!("{{template: {{spec: {}}}}}", pod_spec(image)))
}

fn cron_job(image: &str) -> String {
    let template = format!("{{template: {{spec: {}}}}}", pod_spec(image));
    object("batch/v1", "CronJob", &format!("{{jobTemplate: {{spec: {template}}}}}"))
}

fn list(kind: &str, objects: &[String]) -> String {
    let items: Vec<String> =
        objects.iter().map(|object| object.replace("---\n", "- ").replace('\n', "\n  ")).collect();
    format!("---\napiVersion: v1\nkind: {kind}\nitems:\n{}\n", items.join("\n"))
}

const CONFIG_MAP: &str =
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {image: no/reference}\n";

#[tokio::test]
async fn judges_pods_and_the_pods_that_workloads_make() {
    let stage = Stage::start().await;
    let good = &*stage.push("shop/web", Signed::InBundle);
    let bad = &*stage.push("shop/debug", Signed::Not);
    let volume = format!(
        "{{containers: [{{name: main, image: \"{good}\"}}], volumes: [{{name: data, image: {{reference: \"{bad}\"}}}}]}}"
    );
    let mixed = list("List", &[pod(good), deployment(bad)]);
    let all_good = pod(good) + &deployment(good) + &cron_job(good) + CONFIG_MAP;
    let cases: [(&str, &str, i32, &str); 7] = [
        ("all signed", &all_good, 0, "(CronJob web, container \"main\")"),
        ("pod", &pod(bad), 1, "(Pod web, container \"main\")"),
        ("Deployment", &deployment(bad), 1, "(Deployment web, container \"main\")"),
        ("CronJob", &cron_job(bad), 1, "(CronJob web, container \"main\")"),
        ("List", &mixed, 1, "(Deployment web, container \"main\")"),
        ("PodList", &list("PodList", &[pod(bad)]), 1, "(Pod web, container \"main\")"),
        ("volume", &object("v1", "Pod", &volume), 1, "(Pod web, volume \"data\")"),
    ];
    for (name, manifests, code, stdout) in cases {
        verify(&stage, manifests, &[]).await.check(name, code, &[stdout], &[]);
    }
    stage.folder.write("one.yaml", &pod(good));
    stage.folder.write("other.yaml", &pod(bad));
    let ended = stage.verify(&["-f", "one.yaml", "-f", "other.yaml"]).await;
    ended.check("files", 1, &["allow ", "deny "], &[]);
    assert_eq!(ended.stderr, "", "nothing is taken as true");
}

#[tokio::test]
async fn rejects_what_cannot_be_read() {
    let stage = Stage::start().await;
    let good = pod("registry.example/app:v1");
    let cases: [(&str, &str, &[&str]); 5] = [
        ("nothing", "", &["there is no object in the manifests"]),
        ("syntax", &format!("{good}---\na: [\n"), &["-, document 2: line "]),
        ("no kind", &format!("{good}---\na: 1\n"), &["-, document 2: ", "has no"]),
        (
            "containers",
            &object("v1", "Pod", "{containers: main}"),
            &["-, document 1: Pod web: ", "expected a list"],
        ),
        ("item", &list("PodList", &["---\nspec: {}\n".to_owned()]), &["-, document 1: "]),
    ];
    for (name, manifests, stderr) in cases {
        verify(&stage, manifests, &[]).await.check_refused(name, stderr);
    }
    stage.verify(&["-f", "none.yaml"]).await.check_refused("no file", &["none.yaml: No such file"]);
}

#[tokio::test]
async fn tells_what_nothing_judges() {
    let stage = Stage::start().await;
    let bad = &*stage.push("shop/debug", Signed::Not);
    let owned = with(
        &deployment(bad),
        "metadata: {name: web}",
        "metadata: {name: web, ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: x, controller: true}]}",
    );
    let system = with(&pod(bad), "name: web", "name: web, namespace: kube-system");
    let cases: [(&str, &str, &str); 3] = [
        ("exempt", &system, "nothing is judged in namespace 'kube-system'"),
        ("controlled", &owned, "Deployment web is not judged: what controls it is"),
        ("no images", CONFIG_MAP, "there is no pod and no workload in the manifests"),
    ];
    for (name, manifests, stderr) in cases {
        let ended = verify(&stage, manifests, &[]).await;
        ended.check(name, 4, &[], &[stderr]);
        assert_eq!(ended.stdout, "", "{name}");
    }
    let beside = format!("{system}{}", pod(bad));
    verify(&stage, &beside, &[]).await.check("beside", 1, &["deny "], &["'kube-system'"]);
    let ended = verify(&stage, CONFIG_MAP, &["--allow-unmatched", "-o", "json"]).await;
    ended.check("allowed", 0, &["\"images\": []"], &[]);
}

#[tokio::test]
async fn asks_for_the_labels_that_a_policy_needs() {
    let stage = Stage::start().await;
    let selects =
        "spec:\n  match: {namespaceSelector: {matchLabels: {env: prod}}}\n  requireDigest";
    stage.folder.write("policy.yaml", &with(&stage.documents(), "spec:\n  requireDigest", selects));
    let bad = pod(&stage.push("shop/debug", Signed::Not));
    let ended = verify(&stage, &bad, &[]).await;
    ended.check_refused("not given", &["namespace 'default'", "--namespace-label"]);

    let namespace = |environment: &str| {
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default, labels: {{env: {environment}}}}}\n{bad}"
        )
    };
    let cases: [(&str, &str, &[&str], i32); 4] = [
        ("flag", &bad, &["--namespace-label", "env=prod"], 1),
        ("flag of another value", &bad, &["--namespace-label", "env="], 4),
        ("document", &namespace("prod"), &[], 1),
        ("document of another value", &namespace("test"), &[], 4),
    ];
    for (name, manifests, arguments, code) in cases {
        verify(&stage, manifests, arguments).await.check(name, code, &[], &[]);
    }
    let elsewhere = ["--namespace", "web", "--namespace-label", "env=prod"];
    let own = with(&bad, "name: web", "name: web, namespace: shop");
    let ended = verify(&stage, &own, &elsewhere).await;
    ended.check_refused("labels of another", &["namespace 'shop'"]);
}

#[tokio::test]
async fn judges_a_workload_itself_where_a_policy_names_its_kind() {
    let stage = Stage::start().await;
    let selects =
        "spec:\n  match: {kinds: [{apiGroups: [apps], kinds: [Deployment]}]}\n  requireDigest";
    stage.folder.write("policy.yaml", &with(&stage.documents(), "spec:\n  requireDigest", selects));
    let bad = stage.push("shop/debug", Signed::Not);
    verify(&stage, &deployment(&bad), &[]).await.check("Deployment", 1, &["deny "], &[]);
    verify(&stage, &pod(&bad), &[]).await.check("pod", 4, &["no policy covers this image"], &[]);
}
