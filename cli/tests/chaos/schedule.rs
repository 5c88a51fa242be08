//! What will go wrong, and when: a value that a seed determines, so that a run that found something can be repeated.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// From the beginning of a run to its first fault.
const FIRST: Duration = Duration::from_millis(800);
/// Milliseconds from the beginning of a fault to that of the next.
const PAUSE: std::ops::Range<u64> = 800..4000;
/// How long a node or Redis is left alone after a fault.
const REST: Duration = Duration::from_millis(1500);
/// What an orderly stop takes at most, beside the time for which the node stays away.
const STOPPING: Duration = Duration::from_secs(4);

/// All faults of a run, in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) faults: Vec<Planned>,
}

/// A fault and when it begins, counted from the beginning of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// Something that goes wrong. Nodes are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and a new start after `down`.
    Kill { node: usize, down: Duration },
    /// SIGTERM, and a new start when the process has been gone for `down`.
    Stop { node: usize, down: Duration },
    /// SIGSTOP, and SIGCONT after `lasts`.
    Pause { node: usize, lasts: Duration },
    /// Nothing passes between a node and Redis.
    Cut { node: usize, way: Way, lasts: Duration },
    /// Redis is killed, and started again after `down`: empty, unless the hub is durable.
    RedisKill { down: Duration },
    /// Redis stands still.
    RedisPause { lasts: Duration },
    /// So many of a hundred clients lose their sockets at once.
    Drop { percent: u32 },
}

/// How a node is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing arrives until the end of the fault, and then everything does, as after a short loss of packets.
    Held,
    /// What is sent vanishes. Connections are neither served nor closed, and reset when the fault is over.
    Vanishing,
    /// Connections are reset, new ones too.
    Refused,
}

/// Until when nodes and Redis are busy with a fault.
struct Busy {
    nodes: Vec<Duration>,
    redis: Duration,
}

impl Schedule {
    /// The faults of a run of `length` with so many nodes. One node at least has none of its own at any time, and all
    /// faults are over at the end but for what an orderly stop takes.
    pub(crate) fn from_seed(seed: u64, nodes: usize, length: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut busy = Busy { nodes: vec![Duration::ZERO; nodes], redis: Duration::ZERO };
        let mut faults = Vec::new();
        let mut at = FIRST;
        while at < length {
            let fault = any(&mut random, nodes);
            if at + fault.lasts() <= length && busy.takes(at, fault) {
                faults.push(Planned { at, fault });
                at += Duration::from_millis(random.random_range(PAUSE));
            } else {
                // Others may fit.
                at += Duration::from_millis(100);
            }
        }
        Self { seed, length, faults }
    }
}

fn any(random: &mut StdRng, nodes: usize) -> Fault {
    let node = random.random_range(0..nodes);
    let mut between = |least: u64, most: u64| Duration::from_millis(random.random_range(least..most));
    let (short, long) = (between(300, 3000), between(500, 5000));
    match random.random_range(0..100) {
        0..14 => Fault::Kill { node, down: short },
        14..24 => Fault::Stop { node, down: short },
        24..42 => Fault::Pause { node, lasts: long },
        42..52 => Fault::Cut { node, way: Way::Held, lasts: long },
        52..62 => Fault::Cut { node, way: Way::Vanishing, lasts: long },
        62..70 => Fault::Cut { node, way: Way::Refused, lasts: short },
        70..77 => Fault::RedisKill { down: short },
        77..84 => Fault::RedisPause { lasts: long },
        _ => Fault::Drop { percent: random.random_range(5..60) },
    }
}

impl Busy {
    /// Whether the fault may begin now; if so, its subject is busy from now on.
    fn takes(&mut self, at: Duration, fault: Fault) -> bool {
        let end = at + fault.lasts() + REST;
        match fault.node() {
            Some(node) => {
                let others_are_busy =
                    self.nodes.iter().enumerate().all(|(i, until)| i == node || *until > at);
                if self.nodes[node] > at || others_are_busy {
                    return false;
                }
                self.nodes[node] = end;
            }
            None if matches!(fault, Fault::Drop { .. }) => {}
            None if self.redis > at => return false,
            None => self.redis = end,
        }
        true
    }
}

