//! An API server that holds Secrets and ServiceAccounts, and writes down what it is asked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use assay_api::Configuration;
use assay_testkit::FixedClock;
use futures_util::future::join_all;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::names::NAME_BYTES_MAX;

/// `{"auths":{}}`, in base64.
const CONFIG: &str = "eyJhdXRocyI6e319";

/// What is not found is answered with 404.
#[derive(Clone)]
enum Answer {
    Body(String),
    Never,
    NoConnection,
    Status(u16),
}

struct ApiServer {
    answers: Mutex<BTreeMap<String, Answer>>,
    log: Mutex<Vec<String>>,
    gate: watch::Sender<bool>,
}

struct World {
    server: Arc<ApiServer>,
    clock: Arc<FixedClock>,
    source: LivePullSecrets,
}

impl World {
    /// A world where the pull Secrets of these namespaces are read.
    fn new(grant: &str) -> Self {
        let server = Arc::new(ApiServer {
            answers: Mutex::default(),
            log: Mutex::default(),
            gate: watch::Sender::new(true),
        });
        let serving = server.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = serving.clone();
            async move {
                assert_eq!(request.method(), http::Method::GET);
                server.serve(request.uri().to_string()).await
            }
        });
        let clock = Arc::<FixedClock>::default();
        let shared: Arc<dyn Clock> = clock.clone();
        let client = Client::new(service, "default");
        Self { server, clock, source: LivePullSecrets::new(client, granted(grant), &shared) }
    }

    fn put(&self, path: &str, answer: Answer) {
        self.server.answers.lock().unwrap().insert(format!("/api/v1/namespaces/{path}"), answer);
    }

    /// Puts a Secret of this type.
    fn secret(&self, path: &str, type_: &str, data: &Value) {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "any"},
            "type": type_, "data": data,
        });
        self.put(path, Answer::Body(object.to_string()));
    }

    /// Puts a good pull Secret.
    fn good(&self, path: &str) {
        self.secret(path, "kubernetes.io/dockerconfigjson", &json!({".dockerconfigjson": CONFIG}));
    }

    fn account(&self, path: &str, secrets: &[&str]) {
        let secrets: Vec<_> = secrets.iter().map(|name| json!({"name": name})).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": secrets,
        });
        self.put(path, Answer::Body(object.to_string()));
    }

    async fn ask(&self, identity: &PullIdentity) -> Result<Vec<String>, CredentialError> {
        let secrets = self.source.secrets(identity, "registry.example").await?;
        Ok(secrets.iter().map(|secret| secret.name.clone()).collect())
    }

    /// The Secrets of a pod that names these.
    async fn of(&self, namespace: &str, names: &[&str]) -> Result<Vec<String>, CredentialError> {
        self.ask(&pod(namespace, names)).await
    }

    /// What was asked since the last time.
    fn log(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.server.log.lock().unwrap());
        lines.iter().map(|line| line.replace("/api/v1/namespaces/", "")).collect()
    }
}

impl ApiServer {
    async fn serve(&self, path: String) -> Result<Response<Body>, &'static str> {
        self.log.lock().unwrap().push(path.clone());
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let (status, body) = match answer.unwrap_or(Answer::Status(404)) {
            Answer::Body(body) => (200, body),
            Answer::Never => std::future::pending().await,
            Answer::NoConnection => return Err("connection refused"),
            Answer::Status(code) => (code, "hunter2".to_owned()),
        };
        Ok(Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap())
    }
}

/// A grant as the configuration file has it.
fn granted(grant: &str) -> PullSecrets {
    let text = format!(
        "apiVersion: assay.dev/v1alpha1\nkind: Configuration\ncredentials: {{pullSecrets: {grant}}}"
    );
    Configuration::parse(&text, "assay.yaml".as_ref()).unwrap().pull_secrets
}

fn pod(namespace: &str, names: &[&str]) -> PullIdentity {
    let secrets = names.iter().map(|&name| name.to_owned()).collect();
    PullIdentity { namespace: namespace.to_owned(), secrets, service_account: None }
}

