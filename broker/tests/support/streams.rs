//! Streams over both subprotocols: what publishers say, and what everybody hears in a line each.

use prost::Message as _;
use proto::client::downstream_message::system_message::Message as System;
use proto::client::downstream_message::{DataMessage, Message as Downstream};
use proto::client::message_data::Data;
use proto::client::upstream_message::stream_end_message::StreamEndError;
use proto::client::upstream_message::{
    EventMessage, Message as Upstream, PingMessage, SendToGroupMessage, StreamDataMessage, StreamEndMessage,
    StreamStartInfo,
};
use proto::client::{DownstreamMessage, StreamInfo};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, Received};
use super::frame::{Frame, Opcode};
use super::protobuf::{bytes, of, send, text};
use super::{ClientSpec, JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE};

/// How a client writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// JSON in text.
    Json,
    /// Protobuf in bytes.
    Protobuf,
}

/// What a client says, as it would be in either subprotocol.
#[derive(Debug, Clone)]
pub struct Saying {
    json: Value,
    protobuf: Upstream,
}

impl Wire {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Json, Self::Protobuf];

    /// A client that may publish to every group.
    pub fn publisher(self) -> ClientSpec {
        self.listener().role("webpubsub.sendToGroup")
    }

    /// A client that may do nothing.
    pub fn listener(self) -> ClientSpec {
        ClientSpec::simple().offer(self.name())
    }

    /// A reliable client that may publish to every group.
    pub fn reliable_publisher(self) -> ClientSpec {
        ClientSpec::simple().offer(self.reliable_name()).role("webpubsub.sendToGroup")
    }

    /// The subprotocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        }
    }

    /// The reliable subprotocol.
    pub fn reliable_name(self) -> &'static str {
        match self {
            Self::Json => JSON_RELIABLE,
            Self::Protobuf => PROTOBUF_RELIABLE,
        }
    }

    /// A frame with this.
    pub fn frame(self, saying: &Saying) -> Frame {
        match self {
            Self::Json => Frame::text(&saying.json.to_string()),
            Self::Protobuf => Frame::binary(bytes(saying.protobuf.clone())),
        }
    }
}

/// Begins a stream to group `g`.
pub fn start(id: &str) -> Saying {
    start_to("g", id, None)
}

/// Begins a stream to group `g` that ends after so many milliseconds without activity.
pub fn start_for(id: &str, idle_timeout_ms: u32) -> Saying {
    start_to("g", id, Some(idle_timeout_ms))
}

/// Begins a stream to a group.
pub fn start_to(group: &str, id: &str, idle_timeout_ms: Option<u32>) -> Saying {
    let mut stream = json!({"streamId": id});
    if let Some(milliseconds) = idle_timeout_ms {
        stream["idleTimeoutMs"] = milliseconds.into();
    }
    Saying {
        json: json!({"type": "sendToGroup", "group": group, "stream": stream}),
        protobuf: Upstream::SendToGroupMessage(SendToGroupMessage {
            group: group.into(),
            stream: Some(StreamStartInfo { stream_id: id.into(), idle_timeout_ms }),
            ..SendToGroupMessage::default()
        }),
    }
}

impl Saying {
    /// A start of a stream that its publisher does not want to hear itself.
    pub fn without_echo(mut self) -> Self {
        self.json["noEcho"] = true.into();
        if let Upstream::SendToGroupMessage(message) = &mut self.protobuf {
            message.no_echo = Some(true);
        }
        self
    }

    /// A start of a stream that has data as well.
    pub fn with_data(mut self) -> Self {
        self.json["data"] = "x".into();
        if let Upstream::SendToGroupMessage(message) = &mut self.protobuf {
            message.data = Some(of(text("x")));
        }
        self
    }

