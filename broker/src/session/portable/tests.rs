use std::time::Duration;

use codec::ids::{ConnectionId, GroupName, HubName, NodeId, StreamId};
use codec::message::StreamClosedError;
use codec::subprotocol::Subprotocol;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::auth::permission::{Action, Grants};
use crate::model::portable::{RunningStream, StreamTable};
use crate::session::Speech;

fn opening() -> Opening {
    Opening {
        hub: HubName::new("chat").unwrap(),
        connection_id: ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
        user_id: None,
        permissions: Permissions::default(),
        speech: Speech::Messages(Subprotocol::JsonReliable),
    }
}

fn grants() -> impl Strategy<Value = Grants> {
    let patterns = vec("[a-z]{1,5}\\*", 1..3);
    let exceptions = btree_map("[A-Z]{1,6}", any::<bool>(), 0..5);
    (any::<bool>(), patterns, exceptions).prop_map(|(by_default, patterns, exceptions)| Grants {
        by_default,
        patterns,
        exceptions: exceptions.into_iter().map(|(name, may)| (GroupName::new(&name).unwrap(), may)).collect(),
    })
}

fn streams() -> impl Strategy<Value = StreamTable> {
    let stream = ("[A-Z]{1,8}", any::<bool>(), any::<u64>(), 1_u64..1 << 32, 0_u64..1 << 32);
    let active = btree_map("[a-z]{1,8}", stream, 0..20);
    let errors = [
        None,
        Some(StreamClosedError::StreamNotFound),
        Some(StreamClosedError::Forbidden),
        Some(StreamClosedError::InternalServerError),
        Some(StreamClosedError::IdleTimeout),
    ];
    let ended = btree_map("[0-9]{1,8}", proptest::sample::select(errors.to_vec()), 0..20);
    (active, ended).prop_map(|(active, ended)| {
        let running = |(id, (group, has_echo, next, idle, left)): (String, (String, bool, u64, u64, u64))| {
            RunningStream {
                stream_id: StreamId::new(&id),
                group: GroupName::new(&group).unwrap(),
                has_echo,
                next,
                idle_timeout: Duration::from_millis(idle),
                time_left: Duration::from_millis(left),
            }
        };
        StreamTable {
            active: active.into_iter().map(running).collect(),
            ended: ended.into_iter().map(|(id, error)| (StreamId::new(&id), error)).collect(),
        }
    })
}

proptest! {
    #[test]
    fn what_a_session_is_made_of_comes_out_of_it_again(
        grants in grants(),
        every: bool,
        acks in vec(1_u64..50, 0..20),
        invocations in btree_set("[a-z]{1,9}", 0..10),
        streams in proptest::option::of(streams()),
    ) {
        let everywhere = Grants { by_default: true, ..Grants::default() };
        let mut permissions = vec![(Action::SendToGroup, grants)];
        if every {
            permissions.push((Action::GetGroupState, everywhere));
        }
        // Runs with a gap between each two, so that there is one way to write them.
        let mut next = 0;
        let acks = acks.into_iter().map(|len| { let run = (next, next + len - 1); next += len + 1; run });
        let invocations = invocations.iter().map(|id| InvocationId::new(id).unwrap()).collect();
        let conduct = Conduct { permissions, acks: acks.collect(), invocations, streams };
        let now = Instant::now();
        let session = Session::import(opening(), conduct.clone(), now);
        prop_assert_eq!(session.export(now), conduct);
    }
}

#[test]
fn hostile_runs_of_ids_cost_nothing() {
    let conduct = Conduct { acks: vec![(0, u64::MAX), (5, 3), (0, u64::MAX)], ..Conduct::default() };
    let session = Session::import(opening(), conduct, Instant::now());
    assert_eq!(session.export(Instant::now()).acks.len(), 1);
}
