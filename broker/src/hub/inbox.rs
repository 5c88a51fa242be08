//! What other threads have for a worker, in the order in which they posted it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Durable members that are sent what goes to these partitions, given by their numbers, miss some of it, or would get
    /// it in another order.
    Behind(Arc<[u8]>),
    /// Say that all letters before this one have been dealt with.
    Mark(oneshot::Sender<()>),
    /// Post what this worker has for others, and say so.
    PostAll(oneshot::Sender<()>),
}

/// What a letter weighs beside its content, in bytes, so that many small ones fill an inbox as well.
const LETTER_WEIGHT: usize = 4096;
/// Weight of unread letters above which those who can wait have to.
const FULL: usize = 16 << 20;
/// Letters that are not dealt with, above which nothing is taken in that others send.
const BRIM_LETTERS: usize = 100_000;
/// The same in bytes of their content.
const BRIM_BYTES: usize = 64 << 20;
/// Topics that are named when their messages are lost. Beyond them it may be any topic.
const NAMED: usize = 1000;

impl Letter {
    /// What it adds to its inbox.
    pub fn weight(&self) -> usize {
        let content = match self {
            Self::Deliver(outgoing) => outgoing.command().body.len_bytes(),
            Self::Ask(..) | Self::Lost(_) | Self::Behind(_) | Self::Mark(_) | Self::PostAll(_) => 0,
        };
        LETTER_WEIGHT + content
    }
}

/// Letters for one worker. It takes whatever is posted, but whoever posts without being asked looks first whether it is
/// full and waits if so: a client's task does not read on, a REST call does not publish. What comes from other nodes
/// cannot wait: it is offered, and there is an end to what is taken.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    /// Weight of the letters that have not been dealt with.
    weight: AtomicUsize,
    /// How many that are.
    count: AtomicUsize,
    /// Bytes of their content.
    bytes: AtomicUsize,
    /// Messages that were not taken and not counted yet.
    missed: AtomicU64,
    has_room: Notify,
}

/// Letters that the worker has not taken.
#[derive(Debug, Default)]
struct Waiting {
    letters: Vec<Letter>,
    /// Topics that one of them says messages of are lost.
    lost: HashSet<Topic>,
    /// One of them says that messages of any topic may be lost.
    is_any_lost: bool,
}

impl Inbox {
    /// Adds a letter.
    pub fn post(&self, letter: Letter) {
        self.post_all(&mut vec![letter]);
    }

    /// Adds letters in their order, waking the worker once; they are moved out of `batch`.
    pub fn post_all(&self, batch: &mut Vec<Letter>) {
        let weight: usize = batch.iter().map(Letter::weight).sum();
        let mut waiting = self.waiting();
        self.weight.fetch_add(weight, Ordering::Relaxed);
        self.count.fetch_add(batch.len(), Ordering::Relaxed);
        self.bytes.fetch_add(weight - batch.len() * LETTER_WEIGHT, Ordering::Relaxed);
        let was_empty = waiting.letters.is_empty();
        waiting.letters.append(batch);
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    /// Adds a letter of another node, if the worker is not hopelessly behind. If it is, a message is lost, of which a
    /// letter tells at this place, and a question gets no answer.
    pub fn offer(&self, letter: Letter) {
        if !self.is_brimful() {
            return self.post(letter);
        }
        if let Letter::Deliver(outgoing) = letter {
            self.missed.fetch_add(1, Ordering::Relaxed);
            let command = outgoing.command();
            self.lose(Topic { hub: command.hub.clone(), target: command.target.clone() });
        }
    }

    fn is_brimful(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= BRIM_LETTERS || self.bytes.load(Ordering::Relaxed) >= BRIM_BYTES
    }

    /// Lets the worker know, unless a letter that it has not taken says so.
    fn lose(&self, topic: Topic) {
        let lost = self.waiting().note_loss(topic);
        if let Some(topic) = lost {
            self.post(Letter::Lost(topic));
        }
    }

    /// Messages that were lost since the last call because the worker was too far behind.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that runs under the lock leaves the letters half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        !self.waiting().letters.is_empty()
    }

    /// Exchanges what is there for the empty `letters`; says whether there was anything.
    fn exchange(&self, letters: &mut Vec<Letter>) -> bool {
        let mut waiting = self.waiting();
        std::mem::swap(&mut waiting.letters, letters);
        // Whatever is lost from now on may concern members who come after these letters.
        waiting.lost.clear();
        waiting.is_any_lost = false;
        !letters.is_empty()
    }

