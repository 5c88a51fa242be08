//! What is delivered, asked and reported lost, case by case. Envelopes bring their numbers; steps are written as text.

use tokio::time::Instant;

use super::*;

/// One who hears, and the time.
struct Ear {
    heard: Heard<u64>,
    now: Instant,
}

/// An envelope of node `n`, epoch 1, on channel `a` of partition 7, unless something else is said.
#[derive(Clone, Copy)]
struct Sample {
    node: &'static str,
    epoch: u64,
    sequence: u64,
    previous: u64,
    partition: u8,
    channel: &'static str,
    len: usize,
}

fn a(sequence: u64, previous: u64) -> Sample {
    Sample { node: "n", epoch: 1, sequence, previous, partition: 7, channel: "a", len: 10 }
}

fn b(sequence: u64, previous: u64) -> Sample {
    Sample { channel: "b", ..a(sequence, previous) }
}

/// On a channel of partition 8.
fn c(sequence: u64, previous: u64) -> Sample {
    Sample { channel: "c", partition: 8, ..a(sequence, previous) }
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn incoming(sample: Sample, node: &NodeId) -> Incoming<'_, u64> {
    let Sample { epoch, sequence, previous, partition, channel, len, .. } = sample;
    let partition = Partition(partition);
    let mark = Mark { origin: node, epoch, sequence, previous, partition, channel };
    Incoming { mark, item: sequence, len }
}

fn set(partitions: &[u8]) -> PartitionSet {
    partitions.iter().copied().map(Partition).collect()
}

fn text(step: &Step<u64>) -> String {
    match step {
        Step::Deliver(number) => number.to_string(),
        Step::Ask(Question { origin, number, floors, .. }) => {
            let floors: Vec<_> =
                floors.iter().map(|(partition, floor)| format!("{}>{floor}", partition.0)).collect();
            format!("ask {} #{number} {}", origin.as_str(), floors.join(" "))
        }
        Step::Behind(partitions) => {
            let partitions: Vec<_> = partitions.iter().map(|partition| partition.0.to_string()).collect();
            format!("behind {}", partitions.join(" "))
        }
        Step::Lost { origin, partitions, .. } => {
            let partitions: Vec<_> = partitions.iter().map(|partition| partition.0.to_string()).collect();
            format!("lost {} {}", origin.as_str(), partitions.join(" "))
        }
    }
}

impl Ear {
    fn new() -> Self {
        Self { heard: Heard::new(), now: Instant::now() }
    }

