//! Closing connections, and whether connections, groups and users exist.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncWriteExt, Interest};

use crate::support::{Client, ClientSpec, Frame, Server, escape, within_deadline};
use crate::{assert_error, chat, expect_nothing_but_marker};

/// The client is told why, and its socket ends with 1000.
async fn expect_closed(client: &mut Client, reason: &str) {
    let text = match reason {
        "" => "Application server closed the connection.".to_owned(),
        reason => format!("Application server closed the connection. Reason: {reason}"),
    };
    let farewell = client.next_json().await;
    assert_eq!(farewell, json!({"type": "system", "event": "disconnected", "message": text}));
    client.expect_close(1000, "").await;
}

async fn ann(server: &Server) -> Client {
    server.connect("chat", ClientSpec::json().user("ann").group("room")).await
}

#[tokio::test]
async fn each_close_ends_its_target_and_nobody_else() {
    let server = Server::start().await;
    let mut bystander = server.connect("chat", ClientSpec::json().user("bob").group("hall")).await;
    let mut elsewhere = server.connect("other", ClientSpec::json().user("ann").group("room")).await;

    let mut client = ann(&server).await;
    server.rest().delete(&chat(&format!("connections/{}", client.connection_id()))).expect(204).await;
    expect_closed(&mut client, "").await;
    for path in ["groups/room/:closeConnections", "users/ann/:closeConnections"] {
        let (mut first, mut second) = (ann(&server).await, ann(&server).await);
        server.rest().post(&chat(path)).expect(204).await;
        expect_closed(&mut first, "").await;
        expect_closed(&mut second, "").await;
    }
    expect_nothing_but_marker(&server, &mut bystander).await;
    server.rest().post(&chat(":closeConnections")).expect(204).await;
    expect_closed(&mut bystander, "").await;
    elsewhere.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn the_reason_reaches_the_client_and_may_be_long() {
    let server = Server::start().await;
    let long = "ü, ".repeat(200);
    for reason in ["maintenance", "a+b c/ä", long.trim_end(), ""] {
        let query = format!("?reason={}", escape(reason));
        for path in ["groups/room/:closeConnections", "users/ann/:closeConnections", ":closeConnections"] {
            let mut client = ann(&server).await;
            server.rest().post(&chat(&format!("{path}{query}"))).expect(204).await;
            expect_closed(&mut client, reason).await;
        }
        let mut client = ann(&server).await;
        let path = format!("connections/{}{query}", client.connection_id());
        server.rest().delete(&chat(&path)).expect(204).await;
        expect_closed(&mut client, reason).await;
    }
}

#[tokio::test]
async fn a_simple_client_gets_the_close_frame_alone() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    server.rest().post(&chat(":closeConnections?reason=night")).expect(204).await;
    client.expect_close(1000, "").await;
}

#[tokio::test]
async fn what_was_sent_before_a_close_arrives_before_it() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    for number in 0..20 {
        server.rest().post(&chat("groups/room/:send")).text(&number.to_string()).expect(202).await;
    }
    server.rest().post(&chat("users/ann/:closeConnections")).expect(204).await;
    for number in 0..20 {
        assert_eq!(client.next_json().await["data"], number.to_string());
    }
    expect_closed(&mut client, "").await;
}

#[tokio::test]
async fn excluded_connections_stay_open() {
    let server = Server::start().await;
    for path in ["groups/room/:closeConnections", "users/ann/:closeConnections", ":closeConnections"] {
        let (mut stays, mut goes) = (ann(&server).await, ann(&server).await);
        let id = stays.connection_id().to_owned();
        let query = format!("?excluded={id}&excluded={id}&excluded=unknown&excluded=");
        server.rest().post(&chat(&format!("{path}{query}"))).expect(204).await;
        expect_closed(&mut goes, "").await;
        expect_nothing_but_marker(&server, &mut stays).await;
        let query = format!("?excluded={id},x&excluded=%20{id}");
        server.rest().post(&chat(&format!("{path}{query}"))).expect(204).await;
        expect_closed(&mut stays, "").await;
    }
}

