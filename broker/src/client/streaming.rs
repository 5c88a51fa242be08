//! Streams of clients: what the session says about them is done here, and a timer ends those that are idle.
//!
//! Parts of streams take the way of every other message. Only a connection that has streams has a timer, which knows
//! the connection by its key alone and ends with it. A connection that has lost its socket keeps its streams and their
//! timer. Source: `client-protocols.md` 9.

use std::rc::Rc;

use codec::ids::StreamId;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::connection::{Connection, Then, UnderWay};
use super::connections::Connections;
use crate::hub::MemberKey;
use crate::session::{Session, StreamRequest, StreamStep};

/// A task that ends the idle streams of one connection. Dropping it ends the task.
pub(super) struct IdleTimer {
    /// When it looks next; never later than the first stream may end.
    at: Instant,
    task: AbortHandle,
}

impl Drop for IdleTimer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Does what the client wants of a stream, as far as the session agrees.
    pub(super) fn stream(&self, request: StreamRequest) -> Option<UnderWay> {
        let is_start = matches!(request, StreamRequest::Start(_));
        let step = self.session().on_stream(request, Instant::now().into_std());
        let under_way = step.and_then(|step| self.take_step(step));
        // Everything else only puts the end of a stream off, and the timer finds that out by itself.
        if is_start {
            self.connections.time_streams(self);
        }
        under_way
    }

    /// Something is to be waited for before the next step when it is given.
    fn take_step(&self, step: StreamStep) -> Option<UnderWay> {
        let router = &self.connections.router;
        self.connections.changed(self);
        match step {
            StreamStep::Tell(message) => {
                router.shard().tell(self.key, &message);
                None
            }
            StreamStep::Publish(part, stream_id) => match router.submit(*part) {
                Ok(submitted) if !submitted.is_taken() => {
                    Some(UnderWay { submitted, then: Then::GoOn(stream_id) })
                }
                routed => self.on_part(&stream_id, routed.is_ok()),
            },
            StreamStep::End { last, closed } => match router.submit(*last) {
                Ok(submitted) if !submitted.is_taken() => {
                    Some(UnderWay { submitted, then: Then::Tell(Box::new(closed)) })
                }
                // Whoever it does not reach has to find out by itself: there is no stream any more that could fail.
                _ => {
                    router.shard().tell(self.key, &closed);
                    None
                }
            },
        }
    }

    /// A part of a stream has been published, or may not have been.
    pub(super) fn on_part(&self, stream_id: &StreamId, is_published: bool) -> Option<UnderWay> {
        let next = match is_published {
            true => self.session().on_part_published(stream_id),
            false => self.session().on_part_lost(stream_id),
        };
        next.and_then(|step| self.take_step(step))
    }

    /// Ends streams as long as `next` finds one. Others have their turn when much is queued by that.
    async fn end_streams(&self, next: impl Fn(&mut Session) -> Option<StreamStep>) {
        loop {
            let step = next(&mut self.session());
            let Some(step) = step else {
                break;
            };
            let mut under_way = self.take_step(step);
            while let Some(UnderWay { submitted, then }) = under_way {
                let taken = submitted.taken().await;
                under_way = self.on_taken(then, taken);
            }
            self.connections.breathe().await;
        }
        self.connections.flush_soon();
    }
}

impl Connections {
    /// A connection has ended: so do its streams, in a turn of their own, because whoever ends a connection may be in
    /// the middle of a flush.
    pub(super) fn cancel_streams(&self, connection: &Rc<Connection>) {
        let timer = self.idle_timers.borrow_mut().remove(connection.key);
        if timer.is_some() {
            let connection = Rc::clone(connection);
            tokio::task::spawn_local(async move { connection.end_streams(Session::cancel_stream).await });
        }
    }

    /// The application has changed what a connection may do: streams that it may not publish any longer end.
    pub(super) async fn end_forbidden_streams(&self, connection: &Connection) {
        let has_streams = self.idle_timers.borrow().contains_key(connection.key);
        if has_streams {
            connection.end_streams(Session::end_forbidden_stream).await;
        }
    }

    /// Sees to it that there is a timer which looks at a connection's streams in time.
    pub(super) fn time_streams(&self, connection: &Connection) {
        let Some(at) = connection.session().stream_deadline().map(Instant::from_std) else {
            return;
        };
        let key = connection.key;
        let mut timers = self.idle_timers.borrow_mut();
        if timers.get(key).is_some_and(|timer| timer.at <= at) {
            return;
        }
        let task = tokio::task::spawn_local(end_idle_streams(Rc::clone(&connection.connections), key, at));
        timers.insert(key, IdleTimer { at, task: task.abort_handle() });
    }

    /// Notes when a timer looks next; false when there is nothing to look at any more.
    fn set_timer(&self, key: MemberKey, at: Option<Instant>) -> bool {
        let mut timers = self.idle_timers.borrow_mut();
        match (timers.get_mut(key), at) {
            (Some(timer), Some(at)) => timer.at = at,
            _ => drop(timers.remove(key)),
        }
        at.is_some()
    }
}

/// Ends the streams of a connection in which nothing happens, until it has none. Streams that are being published put
/// their end off again and again; that is looked at when the end would have come.
async fn end_idle_streams(connections: Rc<Connections>, key: MemberKey, mut at: Instant) {
    loop {
        tokio::time::sleep_until(at).await;
        let Some(connection) = connections.table.borrow().get(key).cloned() else {
            return;
        };
        let now = Instant::now().into_std();
        connection.end_streams(|session| session.end_idle_stream(now)).await;
        let next = connection.session().stream_deadline().map(Instant::from_std);
        if !connections.set_timer(key, next) {
            return;
        }
        at = next.unwrap_or(at);
    }
}