    /// Calls, and checks what it leads to.
    #[track_caller]
    fn does(&mut self, expected: &[&str], call: impl FnOnce(&mut Heard<u64>, Instant, &mut Vec<Step<u64>>)) {
        let mut steps = Vec::new();
        call(&mut self.heard, self.now, &mut steps);
        assert_eq!(steps.iter().map(text).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn hears(&mut self, sample: Sample, expected: &[&str]) {
        let node = node(sample.node);
        self.does(expected, |heard, now, steps| heard.on_envelope(incoming(sample, &node), now, steps));
    }

    #[track_caller]
    fn beat(&mut self, name: &str, epoch: u64, sequence: u64, expected: &[&str]) {
        self.does(expected, |heard, now, steps| heard.on_beat((&node(name), epoch), sequence, now, steps));
    }

    #[track_caller]
    fn deaf(&mut self, partitions: &[u8], expected: &[&str]) {
        self.does(expected, |heard, now, steps| heard.on_deaf(&set(partitions), now, steps));
    }

    #[track_caller]
    fn hearing(&mut self, partitions: &[u8], expected: &[&str]) {
        self.does(expected, |heard, now, steps| heard.on_hearing(&set(partitions), now, steps));
    }

    /// What is said of a run of `n` in partition 7, in its epoch, when the position is known.
    fn position(&self) -> Option<Vec<(u64, u64)>> {
        let position = self.heard.position(&set(&[7]))?;
        Some(position.iter().map(|position| (position.up_to.epoch, position.up_to.sequence)).collect())
    }

    /// The same for whoever reads logs.
    fn position_with_logs(&mut self) -> Option<Vec<(u64, u64)>> {
        let position = self.heard.position_with_logs(&set(&[7]))?;
        Some(position.iter().map(|position| (position.up_to.epoch, position.up_to.sequence)).collect())
    }

    /// `n` says farewell in its epoch 1. Whether nothing of it is missing, nor under way.
    #[track_caller]
    fn farewell(&mut self, is_complete: bool, expected: &[&str]) {
        let mut answer = None;
        self.does(expected, |heard, now, steps| {
            answer = Some(heard.on_farewell((&node("n"), 1), now, steps));
        });
        assert_eq!(answer, Some(is_complete));
    }

    /// All that Redis has taken until now has come.
    fn proves(&mut self) {
        self.heard.on_proof(&PartitionSet::ALL, self.now);
    }

    /// A part of an answer of `n`: its number, whether it is the last, whether the answer is complete.
    #[track_caller]
    fn part(&mut self, question: u64, part: (u64, bool, bool), samples: &[Sample], expected: &[&str]) {
        self.part_of(1, (question, part), samples, expected);
    }

    /// The same of another run.
    #[track_caller]
    fn part_of(
        &mut self,
        epoch: u64,
        (question, part): (u64, (u64, bool, bool)),
        samples: &[Sample],
        expected: &[&str],
    ) {
        let n = node("n");
        let (number, is_last, is_complete) = part;
        let lacking = if is_complete { PartitionSet::EMPTY } else { PartitionSet::ALL };
        let envelopes = samples.iter().map(|sample| incoming(*sample, &n)).collect();
        let part = Part { question, number, is_last, lacking, envelopes };
        self.does(expected, |heard, now, steps| heard.on_part((&n, epoch), part, now, steps));
    }

    /// A whole answer in one part.
    #[track_caller]
    fn answer(&mut self, question: u64, samples: &[Sample], expected: &[&str]) {
        self.part(question, (0, true, true), samples, expected);
    }

    /// An answer in one part, for which the ring does not reach back far enough.
    #[track_caller]
    fn short_answer(&mut self, question: u64, samples: &[Sample], expected: &[&str]) {
        self.part(question, (0, true, false), samples, expected);
    }

    /// Lets time pass, as the one who hears wants to be called.
    #[track_caller]
    fn wait(&mut self, millis: u64, expected: &[&str]) {
        let end = self.now + Duration::from_millis(millis);
        let mut steps = Vec::new();
        while let Some(due) = self.heard.due_at().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.heard.on_time(self.now, &mut steps);
            assert!(
                self.heard.due_at().is_none_or(|due| due > self.now),
                "it wants to be called again at once"
            );
        }
        self.now = end;
        assert_eq!(steps.iter().map(text).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn is_at_rest(&mut self) {
        assert_eq!(self.heard.held_bytes(), 0);
        self.wait(30_000, &[]);
    }
}

#[test]
fn what_comes_in_order_is_delivered() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    ear.hears(c(3, 0), &["3"]);
    ear.hears(a(4, 1), &["4"]);
    // Its publisher has forgotten the one before.
    ear.hears(b(9, 0), &["9"]);
    ear.is_at_rest();
}

#[test]
fn what_is_sent_again_is_dropped() {
    let mut ear = Ear::new();
    for sample in [a(1, 0), b(2, 0), a(3, 1)] {
        ear.hears(sample, &[&sample.sequence.to_string()]);
    }
    for sample in [a(1, 0), b(2, 0), a(3, 1)] {
        ear.hears(sample, &[]);
    }
    ear.hears(a(4, 3), &["4"]);
    // Another process has numbers of its own.
    ear.hears(Sample { node: "m", ..a(1, 0) }, &["1"]);
}

#[test]
fn the_first_one_on_a_channel_raises_no_suspicion() {
    let mut ear = Ear::new();
    ear.hears(a(7, 5), &["7"]);
    ear.hears(b(9, 8), &["9"]);
    // Nor does it when the channel was not watched for a while.
    ear.heard.forget_channel("a");
    ear.hears(a(20, 15), &["20"]);
    // It was heard before the channel was forgotten.
    ear.heard.forget_channel("a");
    ear.hears(a(20, 15), &[]);
    ear.is_at_rest();
}

#[test]
fn what_is_outside_of_every_order_passes() {
    let mut ear = Ear::new();
    ear.hears(a(0, 0), &["0"]);
    ear.hears(a(0, 0), &["0"]);
    assert_eq!(ear.heard.due_at(), None);
}

#[test]
fn a_gap_is_asked_for_and_what_follows_waits() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    assert!(ear.heard.has_all_of(&node("n")));
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.hears(b(6, 4), &[]);
    assert!(!ear.heard.has_all_of(&node("n")));
    assert!(ear.heard.has_all_of(&node("m")));
    // Other lanes go on.
    ear.hears(c(7, 0), &["7"]);
    ear.hears(Sample { node: "m", ..a(1, 0) }, &["1"]);
    ear.part(1, (0, false, true), &[b(2, 0), a(3, 1)], &["3"]);
    ear.part(1, (1, true, true), &[b(4, 2), a(5, 3)], &["4", "5", "6"]);
    assert!(ear.heard.has_all_of(&node("n")));
    ear.hears(a(8, 5), &["8"]);
    ear.is_at_rest();
}

#[test]
fn what_was_never_published_is_not_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.answer(1, &[a(5, 3)], &["5"]);
    ear.is_at_rest();
}

