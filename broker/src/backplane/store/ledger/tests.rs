//! Whatever becomes of writes: what may be sent is written, and in the end what is written is what the client has not
//! acknowledged.

use std::collections::BTreeMap;

use codec::ids::NodeId;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What Redis has.
#[derive(Default)]
struct Hash(Option<BTreeMap<String, Bytes>>);

impl Hash {
    fn apply(&mut self, write: &Write) -> Fate {
        if self.0.is_none() && !write.is_whole {
            return Fate::Anew;
        }
        let fields = self.0.get_or_insert_default();
        for name in &write.removed {
            fields.remove(name);
        }
        fields.extend(write.fields.iter().cloned());
        Fate::Stays
    }

    fn has(&self, number: u64) -> bool {
        self.0.as_ref().is_some_and(|fields| fields.contains_key(&message_field(number)))
    }

    fn numbers(&self) -> Vec<u64> {
        let names = self.0.iter().flat_map(BTreeMap::keys);
        let mut numbers: Vec<u64> =
            names.filter_map(|name| name.strip_prefix('m')).map(|number| number.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[derive(Debug, Clone)]
enum Move {
    Keep,
    /// The client acknowledges up to a part of what has been sent, in percent.
    Acknowledge(u64),
    Describe,
    Renew,
    Write(Answer),
    /// Redis loses everything.
    Lose,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    DoneUnheard,
    NotDone,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let answer =
        prop_oneof![3 => Just(Answer::Done), 1 => Just(Answer::DoneUnheard), 1 => Just(Answer::NotDone)];
    let one = prop_oneof![
        6 => Just(Move::Keep),
        3 => (0_u64..=100).prop_map(Move::Acknowledge),
        1 => Just(Move::Describe),
        1 => Just(Move::Renew),
        6 => answer.prop_map(Move::Write),
        1 => Just(Move::Lose),
    ];
    vec(one, 0..80)
}

/// An owner, with the window that it has beside its ledger.
struct Case {
    ledger: Ledger,
    redis: Hash,
    last: u64,
    acknowledged: u64,
    has_lost: bool,
}

fn identity(sequence: u64) -> Identity {
    Identity { origin: NodeId::new("n").unwrap(), epoch: 1, sequence }
}

fn message(number: u64) -> KeptMessage {
    KeptMessage { number, content: Bytes::from(number.to_string()), time_left: None, state_of: None }
}

impl Case {
    fn keep(&mut self, number: u64) {
        self.ledger.keep(&message(number), Some((Partition(3), &identity(number * 10))));
    }

    fn write(&mut self, is_renewal: bool, answer: Answer) {
        let Some(write) = self.ledger.next(is_renewal) else { return };
        assert!(self.ledger.next(true).is_none(), "one at a time");
        match answer {
            Answer::NotDone => self.ledger.undecided(),
            Answer::DoneUnheard => {
                self.redis.apply(&write);
                self.ledger.undecided();
            }
            Answer::Done => {
                let fate = self.redis.apply(&write);
                self.ledger.decided(fate);
                self.has_lost = false;
                if fate == Fate::Anew {
                    self.ledger.describe(Bytes::from_static(b"session"));
                    (self.acknowledged + 1..=self.last).for_each(|number| self.keep(number));
                    self.has_lost = true;
                }
            }
        }
        if !self.has_lost && self.redis.0.is_some() {
            let must_be_there = self.acknowledged + 1..=self.ledger.confirmed();
            must_be_there.for_each(|number| assert!(self.redis.has(number), "{number} may be sent"));
        }
    }

    fn run(&mut self, moves: Vec<Move>) {
        self.ledger.describe(Bytes::from_static(b"session"));
        for one in moves {
            match one {
                Move::Keep => {
                    self.last += 1;
                    self.keep(self.last);
                }
                Move::Acknowledge(percent) => {
                    let sent = self.ledger.confirmed().saturating_sub(self.acknowledged);
                    self.acknowledged += sent * percent / 100;
                    self.ledger.acknowledge(self.acknowledged);
                }
                Move::Describe => self.ledger.describe(Bytes::from_static(b"session")),
                Move::Renew => self.write(true, Answer::Done),
                Move::Write(answer) => self.write(false, answer),
                Move::Lose => {
                    self.redis.0 = None;
                    self.has_lost = true;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_may_be_sent_is_written_and_nothing_stays_that_is_acknowledged(moves in moves()) {
        let owner = Owner { node: NodeId::new("n").unwrap(), epoch: 1, term: 0 };
        let mut case =
            Case { ledger: Ledger::new(owner), redis: Hash::default(), last: 0, acknowledged: 0, has_lost: false };
        case.run(moves);
        case.write(true, Answer::Done);
        while !case.ledger.is_settled() {
            case.write(false, Answer::Done);
        }
        let unacknowledged: Vec<u64> = (case.acknowledged + 1..=case.last).collect();
        prop_assert_eq!(case.redis.numbers(), unacknowledged);
        prop_assert_eq!(case.ledger.confirmed(), case.last);
        let fields = case.redis.0.unwrap();
        prop_assert!(fields.contains_key("session"));
        if case.last > 0 {
            prop_assert_eq!(fields.get("f3:1:n").cloned(), Some(Bytes::from((case.last * 10).to_string())));
        }
    }
}

#[test]
fn messages_that_come_while_one_is_written_go_together() {
    let owner = Owner { node: NodeId::new("n").unwrap(), epoch: 1, term: 0 };
    let mut ledger = Ledger::new(owner);
    ledger.keep(&message(1), None);
    assert_eq!(ledger.next(false), None, "a record begins with its session");
    ledger.describe(Bytes::from_static(b"session"));
    assert!(ledger.next(false).unwrap().is_whole);
    ledger.keep(&message(2), None);
    ledger.keep(&message(3), None);
    assert_eq!((ledger.next(false), ledger.confirmed()), (None, 0));
    ledger.decided(Fate::Stays);
    assert_eq!(ledger.confirmed(), 1);
    let write = ledger.next(false).unwrap();
    assert!(!write.is_whole);
    let names: Vec<&str> = write.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["last", "m2", "m3"]);
}

#[test]
fn an_acknowledgement_of_more_than_there_is_does_not_concern_what_comes_later() {
    let mut ledger = Ledger::new(Owner { node: NodeId::new("n").unwrap(), epoch: 1, term: 0 });
    ledger.describe(Bytes::from_static(b"session"));
    ledger.keep(&message(1), None);
    ledger.acknowledge(u64::MAX);
    ledger.keep(&message(2), None);
    let write = ledger.next(false).unwrap();
    let names: Vec<&str> = write.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["session", "last", "m2"]);
}
