//! Reads a request's body, within bounds: of each, and of all together.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of an AdmissionReview: the API server takes objects of 3 MiB, and a review may hold the
/// old one beside the new (controller-runtime has the same limit).
pub const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;

/// Bytes of all bodies that are read or judged at once: nine of the largest, or thousands of the
/// usual few KiB, well within the memory of a small pod.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes read and thrown away of a body that is refused: who is still sending when the answer comes
/// may never read it.
const DRAINED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a refused body that are kept, to find the review's uid in: the API server writes it
/// within the first 200.
const HEAD_BYTES: usize = 4 * 1024;

/// A whole body. What it takes of the room for all bodies is given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke off.
    Incomplete,
    /// There is no room for it beside the others; it begins like this.
    Overloaded(Bytes),
    /// It has more than [`BODY_BYTES_MAX`] bytes, and begins like this.
    TooLarge(Bytes),
}

impl Read {
    /// What is known of a body that was not read as a whole: how it begins.
    pub(crate) fn head(bytes: Bytes) -> Self {
        Self { bytes, _room: None }
    }
}

/// The whole of `body`, each byte of which takes a permit of `room`, as it comes: whoever announces
/// much and sends little takes little.
pub(crate) async fn read<B>(mut body: B, room: &Arc<Semaphore>) -> Result<Read, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut bytes, mut held) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            drop(held);
            return Err(BodyError::TooLarge(drain(body, bytes, &data).await));
        }
        let Some(taken) = take(room, data.len()) else {
            drop(held);
            return Err(BodyError::Overloaded(drain(body, bytes, &data).await));
        };
        match &mut held {
            None => held = Some(taken),
            Some(held) => held.merge(taken),
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Read { bytes: bytes.into(), _room: held })
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(bytes).ok()?;
    room.clone().try_acquire_many_owned(bytes).ok()
}

/// How a body begins of which `read` and `next` are known; the rest of it is thrown away.
async fn drain<B>(mut body: B, read: Vec<u8>, next: &[u8]) -> Bytes
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut head, mut drained) = (Vec::with_capacity(HEAD_BYTES), 0);
    let mut keep = |data: &[u8]| {
        let wanted = HEAD_BYTES.saturating_sub(head.len()).min(data.len());
        head.extend(data.iter().take(wanted));
    };
    keep(&read);
    keep(next);
    drop(read);
    while drained < DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        let Some(data) = frame.data_ref() else { continue };
        keep(data);
        drained += data.len();
    }
    head.into()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    const PIECE: usize = 64 * 1024;

    /// A body of this many bytes, in pieces, that may break off before its end.
    struct Pieces {
        left: usize,
        breaks: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            let size = self.left.min(PIECE);
            self.left -= size;
            Poll::Ready(match (size, self.breaks) {
                (0, false) => None,
                (0, true) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                _ => Some(Ok(Frame::data(vec![b'x'; size].into()))),
            })
        }
    }

    fn room(bytes: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(bytes))
    }

    /// How many bytes are read of a body of this many, or why none are.
    async fn read_of(size: usize, room: &Arc<Semaphore>) -> Result<usize, BodyError> {
        read(Pieces { left: size, breaks: false }, room).await.map(|read| read.bytes.len())
    }

    #[tokio::test]
    async fn reads_up_to_the_limit() {
        for size in [0, 1, PIECE + 1, BODY_BYTES_MAX] {
            assert_eq!(read_of(size, &room(BODIES_BYTES_MAX)).await, Ok(size));
        }
    }

    #[tokio::test]
    async fn shares_the_room_and_gives_it_back() {
        let size = PIECE + 1;
        let room = room(2 * size);
        let pieces = || Pieces { left: size, breaks: false };
        let first = read(pieces(), &room).await.unwrap();
        let second = read(pieces(), &room).await.unwrap();
        assert_eq!(room.available_permits(), 0);
        let head = || Err(BodyError::Overloaded(Bytes::from(vec![b'x'; HEAD_BYTES])));
        assert_eq!(read_of(size, &room).await, head());
        drop((first, second));
        assert_eq!(read_of(2 * size, &room).await, Ok(2 * size));
        assert_eq!(read_of(2 * size + 1, &room).await, head());
        assert_eq!(room.available_permits(), 2 * size);
    }

    #[tokio::test]
    async fn keeps_the_head_where_there_is_no_room_at_all() {
        let body = http_body_util::Full::new(Bytes::from_static(b"a review"));
        let error = read(body, &room(0)).await.unwrap_err();
        assert_eq!(error, BodyError::Overloaded(Bytes::from_static(b"a review")));
    }

    #[tokio::test]
    async fn keeps_the_head_of_what_is_larger() {
        for size in [BODY_BYTES_MAX + 1, BODY_BYTES_MAX + DRAINED_BYTES_MAX + PIECE] {
            let head = Bytes::from(vec![b'x'; HEAD_BYTES]);
            let room = room(BODIES_BYTES_MAX);
            assert_eq!(read_of(size, &room).await, Err(BodyError::TooLarge(head)));
            assert_eq!(room.available_permits(), BODIES_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn rejects_what_breaks_off() {
        let body = Pieces { left: 10, breaks: true };
        assert_eq!(read(body, &room(10)).await.unwrap_err(), BodyError::Incomplete);
    }
}
