//! Streams that clients publish to groups, over both subprotocols. Source: `client-protocols.md` 9.

use proto::client::upstream_message::{InvokeEventMessage, Message, StreamStartInfo};
use serde_json::json;

use crate::support::protobuf::{of, text};
use crate::support::streams::{
    Wire, end, fail, half_part, keep_alive, message, part, start, start_for, start_to,
};
use crate::support::{Client, ClientSpec, Server, escape};

/// A publisher, and a member of `g` and `h` for each subprotocol, which may be on another worker.
async fn stage(server: &Server, wire: Wire) -> (Client, [Client; 2]) {
    let publisher = server.connect("chat", wire.publisher().user("ann")).await;
    let members = [
        server.connect("chat", Wire::Json.listener().group("g").group("h")).await,
        server.connect("chat", Wire::Protobuf.listener().group("g").group("h")).await,
    ];
    (publisher, members)
}

async fn all_hear(members: &mut [Client], expected: &[&str]) {
    for member in members {
        member.hear_all(expected).await;
    }
}

#[tokio::test]
async fn parts_reach_members_of_every_kind_in_order_and_once() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        let mut raw = server.connect("chat", ClientSpec::simple().group("g")).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "a"), "ack s 2").await;
        ann.ask(&part("s", 2, "b"), "ack s 3").await;
        ann.ask(&part("s", 1, "a"), "ack s 3").await;
        ann.ask(&part("s", 4, "d"), "nack s 3 InvalidSequenceId").await;
        ann.ask(&part("s", 3, ""), "ack s 4").await;
        ann.ask(&part("s", 4, "d"), "ack s 5").await;
        ann.ask(&end("s"), "closed s").await;
        ann.say(&message("g", "after")).await;
        all_hear(&mut members, &["g s#1 a", "g s#2 b", "g s#3 ", "g s#4 d", "g s#5 end", "g after"]).await;
        // Without an envelope there is no end that could be told.
        raw.hear_all(&["a", "b", "", "d", "after"]).await;
        ann.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn each_message_has_the_form_of_the_protocol() {
    let server = Server::start().await;
    let mut ann = server.connect("chat", ClientSpec::member().user("ann").group("g")).await;
    let exchange = [
        (
            json!({"type": "sendToGroup", "group": "g", "noEcho": false, "stream": {"streamId": "s"}}),
            vec![json!({"type": "streamAck", "streamId": "s", "expectedSequenceId": 1})],
        ),
        (
            json!({"type": "streamData", "streamId": "s", "streamSequenceId": 1, "dataType": "json", "data": {"a": [1]}}),
            vec![
                json!({
                    "type": "message", "from": "group", "group": "g", "fromUserId": "ann", "dataType": "json",
                    "data": {"a": [1]}, "stream": {"streamId": "s", "streamSequenceId": 1},
                }),
                json!({"type": "streamAck", "streamId": "s", "expectedSequenceId": 2}),
            ],
        ),
        (
            json!({"type": "streamEnd", "streamId": "s", "error": {"message": "m", "userErrorCode": "c"}}),
            vec![
                json!({
                    "type": "message", "from": "group", "group": "g", "fromUserId": "ann", "dataType": "text",
                    "data": "", "stream": {
                        "streamId": "s", "streamSequenceId": 2, "endOfStream": true,
                        "error": {"name": "UserError", "message": "m", "userErrorCode": "c"},
                    },
                }),
                json!({"type": "streamClosed", "streamId": "s"}),
            ],
        ),
    ];
    for (said, heard) in exchange {
        ann.send_json(said).await;
        for expected in heard {
            assert_eq!(ann.next_json().await, expected);
        }
    }
}

