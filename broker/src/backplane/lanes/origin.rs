//! One run of a node, as it has been heard here: what has come, what is missing, and what waits for it.

use std::time::Duration;

use codec::ids::NodeId;
use tokio::time::Instant;

use super::channels::{Channels, Run};
use super::held::{Held, Place};
use super::lane::{Gap, Lane, State};
use super::proofs::Proofs;
use super::{
    ASK_AGAIN, ASK_SELDOM, EARLIER, FORGOTTEN, HELD_BYTES, HELD_FOR, Incoming, LONGEST, OWED_FOR, PART, Part,
    PartitionSet, QUIET, Question, SILENT, SMALLEST_PART, Step, Why,
};
use crate::backplane::Partition;

/// See the module.
#[derive(Debug)]
pub(super) struct Origin<T> {
    id: NodeId,
    epoch: u64,
    run: Run,
    /// Since when what it publishes matters here: before, it was not there, or we were not.
    since: Instant,
    /// The highest number that it is known to have given.
    known: u64,
    settled: Settled,
    heard_at: Instant,
    /// Whether it was heard no more when we became deaf, nor since: it is asked when it comes back.
    is_silent: bool,
    /// Whether somebody may have gone on from logs although something of it is missing.
    is_passed_over: bool,
    /// When it became known that nothing more will come and that there is nobody to ask.
    ended_at: Option<Instant>,
    /// Whether it has said that it ends, and that Redis has taken all that it has published.
    has_left: bool,
    has_channels: bool,
    lanes: Box<[Lane; Partition::COUNT]>,
    is_suspicious: bool,
    repair: Option<Repair>,
    /// See [`Question::part`].
    part: usize,
    /// Since when there has always been something to ask for.
    owes_since: Option<Instant>,
    held: Held<T>,
    held_since: Option<Instant>,
}

/// A number up to which all that was published has arrived in every partition that was heard.
#[derive(Debug)]
struct Settled {
    sequence: u64,
    /// Becomes the number when it is proven that what Redis had taken has come.
    next: u64,
    since: Instant,
}

/// A question that is under way, or the same one asked several times.
#[derive(Debug)]
struct Repair {
    first: u64,
    latest: u64,
    /// The question of these whose answer is being taken in, and its next part.
    answer: Option<(u64, u64)>,
    /// What was asked for is there up to this number, but for what answers lacked.
    taken: u64,
    /// Partitions of which answers lacked something.
    lacking: PartitionSet,
    progress: Instant,
    again_at: Instant,
    again_in: Duration,
}

/// What an origin has to do with.
pub(super) struct Around<'a, T> {
    pub(super) channels: &'a mut Channels,
    pub(super) proofs: &'a Proofs,
    pub(super) questions: &'a mut u64,
    pub(super) steps: &'a mut Vec<Step<T>>,
    pub(super) now: Instant,
    /// Whether anybody goes on from logs.
    pub(super) has_readers: bool,
}

impl<T> Around<'_, T> {
    /// What the origin publishes to these partitions has to wait.
    fn waits(&mut self, partitions: PartitionSet) {
        if self.has_readers && !partitions.is_empty() {
            self.steps.push(Step::Behind(partitions));
        }
    }
}

/// What becomes of an envelope.
enum Verdict {
    Deliver,
    Drop,
    Wait,
}

impl<T> Origin<T> {
    /// A run of a node that is heard for the first time, with this number, and matters since this time.
    pub(super) fn new(
        (id, epoch): (NodeId, u64),
        run: Run,
        (sequence, since): (u64, Instant),
        now: Instant,
    ) -> Self {
        Self {
            id,
            epoch,
            run,
            since,
            known: sequence,
            settled: Settled { sequence: 0, next: 0, since: now },
            heard_at: now,
            is_silent: false,
            is_passed_over: false,
            ended_at: None,
            has_left: false,
            has_channels: false,
            lanes: Box::new([Lane::default(); Partition::COUNT]),
            is_suspicious: false,
            repair: None,
            part: PART,
            owes_since: None,
            held: Held::default(),
            held_since: None,
        }
    }

