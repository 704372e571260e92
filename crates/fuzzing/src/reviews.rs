//! AdmissionReviews: bytes into the whole of the webhook's handler, behind which a judge admits
//! whatever it is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::State;
use assay_core::ports::{AdmissionRecord, Clock, Recorder, ViolationRecord};
use assay_policy::{Object, Plan, Request, Snapshot, Verdict, decide};
use assay_webhook::{Handler, Judge};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};

use crate::json::{at, string_at};

/// AdmissionReviews of requests that a judge may admit.
pub const REVIEWS: &[&str] = &[
    r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"name":"web","namespace":"shop","operation":"CREATE","userInfo":{"username":"alice"},"object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"elsewhere"},"spec":{"containers":[{"name":"web","image":"nginx:1.27"}]}},"oldObject":null,"dryRun":false,"options":{}}}"#,
    r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"2","resource":{"group":"apps","version":"v1","resource":"deployments"},"namespace":"shop","operation":"UPDATE","object":{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"containers":[{"image":"new"}]}}}},"oldObject":{"apiVersion":"apps/v1","kind":"Deployment"},"dryRun":true}}"#,
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"3","operation":"DELETE","object":null,"oldObject":{"kind":7}}}"#,
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"4","operation":"UPDATE","subResource":"status","object":[]}}"#,
];

/// Where an object is judged.
const CHANGES: [&str; 2] = ["CREATE", "UPDATE"];

/// A review is allowed only where the judge was asked, once, about what stands in it; and whatever
/// is answered in a review carries its uid. What is no review is not judged.
pub fn review(data: &[u8]) -> bool {
    let asked = Arc::<Mutex<Vec<Request>>>::default();
    let (status, body) = RUNTIME.with(|runtime| runtime.block_on(answer(data, asked.clone())));
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    if status != StatusCode::OK {
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(asked.is_empty());
        return false;
    }
    let uid = string_at(data, &["request", "uid"]);
    assert_eq!(string_at(&body, &["response", "uid"]), uid);
    assert!(uid.is_some_and(|uid| !uid.is_empty()));
    assert_eq!(string_at(data, &["kind"]).as_deref(), Some("AdmissionReview"));
    // A panic on the way, which the handler contains.
    assert_ne!(at(&body, &["response", "status", "code"]).as_deref(), Some("500"));
    let is_allowed = at(&body, &["response", "allowed"]).as_deref() == Some("true");
    match asked.as_slice() {
        [] => assert!(!is_allowed, "nobody was asked"),
        [request] => check_request(data, request),
        _ => panic!("the judge was asked twice"),
    }
    is_allowed
}

/// What is asked is what stands in the review.
fn check_request(data: &[u8], request: &Request) {
    let text = |member| string_at(data, &["request", member]).unwrap_or_default();
    assert_eq!(
        (text("operation").as_str(), text("namespace")),
        (request.operation.as_str(), request.namespace.clone())
    );
    if !CHANGES.contains(&request.operation.as_str()) || !text("subResource").is_empty() {
        return;
    }
    let written = at(data, &["request", "object"]).and_then(|json| Object::parse(&json).ok());
    let namespace = request.namespace.clone();
    assert_eq!(request.object, written.map(|object| Object { namespace, ..object }));
    assert!(request.object.is_some());
}

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("a runtime");
}

async fn answer(data: &[u8], asked: Arc<Mutex<Vec<Request>>>) -> (StatusCode, Bytes) {
    let handler = Handler::new(Admits(asked), Arc::new(NoTime), Arc::new(NoRecord));
    let request = http::Request::post("/validate?timeout=30s")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::copy_from_slice(data)))
        .expect("a request");
    let (head, body) = handler.respond(request).await.into_parts();
    (head.status, body.collect().await.expect("bytes at hand").to_bytes())
}

/// A judge that keeps what it is asked.
struct Admits(Arc<Mutex<Vec<Request>>>);

impl Judge for Admits {
    async fn judge(&self, request: &Request) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        decide(&Snapshot::default(), &Plan::default(), &[])
    }
}

struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn ticks(&self) -> Duration {
        Duration::ZERO
    }
}

struct NoRecord;

impl Recorder for NoRecord {
    fn admission(&self, _: &AdmissionRecord<'_>) {}
    fn violation(&self, _: &ViolationRecord<'_>) {}
    fn verification(&self, _: &'static str, _: State, _: Duration) {}
    fn registry_request(&self, _: &str, _: &'static str, _: u16, _: Duration) {}
    fn cache_request(&self, _: &'static str, _: bool) {}
    fn coalesced(&self, _: &'static str) {}
}