impl Fault {
    /// The node that it is about.
    pub(crate) fn node(self) -> Option<usize> {
        match self {
            Self::Kill { node, .. }
            | Self::Stop { node, .. }
            | Self::Pause { node, .. }
            | Self::Cut { node, .. } => Some(node),
            Self::RedisKill { .. } | Self::RedisPause { .. } | Self::Drop { .. } => None,
        }
    }

    /// How long it lasts, at most.
    fn lasts(self) -> Duration {
        match self {
            Self::Kill { down, .. } | Self::RedisKill { down } => down,
            Self::Stop { down, .. } => down + STOPPING,
            Self::Pause { lasts, .. } | Self::Cut { lasts, .. } | Self::RedisPause { lasts } => lasts,
            Self::Drop { .. } => Duration::ZERO,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}, {} faults:", self.seed, self.length, self.faults.len())?;
        self.faults
            .iter()
            .try_for_each(|planned| writeln!(f, "  {:>8.3} s  {}", planned.at.as_secs_f64(), planned.fault))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kill { node, down } => write!(f, "n{} is killed, back after {down:?}", node + 1),
            Self::Stop { node, down } => write!(f, "n{} is told to stop, back after {down:?}", node + 1),
            Self::Pause { node, lasts } => write!(f, "n{} stands still for {lasts:?}", node + 1),
            Self::Cut { node, way, lasts } => {
                write!(f, "n{} is cut off from Redis ({way:?}) for {lasts:?}", node + 1)
            }
            Self::RedisKill { down } => write!(f, "Redis is killed, back after {down:?}"),
            Self::RedisPause { lasts } => write!(f, "Redis stands still for {lasts:?}"),
            Self::Drop { percent } => write!(f, "{percent} of 100 sockets are dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(120);

    #[test]
    fn a_seed_always_gives_the_same_schedule_and_another_one_another() {
        assert_eq!(Schedule::from_seed(17, 3, LENGTH), Schedule::from_seed(17, 3, LENGTH));
        assert_ne!(Schedule::from_seed(17, 3, LENGTH).faults, Schedule::from_seed(18, 3, LENGTH).faults);
    }

    #[test]
    fn faults_come_every_few_seconds_end_in_time_and_spare_one_node() {
        for seed in 0..200 {
            let Schedule { faults, .. } = Schedule::from_seed(seed, 3, LENGTH);
            assert!(faults.len() > 30, "{seed}: {}", faults.len());
            for (index, Planned { at, fault }) in faults.iter().enumerate() {
                assert!(*at + fault.lasts() <= LENGTH, "{seed}: {fault}");
                let running =
                    faults[..=index].iter().filter(|earlier| earlier.at + earlier.fault.lasts() > *at);
                let mut nodes: Vec<usize> = running.filter_map(|earlier| earlier.fault.node()).collect();
                nodes.sort_unstable();
                let all = nodes.len();
                nodes.dedup();
                assert!(nodes.len() < 3 && nodes.len() == all, "{seed}: {fault}: {nodes:?}");
            }
        }
    }

    #[test]
    fn every_kind_of_fault_happens() {
        let all: Vec<Fault> = (0..20)
            .flat_map(|seed| Schedule::from_seed(seed, 3, LENGTH).faults)
            .map(|planned| planned.fault)
            .collect();
        let kinds: [fn(&Fault) -> bool; 9] = [
            |fault| matches!(fault, Fault::Kill { .. }),
            |fault| matches!(fault, Fault::Stop { .. }),
            |fault| matches!(fault, Fault::Pause { .. }),
            |fault| matches!(fault, Fault::Cut { way: Way::Held, .. }),
            |fault| matches!(fault, Fault::Cut { way: Way::Vanishing, .. }),
            |fault| matches!(fault, Fault::Cut { way: Way::Refused, .. }),
            |fault| matches!(fault, Fault::RedisKill { .. }),
            |fault| matches!(fault, Fault::RedisPause { .. }),
            |fault| matches!(fault, Fault::Drop { .. }),
        ];
        assert!(kinds.iter().all(|kind| all.iter().any(kind)));
    }
}
