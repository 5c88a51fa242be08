use super::*;

const A: ServerKey = ServerKey(1);
const B: ServerKey = ServerKey(2);
const ONE: Partition = Partition(1);
const TWO: Partition = Partition(2);

/// A is up and serves all.
fn wishes() -> Wishes {
    let mut wishes = Wishes::new();
    wishes.add(A, Arc::default());
    wishes.add(B, Arc::default());
    assert!(wishes.assign(|_| Some(A)).is_empty());
    wishes.up(A);
    assert_eq!(wishes.settle(), PartitionSet::ALL);
    wishes
}

fn want(wishes: &mut Wishes, partition: Partition, channel: &str) -> Option<oneshot::Receiver<()>> {
    match wishes.want(partition, &Arc::from(channel)) {
        Begun::Live => None,
        Begun::Pending(receiver) => Some(receiver),
    }
}

fn subscribe(channel: &str) -> Step {
    Step::Subscribe(Arc::from(channel))
}

fn unsubscribe(channel: &str) -> Step {
    Step::Unsubscribe(Arc::from(channel))
}

fn set(partitions: &[Partition]) -> PartitionSet {
    partitions.iter().copied().collect()
}

#[test]
fn a_wish_is_asked_once_and_told_to_all_who_wait() {
    let mut wishes = wishes();
    let mut first = want(&mut wishes, ONE, "a").unwrap();
    let mut second = want(&mut wishes, ONE, "a").unwrap();
    assert_eq!(wishes.take(A, 10), [subscribe("a")]);
    assert!(first.try_recv().is_err());
    wishes.confirmed(A, "a");
    assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
    assert!(want(&mut wishes, ONE, "a").is_none());
    assert_eq!(wishes.take(A, 10), []);
}

#[test]
fn a_dropped_waiter_ends_no_wish() {
    let mut wishes = wishes();
    drop(want(&mut wishes, ONE, "a"));
    assert_eq!(wishes.take(A, 10), [subscribe("a")]);
    wishes.confirmed(A, "a");
    assert!(want(&mut wishes, ONE, "a").is_none());
}

#[test]
fn unsubscribing_and_subscribing_again_ends_subscribed() {
    let mut wishes = wishes();
    want(&mut wishes, ONE, "a");
    wishes.take(A, 10);
    wishes.confirmed(A, "a");
    wishes.take_back("a");
    let mut again = want(&mut wishes, ONE, "a").unwrap();
    assert_eq!(wishes.take(A, 10), [unsubscribe("a"), subscribe("a")]);
    wishes.confirmed(A, "a");
    assert!(again.try_recv().is_err(), "an earlier confirmation says nothing");
    assert_eq!(wishes.left(A, "a"), None);
    wishes.confirmed(A, "a");
    assert!(again.try_recv().is_ok());
}

#[test]
fn what_was_never_told_needs_no_unsubscribing() {
    let mut wishes = wishes();
    let mut waiter = want(&mut wishes, ONE, "a").unwrap();
    wishes.take_back("a");
    assert_eq!(waiter.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert_eq!((wishes.take(A, 10), wishes.len()), (vec![], 0));
    want(&mut wishes, ONE, "a");
    wishes.take(A, 10);
    wishes.confirmed(A, "a");
    wishes.take_back("a");
    assert_eq!(wishes.take(A, 10), [unsubscribe("a")]);
    wishes.left(A, "a");
    assert!(wishes.channels.is_empty());
}

#[test]
fn a_lost_server_makes_deaf_until_everything_is_confirmed_again() {
    let mut wishes = wishes();
    for channel in ["a", "b"] {
        want(&mut wishes, ONE, channel);
    }
    wishes.take(A, 10);
    wishes.confirmed(A, "a");
    wishes.confirmed(A, "b");
    assert_eq!(wishes.down(A), PartitionSet::ALL);
    assert!(wishes.down(A).is_empty() && !wishes.is_hearing());
    let mut late = want(&mut wishes, TWO, "c").unwrap();
    assert_eq!(wishes.take(A, 10), []);
    assert!(wishes.settle().is_empty());
    wishes.up(A);
    assert_eq!(wishes.settle().len(), Partition::COUNT - 1);
    assert_eq!(wishes.take(A, 10).len(), 3);
    wishes.confirmed(A, "a");
    assert!(wishes.settle().is_empty());
    wishes.take_back("b");
    assert_eq!(wishes.settle(), set(&[ONE]));
    wishes.confirmed(A, "c");
    assert!(late.try_recv().is_ok());
}

#[test]
fn a_moving_slot_makes_only_its_partition_deaf() {
    let mut wishes = wishes();
    want(&mut wishes, ONE, "a");
    want(&mut wishes, TWO, "b");
    wishes.take(A, 10);
    wishes.confirmed(A, "a");
    wishes.confirmed(A, "b");
    wishes.up(B);
    assert_eq!(wishes.left(A, "b"), Some(TWO));
    assert!(wishes.settle().is_empty());
    assert!(wishes.assign(|partition| Some(if partition == TWO { B } else { A })).is_empty());
    assert_eq!((wishes.take(A, 10), wishes.take(B, 10)), (vec![], vec![subscribe("b")]));
    wishes.confirmed(A, "b");
    assert!(wishes.settle().is_empty(), "the former owner says nothing about it");
    wishes.confirmed(B, "b");
    assert_eq!(wishes.settle(), set(&[TWO]));
}

#[test]
fn a_move_that_nobody_announced_makes_deaf_too() {
    let mut wishes = wishes();
    want(&mut wishes, TWO, "b");
    wishes.take(A, 10);
    wishes.confirmed(A, "b");
    wishes.up(B);
    assert_eq!(wishes.assign(|partition| Some(if partition == TWO { B } else { A })), set(&[TWO]));
    assert_eq!(wishes.left(A, "b"), None);
    assert_eq!(wishes.take(B, 10), [subscribe("b")]);
}

#[test]
fn what_was_refused_is_asked_again_when_told_to() {
    let mut wishes = wishes();
    want(&mut wishes, ONE, "a");
    wishes.take(A, 10);
    wishes.refused(A, &subscribe("a"));
    assert_eq!(wishes.take(A, 10), []);
    wishes.queue_again(A);
    assert_eq!(wishes.take(A, 10), [subscribe("a")]);
    // An answer that went astray is asked for again, too.
    wishes.queue_again(A);
    assert_eq!(wishes.take(A, 10), [subscribe("a")]);
}
