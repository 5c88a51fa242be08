use codec::ids::{ConnectionId, HubName, NodeId, UserId};
use codec::message::UserError;
use codec::subprotocol::Subprotocol;

use super::*;
use crate::auth::permission::Permissions;
use crate::model::survey::Wish;
use crate::session::{Effect, Opening, Received, Speech};

const START: &str = r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":1000}}"#;
const KEEP_ALIVE: &str = r#"{"type":"streamData","streamId":"s"}"#;
const END: &str = r#"{"type":"streamEnd","streamId":"s"}"#;

/// A session, and the time that a test says it is.
struct Publisher {
    session: Session,
    begin: Instant,
    /// What becomes of the parts that it publishes.
    routed: fn(&mut Session, &StreamId) -> Option<StreamStep>,
}

impl Publisher {
    fn new(roles: &[&str]) -> Self {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let session = Session::new(Opening {
            hub: HubName::new("chat").unwrap(),
            connection_id: ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
            user_id: UserId::new("ann").ok(),
            permissions: Permissions::from_roles(&roles).0,
            speech: Speech::Messages(Subprotocol::Json),
        });
        Self { session, begin: Instant::now(), routed: Session::on_part_published }
    }

    fn permitted() -> Self {
        Self::new(&["webpubsub.sendToGroup"])
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.begin + Duration::from_millis(milliseconds)
    }

    /// What comes of a text that the client sends at this time, in a line.
    fn send(&mut self, milliseconds: u64, text: &str) -> String {
        match self.session.on_message(Received::Text(text)) {
            Effect::Stream(request) => {
                let step = self.session.on_stream(*request, self.at(milliseconds));
                self.take(step)
            }
            effect => panic!("{text} is no stream message: {effect:?}"),
        }
    }

    fn take(&mut self, step: Option<StreamStep>) -> String {
        match step {
            None => "nothing".to_owned(),
            Some(StreamStep::Tell(message)) => told(&message),
            Some(StreamStep::Publish(part, id)) => {
                let next = (self.routed)(&mut self.session, &id);
                format!("{}; {}", published(&part), self.take(next))
            }
            Some(StreamStep::End { last, closed }) => format!("{}; {}", published(&last), told(&closed)),
        }
    }

    fn idle(&mut self, milliseconds: u64) -> String {
        let step = self.session.end_idle_stream(self.at(milliseconds));
        self.take(step)
    }

    fn check(&mut self, rows: &[(u64, &str, &str)]) {
        for (milliseconds, text, expected) in rows {
            assert_eq!(self.send(*milliseconds, text), *expected, "{text} at {milliseconds}");
        }
    }
}

fn told(message: &Downstream) -> String {
    match message {
        Downstream::StreamAck { stream_id, expected } => format!("ack {stream_id} {}", expected.0),
        Downstream::StreamNack { stream_id, expected, error } => {
            format!("nack {stream_id} {} {}", expected.0, error.name())
        }
        Downstream::StreamClosed { stream_id, error: None } => format!("closed {stream_id}"),
        Downstream::StreamClosed { stream_id, error: Some(error) } => {
            format!("closed {stream_id} {}", error.name())
        }
        message => panic!("{message:?}"),
    }
}

fn published(command: &Command) -> String {
    let Body::Message { content, stream: Some(part), from_user_id } = &command.body else {
        panic!("no part of a stream: {command:?}");
    };
    assert_eq!(from_user_id.as_ref().map(UserId::as_str), Some("ann"));
    assert_eq!((&content.metadata, command.time_to_live), (&None, None));
    let Target::Group(group) = &command.target else {
        panic!("{:?}", command.target);
    };
    let what = match &part.progress {
        StreamProgress::Open => std::str::from_utf8(content.payload.bytes()).unwrap().to_owned(),
        progress => {
            assert_eq!(content.payload, Payload::text(""), "clients do not see the end otherwise");
            match progress {
                StreamProgress::Broken(StreamFailure::UserError(error)) => format!("{error:?}"),
                StreamProgress::Broken(failure) => failure.name().to_owned(),
                _ => "end".to_owned(),
            }
        }
    };
    let echo = if command.excluded.is_empty() { "" } else { " without echo" };
    format!("{group} {}#{} {what}{echo}", part.stream_id, part.sequence_id.0)
}

fn data(id: &str, number: u64) -> String {
    format!(
        r#"{{"type":"streamData","streamId":"{id}","streamSequenceId":{number},"dataType":"text","data":"x"}}"#
    )
}

