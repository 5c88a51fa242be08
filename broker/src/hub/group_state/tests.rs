use std::io::IoSlice;
use std::sync::Arc;
use std::task::Poll;

use codec::ids::{NodeId, SequenceId};
use codec::subprotocol::Subprotocol;
use tokio::time::Instant;

use super::*;
use crate::hub::{Gather, NewMember, OutboxLimits, QueueLimits, WindowLimits};
use crate::model::command::{Body, Command};

const LIMITS: QueueLimits = QueueLimits {
    outbox: OutboxLimits { messages: 100, bytes: 100_000 },
    window: WindowLimits { messages: 5, bytes: 100_000 },
};

fn topic(group: &str) -> Topic {
    let target = Target::Group(GroupName::new(group).unwrap());
    Topic { hub: HubName::new("chat").unwrap(), target }
}

fn id(number: u128) -> ConnectionId {
    ConnectionId::new(number, 0, &NodeId::new("n").unwrap())
}

/// A shard with members of group `g`, whose ids are 0, 1, ... in their order.
fn shard_with(count: u128, subprotocol: Subprotocol) -> (Shard, Vec<MemberKey>) {
    let mut shard = Shard::new(LIMITS);
    let attach = |number| {
        let (hub, subprotocol) = (topic("g").hub, Some(subprotocol));
        shard.attach(&NewMember { hub, connection_id: id(number), user_id: None, subprotocol })
    };
    let keys: Vec<MemberKey> = (0..count).map(attach).collect();
    for &key in &keys {
        shard.join(key, &topic("g").hub, &topic("g").target);
    }
    (shard, keys)
}

fn state(text: &str) -> Option<GroupState> {
    (!text.is_empty()).then(|| GroupState::new([("s".to_owned(), text.to_owned())]))
}

/// Shows a state, none when the text is empty, and brings it to the shard's subscribers.
fn show(shard: &mut Shard, key: MemberKey, text: &str) -> GroupStateItem {
    let item = shard.show(key, &topic("g"), state(text), 1000).unwrap();
    bring(shard, &item);
    item
}

fn bring(shard: &mut Shard, item: &GroupStateItem) {
    let Topic { hub, target } = topic("g");
    let body = Body::GroupState(item.clone());
    let command = Command { hub, target, body, excluded: Vec::new(), filter: None, time_to_live: None };
    shard.deliver(&Outgoing::new(Arc::new(command), Instant::now()));
}

/// Subscribes and takes a snapshot of this shard.
fn subscribe(shard: &mut Shard, key: MemberKey) {
    shard.subscribe_states(key, &topic("g")).unwrap();
    let items = states(shard, 200);
    shard.tell_snapshot(key, &topic("g"), Some(items));
}

fn states(shard: &Shard, limit: usize) -> Vec<GroupStateItem> {
    shard.states(&topic("g").hub, &GroupName::new("g").unwrap(), limit)
}

/// What a member has been told since the last call: `snapshot` or `update`, and states, `-` for none.
fn told(shard: &mut Shard, key: MemberKey) -> Vec<String> {
    let outbox = shard.begin_flush(key, Instant::now()).unwrap();
    let mut room = [0; 16 * 1024];
    let mut slices = [IoSlice::new(&[]); 64];
    let mut gather = Gather::new(&mut room, &mut slices);
    outbox.gather(&mut gather);
    let bytes: Vec<u8> = gather.finish().iter().flat_map(|slice| slice.to_vec()).collect();
    outbox.advance(bytes.len());
    shard.end_flush(key, Poll::Ready(()));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let messages = text.split("groupState").skip(1);
    let describe = |message: &str| {
        let items = message.split("\"connectionId\"").skip(1);
        let states = items.map(|item| match item.split_once("\"s\":\"") {
            Some((_, rest)) => rest.split('"').next().unwrap(),
            None => "-",
        });
        let kind = message.split('"').next().unwrap().to_lowercase();
        format!("{kind} {}", states.collect::<Vec<_>>().join(","))
    };
    messages.map(describe).collect()
}