    pub(super) fn id(&self) -> &NodeId {
        &self.id
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Everything that it has ever published to these partitions may be missing.
    pub(super) fn begin_deaf(&mut self, partitions: &PartitionSet) {
        for partition in partitions.iter() {
            self.lane(partition).go_deaf(0);
        }
        // What is there already has not waited for it.
        self.is_passed_over = true;
    }

    pub(super) fn on_envelope(&mut self, incoming: Incoming<'_, T>, around: &mut Around<'_, T>) {
        self.is_heard(incoming.mark.sequence, around);
        let place = Place::from(incoming.mark);
        let verdict = match self.lane(place.partition).state {
            State::Open => self.judge(place, around),
            State::Deaf | State::Suspicious | State::Asked => Verdict::Wait,
        };
        match verdict {
            Verdict::Deliver => around.steps.push(Step::Deliver(incoming.item)),
            Verdict::Drop => {}
            Verdict::Wait => self.hold(incoming, around),
        }
        self.ask_if_suspicious(around);
    }

    pub(super) fn on_beat(&mut self, sequence: u64, around: &mut Around<'_, T>) {
        self.is_heard(sequence, around);
        if around.proofs.of_all() >= Some(self.settled.since) {
            let Settled { next, .. } = self.settled;
            self.settled = Settled { sequence: next, next: sequence.max(next), since: around.now };
        }
        self.ask_if_suspicious(around);
    }

    /// `hearing_since` says since when all was heard until now, unless always.
    pub(super) fn on_deaf(
        &mut self,
        partitions: &PartitionSet,
        hearing_since: Option<Instant>,
        around: &mut Around<'_, T>,
    ) {
        // Its last words may still have been under way.
        let doubtful = self.ended_at.map_or(PartitionSet::EMPTY, |at| around.proofs.lacking(partitions, at));
        if self.has_left && !doubtful.is_empty() {
            // Whoever has said farewell waits until we have all of it.
            self.ended_at = None;
        }
        if self.ended_at.is_some() {
            let open = doubtful.iter().filter(|partition| self.lane(*partition).state == State::Open);
            let lost = open.collect();
            self.report(lost, Why::LastWords, around);
            self.is_silent = true;
        } else if self.owes_since.is_none() {
            let unheard_since = hearing_since.map_or(self.heard_at, |since| since.max(self.heard_at));
            let proven = around.proofs.of_all();
            self.is_silent |= proven.is_some_and(|until| until >= unheard_since + SILENT);
        }
        let settled = self.settled.sequence;
        let taken = self.repair.as_ref().map_or(0, |repair| repair.taken);
        for partition in partitions.iter() {
            let lane = self.lane(partition);
            if lane.state == State::Asked {
                lane.floor = lane.floor.max(taken);
            }
            lane.go_deaf(settled);
        }
        let is_any = |state| self.lanes.iter().any(|lane| lane.state == state);
        let (is_asked, is_suspicious) = (is_any(State::Asked), is_any(State::Suspicious));
        self.is_suspicious = is_suspicious;
        if !is_asked {
            // Its answer may be what we were cut off for.
            self.part = if self.repair.take().is_some() { half(self.part) } else { self.part };
            if !is_suspicious {
                self.owes_since = None;
            }
        }
        self.ask_if_suspicious(around);
    }

    /// The run ends, and Redis has taken all that it has published. Says whether nothing of that is missing.
    pub(super) fn on_farewell(&mut self, around: &mut Around<'_, T>) -> bool {
        if self.ended_at.is_none() {
            self.has_left = true;
            self.speaks(around);
            self.ask_if_suspicious(around);
            self.end_if_complete(around.now);
        }
        self.ended_at.is_some_and(|at| around.proofs.lacking(&PartitionSet::ALL, at).is_empty())
    }

    pub(super) fn on_hearing(&mut self, partitions: &PartitionSet, around: &mut Around<'_, T>) {
        for partition in partitions.iter() {
            let lane = self.lane(partition);
            if lane.state == State::Deaf {
                lane.state = State::Suspicious;
                self.is_suspicious = true;
            }
        }
        self.ask_if_suspicious(around);
    }

    pub(super) fn on_part(&mut self, part: Part<'_, T>, around: &mut Around<'_, T>) {
        let Some(repair) = &mut self.repair else {
            return;
        };
        let expected = repair.answer.unwrap_or((part.question, 0));
        let is_asked = (repair.first..=repair.latest).contains(&part.question);
        if !is_asked || expected != (part.question, part.number) {
            return;
        }
        repair.answer = Some((part.question, part.number + 1));
        repair.progress = around.now;
        repair.again_in = ASK_AGAIN;
        repair.again_at = around.now + ASK_AGAIN;
        self.speaks(around);
        if part.number == 0 {
            self.on_answer(&part.lacking, around);
        }
        let last = part.envelopes.last().map_or(0, |incoming| incoming.mark.sequence);
        for incoming in part.envelopes {
            self.on_repaired(incoming, around);
        }
        if let Some(repair) = &mut self.repair {
            repair.taken = repair.taken.max(last);
        }
        if part.is_last {
            self.end_repair(around);
        }
        self.ask_if_suspicious(around);
    }

    pub(super) fn on_time(&mut self, around: &mut Around<'_, T>) {
        let now = around.now;
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.give_up(Why::Unanswered, around);
        } else if self.repair.as_ref().is_some_and(|repair| repair.again_at <= now) {
            self.ask(around);
        }
        if self.has_channels && self.heard_at + FORGOTTEN <= now {
            around.channels.forget_run(self.run);
            self.has_channels = false;
        }
    }

