//! Messages that the JSON protocol does not know: each ends its connection, and no other.

use serde_json::{Value, json};

use crate::support::{ClientSpec, Frame, Opcode, Server};

const INVALID: &str = "The client message is not a valid JSON protocol message.";

/// Each text, sent alone by a client that may do everything, ends its connection with 1007.
async fn check_all<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) {
    let server = Server::start().await;
    let mut witness = server.connect("chat", ClientSpec::json().group("g")).await;
    for text in texts {
        let text = text.as_ref();
        let spec = ClientSpec::member().group("g");
        let mut socket = server.raw_upgraded("chat", &spec).await;
        assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT, "connected");
        socket.send(&Frame::text(text)).await;
        let shown: String = text.chars().take(200).collect();
        let frame = socket.read_frame().await;
        assert_eq!(frame, Frame::close(1007, INVALID).unmasked(), "{shown}");
        socket.send(&Frame::close(1007, "")).await;
        socket.expect_end().await;
    }
    server.rest().post("/api/hubs/chat/:send").text("marker").expect(202).await;
    assert_eq!(witness.next_json().await["data"], "marker", "nothing of it was published");
}

#[tokio::test]
async fn what_is_not_one_json_object_closes_with_1007() {
    check_all([
        "",
        " ",
        "hello",
        "null",
        "1",
        "\"ping\"",
        "[]",
        r#"[{"type":"ping"}]"#,
        "{",
        r#"{"type":"ping""#,
        r#"{"type":"ping"}}"#,
        r#"{"type":"ping"} x"#,
        r#"{"type":"ping"}{"type":"ping"}"#,
        r#"{"type":"ping",}"#,
        r#"{'type':'ping'}"#,
        r#"{type:"ping"}"#,
        r#"{"type":"ping"/* hi */}"#,
        "{\"type\":\"ping\"} // hi",
        "{\"type\":\"pi\nng\"}",
        r#"{"type":"ping","x":01}"#,
        r#"{"type":"ping","x":.5}"#,
        r#"{"type":"ping","x":NaN}"#,
        r#"{"type":"ping","x":tru}"#,
        r#"{"type":"ping","x":"\x"}"#,
        "\u{feff}{\"type\":\"ping\"}",
    ])
    .await;
}

#[tokio::test]
async fn an_unknown_or_absent_type_closes_with_1007() {
    check_all([
        "{}",
        r#"{"Type":"ping"}"#,
        r#"{"type":null}"#,
        r#"{"type":1}"#,
        r#"{"type":""}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"ack","ackId":1}"#,
        r#"{"type":"message","group":"g","data":1}"#,
        r#"{"type":"system","event":"connected"}"#,
        r#"{"type":" ping"}"#,
        r#"{"type":"joinGroups","group":"g"}"#,
    ])
    .await;
}

