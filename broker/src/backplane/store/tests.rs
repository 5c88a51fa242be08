//! Records come out of their fields as they went in, and what is owed is what has been missed, once and in order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codec::ids::{ConnectionId, GroupName, HubName, NodeId};
use codec::message::{Content, Payload};
use codec::subprotocol::Subprotocol;
use proptest::collection::vec;
use proptest::prelude::*;

use super::log::{Extent, FORGOTTEN_AFTER};
use super::*;
use crate::backplane::wire::session;
use crate::model::command::{Body, Command, Identity, Target};
use crate::model::portable::{Conduct, KeptMessage, Letters, Membership, Portable};

fn portable() -> Portable {
    Portable {
        hub: HubName::new("chat").unwrap(),
        connection_id: ConnectionId::parse("c").unwrap(),
        user_id: None,
        subprotocol: Subprotocol::ALL.into_iter().find(|one| one.is_reliable()).unwrap(),
        membership: Membership { last: 2, ..Membership::default() },
        conduct: Conduct { acks: vec![(1, 4)], ..Conduct::default() },
        letters: Letters::default(),
        keep_alive: 20,
        is_active: true,
        seconds_left: 30,
    }
}

fn message(number: u64, time_left: Option<u64>) -> KeptMessage {
    let time_left = time_left.map(Duration::from_millis);
    KeptMessage { number, content: Bytes::from(number.to_string()), time_left, state_of: None }
}

fn identity(origin: u8, sequence: u64) -> Identity {
    Identity { origin: NodeId::new(&format!("n{origin}")).unwrap(), epoch: 7, sequence }
}

/// The fields that a node has written at the time 1000.
fn fields(places: &BTreeMap<Partition, Place>) -> Vec<(Bytes, Bytes)> {
    let owner = Owner { node: NodeId::new("n").unwrap(), epoch: 1, term: 0 };
    let mut ledger = Ledger::new(owner);
    ledger.describe(session::encode_record(&portable(), places).into());
    ledger.keep(&message(3, Some(500)), Some((Partition(9), &identity(1, 44))));
    ledger.keep(&message(4, None), None);
    ledger.keep(&message(10, Some(5000)), Some((Partition(9), &identity(1, 45))));
    let write = ledger.next(false).unwrap();
    let stamped = |(name, value): (String, Bytes)| match name.starts_with('m') {
        true => (name.into(), [&b"1000:"[..], &value].concat().into()),
        false => (name.into(), value),
    };
    write.fields.into_iter().map(stamped).collect()
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let place = Place { id: LogId { milliseconds: 5, number: 1 }, added: 8 };
    let places = BTreeMap::from([(Partition(9), place)]);
    let mut fields = fields(&places);
    fields.push(("owner".into(), "0:1:n".into()));
    fields.push(("later".into(), "of a later version".into()));
    let record = Record::read(fields, 2000).unwrap();
    let mut expected = portable();
    expected.membership.last = 10;
    expected.membership.messages = vec![message(3, Some(0)), message(4, None), message(10, Some(4000))];
    assert_eq!(record.portable, expected);
    assert_eq!(record.places, places);
    assert!(record.floors.covers(Partition(9), &identity(1, 45)));
    assert!(!record.floors.covers(Partition(9), &identity(1, 46)));
    assert!(!record.floors.covers(Partition(8), &identity(1, 1)));
    assert!(!record.floors.covers(Partition(9), &identity(2, 1)));
    let other_run = Identity { epoch: 8, ..identity(1, 1) };
    assert!(!record.floors.covers(Partition(9), &other_run));
}

#[test]
fn a_number_that_was_used_is_not_used_again() {
    let mut fields = fields(&BTreeMap::new());
    fields.retain(|(name, _)| !name.starts_with(b"m"));
    let record = Record::read(fields, 2000).unwrap();
    assert_eq!(record.portable.membership.last, 10, "the client has acknowledged it");
}

