//! Bytes that no version writes: they cost an error and nothing else.

use codec::ids::InvalidName;
use codec::message::InvalidPayload;
use codec::metadata::InvalidMetadata;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::cluster::{question, repair, repaired, reply};

use super::*;

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(bytes.into());
    }

    #[test]
    fn what_is_cut_off_or_changed_is_survived(
        body in arbitrary::body(), place: Index, byte: u8,
    ) {
        let bytes = sealed(&body);
        let place = place.index(bytes.len());
        let _ = decode(bytes.slice(..place));
        let mut changed = bytes.to_vec();
        changed[place] = byte;
        let _ = decode(changed.into());
        let mut longer = bytes.to_vec();
        longer.insert(place, byte);
        let _ = decode(longer.into());
    }
}

fn target(member: cluster::target::Target) -> Option<cluster::Target> {
    Some(cluster::Target { target: Some(member) })
}

fn named(name: &str) -> Option<cluster::Target> {
    target(cluster::target::Target::Group(name.to_owned()))
}

fn check(body: envelope::Body, expected: Malformed) {
    let envelope = cluster::Envelope {
        sequence: 2,
        previous: 1,
        epoch: 3,
        origin: node().as_str().to_owned(),
        body: Some(body),
    };
    let error = decode(envelope.encode_to_vec().into()).unwrap_err();
    assert_eq!(error, WireError::Malformed { stamp: Some(stamp()), cause: expected });
}

fn check_command(change: impl FnOnce(&mut cluster::Command), expected: Malformed) {
    let mut message = super::super::command::encode(Applied::AtOrigin, &command(Payload::text("t")));
    change(&mut message);
    check(envelope::Body::Command(message), expected);
}

fn check_message(change: impl FnOnce(&mut cluster::Message), expected: Malformed) {
    let change = |command: &mut cluster::Command| match &mut command.body {
        Some(cluster::command::Body::Message(message)) => change(message),
        other => panic!("another body: {other:?}"),
    };
    check_command(change, expected);
}

fn check_question(question: question::Question, expected: Malformed) {
    let hub = "chat".to_owned();
    check(envelope::Body::Question(cluster::Question { id: 1, hub, question: Some(question) }), expected);
}

#[test]
fn an_origin_that_is_no_node_leaves_no_stamp() {
    for origin in ["", "a b"] {
        let envelope = cluster::Envelope { origin: origin.to_owned(), ..Default::default() };
        let expected = WireError::Malformed { stamp: None, cause: Malformed::Name(InvalidName::Node) };
        assert_eq!(decode(envelope.encode_to_vec().into()).unwrap_err(), expected);
    }
    let no_bytes = decode(Bytes::new()).unwrap_err();
    assert!(matches!(no_bytes, WireError::Malformed { stamp: None, .. }), "{no_bytes:?}");
}

#[test]
fn a_length_beyond_the_end_is_refused() {
    // An origin, a command and a payload of almost 4 GiB.
    for claim in ["22ffffffff0f", "2affffffff0f", "2a0a3a081206 12ffffffff0f"] {
        let bytes = [sealed(&Body::Link(LinkMessage::Probe { number: 1 })).to_vec(), golden::bytes(claim)];
        let error = decode(bytes.concat().into()).unwrap_err();
        let is_form = matches!(error, WireError::Malformed { stamp: None, cause: Malformed::Form(_) });
        assert!(is_form, "{claim}: {error:?}");
    }
}

#[test]
fn names_in_a_command_are_checked() {
    use cluster::target::Target;
    check_command(|command| command.hub.clear(), Malformed::Name(InvalidName::Hub));
    check_command(|command| command.hub = "a b".to_owned(), Malformed::Name(InvalidName::Hub));
    check_command(|command| command.target = named(" "), Malformed::Name(InvalidName::Group));
    check_command(|command| command.target = named(&"g".repeat(1025)), Malformed::Name(InvalidName::Group));
    let user = target(Target::User(String::new()));
    check_command(|command| command.target = user, Malformed::Name(InvalidName::User));
    let connection = target(Target::Connection(String::new()));
    check_command(|command| command.target = connection, Malformed::Name(InvalidName::Connection));
    let excluded = vec!["c".to_owned(), String::new()];
    check_command(|command| command.excluded = excluded, Malformed::Name(InvalidName::Connection));
    let nobody = Some(String::new());
    check_message(|message| message.from_user_id = nobody, Malformed::Name(InvalidName::User));
    let item = cluster::GroupStateItem::default();
    let body = Some(cluster::command::Body::GroupState(item));
    check_command(|command| command.body = body, Malformed::Name(InvalidName::Connection));
}