#[tokio::test]
async fn a_publisher_hears_its_own_stream_unless_it_does_not_want_to() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut ann = server.connect("chat", wire.publisher().user("ann").group("g")).await;
        let mut other = server.connect("chat", wire.listener().user("ann").group("g")).await;
        ann.ask(&start("quiet").without_echo(), "ack quiet 1").await;
        ann.ask(&part("quiet", 1, "x"), "ack quiet 2").await;
        ann.ask(&end("quiet"), "closed quiet").await;
        ann.ask(&start("loud"), "ack loud 1").await;
        ann.say(&part("loud", 1, "x")).await;
        ann.say(&end("loud")).await;
        ann.hear_all(&["g loud#1 x", "ack loud 2", "g loud#2 end", "closed loud"]).await;
        other.hear_all(&["g quiet#1 x", "g quiet#2 end", "g loud#1 x", "g loud#2 end"]).await;
    }
}

#[tokio::test]
async fn a_start_that_breaks_a_rule_costs_nothing_but_the_stream() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let limited = wire.listener().role("webpubsub.sendToGroup.g");
        let mut ann = server.connect("chat", limited).await;
        ann.ask(&start_to("h", "s", None), "closed s Forbidden").await;
        ann.ask(&start(""), "closed  BadRequest").await;
        ann.ask(&start_for("s", 0), "closed s BadRequest").await;
        ann.ask(&start("s").with_data(), "closed s BadRequest").await;
        ann.ask(&start("s").on_event(), "closed s BadRequest").await;
        let long = "i".repeat(1025);
        ann.ask(&start(&long), &format!("closed {long} BadRequest")).await;
        ann.ask(&part("s", 1, "x"), "closed s StreamNotFound").await;
        ann.ask(&start(&long[1..]), &format!("ack {} 1", &long[1..])).await;
        ann.ask(&start_for("s", u32::MAX), "ack s 1").await;
    }
    let mut ann = server.connect("chat", Wire::Json.publisher()).await;
    for timeout in ["-1", "1.5", "4294967296", "1e3"] {
        ann.send_text(&format!(
            r#"{{"type":"sendToGroup","group":"g","stream":{{"streamId":"s","idleTimeoutMs":{timeout}}}}}"#
        ))
        .await;
        assert_eq!(ann.hear().await, "closed s BadRequest", "{timeout}");
    }
    ann.send_json(json!({
        "type": "invoke", "invocationId": "1", "target": "event", "event": "e", "dataType": "text", "data": "x",
        "stream": {"streamId": "s"},
    }))
    .await;
    assert_eq!(ann.hear().await, "closed s BadRequest");
}

#[tokio::test]
async fn an_invocation_in_protobuf_begins_no_stream_and_is_none() {
    let server = Server::start().await;
    let mut ann = server.connect("chat", Wire::Protobuf.publisher()).await;
    for (id, data) in [("s", None), ("t", Some(of(text("x"))))] {
        let stream = Some(StreamStartInfo { stream_id: id.into(), idle_timeout_ms: None });
        let invoke = InvokeEventMessage {
            event: "e".into(),
            invocation_id: "1".into(),
            data,
            stream,
            ..Default::default()
        };
        ann.send_protobuf(Message::InvokeEventMessage(invoke)).await;
        assert_eq!(ann.hear().await, format!("closed {id} BadRequest"));
        // Neither is there a stream, nor an answer to an invocation, and the connection goes on.
        ann.ask(&part(id, 1, "x"), &format!("closed {id} StreamNotFound")).await;
    }
}

#[tokio::test]
async fn a_start_under_the_id_of_a_running_stream_ends_that() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "a"), "ack s 2").await;
        ann.ask(&start("s"), "closed s BadRequest").await;
        ann.ask(&part("s", 2, "b"), "closed s BadRequest").await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "c"), "ack s 2").await;
        all_hear(&mut members, &["g s#1 a", "g s#2 end Cancelled", "g s#1 c"]).await;
    }
}

