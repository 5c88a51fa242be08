//! What a node answers to a question.

use codec::ids::{ConnectionId, InvalidName, NodeId};
use proto::cluster::{self, Empty, reply};

use super::fault::Fault;
use super::{group_state, names};
use crate::backplane::{Content, QuestionId, Reply};
use crate::model::survey::{Answer, Given, Member, Move, PermissionAnswer, Prepared};

pub(super) fn encode(to: QuestionId, reply: &Reply) -> cluster::Reply {
    let reply = match reply {
        Reply::Unknown => reply::Reply::Unknown(Empty {}),
        Reply::Known(Answer::Count(count)) => reply::Reply::Count(*count),
        Reply::Known(Answer::Members(members)) => {
            reply::Reply::Members(reply::Members { members: members.iter().map(encode_member).collect() })
        }
        Reply::Known(Answer::GroupStates(items)) => reply::Reply::GroupStates(reply::GroupStates {
            items: items.iter().map(group_state::encode).collect(),
        }),
        Reply::Known(Answer::Move(Move::Nothing)) => reply::Reply::NoSession(Empty {}),
        Reply::Known(Answer::Move(Move::Later)) => reply::Reply::Later(Empty {}),
        Reply::Known(Answer::Move(Move::Prepared(prepared))) => reply::Reply::Prepared(reply::Prepared {
            node: prepared.node.as_str().to_owned(),
            ticket: prepared.ticket,
            user_id: names::encode_user(prepared.user_id.as_ref()),
            groups: names::encode_groups(&prepared.groups),
        }),
        Reply::Known(Answer::Move(Move::Given(Given { part, is_last, bytes }))) => {
            reply::Reply::Given(reply::Given { part: *part, is_last: *is_last, bytes: bytes.clone() })
        }
        Reply::Known(Answer::Permission(answer)) => {
            reply::Reply::Permission(encode_permission(*answer).into())
        }
    };
    cluster::Reply { to: to.0, reply: Some(reply) }
}

pub(super) fn decode(message: cluster::Reply) -> Result<Content, Fault> {
    let reply = match message.reply.ok_or(Fault::Unknown)? {
        reply::Reply::Unknown(Empty {}) => Reply::Unknown,
        reply::Reply::Count(count) => Reply::Known(Answer::Count(count)),
        reply::Reply::Members(reply::Members { members }) => {
            let members: Result<_, InvalidName> = members.into_iter().map(decode_member).collect();
            Reply::Known(Answer::Members(members?))
        }
        reply::Reply::GroupStates(reply::GroupStates { items }) => {
            let items: Result<_, InvalidName> = items.into_iter().map(group_state::decode).collect();
            Reply::Known(Answer::GroupStates(items?))
        }
        reply::Reply::NoSession(Empty {}) => Reply::Known(Answer::Move(Move::Nothing)),
        reply::Reply::Later(Empty {}) => Reply::Known(Answer::Move(Move::Later)),
        reply::Reply::Prepared(prepared) => Reply::Known(Answer::Move(Move::Prepared(Prepared {
            node: NodeId::new(&prepared.node)?,
            ticket: prepared.ticket,
            user_id: names::decode_user(prepared.user_id)?,
            groups: names::decode_groups(prepared.groups)?,
        }))),
        reply::Reply::Given(reply::Given { part, is_last, bytes }) => {
            Reply::Known(Answer::Move(Move::Given(Given { part, is_last, bytes })))
        }
        reply::Reply::Permission(answer) => {
            Reply::Known(Answer::Permission(decode_permission(names::known(answer)?)?))
        }
    };
    Ok(Content::Reply { to: QuestionId(message.to), reply })
}

fn encode_member(member: &Member) -> cluster::Member {
    cluster::Member {
        connection_id: member.connection_id.as_str().to_owned(),
        user_id: names::encode_user(member.user_id.as_ref()),
    }
}

fn decode_member(member: cluster::Member) -> Result<Member, InvalidName> {
    let connection_id = ConnectionId::parse(&member.connection_id)?;
    Ok(Member { connection_id, user_id: names::decode_user(member.user_id)? })
}

fn encode_permission(answer: PermissionAnswer) -> cluster::Permission {
    match answer {
        PermissionAnswer::NoConnection => cluster::Permission::NoConnection,
        PermissionAnswer::Granted => cluster::Permission::Granted,
        PermissionAnswer::Denied => cluster::Permission::Denied,
        PermissionAnswer::Full => cluster::Permission::Full,
    }
}

fn decode_permission(answer: cluster::Permission) -> Result<PermissionAnswer, Fault> {
    match answer {
        cluster::Permission::NoConnection => Ok(PermissionAnswer::NoConnection),
        cluster::Permission::Granted => Ok(PermissionAnswer::Granted),
        cluster::Permission::Denied => Ok(PermissionAnswer::Denied),
        cluster::Permission::Full => Ok(PermissionAnswer::Full),
        cluster::Permission::Unspecified => Err(Fault::Unknown),
    }
}
