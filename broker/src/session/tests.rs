use codec::ids::NodeId;
use codec::message::DataType;

use super::*;

const JOIN: &str = "webpubsub.joinLeaveGroup";
const SEND: &str = "webpubsub.sendToGroup";

fn session(roles: &[&str], speech: Speech) -> Session {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    Session::new(Opening {
        hub: HubName::new("chat").unwrap(),
        connection_id: ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
        user_id: UserId::new("ann").ok(),
        permissions: Permissions::from_roles(&roles).0,
        speech,
    })
}

fn json(roles: &[&str]) -> Session {
    session(roles, Speech::Json)
}

fn send_to(group: &str, echo: Echo) -> Speech {
    Speech::Simple(SimpleMode::SendToGroup { group: GroupName::new(group).unwrap(), echo })
}

/// What a session does about a text, in a line; deeds are carried out with success.
fn answer(session: &mut Session, text: &str) -> String {
    let effect = session.on_message(Received::Text(text));
    describe(session, effect)
}

fn describe(session: &mut Session, effect: Effect) -> String {
    match effect {
        Effect::Nothing => "nothing".to_owned(),
        Effect::Close(reason) => format!("close: {reason:?}"),
        Effect::Reply(Downstream::Ack { ack_id, result: Ok(()) }) => format!("ack {}", ack_id.0),
        Effect::Reply(Downstream::Ack { ack_id, result: Err(error) }) => {
            format!("ack {}: {}", ack_id.0, error.name())
        }
        Effect::Reply(message) => format!("reply: {message:?}"),
        Effect::Do(deed, ack_id) => {
            let deed = match deed {
                Deed::Join(group) => format!("join {group}"),
                Deed::Leave(group) => format!("leave {group}"),
                Deed::Route(command) => format!("send to {:?}", command.target),
            };
            let done = session.done(ack_id, true);
            format!("{deed}, {}", describe(session, done))
        }
    }
}

fn check(roles: &[&str], rows: &[(&str, &str)]) {
    let mut session = json(roles);
    for (text, expected) in rows {
        assert_eq!(answer(&mut session, text), *expected, "{text} with {roles:?}");
    }
}

#[test]
fn every_request_is_answered_if_it_asks_for_it() {
    check(
        &[JOIN, SEND],
        &[
            (r#"{"type":"joinGroup","group":"g"}"#, "join g, nothing"),
            (r#"{"type":"joinGroup","group":"g","ackId":1}"#, "join g, ack 1"),
            (r#"{"type":"leaveGroup","group":"g","ackId":2}"#, "leave g, ack 2"),
            (r#"{"type":"sendToGroup","group":"g","data":1,"ackId":3}"#, "send to Group(\"g\"), ack 3"),
            (r#"{"type":"event","event":"e","data":1}"#, "nothing"),
            (r#"{"type":"event","event":"e","data":1,"ackId":4}"#, "ack 4: InternalServerError"),
            (r#"{"type":"ping"}"#, "reply: Pong"),
            (r#"{"type":"sequenceAck","sequenceId":5}"#, "nothing"),
            ("{}", "close: InvalidJsonMessage"),
        ],
    );
}

#[test]
fn what_is_not_permitted_is_not_done() {
    check(
        &[SEND],
        &[
            (r#"{"type":"joinGroup","group":"g"}"#, "nothing"),
            (r#"{"type":"joinGroup","group":"g","ackId":1}"#, "ack 1: Forbidden"),
            (r#"{"type":"leaveGroup","group":"g","ackId":1}"#, "ack 1: Forbidden"),
            (r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#, "send to Group(\"g\"), ack 1"),
        ],
    );
    check(&[JOIN], &[(r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#, "ack 1: Forbidden")]);
}

#[test]
fn an_id_is_used_up_by_success_alone_whatever_the_request() {
    check(
        &[JOIN],
        &[
            (r#"{"type":"event","event":"e","data":1,"ackId":7}"#, "ack 7: InternalServerError"),
            (r#"{"type":"sendToGroup","group":"g","data":1,"ackId":7}"#, "ack 7: Forbidden"),
            (r#"{"type":"joinGroup","group":"g","ackId":7}"#, "join g, ack 7"),
            (r#"{"type":"leaveGroup","group":"g","ackId":7}"#, "ack 7: Duplicate"),
            (r#"{"type":"sendToGroup","group":"g","data":1,"ackId":7}"#, "ack 7: Duplicate"),
            (r#"{"type":"event","event":"e","data":1,"ackId":7}"#, "ack 7: Duplicate"),
        ],
    );
}

#[test]
fn a_deed_that_fails_is_told_and_can_be_tried_again() {
    let mut session = json(&[JOIN]);
    let failed = session.done(Some(AckId(1)), false);
    assert_eq!(describe(&mut session, failed), "ack 1: InternalServerError");
    let succeeded = session.done(Some(AckId(1)), true);
    assert_eq!(describe(&mut session, succeeded), "ack 1");
    let mut simple = session_without_role_checks();
    assert!(matches!(simple.done(None, false), Effect::Close(CloseReason::ServiceFault)));
}

fn session_without_role_checks() -> Session {
    session(&[SEND], send_to("g", Echo::Wanted))
}

#[test]
fn bytes_are_no_json() {
    let effect = json(&[]).on_message(Received::Binary(b"{}"));
    assert!(matches!(effect, Effect::Close(CloseReason::TextRequired)));
}

#[test]
fn a_simple_client_publishes_what_it_sends() {
    let routed = |speech, received| match session(&[SEND], speech).on_message(received) {
        Effect::Do(Deed::Route(command), None) => *command,
        effect => panic!("{effect:?}"),
    };
    let text = routed(send_to("g", Echo::Wanted), Received::Text("hi"));
    assert_eq!(text.target, Target::Group(GroupName::new("g").unwrap()));
    assert_eq!(text.content.payload.data_type(), DataType::Text);
    assert_eq!(text.from_user_id, UserId::new("ann").ok());
    assert!(text.excluded.is_empty());
    let binary = routed(send_to("g", Echo::Unwanted), Received::Binary(&[1, 2]));
    assert_eq!(binary.content.payload, Payload::binary(vec![1, 2].into()));
    assert_eq!(binary.excluded.len(), 1, "the sender alone is left out");
}

#[test]
fn a_simple_client_that_may_not_or_cannot_is_sent_away() {
    let close = |roles: &[&str], speech| match session(roles, speech).on_message(Received::Text("hi")) {
        Effect::Close(reason) => reason,
        effect => panic!("{effect:?}"),
    };
    assert_eq!(close(&[JOIN], send_to("g", Echo::Wanted)), CloseReason::RawSendForbidden);
    let send_event = Speech::Simple(SimpleMode::SendEvent);
    assert_eq!(close(&[SEND, JOIN], send_event), CloseReason::EventHandlerNotFound);
}

#[test]
fn the_application_may_change_what_is_permitted_at_any_time() {
    let mut session = json(&[]);
    let group = GroupName::new("g").unwrap();
    let mut wish = |wish| session.on_permission(Action::SendToGroup, &group, wish);
    assert_eq!(wish(Wish::Check), PermissionAnswer::Denied);
    assert_eq!(wish(Wish::Grant), PermissionAnswer::Granted);
    assert_eq!(wish(Wish::Check), PermissionAnswer::Granted);
    assert_eq!(wish(Wish::Revoke), PermissionAnswer::Denied);
    let text = r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#;
    assert_eq!(answer(&mut session, text), "ack 1: Forbidden");
}
