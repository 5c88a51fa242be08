//! Reliable connections to bytes and back: the messages of `proto/cluster/session.proto`.
//!
//! Unlike an envelope, a session is refused as a whole when any part of it is not understood: whoever has it keeps it
//! then. Names are checked by their constructors, numbers here.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use codec::ids::{ConnectionId, GroupName, HubName, InvocationId, NodeId, StreamId};
use codec::message::{GroupState, MAX_TIME_TO_LIVE, StreamClosedError};
use codec::subprotocol::Subprotocol;
use prost::Message as _;
use proto::session as wire;

use super::fault::Malformed;
use super::names;
use crate::backplane::Partition;
use crate::backplane::store::{LogId, Place};
use crate::model::command::Identity;
use crate::model::portable::{
    Conduct, Grants, GroupMembership, HandedOver, KeptMessage, Letters, Membership, Portable, PortableCookie,
    RecordState, RunningStream, Sight, StreamTable,
};
use crate::model::survey::Action;

/// What a publisher is told of a stream that ended because it broke a rule; which one does not travel.
const BROKEN_RULE: StreamClosedError = StreamClosedError::BadRequest("A rule of streams was broken.");

/// Writes a connection that is handed over.
pub fn encode_handover(handed_over: &HandedOver) -> Vec<u8> {
    let HandedOver { portable, delivered, floors, record } = handed_over;
    let handover = wire::Handover {
        session: Some(message(portable)),
        delivered: delivered.iter().map(encode_identity).collect(),
        floors: floors.iter().map(encode_floor).collect(),
        record: record.as_ref().map(|RecordState { owner: (node, epoch, term), served }| wire::RecordState {
            node: node.as_str().to_owned(),
            epoch: *epoch,
            term: *term,
            served: served.iter().map(encode_floor).collect(),
        }),
    };
    handover.encode_to_vec()
}

fn encode_floor((partition, up_to): &(u8, Identity)) -> wire::Floor {
    wire::Floor { partition: (*partition).into(), up_to: Some(encode_identity(up_to)) }
}

fn decode_floor(wire::Floor { partition, up_to }: wire::Floor) -> Result<(u8, Identity), Malformed> {
    let partition = u8::try_from(partition).map_err(|_| Malformed::Range("partition"))?;
    Ok((partition, decode_identity(names::required(up_to, "up_to")?)?))
}

/// Reads a connection that is handed over.
///
/// # Errors
/// As [`decode`].
pub fn decode_handover(bytes: Bytes) -> Result<HandedOver, Malformed> {
    let wire::Handover { session, delivered, floors, record } = wire::Handover::decode(bytes)?;
    let read_record = |wire::RecordState { node, epoch, term, served }| {
        Ok::<_, Malformed>(RecordState {
            owner: (NodeId::new(&node)?, epoch, term),
            served: collect(served, decode_floor)?,
        })
    };
    Ok(HandedOver {
        portable: read(names::required(session, "session")?)?,
        delivered: collect(delivered, decode_identity)?,
        floors: collect(floors, decode_floor)?,
        record: record.map(read_record).transpose()?,
    })
}

/// Writes a connection, whose messages are written apart, with places in the logs of partitions.
pub fn encode_record(portable: &Portable, places: &BTreeMap<Partition, Place>) -> Vec<u8> {
    let place = |(partition, place): (&Partition, &Place)| wire::Place {
        partition: partition.0.into(),
        milliseconds: place.id.milliseconds,
        number: place.id.number,
        added: place.added,
    };
    let session = wire::Session { messages: Vec::new(), ..message(portable) };
    wire::Record { session: Some(session), places: places.iter().map(place).collect() }.encode_to_vec()
}

/// Reads a connection without its messages, and the places.
///
/// # Errors
/// As [`decode`].
pub fn decode_record(bytes: Bytes) -> Result<(Portable, BTreeMap<Partition, Place>), Malformed> {
    let wire::Record { session, places } = wire::Record::decode(bytes)?;
    let place = |wire::Place { partition, milliseconds, number, added }| {
        let partition = u8::try_from(partition).map_err(|_| Malformed::Range("partition"))?;
        Ok((Partition(partition), Place { id: LogId { milliseconds, number }, added }))
    };
    let places: Vec<_> = collect(places, place)?;
    Ok((read(names::required(session, "session")?)?, places.into_iter().collect()))
}

