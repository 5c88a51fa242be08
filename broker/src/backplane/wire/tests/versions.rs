//! Envelopes of versions that know more: what this one can do without is skipped, what it cannot is not guessed at.

use proto::cluster::{Empty, question, reply};

use super::*;

/// An envelope with the numbers of [`stamp`].
fn envelope(body: Option<envelope::Body>) -> cluster::Envelope {
    cluster::Envelope { sequence: 2, previous: 1, epoch: 3, origin: node().as_str().to_owned(), body }
}

fn check_unknown(what: &str, body: envelope::Body) {
    let bytes = envelope(Some(body)).encode_to_vec();
    assert_eq!(decode(bytes.into()).unwrap_err(), WireError::Unknown { stamp: stamp() }, "{what}");
}

fn hub_target() -> Option<cluster::Target> {
    Some(cluster::Target { target: Some(cluster::target::Target::Hub(Empty {})) })
}

fn known_command() -> cluster::Command {
    let payload = cluster::Payload { data_type: cluster::DataType::Text.into(), data: Bytes::new() };
    let message = cluster::Message { payload: Some(payload), ..Default::default() };
    cluster::Command {
        applied: cluster::Applied::AtOrigin.into(),
        hub: "chat".to_owned(),
        target: hub_target(),
        body: Some(cluster::command::Body::Message(message)),
        ..Default::default()
    }
}

fn known_message() -> cluster::Message {
    match known_command().body {
        Some(cluster::command::Body::Message(message)) => message,
        other => panic!("another body: {other:?}"),
    }
}

#[test]
fn a_body_that_is_not_known_is_unknown() {
    let mut bytes = envelope(None).encode_to_vec();
    bytes.extend(b"\x7a\x03new");
    assert_eq!(decode(bytes.into()).unwrap_err(), WireError::Unknown { stamp: stamp() });
}

#[test]
fn a_command_with_something_that_is_not_known_is_unknown() {
    let check = |what: &str, change: fn(&mut cluster::Command)| {
        let mut command = known_command();
        change(&mut command);
        check_unknown(what, envelope::Body::Command(command));
    };
    check("a target", |command| command.target = Some(cluster::Target { target: None }));
    check("a body", |command| command.body = None);
    check("who has applied it", |command| command.applied = 99);
    check("nobody has applied it", |command| command.applied = 0);
}

#[test]
fn a_message_with_something_that_is_not_known_is_unknown() {
    let check = |what: &str, change: fn(&mut cluster::Message)| {
        let mut message = known_message();
        change(&mut message);
        let body = Some(cluster::command::Body::Message(message));
        check_unknown(what, envelope::Body::Command(cluster::Command { body, ..known_command() }));
    };
    check("a kind of payload", |message| {
        message.payload = Some(cluster::Payload { data_type: 5, data: Bytes::new() });
    });
    check("no kind of payload", |message| {
        message.payload = Some(cluster::Payload { data_type: 0, data: Bytes::new() });
    });
    check("progress of a stream", |message| {
        message.stream = Some(cluster::StreamPart { progress: 8, sequence_id: 1, ..Default::default() });
    });
}

#[test]
fn a_question_with_something_that_is_not_known_is_unknown() {
    let check = |what: &str, question: Option<question::Question>| {
        let hub = "chat".to_owned();
        check_unknown(what, envelope::Body::Question(cluster::Question { id: 1, hub, question }));
    };
    let who = Some(cluster::Selection { target: hub_target(), filter: None });
    let permission = |action: i32, wish: i32| {
        let (connection, group) = ("c".to_owned(), "g".to_owned());
        question::Question::Permission(question::Permission { connection, action, group, wish })
    };
    check("what is asked", None);
    check("which membership", Some(question::Question::Leave(question::Leave { who, groups: None })));
    check("an action", Some(permission(5, 1)));
    check("no action", Some(permission(0, 1)));
    check("a wish", Some(permission(1, 4)));
    check("no wish", Some(permission(1, 0)));
}

#[test]
fn a_reply_with_something_that_is_not_known_is_unknown() {
    let check = |what: &str, reply: Option<reply::Reply>| {
        check_unknown(what, envelope::Body::Reply(cluster::Reply { to: 1, reply }));
    };
    check("what is answered", None);
    check("a permission", Some(reply::Reply::Permission(5)));
    check("no permission", Some(reply::Reply::Permission(0)));
}

#[test]
fn a_field_that_is_not_known_is_skipped() {
    // Field 1000: a number, eight bytes, bytes, a group, four bytes.
    let fields: [&[u8]; 5] = [
        b"\xc0\x3e\x07",
        b"\xc1\x3e12345678",
        b"\xc2\x3e\x03new",
        b"\xc3\x3e\x08\x01\xc4\x3e",
        b"\xc5\x3e1234",
    ];
    let known = envelope(Some(envelope::Body::Command(known_command()))).encode_to_vec();
    let expected = format!("{:?}", decode(known.clone().into()).unwrap());
    let check = |bytes: Vec<u8>| assert_eq!(format!("{:?}", decode(bytes.into()).unwrap()), expected);
    for field in fields {
        check([field, &known].concat());
        check([&known, field].concat());
        let command = [field, &known_command().encode_to_vec(), field].concat();
        let head = envelope(None).encode_to_vec();
        check([&head[..], &[0x2a, u8::try_from(command.len()).unwrap()], &command].concat());
    }
}
