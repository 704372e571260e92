//! From an HTTP request to its answer. What is no AdmissionReview gets an HTTP error; what is one
//! is answered in the review, for an HTTP error would leave the decision to the registration's
//! `failurePolicy`; but for one that comes before the policies are known, which is handed back.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assay_core::ReasonCode;
use assay_core::ports::{Clock, Events, Recorder};
use assay_engine::Executor;
use assay_policy::{Request, Verdict};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::body::{self, BODIES_BYTES_MAX, BODY_BYTES_MAX, BodyError};
use crate::deadline;
use crate::events::refused_pod;
use crate::plain::{not_allowed, retry_later, text};
use crate::record::Answered;
use crate::response::{Answer, Refusal};
use crate::review::{Head, Review};

/// Reviews judged at once; those beyond are refused. An API server lets 200 mutating requests run
/// at once (`--max-mutating-requests-inflight`), or 600 of all kinds by its priorities: this is a
/// few of them, and a rush.
pub const REVIEWS_IN_FLIGHT_MAX: usize = 4_096;

/// How long after its deadline a verdict is still waited for before the review is refused without
/// one: a quarter of what the deadline leaves to the API server.
const GRACE: Duration = Duration::from_millis(300);

/// Judges requests: the engine, or in tests whatever a test says.
pub trait Judge: Send + Sync + 'static {
    /// The verdict on `request`, at its deadline at the latest.
    fn judge(&self, request: &Request) -> impl Future<Output = Verdict> + Send;
}

impl Judge for Arc<Executor> {
    fn judge(&self, request: &Request) -> impl Future<Output = Verdict> + Send {
        Executor::judge(self, request)
    }
}

/// Answers AdmissionReviews. Who may ask is not its affair.
pub struct Handler<J> {
    /// Nobody yet, until the policies are known.
    judge: OnceLock<J>,
    /// A permit for each byte of the bodies that are read or judged.
    room: Arc<Semaphore>,
    /// A permit for each review that is judged.
    slots: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    /// Told of refused pods; nobody where there is no cluster.
    events: OnceLock<Arc<dyn Events>>,
}

/// A review on its way: its bytes, and the ticks that count.
struct Posted {
    body: body::Read,
    _slot: Option<OwnedSemaphorePermit>,
    read_at: Duration,
    deadline: Duration,
    given_up_at: Duration,
}

impl<J: Judge> Handler<J> {
    /// A handler that asks `judge`, with the clock that `judge` has too.
    pub fn new(judge: J, clock: Arc<dyn Clock>, recorder: Arc<dyn Recorder>) -> Arc<Self> {
        let handler = Self::waiting(clock, recorder);
        handler.begin(judge);
        handler
    }

    /// A handler that hands every review back (HTTP 503, which the API server tries again) until it
    /// may [begin](Self::begin).
    pub fn waiting(clock: Arc<dyn Clock>, recorder: Arc<dyn Recorder>) -> Arc<Self> {
        let bounds = (REVIEWS_IN_FLIGHT_MAX, BODIES_BYTES_MAX);
        Self::bounded(OnceLock::new(), clock, recorder, bounds)
    }

    /// Asks `judge` from now on; whoever was given first stays.
    pub fn begin(&self, judge: J) {
        let _ = self.judge.set(judge);
    }

    /// Who is asked; nobody while the handler waits.
    pub fn judge(&self) -> Option<&J> {
        self.judge.get()
    }

    /// Tells `events` from now on of each pod that a verdict refuses, but for dry runs; whoever was
    /// given first stays.
    pub fn tell(&self, events: Arc<dyn Events>) {
        let _ = self.events.set(events);
    }