fn template(namespace: &str, account: &str) -> PullIdentity {
    PullIdentity { service_account: Some(account.to_owned()), ..pod(namespace, &[]) }
}

#[tokio::test]
async fn reads_only_what_the_administrator_grants() {
    for (grant, namespace, expect) in [
        ("none", "team", false),
        ("all", "team", true),
        ("{namespaces: [team]}", "team", true),
        ("{namespaces: [team]}", "other", false),
        ("{namespaces: [\"team-*\"]}", "team-a", true),
        ("{namespaces: [\"team-*\"]}", "other", false),
    ] {
        let world = World::new(grant);
        world.good(&format!("{namespace}/secrets/pull"));
        world.account(&format!("{namespace}/serviceaccounts/robot"), &["pull"]);
        let found: &[&str] = if expect { &["pull"] } else { &[] };
        for identity in [pod(namespace, &["pull"]), template(namespace, "robot")] {
            assert_eq!(world.ask(&identity).await.unwrap(), found, "{grant} {namespace}");
        }
        assert_eq!(world.log().is_empty(), !expect, "{grant} {namespace}");
    }
}

#[tokio::test]
async fn reads_by_name_in_the_pods_own_namespace_and_nowhere_else() {
    let world = World::new("all");
    for path in ["a/secrets/one", "a/secrets/two", "b/secrets/one", "b/secrets/three"] {
        world.good(path);
    }
    assert_eq!(world.of("a", &["two", "one", "three"]).await.unwrap(), ["two", "one"]);
    assert_eq!(world.log(), ["a/secrets/two", "a/secrets/one", "a/secrets/three"]);
    for name in ["../../b/secrets/three", "b/three", "three?x", "..", ".", "", "Three", "three%2F"]
    {
        assert_eq!(world.of("a", &[name]).await.unwrap(), [""; 0], "{name}");
        assert_eq!(world.ask(&template("a", name)).await.unwrap(), [""; 0], "{name}");
    }
    for namespace in ["", "a/secrets/one?", ".."] {
        assert_eq!(world.of(namespace, &["one"]).await.unwrap(), [""; 0], "{namespace}");
    }
    assert_eq!(world.log(), [""; 0]);
    for (name, is_name) in [("a".repeat(NAME_BYTES_MAX), true), ("a".repeat(254), false)] {
        assert_eq!(world.of("a", &[&name]).await.unwrap(), [""; 0]);
        assert_eq!(!world.log().is_empty(), is_name);
    }
}

#[tokio::test]
async fn a_template_has_what_its_service_account_gives() {
    let world = World::new("all");
    world.good("a/secrets/one");
    world.good("a/secrets/two");
    world.account("a/serviceaccounts/default", &["two", "", "gone", "one"]);
    world.account("a/serviceaccounts/bare", &[]);
    assert_eq!(world.ask(&template("a", "default")).await.unwrap(), ["two", "one"]);
    let asked = ["serviceaccounts/default", "secrets/two", "secrets/gone", "secrets/one"];
    assert_eq!(world.log(), asked.map(|path| format!("a/{path}")));
    assert_eq!(world.ask(&template("a", "bare")).await.unwrap(), [""; 0]);
    assert_eq!(world.ask(&template("a", "gone")).await.unwrap(), [""; 0]);
    assert_eq!(world.ask(&template("b", "default")).await.unwrap(), [""; 0], "another's account");
}

#[tokio::test]
async fn passes_over_what_is_no_pull_secret() {
    let json_type = "kubernetes.io/dockerconfigjson";
    for (type_, data, expect) in [
        (json_type, json!({".dockerconfigjson": CONFIG}), true),
        ("kubernetes.io/dockercfg", json!({".dockercfg": CONFIG}), true),
        ("kubernetes.io/dockercfg", json!({".dockerconfigjson": CONFIG}), false),
        (json_type, json!({".dockercfg": CONFIG}), false),
        (json_type, json!({".dockerconfigjson": ""}), false),
        (json_type, json!({}), false),
        (json_type, json!(null), false),
        ("Opaque", json!({".dockerconfigjson": CONFIG}), false),
        ("kubernetes.io/service-account-token", json!({"token": CONFIG}), false),
    ] {
        let world = World::new("all");
        world.secret("a/secrets/pull", type_, &data);
        let found = world.source.secrets(&pod("a", &["pull"]), "registry.example").await.unwrap();
        let formats: Vec<_> = found.iter().map(|secret| secret.format).collect();
        let own = FORMATS.iter().find(|(own, _, _)| *own == type_).filter(|_| expect);
        assert_eq!(formats, own.map(|own| own.2).into_iter().collect::<Vec<_>>(), "{type_} {data}");
        assert!(found.iter().all(|secret| secret.bytes == "{\"auths\":{}}"));
    }
}

