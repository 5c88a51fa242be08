//! Metadata of messages that are sent again. Source: `client-protocols.md` 6.7 and 10.2, `client-protobuf.md` 4.

use proto::client::upstream_message::Message;
use serde_json::{Value, json};

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, next_frame, publish};
use crate::support::protobuf::{send, text};
use crate::support::{ClientSpec, Server};

both!(metadata_comes_again_with_its_message_byte_for_byte, metadata_of_messages_sent_meanwhile_comes_along);

/// With one worker messages of different publishers come in the order in which they were acknowledged.
async fn one_worker() -> Server {
    Server::with(|setup| {
        setup.workers(1);
    })
    .await
}

/// Sends text with metadata to group `g`, from a client of each kind and from the application. What is to be received.
async fn publish_all(server: &Server) -> Vec<Value> {
    let several = json!({"trace": "a1", "Trace": "", "k": "v".repeat(1024)});
    let mut json = server.connect("chat", ClientSpec::member()).await;
    json.send_json(json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "j",
        "metadata": several, "ackId": 1}))
        .await;
    assert_eq!(json.next_json().await["success"], true);
    json.send_json(json!({"type": "sendToGroup", "group": "g", "metadata": {"alone": "x"}, "ackId": 2}))
        .await;
    assert_eq!(json.next_json().await["success"], true);

    let mut protobuf = server.connect("chat", ClientSpec::protobuf_member()).await;
    let mut message = send("g", text("p"));
    message.metadata = serde_json::from_value(several.clone()).unwrap();
    message.ack_id = Some(1);
    let success = crate::support::protobuf::success(1);
    protobuf.ask_protobuf(Message::SendToGroupMessage(message), success).await;

    let call = server.rest().post("/api/hubs/chat/groups/g/:send").text("r");
    call.header("X-WebPubSub-Metadata-Trace", "a1").expect(202).await;
    let expected =
        [("j", several.clone()), ("", json!({"alone": "x"})), ("p", several), ("r", json!({"trace": "a1"}))];
    expected.into_iter().map(|(data, metadata)| json!({"data": data, "metadata": metadata})).collect()
}

fn check(message: &Value, expected: &Value, sequence_id: usize) {
    let got = (&message["data"], &message["metadata"], &message["sequenceId"]);
    assert_eq!(got, (&expected["data"], &expected["metadata"], &json!(sequence_id)));
}

async fn metadata_comes_again_with_its_message_byte_for_byte(dialect: Dialect) {
    let server = one_worker().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let all = publish_all(&server).await;
    let mut frames = Vec::new();
    for (sequence_id, expected) in (1..).zip(&all) {
        let frame = next_frame(&mut peer.socket).await;
        check(&dialect.read(&frame), expected, sequence_id);
        frames.push(frame);
    }
    // Twice: what is sent again is kept on.
    for _ in 0..2 {
        peer = peer.lose().recover(&server).await;
        for frame in &frames {
            assert!(next_frame(&mut peer.socket).await == *frame, "not the bytes of before");
        }
    }
    publish(&server, "none").await;
    assert_eq!(peer.next().await.get("metadata"), None);
}

async fn metadata_of_messages_sent_meanwhile_comes_along(dialect: Dialect) {
    let server = one_worker().await;
    let ticket = Peer::connect(&server, dialect).await.away().await;
    let all = publish_all(&server).await;
    let mut peer = ticket.recover(&server).await;
    for (sequence_id, expected) in (1..).zip(&all) {
        check(&peer.next().await, expected, sequence_id);
    }
    peer.expect_nothing_before_pong().await;
}
