//! Bodies of sends: content types, charsets, sizes, and the metadata beside them.

use serde_json::json;

use crate::support::{ClientSpec, RawSocket, Server};
use crate::{assert_error, chat, expect_nothing_but_marker, next_data};

const MEBIBYTE: usize = 1_048_576;

#[tokio::test]
async fn the_content_type_decides_the_data_type() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let base64 = json!("aMOp");
    for (content_type, data_type, data) in [
        ("text/plain", "text", json!("hé")),
        ("TEXT/Plain; charset=\"UTF-8\"", "text", json!("hé")),
        ("text/plain; charset=iso-8859-1", "text", json!("hÃ©")),
        ("application/octet-stream", "binary", base64.clone()),
        ("application/octet-stream; charset=nonsense", "binary", base64.clone()),
        ("", "binary", base64.clone()),
    ] {
        server.rest().post(&chat(":send")).body(content_type, "hé").expect(202).await;
        let message = client.next_json().await;
        assert_eq!((&message["dataType"], &message["data"]), (&json!(data_type), &data), "{content_type}");
    }
    server.rest().post(&chat(":send")).untyped("hé").expect(202).await;
    let message = client.next_json().await;
    assert_eq!((&message["dataType"], &message["data"]), (&json!("binary"), &base64));
}

#[tokio::test]
async fn json_stays_json() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for value in [json!({"a": [1, null, "é"]}), json!("text"), json!(1.5), json!(true)] {
        server.rest().post(&chat(":send")).json(&value).expect(202).await;
        let message = client.next_json().await;
        assert_eq!((&message["dataType"], &message["data"]), (&json!("json"), &value));
    }
}

#[tokio::test]
async fn a_bare_null_arrives_as_text_because_no_client_survives_it_as_json() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut simple = server.connect("chat", ClientSpec::simple()).await;
    server.rest().post(&chat(":send")).body("application/json", " null ").expect(202).await;
    let message = client.next_json().await;
    assert_eq!((&message["dataType"], &message["data"]), (&json!("text"), &json!("null")));
    assert_eq!(simple.next_text().await, " null ");
}

#[tokio::test]
async fn other_content_types_are_415() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("g")).await;
    let connection = format!("connections/{}/:send", client.connection_id());
    for target in [":send", "groups/g/:send", "users/ann/:send", &connection] {
        for content_type in [
            "text/html",
            "application/x-protobuf",
            "text",
            "text/plain; charset=nonsense",
            "text/plain; charset=\"utf-8",
            "application/json, text/plain",
        ] {
            let reply = server.rest().post(&chat(target)).body(content_type, "1").expect(415).await;
            assert_error(&reply, "Error.UnsupportedMediaType", "Request");
        }
    }
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn bytes_that_are_not_what_they_are_called_are_400() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (content_type, body, message) in [
        ("application/json", &b""[..], "The request body is not a valid JSON."),
        ("application/json", b"{", "The request body is not a valid JSON."),
        ("application/json", b"{} {}", "The request body is not a valid JSON."),
        ("application/json", b"\"\xe9\"", "The request body is not a valid JSON."),
        ("text/plain", b"\xe9", "The request body is not valid text in its charset."),
        ("text/plain; charset=utf-16", b"h", "The request body is not valid text in its charset."),
    ] {
        let reply = server.rest().post(&chat(":send")).body(content_type, body).expect(400).await;
        assert_error(&reply, "Error.BadRequest", "Request");
        assert_eq!(reply.json()["message"], message);
    }
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn empty_bodies_are_sent_as_text_and_bytes() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    server.rest().post(&chat(":send")).text("").expect(202).await;
    server.rest().post(&chat(":send")).binary(b"").expect(202).await;
    server.rest().post(&chat(":send")).expect(202).await;
    for data_type in ["text", "binary", "binary"] {
        let message = client.next_json().await;
        assert_eq!((&message["dataType"], &message["data"]), (&json!(data_type), &json!("")));
    }
}

#[tokio::test]
async fn a_mebibyte_is_sent_and_a_byte_more_is_400() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    let body = "x".repeat(MEBIBYTE);
    server.rest().post(&chat(":send")).text(&body).expect(202).await;
    assert_eq!(client.next_text().await.len(), MEBIBYTE);
    let reply = server.rest().post(&chat(":send")).text(&format!("{body}x")).expect(400).await;
    assert_error(&reply, "Error.BadRequest", "Request");
    let message = reply.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Invalid Content-Length header."), "{message}");
    server.rest().post(&chat(":send")).text("marker").expect(202).await;
    assert_eq!(client.next_text().await, "marker");
}

/// Head of a send whose body comes in chunks.
fn chunked_head(server: &Server) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: text/plain\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.address(),
        server.rest().token(&chat(":send")).sign(),
        target = chat(":send"),
    )
}