#[test]
fn a_second_gap_in_what_waits_is_asked_for_after_the_first() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(3, 2), &["ask n #1 7>1"]);
    // 4 is missing too, and was published after the answer was given.
    ear.hears(a(5, 4), &[]);
    ear.hears(a(6, 5), &[]);
    ear.answer(1, &[a(2, 1), a(3, 2)], &["2", "3", "ask n #2 7>3"]);
    ear.answer(2, &[a(4, 3), a(5, 4)], &["4", "5", "6"]);
    ear.is_at_rest();
}

#[test]
fn gaps_that_show_while_a_question_is_under_way_are_asked_for_together() {
    let mut ear = Ear::new();
    let other = |partition, sequence, previous| Sample { partition, channel: "d", ..a(sequence, previous) };
    for sample in [a(1, 0), c(2, 0), other(9, 3, 0)] {
        ear.hears(sample, &[&sample.sequence.to_string()]);
    }
    ear.hears(a(10, 4), &["ask n #1 7>1"]);
    ear.hears(c(11, 5), &[]);
    ear.hears(other(9, 12, 6), &[]);
    ear.answer(1, &[a(4, 1), a(10, 4)], &["4", "10", "ask n #2 8>2 9>3"]);
    ear.answer(2, &[c(5, 2), other(9, 6, 3), c(11, 5)], &["5", "6", "11", "12"]);
    ear.is_at_rest();
}

#[test]
fn a_gap_older_than_other_channels_of_the_lane_reaches_back_to_its_own_channel() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[], &[]);
    // 2 on `a` is lost without a sign; it shows only in the answer to another question.
    ear.hears(b(3, 0), &["3"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #2 7>3"]);
    ear.answer(2, &[a(4, 2), b(5, 3)], &["ask n #3 7>1"]);
    ear.answer(3, &[a(2, 1), b(3, 0), a(4, 2), b(5, 3)], &["2", "4", "5"]);
    ear.is_at_rest();
}

#[test]
fn what_the_ring_has_no_more_is_lost_once() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.hears(a(7, 6), &[]);
    ear.short_answer(1, &[a(4, 3), a(5, 4)], &["lost n 7", "4", "5", "ask n #2 7>5"]);
    ear.short_answer(2, &[a(7, 6)], &["lost n 7", "7"]);
    ear.hears(a(8, 7), &["8"]);
    ear.is_at_rest();
}