#[test]
fn half_a_record_is_none() {
    let whole = fields(&BTreeMap::new());
    let without = |name: &str| {
        let rest = whole.iter().filter(|(field, _)| field != name).cloned();
        Record::read(rest.collect(), 0)
    };
    assert!(without("nothing").is_ok());
    assert!(without("session").is_err());
    let with = |name: &'static str, value: &'static str| {
        let more = whole.iter().cloned().chain([(name.into(), value.into())]);
        Record::read(more.collect(), 0)
    };
    for (name, value) in [("m5", "1000"), ("m5", "x:"), ("last", "-1"), ("f9:1", "1"), ("f300:7:n", "1")] {
        assert!(with(name, value).is_err(), "{name} {value}");
    }
}

proptest! {
    #[test]
    fn what_nobody_writes_costs_an_error(fields in vec(("[mf]?[a-z0-9:]{0,9}", vec(any::<u8>(), 0..30)), 0..8)) {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        prop_assert!(Record::read(fields.collect(), 0).is_err());
    }
}

#[test]
fn a_log_says_whether_something_is_missing() {
    let place = Place { id: LogId { milliseconds: 1000, number: 0 }, added: 10 };
    let check = |added, length, now, is_whole| {
        let extent = Extent { added, length, now };
        assert_eq!(extent.is_whole_since(&place), is_whole, "{extent:?}");
    };
    check(10, 10, 2000, true);
    check(10, 0, 2000, true);
    check(15, 5, 2000, true);
    check(15, 4, 2000, false);
    let forgotten = 1000 + u64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap();
    check(0, 0, forgotten, true);
    check(0, 0, forgotten - 1, false);
    check(3, 3, forgotten, true);
    check(3, 2, forgotten, false);
}

fn topic(group: u8) -> Topic {
    let target = Target::Group(GroupName::new(&format!("g{group}")).unwrap());
    Topic { hub: HubName::new("chat").unwrap(), target }
}

/// A message to a group; groups of even and of odd numbers are in different partitions.
fn logged(at: u64, group: u8, identity: Identity) -> Logged {
    let Topic { hub, target } = topic(group);
    let content = Content { payload: Payload::text(String::new()), metadata: None };
    let body = Body::from_application(content);
    let command = Command { hub, target, body, excluded: Vec::new(), filter: None, time_to_live: None };
    let id = LogId { milliseconds: at / 3, number: at };
    let age = Duration::ZERO;
    Logged { partition: Partition(group % 2), id, identity, command: Arc::new(command), age }
}

proptest! {
    /// Three nodes publish to four groups, of which the connection is in two. Its node serves a part and is killed.
    /// Some of what was published is noted twice, and some of it later than what the same node published next.
    #[test]
    fn what_is_owed_is_what_was_missed_once_and_in_order(
        published in vec((0_u8..3, 0_u8..4, any::<bool>()), 0..60),
        served in 0_usize..60,
        swaps in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut sequences = [0_u64; 3];
        let all: Vec<(u8, Identity, bool)> = published
            .into_iter()
            .map(|(origin, group, is_twice)| {
                let sequence = &mut sequences[usize::from(origin)];
                *sequence += 1;
                (group, identity(origin, *sequence), is_twice)
            })
            .collect();
        let topics = HashSet::from([topic(0), topic(1)]);
        let is_wanted = |group: u8| topics.contains(&topic(group));
        let mut floors = Floors::default();
        for (group, identity, _) in all.iter().take(served).filter(|(group, ..)| is_wanted(*group)) {
            floors.raise(Partition(group % 2), identity);
        }
        let mut noted: Vec<(u8, Identity)> = Vec::new();
        for (group, identity, is_twice) in &all {
            noted.push((*group, identity.clone()));
            if *is_twice {
                noted.push((*group, identity.clone()));
            }
        }
        for swap in &swaps {
            if noted.len() < 2 {
                break;
            }
            let at = swap.index(noted.len() - 1);
            noted.swap(at, at + 1);
        }
        let log = (0..).zip(noted).map(|(at, (group, identity))| logged(at, group, identity));
        let owed: Vec<Identity> =
            owed(log.collect(), &topics, &floors).into_iter().map(|logged| logged.identity).collect();
        for origin in 0..3 {
            let name = identity(origin, 0).origin;
            let expected: Vec<&Identity> = all
                .iter()
                .skip(served)
                .filter(|(group, identity, _)| is_wanted(*group) && identity.origin == name)
                .map(|(_, identity, _)| identity)
                .collect();
            let got: Vec<&Identity> = owed.iter().filter(|identity| identity.origin == name).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
