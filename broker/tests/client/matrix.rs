//! What was sent as text, JSON, bytes, protobuf or metadata alone, by whom, and what each kind of client receives.

use proto::client::message_data::Data;
use proto::client::upstream_message::{Message, SendToGroupMessage};
use serde_json::{Value, json};

use crate::support::protobuf::{of, send};
use crate::support::{
    Call, Client, ClientSpec, JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE, Received, Server,
};

/// A `google.protobuf.Any` of type `t` with the value `01`; `CgF0EgEB` in base64.
const ANY: &[u8] = &[0x0A, 1, b't', 0x12, 1, 1];

/// What a JSON client is told, and what a simple one gets; the two together say what a protobuf client is told.
struct Form {
    data_type: &'static str,
    data: Value,
    simple: Received,
}

fn form(data_type: &'static str, data: impl Into<Value>, simple: Received) -> Form {
    Form { data_type, data: data.into(), simple }
}

impl Form {
    fn protobuf(&self) -> Data {
        match (self.data_type, &self.simple) {
            ("text", Received::Text(text)) => Data::TextData(text.clone()),
            ("json", Received::Text(text)) => Data::JsonData(text.clone()),
            ("binary", Received::Binary(bytes)) => Data::BinaryData(bytes.clone().into()),
            ("protobuf", Received::Binary(bytes)) => Data::ProtobufData(any(bytes)),
            (data_type, simple) => panic!("{data_type} is not {simple:?}"),
        }
    }
}

/// The `google.protobuf.Any` that the bytes are.
fn any(bytes: &[u8]) -> prost_types::Any {
    prost::Message::decode(bytes).unwrap()
}

/// A receiver of each kind, members of `g` and connections of `ann`. The second of two is reliable.
struct Receivers {
    json: [Client; 2],
    protobuf: [Client; 2],
    simple: Client,
    sequence_id: u64,
}

impl Receivers {
    async fn connect(server: &Server) -> Self {
        let connect = |offer: &'static str| async move {
            let spec = ClientSpec::simple().offer(offer).user("ann").group("g");
            server.connect("chat", spec).await
        };
        let json = [connect(JSON).await, connect(JSON_RELIABLE).await];
        let protobuf = [connect(PROTOBUF).await, connect(PROTOBUF_RELIABLE).await];
        let simple = server.connect("chat", ClientSpec::simple().user("ann").group("g")).await;
        Self { json, protobuf, simple, sequence_id: 0 }
    }

    /// Each gets the message in its own form.
    async fn expect(&mut self, case: &str, form: Form) {
        self.sequence_id += 1;
        let numbers = [None, Some(self.sequence_id)];
        for (client, number) in self.json.iter_mut().zip(numbers) {
            let message = client.next_json().await;
            assert_eq!(message["type"], "message", "{case}");
            let got = (&message["dataType"], &message["data"]);
            assert_eq!(got, (&json!(form.data_type), &form.data), "{case}");
            assert_eq!(message.get("sequenceId"), number.map(Value::from).as_ref(), "{case}");
        }
        for (client, number) in self.protobuf.iter_mut().zip(numbers) {
            let message = client.next_data().await;
            assert_eq!(message.data, Some(of(form.protobuf())), "{case}");
            assert_eq!(message.sequence_id, number, "{case}");
            assert_eq!(message.from, message.group.map_or("server", |_| "group"), "{case}");
        }
        assert_eq!(self.simple.next().await, form.simple, "{case}");
    }
}

fn text(text: &str) -> Received {
    Received::Text(text.into())
}

fn bytes(bytes: &[u8]) -> Received {
    Received::Binary(bytes.to_vec())
}

