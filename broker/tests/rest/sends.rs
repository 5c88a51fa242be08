//! The four sends: who receives what, with every option.

use serde_json::json;

use crate::support::{Client, ClientSpec, Received, Server, escape};
use crate::{assert_error, chat, expect_nothing_but_marker, next_data};

/// The four targets while the client is a connection of `ann` in `room`.
fn targets(client: &Client) -> [String; 4] {
    let connection = format!("connections/{}/:send", client.connection_id());
    [chat(":send"), chat("groups/room/:send"), chat("users/ann/:send"), chat(&connection)]
}

async fn ann(server: &Server) -> Client {
    server.connect("chat", ClientSpec::json().user("ann").group("room")).await
}

#[tokio::test]
async fn a_send_reaches_its_target_and_nobody_else() {
    let server = Server::start().await;
    let mut target = ann(&server).await;
    let mut other = server.connect("chat", ClientSpec::json().user("bob").group("hall")).await;
    let mut elsewhere = server.connect("other", ClientSpec::json().user("ann").group("room")).await;
    for path in targets(&target) {
        server.rest().post(&path).text(&path).expect(202).await;
        assert_eq!(next_data(&mut target).await, *path);
        if path.ends_with("chat/:send") {
            assert_eq!(next_data(&mut other).await, *path);
        }
    }
    expect_nothing_but_marker(&server, &mut other).await;
    server.rest().post("/api/hubs/other/:send").text("marker").expect(202).await;
    assert_eq!(next_data(&mut elsewhere).await, "marker");
}

#[tokio::test]
async fn receivers_see_server_or_group_as_the_origin() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    for path in targets(&client) {
        server.rest().post(&path).text("hi").expect(202).await;
        let mut expected = json!({"type": "message", "from": "server", "dataType": "text", "data": "hi"});
        if path.contains("/groups/") {
            expected["from"] = json!("group");
            expected["group"] = json!("room");
            expected["fromUserId"] = json!(null);
        }
        assert_eq!(client.next_json().await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_simple_client_gets_bare_frames() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    let rest = server.rest();
    rest.post(&chat(":send")).text("text").expect(202).await;
    rest.post(&chat(":send")).json(&json!({"a": 1})).expect(202).await;
    rest.post(&chat(":send")).binary(&[0, 255]).header("X-WebPubSub-Metadata-K", "v").expect(202).await;
    assert_eq!(client.next().await, Received::Text("text".into()));
    assert_eq!(client.next().await, Received::Text("{\"a\":1}".into()));
    assert_eq!(client.next().await, Received::Binary(vec![0, 255]));
}

#[tokio::test]
async fn a_send_to_nobody_is_accepted() {
    let server = Server::start().await;
    for path in ["groups/empty/:send", "users/nobody/:send", "connections/none/:send", ":send"] {
        server.rest().post(&chat(path)).text("x").expect(202).await;
    }
}

#[tokio::test]
async fn every_member_of_the_target_gets_one_copy() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients
            .push(server.connect("chat", ClientSpec::json().user("ann").group("room").group("hall")).await);
    }
    for path in ["groups/room/:send", "users/ann/:send", ":send"] {
        server.rest().post(&chat(path)).text(path).expect(202).await;
        for client in &mut clients {
            assert_eq!(next_data(client).await, path);
        }
    }
    for client in &mut clients {
        client.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn awaited_sends_arrive_in_their_order_whatever_their_targets() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    let paths = targets(&client);
    for number in 0..60_usize {
        server.rest().post(&paths[number % 4]).text(&number.to_string()).expect(202).await;
    }
    for number in 0..60_usize {
        assert_eq!(next_data(&mut client).await, number.to_string());
    }
}

#[tokio::test]
async fn excluded_connections_get_nothing() {
    let server = Server::start().await;
    let mut first = ann(&server).await;
    let mut second = ann(&server).await;
    let (a, b) = (first.connection_id().to_owned(), second.connection_id().to_owned());
    for target in [":send", "groups/room/:send"] {
        let path = chat(&format!("{target}?excluded={a}&excluded={a}&excluded=unknown"));
        server.rest().post(&path).text(target).expect(202).await;
        assert_eq!(next_data(&mut second).await, target);
        let path = chat(&format!("{target}?excluded={a}&excluded={b}"));
        server.rest().post(&path).text("nobody").expect(202).await;
    }
    expect_nothing_but_marker(&server, &mut first).await;
    assert_eq!(next_data(&mut second).await, "marker");
}

