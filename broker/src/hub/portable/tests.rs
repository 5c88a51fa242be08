use std::sync::Arc;
use std::time::Duration;

use codec::ids::{ConnectionId, GroupName, HubName, NodeId, SequenceId, UserId};
use codec::message::{Content, GroupState, Payload};
use codec::subprotocol::Subprotocol;
use proptest::prelude::*;

use super::*;
use crate::hub::{Joined, Keeping, OutboxLimits, Outgoing, QueueLimits, WindowLimits};
use crate::model::command::{Body, Command};
use crate::model::portable::Sight;

const LIMITS: QueueLimits = QueueLimits {
    outbox: OutboxLimits { messages: 1000, bytes: 1 << 20 },
    window: WindowLimits { messages: 1000, bytes: 1 << 20 },
};

fn topic() -> Topic {
    let target = Target::Group(GroupName::new("g").unwrap());
    Topic { hub: HubName::new("chat").unwrap(), target }
}

fn new(subprotocol: Subprotocol) -> NewMember {
    NewMember {
        hub: topic().hub,
        connection_id: ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
        user_id: Some(UserId::new("ann").unwrap()),
        subprotocol: Some(subprotocol),
    }
}

fn shard_with(subprotocol: Subprotocol) -> (Shard, MemberKey) {
    let mut shard = Shard::new(LIMITS);
    let key = shard.attach(&new(subprotocol));
    assert_eq!(shard.join(key, &topic().hub, &topic().target), Joined::Newly);
    (shard, key)
}

fn publish(shard: &mut Shard, text: &str, time_to_live: Option<Duration>, now: Instant) {
    let command = Command {
        hub: topic().hub,
        target: topic().target,
        body: Body::from_application(Content { payload: Payload::text(text), metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live,
    };
    shard.deliver(&Outgoing::new(Arc::new(command), now));
}

/// What a member's window holds, as a socket would be sent it.
fn held(shard: &Shard, key: MemberKey) -> Vec<(u64, Vec<u8>)> {
    let window = shard.members[key].outbox.window().unwrap();
    let all = window.unacknowledged();
    all.map(|(parcel, id)| (id.0, parcel.sequenced(id).frame().bytes().to_vec())).collect()
}

proptest! {
    #[test]
    fn a_window_is_on_the_other_node_what_it_was_on_the_first(
        protobuf: bool,
        messages in proptest::collection::vec((".{0,200}", proptest::option::of(0_u64..20)), 0..30),
        acknowledged in 0_u64..30,
        later in 0_u64..20,
    ) {
        let subprotocol = if protobuf { Subprotocol::ProtobufReliable } else { Subprotocol::JsonReliable };
        let (mut shard, key) = shard_with(subprotocol);
        let start = Instant::now();
        for (text, seconds) in &messages {
            publish(&mut shard, text, seconds.map(Duration::from_secs), start);
        }
        shard.acknowledge(key, SequenceId(acknowledged));
        let now = start + Duration::from_secs(later);
        shard.members[key].outbox.forget_expired(now);
        let before = held(&shard, key);
        let (membership, emptied) = shard.export(key, now).unwrap();
        prop_assert_eq!(emptied.len(), 3, "hub, user and group");
        prop_assert!(shard.members.is_empty() && shard.hubs.is_empty() && shard.rosters.is_empty());
        let mut other = Shard::new(LIMITS);
        let key = other.import(&new(subprotocol), membership.clone(), now);
        prop_assert_eq!(held(&other, key), before);
        // It goes on with the next number, and what has expired meanwhile is forgotten as before.
        publish(&mut other, "next", None, now);
        prop_assert_eq!(held(&other, key).last().unwrap().0, messages.len() as u64 + 1);
        other.acknowledge(key, SequenceId(u64::MAX));
        prop_assert!(held(&other, key).is_empty());
        // What comes out again is what went in.
        let mut third = Shard::new(LIMITS);
        let key = third.import(&new(subprotocol), membership.clone(), now);
        prop_assert_eq!(third.export(key, now).unwrap().0, membership);
    }
}

#[test]
fn states_and_sights_go_with_their_owner_and_nobody_is_told() {
    let (mut shard, key) = shard_with(Subprotocol::JsonReliable);
    let state = GroupState::new([("k".to_owned(), "v".to_owned())]);
    shard.keep_presence(Keeping::On);
    shard.subscribe_states(key, &topic()).unwrap();
    shard.tell_snapshot(key, &topic(), Some(Vec::new()));
    let item = shard.show(key, &topic(), Some(state.clone()), 5_000).unwrap();
    let (membership, _) = shard.export(key, Instant::now()).unwrap();
    assert!(shard.take_presence().is_empty() && shard.take_cleared_states(|| 0).is_empty());
    assert_eq!(membership.messages.len(), 1, "the snapshot");
    assert!(membership.messages[0].state_of.is_some());
    assert_eq!(membership.groups[0].sight, Sight::Current);
    let mut other = Shard::new(LIMITS);
    other.keep_presence(Keeping::On);
    let key = other.import(&new(Subprotocol::JsonReliable), membership, Instant::now());
    assert!(other.take_presence().is_empty());
    let (hub, group) = (topic().hub, GroupName::new("g").unwrap());
    assert_eq!(other.states(&hub, &group, 10), std::slice::from_ref(&item));
    // The clock of this node is behind, and yet its changes are later.
    let next = other.show(key, &topic(), Some(state), 1_000).unwrap();
    assert!(next.updated_at > item.updated_at);
    // It is told updates, which replace each other as before.
    let command = Command {
        hub,
        target: topic().target,
        body: Body::GroupState(next),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    let outgoing = Outgoing::new(Arc::new(command), Instant::now());
    (0..5).for_each(|_| other.deliver(&outgoing));
    assert_eq!(held(&other, key).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 6]);
}