/// Writes a message that a client has not acknowledged.
pub fn encode_kept(message: &KeptMessage) -> Vec<u8> {
    encode_message(message).encode_to_vec()
}

/// Reads a message that a client has not acknowledged.
///
/// # Errors
/// As [`decode`].
pub fn decode_kept(bytes: Bytes) -> Result<KeptMessage, Malformed> {
    decode_message(wire::KeptMessage::decode(bytes)?)
}

fn encode_identity(identity: &Identity) -> wire::Identity {
    let Identity { origin, epoch, sequence } = identity;
    wire::Identity { origin: origin.as_str().to_owned(), epoch: *epoch, sequence: *sequence }
}

fn decode_identity(identity: wire::Identity) -> Result<Identity, Malformed> {
    let wire::Identity { origin, epoch, sequence } = identity;
    Ok(Identity { origin: NodeId::new(&origin)?, epoch, sequence })
}

/// Writes a connection.
pub fn encode(portable: &Portable) -> Vec<u8> {
    message(portable).encode_to_vec()
}

fn message(portable: &Portable) -> wire::Session {
    let Portable { membership, conduct, letters, .. } = portable;
    let Membership { last, messages, groups, state_clock } = membership;
    let Conduct { permissions, acks, invocations, streams } = conduct;
    wire::Session {
        hub: portable.hub.as_str().to_owned(),
        connection_id: portable.connection_id.as_str().to_owned(),
        user_id: names::encode_user(portable.user_id.as_ref()),
        subprotocol: portable.subprotocol.name().to_owned(),
        last_sequence_id: *last,
        messages: messages.iter().map(encode_message).collect(),
        groups: groups.iter().map(encode_group).collect(),
        state_clock_ms: *state_clock,
        permissions: permissions.iter().map(encode_permission).collect(),
        acks: acks.iter().map(|&(first, last)| wire::Run { first, last }).collect(),
        invocations: invocations.iter().map(|id| id.as_str().to_owned()).collect(),
        streams: streams.as_ref().map(encode_streams),
        correspondence: Some(encode_letters(letters)),
        keep_alive_s: portable.keep_alive.into(),
        is_active: portable.is_active,
        seconds_left: portable.seconds_left,
    }
}

/// Reads a connection. The messages share its bytes.
///
/// # Errors
/// When it is not what [`encode`] writes, or names what this version does not know.
pub fn decode(bytes: Bytes) -> Result<Portable, Malformed> {
    read(wire::Session::decode(bytes)?)
}

fn read(session: wire::Session) -> Result<Portable, Malformed> {
    let subprotocol = Subprotocol::ALL.into_iter().find(|known| known.name() == session.subprotocol);
    let subprotocol = subprotocol.filter(|known| known.is_reliable());
    let messages: Vec<_> = collect(session.messages, decode_message)?;
    let numbers = || messages.iter().map(|message| message.number);
    let is_rising = numbers().is_sorted_by(|one, other| one < other);
    if !is_rising || numbers().any(|number| number == 0 || number > session.last_sequence_id) {
        return Err(Malformed::Range("sequence_id"));
    }
    Ok(Portable {
        hub: HubName::new(&session.hub)?,
        connection_id: ConnectionId::parse(&session.connection_id)?,
        user_id: names::decode_user(session.user_id)?,
        subprotocol: subprotocol.ok_or(Malformed::Range("subprotocol"))?,
        membership: Membership {
            last: session.last_sequence_id,
            messages,
            groups: collect(session.groups, decode_group)?,
            state_clock: session.state_clock_ms,
        },
        conduct: Conduct {
            permissions: collect(session.permissions, decode_permission)?,
            acks: session.acks.iter().map(|run| (run.first, run.last)).collect(),
            invocations: collect(session.invocations, |id| Ok(InvocationId::new(&id)?))?,
            streams: session.streams.map(decode_streams).transpose()?,
        },
        letters: decode_letters(names::required(session.correspondence, "correspondence")?),
        keep_alive: u8::try_from(session.keep_alive_s).map_err(|_| Malformed::Range("keep_alive_s"))?,
        is_active: session.is_active,
        seconds_left: session.seconds_left,
    })
}