#[test]
fn a_short_ring_does_no_harm_to_a_channel_whose_numbers_show_that_nothing_is_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    // What the ring has lost was published to other channels.
    ear.short_answer(1, &[a(4, 1), a(5, 4)], &["4", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_question_is_asked_again_and_then_given_up() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.wait(499, &[]);
    ear.wait(1, &["ask n #2 7>1"]);
    ear.wait(1_000, &["ask n #3 7>1"]);
    ear.hears(b(6, 4), &[]);
    ear.wait(3_499, &["ask n #4 7>1"]);
    ear.wait(1, &["lost n 7", "5", "6"]);
    // Too late.
    ear.answer(4, &[a(3, 1), a(5, 3)], &[]);
    ear.hears(a(7, 5), &["7"]);
    ear.is_at_rest();
}

#[test]
fn any_answer_to_the_same_question_will_do_but_they_are_not_mixed() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.wait(500, &["ask n #2 7>1"]);
    ear.part(1, (0, false, true), &[a(2, 1)], &["2"]);
    ear.part(2, (0, false, true), &[a(2, 1), a(3, 2)], &[]);
    ear.part(2, (1, true, true), &[a(4, 3), a(5, 4)], &[]);
    // A part that came twice, and one that is not the next.
    ear.part(1, (0, false, true), &[a(2, 1)], &[]);
    ear.part(1, (2, true, true), &[a(5, 4)], &[]);
    // The rest does not come.
    ear.wait(500, &["ask n #3 7>2"]);
    ear.part(1, (1, false, true), &[a(3, 2)], &[]);
    ear.part(3, (0, true, true), &[a(3, 2), a(4, 3), a(5, 4)], &["3", "4", "5"]);
    ear.is_at_rest();
}

#[test]
fn an_answer_to_a_narrower_question_does_not_do() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.hears(a(6, 3), &["ask n #1 7>1"]);
    ear.hears(c(7, 4), &[]);
    ear.wait(500, &["ask n #2 7>1 8>2"]);
    ear.answer(1, &[a(3, 1), a(6, 3)], &[]);
    ear.answer(2, &[a(3, 1), c(4, 2), a(6, 3), c(7, 4)], &["3", "4", "6", "7"]);
    ear.is_at_rest();
}

#[test]
fn answers_nobody_waits_for_are_dropped() {
    let mut ear = Ear::new();
    ear.answer(1, &[a(1, 0)], &[]);
    ear.hears(a(1, 0), &["1"]);
    ear.answer(1, &[a(2, 1)], &[]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.answer(2, &[a(3, 1)], &[]);
    ear.answer(0, &[a(3, 1)], &[]);
    // Of another run, of another partition, of another node.
    let strange = [Sample { epoch: 2, ..a(2, 1) }, c(2, 0), Sample { partition: 9, ..a(2, 1) }];
    ear.answer(1, &strange, &["5"]);
}

#[test]
fn a_slow_answer_that_goes_on_is_waited_for() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(9, 8), &["ask n #1 7>1"]);
    for number in 0..7 {
        ear.wait(400, &[]);
        ear.part(1, (number, false, true), &[a(number + 2, number + 1)], &[&(number + 2).to_string()]);
    }
    ear.part(1, (7, true, true), &[], &["9"]);
}

#[test]
fn too_much_that_waits_is_let_go() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..a(5, 3) }, &["ask n #1 7>1"]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..a(5, 3) }, &[]);
    ear.hears(Sample { len: HELD_BYTES / 2, ..b(6, 4) }, &["lost n 7", "5", "6"]);
    ear.answer(1, &[a(3, 1)], &[]);
    ear.is_at_rest();
}

