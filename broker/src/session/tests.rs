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

pub(super) fn json(roles: &[&str]) -> Session {
    session(roles, Speech::Messages(Subprotocol::Json))
}

fn send_to(group: &str, echo: Echo) -> Speech {
    Speech::Simple(SimpleMode::SendToGroup { group: GroupName::new(group).unwrap(), echo })
}

/// What a session does about a text, in a line; deeds are carried out with success.
fn answer(session: &mut Session, text: &str) -> String {
    let effect = session.on_message(Received::Text(text));
    describe(session, effect)
}

pub(super) fn describe(session: &mut Session, effect: Effect) -> String {
    match effect {
        Effect::Nothing => "nothing".to_owned(),
        Effect::Close(reason) => format!("close: {reason:?}"),
        Effect::Reply(Downstream::Ack { ack_id, result: Ok(()) }) => format!("ack {}", ack_id.0),
        Effect::Reply(Downstream::Ack { ack_id, result: Err(error) }) => {
            format!("ack {}: {}", ack_id.0, error.name())
        }
        Effect::Reply(message) => format!("reply: {message:?}"),
        Effect::Acknowledge(SequenceId(up_to)) => format!("acknowledge {up_to}"),
        Effect::Invoke(invoke) => format!("invoke {} as {}", invoke.event, invoke.invocation_id),
        Effect::CancelInvocation(id) => format!("cancel {id}"),
        Effect::Stream(request) => format!("{request:?}"),
        Effect::Do(deed, ack_id) => {
            let deed = match deed {
                Deed::Join(group) => format!("join {group}"),
                Deed::Leave(group) => format!("leave {group}"),
                Deed::Route(command) => format!("send to {:?}", command.target),
                Deed::Raise(event) => format!("raise {}", event.event),
                Deed::SetGroupState(group, Some(state)) => {
                    let entries: Vec<String> =
                        state.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    format!("set state of {group} to {}", entries.join(","))
                }
                Deed::SetGroupState(group, None) => format!("clear state of {group}"),
                Deed::SubscribeGroupState(group) => format!("subscribe to {group}"),
                Deed::UnsubscribeGroupState(group) => format!("unsubscribe from {group}"),
            };
            let done = session.done(ack_id, Ok(()));
            format!("{deed}, {}", describe(session, done))
        }
    }
}