fn collect<M, T>(messages: Vec<M>, decode: impl Fn(M) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
    messages.into_iter().map(decode).collect()
}

/// A part of a millisecond counts as a whole one.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn encode_message(message: &KeptMessage) -> wire::KeptMessage {
    let KeptMessage { number, content, time_left, state_of } = message;
    wire::KeptMessage {
        sequence_id: *number,
        content: content.clone(),
        time_left_ms: time_left.map(milliseconds),
        state_of: state_of.as_ref().map(|(group, owner)| wire::StateSlot {
            group: group.as_str().to_owned(),
            owner: owner.as_ref().map(|owner| owner.as_str().to_owned()),
        }),
    }
}

fn decode_message(message: wire::KeptMessage) -> Result<KeptMessage, Malformed> {
    let wire::KeptMessage { sequence_id, content, time_left_ms, state_of } = message;
    let time_left = time_left_ms.map(Duration::from_millis);
    if time_left.is_some_and(|time| time > MAX_TIME_TO_LIVE) {
        return Err(Malformed::Range("time_left_ms"));
    }
    let state_of = match state_of {
        None => None,
        Some(wire::StateSlot { group, owner }) => {
            let owner = owner.map(|owner| ConnectionId::parse(&owner)).transpose()?;
            Some((GroupName::new(&group)?, owner))
        }
    };
    Ok(KeptMessage { number: sequence_id, content, time_left, state_of })
}

fn encode_group(membership: &GroupMembership) -> wire::Membership {
    let GroupMembership { group, shown, sight } = membership;
    let sight = match sight {
        Sight::None => wire::Sight::None,
        Sight::Current => wire::Sight::Current,
        Sight::AwaitsSnapshot => wire::Sight::AwaitsSnapshot,
    };
    wire::Membership {
        group: group.as_str().to_owned(),
        shown: shown.as_ref().map(|(state, updated_at)| wire::Shown {
            entries: state.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            updated_at_ms: *updated_at,
        }),
        sight: sight.into(),
    }
}

fn decode_group(membership: wire::Membership) -> Result<GroupMembership, Malformed> {
    let wire::Membership { group, shown, sight } = membership;
    let sight = match wire::Sight::try_from(sight) {
        Ok(wire::Sight::None) => Sight::None,
        Ok(wire::Sight::Current) => Sight::Current,
        Ok(wire::Sight::AwaitsSnapshot) => Sight::AwaitsSnapshot,
        Ok(wire::Sight::Unspecified) | Err(_) => return Err(Malformed::Range("sight")),
    };
    let shown = shown.map(|shown| (GroupState::new(shown.entries), shown.updated_at_ms));
    Ok(GroupMembership { group: GroupName::new(&group)?, shown, sight })
}

fn encode_permission((action, grants): &(Action, Grants)) -> wire::Permission {
    let action = match action {
        Action::SendToGroup => wire::Action::SendToGroup,
        Action::JoinLeaveGroup => wire::Action::JoinLeaveGroup,
        Action::SetGroupState => wire::Action::SetGroupState,
        Action::GetGroupState => wire::Action::GetGroupState,
    };
    let exception = |(group, is_allowed): &(GroupName, bool)| wire::permission::Exception {
        group: group.as_str().to_owned(),
        is_allowed: *is_allowed,
    };
    wire::Permission {
        action: action.into(),
        by_default: grants.by_default,
        patterns: grants.patterns.clone(),
        exceptions: grants.exceptions.iter().map(exception).collect(),
    }
}

fn decode_permission(permission: wire::Permission) -> Result<(Action, Grants), Malformed> {
    let wire::Permission { action, by_default, patterns, exceptions } = permission;
    let action = match wire::Action::try_from(action) {
        Ok(wire::Action::SendToGroup) => Action::SendToGroup,
        Ok(wire::Action::JoinLeaveGroup) => Action::JoinLeaveGroup,
        Ok(wire::Action::SetGroupState) => Action::SetGroupState,
        Ok(wire::Action::GetGroupState) => Action::GetGroupState,
        Ok(wire::Action::Unspecified) | Err(_) => return Err(Malformed::Range("action")),
    };
    let exceptions =
        collect(exceptions, |exception| Ok((GroupName::new(&exception.group)?, exception.is_allowed)))?;
    Ok((action, Grants { by_default, patterns, exceptions }))
}

