//! What may happen to the members of a shard, and the schedule that a seed makes of it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A message to the hub, the group or one peer.
    Publish {
        to: To,
        len: usize,
        seconds_to_live: Option<u64>,
    },
    /// The application answers a peer.
    Reply {
        peer: usize,
        len: usize,
    },
    /// Pongs, as many.
    Pongs {
        peer: usize,
        count: usize,
    },
    Join {
        peer: usize,
    },
    Leave {
        peer: usize,
    },
    /// All that is queued is written, as far as the sockets take it.
    Flush,
    /// The peer's network takes so many bytes more.
    Take {
        peer: usize,
        bytes: usize,
    },
    Acknowledge {
        peer: usize,
        which: Acknowledged,
    },
    /// The socket is gone, with what it had not delivered.
    Lose {
        peer: usize,
    },
    /// There is another socket, whether or not the old one is gone.
    Resume {
        peer: usize,
    },
    /// The peer ends, with a socket or waiting for one; another comes in its place.
    Replace {
        peer: usize,
    },
    Wait {
        millis: u64,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    Hub,
    Group,
    Peer(usize),
}

/// What a client acknowledges.
#[derive(Debug, Clone, Copy)]
pub(super) enum Acknowledged {
    /// The last that it has seen.
    Seen,
    /// One before that.
    Older(u64),
    /// What it has not seen, maybe what there is not.
    Ahead(u64),
}

/// The schedule of a seed.
pub(super) fn schedule(seed: u64) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    // Some schedules are calm, so that peers live long; others fill every queue.
    let room = *[100, 600, 3000].get(rng.random_range(0..3)).unwrap();
    (0..STEPS)
        .map(|_| {
            let peer = rng.random_range(0..SPOKEN.len());
            let len = *[0, 10, 130, 300, 1050].get(rng.random_range(0..5)).unwrap();
            match rng.random_range(0..100) {
                0..24 => {
                    let to = *[To::Hub, To::Group, To::Peer(peer)].get(rng.random_range(0..3)).unwrap();
                    let seconds_to_live = rng.random_bool(0.3).then(|| rng.random_range(1..4));
                    Step::Publish { to, len, seconds_to_live }
                }
                24..28 => Step::Reply { peer, len },
                28..33 => Step::Pongs { peer, count: rng.random_range(1..15) },
                33..36 => Step::Join { peer },
                36..38 => Step::Leave { peer },
                38..53 => Step::Flush,
                53..68 => Step::Take { peer, bytes: rng.random_range(1..room) },
                68..78 => Step::Acknowledge { peer, which: Acknowledged::Seen },
                78..80 => {
                    let back = rng.random_range(1..4);
                    Step::Acknowledge { peer, which: Acknowledged::Older(back) }
                }
                80 => {
                    let on = rng.random_range(1..4);
                    Step::Acknowledge { peer, which: Acknowledged::Ahead(on) }
                }
                81..86 => Step::Lose { peer },
                86..93 => Step::Resume { peer },
                93 => Step::Replace { peer },
                _ => Step::Wait { millis: rng.random_range(1..1500) },
            }
        })
        .collect()
}