    /// When [`Self::on_time`] has something to do, as far as repairs go.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let again = self.repair.as_ref().map(|repair| repair.again_at);
        [self.deadline(), again].into_iter().flatten().min()
    }

    /// The node has started anew: nobody can be asked.
    pub(super) fn end(&mut self, around: &mut Around<'_, T>) {
        self.has_left = false;
        if self.ended_at.is_none() {
            // It may have come back and ended while we were deaf.
            self.is_silent = false;
            self.leave(Why::Ended, around);
        }
    }

    /// It will not be known any more.
    pub(super) fn leave(&mut self, why: Why, around: &mut Around<'_, T>) {
        if self.ended_at.is_none() {
            self.ended_at = Some(around.now);
            self.give_up(why, around);
        }
    }

    /// It is not known any more.
    pub(super) fn forget(&mut self, channels: &mut Channels) {
        if self.has_channels {
            channels.forget_run(self.run);
        }
    }

    pub(super) fn forget_channel(&mut self, channel: &str) {
        if !self.held.is_empty() {
            self.held.forget_channel(channel);
            self.note_held();
        }
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// The highest number of a partition that has been heard; nothing while something is missing there, or may be.
    /// `for_long` says that whoever is there would have been heard by now.
    pub(super) fn heard(&self, partition: Partition, for_long: bool) -> Option<u64> {
        let lane = &self.lanes[usize::from(partition.0)];
        let is_gone = self.is_silent && (for_long || self.ended_at.is_some());
        (lane.state == State::Open || is_gone).then_some(lane.highest)
    }

    /// The highest number of a partition that has been heard.
    pub(super) fn highest(&self, partition: Partition) -> u64 {
        self.lanes[usize::from(partition.0)].highest
    }

    /// Whether it has said nothing for long, although it would have been heard `since` then and until it is `proven`, and
    /// nothing of a partition can be missing but what was published in a deafness, or waits for that.
    pub(super) fn is_quiet(
        &self,
        partition: Partition,
        proven: Option<Instant>,
        since: Option<Instant>,
    ) -> bool {
        let unheard_since = since.map_or(self.heard_at, |since| since.max(self.heard_at));
        self.lanes[usize::from(partition.0)].was_deaf && proven >= Some(unheard_since + QUIET)
    }

    /// Somebody goes on without what is missing in these partitions, if anything is.
    pub(super) fn pass_over(&mut self, partitions: &PartitionSet) {
        self.is_passed_over |= partitions.iter().any(|partition| self.lane(partition).state != State::Open);
    }

    fn lane(&mut self, partition: Partition) -> &mut Lane {
        &mut self.lanes[usize::from(partition.0)]
    }

    fn is_heard(&mut self, sequence: u64, around: &mut Around<'_, T>) {
        self.known = self.known.max(sequence);
        self.speaks(around);
        // All its last words had come: what seemed to be a new run was a late word of an older one, or both live.
        if self.ended_at.is_some_and(|ended_at| around.proofs.of_all() >= Some(ended_at)) {
            self.ended_at = None;
            self.has_left = false;
        }
    }

    /// It is there.
    fn speaks(&mut self, around: &mut Around<'_, T>) {
        self.heard_at = around.now;
        self.is_silent = false;
        if std::mem::take(&mut self.is_passed_over) {
            let lanes = (0..=u8::MAX).zip(self.lanes.iter());
            let waiting = lanes.filter(|(_, lane)| lane.state != State::Open);
            around.waits(waiting.map(|(number, _)| Partition(number)).collect());
        }
    }

    fn is_open(&self) -> bool {
        self.lanes.iter().all(|lane| lane.state == State::Open)
    }

    fn end_if_complete(&mut self, now: Instant) {
        if self.has_left && self.ended_at.is_none() && self.is_open() {
            self.ended_at = Some(now);
        }
    }

    /// Says what becomes of an envelope whose turn it is, and notes it if it is to be delivered.
    fn judge(&mut self, place: Place<'_>, around: &mut Around<'_, T>) -> Verdict {
        let Place { sequence, previous, partition, channel } = place;
        let lane = &mut self.lanes[usize::from(partition.0)];
        let mut is_lost = false;
        if let Some(last) = around.channels.last_mut(channel, self.run) {
            if sequence <= *last {
                return Verdict::Drop;
            }
            if previous > *last {
                match lane.gap(*last, previous) {
                    Gap::Settled => {}
                    Gap::Missing if self.ended_at.is_none() => {
                        lane.suspect(*last);
                        self.is_suspicious = true;
                        around.waits([partition].into_iter().collect());
                        return Verdict::Wait;
                    }
                    Gap::Missing | Gap::Lost => is_lost = true,
                }
            }
            *last = sequence;
        } else {
            // It may have been heard before the channel was forgotten.
            if sequence <= lane.highest {
                return Verdict::Drop;
            }
            around.channels.insert(channel, self.run, sequence);
            self.has_channels = true;
        }
        lane.highest = lane.highest.max(sequence);
        if is_lost {
            let why = if self.ended_at.is_some() { Why::Ended } else { Why::Forgotten };
            self.report([partition].into_iter().collect(), why, around);
        }
        Verdict::Deliver
    }

    fn hold(&mut self, incoming: Incoming<'_, T>, around: &mut Around<'_, T>) {
        self.held.insert(incoming);
        self.held_since.get_or_insert(around.now);
        if self.held.bytes() > HELD_BYTES {
            self.give_up(Why::Overflow, around);
        }
    }

    fn note_held(&mut self) {
        if self.held.is_empty() {
            self.held_since = None;
        }
    }

    /// Delivers what need not wait any more.
    fn release(&mut self, around: &mut Around<'_, T>) {
        for (sequence, waiting) in self.held.take() {
            let verdict = match self.lane(waiting.partition).state {
                State::Open => self.judge(waiting.open(sequence), around),
                State::Deaf | State::Suspicious | State::Asked => Verdict::Wait,
            };
            match verdict {
                Verdict::Deliver => around.steps.push(Step::Deliver(waiting.into_item())),
                Verdict::Drop => {}
                Verdict::Wait => self.held.put(sequence, waiting),
            }
        }
        self.note_held();
    }

    fn ask_if_suspicious(&mut self, around: &mut Around<'_, T>) {
        let can_be_asked = !self.is_silent && self.ended_at.is_none();
        if self.is_suspicious && self.repair.is_none() && can_be_asked {
            self.ask(around);
        }
    }

    /// Asks for all that is missing, the same again if need be.
    fn ask(&mut self, around: &mut Around<'_, T>) {
        // Answers to the questions before do not know of what is asked for only now.
        let is_wider = std::mem::take(&mut self.is_suspicious);
        let before = self.repair.take();
        let (taken, lacking) = match &before {
            Some(repair) if !is_wider => (repair.taken, repair.lacking),
            _ => (0, PartitionSet::default()),
        };
        let mut floors = Vec::new();
        for (number, lane) in (0..=u8::MAX).zip(self.lanes.iter_mut()) {
            match lane.state {
                State::Open | State::Deaf => continue,
                State::Suspicious => lane.ask(self.known),
                State::Asked => {}
            }
            floors.push((Partition(number), lane.floor.max(taken)));
        }
        if floors.is_empty() {
            return;
        }
        *around.questions += 1;
        let (number, now) = (*around.questions, around.now);
        let (first, again_in, progress) = match &before {
            Some(repair) => {
                let first = if is_wider { number } else { repair.first };
                self.part = if is_wider { self.part } else { half(self.part) };
                (first, ASK_SELDOM.min(repair.again_in * 2), repair.progress)
            }
            None => (number, ASK_AGAIN, now),
        };
        let again_at = now + again_in;
        let answer = None;
        self.repair =
            Some(Repair { first, latest: number, answer, taken, lacking, progress, again_at, again_in });
        self.owes_since.get_or_insert(now);
        let within = now.saturating_duration_since(self.since) + EARLIER;
        let question = Question { origin: self.id.clone(), number, floors, within, part: self.part };
        around.steps.push(Step::Ask(question));
    }

    /// An answer begins. What is not in it will not come.
    fn on_answer(&mut self, lacking: &PartitionSet, around: &mut Around<'_, T>) {
        let Some(repair) = &mut self.repair else {
            return;
        };
        let told = repair.lacking;
        repair.lacking.add(lacking);
        let mut lost = PartitionSet::default();
        for (number, lane) in (0..=u8::MAX).zip(self.lanes.iter_mut()) {
            let partition = Partition(number);
            if lane.state == State::Asked {
                let is_lacking = repair.lacking.contains(partition);
                if lane.was_deaf && is_lacking && !told.contains(partition) {
                    lost.insert(partition);
                }
                // Where we heard all the time, the numbers of each channel show whether it has lost something.
                lane.is_settled = !is_lacking || lane.was_deaf;
            }
        }
        self.report(lost, Why::Forgotten, around);
    }

    fn on_repaired(&mut self, incoming: Incoming<'_, T>, around: &mut Around<'_, T>) {
        let mark = incoming.mark;
        let lane = self.lanes[usize::from(mark.partition.0)];
        let is_meant = *mark.origin == self.id && mark.epoch == self.epoch && mark.sequence > lane.floor;
        // Where it is suspicious or deaf again, all will be asked for again.
        if !is_meant || lane.state != State::Asked {
            return;
        }
        self.known = self.known.max(mark.sequence);
        if let Verdict::Deliver = self.judge(Place::from(mark), around) {
            around.steps.push(Step::Deliver(incoming.item));
        }
    }

    fn end_repair(&mut self, around: &mut Around<'_, T>) {
        self.repair = None;
        self.part = (self.part * 2).min(PART);
        self.lanes.iter_mut().filter(|lane| lane.state == State::Asked).for_each(Lane::open);
        self.release(around);
        if !self.is_suspicious {
            self.owes_since = None;
        }
        self.end_if_complete(around.now);
    }

    fn deadline(&self) -> Option<Instant> {
        let progress = self.repair.as_ref().map(|repair| repair.progress);
        let moved = |since: Instant| progress.map_or(since, |progress| since.max(progress));
        let owed = self.owes_since.map(|since| (moved(since) + OWED_FOR).min(since + LONGEST));
        let patience = if progress.is_some() { HELD_FOR } else { OWED_FOR };
        let held = self.held_since.map(|since| (moved(since) + patience).min(since + LONGEST));
        [owed, held].into_iter().flatten().min()
    }

    /// What is missing will not come. All that waits goes on.
    fn give_up(&mut self, why: Why, around: &mut Around<'_, T>) {
        let mut waiting = PartitionSet::default();
        for partition in self.held.partitions() {
            waiting.insert(partition);
        }
        let (mut lost, mut deaf) = (PartitionSet::default(), PartitionSet::default());
        for (number, lane) in (0..=u8::MAX).zip(self.lanes.iter_mut()) {
            let partition = Partition(number);
            let is_over = match lane.state {
                State::Open => false,
                State::Suspicious | State::Asked => true,
                State::Deaf => self.ended_at.is_some() || waiting.contains(partition),
            };
            if is_over {
                if lane.state == State::Deaf {
                    deaf.insert(partition);
                }
                lost.insert(partition);
                lane.give_up(self.known);
            }
        }
        self.repair = None;
        self.is_suspicious = false;
        self.owes_since = None;
        if !self.is_silent {
            self.report(lost, why, around);
        }
        self.release(around);
        if self.ended_at.is_none() {
            let settled = self.settled.sequence;
            for partition in deaf.iter() {
                self.lane(partition).go_deaf(settled);
            }
        }
    }

    fn report(&self, partitions: PartitionSet, why: Why, around: &mut Around<'_, T>) {
        if !partitions.is_empty() {
            around.steps.push(Step::Lost { origin: self.id.clone(), partitions, why });
        }
    }
}

/// Of a part of an answer.
fn half(part: usize) -> usize {
    (part / 2).max(SMALLEST_PART)
}
