//! A node that publishes, and its links to the servers.

use crate::backplane::lanes::sender::Stamp;
use bytes::Bytes;

use super::*;

pub(super) struct Sender {
    pub(super) number: usize,
    pub(super) epoch: u64,
    sent: Sent,
    /// All that this run has published, by number.
    letters: Vec<Letter>,
    pub(super) links: Vec<Link>,
    /// Set while it ends: it publishes nothing more.
    pub(super) leaving: Option<Leaving>,
}

/// An end in order.
pub(super) struct Leaving {
    /// When it goes, whether or not all have said that they have everything.
    until: Option<Instant>,
    pub(super) complete: [bool; RECEIVERS],
}

/// A link to one server.
pub(super) struct Link {
    pub(super) is_up: bool,
    /// What Redis has not been given, or has not confirmed before the link broke; and whether it was never given.
    queue: VecDeque<(Letter, bool)>,
    unconfirmed: VecDeque<Letter>,
}

impl Link {
    fn new() -> Self {
        Self { is_up: true, queue: VecDeque::new(), unconfirmed: VecDeque::new() }
    }

    /// The next letter, for Redis to give out, and whether it gets it for the first time.
    pub(super) fn send(&mut self) -> Option<(Letter, bool)> {
        if !self.is_up {
            return None;
        }
        let (letter, is_first) = self.queue.pop_front()?;
        self.unconfirmed.push_back(letter);
        Some((letter, is_first))
    }

    pub(super) fn confirm(&mut self) {
        if self.is_up {
            self.unconfirmed.clear();
        }
    }

    pub(super) fn lose(&mut self) {
        self.is_up = false;
        while let Some(letter) = self.unconfirmed.pop_back() {
            self.queue.push_front((letter, false));
        }
    }

    /// Whether Redis has had a letter.
    fn has_given(&self, letter: &Letter) -> bool {
        !self.queue.iter().any(|(waiting, is_first)| *is_first && waiting == letter)
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.unconfirmed.is_empty()
    }

    /// The number of the first letter of which it is not known that Redis has it.
    fn first_doubtful(&self) -> Option<u64> {
        let queued = self.queue.front().map(|(letter, _)| letter.sequence);
        [queued, self.unconfirmed.front().map(|letter| letter.sequence)].into_iter().flatten().min()
    }
}

impl Sender {
    pub(super) fn new(number: usize, epoch: u64, ring: RingLimits) -> Self {
        let links = (0..SERVERS).map(|_| Link::new()).collect();
        Self { number, epoch, sent: Sent::new(ring), letters: Vec::new(), links, leaving: None }
    }

    /// Begins to end.
    pub(super) fn stop(&mut self, until: Option<Instant>) {
        trace(|| format!("sender {} stops, until {until:?}", self.number));
        self.leaving.get_or_insert(Leaving { until, complete: [false; RECEIVERS] });
    }

    /// Whether it says farewell: Redis has taken all that it has published.
    pub(super) fn is_saying_farewell(&self) -> bool {
        self.leaving.is_some() && self.links[0].is_up && self.links.iter().all(Link::is_empty)
    }

    /// Whether it need not stay any longer, or will not.
    pub(super) fn has_gone(&self, now: Instant) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| {
            leaving.until.is_some_and(|until| until <= now) || leaving.complete == [true; RECEIVERS]
        })
    }

    pub(super) fn restart(&mut self, ring: RingLimits) {
        trace(|| format!("sender {} starts anew", self.number));
        *self = Self::new(self.number, self.epoch + 1, ring);
    }

    pub(super) fn publish(&mut self, channel: usize, len: usize, now: Instant) {
        let Stamp { sequence, previous } = self.sent.stamp(&name(channel));
        let bytes = Bytes::copy_from_slice(&sequence.to_be_bytes());
        self.sent.keep(sequence, (lane(channel), Arc::from(name(channel))), bytes, now);
        let Self { number: sender, epoch, .. } = *self;
        let letter = Letter { sender, epoch, channel, sequence, previous, len, published_at: now };
        self.letters.push(letter);
        self.links[server(partition(channel))].queue.push_back((letter, true));
    }

    /// Whether Redis has had a letter.
    pub(super) fn has_given(&self, letter: &Letter) -> bool {
        self.links[server(partition(letter.channel))].has_given(letter)
    }

    /// What it says in a beat, if it can.
    pub(super) fn beat(&self) -> Option<u64> {
        let doubtful = self.links.iter().filter_map(Link::first_doubtful).min();
        (self.links[0].is_up && self.leaving.is_none())
            .then(|| doubtful.map_or(self.sent.last(), |first| first - 1))
    }

    pub(super) fn after(&mut self, question: &Question, now: Instant) -> (Vec<Letter>, PartitionSet) {
        let missed = self.sent.after(&question.floors, (u64::MAX, question.within), now);
        let letters = missed.envelopes.iter().map(|published| {
            let sequence = u64::from_be_bytes(published.bytes[..].try_into().unwrap());
            self.letters[usize::try_from(sequence).unwrap() - 1]
        });
        (letters.collect(), missed.lacking)
    }
}
