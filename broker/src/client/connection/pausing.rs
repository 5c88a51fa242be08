//! What a connection's task does when it cannot go on with what its client sent: it waits for other nodes, for the
//! application, or for others to have their turn, and then takes in the rest.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use codec::ids::{AckId, StreamId};
use codec::message::{Downstream, Origin};
use codec::websocket::{Item, PingFinder};

use super::Connection;
use crate::events::{Attaching, Delivery};
use crate::model::close::CloseReason;
use crate::model::command::Topic;
use crate::router::{Pending, RouteError, Submitted};
use crate::session::Failure;

/// Bytes that are read of a client that waits for an answer, so that its pings, its pongs and its end are noticed.
/// Beyond them it is not read, and not expected to show signs of life, until the answer has come.
const READ_AHEAD: usize = 64 * 1024;

/// A wait in the middle of what a client sent.
pub(super) struct Pause {
    pub(super) wait: Wait,
    /// What the client sent after it.
    pub(super) unread: Vec<u8>,
}

pub(in crate::client) enum Wait {
    /// Others have their turn: much is queued, or a call has been taken back and leaves now, so that a client cannot
    /// have many that are about to.
    Breathe,
    /// What the client publishes is to go to workers, or other nodes, that are too far behind.
    Room,
    /// The client's request needs the other nodes.
    Join { ack_id: Option<AckId>, pending: Pending },
    /// The client's event needs the application.
    Answer { ack_id: Option<AckId>, delivery: Box<Delivery> },
    /// What the client has published is being noted.
    Taken(UnderWay),
    /// The client is to be told what the members of this group show.
    Snapshot { topic: Topic },
}

/// Something that the client has published and that is being noted.
pub(in crate::client) struct UnderWay {
    pub(in crate::client) submitted: Submitted,
    pub(in crate::client) then: Then,
}

/// What is done when it is noted.
pub(in crate::client) enum Then {
    /// The client's request is answered.
    Ack(Option<AckId>),
    /// Its stream goes on.
    GoOn(StreamId),
    /// The client is told this.
    Tell(Box<Downstream>),
}

impl Connection {
    /// Waits, answers, and goes on with what the client sent meanwhile.
    pub(super) async fn pause(&self, pause: Box<Pause>) {
        self.set_paused(true);
        self.go_through(pause).await;
        self.set_paused(false);
        self.connections.moves.pause_over.notify_waiters();
    }

    fn set_paused(&self, is_paused: bool) {
        if let Some(recovery) = &self.recovery {
            recovery.is_paused.set(is_paused);
        }
    }

    async fn go_through(&self, mut pause: Box<Pause>) {
        // Joins that wait behind one that fails have waited as well: they fail together.
        let mut join_deadline = None;
        loop {
            let Pause { wait, mut unread } = *pause;
            let router = &self.connections.router;
            match wait {
                Wait::Breathe => tokio::task::yield_now().await,
                Wait::Room => {
                    tokio::task::yield_now().await;
                    if self.unless_ended(router.room()).await.is_none() {
                        return;
                    }
                }
                Wait::Join { ack_id, pending } => {
                    let deadline = *join_deadline.get_or_insert_with(|| router.deadline());
                    let settling = router.settle_until(pending, deadline);
                    let Some(settled) = self.attend(settling, &mut unread).await else {
                        return;
                    };
                    if settled.is_ok() {
                        join_deadline = None;
                    }
                    self.done(ack_id, settled.map_err(|_| Failure::Broker));
                }
                Wait::Answer { ack_id, delivery } => {
                    let asking = self.connections.events.ask_user(&delivery);
                    let Some(asked) = self.attend(asking, &mut unread).await else {
                        return;
                    };
                    let done = asked.map(|(answer, reply)| {
                        self.correspondence.borrow_mut().learn(
                            &delivery,
                            &answer,
                            Attaching::CookiesAndState,
                        );
                        self.connections.changed(self);
                        // The reply goes before the ack.
                        if let Some(content) = reply {
                            let reply = Downstream::Message { origin: Origin::Server, content, stream: None };
                            router.shard().tell(self.key, &reply);
                        }
                    });
                    self.done(ack_id, done.map_err(|_| Failure::EventHandler));
                }
                Wait::Taken(UnderWay { submitted, then }) => {
                    let Some(taken) = self.attend(submitted.taken(), &mut unread).await else {
                        return;
                    };
                    if self.is_left_to_be_repeated(&then, &taken, &mut unread) {
                        return;
                    }
                    if let Some(next) = self.on_taken(then, taken) {
                        *pause = Pause { wait: Wait::Taken(next), unread };
                        continue;
                    }
                }
                Wait::Snapshot { topic } => {
                    let Some(items) = self.attend(self.group_states(&topic), &mut unread).await else {
                        return;
                    };
                    router.shard().tell_snapshot(self.key, &topic, items);
                }
            }
            match self.take_in(&mut unread) {
                Some(next) => pause = next,
                None => return,
            }
        }
    }