    fn bounded(
        judge: OnceLock<J>,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
        (reviews_max, bodies_bytes_max): (usize, usize),
    ) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(bodies_bytes_max));
        let slots = Arc::new(Semaphore::new(reviews_max));
        let events = OnceLock::new();
        Arc::new(Self { judge, room, slots, clock, recorder, events })
    }

    /// The answer to a request, in the time that its URL gives. Its path is not looked at.
    pub async fn respond<B>(self: &Arc<Self>, request: http::Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if request.method() != Method::POST {
            return not_allowed("POST");
        }
        if !is_json(request.headers()) {
            let wanted = "the content type must be application/json";
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted);
        }
        let budget = deadline::budget(request.uri().query());
        let deadline = self.clock.ticks().saturating_add(budget);
        let body = timeout(budget, body::read(request.into_body(), &self.room)).await;
        let posted = |body, slot| Posted {
            body,
            _slot: slot,
            read_at: self.clock.ticks(),
            deadline,
            given_up_at: deadline.saturating_add(GRACE.min(budget / 4)),
        };
        let beginning = |head| posted(body::Read::head(head), None);
        match body {
            Ok(Ok(body)) => match self.slots.clone().try_acquire_owned() {
                Ok(slot) => self.review(posted(body, Some(slot))).await,
                Err(_) => self.overloaded(&posted(body, None)),
            },
            Ok(Err(BodyError::Incomplete)) => text(StatusCode::BAD_REQUEST, "the body is cut off"),
            Ok(Err(BodyError::Overloaded(head))) => self.overloaded(&beginning(head)),
            Ok(Err(BodyError::TooLarge(head))) => self.too_large(&beginning(head)),
            Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        }
    }

    /// The answer to a review. It is worked out in a task of its own: a panic there refuses, and a
    /// client that goes away stops nothing.
    async fn review(self: &Arc<Self>, posted: Posted) -> Response<Full<Bytes>> {
        let posted = Arc::new(posted);
        let left = posted.given_up_at.saturating_sub(self.clock.ticks());
        let task = tokio::spawn({
            let (handler, posted) = (self.clone(), posted.clone());
            async move { handler.judged(&posted).await }
        });
        let ending = task.abort_handle();
        match timeout(left, task).await {
            Ok(Ok(response)) => response,
            // What the panic said is not repeated: it may hold parts of the object.
            Ok(Err(_)) => {
                tracing::error!("panic while a review was judged");
                self.unjudged(&posted, Refusal::Internal, ReasonCode::Internal)
            }
            Err(_) => {
                ending.abort();
                self.unjudged(&posted, Refusal::Timeout, ReasonCode::Timeout)
            }
        }
    }

    async fn judged(&self, posted: &Posted) -> Response<Full<Bytes>> {
        let Review { head, request } = match Review::parse(&posted.body.bytes, posted.deadline) {
            Ok(review) => review,
            Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        match request {
            Ok(request) => {
                let Some(judge) = self.judge.get() else {
                    return retry_later("waiting for the cluster's policies");
                };
                let verdict = judge.judge(&request).await;
                let answer = Answer::of(&verdict, &head.id);
                if let Some(events) = self.events.get() {
                    let refused = refused_pod(&posted.body.bytes, &head, &answer, &verdict);
                    refused.into_iter().for_each(|refused| events.refused(refused));
                }
                self.send(posted, &head, &answer, Some(&verdict))
            }
            Err(cause) => {
                let cause = cause.to_string();
                let answer = Answer::refused(Refusal::Unjudgeable, &cause, &head.id);
                self.send(posted, &head, &answer, None)
            }
        }
    }

    fn overloaded(&self, posted: &Posted) -> Response<Full<Bytes>> {
        self.unjudged(posted, Refusal::Overloaded, ReasonCode::Overloaded)
    }

    fn too_large(&self, posted: &Posted) -> Response<Full<Bytes>> {
        let limit = BODY_BYTES_MAX / (1024 * 1024);
        let cause = format!("the AdmissionReview is larger than {limit} MiB");
        self.refused(posted, Refusal::TooLarge, cause)
    }

    /// The answer to a review that was not judged.
    fn unjudged(
        &self,
        posted: &Posted,
        refusal: Refusal,
        code: ReasonCode,
    ) -> Response<Full<Bytes>> {
        let cause = format!("{code}: the request was not judged: {}", code.remediation());
        self.refused(posted, refusal, cause)
    }

    /// The refusal of a review of which only the beginning is looked at: in the review, or as an
    /// HTTP error where there is no uid to answer with.
    fn refused(&self, posted: &Posted, refusal: Refusal, cause: String) -> Response<Full<Bytes>> {
        let Some(head) = Head::scan(&posted.body.bytes) else {
            return text(refusal.http_status(), cause);
        };
        let answer = Answer::refused(refusal, &cause, &head.id);
        self.send(posted, &head, &answer, None)
    }

    /// The answer as HTTP, once it is logged and counted.
    fn send(
        &self,
        posted: &Posted,
        head: &Head,
        answer: &Answer,
        verdict: Option<&Verdict>,
    ) -> Response<Full<Bytes>> {
        let elapsed = self.clock.ticks().saturating_sub(posted.read_at);
        let answered = Answered { head, answer, verdict, elapsed };
        answered.log(self.clock.now());
        answered.count(&*self.recorder);
        match answer.to_json(head) {
            Ok(json) => {
                let mut response = Response::new(Full::new(json.into()));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// Whether the body is said to be JSON, whatever the parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let written = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = written.and_then(|value| value.split(';').next());
    media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests;
