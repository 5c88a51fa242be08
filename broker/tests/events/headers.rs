//! The headers of events, all of them and no others.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::json;

use crate::support::{
    Answer, Arrived, BareHandler, ClientSpec, Handler, HandlerSpec, JSON, PRIMARY_KEY, SECONDARY_KEY, Server,
};
use crate::{acked, broker_with, event, knock, user_events_to};

/// Headers that belong to HTTP and not to the event.
const OF_HTTP: [&str; 4] = ["host", "content-length", "accept", "user-agent"];
/// Headers whose values have tests of their own.
const CHANGING: [&str; 3] = ["ce-time", "x-ms-client-request-id", "ce-signature"];

fn hash(key: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, message.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time as `ce-time` has it.
fn written(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(if year.is_multiple_of(100) { 400 } else { 4 });
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 0;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, days + 1)
}

fn shown(arrived: &Arrived) -> BTreeMap<&str, &str> {
    let of_event = |name: &str| !OF_HTTP.contains(&name) && !CHANGING.contains(&name);
    let headers = arrived.headers.iter().filter(|(name, _)| of_event(name));
    headers.map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap())).collect()
}

/// Checks that an event has exactly the headers that all have, and these.
fn check(arrived: &Arrived, event_type: &str, more: &[(&str, &str)]) {
    let connection_id = arrived.connection_id();
    let source = format!("/hubs/chat/client/{connection_id}");
    let event = event_type.rsplit('.').next().unwrap();
    let mut expected = BTreeMap::from([
        ("ce-specversion", "1.0"),
        ("ce-awpsversion", "1.0"),
        ("ce-type", event_type),
        ("ce-source", &source),
        ("ce-connectionid", connection_id),
        ("ce-hub", "chat"),
        ("ce-eventname", event),
        ("webhook-request-origin", "127.0.0.1"),
    ]);
    expected.extend(more.iter().copied());
    assert_eq!(shown(arrived), expected, "{event_type}");
    for name in CHANGING {
        assert!(arrived.header(name).is_some(), "{name} is absent: {arrived:?}");
    }
    assert_eq!(arrived.header("content-length"), Some(&*arrived.body.len().to_string()));
}

#[tokio::test]
async fn every_event_has_the_headers_of_its_kind_and_no_others() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.everything().groups(&["joined", "left"]));
    })
    .await;
    let spec = ClientSpec::json().user("ann").role("webpubsub.joinLeaveGroup");
    let mut client = server.connect("Chat", spec).await;
    let connect = handler.expect("connect").await;
    assert!(connect.header("content-type").unwrap().starts_with("application/json"));
    let content_type = connect.header("content-type").unwrap();
    check(
        &connect,
        "azure.webpubsub.sys.connect",
        &[("ce-id", "0"), ("ce-userid", "ann"), ("content-type", content_type)],
    );
    assert_eq!(connect.connection_id(), client.connection_id());
    let of_json = [("ce-userid", "ann"), ("ce-subprotocol", JSON), ("content-type", "application/json")];
    let with_id = |id| [&[("ce-id", id)], &of_json[..]].concat();
    check(&handler.expect("connected").await, "azure.webpubsub.sys.connected", &with_id("1"));
    let metadata = json!({"Trace-ID": "a1, b", "k": ""});
    client.request(json!({"type": "event", "event": "Order", "data": {}, "metadata": metadata})).await;
    let more = [("x-webpubsub-metadata-trace-id", "a1, b"), ("x-webpubsub-metadata-k", "")];
    check(&handler.expect("Order").await, "azure.webpubsub.user.Order", &[&with_id("2")[..], &more].concat());
    client.join("g").await;
    check(&handler.expect("joined").await, "azure.webpubsub.gp.joined", &with_id("3"));
    client.leave("g").await;
    check(&handler.expect("left").await, "azure.webpubsub.gp.left", &with_id("4"));
    client.close().await;
    check(&handler.expect("disconnected").await, "azure.webpubsub.sys.disconnected", &with_id("5"));
}

