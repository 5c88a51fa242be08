//! Any body of an envelope. All strategies are boxed: together they are too large for the stack of a test.

use std::time::Duration;

use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, HubName, NodeId, StreamId, UserId};
use codec::message::{
    Content as MessageContent, GroupState, GroupStateItem, Payload, StreamFailure, StreamPart,
    StreamProgress, StreamSequenceId, UserError,
};
use codec::metadata::Metadata;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::super::{Body, LinkMessage};
use crate::backplane::{Applied, Content, Partition, QuestionId, Reply};
use crate::model::command::{self, Command, Target};
use crate::model::survey::{
    Action, Answer, Given, Leaving, Member, Move, PermissionAnswer, Prepared, Question, Selection, Survey,
    Wish,
};

pub(super) fn node() -> BoxedStrategy<NodeId> {
    "[A-Za-z0-9_-]{1,32}".prop_map(|id| NodeId::new(&id).unwrap()).boxed()
}

pub(super) fn body() -> BoxedStrategy<Body> {
    let command = (applied(), command())
        .prop_map(|(applied, command)| Content::Command { applied, command: command.into() });
    let question = (any::<u64>(), hub(), question()).prop_map(|(id, hub, question)| Content::Question {
        id: QuestionId(id),
        survey: Survey { hub, question }.into(),
    });
    let reply = (any::<u64>(), reply()).prop_map(|(to, reply)| Content::Reply { to: QuestionId(to), reply });
    prop_oneof![
        4 => command.prop_map(Body::Content),
        2 => question.prop_map(Body::Content),
        2 => reply.prop_map(Body::Content),
        1 => link().prop_map(Body::Link),
    ]
    .boxed()
}

pub(super) fn hub() -> BoxedStrategy<HubName> {
    "[a-z][a-z0-9_`,.\\[\\]]{0,30}".prop_map(|name| HubName::new(&name).unwrap()).boxed()
}

pub(super) fn group() -> BoxedStrategy<GroupName> {
    any::<String>().prop_filter_map("a group's name", |name| GroupName::new(&name).ok()).boxed()
}

pub(super) fn user() -> BoxedStrategy<UserId> {
    any::<String>().prop_filter_map("a user's id", |id| UserId::new(&id).ok()).boxed()
}

pub(super) fn connection() -> BoxedStrategy<ConnectionId> {
    any::<String>().prop_filter_map("a connection's id", |id| ConnectionId::parse(&id).ok()).boxed()
}

fn filter() -> BoxedStrategy<Filter> {
    prop_oneof![Just("true".to_owned()), "userId ne '[a-zäß€ ]{0,200}'", " 'g[0-9]' in groups "]
        .prop_map(|text| Filter::parse(&text).unwrap())
        .boxed()
}

fn target() -> BoxedStrategy<Target> {
    prop_oneof![
        Just(Target::Hub),
        group().prop_map(Target::Group),
        user().prop_map(Target::User),
        connection().prop_map(Target::Connection),
    ]
    .boxed()
}

fn applied() -> BoxedStrategy<Applied> {
    prop_oneof![
        Just(Applied::AtOrigin),
        Just(Applied::OnReceipt),
        Just(Applied::Noted),
        Just(Applied::Forwarded)
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let message = (option::of(user()), payload(), option::of(metadata()), option::of(stream_part()))
        .prop_map(|(from_user_id, payload, metadata, stream)| command::Body::Message {
            from_user_id,
            content: MessageContent { payload, metadata },
            stream,
        });
    let body = prop_oneof![3 => message, 1 => group_state_item().prop_map(command::Body::GroupState)];
    let time_to_live = option::of((0..=300_000_u64).prop_map(Duration::from_millis));
    (hub(), target(), body, vec(connection(), 0..4), option::of(filter()), time_to_live)
        .prop_map(|(hub, target, body, excluded, filter, time_to_live)| Command {
            hub,
            target,
            body,
            excluded,
            filter,
            time_to_live,
        })
        .boxed()
}

fn payload() -> BoxedStrategy<Payload> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 100..300)];
    let json =
        prop_oneof![Just("null".to_owned()), "[ \t]{0,2}-?[1-9][0-9]{0,200}", "\\[\"[a-zé]{0,200}\"\\]"];
    prop_oneof![
        any::<String>().prop_map(Payload::text),
        json.prop_map(|json| Payload::json(json.into()).unwrap()),
        bytes().prop_map(|bytes| Payload::binary(bytes.into())),
        (any::<String>(), bytes()).prop_map(|(type_url, value)| {
            let any = prost_types::Any { type_url, value };
            Payload::protobuf(prost::Message::encode_to_vec(&any).into()).unwrap()
        }),
    ]
    .boxed()
}

/// Keys in no order.
fn metadata() -> BoxedStrategy<Metadata> {
    btree_map("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,20}", "[\u{0}-\u{7f}]{0,30}", 0..6)
        .prop_map(|entries| Metadata::new(entries.into_iter().rev()).unwrap())
        .boxed()
}

fn stream_part() -> BoxedStrategy<StreamPart> {
    let user_error = (option::of(any::<String>()), option::of(any::<String>()))
        .prop_map(|(message, code)| StreamFailure::UserError(UserError { message, code }));
    let failure = prop_oneof![
        Just(StreamFailure::IdleTimeout),
        Just(StreamFailure::InternalServerError),
        Just(StreamFailure::Forbidden),
        Just(StreamFailure::Cancelled),
        user_error,
    ];
    let progress = prop_oneof![
        Just(StreamProgress::Open),
        Just(StreamProgress::Complete),
        failure.prop_map(StreamProgress::Broken),
    ];
    (any::<String>(), any::<u64>(), progress)
        .prop_map(|(id, number, progress)| StreamPart {
            stream_id: StreamId::new(&id),
            sequence_id: StreamSequenceId(number),
            progress,
        })
        .boxed()
}