#[tokio::test]
async fn a_part_without_all_of_its_properties_ends_the_stream() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        ann.ask(&half_part("s", 1), "closed s StreamNotFound").await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&half_part("s", 1), "closed s BadRequest").await;
        all_hear(&mut members, &["g s#1 end Cancelled"]).await;
        ann.ask(&start("t"), "ack t 1").await;
        ann.ask(&part("t", 0, "x"), "closed t BadRequest").await;
        all_hear(&mut members, &["g t#1 end Cancelled"]).await;
    }
}

#[tokio::test]
async fn of_an_unknown_stream_nothing_is_published() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        for saying in [part("s", 1, "x"), keep_alive("s"), end("s"), fail("s", "m", "c")] {
            ann.ask(&saying, "closed s StreamNotFound").await;
        }
        ann.say(&message("g", "after")).await;
        all_hear(&mut members, &["g after"]).await;
    }
}

#[tokio::test]
async fn how_a_stream_ended_is_told_again_until_its_id_means_another() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        for _ in 0..2 {
            ann.ask(&start("s"), "ack s 1").await;
            ann.ask(&fail("s", "no more", "E7"), "closed s").await;
            for saying in [part("s", 1, "x"), keep_alive("s"), end("s")] {
                ann.ask(&saying, "closed s").await;
            }
        }
        let failed = "g s#1 end UserError E7 no more";
        all_hear(&mut members, &[failed, failed]).await;
    }
}

#[tokio::test]
async fn streams_are_told_apart_by_publisher_and_id() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        let mut bob = server.connect("chat", wire.publisher()).await;
        ann.ask(&start("s"), "ack s 1").await;
        bob.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "ann"), "ack s 2").await;
        all_hear(&mut members, &["g s#1 ann"]).await;
        bob.ask(&part("s", 2, "bob"), "nack s 1 InvalidSequenceId").await;
        bob.ask(&end("s"), "closed s").await;
        all_hear(&mut members, &["g s#1 end"]).await;
        ann.ask(&part("s", 2, "ann"), "ack s 3").await;
        all_hear(&mut members, &["g s#2 ann"]).await;
    }
}

#[tokio::test]
async fn streams_and_messages_of_one_publisher_keep_their_order() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        let mut expected = Vec::new();
        ann.ask(&start("a"), "ack a 1").await;
        ann.ask(&start("b"), "ack b 1").await;
        for number in 1..=100 {
            ann.say(&part("a", number, "x")).await;
            ann.say(&message("g", &number.to_string())).await;
            ann.say(&part("b", number, "y")).await;
            expected.extend([format!("g a#{number} x"), format!("g {number}"), format!("g b#{number} y")]);
        }
        ann.say(&end("b")).await;
        expected.push("g b#101 end".to_owned());
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        all_hear(&mut members, &expected).await;
        for number in 2..=101 {
            ann.hear_all(&[&format!("ack a {number}"), &format!("ack b {number}")]).await;
        }
        ann.hear_all(&["closed b"]).await;
    }
}

#[tokio::test]
async fn a_connection_has_at_most_100_streams_at_a_time() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut ann = server.connect("chat", wire.publisher()).await;
        for number in 0..100 {
            ann.ask(&start(&format!("s{number}")), &format!("ack s{number} 1")).await;
        }
        ann.ask(&start("t"), "closed t BadRequest").await;
        ann.ask(&end("s50"), "closed s50").await;
        ann.ask(&start("t"), "ack t 1").await;
        ann.ask(&start("u"), "closed u BadRequest").await;
    }
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_ends() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        // The long one comes first, so that the timer must be set to an earlier time.
        ann.ask(&start("long"), "ack long 1").await;
        ann.ask(&start_for("s", 50), "ack s 1").await;
        all_hear(&mut members, &["g s#1 end IdleTimeout"]).await;
        ann.hear_all(&["closed s IdleTimeout"]).await;
        ann.ask(&part("s", 1, "late"), "closed s IdleTimeout").await;
        ann.ask(&part("long", 1, "x"), "ack long 2").await;
        all_hear(&mut members, &["g long#1 x"]).await;
    }
}