#[tokio::test]
async fn excluded_values_are_literals() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    let id = client.connection_id().to_owned();
    for excluded in [format!("{id},other"), format!("%20{id}"), format!("{id}%20"), String::new()] {
        let path = chat(&format!(":send?excluded={excluded}"));
        server.rest().post(&path).text(&excluded).expect(202).await;
        assert_eq!(next_data(&mut client).await, *excluded);
    }
}

#[tokio::test]
async fn users_and_connections_have_no_excluded() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    let id = client.connection_id().to_owned();
    for target in ["users/ann/:send".to_owned(), format!("connections/{id}/:send")] {
        let path = chat(&format!("{target}?excluded={id}"));
        server.rest().post(&path).text("x").expect(202).await;
        assert_eq!(next_data(&mut client).await, "x", "{target}");
    }
}

#[tokio::test]
async fn a_filter_chooses_among_the_target() {
    let server = Server::start().await;
    let mut ann = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let mut brien = server.connect("chat", ClientSpec::json().user("O'Brien").group("room")).await;
    let mut nobody = server.connect("chat", ClientSpec::json().group("room")).await;
    for target in [":send", "groups/room/:send"] {
        for (filter, expected) in [
            ("userId eq 'ann'", [true, false, false]),
            ("userId eq 'O''Brien'", [false, true, false]),
            ("userId eq null", [false, false, true]),
            ("'room' in groups and userId ne null", [true, true, false]),
            ("length(groups) gt 5", [false, false, false]),
            ("", [true, true, true]),
        ] {
            let path = chat(&format!("{target}?filter={}", escape(filter)));
            server.rest().post(&path).text(filter).expect(202).await;
            for (client, receives) in [&mut ann, &mut brien, &mut nobody].into_iter().zip(expected) {
                if receives {
                    assert_eq!(next_data(client).await, filter, "{target} {filter}");
                }
            }
        }
    }
    let path = chat(&format!("users/ann/:send?filter={}", escape("userId eq 'bob'")));
    server.rest().post(&path).text("contradiction").expect(202).await;
    expect_nothing_but_marker(&server, &mut ann).await;
    for client in [&mut brien, &mut nobody] {
        assert_eq!(next_data(client).await, "marker");
    }
}

#[tokio::test]
async fn a_plus_and_an_escape_in_a_filter_are_decoded_once() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("a+b c")).await;
    let path = chat(":send?filter=userId+eq+%27a%2Bb%20c%27");
    server.rest().post(&path).text("found").expect(202).await;
    assert_eq!(next_data(&mut client).await, "found");
}

#[tokio::test]
async fn an_invalid_filter_is_400_before_the_body_is_looked_at() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    for target in [":send", "groups/room/:send", "users/ann/:send"] {
        for filter in [" ", "   ", "userId", "ab eq 1", "userId eq \"ann\"", "not userId eq 'ann'", "(true"] {
            let path = chat(&format!("{target}?filter={}", escape(filter)));
            let reply = server.rest().post(&path).body("application/json", "{").expect(400).await;
            assert_error(&reply, "Error.BadRequest", "Request");
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            assert!(message.ends_with("(Parameter 'filter')"), "{message}");
        }
    }
    let path = chat(":send?filter=true&filter=true");
    server.rest().post(&path).text("x").expect(400).await;
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn a_time_to_live_is_a_whole_number_of_seconds_up_to_300() {
    let server = Server::start().await;
    let mut client = ann(&server).await;
    for path in targets(&client) {
        for seconds in ["0", "1", "300"] {
            let path = format!("{path}?messageTtlSeconds={seconds}");
            server.rest().post(&path).text(seconds).expect(202).await;
            assert_eq!(next_data(&mut client).await, seconds, "{path}");
        }
        for seconds in ["-1", "301", "1.5", "x", "", "%20"] {
            let path = format!("{path}?messageTtlSeconds={seconds}");
            let reply = server.rest().post(&path).text("x").expect(400).await;
            assert_error(&reply, "Error.BadRequest", "Request");
        }
    }
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn what_a_client_may_not_do_the_application_may() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().group("room")).await;
    server.rest().post(&chat("groups/room/:send")).text("hi").expect(202).await;
    assert_eq!(next_data(&mut client).await, "hi");
}