    /// Notes that a letter of this weight has been dealt with.
    pub fn done(&self, weight: usize) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(weight - LETTER_WEIGHT, Ordering::Relaxed);
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

impl Waiting {
    /// Messages of this topic are lost. What has to be told, if no letter tells it yet: the topic, or that it may be any.
    fn note_loss(&mut self, topic: Topic) -> Option<Option<Topic>> {
        if self.is_any_lost || self.lost.contains(&topic) {
            return None;
        }
        if self.lost.len() >= NAMED {
            self.is_any_lost = true;
            return Some(None);
        }
        self.lost.insert(topic.clone());
        Some(Some(topic))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::model::command::{Body, Command, Target};
    use crate::model::survey::{Question, Survey};
    use codec::ids::{GroupName, HubName, StreamId};
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

    /// A message to a group, of so many bytes.
    fn message(group: &str, bytes: usize) -> Letter {
        let content = Content { payload: Payload::text("x".repeat(bytes)), metadata: None };
        let command = Command {
            hub: HubName::new("h").unwrap(),
            target: Target::Group(GroupName::new(group).unwrap()),
            body: Body::Message { from_user_id: None, content, stream: None },
            excluded: Vec::new(),
            filter: None,
            time_to_live: None,
        };
        Letter::Deliver(Arc::new(Outgoing::new(Arc::new(command), Instant::now())))
    }

    /// All letters at once, each in a word.
    fn taken(inbox: &Inbox) -> Vec<String> {
        let mut letters = Vec::new();
        inbox.exchange(&mut letters);
        let word = |letter: &Letter| match letter {
            Letter::Deliver(outgoing) => format!("deliver {:?}", outgoing.command().target),
            Letter::Lost(Some(topic)) => format!("lost {:?}", topic.target),
            Letter::Lost(None) => "lost".to_owned(),
            Letter::Behind(_) => "behind".to_owned(),
            Letter::Ask(..) | Letter::Mark(_) | Letter::PostAll(_) => "other".to_owned(),
        };
        let words = letters.iter().map(word).collect();
        letters.iter().for_each(|letter| inbox.done(letter.weight()));
        words
    }

    fn group(word: &str, name: &str) -> String {
        format!("{word} {:?}", Target::Group(GroupName::new(name).unwrap()))
    }

    #[test]
    fn what_others_send_to_a_worker_that_is_hopelessly_behind_is_lost_and_it_is_told_so_once() {
        let check = |count: usize, bytes: usize| {
            let inbox = Inbox::default();
            let first = message("g", bytes);
            let Letter::Deliver(outgoing) = &first else { unreachable!() };
            (0..count).for_each(|_| inbox.offer(Letter::Deliver(Arc::clone(outgoing))));
            assert_eq!(inbox.take_missed(), 0, "{count} of {bytes} have room");
            ["g", "g", "other", "g"].iter().for_each(|group| inbox.offer(message(group, 1)));
            let (sender, answers) = mpsc::channel();
            let survey = Survey { hub: HubName::new("h").unwrap(), question: Question::Count(Target::Hub) };
            let slot = ReplySlot::new(move |answer| sender.send(answer).unwrap());
            inbox.offer(Letter::Ask(Arc::new(survey), slot));
            assert_eq!(answers.try_recv(), Ok(None), "nobody waits for an answer");
            assert_eq!((inbox.take_missed(), inbox.take_missed()), (4, 0));
            let mut letters = taken(&inbox);
            assert_eq!(letters.split_off(count), [group("lost", "g"), group("lost", "other")]);
            inbox.offer(message("g", 1));
            assert_eq!(taken(&inbox), [group("deliver", "g")], "there is room again");
        };
        check(BRIM_LETTERS, 1);
        check((BRIM_BYTES >> 20) + 1, (1 << 20) - 1);
    }

    #[test]
    fn a_loss_is_told_again_when_the_worker_has_taken_what_told_of_it() {
        let inbox = Inbox::default();
        let mut many: Vec<Letter> = (0..BRIM_LETTERS).map(|_| letter()).collect();
        inbox.post_all(&mut many);
        for _ in 0..2 {
            inbox.offer(message("g", 1));
            // Taken and not dealt with: the worker is as far behind as before.
            inbox.exchange(&mut many);
            assert!(matches!(many.pop(), Some(Letter::Lost(Some(_)))));
            many.clear();
        }
    }

    #[test]
    fn beyond_a_number_of_topics_a_loss_may_concern_any() {
        let inbox = Inbox::default();
        inbox.post_all(&mut (0..BRIM_LETTERS).map(|_| letter()).collect());
        (0..NAMED + 10).for_each(|number| inbox.offer(message(&number.to_string(), 1)));
        let told = taken(&inbox).split_off(BRIM_LETTERS);
        assert_eq!(told.len(), NAMED + 1);
        assert_eq!((&told[0], &told[NAMED]), (&group("lost", "0"), &"lost".to_owned()));
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
