//! Takes published messages out of what a server sends, before the client library reads it.
//!
//! Messages are nearly all that a subscriber receives, and a receiver that is slower than Redis is cut off by it. So
//! they are found and handed on here, with one allocation each; everything else goes to the library as it is, and in
//! its order. `super::connection` puts a tap between the socket and the library.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of one read.
const READ: usize = 64 << 10;
/// Deepest nesting of an answer that is followed.
const DEPTH: usize = 16;
/// How a message begins, up to the length of its channel's name.
const MESSAGE: &[u8] = b">3\r\n$8\r\nsmessage\r\n";

/// Takes a message: its channel and its payload.
pub(super) type Heard = Box<dyn Fn(Bytes, Bytes) + Send + Sync>;

/// See the module.
pub(super) struct Tap<S> {
    stream: S,
    heard: Heard,
    scratch: Box<[u8]>,
    /// The beginning of something of which the end has not arrived.
    partial: BytesMut,
    /// For the library.
    rest: BytesMut,
    /// What arrives follows no known form: the library may say what is wrong with it.
    lost: bool,
}

/// Why there is no whole frame.
#[derive(Debug, PartialEq, Eq)]
enum NoFrame {
    /// Its end has not arrived.
    Partial,
    /// It is none.
    Unknown,
}

impl<S> Tap<S> {
    /// Messages that `stream` brings go to `heard`, on the task that reads.
    pub(super) fn new(stream: S, heard: Heard) -> Self {
        let scratch = vec![0; READ].into_boxed_slice();
        Self { stream, heard, scratch, partial: BytesMut::new(), rest: BytesMut::new(), lost: false }
    }

    /// Takes in what has been read.
    fn take_in(&mut self, read: usize) {
        let mut arrived = std::mem::take(&mut self.partial);
        arrived.extend_from_slice(&self.scratch[..read]);
        while !self.lost && !arrived.is_empty() {
            match self.hand_on(&arrived) {
                Ok(length) => arrived.advance(length),
                Err(NoFrame::Partial) => break,
                Err(NoFrame::Unknown) => self.lost = true,
            }
        }
        if self.lost {
            self.rest.extend_from_slice(&arrived);
            arrived.clear();
        }
        self.partial = arrived;
    }

    /// Hands on the first frame of some bytes, and gives its length.
    fn hand_on(&mut self, bytes: &[u8]) -> Result<usize, NoFrame> {
        if !bytes.starts_with(MESSAGE) {
            let length = frame(bytes, 0, DEPTH)?;
            self.rest.extend_from_slice(&bytes[..length]);
            return Ok(length);
        }
        let channel = bulk(bytes, MESSAGE.len())?;
        let payload = bulk(bytes, channel.next)?;
        let mut text = BytesMut::with_capacity(channel.content.len() + payload.content.len());
        text.extend_from_slice(channel.content);
        text.extend_from_slice(payload.content);
        let mut channel_text = text.freeze();
        let payload_text = channel_text.split_off(channel.content.len());
        (self.heard)(channel_text, payload_text);
        Ok(payload.next)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.rest.is_empty() {
            let mut scratch = ReadBuf::new(&mut this.scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut scratch))?;
            let read = scratch.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            this.take_in(read);
        }
        let length = this.rest.len().min(buffer.remaining());
        buffer.put_slice(&this.rest[..length]);
        this.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A text with its length before it.
struct Bulk<'a> {
    content: &'a [u8],
    /// Where what follows it begins.
    next: usize,
}

fn bulk(bytes: &[u8], at: usize) -> Result<Bulk<'_>, NoFrame> {
    if bytes.get(at).ok_or(NoFrame::Partial)? != &b'$' {
        return Err(NoFrame::Unknown);
    }
    let (length, begin) = number(bytes, at + 1)?;
    let length = usize::try_from(length).map_err(|_| NoFrame::Unknown)?;
    let end = begin.checked_add(length).ok_or(NoFrame::Unknown)?;
    if bytes.len() < end.saturating_add(2) {
        return Err(NoFrame::Partial);
    }
    Ok(Bulk { content: &bytes[begin..end], next: end + 2 })
}

/// Where the frame that begins at `at` ends, in either version of the protocol.
fn frame(bytes: &[u8], at: usize, depth: usize) -> Result<usize, NoFrame> {
    match bytes.get(at).ok_or(NoFrame::Partial)? {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => line(bytes, at + 1).map(|(_, next)| next),
        b'$' | b'=' | b'!' => {
            let (length, begin) = number(bytes, at + 1)?;
            let Ok(length) = usize::try_from(length) else { return Ok(begin) };
            let end = begin.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(NoFrame::Unknown)?;
            if bytes.len() < end { Err(NoFrame::Partial) } else { Ok(end) }
        }
        b'*' | b'~' | b'>' => frames(bytes, at, depth, |count| count),
        b'%' => frames(bytes, at, depth, |count| count.saturating_mul(2)),
        // Attributes stand before what they are about.
        b'|' => frames(bytes, at, depth, |count| count.saturating_mul(2).saturating_add(1)),
        _ => Err(NoFrame::Unknown),
    }
}