fn encode_streams(table: &StreamTable) -> wire::Streams {
    let running = |stream: &RunningStream| wire::streams::Running {
        stream_id: stream.stream_id.as_str().to_owned(),
        group: stream.group.as_str().to_owned(),
        has_echo: stream.has_echo,
        next: stream.next,
        idle_timeout_ms: milliseconds(stream.idle_timeout),
        time_left_ms: milliseconds(stream.time_left),
    };
    let ended = |(id, error): &(StreamId, Option<StreamClosedError>)| {
        let end = match error {
            None => wire::StreamEnd::Complete,
            Some(StreamClosedError::StreamNotFound) => wire::StreamEnd::StreamNotFound,
            Some(StreamClosedError::Forbidden) => wire::StreamEnd::Forbidden,
            Some(StreamClosedError::BadRequest(_)) => wire::StreamEnd::BadRequest,
            Some(StreamClosedError::InternalServerError) => wire::StreamEnd::InternalServerError,
            Some(StreamClosedError::IdleTimeout) => wire::StreamEnd::IdleTimeout,
        };
        wire::streams::Ended { stream_id: id.as_str().to_owned(), end: end.into() }
    };
    wire::Streams {
        active: table.active.iter().map(running).collect(),
        ended: table.ended.iter().map(ended).collect(),
    }
}

fn decode_streams(streams: wire::Streams) -> Result<StreamTable, Malformed> {
    let running = |stream: wire::streams::Running| {
        // As much as a client may ask for; what is left is never more.
        let [idle_timeout, time_left] = [stream.idle_timeout_ms, stream.time_left_ms]
            .map(|milliseconds| u32::try_from(milliseconds).map(|time| Duration::from_millis(time.into())));
        Ok(RunningStream {
            stream_id: StreamId::new(&stream.stream_id),
            group: GroupName::new(&stream.group)?,
            has_echo: stream.has_echo,
            next: stream.next,
            idle_timeout: idle_timeout.map_err(|_| Malformed::Range("idle_timeout_ms"))?,
            time_left: time_left.map_err(|_| Malformed::Range("time_left_ms"))?,
        })
    };
    let ended = |ended: wire::streams::Ended| {
        let error = match wire::StreamEnd::try_from(ended.end) {
            Ok(wire::StreamEnd::Complete) => None,
            Ok(wire::StreamEnd::StreamNotFound) => Some(StreamClosedError::StreamNotFound),
            Ok(wire::StreamEnd::Forbidden) => Some(StreamClosedError::Forbidden),
            Ok(wire::StreamEnd::BadRequest) => Some(BROKEN_RULE),
            Ok(wire::StreamEnd::InternalServerError) => Some(StreamClosedError::InternalServerError),
            Ok(wire::StreamEnd::IdleTimeout) => Some(StreamClosedError::IdleTimeout),
            Ok(wire::StreamEnd::Unspecified) | Err(_) => return Err(Malformed::Range("end")),
        };
        Ok((StreamId::new(&ended.stream_id), error))
    };
    Ok(StreamTable { active: collect(streams.active, running)?, ended: collect(streams.ended, ended)? })
}

fn encode_letters(letters: &Letters) -> wire::Correspondence {
    let cookie = |cookie: &PortableCookie| wire::correspondence::Cookie {
        url: cookie.url.clone(),
        line: cookie.line.clone(),
    };
    wire::Correspondence {
        origin: letters.origin.clone(),
        subprotocol: letters.subprotocol.clone(),
        last_id: letters.last_id,
        state: letters.state.clone(),
        cookies: letters.cookies.iter().map(cookie).collect(),
    }
}

fn decode_letters(correspondence: wire::Correspondence) -> Letters {
    let wire::Correspondence { origin, subprotocol, last_id, state, cookies } = correspondence;
    let cookies =
        cookies.into_iter().map(|cookie| PortableCookie { url: cookie.url, line: cookie.line }).collect();
    Letters { origin, subprotocol, last_id, state, cookies }
}
