//! A node that listens, and what it should get.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;

/// A channel of one run of a sender.
type Source = (usize, u64, usize);

pub(super) struct Receiver {
    number: usize,
    is_gentle: bool,
    heard: Heard<Letter>,
    pub(super) is_watched: [bool; CHANNELS],
    /// Since when, unless always.
    watched_since: [Option<Instant>; CHANNELS],
    /// Which partitions Redis brings, and what is on the way in each.
    pub(super) is_subscribed: [bool; PARTITIONS],
    pub(super) lanes: [Pipe<Parcel>; PARTITIONS],
    pub(super) answers: Pipe<Parcel>,
    /// Links that have broken, and when that will be noticed.
    broken: Vec<(usize, Instant)>,
    /// Partitions that it knows it does not hear, and when they will be subscribed and live.
    deaf: Vec<(usize, Instant, Instant)>,
    questions: Vec<Question>,
    /// Runs that have said farewell and of which nothing is missing.
    pub(super) complete: Vec<(usize, u64)>,
    /// Runs of senders that have been heard. It cannot know of others.
    met: HashSet<(usize, u64)>,
    /// What Redis should have brought and has not, and whether it vanished without a sign.
    due: BTreeMap<Letter, bool>,
    /// What was reported lost, and when.
    lost: Vec<(NodeId, PartitionSet, Instant)>,
    last: HashMap<Source, u64>,
    /// The first and the last number that came since the channel began to be watched.
    seen: HashMap<Source, (u64, u64)>,
    /// One for each lane.
    pub(super) readers: [Reader; PARTITIONS],
}

impl Receiver {
    pub(super) fn new(number: usize, is_gentle: bool) -> Self {
        Self {
            number,
            is_gentle,
            heard: Heard::new(),
            is_watched: [true; CHANNELS],
            watched_since: [None; CHANNELS],
            is_subscribed: [true; PARTITIONS],
            lanes: Default::default(),
            answers: Pipe::default(),
            broken: Vec::new(),
            deaf: Vec::new(),
            questions: Vec::new(),
            complete: Vec::new(),
            met: HashSet::new(),
            due: BTreeMap::new(),
            lost: Vec::new(),
            last: HashMap::new(),
            seen: HashMap::new(),
            readers: Default::default(),
        }
    }

    /// The link to a server breaks: what is on the way is lost, and nothing will come.
    pub(super) fn lose(&mut self, lost: usize, noticed_at: Instant) {
        // What waits while links break again and again is let go after a while, and that is no gentle weather.
        let is_spared = self.is_gentle && !self.deaf.is_empty();
        if is_spared || self.broken.iter().any(|(server, _)| *server == lost) {
            return;
        }
        trace(|| format!("receiver {} loses server {lost}", self.number));
        for lane in (0..PARTITIONS).filter(|lane| server(*lane) == lost) {
            self.is_subscribed[lane] = false;
            self.lanes[lane] = Pipe::default();
        }
        self.deaf.retain(|(lane, ..)| server(*lane) != lost);
        self.broken.push((lost, noticed_at));
    }

    /// Notices that links have broken, and subscribes anew.
    pub(super) fn recover(&mut self, rng: &mut StdRng, now: Instant) {
        let (noticed, broken) = self.broken.iter().partition(|(_, noticed_at)| *noticed_at <= now);
        self.broken = broken;
        let noticed: Vec<_> = noticed;
        for (lost, _) in noticed {
            trace(|| format!("receiver {} is deaf to server {lost}", self.number));
            let lanes: Vec<_> = (0..PARTITIONS).filter(|lane| server(*lane) == lost).collect();
            self.hear(now, |heard, steps| heard.on_deaf(&set(&lanes), now, steps));
            lanes.iter().for_each(|lane| self.readers[*lane].falls_behind());
            for lane in lanes {
                let subscribed_at = now + Duration::from_millis(rng.random_range(0..3_000));
                let live_at = subscribed_at + Duration::from_millis(rng.random_range(0..600));
                self.deaf.push((lane, subscribed_at, live_at));
            }
        }
        for (lane, subscribed_at, live_at) in std::mem::take(&mut self.deaf) {
            self.is_subscribed[lane] = subscribed_at <= now;
            if live_at <= now {
                trace(|| format!("receiver {} hears lane {lane}", self.number));
                self.hear(now, |heard, steps| heard.on_hearing(&set(&[lane]), now, steps));
            } else {
                self.deaf.push((lane, subscribed_at, live_at));
            }
        }
    }