#[tokio::test]
async fn a_long_type_is_not_repeated_in_the_reason_which_must_fit_a_close_frame() {
    check_all(["x", "ü", "\\u0000"].map(|character| {
        let kind = character.repeat(1024);
        format!(r#"{{"type":"{kind}","ackId":1}}"#)
    }))
    .await;
}

#[tokio::test]
async fn a_stream_message_of_wrong_types_closes_with_1007() {
    let starts = [
        r#""stream":{}"#,
        r#""stream":[]"#,
        r#""stream":"s""#,
        r#""stream":{"streamId":null}"#,
        r#""stream":{"streamId":1}"#,
        r#""stream":{"streamId":"s","idleTimeoutMs":"1"}"#,
        r#""stream":{"streamId":"s","idleTimeoutMs":true}"#,
        r#""stream":{"streamId":"s","idleTimeoutMs":{}}"#,
        r#""stream":{"streamId":"s"},"noEcho":1"#,
        r#""stream":{"streamId":"s"},"ackId":"1""#,
    ];
    let mut texts: Vec<String> =
        Vec::from(starts.map(|start| format!(r#"{{"type":"sendToGroup","group":"g",{start}}}"#)));
    texts.push(r#"{"type":"sendToGroup","group":"","stream":{"streamId":"s"}}"#.to_owned());
    texts.push(r#"{"type":"sendToGroup","stream":{"streamId":"s"}}"#.to_owned());
    for rest in [
        "",
        r#","streamId":null"#,
        r#","streamId":1"#,
        r#","streamId":"s","streamSequenceId":"1","dataType":"text","data":"x""#,
        r#","streamId":"s","streamSequenceId":-1,"dataType":"text","data":"x""#,
        r#","streamId":"s","streamSequenceId":1.5,"dataType":"text","data":"x""#,
        r#","streamId":"s","streamSequenceId":1,"dataType":"text","data":1"#,
        r#","streamId":"s","streamSequenceId":1,"dataType":"json","data":null"#,
        r#","streamId":"s","streamSequenceId":1,"dataType":"xml","data":"x""#,
    ] {
        texts.push(format!(r#"{{"type":"streamData"{rest}}}"#));
    }
    for rest in [
        "",
        r#","streamId":1"#,
        r#","streamId":"s","error":1"#,
        r#","streamId":"s","error":{"message":1}"#,
        r#","streamId":"s","error":{"userErrorCode":1}"#,
    ] {
        texts.push(format!(r#"{{"type":"streamEnd"{rest}}}"#));
    }
    check_all(texts).await;
}

#[tokio::test]
async fn a_bad_ack_id_closes_with_1007_on_every_message() {
    let ids = ["-1", "1.0", "1.5", "1e2", "\"1\"", "true", "[1]", "{}", "18446744073709551616"];
    let messages = [
        r#""type":"ping""#,
        r#""type":"joinGroup","group":"g""#,
        r#""type":"leaveGroup","group":"g""#,
        r#""type":"sendToGroup","group":"g","data":1"#,
        r#""type":"event","event":"e","data":1"#,
        r#""type":"sequenceAck","sequenceId":1"#,
        r#""type":"setGroupState","group":"g""#,
        r#""type":"subscribeGroupState","group":"g""#,
        r#""type":"unsubscribeGroupState","group":"g""#,
    ];
    let texts =
        messages.iter().flat_map(|message| ids.iter().map(move |id| format!("{{{message},\"ackId\":{id}}}")));
    check_all(texts).await;
}

#[tokio::test]
async fn a_bad_group_closes_with_1007_even_with_a_good_ack_id() {
    let long = json!("g".repeat(1025)).to_string();
    let wide = json!("😀".repeat(513)).to_string();
    let groups = ["null", "1", "[]", "{}", "\"\"", "\" \\t\"", "\"\\u00a0\\u2003\"", &long, &wide];
    let mut texts = Vec::new();
    let of_states = ["setGroupState", "subscribeGroupState", "unsubscribeGroupState"];
    for kind in ["joinGroup", "leaveGroup", "sendToGroup"].into_iter().chain(of_states) {
        texts.push(format!(r#"{{"type":"{kind}","ackId":1,"data":1}}"#));
        for group in groups {
            texts.push(format!(r#"{{"type":"{kind}","group":{group},"ackId":1,"data":1}}"#));
        }
    }
    check_all(texts).await;
}

#[tokio::test]
async fn a_state_that_is_no_object_of_strings_closes_with_1007() {
    let states = ["\"x\"", "1", "true", "[]", "[[\"a\",\"b\"]]", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}"];
    let texts =
        states.map(|state| format!(r#"{{"type":"setGroupState","group":"g","state":{state},"ackId":1}}"#));
    check_all(texts).await;
}

#[tokio::test]
async fn a_bad_event_name_closes_with_1007() {
    let long = format!("\"e{}\"", "x".repeat(128));
    let names = ["null", "1", "\"\"", "\"1e\"", "\"_e\"", "\"a b\"", "\"é\"", "\"a/b\"", "\"a:b\"", &long];
    let texts = names.iter().map(|name| format!(r#"{{"type":"event","event":{name},"data":1,"ackId":1}}"#));
    check_all(texts.chain([r#"{"type":"event","data":1,"ackId":1}"#.to_owned()])).await;
}

#[tokio::test]
async fn a_bad_invocation_closes_with_1007() {
    let (id, target, event) = (r#""invocationId":"1""#, r#""target":"event""#, r#""event":"e""#);
    let mut rows = vec![
        format!("{target},{event}"),
        format!("{id},{event}"),
        format!("{id},{target}"),
        format!("{id},{target},{event},\"ackId\":\"1\""),
        format!("{id},{target},{event},\"metadata\":1"),
        format!("{id},{target},{event},\"metadata\":{{\"k\":1}}"),
        format!("{id},{target},{event},\"metadata\":{{\"a b\":\"x\"}}"),
        format!("{id},{target},{event},\"data\":null"),
        format!("{id},{target},{event},\"dataType\":\"text\",\"data\":1"),
        format!("{id},{target},{event},\"dataType\":\"binary\",\"data\":\"A\""),
        format!("{id},{target},{event},\"dataType\":\"xml\",\"data\":\"x\""),
        format!("{id},{target},{event},\"dataType\":1,\"data\":\"x\""),
    ];
    rows.extend(
        ["\"\"", "null", "1", "[]", "{}"].map(|id| format!("\"invocationId\":{id},{target},{event}")),
    );
    let targets = ["\"\"", "null", "1", "[]", "\"events\"", "\"group\"", "\" event\""];
    rows.extend(targets.map(|target| format!("{id},\"target\":{target},{event}")));
    let long = format!("\"e{}\"", "x".repeat(128));
    let events = ["\"\"", "null", "1", "\"1e\"", "\"a b\"", "\"é\"", "\"a/b\"", &long];
    rows.extend(events.map(|event| format!("{id},{target},\"event\":{event}")));
    let invocations = rows.iter().map(|row| format!("{{\"type\":\"invoke\",{row}}}"));
    let ids = ["", ",\"invocationId\":\"\"", ",\"invocationId\":null", ",\"invocationId\":1"];
    let cancellations = ids.iter().map(|id| format!("{{\"type\":\"cancelInvocation\"{id}}}"));
    check_all(invocations.chain(cancellations)).await;
}

/// Rows that hold for `sendToGroup` and for `event`.
fn both(rows: &[&str]) -> Vec<String> {
    let heads = [r#""type":"sendToGroup","group":"g""#, r#""type":"event","event":"e""#];
    heads.iter().flat_map(|head| rows.iter().map(move |row| format!("{{{head},\"ackId\":1{row}}}"))).collect()
}

#[tokio::test]
async fn data_that_does_not_fit_its_type_closes_with_1007() {
    check_all(both(&[
        "",
        r#","dataType":"text""#,
        r#","data":null"#,
        r#","dataType":"json","data":null"#,
        r#","dataType":"text","data":null"#,
        r#","dataType":"text","data":1"#,
        r#","dataType":"text","data":{"a":1}"#,
        r#","dataType":"text","data":"\ud83d""#,
        r#","dataType":"binary","data":1"#,
        r#","dataType":"binary","data":null"#,
        r#","dataType":"binary","data":"AA""#,
        r#","dataType":"binary","data":"AA=""#,
        r#","dataType":"binary","data":"A""#,
        r#","dataType":"binary","data":"_-8=""#,
        r#","dataType":"binary","data":"AA==AA==""#,
        r#","dataType":"binary","data":"%%%%""#,
        r#","dataType":"protobuf","data":"_-8=""#,
        r#","dataType":"protobuf","data":1"#,
        r#","dataType":"protobuf","data":"/////w==""#,
        r#","dataType":"","data":1"#,
        r#","dataType":"xml","data":"x""#,
        r#","dataType":1,"data":1"#,
    ]))
    .await;
}

#[tokio::test]
async fn bad_options_of_a_send_close_with_1007() {
    let rows = [
        r#""noEcho":1"#,
        r#""noEcho":"true""#,
        r#""noEcho":[]"#,
        r#""ttlSeconds":-1"#,
        r#""ttlSeconds":301"#,
        r#""ttlSeconds":1.5"#,
        r#""ttlSeconds":1e2"#,
        r#""ttlSeconds":"60""#,
        r#""ttlSeconds":true"#,
        r#""ttlSeconds":99999999999999999999"#,
    ];
    check_all(rows.map(|row| format!(r#"{{"type":"sendToGroup","group":"g","data":1,"ackId":1,{row}}}"#)))
        .await;
}

#[tokio::test]
async fn a_bad_sequence_id_closes_with_1007() {
    let rows = [
        "",
        r#","sequenceId":null"#,
        r#","sequenceId":-1"#,
        r#","sequenceId":1.0"#,
        r#","sequenceId":1.5"#,
        r#","sequenceId":1e2"#,
        r#","sequenceId":"1""#,
        r#","sequenceId":true"#,
        r#","sequenceId":18446744073709551616"#,
    ];
    check_all(rows.map(|row| format!(r#"{{"type":"sequenceAck"{row}}}"#))).await;
}

#[tokio::test]
async fn of_a_repeated_property_the_last_one_is_judged() {
    check_all([
        r#"{"type":"ping","type":"pong"}"#,
        r#"{"type":"ping","ackId":1,"ackId":-1}"#,
        r#"{"type":"joinGroup","group":"g","group":"","ackId":1}"#,
        r#"{"type":"sendToGroup","group":"g","data":1,"data":null,"ackId":1}"#,
        r#"{"type":"sendToGroup","group":"g","data":1,"dataType":"json","dataType":"text","ackId":1}"#,
    ])
    .await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let server = Server::start().await;
    let bytes = [&b"{\"type\":\"ping\",\"x\":\"\xff\"}"[..], b"\xff", b"\xed\xa0\x80"];
    for bytes in bytes {
        let mut socket = server.raw_upgraded("chat", &ClientSpec::json()).await;
        assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT, "connected");
        socket.send(&Frame::new(Opcode::TEXT, bytes)).await;
        socket.expect_close(1007, INVALID).await;
    }
}

fn nested(levels: usize) -> String {
    let arrays = levels - 1;
    let data = format!("{}{}", "[".repeat(arrays), "]".repeat(arrays));
    format!(r#"{{"type":"sendToGroup","group":"g","noEcho":false,"data":{data}}}"#)
}

#[tokio::test]
async fn more_than_64_levels_close_with_1007() {
    let unknown = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    check_all([nested(65), unknown, nested(100_000)]).await;
}

#[tokio::test]
async fn sixty_four_levels_are_taken() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member().group("g")).await;
    client.send_text(&nested(64)).await;
    assert_eq!(client.next_json().await["type"], "message");
}

#[tokio::test]
async fn bytes_close_with_1003() {
    let server = Server::start().await;
    for bytes in [&b"{\"type\":\"ping\"}"[..], &[], &[0xFF]] {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_binary(bytes).await;
        client.expect_close(1003, "The JSON subprotocol requires text messages.").await;
    }
}

#[tokio::test]
async fn more_than_one_mebibyte_closes_with_1009_also_in_fragments() {
    let server = Server::start().await;
    let content = vec![b' '; (1 << 20) + 1];
    for part in [content.len(), 1 << 19, 65_536, 10_000] {
        let mut socket = server.raw_upgraded("chat", &ClientSpec::json()).await;
        assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT, "connected");
        for frame in Frame::fragments(Opcode::TEXT, &content, part) {
            socket.send(&frame).await;
        }
        socket.expect_close(1009, "The client message is too large.").await;
    }
}

#[tokio::test]
async fn the_messages_before_a_bad_one_are_carried_out() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::json().group("g")).await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.publish("g", "good").await;
    client.send_json(json!({"type": "joinGroup", "group": "g", "ackId": 1})).await;
    client.send_text("bad").await;
    assert_eq!(client.next_json().await, json!({"type": "ack", "ackId": 1, "success": true}));
    client.expect_close(1007, INVALID).await;
    let message: Value = member.next_json().await;
    assert_eq!(message["data"], "good");
}
