//! What callers have sent and heard in a stretch of time. Pure; the judgement of each frame is here too.

use std::time::Duration;

use super::wording::Heard;
use crate::arguments::Protocol;

/// Events, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Events that left.
    pub(crate) sent: u64,
    /// Replies that carried the text of their event; of what is published, acks.
    pub(crate) replies: u64,
    /// Events that are over: replied to and, where acks are given, acknowledged, or refused.
    pub(crate) done: u64,
    /// Events that the server said have failed.
    pub(crate) refused: u64,
    /// Replies and acks that did not follow the one before, and acks without their reply.
    pub(crate) disordered: u64,
    /// Frames that are neither.
    pub(crate) foreign: u64,
    /// Connections that ended though nobody wanted that.
    pub(crate) lost: u64,
    /// How the first of them ended.
    pub(crate) first_loss: Option<String>,
    /// Microseconds until each reply.
    pub(crate) latencies: Vec<u32>,
    /// How long after it was due the latest event left, when events leave at a fixed rate.
    pub(crate) latest: Duration,
}

/// How far one caller has come. Numbers are never used again on a connection, since they are ids of acks.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Number of the event that leaves next.
    pub(super) next: u32,
    /// Number whose reply comes next.
    replied: u32,
    /// Number whose ack comes next.
    acked: u32,
}

/// What a frame meant for the caller that it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The reply to this event; more may come for it.
    Replied(u32),
    /// The reply to this event, which is over with it.
    RepliedAndDone(u32),
    /// An event is over.
    Done,
    /// Nothing is over.
    Nothing,
}

impl Course {
    /// Takes what came and counts it.
    pub(super) fn take(&mut self, protocol: Protocol, heard: Heard, calls: &mut Calls) -> Step {
        match heard {
            Heard::Reply(number) => {
                calls.disordered += u64::from(number != self.replied);
                calls.replies += 1;
                self.replied = number.saturating_add(1);
                if protocol == Protocol::Json {
                    return Step::Replied(number);
                }
                calls.done += 1;
                Step::RepliedAndDone(number)
            }
            Heard::Ack(number) if protocol == Protocol::Publish => {
                calls.disordered += u64::from(number != self.acked);
                calls.replies += 1;
                calls.done += 1;
                self.acked = number.saturating_add(1);
                Step::RepliedAndDone(number)
            }
            Heard::Ack(number) | Heard::Refusal(number) => {
                let refused = matches!(heard, Heard::Refusal(_));
                // A refused event has no reply, any other has had it.
                let is_in_turn =
                    number == self.acked && (refused || number.saturating_add(1) == self.replied);
                calls.disordered += u64::from(!is_in_turn);
                calls.refused += u64::from(refused);
                calls.done += 1;
                self.acked = number.saturating_add(1);
                self.replied = self.replied.max(self.acked);
                Step::Done
            }
            Heard::Other => {
                calls.foreign += 1;
                Step::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Default)]
    struct Counted {
        replies: u64,
        done: u64,
        refused: u64,
        disordered: u64,
        foreign: u64,
    }

    fn check(protocol: Protocol, heard: &[Heard], expected: &Counted) {
        let (mut course, mut calls) = (Course::default(), Calls::default());
        for heard in heard {
            course.take(protocol, *heard, &mut calls);
        }
        let Calls { replies, done, refused, disordered, foreign, .. } = calls;
        assert_eq!(&Counted { replies, done, refused, disordered, foreign }, expected, "{heard:?}");
    }

    #[test]
    fn a_reply_comes_before_its_ack_and_both_in_order() {
        use Heard::{Ack, Other, Refusal, Reply};
        let json = |heard: &[Heard], expected| check(Protocol::Json, heard, &expected);
        let two = || Counted { replies: 2, done: 2, ..Counted::default() };
        json(&[Reply(0), Ack(0), Reply(1), Ack(1)], two());
        json(&[Reply(0), Reply(1), Ack(0), Ack(1)], Counted { disordered: 1, ..two() });
        json(&[Reply(0), Ack(0), Reply(0), Ack(0)], Counted { disordered: 2, ..two() });
        json(&[Reply(1), Ack(1)], Counted { replies: 1, done: 1, disordered: 2, ..Counted::default() });
        json(&[Ack(0)], Counted { done: 1, disordered: 1, ..Counted::default() });
        json(&[Other], Counted { foreign: 1, ..Counted::default() });
        let refused = Counted { replies: 1, done: 2, refused: 1, ..Counted::default() };
        json(&[Refusal(0), Reply(1), Ack(1)], refused);
    }

    #[test]
    fn an_ack_is_the_end_of_what_is_published() {
        use Heard::{Ack, Refusal};
        let publish = |heard: &[Heard], expected| check(Protocol::Publish, heard, &expected);
        let two = Counted { replies: 2, done: 2, ..Counted::default() };
        publish(&[Ack(0), Ack(1)], two);
        publish(&[Ack(1)], Counted { replies: 1, done: 1, disordered: 1, ..Counted::default() });
        publish(&[Refusal(0)], Counted { done: 1, refused: 1, ..Counted::default() });
    }

    #[test]
    fn a_simple_clients_reply_is_the_end_of_its_event() {
        let two = Counted { replies: 2, done: 2, ..Counted::default() };
        check(Protocol::Raw, &[Heard::Reply(0), Heard::Reply(1)], &two);
        let gap = Counted { replies: 2, done: 2, disordered: 1, ..Counted::default() };
        check(Protocol::Raw, &[Heard::Reply(0), Heard::Reply(2)], &gap);
    }
}
