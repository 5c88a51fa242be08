//! The bytes that every version writes and reads: `testdata/envelopes.golden` of the crate.
//!
//! A case has two lines and ends with an empty one. `#` is its name, by which [`body`] knows what it means; `=` has the
//! bytes in hexadecimal, with spaces between parts. Lines before the first case say what all have in common.

use std::time::Duration;

use codec::ids::{NodeId, StreamId};
use codec::message::{
    GroupState, GroupStateItem, StreamFailure, StreamPart, StreamProgress, StreamSequenceId, UserError,
};
use codec::metadata::Metadata;

use super::*;
use crate::backplane::{Partition, PartitionSet, QuestionId, Reply};
use crate::model::survey::{
    Action, Answer, Given, Leaving, Member, Move, PermissionAnswer, Prepared, Question, Selection, Survey,
    Wish,
};

const CASES: &str = include_str!("../../../../testdata/envelopes.golden");

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A command with everything that there is.
fn full_command() -> Body {
    let stream = StreamPart {
        stream_id: StreamId::new("s"),
        sequence_id: StreamSequenceId(9),
        progress: StreamProgress::Broken(StreamFailure::UserError(UserError {
            message: Some("m".to_owned()),
            code: Some("c".to_owned()),
        })),
    };
    let metadata = Metadata::new([("b", "1"), ("a", "2")]).unwrap();
    let payload = Payload::json(Bytes::from_static(b"{}")).unwrap();
    let command = Command {
        hub: hub(),
        target: Target::Group(group("g")),
        body: command::Body::Message {
            from_user_id: Some(user("ann")),
            content: MessageContent { payload, metadata: Some(metadata) },
            stream: Some(stream),
        },
        excluded: vec![connection("c1"), connection("c2")],
        filter: Some(filter("userId ne 'x'")),
        time_to_live: Some(Duration::from_secs(5)),
    };
    Body::Content(Content::Command { applied: Applied::AtOrigin, command: command.into() })
}

fn message(target: Target, payload: Payload, progress: StreamProgress) -> Body {
    let (stream_id, sequence_id) = (StreamId::new("s"), StreamSequenceId(1));
    let content = MessageContent { payload, metadata: None };
    let stream = Some(StreamPart { stream_id, sequence_id, progress });
    let body = command::Body::Message { from_user_id: None, content, stream };
    on_receipt(Command { target, body, ..command(Payload::text("")) })
}

fn state(user_id: Option<UserId>, state: Option<GroupState>) -> GroupStateItem {
    GroupStateItem { connection_id: connection("c1"), user_id, state, updated_at: 1_700_000_000_000 }
}

fn group_state(item: GroupStateItem) -> Body {
    let body = command::Body::GroupState(item);
    on_receipt(Command { target: Target::Group(group("g")), body, ..command(Payload::text("")) })
}

fn question(question: Question) -> Body {
    let survey = Survey { hub: hub(), question }.into();
    Body::Content(Content::Question { id: QuestionId(300), survey })
}

fn permission(action: Action, wish: Wish) -> Body {
    question(Question::Permission { connection: connection("c1"), action, group: group("g"), wish })
}

fn reply(reply: Reply) -> Body {
    Body::Content(Content::Reply { to: QuestionId(300), reply })
}

fn answer(answer: Answer) -> Body {
    reply(Reply::Known(answer))
}