#[test]
fn subscribers_are_told_of_each_change_and_others_of_none() {
    let (mut shard, keys) = shard_with(3, Subprotocol::Json);
    show(&mut shard, keys[2], "c");
    show(&mut shard, keys[1], "b");
    subscribe(&mut shard, keys[0]);
    assert_eq!(told(&mut shard, keys[0]), ["snapshot b,c"], "in the order of ids");
    show(&mut shard, keys[1], "b2");
    show(&mut shard, keys[0], "a");
    show(&mut shard, keys[2], "");
    assert_eq!(told(&mut shard, keys[0]), ["update b2", "update a", "update -"]);
    assert!(told(&mut shard, keys[1]).is_empty());
    assert_eq!(states(&shard, 200).len(), 2);
    shard.unsubscribe_states(keys[0], &topic("g"));
    show(&mut shard, keys[1], "b3");
    assert!(told(&mut shard, keys[0]).is_empty());
    subscribe(&mut shard, keys[0]);
    subscribe(&mut shard, keys[0]);
    assert_eq!(told(&mut shard, keys[0]), ["snapshot a,b3", "snapshot a,b3"], "each time anew");
    assert_eq!(shard.take_deliveries().iter().sum::<u64>(), 3);
}

#[test]
fn only_members_show_and_see() {
    let (mut shard, keys) = shard_with(2, Subprotocol::Json);
    let (hub, other) = (topic("g").hub, topic("other"));
    assert_eq!(shard.show(keys[0], &other, state("x"), 1), Err(NotMember));
    assert_eq!(shard.subscribe_states(keys[0], &other), Err(NotMember));
    shard.join(keys[1], &hub, &other.target);
    assert_eq!(shard.show(keys[0], &other, state("x"), 1), Err(NotMember), "others are");
    shard.unsubscribe_states(keys[0], &other);
    shard.detach(keys[0]);
    assert_eq!(shard.show(keys[0], &topic("g"), state("x"), 1), Err(NotMember));
}

#[test]
fn the_time_of_a_change_is_later_than_that_of_the_one_before() {
    let (mut shard, keys) = shard_with(1, Subprotocol::Json);
    let mut at = |now| shard.show(keys[0], &topic("g"), state("x"), now).unwrap().updated_at;
    assert_eq!([5, 5, 4, 9, -1].map(&mut at), [5, 6, 7, 9, 10]);
    shard.leave(keys[0], &topic("g").hub, &topic("g").target);
    let cleared = shard.take_cleared_states(|| 3);
    assert_eq!(cleared.iter().map(|(_, item)| item.updated_at).collect::<Vec<_>>(), [11]);
}

#[test]
fn a_state_ends_with_the_membership_and_others_are_to_be_told_once() {
    let leave: fn(&mut Shard, MemberKey) = |shard, key| {
        shard.leave(key, &topic("g").hub, &topic("g").target);
        shard.leave(key, &topic("g").hub, &topic("g").target);
    };
    let end: fn(&mut Shard, MemberKey) = |shard, key| drop(shard.detach(key));
    for part in [leave, end] {
        let (mut shard, keys) = shard_with(3, Subprotocol::Json);
        subscribe(&mut shard, keys[0]);
        subscribe(&mut shard, keys[1]);
        show(&mut shard, keys[0], "a");
        part(&mut shard, keys[0]);
        part(&mut shard, keys[2]);
        let cleared = shard.take_cleared_states(|| 2000);
        let [(of, item)] = &cleared[..] else {
            panic!("{cleared:?}");
        };
        assert_eq!((of, &item.connection_id, &item.state), (&topic("g"), &id(0), &None));
        assert!(shard.take_cleared_states(|| panic!("there is nothing")).is_empty());
        assert!(states(&shard, 200).is_empty());
        bring(&mut shard, item);
        assert_eq!(told(&mut shard, keys[1]), ["snapshot ", "update a", "update -"]);
        part(&mut shard, keys[1]);
        assert!(shard.rosters.values().all(|roster| roster.states.is_none()), "nothing is left behind");
    }
}

