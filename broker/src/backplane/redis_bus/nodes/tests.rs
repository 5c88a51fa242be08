use super::*;

/// What happens next, in the order of the tables.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A run of `a` says that it is there.
    Beat(u64),
    /// A run of `a` says farewell.
    Farewell(u64),
    /// So much time passes, with looks, while the node hears.
    Hear(Duration),
    /// The same while it does not.
    Deaf(Duration),
    /// The same without a look, and one afterwards.
    Pause(Duration),
}
use Event::{Beat, Deaf, Farewell, Hear, Pause};
use Standing::{Alive, Gone, Silent};

const LOOK: Duration = Duration::from_millis(250);
const NEARLY_GONE: Duration = Duration::from_millis(5750);

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// A node, some time after its start unless that is zero, and the clock.
fn started(time: Duration) -> (Nodes, Instant) {
    let start = Instant::now();
    let mut nodes = Nodes::new(node("own"), start);
    nodes.look(true, start);
    let now = pass(&mut nodes, true, (start, time));
    (nodes, now)
}

fn pass(nodes: &mut Nodes, is_hearing: bool, (mut now, time): (Instant, Duration)) -> Instant {
    let end = now + time;
    while now < end {
        now = (now + LOOK).min(end);
        nodes.look(is_hearing, now);
    }
    now
}

fn standing(nodes: &Nodes, name: &str) -> Standing {
    let (known, unheard) = nodes.standings();
    known.get(&node(name)).copied().unwrap_or(unheard)
}

fn check(started: (Nodes, Instant), events: &[Event], expected: Standing) {
    assert_eq!(standing(&after(started, events), "a"), expected, "{events:?}");
}

fn after((mut nodes, mut now): (Nodes, Instant), events: &[Event]) -> Nodes {
    let (a, own) = (node("a"), node("own"));
    for &event in events {
        match event {
            Beat(epoch) => drop(nodes.on_beat((&a, epoch), now)),
            Farewell(epoch) => nodes.on_farewell((&a, epoch), now),
            Hear(time) => now = pass(&mut nodes, true, (now, time)),
            Deaf(time) => now = pass(&mut nodes, false, (now, time)),
            Pause(time) => {
                now += time;
                nodes.look(true, now);
            }
        }
        // What the node says itself is nothing new.
        assert_eq!(nodes.on_beat((&own, 7), now), Met::Before);
    }
    assert!(!nodes.standings().0.contains_key(&own));
    nodes
}

#[test]
fn a_node_is_silent_and_then_gone_when_nothing_comes_of_it_though_it_would_be_heard() {
    let check = |events: &[Event], expected| check(started(GONE_AFTER), events, expected);
    check(&[Beat(1)], Alive);
    check(&[Beat(1), Hear(SILENT_AFTER - LOOK)], Alive);
    check(&[Beat(1), Hear(SILENT_AFTER)], Silent);
    check(&[Beat(1), Hear(NEARLY_GONE)], Silent);
    check(&[Beat(1), Hear(GONE_AFTER)], Gone);
    check(&[Beat(1), Hear(2 * GONE_AFTER)], Gone);
    check(&[Beat(1), Hear(NEARLY_GONE), Beat(1), Hear(LOOK)], Alive);
    check(&[Beat(1), Hear(GONE_AFTER), Beat(1)], Alive);
}

#[test]
fn who_was_never_heard_is_gone_once_this_node_has_been_hearing_for_long_enough() {
    let at_start = || started(Duration::ZERO);
    check(at_start(), &[], Silent);
    check(at_start(), &[Hear(NEARLY_GONE)], Silent);
    check(at_start(), &[Hear(GONE_AFTER)], Gone);
    check(at_start(), &[Hear(NEARLY_GONE), Deaf(LOOK), Hear(NEARLY_GONE)], Silent);
    check(at_start(), &[Hear(GONE_AFTER), Deaf(LOOK)], Silent);
}

#[test]
fn nobody_is_gone_while_this_node_is_deaf_or_was_of_late() {
    let check = |events: &[Event], expected| check(started(GONE_AFTER), events, expected);
    check(&[Beat(1), Deaf(2 * GONE_AFTER)], Silent);
    check(&[Beat(1), Deaf(2 * GONE_AFTER), Hear(NEARLY_GONE)], Silent);
    // The first of these looks is the first moment at which it hears.
    check(&[Beat(1), Deaf(LOOK), Hear(GONE_AFTER + LOOK)], Gone);
    check(&[Beat(1), Hear(GONE_AFTER), Deaf(LOOK)], Silent);
    check(&[Beat(1), Pause(10 * GONE_AFTER)], Silent);
    check(&[Beat(1), Pause(10 * GONE_AFTER), Hear(NEARLY_GONE)], Silent);
    check(&[Beat(1), Pause(10 * GONE_AFTER), Hear(GONE_AFTER)], Gone);
}

