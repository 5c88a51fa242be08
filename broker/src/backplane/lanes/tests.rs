//! What is delivered, asked and reported lost, case by case. Envelopes bring their numbers; steps are written as text.

mod deafness;
mod forgetting;
mod gaps;
mod logs;
mod runs;

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