#[tokio::test]
async fn a_revoked_secret_is_used_for_ten_seconds_at_most() {
    let world = World::new("all");
    world.good("a/secrets/pull");
    world.account("a/serviceaccounts/robot", &["pull"]);
    let (pod, template) = (pod("a", &["pull"]), template("a", "robot"));
    assert_eq!(world.ask(&pod).await.unwrap(), ["pull"]);
    assert_eq!(world.ask(&template).await.unwrap(), ["pull"]);
    world.put("a/secrets/pull", Answer::Status(404));
    world.account("a/serviceaccounts/robot", &["pull", "more"]);
    world.good("a/secrets/more");
    world.clock.advance(OBJECT_TTL - Duration::from_millis(1));
    assert_eq!(world.ask(&pod).await.unwrap(), ["pull"]);
    assert_eq!(world.ask(&template).await.unwrap(), ["pull"]);
    assert_eq!(world.log().len(), 2);

    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask(&pod).await.unwrap(), [""; 0]);
    assert_eq!(world.ask(&template).await.unwrap(), ["more"]);
}

#[tokio::test]
async fn reads_once_for_all_who_ask_at_once() {
    let world = World::new("all");
    world.good("a/secrets/pull");
    let identity = pod("a", &["pull"]);
    let answers = join_all((0..100).map(|_| world.ask(&identity))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == ["pull"]));
    assert_eq!(world.log().len(), 1);
}

/// What is said where the API server answers so, for a Secret and for a ServiceAccount. No error is
/// kept, and none repeats what the API server wrote.
async fn check_error(answer: Answer, is_away: bool, expect: &str) {
    for (identity, path, what) in [
        (pod("a", &["pull"]), "a/secrets/pull", "Secret 'pull'"),
        (template("a", "pull"), "a/serviceaccounts/pull", "ServiceAccount 'pull'"),
    ] {
        let world = World::new("all");
        world.put(path, answer.clone());
        let error = world.ask(&identity).await.unwrap_err();
        let is_unavailable = matches!(error, CredentialError::Unavailable { .. });
        assert_eq!(is_unavailable, is_away, "{expect}");
        let before = "credentials for registry.example: ";
        let shown = format!("{before}{what} of namespace 'a' cannot be read: {expect}");
        assert_eq!(error.to_string(), shown);
        world.good("a/secrets/pull");
        world.account("a/serviceaccounts/pull", &["pull"]);
        assert_eq!(world.ask(&identity).await.unwrap(), ["pull"], "{expect}: error kept");
    }
}

#[tokio::test(start_paused = true)]
async fn tells_why_a_secret_cannot_be_read() {
    let garbage = |text: &str| Answer::Body(text.to_owned());
    check_error(Answer::NoConnection, true, "the API server cannot be reached").await;
    check_error(Answer::Never, true, "the API server did not answer in time").await;
    for (code, is_away) in [(429, true), (500, true), (503, true), (401, false), (403, false)] {
        let advice =
            if code == 403 { ": bind the ClusterRole assay-pull-secret-reader" } else { "" };
        let expect = format!("the API server refuses (HTTP {code}){advice}");
        check_error(Answer::Status(code), is_away, &expect).await;
    }
    check_error(garbage("hunter2"), false, "it does not decode").await;
    check_error(garbage("{\"kind\": \"Pod\"}"), false, "it does not decode").await;
    let long = format!("{:>1$}", "{}", 10);
    let long = long.repeat(OBJECT_BYTES_MAX / 10 + 1);
    check_error(garbage(&long), false, "it exceeds 2097152 bytes").await;
}

