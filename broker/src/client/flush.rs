//! Writes what is queued: once for each worker and turn, not once for each message.
//!
//! Whoever queues something asks for a flush, which runs after the tasks that are ready now; so everything that they
//! queue for a socket leaves in one call to the system. No task waits on behalf of a socket unless it is blocked.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::connection::Connection;
use super::connections::Connections;
use crate::hub::{Flushed, MemberKey};
use crate::model::close::CloseReason;

/// Sockets that are written to before other tasks have their turn.
const SLICE: usize = 1024;
/// Sockets to be written to for which it is worth while to look first whether more has arrived for them.
const MANY_SOCKETS: usize = 32;
/// How often that is looked for before one flush.
const MOST_TURNS: usize = 4;

impl Connections {
    /// Ends a turn: asks for a flush if there is something to write, and tells the application who has joined and left
    /// groups.
    pub fn flush_soon(&self) {
        self.raise_presence();
        if !self.router.shard().is_clean() || self.router.has_letters() {
            self.flush_wanted.notify_one();
        }
    }

    /// Flushes when asked to, for ever. Many sockets are written to in slices, so that others have their turn.
    pub async fn keep_flushing(self: Rc<Self>) {
        loop {
            self.flush_wanted.notified().await;
            self.await_more().await;
            let dirty = self.begin_flush();
            let mut slices = dirty.chunks(SLICE).peekable();
            while let Some(slice) = slices.next() {
                self.flush_slice(slice);
                if slices.peek().is_some() {
                    tokio::task::yield_now().await;
                }
            }
            self.end_flush(dirty);
        }
    }

    /// Lets more be queued before many sockets are written to, as long as more comes: each of them costs a call to the
    /// system, which takes as long as some dozens of messages, and those that have arrived meanwhile go along with it.
    async fn await_more(&self) {
        let mut fresh = 0;
        for _ in 0..MOST_TURNS {
            let more = self.router.shard().fresh_len();
            if self.router.shard().dirty_len() < MANY_SOCKETS || more == fresh {
                break;
            }
            fresh = more;
            tokio::task::yield_now().await;
        }
    }

    /// Writes everything that is queued, as far as the sockets take it, before the caller lets others have their turn.
    pub(super) fn flush(&self) {
        self.router.shard().others_have_their_turn();
        let dirty = self.begin_flush();
        self.flush_slice(&dirty);
        self.end_flush(dirty);
    }

    fn begin_flush(&self) -> Vec<MemberKey> {
        let overrun = self.router.shard().take_overrun();
        overrun.into_iter().for_each(|key| self.end(key, CloseReason::WindowFull));
        self.keep_records();
        self.router.post_letters();
        self.router.shard().take_dirty(self.spare_dirty.take())
    }

    fn end_flush(&self, mut dirty: Vec<MemberKey>) {
        dirty.clear();
        self.spare_dirty.set(dirty);
    }

    /// Writes to these members. Tokio lets a task do so many operations a turn and then says that every socket is
    /// blocked, which would make readers look slow; a flush has its own bound, so it is not counted.
    fn flush_slice(&self, keys: &[MemberKey]) {
        let write_all = async {
            let now = Instant::now();
            // Nobody is waiting here: a socket that is blocked gets a task of its own.
            let mut cx = Context::from_waker(Waker::noop());
            for &key in keys {
                let connection = self.table.borrow().get(key).cloned();
                if let Some(connection) = connection {
                    self.flush_one(&connection, now, &mut cx);
                }
            }
        };
        // It never waits, so once is enough.
        let _ = tokio::task::unconstrained(write_all).now_or_never();
    }

    fn flush_one(&self, connection: &Rc<Connection>, now: Instant, cx: &mut Context<'_>) {
        // The task that waits for a blocked socket would not be woken if it were written to from here. It is only
        // looked whether too much waits.
        let is_blocked = self.router.shard().is_blocked(connection.key);
        let flushed =
            if is_blocked { Ok(self.look(connection, now)) } else { self.write(connection, now, cx) };
        match flushed {
            Ok(Flushed::Done | Flushed::StillBlocked) => {}
            Ok(Flushed::Blocked) => {
                let task = tokio::task::spawn_local(unblock(Rc::clone(connection)));
                connection.is_unblocked_by(task.abort_handle());
            }
            Ok(Flushed::TooSlow) => self.end(connection.key, CloseReason::SlowClient),
            Err(_) => self.end(connection.key, CloseReason::ConnectionLost),
        }
    }

    fn look(&self, connection: &Connection, now: Instant) -> Flushed {
        let mut shard = self.router.shard();
        shard.begin_flush(connection.key, now);
        shard.end_flush(connection.key, Poll::Pending)
    }

    fn write(&self, connection: &Connection, now: Instant, cx: &mut Context<'_>) -> io::Result<Flushed> {
        let mut shard = self.router.shard();
        let Some(outbox) = shard.begin_flush(connection.key, now) else {
            return Ok(Flushed::Done);
        };
        let mut socket = connection.socket.borrow_mut();
        let Some(socket) = socket.as_mut() else {
            return Ok(Flushed::Done);
        };
        let before = outbox.len_bytes();
        let written = socket.poll_write(cx, outbox, &mut self.write_room.borrow_mut());
        self.counts.outbound_bytes.add((before - outbox.len_bytes()) as u64);
        let written = match written {
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        };
        Ok(shard.end_flush(connection.key, written))
    }
}

/// Goes on writing to a blocked socket until everything is written, or the connection has ended.
async fn unblock(connection: Rc<Connection>) {
    let connections = &connection.connections;
    let written = std::future::poll_fn(|cx| match connections.write(&connection, Instant::now(), cx) {
        Ok(Flushed::Done) => Poll::Ready(Ok(())),
        Ok(Flushed::Blocked | Flushed::StillBlocked) => Poll::Pending,
        Ok(Flushed::TooSlow) => Poll::Ready(Err(CloseReason::SlowClient)),
        Err(_) => Poll::Ready(Err(CloseReason::ConnectionLost)),
    });
    if let Err(reason) = written.await {
        connections.end(connection.key, reason);
    }
}