#[test]
fn whoever_was_heard_is_asked_after_a_deafness() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(Sample { node: "m", ..c(4, 0) }, &["4"]);
    ear.deaf(&[7, 8], &[]);
    ear.wait(1_000, &[]);
    ear.hearing(&[7], &["ask n #1 7>1", "ask m #2 7>0"]);
    // It waits, whether or not something is missing.
    ear.hears(a(3, 1), &[]);
    ear.hearing(&[8], &[]);
    ear.answer(1, &[a(3, 1)], &["3", "ask n #3 8>0"]);
    ear.answer(3, &[c(2, 0)], &["2"]);
    ear.wait(500, &["ask m #4 7>0 8>4"]);
}

#[test]
fn a_quiet_lane_is_asked_from_what_had_been_confirmed_and_has_come() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    for sequence in 10..30 {
        ear.beat("n", 1, sequence, &[]);
        ear.wait(1_000, &[]);
        if sequence < 20 {
            ear.proves();
        }
    }
    // What 20 says has come. Later beats may have overtaken something.
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>20 8>20"]);
    ear.answer(1, &[], &[]);
    ear.is_at_rest();
}

#[test]
fn a_beat_never_goes_back() {
    let mut ear = Ear::new();
    ear.hears(a(9, 0), &["9"]);
    for sequence in [3, 2, 2] {
        ear.proves();
        ear.beat("n", 1, sequence, &[]);
        ear.wait(1_000, &[]);
    }
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>9 8>3"]);
}

#[test]
fn a_deafness_that_cannot_be_repaired_is_a_loss_in_every_partition() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>0"]);
    // The numbers of `a` show no gap, but other channels may have lost something.
    ear.short_answer(1, &[a(5, 1)], &["lost n 7 8", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_node_that_has_lost_the_link_too_is_waited_for_while_nothing_else_waits() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.wait(5_000, &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
    ear.hears(a(5, 2), &[]);
    ear.wait(4_999, &["ask n #5 7>1", "ask n #6 7>1", "ask n #7 7>1"]);
    ear.wait(1, &["lost n 7", "5"]);
    ear.is_at_rest();
}

#[test]
fn a_node_that_is_gone_is_given_up() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    let again: Vec<_> = (2..=7).map(|number| format!("ask n #{number} 7>1")).collect();
    ear.wait(9_999, &again.iter().map(String::as_str).collect::<Vec<_>>());
    ear.wait(1, &["lost n 7"]);
    ear.is_at_rest();
}

#[test]
fn who_was_gone_before_a_deafness_is_asked_when_it_comes_back() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(5_000, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &[]);
    ear.wait(5_999, &[]);
    ear.proves();
    assert_eq!(ear.position(), None);
    ear.wait(1, &[]);
    ear.proves();
    assert_eq!(ear.position(), Some(vec![(1, 1)]));
    ear.wait(14_000, &[]);
    ear.beat("n", 1, 4, &["ask n #1 7>1"]);
    assert_eq!(ear.position(), None);
    ear.answer(1, &[a(4, 1)], &["4"]);
    assert_eq!(ear.position(), Some(vec![(1, 4)]));
    ear.is_at_rest();
}

#[test]
fn whoever_reads_logs_does_not_wait_for_who_is_quiet_after_a_deafness() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    assert_eq!(ear.position_with_logs(), None);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    // It is there, and is lost before it answers.
    ear.wait(1_000, &["ask n #2 7>1"]);
    ear.hears(a(3, 2), &[]);
    ear.wait(3_499, &["ask n #3 7>1", "ask n #4 7>1"]);
    ear.proves();
    assert_eq!(ear.position_with_logs(), None);
    ear.wait(1, &[]);
    assert_eq!(ear.position_with_logs(), None, "it may have been heard but for what is under way");
    ear.proves();
    assert_eq!(ear.position(), None);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    ear.wait(1_500, &["ask n #5 7>1", "lost n 7", "3"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 3)]));
    ear.is_at_rest();
}

