use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use codec::filter::Filter;
use codec::ids::{GroupName, NodeId, UserId};
use codec::message::{Content, Payload};
use codec::subprotocol::Subprotocol;

use super::*;
use crate::hub::{Gather, OutboxLimits, Outgoing, WindowLimits};
use crate::model::command::{Body, Command};

const LIMITS: OutboxLimits = OutboxLimits { messages: 3, bytes: 1000 };
const WINDOW: WindowLimits = WindowLimits { messages: 5, bytes: 1000 };

fn hub() -> HubName {
    HubName::new("chat").unwrap()
}

fn group(name: &str) -> Target {
    Target::Group(GroupName::new(name).unwrap())
}

fn id(number: u128) -> ConnectionId {
    ConnectionId::new(number, 0, &NodeId::new("n").unwrap())
}

/// Attaches simple clients with the ids 0, 1, ... who all have the user `ann`.
fn shard_with(count: u128) -> (Shard, Vec<MemberKey>) {
    let mut shard = Shard::new(QueueLimits { outbox: LIMITS, window: WINDOW });
    let attach = |number| {
        let user_id = Some(UserId::new("ann").unwrap());
        shard.attach(&NewMember { hub: hub(), connection_id: id(number), user_id, subprotocol: None })
    };
    let keys = (0..count).map(attach).collect();
    (shard, keys)
}