#[tokio::test]
async fn a_simple_client_without_a_user_has_neither_user_nor_subprotocol_in_its_events() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    client.send_text("hi").await;
    client.send_binary(&[1]).await;
    client.send_close(1000, "").await;
    let arrived = handler.by_number(5).await;
    for (arrived, (event_type, id, content_type)) in arrived.iter().zip([
        ("azure.webpubsub.sys.connect", "0", "application/json"),
        ("azure.webpubsub.sys.connected", "1", "application/json"),
        ("azure.webpubsub.user.message", "2", "text/plain; charset=utf-8"),
        ("azure.webpubsub.user.message", "3", "application/octet-stream"),
        ("azure.webpubsub.sys.disconnected", "4", "application/json"),
    ]) {
        let mut more = vec![("ce-id", id), ("content-type", content_type)];
        if id == "0" {
            more[1].1 = arrived.header("content-type").unwrap();
        }
        check(arrived, event_type, &more);
    }
}

#[tokio::test]
async fn the_signature_is_made_of_the_connection_id_with_each_key() {
    assert_eq!(
        hash("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH", "conn-1"),
        "261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881",
        "the test vector"
    );
    for has_two in [true, false] {
        let handler = Handler::start().await;
        let server = Server::with(|setup| {
            setup.handler("chat", &handler, HandlerSpec::everything);
            if !has_two {
                setup.one_key();
            }
        })
        .await;
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.request(json!({"type": "event", "event": "e", "data": 1})).await;
        let id = client.connection_id().to_owned();
        client.close().await;
        let mut expected = format!("sha256={}", hash(PRIMARY_KEY, &id));
        if has_two {
            expected.push_str(&format!(",sha256={}", hash(SECONDARY_KEY, &id)));
        }
        for arrived in handler.expect_all(&["connect", "connected", "e", "disconnected"]).await {
            assert_eq!(arrived.header("ce-signature"), Some(&*expected), "{arrived:?}");
        }
    }
}

#[tokio::test]
async fn the_time_is_utc_in_whole_seconds() {
    assert_eq!(written(UNIX_EPOCH + std::time::Duration::from_secs(951_825_845)), "2000-02-29T12:04:05Z");
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let before = written(SystemTime::now());
    client.request(json!({"type": "event", "event": "e", "data": 1})).await;
    let arrived = handler.expect("e").await;
    let time = arrived.header("ce-time").unwrap();
    assert!(time.len() == before.len(), "{time}");
    assert!(*time >= *before && *time <= *written(SystemTime::now()), "{time}");
}

#[tokio::test]
async fn every_event_has_a_request_id_of_its_own() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, acked(1));
    let mut ids = Vec::new();
    for arrived in handler.expect_all(&["connect", "connected", "e"]).await {
        let id = arrived.header("x-ms-client-request-id").unwrap().to_owned();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id} is no UUID");
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id} is no UUID");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn events_are_counted_whether_or_not_anybody_takes_them() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, |spec| spec.user("taken, failing").system(&["disconnected"])).await;
    handler.always("failing", Answer::status(400));
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for name in ["taken", "unknown", "failing", "unknown", "taken"] {
        client.request(json!({"type": "event", "event": name, "data": 1})).await;
    }
    // Duplicates are no events, and neither are messages of other kinds.
    client.send_json(event("taken", 5)).await;
    assert_eq!(client.next_json().await, acked(5));
    client.send_json(event("taken", 5)).await;
    assert_eq!(client.next_json().await["success"], false);
    client.close().await;
    for (name, id) in [("taken", 2), ("failing", 4), ("taken", 6), ("taken", 7), ("disconnected", 8)] {
        assert_eq!(handler.expect(name).await.id(), id, "{name}");
    }
}