    /// An event that would begin a stream.
    pub fn on_event(self) -> Self {
        let Upstream::SendToGroupMessage(message) = self.protobuf else {
            panic!("no stream start");
        };
        let event = EventMessage {
            event: "e".into(),
            stream: message.stream,
            data: message.data,
            ..Default::default()
        };
        let json = json!({"type": "event", "event": "e", "dataType": "text", "data": "x", "stream": self.json["stream"]});
        Self { json, protobuf: Upstream::EventMessage(event) }
    }
}

/// A part of a stream.
pub fn part(id: &str, number: u64, content: &str) -> Saying {
    let data = StreamDataMessage {
        stream_id: id.into(),
        stream_sequence_id: Some(number),
        data: Some(of(text(content))),
    };
    Saying {
        json: json!({
            "type": "streamData", "streamId": id, "streamSequenceId": number, "dataType": "text", "data": content,
        }),
        protobuf: Upstream::StreamDataMessage(data),
    }
}

/// A part of a stream that has a number and no data.
pub fn half_part(id: &str, number: u64) -> Saying {
    let data = StreamDataMessage { stream_id: id.into(), stream_sequence_id: Some(number), data: None };
    Saying {
        json: json!({"type": "streamData", "streamId": id, "streamSequenceId": number}),
        protobuf: Upstream::StreamDataMessage(data),
    }
}

/// A sign that a stream goes on.
pub fn keep_alive(id: &str) -> Saying {
    let data = StreamDataMessage { stream_id: id.into(), stream_sequence_id: None, data: None };
    Saying {
        json: json!({"type": "streamData", "streamId": id}),
        protobuf: Upstream::StreamDataMessage(data),
    }
}

/// The end of a stream.
pub fn end(id: &str) -> Saying {
    let end = StreamEndMessage { stream_id: id.into(), error: None };
    Saying { json: json!({"type": "streamEnd", "streamId": id}), protobuf: Upstream::StreamEndMessage(end) }
}

/// The end of a stream that its publisher gives up.
pub fn fail(id: &str, message: &str, code: &str) -> Saying {
    let error = StreamEndError { message: Some(message.into()), user_error_code: Some(code.into()) };
    let json =
        json!({"type": "streamEnd", "streamId": id, "error": {"message": message, "userErrorCode": code}});
    let end = StreamEndMessage { stream_id: id.into(), error: Some(error) };
    Saying { json, protobuf: Upstream::StreamEndMessage(end) }
}

/// An ordinary message to a group.
pub fn message(group: &str, content: &str) -> Saying {
    Saying {
        json: json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": content}),
        protobuf: Upstream::SendToGroupMessage(send(group, text(content))),
    }
}

/// A ping of the subprotocol.
pub fn ping() -> Saying {
    Saying { json: json!({"type": "ping"}), protobuf: Upstream::PingMessage(PingMessage {}) }
}

impl Client {
    /// Says this in the client's own subprotocol.
    pub async fn say(&mut self, saying: &Saying) {
        match self.subprotocol().unwrap().starts_with("json") {
            true => self.send(Message::text(saying.json.to_string())).await,
            false => self.send(Message::binary(bytes(saying.protobuf.clone()))).await,
        }
    }

    /// Says this, and must hear that next.
    pub async fn ask(&mut self, saying: &Saying, expected: &str) {
        self.say(saying).await;
        assert_eq!(self.hear().await, expected, "{saying:?}");
    }

    /// Must hear all of this next.
    pub async fn hear_all(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.hear().await, *expected);
        }
    }

    /// What comes next, in a line.
    pub async fn hear(&mut self) -> String {
        match self.next().await {
            Received::Text(text) if self.subprotocol().is_none() => text,
            Received::Text(text) => heard_json(&text),
            Received::Binary(bytes) => heard_protobuf(&bytes),
            other => panic!("a message was expected, not {other:?}"),
        }
    }
}

/// What came in a frame, in a line.
pub fn heard(frame: &Frame) -> String {
    match frame.opcode {
        Opcode::TEXT => heard_json(std::str::from_utf8(&frame.content).unwrap()),
        _ => heard_protobuf(&frame.content),
    }
}

