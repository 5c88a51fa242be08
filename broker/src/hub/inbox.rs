//! What other threads have for a worker, in the order in which they posted it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::fanout::Outgoing;
use super::reply_slot::ReplySlot;
use crate::model::command::Topic;
use crate::model::survey::Survey;

/// One thing for a worker to do.
#[derive(Debug)]
pub enum Letter {
    /// Bring this to the members that the worker holds.
    Deliver(Arc<Outgoing>),
    /// Answer this about the members that the worker holds.
    Ask(Arc<Survey>, ReplySlot),
    /// End the reliable connections that may have missed messages of this topic, or of any when it is absent.
    Lost(Option<Topic>),
    /// Say that all letters before this one have been dealt with.
    Mark(oneshot::Sender<()>),
    /// Post what this worker has for others, and say so.
    PostAll(oneshot::Sender<()>),
}

/// What a letter weighs beside its content, in bytes, so that many small ones fill an inbox as well.
const LETTER_WEIGHT: usize = 4096;
/// Weight of unread letters above which those who can wait have to.
const FULL: usize = 16 << 20;

impl Letter {
    /// What it adds to its inbox.
    pub fn weight(&self) -> usize {
        let content = match self {
            Self::Deliver(outgoing) => outgoing.command().body.len_bytes(),
            Self::Ask(..) | Self::Lost(_) | Self::Mark(_) | Self::PostAll(_) => 0,
        };
        LETTER_WEIGHT + content
    }
}

/// Letters for one worker. It takes whatever is posted, but whoever posts without being asked looks first whether it is
/// full and waits if so: a client's task does not read on, a REST call does not publish.
#[derive(Debug, Default)]
pub struct Inbox {
    letters: Mutex<Vec<Letter>>,
    arrived: Notify,
    /// Weight of the letters that have not been dealt with.
    weight: AtomicUsize,
    has_room: Notify,
}

impl Inbox {
    /// Adds a letter.
    pub fn post(&self, letter: Letter) {
        self.post_all(&mut vec![letter]);
    }

    /// Adds letters in their order, waking the worker once; they are moved out of `batch`.
    pub fn post_all(&self, batch: &mut Vec<Letter>) {
        let weight = batch.iter().map(Letter::weight).sum();
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        self.weight.fetch_add(weight, Ordering::Relaxed);
        let was_empty = letters.is_empty();
        letters.append(batch);
        drop(letters);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    /// Resolves when all that has been posted so far has been dealt with.
    pub async fn caught_up(&self) {
        let (mark, reached) = oneshot::channel();
        self.post(Letter::Mark(mark));
        // A worker that is gone deals with nothing any more.
        let _ = reached.await;
    }

    /// Waits until there are letters, and exchanges them for `empty`, whose room is used again.
    pub async fn take(&self, mut empty: Vec<Letter>) -> Vec<Letter> {
        while !self.exchange(&mut empty) {
            self.arrived.notified().await;
        }
        empty
    }

    /// Whether any letter has not been taken.
    pub fn has_letters(&self) -> bool {
        !self.letters.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Exchanges what is there for the empty `letters`; says whether there was anything.
    fn exchange(&self, letters: &mut Vec<Letter>) -> bool {
        let mut waiting = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *waiting, letters);
        !letters.is_empty()
    }

    /// Notes that a letter of this weight has been dealt with.
    pub fn done(&self, weight: usize) {
        let before = self.weight.fetch_sub(weight, Ordering::Relaxed);
        if before >= FULL && before - weight < FULL {
            self.has_room.notify_waiters();
        }
    }

    /// Whether so much is unread that whoever can wait has to.
    pub fn is_full(&self) -> bool {
        self.weight.load(Ordering::Relaxed) >= FULL
    }

    /// Waits until the inbox is not full.
    pub async fn room(&self) {
        loop {
            // Asked for before looking, so that room that comes in between is not missed.
            let has_room = self.has_room.notified();
            if !self.is_full() {
                return;
            }
            has_room.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::command::{Body, Command, Target};
    use crate::model::survey::{Question, Survey};
    use codec::ids::{HubName, StreamId};
    use codec::message::{
        Content, Payload, StreamFailure, StreamPart, StreamProgress, StreamSequenceId, UserError,
    };
    use tokio::time::Instant;

    fn letter() -> Letter {
        let hub = HubName::new("h").unwrap();
        let survey = Survey { hub, question: Question::Count(Target::Hub) };
        Letter::Ask(Arc::new(survey), ReplySlot::new(drop))
    }

    #[tokio::test]
    async fn a_full_inbox_has_room_once_its_letters_are_dealt_with() {
        let inbox = Inbox::default();
        let mut batch: Vec<Letter> = (0..FULL / LETTER_WEIGHT).map(|_| letter()).collect();
        inbox.post_all(&mut batch);
        assert!(inbox.is_full());
        let letters = inbox.take(Vec::new()).await;
        assert!(inbox.is_full(), "taken is not dealt with");
        let deal = async {
            letters.iter().for_each(|letter| inbox.done(letter.weight()));
        };
        let both = async { tokio::join!(inbox.room(), deal) };
        tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
        assert_eq!(inbox.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_letter_weighs_what_its_sender_put_into_it() {
        let check = |text: &str, progress: StreamProgress, content: usize| {
            let stream =
                StreamPart { stream_id: StreamId::new("s"), sequence_id: StreamSequenceId(1), progress };
            let content_of = Content { payload: Payload::text(text), metadata: None };
            let command = Command {
                hub: HubName::new("h").unwrap(),
                target: Target::Hub,
                body: Body::Message { from_user_id: None, content: content_of, stream: Some(stream) },
                excluded: Vec::new(),
                filter: None,
                time_to_live: None,
            };
            let letter = Letter::Deliver(Arc::new(Outgoing::new(Arc::new(command), Instant::now())));
            assert_eq!(letter.weight(), LETTER_WEIGHT + content);
        };
        check("four", StreamProgress::Open, 5);
        check("", StreamProgress::Broken(StreamFailure::Cancelled), 1);
        // The payload of this one is empty, and yet it may be as large as any.
        let error = UserError { message: Some("m".repeat(1 << 20)), code: Some("c".repeat(9)) };
        check("", StreamProgress::Broken(StreamFailure::UserError(error)), (1 << 20) + 10);
    }
}
