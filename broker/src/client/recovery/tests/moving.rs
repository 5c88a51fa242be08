//! A connection that is taken up again on another node than the one that had it.

use codec::ids::{AckId, GroupName, StreamId};
use codec::message::StreamStart;

use super::*;
use crate::model::command::{Body, Command, Target};
use crate::session::{Deed, Effect, Received, StreamRequest};

fn group() -> GroupName {
    GroupName::new("g").unwrap()
}

fn frame(json: &str) -> Vec<u8> {
    [&[0x81, json.len() as u8], json.as_bytes()].concat()
}

fn message(id: u64, text: &str) -> Vec<u8> {
    frame(&format!(
        r#"{{"sequenceId":{id},"type":"message","from":"server","dataType":"text","data":"{text}"}}"#
    ))
}

/// The node that the connection of `worker` moves to, with the connection.
async fn moved(worker: &Worker) -> Worker {
    let portable = worker.connections.export(worker.connection.key).expect("it may move");
    let (connections, desks) = connections(NodeId::new("other").unwrap());
    let (connection, pending) = connections.import(portable, permit());
    connections.router.settle(pending).await.unwrap();
    Worker { connections, desks, connection }
}

/// Somebody publishes to the group.
fn publish(worker: &Worker, text: &str) {
    let command = Command {
        hub: hub(),
        target: Target::Group(group()),
        body: Body::from_application(Content { payload: Payload::text(text), metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    worker.connections.router.submit(command).unwrap();
    worker.connections.flush();
}

#[test]
fn its_client_gets_what_it_has_not_acknowledged_with_the_old_numbers_and_then_what_is_new() {
    with_worker(async |worker| {
        let mut old = worker.come_back().await;
        worker.tell("one");
        worker.tell("two");
        assert_eq!(received(&mut old, message(1, "one").len()).await, message(1, "one"));
        worker.connections.router.shard().acknowledge(worker.connection.key, codec::ids::SequenceId(1));
        let other = moved(&worker).await;
        assert!(!worker.has_it() && worker.reserve().await.is_none(), "it is gone from the first node");
        let mut client = other.come_back().await;
        other.tell("three");
        for expected in [message(2, "two"), message(3, "three")] {
            let got = received(&mut client, expected.len()).await;
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected));
        }
        // What the former socket was sent before is all that it is ever sent.
        let mut rest = Vec::new();
        let _ = old.read_to_end(&mut rest);
        assert_eq!(rest, message(2, "two"), "nothing more");
    });
}

#[test]
fn its_groups_go_with_it() {
    with_worker(async |worker| {
        let (key, router) = (worker.connection.key, &worker.connections.router);
        router.settle(router.join(key, &hub(), group())).await.unwrap();
        publish(&worker, "one");
        let other = moved(&worker).await;
        publish(&worker, "nobody hears this");
        publish(&other, "two");
        let mut client = other.come_back().await;
        let expected = |id: u64, text: &str| {
            frame(&format!(
                r#"{{"sequenceId":{id},"type":"message","from":"group","group":"g","fromUserId":null,"dataType":"text","data":"{text}"}}"#
            ))
        };
        for expected in [expected(1, "one"), expected(2, "two")] {
            let got = received(&mut client, expected.len()).await;
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected));
        }
    });
}

#[test]
fn requests_that_were_carried_out_are_known_and_permissions_hold() {
    with_worker(async |worker| {
        let done = worker.connection.session().done(Some(AckId(7)), Ok(()));
        assert!(matches!(done, Effect::Reply(_)));
        let other = moved(&worker).await;
        let mut session = other.connection.session();
        let send = |ack: u64| {
            format!(
                r#"{{"type":"sendToGroup","group":"g","fromUserId":null,"dataType":"text","data":"x","ackId":{ack}}}"#
            )
        };
        let again = session.on_message(Received::Text(&send(7)));
        let expected =
            Downstream::Ack { ack_id: AckId(7), result: Err(codec::message::AckError::Duplicate(AckId(7))) };
        assert!(matches!(again, Effect::Reply(reply) if reply == expected));
        let new = session.on_message(Received::Text(&send(8)));
        assert!(matches!(new, Effect::Do(Deed::Route(_), Some(AckId(8)))));
    });
}

#[test]
fn its_streams_go_on_and_its_invocations_are_answered_with_an_error() {
    with_worker(async |worker| {
        let stream_id = StreamId::new("s");
        worker.connection.stream(StreamRequest::Start(StreamStart {
            stream_id: stream_id.clone(),
            group: group(),
            no_echo: false,
            idle_timeout: Duration::from_secs(60),
        }));
        let invoke = r#"{"type":"invoke","invocationId":"i","target":"event","event":"e","dataType":"text","data":"x"}"#;
        let began = worker.connection.session().on_message(Received::Text(invoke));
        assert!(matches!(began, Effect::Invoke(_)));
        let other = moved(&worker).await;
        assert!(other.connection.session().stream_deadline().is_some(), "it runs");
        let mut client = other.come_back().await;
        let start = br#"{"type":"system","event":"connected""#;
        let begin = received(&mut client, 4 + start.len()).await;
        assert_eq!(begin[4..], *start, "whoever has streams is greeted");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let mut rest = vec![0; 4096];
        let count = client.read(&mut rest).unwrap();
        let rest = String::from_utf8_lossy(&rest[..count]);
        assert!(rest.contains(r#""type":"invokeResponse","invocationId":"i""#), "{rest}");
        assert!(rest.contains("InternalServerError"), "{rest}");
    });
}

#[test]
fn its_time_goes_on() {
    with_worker(async |worker| {
        worker.pass(20).await;
        let other = moved(&worker).await;
        other.pass(9).await;
        assert!(other.has_it());
        other.pass(2).await;
        assert!(!other.has_it() && other.reserve().await.is_none());
    });
}

#[test]
fn one_that_is_no_more_or_is_not_reliable_does_not_move() {
    with_worker(async |worker| {
        worker.connections.end(worker.connection.key, CloseReason::ClosedByApplication(None));
        assert!(worker.connections.export(worker.connection.key).is_none());
    });
}
