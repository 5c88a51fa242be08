//! What other threads have for this worker: messages for its members, questions about them.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use tokio::time::Instant;

use super::connections::Connections;
use super::pacing::Pacing;
use crate::backplane::Partition;
use crate::hub::{Inbox, Letter, ReplySlot};
use crate::model::command::Topic;
use crate::model::survey::Survey;

/// Weight of letters that are dealt with before other tasks have their turn.
const SLICE: usize = 4 << 20;

impl Connections {
    /// Does what the inbox brings, for ever, in its order. Others have their turn after each slice of the work.
    pub async fn keep_reading(self: Rc<Self>, inbox: &Inbox) {
        let mut letters = Vec::new();
        let mut pacing = Pacing::new(self.config.queue_limits().window, Instant::now());
        loop {
            if !inbox.has_letters() {
                pacing.kept_up();
            }
            letters = inbox.take(letters).await;
            // A client that has its answer is attached in a task that is ready by now; letters may be for it already.
            if self.router.is_expecting() {
                tokio::task::yield_now().await;
            }
            let mut weight = 0;
            for letter in letters.drain(..) {
                let letter_weight = letter.weight();
                match letter {
                    Letter::Deliver(outgoing) => {
                        self.router.deliver(&outgoing, |key| self.is_guest(key));
                    }
                    Letter::Ask(survey, reply) => {
                        if let Some((survey, reply)) = self.reply_later(survey, reply) {
                            self.reply(&survey, reply).await;
                        }
                    }
                    Letter::Lost(topic) => self.end_those_who_missed(topic.as_ref()).await,
                    Letter::Behind(partitions) => {
                        self.fall_behind(&partitions.iter().map(|&number| Partition(number)).collect());
                    }
                    // Whoever waits for it may have given up.
                    Letter::Mark(reached) => drop(reached.send(())),
                    Letter::PostAll(posted) => {
                        self.router.post_letters();
                        let _ = posted.send(());
                    }
                }
                inbox.done(letter_weight);
                pacing.dealt_with(letter_weight);
                weight += letter_weight;
                if self.router.shard().needs_flush() || weight >= SLICE {
                    weight = 0;
                    self.flush();
                    tokio::task::yield_now().await;
                    if pacing.is_burst() {
                        self.pace(&mut pacing).await;
                    }
                }
            }
            self.flush_soon();
        }
    }

    /// Waits in the midst of a burst for what the clients of windows that are nearly full acknowledge.
    async fn pace(&self, pacing: &mut Pacing) {
        let since = Instant::now();
        let deadline = since + pacing.left(since);
        loop {
            // Asked for before looking, so that an acknowledgement in between is not missed.
            let acknowledged = self.acknowledged.notified();
            let now = Instant::now();
            let due = self.router.shard().acknowledgement_due(now);
            let Some(due) = due.filter(|_| now < deadline) else {
                return pacing.waited(since, now);
            };
            // Whichever comes first, it is looked again.
            let _ = tokio::time::timeout_at(due.min(deadline), acknowledged).await;
        }
    }

    /// Answers a survey. What it changes is changed before the next letter is read; only the answer may have to wait.
    pub(super) async fn reply(self: &Rc<Self>, survey: &Survey, reply: ReplySlot) {
        let Some((answer, pending)) = self.flushing(self.router.answer(survey)).await else {
            return reply.give(self.answer_for_sessions(survey).await);
        };
        if pending.is_settled() {
            return reply.give(answer);
        }
        let connections = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if connections.router.settle(pending).await.is_ok() {
                reply.give(answer);
            }
        });
    }

    /// Ends the reliable connections that may have missed messages. Their clients begin anew and know that they have to.
    async fn end_those_who_missed(self: &Rc<Self>, topic: Option<&Topic>) {
        self.router.shard().spoil_holds(|held| topic.is_none_or(|topic| topic == held));
        let keys = self.router.shard().reliable_members(topic);
        for key in keys {
            self.lose_messages(key);
            self.breathe().await;
        }
    }

    /// Writes what work has queued whenever it lets others have their turn.
    async fn flushing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() {
                self.flush();
            }
            done
        })
        .await
    }
}