fn group_state_item() -> BoxedStrategy<GroupStateItem> {
    let state = vec(any::<(String, String)>(), 0..4).prop_map(GroupState::new);
    (connection(), option::of(user()), option::of(state), any::<i64>())
        .prop_map(|(connection_id, user_id, state, updated_at)| GroupStateItem {
            connection_id,
            user_id,
            state,
            updated_at,
        })
        .boxed()
}

fn selection() -> BoxedStrategy<Selection> {
    (target(), option::of(filter())).prop_map(|(target, filter)| Selection { target, filter }).boxed()
}

fn question() -> BoxedStrategy<Question> {
    let groups = || vec(group(), 0..4);
    let leaving = prop_oneof![Just(Leaving::Every), groups().prop_map(Leaving::Groups)];
    let action = prop_oneof![
        Just(Action::SendToGroup),
        Just(Action::JoinLeaveGroup),
        Just(Action::SetGroupState),
        Just(Action::GetGroupState),
    ];
    let wish = prop_oneof![Just(Wish::Check), Just(Wish::Grant), Just(Wish::Revoke)];
    prop_oneof![
        target().prop_map(Question::Count),
        (group(), option::of(connection()), any::<usize>())
            .prop_map(|(group, after, limit)| Question::Members { group, after, limit }),
        (group(), any::<usize>()).prop_map(|(group, limit)| Question::GroupStates { group, limit }),
        (selection(), groups()).prop_map(|(who, groups)| Question::Join { who, groups }),
        (selection(), leaving).prop_map(|(who, groups)| Question::Leave { who, groups }),
        (target(), vec(connection(), 0..4), option::of(any::<String>()))
            .prop_map(|(target, excluded, reason)| Question::Close { target, excluded, reason }),
        (connection(), action, group(), wish).prop_map(|(connection, action, group, wish)| {
            Question::Permission { connection, action, group, wish }
        }),
        connection().prop_map(|connection| Question::Prepare { connection }),
        (connection(), any::<u64>(), groups()).prop_map(|(connection, ticket, groups)| Question::HandOver {
            connection,
            ticket,
            groups
        }),
        connection().prop_map(|connection| Question::Adopt { connection }),
    ]
    .boxed()
}

fn reply() -> BoxedStrategy<Reply> {
    let member = (connection(), option::of(user()))
        .prop_map(|(connection_id, user_id)| Member { connection_id, user_id });
    let permission = prop_oneof![
        Just(PermissionAnswer::NoConnection),
        Just(PermissionAnswer::Granted),
        Just(PermissionAnswer::Denied),
        Just(PermissionAnswer::Full),
    ];
    let prepared = (node(), any::<u64>(), option::of(user()), vec(group(), 0..4))
        .prop_map(|(node, ticket, user_id, groups)| Prepared { node, ticket, user_id, groups });
    let given = (any::<u64>(), any::<bool>(), vec(any::<u8>(), 0..40))
        .prop_map(|(part, is_last, bytes)| Given { part, is_last, bytes: bytes.into() });
    let moved = prop_oneof![
        Just(Move::Nothing),
        Just(Move::Later),
        prepared.prop_map(Move::Prepared),
        given.prop_map(Move::Given),
    ];
    let answer = prop_oneof![
        moved.prop_map(Answer::Move),
        any::<u64>().prop_map(Answer::Count),
        vec(member, 0..4).prop_map(Answer::Members),
        vec(group_state_item(), 0..4).prop_map(Answer::GroupStates),
        permission.prop_map(Answer::Permission),
    ];
    prop_oneof![1 => Just(Reply::Unknown), 4 => answer.prop_map(Reply::Known)].boxed()
}

fn link() -> BoxedStrategy<LinkMessage> {
    let partition = || any::<u8>().prop_map(Partition);
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Into::into);
    prop_oneof![
        any::<[u64; 2]>().prop_map(|[sequence, age_ms]| LinkMessage::Beat { sequence, age_ms }),
        any::<bool>().prop_map(|is_complete| LinkMessage::Farewell { is_complete }),
        any::<[u64; 2]>().prop_map(|[epoch, checkpoint]| LinkMessage::Complete { epoch, checkpoint }),
        any::<u64>().prop_map(|number| LinkMessage::Checkpoint { number }),
        (any::<[u64; 2]>(), vec((partition(), any::<u64>()), 0..6), 1..1_000_000_u64).prop_map(
            |([question, part_bytes], floors, millis)| {
                LinkMessage::Repair { question, floors, within: Duration::from_millis(millis), part_bytes }
            }
        ),
        (
            any::<[u64; 2]>(),
            vec((partition(), any::<String>(), bytes()), 0..4),
            any::<bool>(),
            vec(partition(), 0..4)
        )
            .prop_map(|([question, part], envelopes, is_last, lacking)| LinkMessage::Repaired {
                question,
                part,
                envelopes,
                is_last,
                lacking: lacking.into_iter().collect(),
            }),
        any::<u64>().prop_map(|number| LinkMessage::Probe { number }),
    ]
    .boxed()
}