#[test]
fn a_command_without_its_target_or_with_a_filter_that_cannot_be_read_is_for_nobody() {
    check_command(|command| command.target = None, Malformed::Missing("target"));
    check_command(|command| command.filter = Some(String::new()), Malformed::Filter);
    check_command(|command| command.filter = Some("userId is 'a'".to_owned()), Malformed::Filter);
    let milliseconds = Some(300_001);
    check_command(|command| command.time_to_live_ms = milliseconds, Malformed::Range("time_to_live_ms"));
    check_command(|command| command.time_to_live_ms = Some(u64::MAX), Malformed::Range("time_to_live_ms"));
}

#[test]
fn a_message_fits_what_it_says_of_itself() {
    let payload = |data_type: cluster::DataType, data: &'static [u8]| {
        Some(cluster::Payload { data_type: data_type.into(), data: Bytes::from_static(data) })
    };
    let check_payload = |given: Option<cluster::Payload>, expected: Malformed| {
        check_message(|message| message.payload = given, expected);
    };
    check_payload(None, Malformed::Missing("payload"));
    check_payload(payload(cluster::DataType::Text, b"\xff"), Malformed::Payload(InvalidPayload::Text));
    check_payload(payload(cluster::DataType::Json, b"{"), Malformed::Payload(InvalidPayload::Json));
    check_payload(
        payload(cluster::DataType::Protobuf, b"hello"),
        Malformed::Payload(InvalidPayload::Protobuf),
    );
    let entry = || cluster::metadata::Entry { key: "k".to_owned(), value: String::new() };
    let twice = Some(cluster::Metadata { entries: vec![entry(), entry()] });
    check_message(|message| message.metadata = twice, Malformed::Metadata(InvalidMetadata::Duplicate));
    let progress = cluster::StreamProgress::UserError.into();
    let stream = Some(cluster::StreamPart { progress, ..Default::default() });
    check_message(|message| message.stream = stream, Malformed::Missing("user_error"));
}

#[test]
fn questions_and_replies_are_checked() {
    let everybody = target(cluster::target::Target::Hub(cluster::Empty {}));
    let (group, filter) = (String::new(), Some("(".to_owned()));
    check_question(question::Question::Count(question::Count { target: None }), Malformed::Missing("target"));
    let states = question::GroupStates { group, limit: 1 };
    check_question(question::Question::GroupStates(states), Malformed::Name(InvalidName::Group));
    let join = question::Join { who: None, groups: Vec::new() };
    check_question(question::Question::Join(join), Malformed::Missing("who"));
    let who = Some(cluster::Selection { target: everybody, filter });
    check_question(question::Question::Join(question::Join { who, groups: Vec::new() }), Malformed::Filter);
    let members = reply::Members { members: vec![cluster::Member::default()] };
    let reply = cluster::Reply { to: 1, reply: Some(reply::Reply::Members(members)) };
    check(envelope::Body::Reply(reply), Malformed::Name(InvalidName::Connection));
}

#[test]
fn there_are_256_partitions() {
    let floors = vec![repair::Floor { partition: 256, after: 0 }];
    check(
        envelope::Body::Repair(cluster::Repair { floors, ..Default::default() }),
        Malformed::Range("partition"),
    );
    let envelopes = vec![repaired::Published { partition: u32::MAX, ..Default::default() }];
    let repaired = cluster::Repaired { envelopes, is_last: true, ..Default::default() };
    check(envelope::Body::Repaired(repaired), Malformed::Range("partition"));
}

#[test]
fn an_error_does_not_repeat_what_was_sent() {
    let secret = "topsecret";
    let check = |change: &dyn Fn(&mut cluster::Envelope)| {
        let body = cluster::Command { hub: "chat".to_owned(), ..Default::default() };
        let mut envelope = cluster::Envelope {
            origin: node().as_str().to_owned(),
            body: Some(envelope::Body::Command(body)),
            ..Default::default()
        };
        change(&mut envelope);
        let error = decode(envelope.encode_to_vec().into()).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains(secret), "{told}");
    };
    check(&|envelope| envelope.origin = format!("{secret} "));
    check(&|envelope| {
        let mut message = super::super::command::encode(Applied::AtOrigin, &command(Payload::text(secret)));
        message.filter = Some(format!("userId is '{secret}'"));
        envelope.body = Some(envelope::Body::Command(message));
    });
}
