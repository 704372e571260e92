//! An API server that is a function: each test says what it answers, and counts what it was asked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_testkit::FixedClock;
use futures_util::future::{join_all, pending};
use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;

#[derive(Clone, Copy)]
enum Answer {
    Garbage,
    /// Labels `env=VALUE`.
    Labelled(&'static str),
    Never,
    NoConnection,
    Status(u16),
    Unlabelled,
}

struct ApiServer {
    answer: Mutex<Answer>,
    reads: AtomicUsize,
    clock: Arc<FixedClock>,
    namespaces: LiveNamespaces,
}

impl ApiServer {
    fn new(answer: Answer) -> Arc<Self> {
        Arc::new_cyclic(|server: &std::sync::Weak<Self>| {
            let server = server.clone();
            let service = tower::service_fn(move |request: Request<Body>| {
                let server = server.upgrade().unwrap();
                async move { server.serve(request.uri().path()).await }
            });
            let clock = Arc::new(FixedClock::default());
            Self {
                answer: Mutex::new(answer),
                reads: AtomicUsize::new(0),
                clock: clock.clone(),
                namespaces: LiveNamespaces::new(Client::new(service, "default"), clock),
            }
        })
    }

    async fn serve(&self, path: &str) -> Result<Response<Body>, &'static str> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let name = path.strip_prefix("/api/v1/namespaces/").unwrap();
        let object = |labels| {
            json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "labels": labels},
            })
        };
        let answer = *self.answer.lock().unwrap();
        let (status, body) = match answer {
            Answer::Garbage => (200, json!("<secret>")),
            Answer::Labelled(value) => (200, object(json!({"env": value}))),
            Answer::Never => pending().await,
            Answer::NoConnection => return Err("connection refused"),
            Answer::Status(code) => {
                let status = json!({
                    "apiVersion": "v1", "kind": "Status", "status": "Failure",
                    "code": code, "message": "<secret>", "reason": "<secret>",
                });
                (code, status)
            }
            Answer::Unlabelled => (200, object(json!(null))),
        };
        let response = Response::builder().status(status);
        Ok(response.body(Body::from(body.to_string().into_bytes())).unwrap())
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// The value of the label `env` of `team-a`.
    async fn env(&self) -> Result<Option<String>, String> {
        let labels = self.namespaces.labels("team-a").await;
        labels.map(|labels| labels.get("env").cloned()).map_err(|error| error.to_string())
    }
}

fn env(value: &str) -> Result<Option<String>, String> {
    Ok(Some(value.to_owned()))
}

#[tokio::test]
async fn keeps_labels_for_ten_seconds() {
    let server = ApiServer::new(Answer::Labelled("prod"));
    assert_eq!(server.env().await, env("prod"));

    server.answers(Answer::Labelled("dev"));
    server.clock.advance(LABELS_TTL - Duration::from_nanos(1));
    assert_eq!((server.env().await, server.reads()), (env("prod"), 1));

    server.clock.advance(Duration::from_nanos(1));
    assert_eq!((server.env().await, server.reads()), (env("dev"), 2));
}

#[tokio::test]
async fn forgets_labels_that_can_no_longer_be_read() {
    let server = ApiServer::new(Answer::Labelled("prod"));
    assert_eq!(server.env().await, env("prod"));

    server.clock.advance(LABELS_TTL);
    server.answers(Answer::Status(404));
    assert!(server.env().await.is_err());
}

#[tokio::test]
async fn has_no_labels_for_an_unlabelled_namespace() {
    let server = ApiServer::new(Answer::Unlabelled);
    assert_eq!(server.env().await, Ok(None));
}

#[tokio::test]
async fn keeps_namespaces_apart() {
    let server = ApiServer::new(Answer::Labelled("prod"));
    assert_eq!(server.env().await, env("prod"));

    server.answers(Answer::Labelled("dev"));
    let other = server.namespaces.labels("team-b").await.unwrap();
    assert_eq!(other.get("env").map(String::as_str), Some("dev"));
    assert_eq!(server.env().await, env("prod"));
}

#[tokio::test]
async fn reads_once_for_all_who_ask_at_once() {
    let server = ApiServer::new(Answer::Labelled("prod"));
    let answers = join_all((0..100).map(|_| server.env())).await;
    assert!(answers.iter().all(|answer| *answer == env("prod")));
    assert_eq!(server.reads(), 1);
}

/// No error is kept, and none repeats what the API server wrote.
async fn check_error(answer: Answer, expect: &str) {
    let server = ApiServer::new(answer);
    let message = format!("the labels of namespace 'team-a' cannot be read: {expect}");
    assert_eq!(server.env().await, Err(message));

    server.answers(Answer::Labelled("prod"));
    assert_eq!(server.env().await, env("prod"), "{expect}: error kept");
}

#[tokio::test(start_paused = true)]
async fn tells_why_labels_cannot_be_read() {
    let cases = [
        (Answer::Garbage, "the API server's answer does not decode"),
        (Answer::Never, "the API server did not answer in time"),
        (Answer::NoConnection, "the API server cannot be reached"),
        (Answer::Status(403), "the API server refuses (HTTP 403)"),
        (Answer::Status(404), "there is no such namespace"),
        (Answer::Status(503), "the API server refuses (HTTP 503)"),
    ];
    for (answer, expect) in cases {
        check_error(answer, expect).await;
    }
}

#[tokio::test]
async fn asks_only_for_names_of_namespaces() {
    let longest = "a".repeat(NAME_BYTES_MAX);
    let longer = "a".repeat(NAME_BYTES_MAX + 1);
    let cases = [
        ("a", true),
        ("team-a2", true),
        (&longest, true),
        (&longer, false),
        ("", false),
        ("-a", false),
        ("a-", false),
        ("Team", false),
        ("a.b", false),
        ("a/../pods/b", false),
        ("a?watch=1", false),
        ("a b", false),
        ("ä", false),
    ];
    let server = ApiServer::new(Answer::Unlabelled);
    for (name, expect) in cases {
        let before = server.reads();
        let answer = server.namespaces.labels(name).await;
        assert_eq!(answer.is_ok(), expect, "{name:?}: {answer:?}");
        assert_eq!(server.reads() > before, expect, "{name:?}");
    }
}

#[tokio::test]
async fn keeps_a_bounded_number_of_namespaces() {
    let server = ApiServer::new(Answer::Unlabelled);
    let entries = &server.namespaces.entries;
    for index in 1..=NAMESPACES_MAX + 1 {
        let name = format!("team-{index}");
        assert!(server.namespaces.labels(&name).await.is_ok());
        entries.run_pending_tasks().await;
        assert_eq!(entries.entry_count(), index.min(NAMESPACES_MAX));
    }
}

#[tokio::test]
async fn gives_what_documents_and_flags_say() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut given = GivenNamespaces::default();
    given.give("team-a", [pair("env", "dev"), pair("tier", "1")]);
    given.give("team-a", [pair("env", "prod")]);

    let labels = given.labels("team-a").await.unwrap();
    let expect =
        [pair("env", "prod"), pair("kubernetes.io/metadata.name", "team-a"), pair("tier", "1")];
    assert_eq!(*labels, BTreeMap::from(expect));
    let error = given.labels("team-b").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the labels of namespace 'team-b' cannot be read: \
         give them by --namespace-label or a Namespace document"
    );
}

#[tokio::test]
async fn has_no_labels_without_a_cluster() {
    let error = NoNamespaces.labels("team-a").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the labels of namespace 'team-a' cannot be read: there is no cluster to read it from"
    );
}
