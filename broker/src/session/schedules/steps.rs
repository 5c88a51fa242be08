//! What may happen between a client and its session, and the schedule that a seed makes of it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The client asks for so many things, if it has a socket.
    Ask { kind: Kind, id: Id, count: usize },
    /// The client repeats one of its last requests although it knows that it has succeeded.
    Repeat { back: usize },
    /// So many messages reach the session, and this becomes of what it wants done.
    Arrive { count: usize, outcome: Outcome },
    /// What is being carried out comes to its end.
    Settle { outcome: Outcome },
    /// The client hears so many answers, and repeats what has failed unless it gives up.
    Hear { count: usize, gives_up: bool },
    /// The socket is gone, with all that was under way on it but so many messages.
    Lose { arrived: usize },
    /// There is another socket.
    Resume,
    /// The session goes on at another node.
    Move,
    /// The application changes what the client may do.
    Permit { may_send: bool },
}

/// What a client takes for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    /// It counts.
    Next,
    /// None that stands beside another.
    Far,
    /// One whose request has failed.
    Free,
    /// One whose request has succeeded, by mistake.
    Used,
}

/// What becomes of what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It fails, in one of these ways.
    Fails(usize),
    /// It takes longer.
    Later,
}

impl Outcome {
    /// What the session is told of what has come to its end.
    pub(super) fn result(self) -> Result<(), Failure> {
        let refused = Failure::Refused(AckError::SetStateNotMember);
        let failures = [Failure::Broker, Failure::NoEventHandler, Failure::EventHandler, refused];
        match self {
            Self::Done | Self::Later => Ok(()),
            Self::Fails(way) => Err(failures[way].clone()),
        }
    }
}

/// The schedule of a seed.
pub(super) fn schedule(seed: u64) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    // Some schedules are calm; others ask for so much that ids are forgotten.
    let most = *[3, 20, 150].get(rng.random_range(0..3)).unwrap();
    (0..STEPS).map(|_| step(&mut rng, most)).collect()
}

fn step(rng: &mut StdRng, most: usize) -> Step {
    let kinds = [Kind::Join, Kind::Leave, Kind::Send, Kind::Raise, Kind::SetState, Kind::Subscribe];
    let ids = [Id::Next, Id::Next, Id::Next, Id::Far, Id::Free, Id::Used];
    let count = rng.random_range(1..=most);
    match rng.random_range(0..100) {
        0..25 => {
            let kind = kinds[rng.random_range(0..kinds.len())];
            let id = ids[rng.random_range(0..ids.len())];
            // Ids that are chosen are few.
            Step::Ask { kind, id, count: if id == Id::Next { count } else { count.min(3) } }
        }
        25..30 => Step::Repeat { back: rng.random_range(1..1500) },
        30..55 => Step::Arrive { count, outcome: outcome(rng) },
        55..63 => Step::Settle { outcome: outcome(rng) },
        63..80 => Step::Hear { count, gives_up: rng.random_bool(0.5) },
        80..86 => Step::Lose { arrived: rng.random_range(0..=most) },
        86..94 => Step::Resume,
        94..97 => Step::Move,
        _ => Step::Permit { may_send: rng.random_bool(0.5) },
    }
}

fn outcome(rng: &mut StdRng) -> Outcome {
    match rng.random_range(0..10) {
        0..7 => Outcome::Done,
        7..9 => Outcome::Fails(rng.random_range(0..4)),
        _ => Outcome::Later,
    }
}
