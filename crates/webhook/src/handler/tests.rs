use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use assay_core::ports::{ObjectReference, RefusedPod};
use assay_policy::{Decision, Effect, PolicyVerdict, Violation};
use assay_testkit::FixedClock;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::testing::{
    ID, Puppet, Record, UID, admit, image, keep_log, pod, policy, review, take_log, verdict,
};

struct Setup {
    handler: Arc<Handler<Puppet>>,
    record: Arc<Record>,
}

fn setup(judge: Puppet) -> Setup {
    bounded(judge, (REVIEWS_IN_FLIGHT_MAX, BODIES_BYTES_MAX))
}

fn bounded(judge: Puppet, bounds: (usize, usize)) -> Setup {
    keep_log();
    let record = Arc::new(Record::default());
    let clock = Arc::new(FixedClock::default());
    let handler = Handler::bounded(judge.into(), clock, record.clone(), bounds);
    handler.tell(record.clone());
    Setup { handler, record }
}

fn post(body: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
    let request = http::Request::post("/validate?timeout=10s");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request.body(Full::new(body.into())).unwrap()
}

impl Setup {
    /// The answer's status and body.
    async fn ask<B>(&self, request: http::Request<B>) -> (u16, String)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let response = self.handler.respond(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }

    /// The `response` of the AdmissionReview that answers `body`.
    async fn review(&self, body: Vec<u8>) -> Value {
        let (status, body) = self.ask(post(body)).await;
        assert_eq!(status, 200, "{body}");
        let review: Value = serde_json::from_str(&body).unwrap();
        review["response"].clone()
    }
}

fn refused(code: u16, reason: &str, message: &str) -> Value {
    let decision = if [403, 413].contains(&code) { "deny" } else { "error" };
    json!({
        "uid": UID,
        "allowed": false,
        "status": {"code": code, "reason": reason, "message": message},
        "auditAnnotations": {"decision": decision},
    })
}

#[tokio::test]
async fn admits_what_the_judge_admits() {
    let setup = setup(Puppet::Admits);
    let answer = setup.review(review(|_| {})).await;
    let expect = json!({"uid": UID, "allowed": true, "auditAnnotations": {"decision": "allow"}});
    assert_eq!(answer, expect);
    assert_eq!(setup.record.lines(), ["pods CREATE allow false miss 0ns"]);
}

