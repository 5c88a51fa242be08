//! What other nodes miss of this one's envelopes, and are given again.
//!
//! What is to be published once may turn out to have been published before. Until that is known it is given to nobody:
//! the answer waits for Redis, which is asked already.

use std::time::Duration;

use codec::ids::NodeId;
use tokio::time::Instant;

use super::{Inner, lock};
use crate::backplane::Partition;
use crate::backplane::lanes::Missed;
use crate::backplane::redis::Settled;
use crate::backplane::wire::LinkMessage;

/// Above which numbers a node misses what, and how old that may be.
type Wanted = (Vec<(Partition, u64)>, Duration);

/// A question that waits.
pub(super) struct Asked {
    asker: NodeId,
    question: u64,
    /// Bytes of envelopes in one message of the answer, unless a single one is larger.
    part_bytes: usize,
    wanted: Wanted,
    /// The last number when it was asked. What came after that reaches the asker, which hears again.
    up_to: u64,
}

impl Inner {
    /// Gives a node what it misses, as soon as it is known what has been published.
    pub(super) fn on_repair(
        &self,
        asker: &NodeId,
        (question, part_bytes): (u64, usize),
        wanted: Wanted,
        now: Instant,
    ) {
        let up_to = lock(&self.sent).last();
        let mut asked = lock(&self.asked);
        // Who asks again has given up the question before.
        asked.retain(|asked| asked.asker != *asker);
        asked.push(Asked { asker: asker.clone(), question, part_bytes, wanted, up_to });
        drop(asked);
        self.answer_repairs(now);
    }

    /// Keeps what has really been published, and answers who waits for that.
    pub(super) fn on_settled(&self, settled: Vec<Settled>, now: Instant) {
        let mut sent = lock(&self.sent);
        for Settled { number, void } in settled {
            sent.settle(number, void);
        }
        drop(sent);
        self.answer_repairs(now);
    }

    fn answer_repairs(&self, now: Instant) {
        let waiting = std::mem::take(&mut *lock(&self.asked));
        if waiting.is_empty() {
            return;
        }
        let mut sent = lock(&self.sent);
        let (settled, waiting): (Vec<Asked>, Vec<Asked>) =
            waiting.into_iter().partition(|asked| sent.is_settled(&asked.wanted.0, asked.up_to));
        let answers = settled.into_iter().map(
            |Asked { asker, question, part_bytes, wanted: (floors, within), up_to }| {
                (asker, (question, part_bytes), sent.after(&floors, (up_to, within), now))
            },
        );
        let answers: Vec<_> = answers.collect();
        drop(sent);
        // Whatever else touches them does so on this thread.
        *lock(&self.asked) = waiting;
        for (asker, question, missed) in answers {
            self.repair(&asker, question, missed);
        }
    }

    /// Gives a node what it misses of this one's envelopes.
    fn repair(&self, asker: &NodeId, (question, part_bytes): (u64, usize), missed: Missed) {
        self.metrics.repaired(missed.envelopes.len());
        let lacking = missed.lacking;
        let mut parts = vec![Vec::new()];
        let mut bytes = 0;
        for published in missed.envelopes {
            let len = published.bytes.len() + published.channel.len();
            if bytes > 0 && bytes + len > part_bytes {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += len;
            if let Some(part) = parts.last_mut() {
                part.push((published.partition, published.channel.to_string(), published.bytes));
            }
        }
        let last = parts.len() - 1;
        for (number, envelopes) in parts.into_iter().enumerate() {
            let (part, is_last) = (number as u64, number == last);
            let message = LinkMessage::Repaired { question, part, envelopes, is_last, lacking };
            self.tell_node(asker.clone(), message);
        }
    }
}