#[test]
fn nobody_is_gone_for_the_time_in_which_no_look_was_taken() {
    let (mut nodes, now) = started(GONE_AFTER);
    nodes.on_beat((&node("a"), 1), now);
    // Whoever is asked right after a pause has not looked yet.
    assert_eq!(standing(&nodes, "a"), Alive);
    nodes.on_beat((&node("b"), 1), now + 2 * GONE_AFTER);
    nodes.look(true, now + 2 * GONE_AFTER);
    assert_eq!((standing(&nodes, "a"), standing(&nodes, "b")), (Silent, Alive));
}

#[test]
fn a_farewell_counts_at_once_and_for_its_run_alone() {
    let check = |events: &[Event], expected| check(started(GONE_AFTER), events, expected);
    check(&[Beat(1), Farewell(1)], Gone);
    check(&[Farewell(1)], Gone);
    check(&[Beat(1), Farewell(1), Hear(NEARLY_GONE)], Gone);
    check(&[Beat(1), Farewell(1), Hear(2 * GONE_AFTER)], Gone);
    // A repetition, after a lost connection.
    check(&[Beat(1), Farewell(1), Beat(1), Farewell(1)], Gone);
    check(&[Beat(1), Farewell(1), Beat(1)], Gone);
    // It was started again, and the old run's farewell may come late.
    check(&[Beat(1), Farewell(1), Beat(2)], Alive);
    check(&[Beat(1), Beat(2), Farewell(1)], Alive);
    check(&[Beat(1), Beat(2), Farewell(2)], Gone);
}

#[test]
fn a_run_is_new_when_it_speaks_for_the_first_time() {
    let (mut nodes, now) = started(GONE_AFTER);
    let mut check = |epoch, expected| assert_eq!(nodes.on_beat((&node("a"), epoch), now), expected);
    check(1, Met::New);
    check(1, Met::Before);
    check(2, Met::New);
    nodes.on_farewell((&node("a"), 2), now);
    assert_eq!(nodes.on_beat((&node("a"), 2), now), Met::Before);
    assert_eq!(nodes.count(), 1);
}

#[test]
fn a_farewell_is_not_relied_upon_over_a_time_of_deafness() {
    let check = |events: &[Event], expected| check(started(GONE_AFTER), events, expected);
    check(&[Beat(1), Farewell(1), Deaf(LOOK)], Alive);
    check(&[Beat(1), Farewell(1), Deaf(GONE_AFTER)], Silent);
    check(&[Beat(1), Farewell(1), Deaf(GONE_AFTER), Hear(GONE_AFTER + LOOK)], Gone);
    check(&[Beat(1), Deaf(LOOK), Farewell(1)], Alive);
    check(&[Beat(1), Farewell(1), Pause(GONE_AFTER)], Silent);
}

#[test]
fn who_has_said_farewell_does_not_stay_even_if_another_run_may_have_begun() {
    let check = |events: &[Event], is_there: bool, stays: bool| {
        let nodes = after(started(GONE_AFTER), events);
        let there = nodes.there().contains(&node("a"));
        assert_eq!((there, nodes.staying().contains(&node("a"))), (is_there, stays), "{events:?}");
    };
    check(&[], false, false);
    check(&[Beat(1)], true, true);
    check(&[Beat(1), Deaf(2 * GONE_AFTER)], true, true);
    check(&[Beat(1), Hear(GONE_AFTER)], false, false);
    check(&[Beat(1), Farewell(1)], false, false);
    check(&[Beat(1), Farewell(1), Deaf(LOOK)], true, false);
    check(&[Beat(1), Farewell(1), Pause(GONE_AFTER)], true, false);
    check(&[Beat(1), Deaf(LOOK), Farewell(1)], true, false);
    // A repetition, or a word that has been overtaken.
    check(&[Beat(1), Deaf(LOOK), Farewell(1), Beat(1)], true, false);
    check(&[Beat(1), Farewell(1), Deaf(LOOK), Beat(2)], true, true);
}

#[test]
fn nodes_are_bounded_and_nobody_is_gone_for_want_of_room() {
    let (mut nodes, now) = started(GONE_AFTER);
    for number in 0..KNOWN {
        nodes.on_beat((&node(&format!("n{number}")), 1), now);
    }
    assert_eq!(standing(&nodes, "a"), Gone);
    nodes.on_beat((&node("a"), 1), now);
    nodes.look(true, now + LOOK);
    assert_eq!(nodes.known.len(), KNOWN);
    assert_eq!(standing(&nodes, "a"), Silent);
    let mut later = pass(&mut nodes, true, (now + LOOK, NEARLY_GONE - LOOK));
    assert_eq!(standing(&nodes, "a"), Silent);
    // It goes on, and room is made of those that have gone.
    for _ in 0..3 {
        nodes.on_beat((&node("a"), 1), later);
        later = pass(&mut nodes, true, (later, LOOK));
    }
    assert_eq!(standing(&nodes, "a"), Alive);
    assert_eq!(nodes.known.len(), 1);
}