#[tokio::test]
async fn a_sign_that_a_stream_goes_on_puts_its_end_off_and_is_seen_by_nobody() {
    // It takes its time, so both at once.
    tokio::join!(put_off(Wire::Json), put_off(Wire::Protobuf));
}

async fn put_off(wire: Wire) {
    let server = Server::start().await;
    let (mut ann, mut members) = stage(&server, wire).await;
    for (id, timeout) in [("kept", 2000), ("fed", 2100), ("left", 2200), ("clock", 500)] {
        ann.ask(&start_for(id, timeout), &format!("ack {id} 1")).await;
    }
    ann.hear_all(&["closed clock IdleTimeout"]).await;
    ann.say(&keep_alive("kept")).await;
    ann.ask(&part("fed", 1, "x"), "ack fed 2").await;
    // What is not accepted does not count.
    ann.ask(&part("left", 2, "x"), "nack left 1 InvalidSequenceId").await;
    ann.hear_all(&["closed left IdleTimeout", "closed kept IdleTimeout", "closed fed IdleTimeout"]).await;
    let expected = [
        "g clock#1 end IdleTimeout",
        "g fed#1 x",
        "g left#1 end IdleTimeout",
        "g kept#1 end IdleTimeout",
        "g fed#2 end IdleTimeout",
    ];
    all_hear(&mut members, &expected).await;
}

#[tokio::test]
async fn a_revoked_permission_ends_streams_without_another_part() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let (mut ann, mut members) = stage(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&start("t"), "ack t 1").await;
        ann.ask(&start_to("h", "u", None), "ack u 1").await;
        ann.ask(&part("s", 1, "x"), "ack s 2").await;
        let group = escape("g");
        let permission = format!(
            "/api/hubs/chat/permissions/sendToGroup/connections/{}?targetName={group}",
            ann.connection_id()
        );
        server.rest().delete(&permission).expect(204).await;
        ann.hear_all(&["closed s Forbidden", "closed t Forbidden"]).await;
        all_hear(&mut members, &["g s#1 x", "g s#2 end Forbidden", "g t#1 end Forbidden"]).await;
        ann.ask(&part("s", 2, "y"), "closed s Forbidden").await;
        ann.ask(&start("s"), "closed s Forbidden").await;
        ann.ask(&part("u", 1, "z"), "ack u 2").await;
        all_hear(&mut members, &["h u#1 z"]).await;
        server.rest().put(&permission).expect(200).await;
        ann.ask(&start("s"), "ack s 1").await;
    }
}

#[tokio::test]
async fn the_streams_of_a_connection_that_ends_are_cancelled() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        for way in ["close", "loss", "application", "violation"] {
            let (mut ann, mut members) = stage(&server, wire).await;
            ann.ask(&start("s"), "ack s 1").await;
            ann.ask(&part("s", 1, "x"), "ack s 2").await;
            ann.ask(&start_to("h", "t", None), "ack t 1").await;
            match way {
                "close" => ann.close().await,
                "loss" => drop(ann),
                "application" => {
                    let target = format!("/api/hubs/chat/connections/{}", ann.connection_id());
                    server.rest().delete(&target).expect(204).await;
                    assert_eq!(ann.hear().await, "disconnected");
                    ann.expect_close(1000, "").await;
                }
                _ => {
                    ann.send_text("nonsense").await;
                    ann.send_binary(&[0xFF]).await;
                    let _ = ann.drain().await;
                }
            }
            all_hear(&mut members, &["g s#1 x", "g s#2 end Cancelled", "h t#1 end Cancelled"]).await;
        }
    }
}

#[tokio::test]
async fn a_node_with_streams_stops() {
    let server = Server::start().await;
    let mut ann = server.connect("chat", Wire::Json.publisher()).await;
    ann.ask(&start_for("s", u32::MAX), "ack s 1").await;
    server.stop().await;
    ann.expect_close(1001, "").await;
}