#[test]
fn whoever_has_gone_on_without_who_was_quiet_is_behind_when_it_is_heard_again() {
    let mut ear = Ear::new();
    let passed_over = |ear: &mut Ear| {
        ear.deaf(&[7], &[]);
        ear.hearing(&[7], &["ask n #1 7>1"]);
        ear.wait(QUIET.as_millis().try_into().unwrap(), &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
        ear.proves();
        assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    };
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    // Before what it publishes, and once.
    ear.hears(a(3, 2), &["behind 7"]);
    assert_eq!(ear.position_with_logs(), None);
    ear.beat("n", 1, 3, &[]);
    ear.answer(4, &[a(2, 1), a(3, 2)], &["2", "3"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 3)]));
    ear.hears(a(4, 3), &["4"]);
    ear.is_at_rest();

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.beat("n", 1, 1, &["behind 7"]);

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.farewell(false, &["behind 7"]);

    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    passed_over(&mut ear);
    ear.answer(2, &[a(2, 1)], &["behind 7", "2"]);
}

#[test]
fn whoever_reads_logs_is_told_what_has_to_wait() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 1)]));
    ear.hears(a(3, 2), &["behind 7", "ask n #1 7>1"]);
    ear.hears(a(5, 4), &[]);
    ear.answer(1, &[a(2, 1), a(3, 2)], &["2", "3", "behind 7", "ask n #2 7>3"]);
    ear.answer(2, &[a(4, 3)], &["4", "5"]);
    // Who is heard for the first time after a deafness may have begun in it.
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #3 7>5"]);
    ear.answer(3, &[], &[]);
    assert_eq!(ear.position_with_logs(), Some(vec![(1, 5)]));
    ear.beat("m", 1, 0, &["ask m #4 7>0", "behind 7"]);
    assert_eq!(ear.position_with_logs(), None);
}

#[test]
fn whoever_reads_logs_waits_for_what_no_deafness_has_kept_away() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    // Whoever was there has not fallen behind: it is to get this here.
    ear.hears(a(3, 2), &["ask n #1 7>1"]);
    ear.wait(QUIET.as_millis().try_into().unwrap(), &["ask n #2 7>1", "ask n #3 7>1", "ask n #4 7>1"]);
    ear.proves();
    assert_eq!(ear.position_with_logs(), None);
}

#[test]
fn who_could_not_be_heard_is_not_taken_for_gone() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.proves();
    // We may have stood still.
    ear.wait(6_000, &[]);
    ear.deaf(&[7], &[]);
    ear.wait(6_000, &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[], &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.wait(6_000, &[]);
    ear.hearing(&[7], &["ask n #2 7>1"]);
    ear.answer(2, &[], &[]);
    // It is there, and has not said so again.
    ear.wait(4_999, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #3 7>1"]);
}

#[test]
fn a_second_deafness_starts_the_repair_anew() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>2"]);
    ear.part(1, (0, false, true), &[a(3, 1)], &["3"]);
    ear.hears(a(9, 3), &[]);
    ear.deaf(&[7], &[]);
    ear.part(1, (1, true, true), &[a(4, 3), c(5, 2)], &["5"]);
    ear.hearing(&[7], &["ask n #2 7>3"]);
    ear.answer(1, &[a(4, 3)], &[]);
    ear.answer(2, &[a(9, 3), a(10, 9)], &["9", "10"]);
    ear.is_at_rest();
}

#[test]
fn who_is_heard_first_after_a_deafness_is_asked_for_everything() {
    let mut ear = Ear::new();
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7], &[]);
    ear.hears(a(5, 3), &["ask n #1 7>0"]);
    ear.answer(1, &[a(3, 0), a(5, 3)], &["3", "5"]);
    ear.hearing(&[8], &["ask n #2 8>0"]);
    ear.answer(2, &[], &[]);
    ear.wait(9_999, &[]);
    // Still too soon to know everybody.
    ear.beat("m", 1, 5, &["ask m #3 7>0 8>0"]);
    ear.wait(1, &[]);
    ear.beat("o", 1, 5, &[]);
}

