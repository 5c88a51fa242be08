//! A client's socket after the handshake, with TLS or without.
//!
//! Reads go into a buffer that the caller lends for the time of a poll, and writes come from an outbox, so that the
//! socket itself holds nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::hub::{Gather, Outbox};

/// Most slices that go into one call to the system.
const MAX_SLICES: usize = 64;

/// See the module.
#[derive(Debug)]
pub enum Socket {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Reads what is there; 0 means that the client has ended its side.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let polled = match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// Writes as much of an outbox as the socket takes. Ready means that nothing is left.
    /// `room` is lent for the time of the poll.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
        room: &mut [u8],
    ) -> Poll<io::Result<()>> {
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut gather = Gather::new(room, &mut slices);
            outbox.gather(&mut gather);
            let polled = match self {
                Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, gather.finish()),
                Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, gather.finish()),
            };
            match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => outbox.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            // Records may wait inside TLS although the outbox is empty.
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends our side in order; the client can still be read.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Lets the socket, when it is dropped, forget what the client has not taken.
    pub(super) fn forget_unsent(&self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Only fails on a socket that is gone already.
        let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
    }
}