fn start(id: &str) -> String {
    format!(r#"{{"type":"sendToGroup","group":"g","stream":{{"streamId":"{id}"}}}}"#)
}

#[test]
fn parts_are_published_in_order_and_once() {
    Publisher::permitted().check(&[
        (0, START, "ack s 1"),
        (0, &data("s", 1), "g s#1 x; ack s 2"),
        (0, &data("s", 2), "g s#2 x; ack s 3"),
        (0, &data("s", 1), "ack s 3"),
        (0, &data("s", 2), "ack s 3"),
        (0, &data("s", 4), "nack s 3 InvalidSequenceId"),
        (0, KEEP_ALIVE, "nothing"),
        (0, &data("s", 3), "g s#3 x; ack s 4"),
        (0, END, "g s#4 end; closed s"),
    ]);
}

#[test]
fn a_stream_needs_a_free_id_and_permission() {
    Publisher::new(&["webpubsub.sendToGroup.g"]).check(&[
        (0, r#"{"type":"sendToGroup","group":"h","stream":{"streamId":"s"}}"#, "closed s Forbidden"),
        (0, &start(""), "closed  BadRequest"),
        (0, &start(&"i".repeat(1025)), &format!("closed {} BadRequest", "i".repeat(1025))),
        (0, &start(&"i".repeat(1024)), &format!("ack {} 1", "i".repeat(1024))),
        (
            0,
            r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":0}}"#,
            "closed s BadRequest",
        ),
        (
            0,
            r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":4294967296}}"#,
            "closed s BadRequest",
        ),
        (
            0,
            r#"{"type":"sendToGroup","group":"g","data":1,"stream":{"streamId":"s"}}"#,
            "closed s BadRequest",
        ),
        (0, r#"{"type":"event","event":"e","data":1,"stream":{"streamId":"s"}}"#, "closed s BadRequest"),
        // None of that has begun it, and none is remembered.
        (0, &data("s", 1), "closed s StreamNotFound"),
        (0, &start("s"), "ack s 1"),
    ]);
}

#[test]
fn a_connection_has_at_most_100_streams_at_a_time() {
    let mut publisher = Publisher::permitted();
    for number in 0..100 {
        assert_eq!(publisher.send(0, &start(&number.to_string())), format!("ack {number} 1"));
    }
    publisher.check(&[
        (0, &start("s"), "closed s BadRequest"),
        (0, r#"{"type":"streamEnd","streamId":"50"}"#, "g 50#1 end; closed 50"),
        (0, &start("s"), "ack s 1"),
    ]);
}

#[test]
fn what_is_refused_under_the_id_of_a_running_stream_ends_it() {
    for (text, expected) in [
        (START, "g s#2 Cancelled; closed s BadRequest"),
        (
            r#"{"type":"sendToGroup","group":"h","stream":{"streamId":"s"}}"#,
            "g s#2 Cancelled; closed s BadRequest",
        ),
        (
            r#"{"type":"sendToGroup","group":"g","data":1,"stream":{"streamId":"s"}}"#,
            "g s#2 Cancelled; closed s BadRequest",
        ),
        (
            r#"{"type":"streamData","streamId":"s","streamSequenceId":2}"#,
            "g s#2 Cancelled; closed s BadRequest",
        ),
        (
            r#"{"type":"streamData","streamId":"s","dataType":"text","data":"x"}"#,
            "g s#2 Cancelled; closed s BadRequest",
        ),
    ] {
        let mut publisher = Publisher::new(&["webpubsub.sendToGroup.g"]);
        publisher.check(&[
            (0, START, "ack s 1"),
            (0, &data("s", 1), "g s#1 x; ack s 2"),
            (0, text, expected),
            (0, &data("s", 2), "closed s BadRequest"),
            (0, START, "ack s 1"),
        ]);
    }
}

#[test]
fn no_echo_holds_for_every_part_and_the_end() {
    Publisher::permitted().check(&[
        (0, r#"{"type":"sendToGroup","group":"g","noEcho":true,"stream":{"streamId":"s"}}"#, "ack s 1"),
        (0, &data("s", 1), "g s#1 x without echo; ack s 2"),
        (0, END, "g s#2 end without echo; closed s"),
    ]);
}

#[test]
fn a_publisher_may_end_a_stream_with_an_error_of_its_own() {
    let error = UserError { message: Some("m".to_owned()), code: Some("c".to_owned()) };
    Publisher::permitted().check(&[
        (0, START, "ack s 1"),
        (
            0,
            r#"{"type":"streamEnd","streamId":"s","error":{"message":"m","userErrorCode":"c"}}"#,
            &format!("g s#1 {error:?}; closed s"),
        ),
        (0, END, "closed s"),
    ]);
}

#[test]
fn of_a_stream_that_never_was_nothing_is_known() {
    let mut publisher = Publisher::permitted();
    let half = r#"{"type":"streamData","streamId":"s","dataType":"text"}"#;
    for text in [&*data("s", 1), KEEP_ALIVE, END, half] {
        assert_eq!(publisher.send(0, text), "closed s StreamNotFound", "{text}");
    }
    assert!(!publisher.session.has_streamed() && publisher.session.streams.is_none());
}

#[test]
fn a_publisher_hears_again_how_a_stream_ended_until_the_id_means_another() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[(0, START, "ack s 1")]);
    assert_eq!(publisher.idle(1000), "g s#1 IdleTimeout; closed s IdleTimeout");
    for text in [&*data("s", 1), KEEP_ALIVE, END] {
        assert_eq!(publisher.send(1000, text), "closed s IdleTimeout", "{text}");
    }
    publisher.check(&[(1000, START, "ack s 1"), (1000, END, "g s#1 end; closed s"), (1000, END, "closed s")]);
    assert!(publisher.session.has_streamed());
}

#[test]
fn a_stream_ends_when_nothing_is_accepted_for_its_idle_timeout() {
    // What the client sends at 600, and whether the stream goes on for another second because of it.
    for (text, is_accepted) in [
        (&*data("s", 2), true),
        (KEEP_ALIVE, true),
        (&data("s", 1), false),
        (&data("s", 3), false),
        (&start("t"), false),
    ] {
        let mut publisher = Publisher::permitted();
        publisher.check(&[(0, START, "ack s 1"), (0, &data("s", 1), "g s#1 x; ack s 2")]);
        publisher.send(600, text);
        let end = if is_accepted { 1600 } else { 1000 };
        let first = publisher.session.stream_deadline();
        assert_eq!(first, Some(publisher.at(end)), "{text}");
        assert_eq!(publisher.idle(end - 1), "nothing", "{text}");
        assert!(publisher.idle(end).contains("closed s IdleTimeout"), "{text}");
    }
}

#[test]
fn each_stream_has_an_idle_timeout_of_its_own_and_five_minutes_unless_it_says_so() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[(0, &start("long"), "ack long 1"), (0, START, "ack s 1")]);
    assert_eq!(publisher.idle(1000), "g s#1 IdleTimeout; closed s IdleTimeout");
    assert_eq!(publisher.idle(299_999), "nothing");
    assert_eq!(publisher.idle(300_000), "g long#1 IdleTimeout; closed long IdleTimeout");
    assert_eq!(publisher.session.stream_deadline(), None);
}

#[test]
fn streams_that_are_found_idle_together_end_in_the_order_of_their_time() {
    let mut publisher = Publisher::permitted();
    for (id, timeout) in [("a", 3000), ("b", 1000), ("c", 2000)] {
        let start = format!(
            r#"{{"type":"sendToGroup","group":"g","stream":{{"streamId":"{id}","idleTimeoutMs":{timeout}}}}}"#
        );
        publisher.check(&[(0, &start, &format!("ack {id} 1"))]);
    }
    let ends = [(); 4].map(|()| publisher.idle(3000));
    assert_eq!(
        ends,
        [
            "g b#1 IdleTimeout; closed b IdleTimeout",
            "g c#1 IdleTimeout; closed c IdleTimeout",
            "g a#1 IdleTimeout; closed a IdleTimeout",
            "nothing",
        ]
    );
}

#[test]
fn a_revoked_permission_ends_the_streams_of_the_group_and_no_others() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[
        (0, START, "ack s 1"),
        (0, r#"{"type":"sendToGroup","group":"h","stream":{"streamId":"t"}}"#, "ack t 1"),
        (0, &data("s", 1), "g s#1 x; ack s 2"),
    ]);
    let group = GroupName::new("g").unwrap();
    publisher.session.on_permission(Action::SendToGroup, &group, Wish::Check);
    assert!(publisher.session.end_forbidden_stream().is_none());
    publisher.session.on_permission(Action::SendToGroup, &group, Wish::Revoke);
    let step = publisher.session.end_forbidden_stream();
    assert_eq!(publisher.take(step), "g s#2 Forbidden; closed s Forbidden");
    assert!(publisher.session.end_forbidden_stream().is_none());
    publisher.check(&[(0, &data("s", 2), "closed s Forbidden"), (0, &data("t", 1), "h t#1 x; ack t 2")]);
}

