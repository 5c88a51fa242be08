//! What the application hears of a connection that loses its socket, and what becomes of its answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::application::Application;
use crate::dialect::{Dialect, both};
use crate::peer::{Peer, ended, publish};
use crate::support::{Answer, Frame, Handler, Server};

both!(
    a_recovery_is_not_heard_of_and_the_end_once,
    the_reason_of_the_end_is_told_with_a_socket_or_without,
    a_node_that_stops_tells_of_each_connection_once,
    an_answer_that_comes_while_the_client_is_away_is_kept_for_it,
    an_answer_that_comes_late_finds_the_client_on_its_new_socket,
    a_close_that_was_sent_behind_an_event_counts_for_its_own_socket,
    a_client_that_leaves_with_1000_behind_an_event_has_left,
    cookies_that_the_application_has_set_are_kept,
);

const CONNECT: &str = "azure.webpubsub.sys.connect";
const CONNECTED: &str = "azure.webpubsub.sys.connected";
const DISCONNECTED: &str = "azure.webpubsub.sys.disconnected";
const ASK: &str = "azure.webpubsub.user.ask";

async fn start(window: u64, messages: usize) -> (Server, Application) {
    let application = Application::start().await;
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(window)).window(messages, 1 << 20);
        setup.event_handler("chat", &application.url());
    })
    .await;
    (server, application)
}

async fn expect_disconnected(application: &Application, reason: &str) {
    let body: Value = serde_json::from_str(&application.expect(DISCONNECTED).await).unwrap();
    assert_eq!(body, json!({ "reason": reason }));
}

async fn connect(server: &Server, application: &Application, dialect: Dialect) -> Peer {
    let peer = Peer::connect(server, dialect).await;
    application.expect(CONNECT).await;
    application.expect(CONNECTED).await;
    peer
}

async fn a_recovery_is_not_heard_of_and_the_end_once(dialect: Dialect) {
    let (server, application) = start(1, 100).await;
    let mut peer = connect(&server, &application, dialect).await;
    for _ in 0..3 {
        peer = peer.lose().recover(&server).await;
        peer.expect_nothing_before_pong().await;
    }
    assert!(application.is_quiet().await);
    let ticket = peer.lose();
    ended(&server, &ticket.id).await;
    expect_disconnected(&application, "The connection recovery timeout expired.").await;
    ticket.expect_refused(&server, "over").await;
    // Whatever comes next would have come after a second one.
    let _other = connect(&server, &application, dialect).await;
}

async fn the_reason_of_the_end_is_told_with_a_socket_or_without(dialect: Dialect) {
    let (server, application) = start(30, 2).await;
    let mut peer = connect(&server, &application, dialect).await;
    peer.socket.send(&Frame::close(1000, "enough")).await;
    expect_disconnected(&application, "enough").await;

    let peer = connect(&server, &application, dialect).await;
    for _ in 0..3 {
        publish(&server, "x").await;
    }
    expect_disconnected(&application, "The reliable message buffer is full.").await;
    drop(peer);

    let ticket = connect(&server, &application, dialect).await.lose();
    for _ in 0..3 {
        publish(&server, "x").await;
    }
    expect_disconnected(&application, "The reliable message buffer is full.").await;
    ticket.expect_refused(&server, "overrun").await;

    let ticket = connect(&server, &application, dialect).await.lose();
    server.rest().delete(&format!("/api/hubs/chat/connections/{}", ticket.id)).expect(204).await;
    expect_disconnected(&application, "Application server closed the connection.").await;
}

async fn a_node_that_stops_tells_of_each_connection_once(dialect: Dialect) {
    let (mut server, application) = start(30, 100).await;
    let _attached = connect(&server, &application, dialect).await;
    let mut lost = connect(&server, &application, dialect).await;
    lost.socket.send(&Frame::close_without_code()).await;
    while lost.socket.try_read_frame().await.is_some() {}
    server.begin_stop();
    expect_disconnected(&application, "The connection ended.").await;
    expect_disconnected(&application, "The connection ended.").await;
    drop((_attached, lost));
    server.stopped().await;
    assert!(application.is_quiet().await);
}

/// Asks the application, and waits until it has been asked; by then the broker has what was sent in the same packet.
async fn ask(peer: &mut Peer, application: &Application, then: &[Frame]) {
    let event = json!({"type": "event", "event": "ask", "dataType": "text", "data": "why", "ackId": 1});
    let mut packet = peer.dialect().frame(&event).bytes();
    packet.extend(then.iter().flat_map(Frame::bytes));
    peer.socket.write(&packet).await;
    assert_eq!(application.expect(ASK).await, "why");
}