    /// Begins to watch a channel, or ends it.
    pub(super) fn turn(&mut self, channel: usize, now: Instant) {
        self.is_watched[channel] ^= true;
        self.watched_since[channel] = Some(now);
        trace(|| format!("receiver {} watches {channel}: {}", self.number, self.is_watched[channel]));
        self.due.retain(|letter, _| letter.channel != channel);
        self.seen.retain(|source, _| source.2 != channel);
        self.heard.forget_channel(&name(channel));
    }

    /// Redis has a letter for it, for the first time.
    pub(super) fn expect(&mut self, letter: Letter, vanishes: bool) {
        // It may have come before, in the answer to a question, or have been reported lost. Others may have come so before the channel was watched,
        // and then it is taken for one that comes twice.
        let is_meant = self.watched_since[letter.channel].is_none_or(|since| since <= letter.published_at);
        let is_lost = self.lost.iter().any(|(origin, partitions, at)| {
            let is_there = partitions.contains(lane(letter.channel)) && *origin == node(letter.sender);
            is_there && letter.published_at <= *at
        });
        if is_meant && !is_lost && self.last.get(&source(&letter)).is_none_or(|last| *last < letter.sequence)
        {
            self.due.insert(letter, vanishes);
        }
    }

    /// Takes in what has arrived. Gives what it wants to ask.
    pub(super) fn listen(&mut self, now: Instant) -> Vec<Question> {
        for lane in 0..PARTITIONS {
            while let Some(parcel) = self.lanes[lane].pop(now) {
                self.open(parcel, now);
            }
        }
        while let Some(parcel) = self.answers.pop(now) {
            self.open(parcel, now);
        }
        if self.heard.due_at().is_some_and(|due| due <= now) {
            self.hear(now, |heard, steps| heard.on_time(now, steps));
            assert!(self.heard.due_at().is_none_or(|due| due > now));
        }
        std::mem::take(&mut self.questions)
    }

    pub(super) fn finish(&self) {
        assert_eq!(self.heard.held_bytes(), 0, "something waits for ever");
        let has_met = |letter: &Letter| self.met.contains(&(letter.sender, letter.epoch));
        for (letter, vanished) in self.due.iter().filter(|(letter, _)| has_met(letter)) {
            let seen = self.seen.get(&source(letter));
            let shows = seen.is_some_and(|(first, last)| *first < letter.sequence && letter.sequence < *last);
            assert!(*vanished && !shows, "receiver {} never got {letter:?}; {seen:?}", self.number);
        }
    }