fn heard_json(json: &str) -> String {
    let message: Value = serde_json::from_str(json).unwrap();
    let text = |name: &str| message[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}"));
    let error = |error: &Value| {
        assert!(error.is_null() || error["message"].is_string(), "{json}");
        error["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default()
    };
    match text("type") {
        "streamAck" => format!("ack {} {}", text("streamId"), message["expectedSequenceId"]),
        "streamNack" => {
            assert!(message["message"].is_string(), "{json}");
            format!("nack {} {} {}", text("streamId"), message["expectedSequenceId"], text("name"))
        }
        "streamClosed" => format!("closed {}{}", text("streamId"), error(&message["error"])),
        "system" => text("event").to_owned(),
        "message" => {
            let stream = &message["stream"];
            let info = stream.as_object().map(|_| {
                let end = stream["endOfStream"].as_bool();
                assert_ne!(end, Some(false), "{json}");
                let failure = &stream["error"];
                let user_error = failure["userErrorCode"]
                    .as_str()
                    .map(|code| format!(" {code} {}", failure["message"].as_str().unwrap()))
                    .unwrap_or_default();
                Part {
                    id: stream["streamId"].as_str().unwrap().to_owned(),
                    number: stream["streamSequenceId"].as_u64().unwrap(),
                    end: end.map(|_| format!("{}{user_error}", error(failure))),
                }
            });
            let number = message["sequenceId"].as_u64();
            assert_eq!(text("dataType"), "text", "{json}");
            line(message["group"].as_str(), info, text("data"), number)
        }
        other => other.to_owned(),
    }
}

fn heard_protobuf(bytes: &[u8]) -> String {
    match DownstreamMessage::decode(bytes).unwrap().message.unwrap() {
        Downstream::StreamAckMessage(ack) => format!("ack {} {}", ack.stream_id, ack.expected_sequence_id),
        Downstream::StreamNackMessage(nack) => {
            assert!(!nack.message.is_empty());
            format!("nack {} {} {}", nack.stream_id, nack.expected_sequence_id, nack.name)
        }
        Downstream::StreamClosedMessage(closed) => {
            let error = closed.error.map(|error| format!(" {}", error.name));
            format!("closed {}{}", closed.stream_id, error.unwrap_or_default())
        }
        Downstream::SystemMessage(system) => match system.message.unwrap() {
            System::ConnectedMessage(_) => "connected".to_owned(),
            System::DisconnectedMessage(_) => "disconnected".to_owned(),
        },
        Downstream::DataMessage(DataMessage { group, data, sequence_id, stream, .. }) => {
            let Some(Data::TextData(content)) = data.unwrap().data else {
                panic!("text was expected");
            };
            let info = stream.map(|StreamInfo { stream_id, stream_sequence_id, end_of_stream, error }| {
                assert_ne!(end_of_stream, Some(false));
                let end = end_of_stream.map(|_| match error {
                    Some(error) if error.user_error_code.is_empty() => format!(" {}", error.name),
                    Some(error) => format!(" {} {} {}", error.name, error.user_error_code, error.message),
                    None => String::new(),
                });
                Part { id: stream_id, number: stream_sequence_id, end }
            });
            line(group.as_deref(), info, &content, sequence_id)
        }
        Downstream::PongMessage(_) => "pong".to_owned(),
        other => panic!("{other:?}"),
    }
}

struct Part {
    id: String,
    number: u64,
    end: Option<String>,
}

fn line(group: Option<&str>, part: Option<Part>, content: &str, number: Option<u64>) -> String {
    let group = group.unwrap_or("server");
    let number = number.map(|number| format!("{number}: ")).unwrap_or_default();
    match part {
        None => format!("{number}{group} {content}"),
        Some(Part { id, number: place, end: None }) => format!("{number}{group} {id}#{place} {content}"),
        Some(Part { id, number: place, end: Some(end) }) => {
            assert_eq!(content, "", "the end of a stream has no content");
            format!("{number}{group} {id}#{place} end{end}")
        }
    }
}