#[tokio::test]
async fn one_secret_that_cannot_be_read_is_enough_to_say_nothing() {
    let world = World::new("all");
    world.good("a/secrets/one");
    world.put("a/secrets/two", Answer::Status(503));
    assert!(world.of("a", &["one", "two"]).await.is_err());
    assert!(world.of("a", &["one", "gone"]).await.is_ok());
}

#[tokio::test]
async fn reads_an_answer_up_to_its_bound() {
    for (bytes, expect) in [(OBJECT_BYTES_MAX, true), (OBJECT_BYTES_MAX + 1, false)] {
        let world = World::new("all");
        world.good("a/secrets/pull");
        let Some(Answer::Body(body)) =
            world.server.answers.lock().unwrap().values().next().cloned()
        else {
            panic!("there is a body");
        };
        let padding = " ".repeat(bytes - body.len());
        world.put("a/secrets/pull", Answer::Body(body + &padding));
        assert_eq!(world.of("a", &["pull"]).await.is_ok(), expect, "{bytes}");
    }
}

#[tokio::test]
async fn reads_a_bounded_number_of_secrets() {
    for (count, expect) in [(PULL_SECRETS_MAX, true), (PULL_SECRETS_MAX + 1, false)] {
        let world = World::new("all");
        let names: Vec<String> = (0..count).map(|index| format!("s{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.account("a/serviceaccounts/robot", &names);
        for identity in [pod("a", &names), template("a", "robot")] {
            let answer = world.ask(&identity).await;
            assert_eq!(answer.is_ok(), expect, "{count}");
            let is_unusable = matches!(answer, Err(CredentialError::Unusable { .. }));
            assert_eq!(is_unusable, !expect, "{count}");
        }
    }
}

/// How many reads are under way where so many namespaces each name so many Secrets.
async fn check_reads(namespaces: usize, secrets: usize, expect: usize) {
    let world = World::new("all");
    world.server.gate.send_replace(false);
    let identities: Vec<PullIdentity> = (0..namespaces)
        .flat_map(|namespace| {
            (0..secrets).map(move |secret| pod(&format!("n{namespace}"), &[&format!("s{secret}")]))
        })
        .collect();
    let asks = join_all(identities.iter().map(|identity| world.ask(identity)));
    let gate = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(world.log().len(), expect, "{namespaces} {secrets}");
        world.server.gate.send_replace(true);
    };
    let (answers, ()) = tokio::join!(asks, gate);
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_empty()));
    assert_eq!(world.log().len(), namespaces * secrets - expect);
}

#[tokio::test(start_paused = true)]
async fn reads_a_bounded_number_at_once() {
    check_reads(1, NAMESPACE_READS_MAX, NAMESPACE_READS_MAX).await;
    check_reads(1, NAMESPACE_READS_MAX + 1, NAMESPACE_READS_MAX).await;
    check_reads(READS_MAX, 1, READS_MAX).await;
    check_reads(READS_MAX + 1, 1, READS_MAX).await;
}

#[tokio::test]
async fn keeps_a_bounded_number_of_bytes() {
    let secret = |bytes: usize| {
        let (name, format) = ("pull".to_owned(), PullSecretFormat::DockerCfg);
        Some(Arc::new(PullSecret { name, format, bytes: vec![0; bytes].into() }))
    };
    let room = usize::try_from(KEPT_BYTES_MAX).unwrap() - ENTRY_BYTES;
    for (bytes, kept) in [(room, true), (room + 1, false)] {
        let world = World::new("all");
        let entries = &world.source.secrets.entries;
        let place = Place::new("secrets", &pod("a", &[]), "pull");
        let read = async { Ok(secret(bytes)) };
        assert!(world.source.secrets.get(&place, read).await.is_ok());
        entries.run_pending_tasks().await;
        assert_eq!(entries.get(&place).await.is_some(), kept, "{bytes}");
    }
}
