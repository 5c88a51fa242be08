use codec::ids::{ConnectionId, GroupName, HubName, NodeId};
use codec::message::{Content, Payload};
use codec::subprotocol::Subprotocol;
use proptest::prelude::*;

use super::*;
use crate::hub::{NewMember, OutboxLimits, QueueLimits, WindowLimits};
use crate::model::command::Body;

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
const LIMITS: QueueLimits = QueueLimits {
    outbox: OutboxLimits { messages: 1000, bytes: 1 << 20 },
    window: WindowLimits { messages: 1000, bytes: 1 << 20 },
};

fn topic(group: usize) -> Topic {
    let target = Target::Group(GroupName::new(&format!("g{group}")).unwrap());
    Topic { hub: HubName::new("chat").unwrap(), target }
}

fn new() -> NewMember {
    NewMember {
        hub: topic(0).hub,
        connection_id: ConnectionId::new(1, 0, &NodeId::new("a").unwrap()),
        user_id: None,
        subprotocol: Some(Subprotocol::JsonReliable),
    }
}

/// A message to a group that says its own number.
fn message(group: usize, sequence: u64) -> Outgoing {
    let Topic { hub, target } = topic(group);
    let content = Content { payload: Payload::text(format!("<{sequence}>")), metadata: None };
    let body = Body::from_application(content);
    let command = Command { hub, target, body, excluded: Vec::new(), filter: None, time_to_live: None };
    let identity = Identity { origin: NodeId::new("c").unwrap(), epoch: 1, sequence };
    Outgoing::new(Arc::new(command), Instant::now()).known_as(Some(identity))
}

/// The numbers of the messages that a member's window holds.
fn received(shard: &Shard, key: MemberKey) -> Vec<u64> {
    let window = shard.members[key].outbox.window().unwrap();
    let numbers = window.unacknowledged().map(|(parcel, _)| {
        let text = String::from_utf8(parcel.frame().content().to_vec()).unwrap();
        let number = text.split_once('<').unwrap().1.split_once('>').unwrap().0;
        number.parse().unwrap()
    });
    numbers.collect()
}

proptest! {
    /// One publisher, whose messages reach both nodes in its order, each node at its own pace.
    #[test]
    fn whenever_a_member_moves_it_receives_everything_once_and_in_order(
        groups in proptest::collection::vec(0_usize..3, 1..40),
        cuts in proptest::collection::vec(0.0_f64..=1.0, 4),
    ) {
        let messages: Vec<Outgoing> =
            groups.iter().zip(1..).map(|(&group, sequence)| message(group, sequence)).collect();
        let cut = |from: usize, share: f64| from + ((messages.len() - from) as f64 * share) as usize;
        // The first node records from here on; the second is sent what is published after the watch; the first has
        // been sent everything up to the watch when it exports, and maybe more; and the second is further still, or not.
        let recorded = cut(0, cuts[0]);
        let watched = cut(recorded, cuts[1]);
        let exported = cut(watched, cuts[2]);
        let imported = cut(watched, cuts[3]);

        let mut first = Shard::new(LIMITS);
        let key = first.attach(&new());
        (0..2).for_each(|group| {
            first.join(key, &topic(group).hub, &topic(group).target);
        });
        messages[..recorded].iter().for_each(|message| first.deliver(message));
        let ticket = first.begin_record(key, Instant::now() + MINUTE);
        messages[recorded..exported].iter().for_each(|message| first.deliver(message));

        let mut second = Shard::new(LIMITS);
        let hold = second.begin_hold();
        (0..2).for_each(|group| assert!(second.hold_topic(hold, topic(group))));
        messages[watched..imported].iter().for_each(|message| second.deliver(message));

        prop_assert!(first.has_record(key, ticket));
        let delivered = first.end_record(key).unwrap();
        let (membership, _) = first.export(key, Instant::now()).unwrap();
        let key = second.import(&new(), membership, Instant::now());
        let (held, unwanted) = second.end_hold(hold);
        prop_assert!(unwanted.is_empty());
        let floor = Identity { sequence: recorded as u64, ..messages[0].identity().unwrap().clone() };
        let floors = (0..2).map(|group| (topic(group), vec![floor.clone()])).collect();
        let known = Known { delivered: delivered.into_iter().collect(), floors };
        second.know(key, known, Instant::now() + std::time::Duration::from_secs(60));
        held.unwrap().iter().for_each(|held| second.deliver_held(key, held));
        // What the first one has delivered and the second one hears later is known as well, and so is what somebody
        // sends again.
        messages[..watched].iter().for_each(|message| second.deliver(message));
        messages[imported..].iter().for_each(|message| second.deliver(message));
        let expected: Vec<u64> =
            groups.iter().zip(1..).filter(|(group, _)| **group < 2).map(|(_, number)| number).collect();
        prop_assert_eq!(received(&second, key), expected);
    }
}

#[test]
fn the_last_preparation_counts_and_a_member_that_ends_has_none() {
    let mut shard = Shard::new(LIMITS);
    let key = shard.attach(&new());
    let first = shard.begin_record(key, Instant::now() + MINUTE);
    let second = shard.begin_record(key, Instant::now() + MINUTE);
    assert!(!shard.has_record(key, first) && shard.has_record(key, second));
    shard.detach(key);
    assert!(!shard.has_record(key, second) && shard.handovers.is_empty());
}

#[test]
fn a_topic_is_wanted_while_it_is_held_and_given_up_when_nobody_came() {
    let mut shard = Shard::new(LIMITS);
    let (one, other) = (shard.begin_hold(), shard.begin_hold());
    assert!(shard.hold_topic(one, topic(0)) && !shard.hold_topic(one, topic(0)));
    assert!(shard.hold_topic(other, topic(0)));
    assert!(shard.is_held(&topic(0)) && !shard.is_held(&topic(1)));
    assert!(shard.end_hold(one).1.is_empty(), "the other one wants it");
    assert_eq!(shard.end_hold(other).1, [topic(0)]);
    assert!(!shard.is_held(&topic(0)));
}

#[test]
fn too_much_is_not_kept_and_that_is_known() {
    let mut shard = Shard::new(LIMITS);
    let key = shard.attach(&new());
    shard.join(key, &topic(0).hub, &topic(0).target);
    let hold = shard.begin_hold();
    shard.hold_topic(hold, topic(0));
    shard.begin_record(key, Instant::now() + MINUTE);
    (0..=MAX_MESSAGES as u64).for_each(|sequence| shard.deliver(&message(0, sequence)));
    assert!(!shard.is_complete(hold) && shard.end_hold(hold).0.is_none());
    assert!(shard.end_record(key).is_none());
}
