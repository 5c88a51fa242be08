//! Messages that are of no use any more when their receiver comes back. Source: `client-protocols.md` 6.2, `limits.md`.

use std::time::Duration;

use proto::client::upstream_message::Message;
use serde_json::json;

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, next_frame};
use crate::support::protobuf::{send, success, text};
use crate::support::{Client, ClientSpec, Server};

both!(
    what_a_client_sends_expires_while_its_receiver_is_away_if_it_is_to,
    what_has_been_received_and_has_expired_does_not_come_again,
);

/// Publishes to group `g` in both encodings, and waits until it is done.
struct Publishers {
    json: Client,
    protobuf: Client,
    ack_id: u64,
}

impl Publishers {
    async fn connect(server: &Server) -> Self {
        let json = server.connect("chat", ClientSpec::member()).await;
        let protobuf = server.connect("chat", ClientSpec::protobuf_member()).await;
        Self { json, protobuf, ack_id: 0 }
    }

    /// One message of each, `j` and `p` with this time to live after it.
    async fn publish(&mut self, ttl_seconds: Option<u32>) {
        let data = ttl_seconds.map_or("none".to_owned(), |seconds| seconds.to_string());
        let mut message =
            json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": format!("j{data}")});
        if let Some(seconds) = ttl_seconds {
            message["ttlSeconds"] = seconds.into();
        }
        assert_eq!(self.json.request(message).await["success"], true);

        self.ack_id += 1;
        let mut message = send("g", text(&format!("p{data}")));
        message.ttl_seconds = ttl_seconds;
        message.ack_id = Some(self.ack_id);
        self.protobuf.ask_protobuf(Message::SendToGroupMessage(message), success(self.ack_id)).await;
    }
}

/// Not a wait for an event: that time passes is what is tested.
async fn outlive_a_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

async fn what_a_client_sends_expires_while_its_receiver_is_away_if_it_is_to(dialect: Dialect) {
    let server = Server::start().await;
    let ticket = Peer::connect(&server, dialect).await.away().await;
    let mut publishers = Publishers::connect(&server).await;
    for ttl_seconds in [Some(1), Some(0), Some(1), None, Some(300)] {
        publishers.publish(ttl_seconds).await;
    }
    outlive_a_second().await;
    let mut peer = ticket.recover(&server).await;
    // The two publishers are in no order. What has expired leaves gaps in the numbers, which are harmless.
    let (mut received, mut last) = (Vec::new(), 0);
    for _ in 0..6 {
        let message = peer.next().await;
        let number = message["sequenceId"].as_u64().unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
        received.push(message["data"].as_str().unwrap().to_owned());
    }
    for (publisher, expected) in [("j", ["j0", "jnone", "j300"]), ("p", ["p0", "pnone", "p300"])] {
        let of_one: Vec<_> = received.iter().filter(|data| data.starts_with(publisher)).collect();
        assert_eq!(of_one, expected, "of {received:?}");
    }
    assert_eq!(last, 10, "four have expired");
    peer.expect_nothing_before_pong().await;
}

async fn what_has_been_received_and_has_expired_does_not_come_again(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let mut publishers = Publishers::connect(&server).await;
    let mut lasting = Vec::new();
    for ttl_seconds in [1, 0] {
        publishers.publish(Some(ttl_seconds)).await;
        lasting.clear();
        for _ in 0..2 {
            lasting.push(next_frame(&mut peer.socket).await);
        }
    }
    peer.expect_nothing_before_pong().await;
    let ticket = peer.away().await;
    outlive_a_second().await;
    let mut peer = ticket.recover(&server).await;
    for frame in &lasting {
        assert!(next_frame(&mut peer.socket).await == *frame, "not what lasts");
    }
    peer.expect_nothing_before_pong().await;
}