    fn open(&mut self, parcel: Parcel, now: Instant) {
        match parcel {
            Parcel::Letter(letter) if !self.is_watched[letter.channel] => {}
            Parcel::Letter(letter) => {
                self.met.insert((letter.sender, letter.epoch));
                trace(|| format!("receiver {} <- {letter:?}", self.number));
                let (node, name) = (node(letter.sender), name(letter.channel));
                self.hear(now, |heard, steps| heard.on_envelope(letter.incoming(&node, &name), now, steps));
            }
            Parcel::Beat { sender, epoch, sequence } => {
                self.met.insert((sender, epoch));
                self.hear(now, |heard, steps| heard.on_beat((&node(sender), epoch), sequence, now, steps));
            }
            Parcel::Farewell { sender, epoch } => {
                self.met.insert((sender, epoch));
                let mut is_complete = false;
                self.hear(now, |heard, steps| {
                    is_complete = heard.on_farewell((&node(sender), epoch), now, steps);
                });
                trace(|| format!("receiver {} <- farewell {sender} {epoch}: {is_complete}", self.number));
                if is_complete {
                    self.complete.push((sender, epoch));
                }
            }
            Parcel::Probe { lane, sent_at } => {
                if self.deaf.iter().all(|(deaf, ..)| *deaf != lane) {
                    // Nothing is published in the partitions that are no lane here.
                    let like_it = (0..=u8::MAX).filter(|number| usize::from(*number) % PARTITIONS == lane);
                    self.heard.on_proof(&like_it.map(Partition).collect(), sent_at);
                }
            }
            Parcel::Part { sender, epoch, part } => {
                trace(|| format!("receiver {} <- {sender} {epoch} {part:?}", self.number));
                let Answer { question, number, is_last, lacking, letters } = part;
                let letters: Vec<_> =
                    letters.into_iter().filter(|letter| self.is_watched[letter.channel]).collect();
                let names: Vec<_> = letters.iter().map(|letter| name(letter.channel)).collect();
                let node = node(sender);
                let envelopes = letters.iter().zip(&names).map(|(letter, name)| letter.incoming(&node, name));
                let part = Part { question, number, is_last, lacking, envelopes: envelopes.collect() };
                self.hear(now, |heard, steps| heard.on_part((&node, epoch), part, now, steps));
            }
        }
    }

    fn hear(&mut self, now: Instant, call: impl FnOnce(&mut Heard<Letter>, &mut Vec<Step<Letter>>)) {
        let mut steps = Vec::new();
        call(&mut self.heard, &mut steps);
        assert!(self.heard.held_bytes() <= HELD_BYTES);
        for step in steps {
            trace(|| format!("receiver {} -> {step:?}", self.number));
            match step {
                Step::Deliver(letter) => self.deliver(&letter),
                Step::Behind(partitions) => self.fall_behind(&partitions),
                Step::Ask(question) => self.questions.push(question),
                Step::Lost { origin, partitions, .. } => {
                    assert!(!self.is_gentle, "nothing had to be lost");
                    self.lost.push((origin.clone(), partitions, now));
                    self.fall_behind(&partitions);
                    self.due.retain(|letter, _| {
                        node(letter.sender) != origin || !partitions.contains(lane(letter.channel))
                    });
                }
            }
        }
    }

    fn fall_behind(&mut self, partitions: &PartitionSet) {
        let lanes = (0..PARTITIONS).filter(|number| partitions.contains(lane_of(*number)));
        lanes.for_each(|lane| self.readers[lane].falls_behind());
    }

    /// Readers that are behind go on, where they need not wait.
    pub(super) fn read_on(&mut self) {
        for number in 0..PARTITIONS {
            let reader = &mut self.readers[number];
            if reader.is_behind() && self.heard.position_with_logs(&set(&[number])).is_some() {
                trace(|| format!("receiver {} reads on in lane {number}", self.number));
                reader.goes_on();
            }
        }
    }

    /// Everybody has got what was in the logs.
    pub(super) fn finish_reading(&self) {
        let is_watched = |channel: usize| self.is_watched[channel] && self.watched_since[channel].is_none();
        self.readers.iter().for_each(|reader| reader.finish(is_watched));
    }

    fn deliver(&mut self, letter: &Letter) {
        // What was published before a channel was watched comes in no order.
        if self.watched_since[letter.channel].is_none() {
            self.readers[partition(letter.channel)].deliver(letter);
        }
        let last = self.last.insert(source(letter), letter.sequence).unwrap_or(0);
        assert!(last < letter.sequence, "receiver {}: {letter:?} after {last}", self.number);
        self.due.remove(letter);
        let seen = self.seen.entry(source(letter)).or_insert((letter.sequence, 0));
        seen.1 = letter.sequence;
    }
}

fn source(letter: &Letter) -> Source {
    (letter.sender, letter.epoch, letter.channel)
}

fn lane_of(number: usize) -> Partition {
    Partition(u8::try_from(number).unwrap())
}

fn set(lanes: &[usize]) -> PartitionSet {
    lanes.iter().map(|lane| lane_of(*lane)).collect()
}