    /// Whether a request of a reliable client to publish gets no answer, and nothing that came behind it is done: its
    /// client repeats all of that in its order. Were it told instead that nobody knows what has become of the request, it
    /// might lose that answer with its socket, and repeat the request when later ones have been published. A client that
    /// still has the socket on which it asked loses it. One that has said farewell meanwhile repeats nothing.
    fn is_left_to_be_repeated(&self, then: &Then, taken: &Result<(), RouteError>, unread: &mut [u8]) -> bool {
        let is_request = matches!(then, Then::Ack(_)) && self.recovery.is_some();
        let is_listened_to = self.hears_its_socket();
        let is_lost = taken.is_err() && (!is_listened_to || *taken == Err(RouteError::Unanswered));
        if !is_request || !is_lost {
            return false;
        }
        match self.farewell_in(unread) {
            Some(reason) => self.connections.end(self.key, reason),
            None if is_listened_to => self.connections.end(self.key, CloseReason::ConnectionLost),
            None => {}
        }
        true
    }

    /// The close frame by which a client says that it does not want its connection any longer.
    fn farewell_in(&self, mut unread: &mut [u8]) -> Option<CloseReason> {
        let longest = self.connections.config.message_bytes;
        while let Ok(Some(item)) = self.decoder.borrow_mut().next(&mut unread, longest) {
            if let Item::Close(code, reason) = item {
                let reason = CloseReason::ClientClosed { code, reason: reason.as_ref().to_owned() };
                return (!reason.is_recoverable()).then_some(reason);
            }
        }
        None
    }

    /// Waits for something without reading the client. Nothing when the connection has ended meanwhile.
    async fn unless_ended<F: Future>(&self, awaited: F) -> Option<F::Output> {
        let mut awaited = pin!(awaited);
        self.is_deaf.set(true);
        let outcome = poll_fn(|cx| {
            if self.is_ended() {
                return Poll::Ready(None);
            }
            self.set_waker(cx);
            awaited.as_mut().poll(cx).map(Some)
        });
        let outcome = outcome.await;
        self.is_deaf.set(false);
        outcome
    }

    /// Waits for something on behalf of the client, with an eye on its socket. Nothing when the connection has ended
    /// meanwhile; what was waited for is dropped then. A reliable connection waits on without a socket, and what the
    /// client sends on another one waits its turn.
    async fn attend<F: Future>(&self, awaited: F, unread: &mut Vec<u8>) -> Option<F::Output> {
        let mut awaited = Box::pin(awaited);
        let mut pings = PingFinder::default();
        let outcome = poll_fn(|cx| {
            if self.is_ended() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(outcome) = awaited.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            self.set_waker(cx);
            self.read_ahead(cx, unread);
            for content in pings.take(unread) {
                self.pong(&content);
            }
            self.connections.flush_soon();
            Poll::Pending
        });
        let outcome = outcome.await;
        self.is_deaf.set(false);
        outcome
    }

    fn read_ahead(&self, cx: &mut Context<'_>, unread: &mut Vec<u8>) {
        let mut buffer = self.connections.read_buffer.borrow_mut();
        while unread.len() < READ_AHEAD && self.hears_its_socket() {
            match self.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(len)) if len > 0 => {
                    self.heard(len);
                    unread.extend_from_slice(&buffer[..len]);
                }
                // The task is woken by that if it has to take leave.
                Poll::Ready(_) => return self.connections.end(self.key, CloseReason::ConnectionLost),
                Poll::Pending => return,
            }
        }
        self.is_deaf.set(true);
    }
}
