//! What a registry does wrong, as a table: a [`Fault`] says which requests, how often, and which
//! [`Effect`]s. What the HTTP library here will not send is for [`crate::RawServer`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio::time::Interval;

/// A rule of the fault table. Challenges and token requests are requests like any other: where they
/// would use up the turns, name a narrower path.
#[derive(Debug, Clone)]
pub struct Fault {
    method: Option<Method>,
    path: String,
    turns: Option<usize>,
    effects: Vec<Effect>,
}

/// One thing that goes wrong with an answer.
#[derive(Debug, Clone)]
pub enum Effect {
    /// After this many bytes of the body the connection ends, short of the declared length.
    CutAfter(usize),
    /// The answer comes this much later.
    Delay(Duration),
    /// The body comes byte by byte, with this much time between two.
    Drip(Duration),
    /// The body is spaces without end, its length undeclared.
    EndlessBody,
    /// This header in place of the true one: `Docker-Content-Digest`, `Content-Type`, `Link`, ….
    Header(HeaderName, HeaderValue),
    /// The answer waits for a permit; each passing uses one up. Closing the semaphore lets all pass.
    Hold(Arc<Semaphore>),
    /// 307 to this URL.
    Redirect(HeaderValue),
    /// The connection ends with no answer.
    Reset,
    /// This status, with these headers and this body, in place of the whole answer.
    Status(StatusCode, Vec<(HeaderName, HeaderValue)>, Bytes),
    /// This body under the true headers, its length apart.
    WrongBody(Bytes),
}

impl Fault {
    /// A fault on every request, for ever, whose path and query contain `path`.
    pub fn new(path: impl Into<String>, effect: Effect) -> Self {
        Self { method: None, path: path.into(), turns: None, effects: vec![effect] }
    }

    /// The same on this method only.
    #[must_use]
    pub fn on(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The same for the first `turns` matching requests only.
    #[must_use]
    pub fn times(self, turns: usize) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// The same and then, to the answer as it is by then, `effect`.
    #[must_use]
    pub fn and(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Uses up a turn if this request matches and one is left.
    fn take(&mut self, method: &Method, path: &str) -> bool {
        let matches = self.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.contains(&self.path)
            && self.turns != Some(0);
        if matches {
            self.turns = self.turns.map(|turns| turns - 1);
        }
        matches
    }
}

/// The effects of the first fault that takes this request.
pub(super) fn effects(faults: &mut [Fault], method: &Method, path: &str) -> Vec<Effect> {
    let taken = faults.iter_mut().find_map(|fault| fault.take(method, path).then_some(fault));
    taken.map(|fault| fault.effects.clone()).unwrap_or_default()
}

impl Effect {
    /// The answer as this effect leaves it; an error ends the connection.
    pub(super) async fn apply(
        self,
        mut response: Response<FaultyBody>,
    ) -> io::Result<Response<FaultyBody>> {
        match self {
            Self::CutAfter(bytes) => {
                let declared = HeaderValue::from(response.body().bytes.len());
                response.headers_mut().insert(header::CONTENT_LENGTH, declared);
                response.body_mut().cut_after(bytes);
            }
            Self::Delay(delay) => tokio::time::sleep(delay).await,
            Self::Drip(pause) => response.body_mut().pace = Some(tokio::time::interval(pause)),
            Self::EndlessBody => response.body_mut().rest = Rest::Endless,
            Self::Header(name, value) => {
                response.headers_mut().insert(name, value);
            }
            Self::Hold(gate) => {
                if let Ok(permit) = gate.acquire().await {
                    permit.forget();
                }
            }
            Self::Redirect(url) => {
                let headers = vec![(header::LOCATION, url)];
                response = status(StatusCode::TEMPORARY_REDIRECT, headers, Bytes::new());
            }
            Self::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
            Self::Status(code, headers, body) => response = status(code, headers, body),
            Self::WrongBody(body) => *response.body_mut() = body.into(),
        }
        Ok(response)
    }
}

fn status(
    code: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Response<FaultyBody> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().extend(headers);
    response
}

/// A body that may end badly, or not at all.
#[derive(Debug)]
pub(super) struct FaultyBody {
    bytes: Bytes,
    rest: Rest,
    /// When the next byte may go, where they go one by one.
    pace: Option<Interval>,
}

#[derive(Debug)]
enum Rest {
    /// An orderly end.
    End,
    /// An error, once the bytes before it were given time to leave.
    Cut { flushed: bool },
    /// Spaces, which no JSON parser ever minds.
    Endless,
}

impl From<Bytes> for FaultyBody {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, rest: Rest::End, pace: None }
    }
}

impl FaultyBody {
    fn cut_after(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.rest = Rest::Cut { flushed: false };
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.bytes.is_empty() {
            let mut size = self.bytes.len();
            if let Some(pace) = &mut self.pace {
                ready!(pace.poll_tick(context));
                size = 1;
            }
            let bytes = self.bytes.split_to(size);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.rest {
            Rest::End => Poll::Ready(None),
            // hyper drops what it has buffered when a body fails, so let it flush first.
            Rest::Cut { flushed } if !*flushed => {
                *flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Rest::Cut { .. } => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            Rest::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(SPACES))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && matches!(self.rest, Rest::End)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::End => SizeHint::with_exact(self.bytes.len() as u64),
            Rest::Cut { .. } | Rest::Endless => SizeHint::default(),
        }
    }
}

/// A piece of an endless body.
const SPACES: &[u8] = &[b' '; 16 * 1024];