fn frames(bytes: &[u8], at: usize, depth: usize, parts: fn(i64) -> i64) -> Result<usize, NoFrame> {
    let depth = depth.checked_sub(1).ok_or(NoFrame::Unknown)?;
    let (count, mut next) = number(bytes, at + 1)?;
    for _ in 0..parts(count) {
        next = frame(bytes, next, depth)?;
    }
    Ok(next)
}

fn number(bytes: &[u8], at: usize) -> Result<(i64, usize), NoFrame> {
    let (text, next) = line(bytes, at)?;
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    Ok((number.ok_or(NoFrame::Unknown)?, next))
}

/// What stands before the end of the line, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Result<(&[u8], usize), NoFrame> {
    let rest = bytes.get(at..).ok_or(NoFrame::Partial)?;
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(NoFrame::Partial)?;
    let text = rest[..end].strip_suffix(b"\r").ok_or(NoFrame::Unknown)?;
    Ok((text, at + end + 1))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::AsyncReadExt;

    use super::*;

    /// What is heard, and what is left for the library, when `bytes` arrive in pieces of `size`.
    async fn through(bytes: &[u8], size: usize) -> (Vec<(Bytes, Bytes)>, Vec<u8>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&heard);
        let pieces: VecReader = VecReader(bytes.chunks(size).map(<[u8]>::to_vec).collect());
        let mut tap =
            Tap::new(pieces, Box::new(move |channel, payload| note.lock().unwrap().push((channel, payload))));
        let mut rest = Vec::new();
        tap.read_to_end(&mut rest).await.unwrap();
        let heard = heard.lock().unwrap().clone();
        (heard, rest)
    }

    /// Gives one piece with each read.
    struct VecReader(std::collections::VecDeque<Vec<u8>>);

    impl AsyncRead for VecReader {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(piece) = self.0.pop_front() {
                buffer.put_slice(&piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    fn message(channel: &str, payload: &str) -> String {
        format!(
            ">3\r\n$8\r\nsmessage\r\n${}\r\n{channel}\r\n${}\r\n{payload}\r\n",
            channel.len(),
            payload.len()
        )
    }

    #[tokio::test]
    async fn messages_are_taken_out_and_the_rest_is_left() {
        let answers = [
            "+PONG\r\n",
            "-MOVED 1 host:1\r\n",
            ">3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n",
            "%1\r\n$5\r\nproto\r\n:3\r\n",
            "|1\r\n+a\r\n,1.5\r\n*2\r\n_\r\n#t\r\n",
            "*-1\r\n",
            "$-1\r\n",
            "=5\r\ntxt:x\r\n",
            "~1\r\n(12\r\n",
            "!5\r\nERR x\r\n",
            ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
        ];
        let payloads = ["", "\r\n", "$3\r\n>3\r\n$8\r\nsmessage\r\n", "\u{fc}"];
        let mut bytes = String::new();
        let mut expected = Vec::new();
        for (number, answer) in answers.iter().enumerate() {
            let (channel, payload) = (format!("c\r\n{number}"), payloads[number % payloads.len()]);
            bytes += answer;
            bytes += &message(&channel, payload);
            expected.push((Bytes::from(channel), Bytes::from(payload)));
        }
        for size in [1, 2, 3, 7, 50, 10_000] {
            let (heard, rest) = through(bytes.as_bytes(), size).await;
            assert_eq!(heard, expected, "{size}");
            assert_eq!(String::from_utf8(rest).unwrap(), answers.concat(), "{size}");
        }
    }

    #[tokio::test]
    async fn what_is_unknown_is_left_to_the_library() {
        let nested = "*1\r\n".repeat(100);
        for odd in [
            "HTTP/1.1 400\r\n",
            "$x\r\n",
            ":1\n",
            &nested,
            ">3\r\n$8\r\nsmessage\r\n:1\r\n",
            "$9223372036854775807\r\n",
        ] {
            let bytes = format!("+OK\r\n{odd}{}", message("a", "b"));
            for size in [1, 10_000] {
                let (heard, rest) = through(bytes.as_bytes(), size).await;
                assert!(heard.is_empty(), "{odd:?}");
                assert!(rest.starts_with(b"+OK\r\n"), "{odd:?}");
            }
        }
    }
}