#[test]
fn a_subscription_does_not_come_back_with_the_membership() {
    let (mut shard, keys) = shard_with(2, Subprotocol::Json);
    subscribe(&mut shard, keys[0]);
    shard.subscribe_states(keys[1], &topic("g")).unwrap();
    for &key in &keys {
        shard.leave(key, &topic("g").hub, &topic("g").target);
        shard.join(key, &topic("g").hub, &topic("g").target);
    }
    told(&mut shard, keys[0]);
    shard.tell_snapshot(keys[1], &topic("g"), Some(Vec::new()));
    show(&mut shard, keys[1], "b");
    assert!(told(&mut shard, keys[0]).is_empty() && told(&mut shard, keys[1]).is_empty());
}

#[test]
fn what_changes_while_a_snapshot_is_under_way_is_told_after_it() {
    let (mut shard, keys) = shard_with(4, Subprotocol::Json);
    for (&key, text) in keys.iter().zip(["a", "b", "c", "d"]) {
        show(&mut shard, key, text);
    }
    shard.subscribe_states(keys[0], &topic("g")).unwrap();
    show(&mut shard, keys[1], "known");
    let items = states(&shard, 200);
    show(&mut shard, keys[2], "older");
    show(&mut shard, keys[2], "newer");
    show(&mut shard, keys[3], "");
    assert!(told(&mut shard, keys[0]).is_empty(), "the snapshot comes first");
    shard.tell_snapshot(keys[0], &topic("g"), Some(items.clone()));
    assert_eq!(told(&mut shard, keys[0]), ["snapshot a,known,c,d", "update newer", "update -"]);
    shard.tell_snapshot(keys[0], &topic("g"), Some(items));
    assert!(told(&mut shard, keys[0]).is_empty(), "it was waited for once");

    shard.subscribe_states(keys[0], &topic("g")).unwrap();
    show(&mut shard, keys[1], "b3");
    shard.tell_snapshot(keys[0], &topic("g"), None);
    assert_eq!(told(&mut shard, keys[0]), ["update b3"], "updates come even if the snapshot cannot");
}

#[test]
fn a_snapshot_has_the_first_ids_and_no_more_than_asked_for() {
    let (mut shard, keys) = shard_with(20, Subprotocol::Json);
    for &key in keys.iter().rev() {
        show(&mut shard, key, "x");
    }
    let ids = |limit| -> Vec<ConnectionId> {
        states(&shard, limit).into_iter().map(|item| item.connection_id).collect()
    };
    let all = ids(20);
    assert!(all.is_sorted() && all.len() == 20);
    assert_eq!(ids(7), all[..7]);
}

#[test]
fn a_reliable_subscriber_that_acknowledges_nothing_goes_on() {
    let (mut shard, keys) = shard_with(2, Subprotocol::JsonReliable);
    subscribe(&mut shard, keys[0]);
    for round in 0..100 {
        show(&mut shard, keys[1], &format!("b{round}"));
        told(&mut shard, keys[0]);
    }
    shard.suspend(keys[0]);
    for round in 100..200 {
        show(&mut shard, keys[1], &format!("b{round}"));
    }
    show(&mut shard, keys[0], "a");
    assert!(shard.take_overrun().is_empty());
    shard.resume(keys[0], None, Instant::now());
    assert_eq!(told(&mut shard, keys[0]), ["snapshot ", "update b199", "update a"]);
    shard.acknowledge(keys[0], SequenceId(u64::MAX));
    shard.suspend(keys[0]);
    shard.resume(keys[0], None, Instant::now());
    assert!(told(&mut shard, keys[0]).is_empty());
}

#[test]
fn members_that_are_about_to_end_are_not_told_of_each_others_end() {
    let (mut shard, keys) = shard_with(3, Subprotocol::Json);
    for &key in &keys {
        show(&mut shard, key, "x");
        subscribe(&mut shard, key);
    }
    keys.iter().for_each(|&key| drop(told(&mut shard, key)));
    shard.end_subscriptions(&keys[..2]);
    shard.detach(keys[0]).unwrap();
    for (_, item) in shard.take_cleared_states(|| 2000) {
        bring(&mut shard, &item);
    }
    assert!(told(&mut shard, keys[1]).is_empty());
    assert_eq!(told(&mut shard, keys[2]), ["update -"], "the others are");
    assert_eq!(states(&shard, 200).len(), 2, "what they show is there until they end");
}