/// What the case of that name means.
fn body(name: &str) -> Body {
    use StreamProgress::{Broken, Complete, Open};
    let text = || Payload::text("t");
    let everyone = || Selection { target: Target::Hub, filter: None };
    let some = || Selection { target: Target::User(user("ann")), filter: Some(filter("true")) };
    let pair = || GroupState::new([("k".to_owned(), "v".to_owned())]);
    match name {
        "command: text to the hub" => on_receipt(command(text())),
        "command: everything that a command can have" => full_command(),
        "command: binary to a user, open stream" => {
            message(Target::User(user("ann")), Payload::binary(Bytes::from_static(&[0, 255])), Open)
        }
        "command: protobuf to a connection, complete stream" => {
            let any = Payload::protobuf(Bytes::from_static(b"\x0a\x03t/x\x12\x01v")).unwrap();
            message(Target::Connection(connection("c1")), any, Complete)
        }
        "command: stream without activity" => {
            message(Target::Hub, text(), Broken(StreamFailure::IdleTimeout))
        }
        "command: stream that the broker broke" => {
            message(Target::Hub, text(), Broken(StreamFailure::InternalServerError))
        }
        "command: forbidden stream" => message(Target::Hub, text(), Broken(StreamFailure::Forbidden)),
        "command: cancelled stream" => message(Target::Hub, text(), Broken(StreamFailure::Cancelled)),
        "command: group state" => group_state(state(Some(user("ann")), Some(pair()))),
        "command: group state cleared" => group_state(state(None, None)),
        "question: count" => question(Question::Count(Target::Group(group("g")))),
        "question: members" => {
            question(Question::Members { group: group("g"), after: Some(connection("c1")), limit: 200 })
        }
        "question: group states" => question(Question::GroupStates { group: group("g"), limit: 100 }),
        "question: join" => question(Question::Join { who: some(), groups: vec![group("g"), group("h")] }),
        "question: leave every group" => {
            question(Question::Leave { who: everyone(), groups: Leaving::Every })
        }
        "question: leave groups" => {
            question(Question::Leave { who: everyone(), groups: Leaving::Groups(vec![group("g")]) })
        }
        "question: close" => question(Question::Close {
            target: Target::Hub,
            excluded: vec![connection("c1")],
            reason: Some("r".to_owned()),
        }),
        "question: check sendToGroup" => permission(Action::SendToGroup, Wish::Check),
        "question: grant joinLeaveGroup" => permission(Action::JoinLeaveGroup, Wish::Grant),
        "question: revoke setGroupState" => permission(Action::SetGroupState, Wish::Revoke),
        "question: check getGroupState" => permission(Action::GetGroupState, Wish::Check),
        "question: prepare" => question(Question::Prepare { connection: connection("c1") }),
        "question: hand over" => question(Question::HandOver {
            connection: connection("c1"),
            ticket: 7,
            groups: vec![group("g"), group("h")],
        }),
        "question: adopt" => question(Question::Adopt { connection: connection("c1") }),
        "reply: no session" => answer(Answer::Move(Move::Nothing)),
        "reply: later" => answer(Answer::Move(Move::Later)),
        "reply: prepared" => answer(Answer::Move(Move::Prepared(Prepared {
            node: NodeId::new("n1").unwrap(),
            ticket: 7,
            user_id: Some(user("ann")),
            groups: vec![group("g")],
        }))),
        "reply: given" => {
            let bytes = Bytes::from_static(b"b");
            answer(Answer::Move(Move::Given(Given { part: 1, is_last: true, bytes })))
        }
        "reply: unknown" => reply(Reply::Unknown),
        "reply: count of nobody" => answer(Answer::Count(0)),
        "reply: members" => answer(Answer::Members(vec![
            Member { connection_id: connection("c1"), user_id: Some(user("ann")) },
            Member { connection_id: connection("c2"), user_id: None },
        ])),
        "reply: group states" => answer(Answer::GroupStates(vec![state(None, Some(pair()))])),
        "reply: no connection" => answer(Answer::Permission(PermissionAnswer::NoConnection)),
        "reply: granted" => answer(Answer::Permission(PermissionAnswer::Granted)),
        "reply: denied" => answer(Answer::Permission(PermissionAnswer::Denied)),
        "reply: full" => answer(Answer::Permission(PermissionAnswer::Full)),
        "link: beat" => Body::Link(LinkMessage::Beat { sequence: 300, age_ms: 0 }),
        "link: beat that says how old its process is" => {
            Body::Link(LinkMessage::Beat { sequence: 300, age_ms: 86_400_000 })
        }
        "link: farewell" => Body::Link(LinkMessage::Farewell { is_complete: false }),
        "link: farewell of a process whose last message Redis has" => {
            Body::Link(LinkMessage::Farewell { is_complete: true })
        }
        "link: complete" => Body::Link(LinkMessage::Complete { epoch: 0x0102_0304_0506_0708, checkpoint: 0 }),
        "link: complete, to a checkpoint" => {
            Body::Link(LinkMessage::Complete { epoch: 0x0102_0304_0506_0708, checkpoint: 300 })
        }
        "link: checkpoint" => Body::Link(LinkMessage::Checkpoint { number: 300 }),
        "link: repair" => {
            let floors = vec![(Partition(0), 7), (Partition(255), 0)];
            Body::Link(LinkMessage::Repair { question: 5, floors, within: Duration::MAX, part_bytes: 0 })
        }
        "link: repair, of late" => {
            let (floors, within) = (vec![(Partition(255), 0)], Duration::from_millis(300));
            Body::Link(LinkMessage::Repair { question: 5, floors, within, part_bytes: 0 })
        }
        "link: repair in small parts" => {
            let (floors, within) = (vec![(Partition(255), 0)], Duration::MAX);
            Body::Link(LinkMessage::Repair { question: 5, floors, within, part_bytes: 32_768 })
        }
        "link: repaired" => Body::Link(LinkMessage::Repaired {
            question: 5,
            part: 1,
            envelopes: vec![(Partition(213), "hubbub:{213}:nodes".to_owned(), Bytes::from_static(b"e"))],
            is_last: false,
            lacking: PartitionSet::EMPTY,
        }),
        "link: repaired, with nothing" => {
            let (envelopes, is_last, lacking) = (Vec::new(), true, PartitionSet::ALL);
            Body::Link(LinkMessage::Repaired { question: 5, part: 0, envelopes, is_last, lacking })
        }
        "link: repaired in part" => {
            let lacking = [Partition(7), Partition(255)].into_iter().collect();
            let (envelopes, is_last) = (Vec::new(), true);
            Body::Link(LinkMessage::Repaired { question: 5, part: 0, envelopes, is_last, lacking })
        }
        "link: probe" => Body::Link(LinkMessage::Probe { number: 1 }),
        other => panic!("no case is called {other:?}"),
    }
}

/// Names and bytes.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let (_, cases) = CASES.split_once("\n\n").unwrap();
    let read = |case: &'static str| {
        let (name, hex) = case.trim_end().split_once('\n').unwrap();
        (name.strip_prefix("# ").unwrap(), bytes(hex.strip_prefix("= ").unwrap()))
    };
    cases.split("\n\n").map(read).collect()
}

#[test]
fn envelopes_have_the_bytes_that_other_versions_expect() {
    for (name, expected) in cases() {
        let body = body(name);
        assert_eq!(hex(&sealed(&body)), hex(&expected), "{name}");
        let (read, meaning) = decode(expected.into()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, stamp(), "{name}");
        assert_eq!(format!("{meaning:?}"), format!("{body:?}"), "{name}");
    }
}
