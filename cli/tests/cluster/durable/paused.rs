//! A node is only paused, so long that the others take it for lost. When it goes on it must not disturb what others have
//! taken over.

use std::time::Duration;

use super::member;
use super::nodes::{Durable, Links, over_both};
use super::session::{Heard, Session};
use super::traffic::{Manner, Publishers, expect_whole, subscribe};
use crate::dialect::Dialect;
use crate::support::{Opcode, RawSocket};

/// Longer than it takes until the others are sure, and until whatever the node has to do is overdue.
const PAUSED: Duration = Duration::from_secs(20);
/// What a client says to a node that does not hear it, and to nobody else.
const LATE: u64 = 6;

over_both!(
    a_node_that_was_taken_for_lost_neither_serves_nor_publishes_for_those_who_have_left_it,
    a_node_that_goes_on_when_others_have_gone_on_for_it_publishes_nothing_late
);

async fn a_node_that_was_taken_for_lost_neither_serves_nor_publishes_for_those_who_have_left_it(
    links: Links,
) {
    pause_until_clients_have_left(links, PAUSED).await;
}

async fn a_node_that_goes_on_when_others_have_gone_on_for_it_publishes_nothing_late(links: Links) {
    pause_until_clients_have_left(links, Duration::ZERO).await;
}

/// Pauses a node until its clients go on elsewhere, and longer.
async fn pause_until_clients_have_left(links: Links, longer: Duration) {
    let nodes = Durable::start(links);
    let listener = |dialect| nodes.session(1, dialect, member().group("one"));
    let mut listeners = [listener(Dialect::Json).await, listener(Dialect::Protobuf).await];
    let elsewhere = subscribe(nodes.session(2, Dialect::Json, member().group("one")).await, 1);
    let publisher = nodes.session(1, Dialect::Json, member()).await;
    // Nothing is under way to anybody when the node stops.
    nodes.send(3, "groups/one", "start 0").await;
    for listener in &mut listeners {
        assert_eq!(super::soon("the start", listener.next_message()).await["data"], "start 0");
    }

    nodes.pause(1);
    let mut publishers = Publishers::none();
    publishers.call(nodes.address(3), vec!["groups/one/".to_owned()]);
    publishers.flow(20).await;
    let mut publisher = publisher;
    // It lies in the socket of a node that reads it when it goes on, and by then it has been said elsewhere.
    for number in 1..=LATE {
        publisher.send(&super::publication("one", ("early", number))).await;
    }
    let mut old_sockets = Vec::new();
    let mut subscribers = Vec::new();
    for mut session in listeners {
        old_sockets.push(session.leave().unwrap());
        subscribers.push(subscribe(session, 1));
    }
    let old = publisher.leave().unwrap();
    publisher.come_back().await;
    // All but one, which its client has given up: it would come too late.
    let said = || (1..=LATE + 1).filter(|&number| number != LATE);
    for number in said() {
        publisher.send(&super::publication("one", ("early", number))).await;
        super::soon("the ack", super::acknowledged(&mut publisher, number)).await;
    }
    tokio::time::sleep(longer).await;
    nodes.resume(1);
    let quiet = old_sockets.into_iter().map(|socket| tokio::spawn(expect_nothing_more(socket)));
    let quiet: Vec<_> = quiet.collect();
    publishers.flow(100).await;
    let manner = Manner { in_flight: 5, ..Manner::default() };
    publishers.publish("of node 1 again", nodes.session(1, Dialect::Json, member()).await, "one", manner);
    publishers.flow(100).await;
    let mut acknowledged = publishers.finish(nodes.address(2)).await;
    acknowledged.insert("early".to_owned(), said().collect());
    subscribers.push(elsewhere);
    for subscriber in subscribers {
        let seen = super::soon("the farewell", subscriber).await.unwrap();
        expect_whole("a member", &seen, &acknowledged);
        assert_eq!(seen["early"], said().collect::<Vec<_>>());
    }
    for quiet in quiet {
        super::soon("the end of a socket", quiet).await.unwrap();
    }
    drop(old);
}

/// A socket on which nobody is served any more: it ends, and until then there is nothing but pings.
async fn expect_nothing_more(mut socket: RawSocket) {
    let mut served = Vec::new();
    while let Some(frame) = socket.try_read_frame().await {
        match frame.opcode {
            Opcode::TEXT | Opcode::BINARY => {
                served.push(String::from_utf8_lossy(&frame.content).into_owned())
            }
            Opcode::CLOSE => break,
            _ => {}
        }
    }
    assert_eq!(served, [""; 0], "the old node serves");
}

/// The node believes that it still has the session when its client asks, and learns better before it has the socket.
#[tokio::test]
async fn who_comes_back_to_a_node_that_has_lost_the_session_meanwhile_is_not_refused() {
    const CLIENTS: usize = 40;
    let nodes = Durable::start(Links::OneRedis);
    let (mut sessions, mut old_sockets) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        sessions.push(nodes.session(1, Dialect::Json, member().group("one")).await);
    }
    nodes.pause(1);
    for session in &mut sessions {
        old_sockets.push(session.leave());
        session.come_back().await;
    }
    let mut asking = Vec::new();
    for session in &sessions {
        asking.push(session.knock(nodes.address(1)).await.unwrap());
    }
    // When the node goes on it has this for each of them, and may not give it to anybody.
    nodes.send(2, "groups/one", "to all").await;
    nodes.resume(1);
    let asking: Vec<_> = asking.into_iter().map(|socket| tokio::spawn(expect_no_refusal(socket))).collect();
    for session in &mut sessions {
        assert_eq!(super::soon("the message", session.next_message()).await["data"], "to all");
    }
    for asking in asking {
        super::soon("the end of a socket", asking).await.unwrap();
    }
    drop(old_sockets);
}

/// Reads what comes until a socket ends, or has the message: then its session has come to it.
async fn expect_no_refusal(mut socket: RawSocket) {
    if socket.try_read_response().await.is_none_or(|response| response.status != 101) {
        return;
    }
    while let Some(frame) = socket.try_read_frame().await
        && frame.opcode != Opcode::TEXT
    {
        assert!(frame.close_code() != Some(1008), "it is said to be no more: {frame:?}");
    }
}

#[tokio::test]
async fn a_session_whose_client_waits_for_its_node_goes_on_there() {
    let nodes = Durable::start(Links::OneRedis);
    let mut session = nodes.session(1, Dialect::Json, member().group("one")).await;
    nodes.pause(1);
    tokio::time::sleep(Duration::from_secs(8)).await;
    nodes.send(2, "groups/one", "meanwhile").await;
    nodes.resume(1);
    assert_eq!(super::soon("the message", next_on_the_socket(&mut session)).await, "meanwhile");
}

async fn next_on_the_socket(session: &mut Session) -> String {
    loop {
        match session.hear().await {
            Heard::Message(message) => return message["data"].as_str().unwrap().to_owned(),
            Heard::Lost => panic!("its socket has ended"),
            Heard::Ack(..) | Heard::Nothing => {}
        }
    }
}