#[tokio::test]
async fn each_connection_counts_for_itself() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    for _ in 0..3 {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.request(json!({"type": "event", "event": "e", "data": 1})).await;
        let arrived = handler.expect("e").await;
        assert_eq!((arrived.id(), arrived.connection_id()), (2, client.connection_id()));
    }
}

#[tokio::test]
async fn the_user_is_sent_as_utf_8() {
    for user in ["zoë", "ann 1", "用户", "a@b.c/d"] {
        let handler = Handler::start().await;
        let server = broker_with(&handler, HandlerSpec::everything).await;
        let mut client = server.connect("chat", ClientSpec::json().user(user)).await;
        client.request(json!({"type": "event", "event": "e", "data": 1})).await;
        for arrived in handler.expect_all(&["connect", "connected", "e"]).await {
            assert_eq!(arrived.bytes("ce-userid"), Some(user.as_bytes()), "{arrived:?}");
        }
    }
}

#[tokio::test]
async fn a_user_that_no_header_can_carry_cannot_be_told_of() {
    for user in ["a\nb", "a\r\nce-hub: other", "a\u{0}", "\u{7f}"] {
        let handler = Handler::start().await;
        let server = broker_with(&handler, HandlerSpec::everything).await;
        let response = knock(&server, &ClientSpec::json().user(user)).await;
        assert!(response.status >= 400, "{user:?}: {response:?}");
        let client = server.connect("chat", ClientSpec::json().user("ann")).await;
        client.close().await;
        for arrived in handler.expect_all(&["connect", "connected", "disconnected"]).await {
            assert_eq!(arrived.header("ce-userid"), Some("ann"));
        }
    }
}

#[tokio::test]
async fn the_origin_is_the_host_that_the_client_named_without_its_port() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.allow_anonymous("chat").handler("chat", &handler, HandlerSpec::everything);
    })
    .await;
    for (host, origin) in [
        ("rt.example.com", "rt.example.com"),
        ("rt.example.com:8443", "rt.example.com"),
        ("[::1]:8080", "[::1]"),
        ("10.0.0.7:80", "10.0.0.7"),
    ] {
        let mut socket = server.raw().await;
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write(request.as_bytes()).await;
        assert_eq!(socket.read_response().await.status, 101);
        for event in ["connect", "connected"] {
            let arrived = handler.expect(event).await;
            assert_eq!(arrived.header("webhook-request-origin"), Some(origin), "{host}");
        }
        drop(socket);
        handler.expect("disconnected").await;
    }
}

#[tokio::test]
async fn of_metadata_keys_that_differ_in_case_the_last_one_is_sent() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let request = r#"{"type":"event","event":"e","data":1,"ackId":1,"metadata":{"Key":"first","KEY":"second","key":"third"}}"#;
    client.send_text(request).await;
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(handler.expect("e").await.header("x-webpubsub-metadata-key"), Some("third"));
}

#[tokio::test]
async fn a_body_has_its_length_announced_and_comes_in_one_piece() {
    let bare = BareHandler::start("HTTP/1.1 204 No Content\r\n\r\n").await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &bare.url("/{event}"), HandlerSpec::everything);
    })
    .await;
    let check = async |line: &str, length: Option<usize>| {
        let head = bare.next_head().await;
        assert_eq!(head.lines().next(), Some(line));
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding"), "{head}");
        let length = length.map_or_else(String::new, |length| format!("{length}\r\n"));
        assert!(head.contains(&format!("\r\ncontent-length: {length}")), "{head}");
    };
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    check("POST /connect HTTP/1.1", None).await;
    check("POST /connected HTTP/1.1", Some(2)).await;
    for text in ["", "twelve bytes"] {
        client.send_text(text).await;
        check("POST /message HTTP/1.1", Some(text.len())).await;
    }
    client.close().await;
    check("POST /disconnected HTTP/1.1", Some(13)).await;
}