#[test]
fn permission_is_looked_at_again_for_each_part() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[(0, START, "ack s 1"), (0, &data("s", 1), "g s#1 x; ack s 2")]);
    let group = GroupName::new("g").unwrap();
    publisher.session.on_permission(Action::SendToGroup, &group, Wish::Revoke);
    publisher.check(&[
        (0, &data("s", 2), "g s#2 Forbidden; closed s Forbidden"),
        (0, &data("s", 3), "closed s Forbidden"),
        (0, START, "closed s Forbidden"),
    ]);
}

#[test]
fn a_stream_of_which_a_part_cannot_be_published_ends_on_both_sides() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[(0, START, "ack s 1"), (0, &data("s", 1), "g s#1 x; ack s 2")]);
    publisher.routed = Session::on_part_lost;
    let lost = "g s#2 x; g s#3 InternalServerError; closed s InternalServerError";
    publisher.check(&[(0, &data("s", 2), lost), (0, &data("s", 2), "closed s InternalServerError")]);
}

#[test]
fn the_streams_of_a_connection_that_ends_are_cancelled() {
    let mut publisher = Publisher::permitted();
    publisher.check(&[
        (0, START, "ack s 1"),
        (0, &start("t"), "ack t 1"),
        (0, &data("t", 1), "g t#1 x; ack t 2"),
    ]);
    let mut ends = Vec::new();
    while let Some(StreamStep::End { last, .. }) = publisher.session.cancel_stream() {
        ends.push(published(&last));
    }
    assert_eq!(ends, ["g s#1 Cancelled", "g t#2 Cancelled"]);
}