pub(super) fn check(roles: &[&str], rows: &[(&str, &str)]) {
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
            (r#"{"type":"event","event":"e","data":1}"#, "raise e, nothing"),
            (r#"{"type":"event","event":"e","data":1,"ackId":4}"#, "raise e, ack 4"),
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
    for failure in [Failure::Broker, Failure::NoEventHandler, Failure::EventHandler] {
        let failed = session.done(Some(AckId(1)), Err(failure.clone()));
        assert_eq!(describe(&mut session, failed), "ack 1: InternalServerError");
        assert!(matches!(session.done(None, Err(failure)), Effect::Nothing));
    }
    let succeeded = session.done(Some(AckId(1)), Ok(()));
    assert_eq!(describe(&mut session, succeeded), "ack 1");
}

#[test]
fn a_simple_client_whose_message_came_to_nothing_is_sent_away() {
    let mut session = session(&[], Speech::Simple(SimpleMode::SendEvent));
    assert!(matches!(session.done(None, Ok(())), Effect::Nothing));
    for (failure, expected) in [
        (Failure::Broker, CloseReason::ServiceFault),
        (Failure::NoEventHandler, CloseReason::EventHandlerNotFound),
        (Failure::EventHandler, CloseReason::EventHandlerFailed),
        (Failure::Refused(AckError::SetStateNotMember), CloseReason::ServiceFault),
    ] {
        let effect = session.done(None, Err(failure.clone()));
        assert!(matches!(effect, Effect::Close(reason) if reason == expected), "{failure:?}");
    }
}

#[test]
fn each_message_of_a_simple_client_is_an_event_unless_it_publishes() {
    let mut session = session(&[], Speech::Simple(SimpleMode::SendEvent));
    let mut raised = |received| match session.on_message(received) {
        Effect::Do(Deed::Raise(event), None) => (event.event.to_string(), event.content.payload),
        effect => panic!("{effect:?}"),
    };
    assert_eq!(raised(Received::Text("hi")), ("message".to_owned(), Payload::text("hi")));
    let bytes = Payload::binary(vec![1, 2].into());
    assert_eq!(raised(Received::Binary(&[1, 2])), ("message".to_owned(), bytes));
}

#[test]
fn bytes_are_no_json() {
    let effect = json(&[]).on_message(Received::Binary(b"{}"));
    assert!(matches!(effect, Effect::Close(CloseReason::TextRequired)));
}

#[test]
fn a_protobuf_client_follows_the_same_rules_in_bytes() {
    let mut session = session(&[JOIN, SEND], Speech::Messages(Subprotocol::Protobuf));
    assert_eq!(session.subprotocol(), Some(Subprotocol::Protobuf));
    let rows: [(&[u8], &str); 8] = [
        (b"\x32\x05\x0a\x01g\x10\x00", "join g, ack 0"),
        (b"\x32\x05\x0a\x01g\x10\x00", "ack 0: Duplicate"),
        (b"\x3a\x03\x0a\x01g", "leave g, nothing"),
        (b"\x0a\x0a\x0a\x01g\x10\x03\x1a\x03\x0a\x01x", "send to Group(\"g\"), ack 3"),
        (b"\x2a\x0a\x0a\x01e\x12\x03\x0a\x01x\x18\x04", "raise e, ack 4"),
        (b"\x4a\x00", "reply: Pong"),
        (b"\x42\x02\x08\x05", "nothing"),
        (b"", "close: InvalidProtobufMessage"),
    ];
    for (bytes, expected) in rows {
        let effect = session.on_message(Received::Binary(bytes));
        assert_eq!(describe(&mut session, effect), expected, "{bytes:?}");
    }
    assert_eq!(answer(&mut session, "J"), "close: BinaryRequired");
}

#[test]
fn text_that_is_not_utf8_ends_each_in_its_own_way() {
    let reason = |speech| session(&[], speech).on_invalid_text();
    assert_eq!(reason(Speech::Messages(Subprotocol::Json)), CloseReason::InvalidJsonMessage);
    assert_eq!(reason(Speech::Messages(Subprotocol::Protobuf)), CloseReason::InvalidText);
    assert_eq!(reason(Speech::Simple(SimpleMode::SendEvent)), CloseReason::InvalidText);
}

/// User and content of what is published.
fn message(body: Body) -> (Option<UserId>, Content) {
    match body {
        Body::Message { from_user_id, content, .. } => (from_user_id, content),
        Body::GroupState(item) => panic!("{item:?}"),
    }
}

#[test]
fn a_simple_client_publishes_what_it_sends() {
    let routed = |speech, received| match session(&[SEND], speech).on_message(received) {
        Effect::Do(Deed::Route(command), None) => *command,
        effect => panic!("{effect:?}"),
    };
    let text = routed(send_to("g", Echo::Wanted), Received::Text("hi"));
    assert!(text.excluded.is_empty());
    assert_eq!(text.target, Target::Group(GroupName::new("g").unwrap()));
    let (from_user_id, content) = message(text.body);
    assert_eq!(content.payload.data_type(), DataType::Text);
    assert_eq!(from_user_id, UserId::new("ann").ok());
    let binary = routed(send_to("g", Echo::Unwanted), Received::Binary(&[1, 2]));
    assert_eq!(binary.excluded.len(), 1, "the sender alone is left out");
    assert_eq!(message(binary.body).1.payload, Payload::binary(vec![1, 2].into()));
}

#[test]
fn a_simple_client_that_may_not_publish_is_sent_away() {
    let effect = session(&[JOIN], send_to("g", Echo::Wanted)).on_message(Received::Text("hi"));
    assert!(matches!(effect, Effect::Close(CloseReason::RawSendForbidden)), "{effect:?}");
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

#[test]
fn a_reliable_client_says_what_it_has_received_and_is_otherwise_like_any_other() {
    let mut session = session(&[JOIN, SEND], Speech::Messages(Subprotocol::JsonReliable));
    for (text, expected) in [
        (r#"{"type":"sequenceAck","sequenceId":5}"#, "acknowledge 5"),
        (r#"{"type":"sequenceAck","sequenceId":0}"#, "acknowledge 0"),
        (r#"{"type":"sequenceAck","sequenceId":18446744073709551615}"#, "acknowledge 18446744073709551615"),
        (r#"{"type":"sequenceAck"}"#, "close: InvalidJsonMessage"),
        (r#"{"type":"joinGroup","group":"g","ackId":1}"#, "join g, ack 1"),
        (r#"{"type":"sendToGroup","group":"g","data":1,"ackId":1}"#, "ack 1: Duplicate"),
        (r#"{"type":"ping"}"#, "reply: Pong"),
    ] {
        assert_eq!(answer(&mut session, text), expected, "{text}");
    }
    assert!(matches!(session.on_message(Received::Binary(b"{}")), Effect::Close(CloseReason::TextRequired)));
}

#[test]
fn a_session_knows_what_was_agreed_on() {
    let check = |speech, subprotocol, is_reliable| {
        let session = session(&[], speech);
        assert_eq!((session.subprotocol(), session.is_reliable()), (subprotocol, is_reliable));
    };
    for subprotocol in Subprotocol::ALL {
        let is_reliable = subprotocol.name().contains("reliable");
        check(Speech::Messages(subprotocol), Some(subprotocol), is_reliable);
    }
    check(Speech::Simple(SimpleMode::SendEvent), None, false);
}