#[tokio::test]
async fn what_a_json_client_sends_reaches_each_kind_of_client_in_its_form() {
    let server = Server::start().await;
    let mut receivers = Receivers::connect(&server).await;
    let mut sender = server.connect("chat", ClientSpec::member()).await;
    let cases = [
        (r#""dataType":"text","data":"hé\n""#, form("text", "hé\n", text("hé\n"))),
        (r#""dataType":"text","data":"""#, form("text", "", text(""))),
        (
            r#""dataType":"json","data":{"a": [1 ,2]}"#,
            form("json", json!({"a": [1, 2]}), text(r#"{"a": [1 ,2]}"#)),
        ),
        (r#""data":"quoted""#, form("json", "quoted", text("\"quoted\""))),
        (r#""data":0"#, form("json", 0, text("0"))),
        (r#""dataType":"binary","data":"AAH/""#, form("binary", "AAH/", bytes(&[0, 1, 255]))),
        (r#""dataType":"binary","data":"""#, form("binary", "", bytes(&[]))),
        (r#""dataType":"protobuf","data":"CgF0EgEB""#, form("protobuf", "CgF0EgEB", bytes(ANY))),
        (r#""metadata":{"k":"v"}"#, form("text", "", text(""))),
    ];
    for (content, form) in cases {
        sender.send_text(&format!(r#"{{"type":"sendToGroup","group":"g",{content}}}"#)).await;
        receivers.expect(content, form).await;
    }
}

#[tokio::test]
async fn what_a_protobuf_client_sends_reaches_each_kind_of_client_in_its_form() {
    let server = Server::start().await;
    let mut receivers = Receivers::connect(&server).await;
    let mut sender = server.connect("chat", ClientSpec::protobuf_member()).await;
    let json = r#"{"a": [1 ,2]}"#;
    let cases = [
        (Data::TextData("hé\n".into()), form("text", "hé\n", text("hé\n"))),
        (Data::TextData(String::new()), form("text", "", text(""))),
        (Data::JsonData(json.into()), form("json", json!({"a": [1, 2]}), text(json))),
        (Data::JsonData("\"quoted\"".into()), form("json", "quoted", text("\"quoted\""))),
        (Data::BinaryData(vec![0, 1, 255].into()), form("binary", "AAH/", bytes(&[0, 1, 255]))),
        (Data::BinaryData(vec![].into()), form("binary", "", bytes(&[]))),
        (Data::ProtobufData(any(ANY)), form("protobuf", "CgF0EgEB", bytes(ANY))),
        (Data::ProtobufData(any(&[])), form("protobuf", "", bytes(&[]))),
    ];
    for (data, form) in cases {
        let case = format!("{data:?}");
        sender.send_protobuf(Message::SendToGroupMessage(send("g", data))).await;
        receivers.expect(&case, form).await;
    }
    let metadata_alone = SendToGroupMessage {
        group: "g".into(),
        metadata: [("k".into(), "v".into())].into(),
        ..SendToGroupMessage::default()
    };
    sender.send_protobuf(Message::SendToGroupMessage(metadata_alone)).await;
    receivers.expect("metadata alone", form("text", "", text(""))).await;
}

#[tokio::test]
async fn what_a_simple_client_sends_reaches_each_kind_of_client_in_its_form() {
    let server = Server::start().await;
    let mut receivers = Receivers::connect(&server).await;
    let spec = ClientSpec::publisher("g").role("webpubsub.sendToGroup");
    let mut sender = server.connect("chat", spec).await;
    for content in ["hé\n", "", r#"{"a":1}"#] {
        sender.send_text(content).await;
        receivers.expect(content, form("text", content, text(content))).await;
    }
    for (content, base64) in [(&[0, 1, 255][..], "AAH/"), (&[][..], "")] {
        sender.send_binary(content).await;
        receivers.expect(base64, form("binary", base64, bytes(content))).await;
    }
}

/// Every way in which a REST body can be given: name, the call with it, and what is received.
fn bodies(call: &Call) -> Vec<(&'static str, Call, Form)> {
    let call = || call.clone();
    let utf16: Vec<u8> = "hé".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let json_text = r#"{"a": [1 ,2]}"#;
    let json_call = call().body("Application/JSON; charset=utf-8", json_text);
    vec![
        ("text", call().text("hé\n"), form("text", "hé\n", text("hé\n"))),
        ("empty text", call().text(""), form("text", "", text(""))),
        (
            "text in UTF-16",
            call().body("text/plain; charset=utf-16le", utf16),
            form("text", "hé", text("hé")),
        ),
        ("JSON", json_call, form("json", json!({"a": [1, 2]}), text(json_text))),
        ("a JSON string", call().json(&json!("quoted")), form("json", "quoted", text("\"quoted\""))),
        ("bytes", call().binary(&[0, 1, 255]), form("binary", "AAH/", bytes(&[0, 1, 255]))),
        ("no bytes", call().binary(&[]), form("binary", "", bytes(&[]))),
        ("no type", call().untyped(&b"x"[..]), form("binary", "eA==", bytes(b"x"))),
    ]
}

#[tokio::test]
async fn what_the_application_sends_reaches_each_kind_of_client_in_its_form() {
    let server = Server::start().await;
    let mut receivers = Receivers::connect(&server).await;
    for target in ["", "/groups/g", "/users/ann"] {
        let call = server.rest().post(&format!("/api/hubs/chat{target}/:send"));
        for (case, call, form) in bodies(&call) {
            call.expect(202).await;
            receivers.expect(&format!("{case} to {target}"), form).await;
        }
    }
}

#[tokio::test]
async fn what_the_application_sends_to_one_connection_reaches_it_in_its_form() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let call = server.rest().post(&format!("/api/hubs/chat/connections/{}/:send", client.connection_id()));
    for (case, call, form) in bodies(&call) {
        call.expect(202).await;
        let expected = json!({
            "type": "message", "from": "server", "dataType": form.data_type, "data": form.data,
        });
        assert_eq!(client.next_json().await, expected, "{case}");
    }
}

#[tokio::test]
async fn what_the_application_sends_to_one_connection_of_each_kind_reaches_it_in_its_form() {
    let server = Server::start().await;
    let mut receivers = Receivers::connect(&server).await;
    // A simple client does not know its id, but the application does.
    let page = server.rest().get("/api/hubs/chat/groups/g/connections").expect(200).await.json();
    let ids = page["value"].as_array().unwrap().iter().map(|item| item["connectionId"].as_str().unwrap());
    let calls: Vec<_> =
        ids.map(|id| server.rest().post(&format!("/api/hubs/chat/connections/{id}/:send"))).collect();
    assert_eq!(calls.len(), 5);
    for number in 0..bodies(&calls[0]).len() {
        for call in &calls {
            let (_, call, _) = bodies(call).swap_remove(number);
            call.expect(202).await;
        }
        // One for each: what was meant for another would come too early.
        let (case, _, form) = bodies(&calls[0]).swap_remove(number);
        receivers.expect(case, form).await;
    }
}

#[tokio::test]
async fn the_application_is_the_server_except_in_groups() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("g")).await;
    for target in ["", "/users/ann"] {
        server.rest().post(&format!("/api/hubs/chat{target}/:send")).text("x").expect(202).await;
        let expected = json!({"type": "message", "from": "server", "dataType": "text", "data": "x"});
        assert_eq!(client.next_json().await, expected);
    }
    let call = server.rest().post("/api/hubs/chat/groups/g/:send").text("x");
    call.header("X-WebPubSub-Metadata-Trace-Id", "a1").expect(202).await;
    let expected = json!({
        "type": "message", "from": "group", "group": "g", "fromUserId": null, "dataType": "text", "data": "x",
        "metadata": {"trace-id": "a1"},
    });
    assert_eq!(client.next_json().await, expected);
}