#[test]
fn nobody_is_asked_for_what_is_older_than_what_may_have_been_missed() {
    let mut ear = Ear::new();
    let within = |ear: &mut Ear, name: &str| {
        let mut steps = Vec::new();
        ear.heard.on_beat((&node(name), 1), 5, ear.now, &mut steps);
        match steps.as_slice() {
            [Step::Ask(question)] => question.within - EARLIER,
            other => panic!("{other:?}"),
        }
    };
    ear.wait(40_000, &[]);
    ear.deaf(&[7], &[]);
    ear.wait(2_000, &[]);
    ear.hearing(&[7], &[]);
    // It has been there since long before, and could not be heard while we could hear.
    assert_eq!(within(&mut ear, "n"), Duration::from_secs(2));
    ear.wait(1_000, &["ask n #2 7>0"]);
    assert_eq!(within(&mut ear, "m"), Duration::from_secs(3));
}

#[test]
fn a_new_run_of_a_node_is_another_origin() {
    let mut ear = Ear::new();
    let new = |sequence, previous| Sample { epoch: 2, ..a(sequence, previous) };
    ear.hears(a(5, 0), &["5"]);
    ear.hears(new(1, 0), &["1"]);
    ear.hears(new(2, 1), &["2"]);
    // A late word of the run before, and one that came twice.
    ear.hears(a(6, 5), &["6"]);
    ear.hears(a(6, 5), &[]);
    // There is nobody to ask what is missing.
    ear.hears(a(9, 8), &["lost n 7", "9"]);
    ear.hears(new(3, 2), &["3"]);
    ear.is_at_rest();
}

#[test]
fn a_new_run_cannot_repair_the_one_before() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(c(2, 0), &["2"]);
    ear.hears(a(5, 4), &["ask n #1 7>1"]);
    ear.deaf(&[8], &[]);
    ear.beat("n", 2, 0, &["lost n 7 8", "5"]);
    ear.hearing(&[8], &["ask n #2 8>0"]);
    // Questions reach the node, and so the new run.
    ear.answer(1, &[a(4, 1)], &[]);
}

#[test]
fn a_run_that_may_have_come_back_and_ended_unheard_is_reported() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(5_000, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &[]);
    ear.beat("n", 2, 0, &["lost n 7", "ask n #1 7>0"]);
}

#[test]
fn a_run_that_goes_on_after_a_new_one_has_not_ended() {
    let mut ear = Ear::new();
    ear.beat("n", 1, 0, &[]);
    // A late word of an older one.
    ear.hears(Sample { epoch: 9, ..c(1, 0) }, &["1"]);
    ear.hears(a(1, 0), &["1"]);
    // It may have been under way.
    ear.hears(a(3, 2), &["lost n 7", "3"]);
    ear.proves();
    ear.hears(a(5, 4), &["ask n #1 7>3"]);
}

#[test]
fn last_words_of_a_run_that_may_have_been_under_way_are_lost() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.wait(1_000, &[]);
    ear.proves();
    ear.wait(1_000, &[]);
    ear.beat("n", 2, 0, &[]);
    ear.heard.on_proof(&set(&[8]), ear.now);
    ear.deaf(&[7, 8], &["lost n 7"]);
    ear.hearing(&[7, 8], &["ask n #1 7>0 8>0"]);
    ear.deaf(&[7, 8], &[]);
}

#[test]
fn nothing_of_a_run_is_lost_in_a_deafness_after_its_end() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.beat("n", 2, 0, &[]);
    ear.proves();
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>0 8>0"]);
    assert_eq!(ear.position(), None);
    ear.part_of(2, (1, (0, true, true)), &[], &[]);
    assert_eq!(ear.position(), Some(vec![(1, 1)]));
    ear.wait(1_000, &[]);
    // Another one begins.
    ear.beat("n", 3, 0, &["ask n #2 7>0 8>0"]);
}

#[test]
fn a_run_that_goes_on_in_a_deafness_after_its_end_is_asked() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.beat("n", 2, 0, &[]);
    ear.proves();
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>0"]);
    ear.hears(a(5, 1), &["ask n #2 7>1"]);
    ear.answer(2, &[b(4, 0), a(5, 1)], &["4", "5"]);
}

