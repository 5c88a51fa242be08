//! How a connection that has ended takes leave of its client.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use codec::websocket::Frame;

use super::connections::Connections;
use super::socket::Socket;
use crate::hub::{Outbox, Parcel};
use crate::model::close::{CloseReason, Ending};

/// Longest time for what is queued and the close frame to be taken, and then for the client to hang up
/// (`limits.md` 3).
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection's end: why, and what was still queued for the client.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: CloseReason,
    pub(super) outbox: Outbox,
}

/// Writes what is queued and the close frame, then waits for the client to hang up; or drops the socket, if the reason
/// asks for that or the client is too slow.
pub(super) async fn take_leave(connections: &Connections, mut socket: Socket, ended: Ended) {
    let Ended { reason, mut outbox } = ended;
    let frame = match reason.ending() {
        Ending::Abort => return socket.forget_unsent(),
        Ending::Close(code, text) => Frame::close(Some(code), text),
        Ending::Echo(code, text) => Frame::close(code, text),
    };
    outbox.push(Rc::new(Parcel::new(&frame, None)), Default::default);
    let leave = async {
        poll_fn(|cx| socket.poll_write(cx, &mut outbox, &mut connections.write_room.borrow_mut())).await?;
        poll_fn(|cx| socket.poll_shutdown(cx)).await
    };
    if !matches!(tokio::time::timeout(PATIENCE, leave).await, Ok(Ok(()))) {
        return socket.forget_unsent();
    }
    // A client that has unread bytes thrown back at it may lose the close frame: read until it hangs up.
    let _ = tokio::time::timeout(PATIENCE, hang_up(connections, &mut socket)).await;
}

/// Reads and forgets until the client ends its side.
async fn hang_up(connections: &Connections, socket: &mut Socket) {
    poll_fn(|cx| {
        let mut buffer = connections.read_buffer.borrow_mut();
        loop {
            match socket.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(len)) if len > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}
