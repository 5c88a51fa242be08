use codec::ids::NodeId;
use codec::websocket::{Frame, Opcode};
use proptest::prelude::*;

use super::*;

const LIMITS: WindowLimits = WindowLimits { messages: 4, bytes: 100 };

fn parcel(len: usize) -> Rc<Parcel> {
    Rc::new(Parcel::new(&Frame::new(Opcode::Binary, &vec![0; len]), None))
}

/// The state of one member of a group, or of all when `owner` is 0.
fn slot(group: &str, owner: u128) -> StateSlot {
    let node = NodeId::new("n").unwrap();
    let owner = (owner > 0).then(|| ConnectionId::new(owner, 0, &node));
    StateSlot { group: GroupName::new(group).unwrap(), owner }
}

fn ids(window: &Window) -> Vec<u64> {
    window.unacknowledged().map(|(_, id)| id.0).collect()
}

/// What is pushed: a message, or a state of a group and an owner.
type Pushed = Option<(&'static str, u128)>;

fn push(window: &mut Window, pushed: Pushed, len: usize) -> Result<(), Overrun> {
    match pushed {
        None => window.push(&parcel(len), LIMITS),
        Some((group, owner)) => window.push_state(&parcel(len), &slot(group, owner), LIMITS),
    }
}

fn window_with(all: &[Pushed]) -> Window {
    let mut window = Window::default();
    for &pushed in all {
        assert_eq!(push(&mut window, pushed, 1), Ok(()), "{all:?}");
    }
    window
}

#[test]
fn a_newer_state_replaces_an_older_one_and_a_snapshot_all_of_its_group() {
    let check = |all: &[Pushed], left: &[u64]| {
        let window = window_with(all);
        assert_eq!(ids(&window), left, "{all:?}");
        assert_eq!(window.bytes as usize, 3 * left.len(), "{all:?}");
        assert_eq!(window.last, all.len() as u64, "numbers go on");
    };
    check(&[Some(("g", 1)), Some(("g", 1)), Some(("g", 1))], &[3]);
    check(&[Some(("g", 1)), Some(("g", 2)), Some(("g", 1))], &[2, 3]);
    check(&[Some(("g", 1)), Some(("h", 1))], &[1, 2]);
    check(&[None, Some(("g", 1)), None, Some(("g", 1))], &[1, 3, 4]);
    check(&[Some(("g", 0)), Some(("g", 1))], &[1, 2]);
    check(&[Some(("g", 1)), Some(("h", 1)), Some(("g", 2)), Some(("g", 0))], &[2, 4]);
    check(&[Some(("g", 0)), Some(("g", 1)), Some(("g", 0))], &[3]);
}

#[test]
fn states_give_way_the_oldest_first_and_messages_never() {
    let check = |all: &[Pushed], left: &[u64]| assert_eq!(ids(&window_with(all)), left, "{all:?}");
    check(&[Some(("g", 1)), Some(("g", 2)), None, None, None], &[2, 3, 4, 5]);
    check(&[None, Some(("g", 1)), Some(("g", 2)), Some(("g", 3)), Some(("g", 4))], &[1, 3, 4, 5]);
    check(&[Some(("g", 0)), None, None, None, None], &[2, 3, 4, 5]);
    let mut full = window_with(&[None, None, None, None]);
    assert_eq!(push(&mut full, Some(("g", 1)), 1), Err(Overrun), "there is nothing to give way");

    let mut window = window_with(&[Some(("g", 1)), Some(("g", 2)), None]);
    assert_eq!(push(&mut window, None, 93), Ok(()), "bytes count as well");
    assert_eq!((ids(&window), window.bytes), (vec![3, 4], 98));
    assert_eq!(push(&mut window, None, 1), Err(Overrun));
}

#[test]
fn what_is_acknowledged_is_not_looked_for() {
    let mut window = window_with(&[Some(("g", 1)), Some(("g", 2)), None]);
    window.acknowledge(SequenceId(1));
    assert_eq!(push(&mut window, Some(("g", 1)), 1), Ok(()));
    assert_eq!(ids(&window), [2, 3, 4]);
    window.acknowledge(SequenceId(u64::MAX));
    assert!(window.exceptions.is_none(), "an empty window owns no memory");
    assert_eq!(push(&mut window, Some(("g", 2)), 1), Ok(()));
    assert_eq!(ids(&window), [5]);
}

proptest! {
    /// Messages stay until they are acknowledged; of a state the last stays, unless it gave way.
    #[test]
    fn only_what_is_replaceable_is_ever_missing(
        steps in prop::collection::vec((0_u8..4, 0_usize..2, 0_u128..4, 0_u64..30), 0..200),
    ) {
        let limits = WindowLimits { messages: 12, bytes: usize::MAX };
        let mut window = Window::default();
        let mut sent: Vec<(u64, Option<StateSlot>)> = Vec::new();
        let mut acknowledged = 0;
        for (kind, group, owner, back) in steps {
            let id = window.last + 1;
            let slot = slot(["g", "h"][group], owner);
            match kind {
                0 => {
                    acknowledged = acknowledged.max(window.last.saturating_sub(back));
                    window.acknowledge(SequenceId(acknowledged));
                    continue;
                }
                // Never so many messages that they would not fit.
                1 if sent.iter().filter(|(id, slot)| *id > acknowledged && slot.is_none()).count() < 11 => {
                    prop_assert_eq!(window.push(&parcel(1), limits), Ok(()));
                    sent.push((id, None));
                }
                _ => {
                    prop_assert_eq!(window.push_state(&parcel(1), &slot, limits), Ok(()));
                    sent.push((id, Some(slot)));
                }
            }
            let kept = ids(&window);
            prop_assert!(kept.len() <= limits.messages && kept.is_sorted());
            prop_assert_eq!(window.bytes as usize, 3 * kept.len());
            prop_assert_eq!(kept.last(), Some(&id), "the newest is there");
            let states = window.states().map_or(0, |states| states.slots.len());
            prop_assert_eq!(states, window.states().map_or(0, |states| states.numbers.len()));
            let open = sent.iter().filter(|(id, _)| *id > acknowledged);
            let messages: Vec<u64> = open.filter(|(_, slot)| slot.is_none()).map(|(id, _)| *id).collect();
            prop_assert!(messages.iter().all(|id| kept.contains(id)), "no message is missing");
            prop_assert_eq!(kept.len(), messages.len() + states);
        }
    }
}