async fn write_chunk(socket: &mut RawSocket, text: &str) {
    socket.write(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await;
}

#[tokio::test]
async fn a_chunked_body_is_accepted() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut socket = server.raw().await;
    socket.write(chunked_head(&server).as_bytes()).await;
    write_chunk(&mut socket, "in ").await;
    write_chunk(&mut socket, "pieces").await;
    socket.write(b"0\r\n\r\n").await;
    assert_eq!(socket.read_response().await.status, 202);
    assert_eq!(next_data(&mut client).await, "in pieces");
}

#[tokio::test]
async fn a_chunked_body_that_grows_too_long_is_400() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut socket = server.raw().await;
    socket.write(chunked_head(&server).as_bytes()).await;
    let chunk = "x".repeat(MEBIBYTE / 4);
    for _ in 0..4 {
        write_chunk(&mut socket, &chunk).await;
    }
    write_chunk(&mut socket, "x").await;
    socket.write(b"0\r\n\r\n").await;
    assert_eq!(socket.read_response().await.status, 400);
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn a_refused_caller_sees_the_refusal_although_it_sends_much() {
    let server = Server::start().await;
    let body = "x".repeat(MEBIBYTE);
    for _ in 0..3 {
        server.rest().post(&chat(":send")).text(&body).without_token().expect(401).await;
        server.rest().post("/api/nothing").text(&body).expect(404).await;
        server.rest().post(&chat(":send")).body("text/html", body.clone()).expect(415).await;
        server.rest().post(&chat(":send")).text(&format!("{body}{body}")).expect(400).await;
    }
}

#[tokio::test]
async fn a_caller_that_expects_to_continue_is_refused_before_it_sends() {
    let server = Server::start().await;
    let mut socket = server.raw().await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        chat(":send"),
        server.address()
    );
    socket.write(head.as_bytes()).await;
    assert_eq!(socket.read_response().await.status, 401);
}

#[tokio::test]
async fn metadata_headers_travel_with_the_message() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("g")).await;
    let connection = format!("connections/{}/:send", client.connection_id());
    for target in [":send", "groups/g/:send", "users/ann/:send", &connection] {
        server
            .rest()
            .post(&chat(target))
            .text("x")
            .header("X-WebPubSub-Metadata-Trace-Id", "a1")
            .header("x-webpubsub-metadata-list", "a, b")
            .header("X-WEBPUBSUB-METADATA-Twice", "1")
            .header("X-WebPubSub-Metadata-twice", "2")
            .header("X-WebPubSub-Metadata-empty", "")
            .expect(202)
            .await;
        let expected = json!({"trace-id": "a1", "list": "b", "twice": "2", "empty": ""});
        assert_eq!(client.next_json().await["metadata"], expected, "{target}");
    }
}

#[tokio::test]
async fn metadata_may_have_many_entries() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut call = server.rest().post(&chat(":send")).text("x");
    for number in 0..200 {
        call = call.header(&format!("X-WebPubSub-Metadata-k{number}"), "v");
    }
    call.expect(202).await;
    assert_eq!(client.next_json().await["metadata"].as_object().unwrap().len(), 200);
}

#[tokio::test]
async fn metadata_at_its_limits_travels_and_beyond_is_400() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let name = |length: usize| format!("X-WebPubSub-Metadata-{}", "k".repeat(length));
    let send = || server.rest().post(&chat(":send")).text("x");

    send().header(&name(256), &"v".repeat(1024)).expect(202).await;
    assert_eq!(client.next_json().await["metadata"]["k".repeat(256)], "v".repeat(1024));
    let eight =
        (0..8).fold(send(), |call, n| call.header(&format!("X-WebPubSub-Metadata-{n}"), &"v".repeat(1023)));
    eight.clone().expect(202).await;
    assert_eq!(client.next_json().await["metadata"].as_object().unwrap().len(), 8);

    for call in [
        send().header(&name(257), "v"),
        send().header(&name(0), "v"),
        send().header(&name(1), &"v".repeat(1025)),
        send().header(&name(1), "é"),
        eight.header("X-WebPubSub-Metadata-8", ""),
    ] {
        let reply = call.expect(400).await;
        assert_error(&reply, "Error.BadRequest", "Request");
    }
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_service() {
    let server = Server::start().await;
    let bad_metadata = |call: crate::support::Call| call.header("X-WebPubSub-Metadata-k", "é");
    let post = |target: &str| server.rest().post(&chat(target));
    let large = "x".repeat(MEBIBYTE + 1);
    let json = bad_metadata(post(":send")).body("application/json", "{").expect(400).await;
    assert_eq!(json.json()["message"], "The request body is not a valid JSON.");
    bad_metadata(post(":send")).body("text/html", "{").expect(415).await;
    bad_metadata(post(":send")).body("text/html", large).expect(400).await;
    let filter = post(":send?filter=%20").body("text/html", "x").expect(400).await;
    assert!(filter.json()["message"].as_str().unwrap().contains("'filter'"));
}