#[tokio::test]
async fn hands_reviews_back_until_there_is_a_judge() {
    let record = Arc::new(Record::default());
    let handler = Handler::waiting(Arc::new(FixedClock::default()), record.clone());
    let setup = Setup { handler, record };
    let response = setup.handler.respond(post(review(|_| {}))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    check("no review", setup.ask(post("hello")).await, 400, "the body is no AdmissionReview");
    assert_eq!(setup.record.lines(), Vec::<String>::new());

    setup.handler.begin(Puppet::Admits);
    setup.handler.begin(Puppet::Panics);
    assert_eq!(setup.review(review(|_| {})).await["allowed"], true);
}

#[tokio::test]
async fn counts_what_the_judge_denies() {
    let unsigned = || Violation {
        verifier: Some("release-signature".into()),
        code: ReasonCode::SignatureNotFound,
        message: "no signature by a key of release-keys".to_owned(),
    };
    let policies = vec![
        policy("advice", Effect::Warn, vec![unsigned()]),
        policy("quiet", Effect::Dryrun, vec![unsigned()]),
        policy("lenient", Effect::Allow, vec![unsigned()]),
        policy("release-images", Effect::Deny, vec![unsigned()]),
    ];
    let denied = verdict(Decision::Deny, vec![image("busybox", policies)]);
    let setup = setup(Puppet::says(denied));
    let answer = setup.review(review(|request| request["dryRun"] = json!(true))).await;
    assert_eq!(answer["allowed"], false);
    let expect = [
        "pods CREATE deny true miss 0ns",
        "shop advice warn SIGNATURE_NOT_FOUND docker.io",
        "shop quiet dryrun SIGNATURE_NOT_FOUND docker.io",
        "shop release-images deny SIGNATURE_NOT_FOUND docker.io",
    ];
    assert_eq!(setup.record.lines(), expect);
}

fn refuses() -> Puppet {
    let violation = |code| Violation { verifier: None, code, message: "not here".to_owned() };
    let policies = vec![
        policy("b", Effect::Deny, vec![violation(ReasonCode::ImageDenied)]),
        policy("advice", Effect::Warn, vec![violation(ReasonCode::ImageDenied)]),
        policy("a", Effect::Undecided, vec![violation(ReasonCode::Timeout)]),
    ];
    Puppet::says(verdict(Decision::Deny, vec![image("busybox", policies)]))
}

/// What is told of the pod in the review with `change` made to its request, under [`refuses`].
async fn told(change: impl FnOnce(&mut Value)) -> Vec<RefusedPod> {
    let setup = setup(refuses());
    assert_eq!(setup.review(review(change)).await["allowed"], false);
    setup.record.refused()
}

fn reference(api_version: &str, kind: &str, name: &str, uid: &str) -> ObjectReference {
    let [api_version, kind, name, uid] = [api_version, kind, name, uid].map(str::to_owned);
    ObjectReference { api_version, kind, name, uid }
}

#[tokio::test]
async fn tells_of_refused_pods() {
    let owned = |request: &mut Value| {
        let owner = |kind: &str, controller: Value| {
            json!({"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u",
                   "controller": controller})
        };
        let owners = json!([
            owner("A", json!(null)),
            owner("B", json!(false)),
            owner("ReplicaSet", json!(true)),
            owner("C", json!(true))
        ]);
        request["object"]["metadata"]["ownerReferences"] = owners;
        request["object"]["metadata"]["uid"] = json!("pod-uid");
    };
    let message = {
        let setup = setup(refuses());
        setup.review(review(|_| {})).await["status"]["message"].as_str().unwrap().to_owned()
    };
    let expect = RefusedPod {
        namespace: "shop".to_owned(),
        pod: reference("v1", "Pod", "web", ""),
        controller: Some(reference("apps/v1", "ReplicaSet", "o", "u")),
        cause: "a TIMEOUT,b IMAGE_DENIED".to_owned(),
        message,
    };
    assert!(expect.message.contains(ID), "{expect:?}");
    assert_eq!(told(owned).await, std::slice::from_ref(&expect));
    let bare = RefusedPod { controller: None, ..expect.clone() };
    assert_eq!(told(|_| {}).await, [bare]);
    let exists = RefusedPod { pod: reference("v1", "Pod", "web", "pod-uid"), ..expect };
    let update = |request: &mut Value| {
        owned(request);
        request["operation"] = json!("UPDATE");
    };
    assert_eq!(told(update).await, [exists]);
}

#[tokio::test]
async fn tells_of_nothing_else() {
    assert_eq!(told(|request| request["dryRun"] = json!(true)).await, []);
    let workload = |request: &mut Value| {
        let resource = json!({"group": "apps", "version": "v1", "resource": "deployments"});
        request["resource"] = resource;
    };
    assert_eq!(told(workload).await, []);
    let setup = setup(Puppet::Admits);
    setup.review(review(|_| {})).await;
    assert_eq!(setup.record.refused(), []);
}

#[tokio::test]
async fn refuses_in_the_review_what_cannot_be_judged() {
    let setup = setup(Puppet::Admits);
    let answer = setup.review(review(|request| request["object"]["kind"] = json!(null))).await;
    let message = format!("the object cannot be judged: the object has no kind (request {ID})");
    assert_eq!(answer, refused(403, "Forbidden", &message));
    assert_eq!(setup.record.lines(), ["pods CREATE deny false none 0ns"]);
}

#[tokio::test]
async fn refuses_in_the_review_where_the_judge_panics() {
    let setup = setup(Puppet::Panics);
    let answer = setup.review(review(|_| {})).await;
    let message = format!(
        "INTERNAL: the request was not judged: report the request id to the platform's owners \
         (request {ID})"
    );
    assert_eq!(answer, refused(500, "InternalError", &message));
    assert_eq!(setup.record.lines(), ["other  error false none 0ns"]);
    let log = take_log();
    assert!(log.contains("panic while a review was judged"), "{log}");
    assert!(!log.contains("as told"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn refuses_in_the_review_where_no_verdict_comes() {
    let setup = setup(Puppet::Hangs);
    let start = tokio::time::Instant::now();
    let answer = setup.review(review(|_| {})).await;
    let message = format!("TIMEOUT: the request was not judged: try again shortly (request {ID})");
    assert_eq!(answer, refused(503, "ServiceUnavailable", &message));
    assert_eq!(start.elapsed(), Duration::from_millis(8_800 + 300));
}

#[tokio::test(start_paused = true)]
async fn answers_before_even_a_short_timeout() {
    let setup = setup(Puppet::Hangs);
    let mut request = post(review(|_| {}));
    *request.uri_mut() = "/validate?timeout=1s".parse().unwrap();
    let start = tokio::time::Instant::now();
    setup.ask(request).await;
    assert_eq!(start.elapsed(), Duration::from_millis(500 + 125));
}

#[track_caller]
fn check(name: &str, (status, body): (u16, String), expect: u16, text: &str) {
    assert_eq!(status, expect, "{name}: {body}");
    assert!(body.contains(text), "{name}: {body}");
}

#[tokio::test]
async fn rejects_requests_that_are_no_reviews() {
    let setup = setup(Puppet::Admits);
    let good = || review(|_| {});
    let by = |method: Method| {
        let mut request = post(good());
        *request.method_mut() = method;
        request
    };
    let typed = |media_type: Option<&'static str>| {
        let mut request = post(good());
        request.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(media_type) = media_type {
            let media_type = HeaderValue::from_static(media_type);
            request.headers_mut().insert(header::CONTENT_TYPE, media_type);
        }
        request
    };
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        check(method.as_str(), setup.ask(by(method.clone())).await, 405, "only POST");
    }
    for media_type in [None, Some("text/plain"), Some("application/jsonx"), Some("")] {
        let answer = setup.ask(typed(media_type)).await;
        check("type", answer, 415, "the content type must be application/json");
    }
    let half = Bytes::from(good()).slice(..200);
    check("empty", setup.ask(post("")).await, 400, "the body is empty");
    check("malformed", setup.ask(post("hello")).await, 400, "the body is no AdmissionReview");
    check("cut off", setup.ask(post(half)).await, 400, "the body is no AdmissionReview: EOF");
    assert_eq!(setup.record.lines(), Vec::<String>::new());

    check("good", setup.ask(post(good())).await, 200, UID);
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        check(media_type, setup.ask(typed(Some(media_type))).await, 200, UID);
    }
}

#[tokio::test]
async fn refuses_a_large_review_in_the_review_where_its_uid_is_known() {
    let setup = setup(Puppet::Admits);
    let over = vec![b' '; BODY_BYTES_MAX + 1];
    let mut with_uid = over.clone();
    let head = format!(r#"{{"request":{{"uid":"{UID}","#);
    with_uid[..head.len()].copy_from_slice(head.as_bytes());

    let message = format!("the AdmissionReview is larger than 7 MiB (request {ID})");
    assert_eq!(setup.review(with_uid).await, refused(413, "RequestEntityTooLarge", &message));
    assert_eq!(setup.record.lines(), ["other  deny false none 0ns"]);
    check("no uid", setup.ask(post(over)).await, 413, "larger than 7 MiB");
}

/// A judge that says when it is asked and goes on when it may, with the ends to hear and tell it.
fn waits() -> (Puppet, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let may = Arc::new(Semaphore::new(0));
    (Puppet::Waits(asked, may.clone()), was_asked, may)
}

#[tokio::test]
async fn refuses_in_the_review_what_is_over_capacity() {
    let message =
        format!("OVERLOADED: the request was not judged: try again shortly (request {ID})");
    let overloaded = refused(429, "TooManyRequests", &message);
    let size = review(|_| {}).len();
    for (name, bounds) in [("reviews", (2, 3 * size)), ("bytes", (3, 2 * size))] {
        let (judge, mut was_asked, may) = waits();
        let setup = bounded(judge, bounds);
        let both =
            async { tokio::join!(setup.review(review(|_| {})), setup.review(review(|_| {}))) };
        let third = async {
            for _ in 0..2 {
                was_asked.recv().await.unwrap();
            }
            assert_eq!(setup.review(review(|_| {})).await, overloaded, "{name}");
            assert_eq!(setup.record.lines(), ["other  error false none 0ns"]);
            let no_review = setup.ask(post(vec![b' '; size])).await;
            check(name, no_review, 429, "OVERLOADED: the request was not judged");
            may.add_permits(3);
        };
        let ((first, second), ()) = tokio::join!(both, third);
        assert_eq!((&first["allowed"], &second["allowed"]), (&json!(true), &json!(true)));
        assert_eq!(setup.review(review(|_| {})).await["allowed"], true, "{name}: room again");
    }
}

/// A body that breaks off, or never goes on.
struct Stuck {
    breaks: bool,
}

impl Body for Stuck {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.breaks {
            true => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            false => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_bodies_that_do_not_end() {
    let setup = setup(Puppet::Admits);
    let stuck = |breaks| post("").map(|_| Stuck { breaks });
    check("broken off", setup.ask(stuck(true)).await, 400, "the body is cut off");
    let start = tokio::time::Instant::now();
    check("stuck", setup.ask(stuck(false)).await, 408, "the body did not arrive in time");
    assert_eq!(start.elapsed(), Duration::from_millis(8_800));
}

/// The log line of a review that is judged so.
async fn log_line(judge: Puppet) -> Value {
    let body = review(|request| {
        request["operation"] = json!("UPDATE");
        request["oldObject"] = pod("other");
    });
    take_log();
    setup(judge).review(body).await;
    let text = take_log();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn logs_one_line_per_review_and_reports_what_there_is_to_say() {
    let unsigned = Violation {
        verifier: None,
        code: ReasonCode::SignatureNotFound,
        message: "no signature".to_owned(),
    };
    let denied = policy("release-images", Effect::Deny, vec![unsigned]);
    let good = image("good", vec![policy("release-images", Effect::Allow, Vec::new())]);
    let bad = image("bad", vec![denied]);
    let subjects = format!("{},{}", good.subject, bad.subject);
    let line = log_line(Puppet::says(verdict(Decision::Deny, vec![good, bad]))).await;

    assert_eq!(
        (&line["level"], &line["target"]),
        (&json!("INFO"), &json!("assay_webhook::record"))
    );
    let mut fields = line["fields"].clone();
    let report: Value = serde_json::from_str(fields["report"].as_str().unwrap()).unwrap();
    assert_eq!(report[0]["image"], "bad");
    assert_eq!(report[0]["traceID"], ID);
    assert_eq!(report.as_array().unwrap().len(), 1);
    fields.as_object_mut().unwrap().remove("report");
    let expect = json!({
        "message": "answered", "request_id": ID, "uid": UID, "namespace": "shop", "name": "web",
        "resource": "pods", "operation": "UPDATE", "dry_run": false, "decision": "deny",
        "refusal": "403 Forbidden", "images": subjects, "cache": "miss", "elapsed_ms": 0.0,
    });
    assert_eq!(fields, expect);

    let admitted = log_line(Puppet::says(verdict(admit(), Vec::new()))).await;
    assert_eq!(admitted["fields"]["decision"], "allow");
    assert_eq!(admitted["fields"]["report"], json!(null));

    let warned = async |code| {
        let warnings = vec![code];
        let warns = PolicyVerdict { warnings, ..policy("audited", Effect::Allow, Vec::new()) };
        let line = log_line(Puppet::says(verdict(admit(), vec![image("old", vec![warns])]))).await;
        line["fields"]["report"].clone()
    };
    let report = warned(ReasonCode::SignatureExpired).await;
    let report: Value = serde_json::from_str(report.as_str().unwrap()).unwrap();
    assert_eq!(report[0]["policies"][0]["warnings"][0]["code"], "SIGNATURE_EXPIRED");
    assert_eq!(warned(ReasonCode::DigestRequired).await, json!(null), "it is said of most");
}

#[tokio::test]
async fn bounds_the_log_line_by_bytes() {
    let violation =
        |message: String| Violation { verifier: None, code: ReasonCode::ImageDenied, message };
    let images = ["x".repeat(8), "x".repeat(100_000)].map(|text| {
        let denied = policy("p", Effect::Deny, vec![violation(text.clone())]);
        image(&text, vec![denied])
    });
    let line = log_line(Puppet::says(verdict(Decision::Deny, images.into()))).await;
    let report: Value = serde_json::from_str(line["fields"]["report"].as_str().unwrap()).unwrap();
    assert_eq!(report.as_array().unwrap().len(), 1, "the one that fits");
    assert!(line["fields"]["images"].as_str().unwrap().ends_with(",…"));
}

/// A client that goes away: the verdict is made and logged all the same.
#[tokio::test]
async fn judges_on_when_the_client_goes_away() {
    let (judge, mut was_asked, may) = waits();
    let setup = setup(judge);
    let client = {
        let handler = setup.handler.clone();
        tokio::spawn(async move { handler.respond(post(review(|_| {}))).await })
    };
    was_asked.recv().await.unwrap();
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    may.add_permits(1);
    while setup.record.lines().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.record.lines(), ["pods CREATE allow false miss 0ns"]);
}
