//! Reads a request's body, within bounds.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

/// Bytes of an AdmissionReview: the API server takes objects of 3 MiB, and a review may hold the
/// old one beside the new (controller-runtime has the same limit).
pub const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;

/// Bytes read and thrown away after a body proved too large: who is still sending when the answer
/// comes may never read it.
const DRAINED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a too large body that are kept, to find the review's uid in.
const HEAD_BYTES: usize = 64 * 1024;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke off.
    Incomplete,
    /// It has more than [`BODY_BYTES_MAX`] bytes, of which these are the first.
    TooLarge(Bytes),
}

/// The whole of `body`.
pub(crate) async fn read<B>(mut body: B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
            bytes.truncate(HEAD_BYTES);
            drain(body).await;
            return Err(BodyError::TooLarge(bytes.into()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut drained = 0;
    while drained < DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
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

    #[tokio::test]
    async fn reads_up_to_the_limit() {
        for size in [0, 1, PIECE + 1, BODY_BYTES_MAX] {
            let body = read(Pieces { left: size, breaks: false }).await;
            assert_eq!(body.map(|bytes| bytes.len()), Ok(size));
        }
    }

    #[tokio::test]
    async fn keeps_the_head_of_what_is_larger() {
        for size in [BODY_BYTES_MAX + 1, BODY_BYTES_MAX + DRAINED_BYTES_MAX + PIECE] {
            let head = Bytes::from(vec![b'x'; HEAD_BYTES]);
            let body = read(Pieces { left: size, breaks: false }).await;
            assert_eq!(body, Err(BodyError::TooLarge(head)));
        }
    }

    #[tokio::test]
    async fn rejects_what_breaks_off() {
        let body = read(Pieces { left: 10, breaks: true }).await;
        assert_eq!(body, Err(BodyError::Incomplete));
    }
}