#[tokio::test]
async fn closing_what_is_not_there_is_204() {
    let server = Server::start().await;
    let rest = server.rest();
    rest.delete(&chat("connections/none")).expect(204).await;
    for path in ["groups/empty/:closeConnections", "users/nobody/:closeConnections", ":closeConnections"] {
        rest.post(&chat(path)).expect(204).await;
    }
}

#[tokio::test]
async fn a_repeated_reason_is_400_and_closes_nobody() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    let reply = server.rest().post(&chat(":closeConnections?reason=a&reason=b")).expect(400).await;
    assert_error(&reply, "Error.BadRequest", "Request");
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn a_connection_a_group_and_a_user_exist_while_there_is_a_connection() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    let paths = [
        (format!("connections/{}", client.connection_id()), "Warning.Connection.NotExisted"),
        ("groups/room".to_owned(), "Warning.Group.NotExisted"),
        ("users/ann".to_owned(), "Warning.User.NotExisted"),
    ];
    for (path, code) in &paths {
        let reply = server.rest().head(&chat(path)).expect(200).await;
        assert_eq!(reply.header("x-ms-error-code"), None, "{path}");
        // Another hub is another world.
        let reply = server.rest().head(&format!("/api/hubs/other/{path}")).expect(404).await;
        assert_eq!(reply.header("x-ms-error-code"), Some(*code), "{path}");
    }
    for path in ["groups/Room", "users/Ann"] {
        server.rest().head(&chat(path)).expect(404).await;
    }
    server.rest().post(&chat(":closeConnections")).expect(204).await;
    expect_closed(&mut client, "").await;
    for (path, code) in &paths {
        let reply = server.rest().head(&chat(path)).expect(404).await;
        assert_eq!(reply.header("x-ms-error-code"), Some(*code), "{path}");
        assert!(reply.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_over_rest_is_gone_at_once() {
    let server = Server::start().await;
    // The client does not read, so nothing but the call itself can have ended the connection.
    let client = ann(&server).await;
    let path = chat(&format!("connections/{}", client.connection_id()));
    server.rest().delete(&path).expect(204).await;
    server.rest().head(&path).expect(404).await;
    server.rest().head(&chat("users/ann")).expect(404).await;
    server.rest().head(&chat("groups/room")).expect(404).await;
}

/// Longest time that a client which does not go along keeps its socket after a close, with some for a slow machine.
const LONGEST_LEAVE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn the_socket_of_a_closed_client_that_reads_nothing_is_gone_soon() {
    let server = Server::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(120)).outbox(1000, 64 << 20);
    })
    .await;
    let socket = server.raw_upgraded("chat", &ClientSpec::json().user("ann")).await;
    // More than the kernel takes, so that the farewell waits behind it.
    let big = "x".repeat(900_000);
    for _ in 0..40 {
        server.rest().post(&chat(":send")).text(&big).expect(202).await;
    }
    let start = Instant::now();
    server.rest().post(&chat("users/ann/:closeConnections")).expect(204).await;
    // The client is told by a reset, as it would never come to the end of what it was sent.
    within_deadline("the end of the socket", socket.stream.ready(Interest::ERROR)).await.unwrap();
    assert!(start.elapsed() < LONGEST_LEAVE, "{:?}", start.elapsed());
    assert!(socket.stream.take_error().unwrap().is_some(), "an orderly end");
}

#[tokio::test]
async fn the_socket_of_a_closed_client_that_does_not_hang_up_is_gone_soon() {
    let server = Server::start().await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::simple().user("ann")).await;
    let start = Instant::now();
    server.rest().post(&chat("users/ann/:closeConnections")).expect(204).await;
    socket.expect_close(1000, "").await;
    socket.expect_end().await;
    // What arrives at a socket that is gone is answered by a reset.
    let gone = async {
        while socket.stream.write_all(&Frame::ping("x").bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within_deadline("the end of the socket", gone).await;
    assert!(start.elapsed() < LONGEST_LEAVE, "{:?}", start.elapsed());
}