fn command(target: Target) -> Command {
    Command {
        hub: hub(),
        target,
        body: Body::from_application(Content {
            payload: Payload::binary(Bytes::from_static(b"x")),
            metadata: None,
        }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    }
}

fn deliver(shard: &mut Shard, command: Command) {
    shard.deliver(&Outgoing::new(Arc::new(command), Instant::now()));
}

/// Takes what is queued for a member, as a socket that takes everything.
fn drain(shard: &mut Shard, key: MemberKey) -> Vec<u8> {
    let outbox = shard.begin_flush(key, Instant::now()).unwrap();
    let mut room = [0; 4096];
    let mut slices = [IoSlice::new(&[]); 16];
    let mut gather = Gather::new(&mut room, &mut slices);
    outbox.gather(&mut gather);
    let bytes: Vec<u8> = gather.finish().iter().flat_map(|slice| slice.to_vec()).collect();
    outbox.advance(bytes.len());
    assert_eq!(shard.end_flush(key, Poll::Ready(())), Flushed::Done);
    bytes
}

fn receivers(shard: &mut Shard, keys: &[MemberKey]) -> Vec<usize> {
    let dirty = shard.take_dirty(Vec::new());
    let received: Vec<usize> = (0..keys.len())
        .filter(|&at| shard.members.contains_key(keys[at]) && !drain(shard, keys[at]).is_empty())
        .collect();
    assert_eq!(dirty.len(), received.len(), "each receiver is flushed once");
    received
}

#[test]
fn each_target_reaches_its_members_once() {
    let (mut shard, keys) = shard_with(3);
    shard.join(keys[0], &hub(), &group("g"));
    assert_eq!(shard.join(keys[0], &hub(), &group("g")), Joined::Already);
    shard.join(keys[2], &hub(), &group("g"));
    let mut check = |target, expected: &[usize]| {
        deliver(&mut shard, command(target));
        assert_eq!(receivers(&mut shard, &keys), expected);
    };
    check(Target::Hub, &[0, 1, 2]);
    check(group("g"), &[0, 2]);
    check(group("G"), &[]);
    check(Target::User(UserId::new("ann").unwrap()), &[0, 1, 2]);
    check(Target::Connection(id(1)), &[1]);
    check(Target::Connection(id(9)), &[]);
}

#[test]
fn excluded_and_unmatched_members_are_left_out() {
    let (mut shard, keys) = shard_with(3);
    shard.join(keys[1], &hub(), &group("vip"));
    deliver(&mut shard, Command { excluded: vec![id(0), id(0), id(7)], ..command(Target::Hub) });
    assert_eq!(receivers(&mut shard, &keys), [1, 2]);
    let filter = Filter::parse("not ('vip' in groups) and length(groups) eq 0").unwrap();
    deliver(&mut shard, Command { filter: Some(filter), ..command(Target::Hub) });
    assert_eq!(receivers(&mut shard, &keys), [0, 2]);
}

#[test]
fn those_who_leave_receive_nothing_more_and_empty_topics_are_told() {
    let (mut shard, keys) = shard_with(3);
    for &key in &keys {
        shard.join(key, &hub(), &group("g"));
    }
    assert_eq!(shard.leave(keys[0], &hub(), &group("g")), None);
    assert_eq!(shard.leave(keys[0], &hub(), &group("g")), None, "leaving twice is harmless");
    shard.detach(keys[1]);
    deliver(&mut shard, command(group("g")));
    assert_eq!(receivers(&mut shard, &keys), [2]);
    let emptied = shard.leave(keys[2], &hub(), &group("g"));
    assert_eq!(emptied, Some(Topic { hub: hub(), target: group("g") }));
    shard.detach(keys[0]);
    let (_, emptied) = shard.detach(keys[2]).unwrap();
    let targets: Vec<_> = emptied.into_iter().map(|topic| topic.target).collect();
    assert_eq!(targets, [Target::Hub, Target::User(UserId::new("ann").unwrap())]);
    assert!(shard.hubs.is_empty() && shard.rosters.is_empty(), "nothing is left behind");
}

#[test]
fn only_a_socket_that_takes_nothing_is_too_slow() {
    let (mut shard, keys) = shard_with(1);
    for _ in 0..=LIMITS.messages {
        deliver(&mut shard, command(Target::Hub));
    }
    assert!(shard.needs_flush(), "a full queue asks for a flush first");
    assert_eq!(drain(&mut shard, keys[0]).len(), 3 * (LIMITS.messages + 1));
    shard.take_dirty(Vec::new());
    deliver(&mut shard, command(Target::Hub));
    shard.begin_flush(keys[0], Instant::now());
    assert_eq!(shard.end_flush(keys[0], Poll::Pending), Flushed::Blocked);
    for _ in 0..LIMITS.messages {
        deliver(&mut shard, command(Target::Hub));
    }
    shard.begin_flush(keys[0], Instant::now());
    assert_eq!(shard.end_flush(keys[0], Poll::Pending), Flushed::TooSlow);
}

#[test]
fn a_protocol_without_a_form_for_a_message_is_told_nothing() {
    let (mut shard, keys) = shard_with(1);
    shard.tell(keys[0], &Downstream::Pong);
    assert!(shard.is_clean());
    let subprotocol = Some(Subprotocol::Json);
    let json = shard.attach(&NewMember { hub: hub(), connection_id: id(5), user_id: None, subprotocol });
    shard.tell(json, &Downstream::Pong);
    assert_eq!(drain(&mut shard, json), b"\x81\x0f{\"type\":\"pong\"}");
}

#[test]
fn a_listing_is_ordered_and_goes_on_after_an_id() {
    let (mut shard, keys) = shard_with(5);
    for &key in &keys {
        shard.join(key, &hub(), &group("g"));
    }
    let name = GroupName::new("g").unwrap();
    let page = |after: Option<&ConnectionId>, limit| -> Vec<ConnectionId> {
        shard.list(&hub(), &name, after, limit).into_iter().map(|member| member.connection_id).collect()
    };
    let all = page(None, 10);
    assert!(all.is_sorted() && all.len() == 5);
    assert_eq!(page(None, 2), all[..2]);
    assert_eq!(page(Some(&all[1]), 2), all[2..4]);
    assert_eq!(page(Some(&all[4]), 2), []);
}

#[test]
fn memberships_that_begin_and_end_are_noted_once_somebody_wants_to_know() {
    let (mut shard, keys) = shard_with(1);
    shard.join(keys[0], &hub(), &group("before"));
    assert!(shard.take_presence().is_empty());
    shard.keep_presence(Keeping::On);
    shard.join(keys[0], &hub(), &group("a"));
    shard.join(keys[0], &hub(), &group("a"));
    shard.leave(keys[0], &hub(), &group("a"));
    shard.leave(keys[0], &hub(), &group("a"));
    shard.detach(keys[0]);
    let change = |name: &str, presence| PresenceChange {
        key: keys[0],
        group: GroupName::new(name).unwrap(),
        presence,
    };
    let expected =
        [change("a", Presence::Joined), change("a", Presence::Left), change("before", Presence::Left)];
    assert_eq!(shard.take_presence(), expected);
    assert!(shard.take_presence().is_empty());
}

fn reliable(shard: &mut Shard) -> MemberKey {
    let subprotocol = Some(Subprotocol::JsonReliable);
    shard.attach(&NewMember { hub: hub(), connection_id: id(7), user_id: None, subprotocol })
}

/// The sequence ids in what a socket takes.
fn sequence_ids(bytes: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(bytes);
    let ids = text.split("\"sequenceId\":").skip(1);
    ids.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_reliable_member_is_sent_again_what_it_has_not_acknowledged() {
    let (mut shard, plain) = shard_with(1);
    let key = reliable(&mut shard);
    for _ in 0..3 {
        deliver(&mut shard, command(Target::Hub));
    }
    shard.tell(key, &Downstream::Pong);
    assert_eq!(drain(&mut shard, plain[0]), b"\x82\x01x".repeat(3));
    let first = drain(&mut shard, key);
    assert_eq!(sequence_ids(&first), [1, 2, 3]);
    shard.acknowledge(key, SequenceId(1));
    shard.suspend(key);
    shard.take_dirty(Vec::new());
    shard.tell(key, &Downstream::Pong);
    deliver(&mut shard, command(Target::Connection(id(7))));
    assert!(shard.is_clean() && shard.begin_flush(key, Instant::now()).is_none(), "there is no socket");
    shard.resume(key, None, Instant::now());
    assert_eq!(shard.take_dirty(Vec::new()), [key]);
    let second = drain(&mut shard, key);
    assert_eq!(sequence_ids(&second), [2, 3, 4], "no control frame is kept");
    let len = second.len() / 3;
    let again = &second[..2 * len];
    assert!(first.windows(again.len()).any(|before| before == again), "the same bytes as before");
}

#[test]
fn a_member_whose_window_is_overrun_must_end_with_a_socket_or_without() {
    for is_suspended in [false, true] {
        let (mut shard, _) = shard_with(0);
        let key = reliable(&mut shard);
        if is_suspended {
            shard.suspend(key);
        }
        for _ in 0..WINDOW.messages {
            deliver(&mut shard, command(Target::Hub));
        }
        assert!(shard.take_overrun().is_empty());
        for _ in 0..3 {
            deliver(&mut shard, command(Target::Hub));
        }
        assert!(shard.needs_flush() && !shard.is_clean());
        assert_eq!(shard.take_overrun(), [key], "told once");
    }
}

#[test]
fn a_window_that_fills_asks_for_a_turn_of_the_others_before_it_is_overrun() {
    let (mut shard, _) = shard_with(0);
    reliable(&mut shard);
    let mut asked = Vec::new();
    for number in 1..=WINDOW.messages {
        deliver(&mut shard, command(Target::Hub));
        asked.extend(shard.needs_flush().then_some(number));
        shard.take_dirty(Vec::new());
        shard.others_have_their_turn();
    }
    assert_eq!(asked, [4, 5], "with steps of one message, each of the upper half");
}

#[test]
fn windows_that_fill_at_different_times_ask_for_one_turn_together() {
    let window = WindowLimits { messages: 160, bytes: 1 << 20 };
    let mut shard = Shard::new(QueueLimits { outbox: LIMITS, window });
    let mut asked = Vec::new();
    for number in 1..=100 {
        if number <= 20 {
            let subprotocol = Some(Subprotocol::JsonReliable);
            shard.attach(&NewMember { hub: hub(), connection_id: id(number), user_id: None, subprotocol });
        }
        deliver(&mut shard, command(Target::Hub));
        if shard.needs_flush() {
            asked.push(number);
            shard.others_have_their_turn();
        }
        // A flush reads no acknowledgements.
        shard.take_dirty(Vec::new());
    }
    assert_eq!(asked, [80, 90, 100], "half full is the first at 80 and the last at 99, with each in between");
}