async fn an_answer_that_comes_while_the_client_is_away_is_kept_for_it(dialect: Dialect) {
    let (server, application) = start(30, 100).await;
    let mut peer = connect(&server, &application, dialect).await;
    ask(&mut peer, &application, &[]).await;
    peer.socket.send(&Frame::close_without_code()).await;
    let ticket = peer.lose();
    application.answer();
    let mut peer = ticket.recover(&server).await;
    let reply = peer.next().await;
    assert_eq!(
        (&reply["from"], &reply["data"], &reply["sequenceId"]),
        (&json!("server"), &json!("why"), &json!(1))
    );
    // The ack was lost with the socket or came on this one; either way the event is not raised again.
    peer.send(json!({"type": "event", "event": "ask", "dataType": "text", "data": "why", "ackId": 1})).await;
    let mut again = peer.next().await;
    if again["success"] == true {
        again = peer.next().await;
    }
    assert_eq!(again["error"]["name"], "Duplicate", "{again}");
    assert!(application.is_quiet().await);
}

async fn an_answer_that_comes_late_finds_the_client_on_its_new_socket(dialect: Dialect) {
    let (server, application) = start(30, 100).await;
    let mut peer = connect(&server, &application, dialect).await;
    // Sent after the event and before the loss: done in its turn.
    let join = json!({"type": "joinGroup", "group": "later", "ackId": 2});
    ask(&mut peer, &application, &[dialect.frame(&join)]).await;
    let mut peer = peer.lose().recover(&server).await;
    publish(&server, "meanwhile").await;
    peer.expect("meanwhile", 1).await;
    // What comes on the new socket waits as well: one at a time.
    peer.send(json!({"type": "ping"})).await;
    publish(&server, "still").await;
    peer.expect("still", 2).await;
    application.answer();
    peer.expect("why", 3).await;
    assert_eq!(peer.next().await, json!({"type": "ack", "ackId": 1, "success": true}));
    assert_eq!(peer.next().await, json!({"type": "ack", "ackId": 2, "success": true}));
    assert_eq!(peer.next().await, json!({"type": "pong"}));
}

async fn a_close_that_was_sent_behind_an_event_counts_for_its_own_socket(dialect: Dialect) {
    let (server, application) = start(30, 100).await;
    let mut peer = connect(&server, &application, dialect).await;
    ask(&mut peer, &application, &[Frame::close(4000, "network change")]).await;
    let mut peer = peer.lose().recover(&server).await;
    // An ack that finds the old socket would be lost with it.
    publish(&server, "meanwhile").await;
    peer.expect("meanwhile", 1).await;
    application.answer();
    peer.expect("why", 2).await;
    assert_eq!(peer.next().await["ackId"], 1);
    peer.expect_nothing_before_pong().await;
}

async fn a_client_that_leaves_with_1000_behind_an_event_has_left(dialect: Dialect) {
    let (server, application) = start(30, 100).await;
    let mut peer = connect(&server, &application, dialect).await;
    ask(&mut peer, &application, &[Frame::close(1000, "bye")]).await;
    let ticket = peer.lose();
    application.answer();
    expect_disconnected(&application, "bye").await;
    ticket.expect_refused(&server, "it said goodbye").await;
}

async fn cookies_that_the_application_has_set_are_kept(dialect: Dialect) {
    let handler = Handler::start().await;
    handler.once("connect", Answer::status(204).header("Set-Cookie", "first=1; Path=/"));
    handler.once("ask", Answer::status(204).header("Set-Cookie", "second=2; Path=/"));
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.user("ask").system(&["connect"]));
    })
    .await;
    let mut peer = Peer::connect(&server, dialect).await;
    handler.expect("connect").await;
    for (ack_id, expected) in [(1, vec!["first=1"]), (2, vec!["first=1", "second=2"])] {
        let ask =
            json!({"type": "event", "event": "ask", "dataType": "text", "data": "why", "ackId": ack_id});
        peer.send(ask).await;
        let asked = handler.expect("ask").await;
        let mut cookies: Vec<_> = asked.header("cookie").unwrap_or_default().split("; ").collect();
        cookies.sort_unstable();
        assert_eq!(cookies, expected);
        assert_eq!(peer.next().await, json!({"type": "ack", "ackId": ack_id, "success": true}));
        peer = peer.lose().recover(&server).await;
    }
}