#[test]
fn nothing_is_missing_of_a_run_that_said_farewell_when_all_of_it_had_come() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    // What it said before may still be under way in other partitions.
    ear.farewell(false, &[]);
    ear.wait(100, &[]);
    ear.proves();
    ear.farewell(true, &[]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &[]);
    ear.wait(1_000, &[]);
    ear.beat("n", 2, 0, &["ask n #1 7>0 8>0"]);
}

#[test]
fn a_run_that_says_farewell_is_asked_first_for_what_is_missing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.proves();
    ear.farewell(false, &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.answer(1, &[a(2, 1)], &["2"]);
    ear.proves();
    ear.farewell(true, &[]);
    // One that ends while it is still asked takes it along.
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    ear.hearing(&[7], &["ask n #1 7>1"]);
    ear.proves();
    ear.farewell(false, &[]);
    ear.beat("n", 2, 0, &["lost n 7", "ask n #2 7>0"]);
}

#[test]
fn parts_are_halved_while_answers_do_not_come_and_grow_again() {
    let mut ear = Ear::new();
    let part = |ear: &mut Ear, is_heard_again: bool| {
        let mut steps = Vec::new();
        if is_heard_again {
            ear.heard.on_hearing(&set(&[7]), ear.now, &mut steps);
        } else {
            ear.heard.on_time(ear.now, &mut steps);
        }
        steps.iter().find_map(|step| if let Step::Ask(question) = step { Some(question.part) } else { None })
    };
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7], &[]);
    assert_eq!(part(&mut ear, true), Some(PART));
    ear.now += ASK_AGAIN;
    assert_eq!(part(&mut ear, false), Some(PART / 2));
    // It cut us off.
    for expected in [PART / 4, PART / 8, PART / 16, PART / 32, SMALLEST_PART, SMALLEST_PART] {
        ear.deaf(&[7], &[]);
        assert_eq!(part(&mut ear, true), Some(expected));
    }
    ear.answer(8, &[], &[]);
    ear.deaf(&[7], &[]);
    assert_eq!(part(&mut ear, true), Some(2 * SMALLEST_PART));
}

#[test]
fn only_partitions_of_which_something_is_gone_are_lost() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.deaf(&[7, 8], &[]);
    ear.hearing(&[7, 8], &["ask n #1 7>1 8>0"]);
    let n = node("n");
    let lacking = set(&[8]);
    let part = Part { question: 1, number: 0, is_last: true, lacking, envelopes: Vec::new() };
    ear.does(&["lost n 8"], |heard, now, steps| heard.on_part((&n, 1), part, now, steps));
    ear.is_at_rest();
}

#[test]
fn a_channel_that_is_not_watched_any_more_gets_nothing() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(b(2, 0), &["2"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    ear.hears(b(6, 2), &[]);
    ear.heard.forget_channel("a");
    ear.answer(1, &[], &["6"]);
    ear.is_at_rest();
}

#[test]
fn origins_make_room_for_new_ones() {
    let mut ear = Ear::new();
    ear.hears(a(1, 0), &["1"]);
    ear.hears(a(5, 3), &["ask n #1 7>1"]);
    let mut lost = Vec::new();
    for number in 0..ORIGINS {
        ear.now += Duration::from_micros(1);
        let name = node(&format!("n-{number}"));
        let mut steps = Vec::new();
        ear.heard.on_beat((&name, 1), 1, ear.now, &mut steps);
        lost.extend(steps.iter().map(text));
    }
    assert_eq!(lost, ["lost n 7", "5"]);
    // It is not known any more.
    ear.hears(a(1, 0), &["1"]);
}

#[test]
fn who_is_silent_for_long_keeps_its_place_but_not_its_channels() {
    let mut ear = Ear::new();
    ear.hears(a(3, 0), &["3"]);
    ear.wait(120_000, &[]);
    ear.hears(a(3, 0), &[]);
    ear.hears(a(9, 7), &["9"]);
}
