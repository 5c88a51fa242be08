//! Reading a request's body with a bound on its size and its time.
//!
//! What the bytes mean is not known here. Operations call [`check_declared`] and [`read`]; `handle` calls [`discard`].

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::error::RestError;

/// Longest body of any operation, in bytes.
pub(super) const MAX_BODY: usize = 1_048_576;
/// Longest time that a body may take to arrive.
const READ_TIME: Duration = Duration::from_secs(60);
/// Most bytes of a refused body that are read so that its sender sees the refusal.
const MAX_DISCARDED: usize = 4 * MAX_BODY;
/// Longest time spent on that.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Refuses a body that is announced as too long, before any of it is read.
///
/// # Errors
/// [`RestError::Length`] above [`MAX_BODY`].
pub(super) fn check_declared<B: Body>(body: &B) -> Result<(), RestError> {
    let longest = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    if body.size_hint().lower() > longest { Err(RestError::Length) } else { Ok(()) }
}

/// Reads the whole body into a buffer of its own size: a slice of the socket's buffer would keep all of that alive for
/// as long as the message waits for its last receiver.
///
/// # Errors
/// [`RestError::Length`] above [`MAX_BODY`], [`RestError::BodySlow`] and [`RestError::BodyBroken`] when it does not
/// arrive.
pub(super) async fn read<B>(body: &mut B) -> Result<Bytes, RestError>
where
    B: Body<Data = Bytes> + Unpin,
{
    read_within(READ_TIME, body).await
}

async fn read_within<B>(limit: Duration, body: &mut B) -> Result<Bytes, RestError>
where
    B: Body<Data = Bytes> + Unpin,
{
    tokio::time::timeout(limit, read_all(body)).await.map_err(|_| RestError::BodySlow)?
}

async fn read_all<B>(body: &mut B) -> Result<Bytes, RestError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| RestError::BodyBroken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if whole.len() + data.len() > MAX_BODY {
            return Err(RestError::Length);
        }
        whole.extend_from_slice(data);
    }
    whole.shrink_to_fit();
    Ok(whole.into())
}

/// Reads what is left of a body and drops it. Without this a caller that is still sending sees its connection reset
/// instead of the answer. It is bounded in bytes and time, and keeps nothing.
pub(super) async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let drain = async {
        let mut budget = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Buf::remaining);
            match budget.checked_sub(length) {
                Some(left) => budget = left,
                None => return,
            }
        }
    };
    // Whether it ended or ran out of time makes no difference: the answer is sent either way.
    let _ = tokio::time::timeout(DISCARD_TIME, drain).await;
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn whole(length: usize) -> Full<Bytes> {
        Full::new(Bytes::from(vec![b'x'; length]))
    }

    fn chunks(lengths: &[usize]) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin {
        let frames: Vec<_> =
            lengths.iter().map(|&length| Ok(Frame::data(Bytes::from(vec![b'x'; length])))).collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_mebibyte_is_the_most() {
        assert!(check_declared(&whole(MAX_BODY)).is_ok());
        assert!(matches!(check_declared(&whole(MAX_BODY + 1)), Err(RestError::Length)));
        assert_eq!(read(&mut whole(MAX_BODY)).await.unwrap().len(), MAX_BODY);
        assert_eq!(read(&mut chunks(&[MAX_BODY / 2, MAX_BODY / 2])).await.unwrap().len(), MAX_BODY);
        let too_long = read(&mut chunks(&[MAX_BODY, 1])).await;
        assert!(matches!(too_long, Err(RestError::Length)));
    }

    #[tokio::test]
    async fn a_broken_body_is_the_callers_fault() {
        let broken = futures_util::stream::iter([
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(std::io::Error::other("reset")),
        ]);
        assert!(matches!(read(&mut StreamBody::new(broken)).await, Err(RestError::BodyBroken)));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        let slow = read_within(Duration::from_millis(1), &mut StreamBody::new(silent)).await;
        assert!(matches!(slow, Err(RestError::BodySlow)));
    }

    #[tokio::test]
    async fn a_refused_body_is_read_to_a_bound() {
        let mut rest = chunks(&[MAX_BODY, MAX_BODY]);
        discard(&mut rest).await;
        assert!(rest.frame().await.is_none());
        let mut endless = chunks(&[MAX_BODY; 9]);
        discard(&mut endless).await;
        assert!(endless.frame().await.is_some());
    }
}
