//! A reliable connection comes out of its bytes as it went in, and bytes that nobody writes cost an error.

use std::time::Duration;

use codec::ids::{InvocationId, StreamId};
use codec::message::{GroupState, StreamClosedError};
use codec::subprotocol::Subprotocol;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::session;
use super::*;
use crate::model::portable::*;
use crate::model::survey::Action;

/// Steps from each number to the next, and what the message is.
type Kept = (u64, Vec<u8>, Option<u64>, Option<(GroupName, Option<ConnectionId>)>);

fn membership() -> BoxedStrategy<Membership> {
    let slot = (arbitrary::group(), option::of(arbitrary::connection()));
    let message = (1_u64..1 << 50, vec(any::<u8>(), 0..100), option::of(0_u64..=300_000), option::of(slot));
    let state = option::of((vec(any::<(String, String)>(), 0..4).prop_map(GroupState::new), any::<i64>()));
    let sight = select(vec![Sight::None, Sight::Current, Sight::AwaitsSnapshot]);
    let group = (arbitrary::group(), state, sight).prop_map(|(group, shown, sight)| GroupMembership {
        group,
        shown,
        sight,
    });
    (vec(message, 0..10), 0_u64..1 << 50, vec(group, 0..5), any::<i64>())
        .prop_map(|(messages, beyond, groups, state_clock)| {
            let mut last = 0;
            let number = |(step, content, time_left, state_of): Kept| {
                last += step;
                let time_left = time_left.map(Duration::from_millis);
                KeptMessage { number: last, content: content.into(), time_left, state_of }
            };
            let messages = messages.into_iter().map(number).collect();
            Membership { last: last + beyond, messages, groups, state_clock }
        })
        .boxed()
}

fn streams() -> BoxedStrategy<StreamTable> {
    let time = || any::<u32>().prop_map(|time| Duration::from_millis(time.into()));
    let running = (any::<String>(), arbitrary::group(), any::<bool>(), any::<u64>(), time(), time())
        .prop_map(|(id, group, has_echo, next, idle_timeout, time_left)| RunningStream {
            stream_id: StreamId::new(&id),
            group,
            has_echo,
            next,
            idle_timeout,
            time_left,
        });
    let end = select(vec![
        None,
        Some(StreamClosedError::StreamNotFound),
        Some(StreamClosedError::Forbidden),
        Some(StreamClosedError::InternalServerError),
        Some(StreamClosedError::IdleTimeout),
    ]);
    let ended = (any::<String>().prop_map(|id| StreamId::new(&id)), end);
    (vec(running, 0..5), vec(ended, 0..5)).prop_map(|(active, ended)| StreamTable { active, ended }).boxed()
}

fn conduct() -> BoxedStrategy<Conduct> {
    let action = select(vec![
        Action::SendToGroup,
        Action::JoinLeaveGroup,
        Action::SetGroupState,
        Action::GetGroupState,
    ]);
    let exceptions = vec((arbitrary::group(), any::<bool>()), 0..4);
    let grants = (any::<bool>(), vec(any::<String>(), 0..3), exceptions)
        .prop_map(|(by_default, patterns, exceptions)| Grants { by_default, patterns, exceptions });
    let invocation = "[a-z]{1,9}".prop_map(|id| InvocationId::new(&id).unwrap());
    let acks = vec(any::<(u64, u64)>(), 0..5);
    (vec((action, grants), 0..4), acks, vec(invocation, 0..4), option::of(streams()))
        .prop_map(|(permissions, acks, invocations, streams)| Conduct {
            permissions,
            acks,
            invocations,
            streams,
        })
        .boxed()
}

fn letters() -> BoxedStrategy<Letters> {
    let cookie = any::<(String, String)>().prop_map(|(url, line)| PortableCookie { url, line });
    let text = || option::of(any::<String>());
    (any::<String>(), text(), any::<u64>(), text(), vec(cookie, 0..4))
        .prop_map(|(origin, subprotocol, last_id, state, cookies)| Letters {
            origin,
            subprotocol,
            last_id,
            state,
            cookies,
        })
        .boxed()
}

fn portable() -> BoxedStrategy<Portable> {
    let names = (arbitrary::hub(), arbitrary::connection(), option::of(arbitrary::user()));
    let subprotocol = select(vec![Subprotocol::JsonReliable, Subprotocol::ProtobufReliable]);
    let numbers = any::<(u8, bool, u32)>();
    (names, subprotocol, membership(), conduct(), letters(), numbers)
        .prop_map(|(names, subprotocol, membership, conduct, letters, numbers)| {
            let ((hub, connection_id, user_id), (keep_alive, is_active, seconds_left)) = (names, numbers);
            Portable {
                hub,
                connection_id,
                user_id,
                subprotocol,
                membership,
                conduct,
                letters,
                keep_alive,
                is_active,
                seconds_left,
            }
        })
        .boxed()
}

proptest! {
    #[test]
    fn a_connection_comes_back_as_it_was(portable in portable()) {
        let bytes = session::encode(&portable);
        prop_assert_eq!(session::decode(bytes.into()).unwrap(), portable);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let _ = session::decode(bytes.into());
    }

    #[test]
    fn what_is_cut_off_or_changed_is_survived(portable in portable(), place: Index, byte: u8) {
        let bytes = session::encode(&portable);
        let place = place.index(bytes.len());
        let _ = session::decode(bytes[..place].to_vec().into());
        let mut changed = bytes;
        changed[place] = byte;
        let _ = session::decode(changed.into());
    }
}

/// Numbers that do not rise would be replayed in a wrong order, and one beyond the last would be given twice.
#[test]
fn numbers_that_no_window_can_have_are_refused() {
    let check = |last: u64, numbers: &[u64], is_accepted: bool| {
        let message =
            |&number: &u64| KeptMessage { number, content: Bytes::new(), time_left: None, state_of: None };
        let portable = Portable {
            hub: hub(),
            connection_id: connection("c"),
            user_id: None,
            subprotocol: Subprotocol::JsonReliable,
            membership: Membership {
                last,
                messages: numbers.iter().map(message).collect(),
                ..Membership::default()
            },
            conduct: Conduct::default(),
            letters: Letters::default(),
            keep_alive: 20,
            is_active: true,
            seconds_left: 30,
        };
        let decoded = session::decode(session::encode(&portable).into());
        assert_eq!(decoded.is_ok(), is_accepted, "{numbers:?} of {last}");
    };
    check(0, &[], true);
    check(3, &[1, 3], true);
    check(4, &[1, 3], true);
    check(2, &[1, 3], false);
    check(3, &[3, 1], false);
    check(3, &[2, 2], false);
    check(3, &[0], false);
}
