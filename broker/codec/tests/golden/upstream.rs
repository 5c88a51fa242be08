//! The notation of what clients write, the same for all protocols. It shares no code with the codecs.

use codec::ids::AckId;
use codec::message::{Content, DataType, InvalidStream, Payload, SendToGroup, StreamStart, Upstream};
use serde_json::{Map, Value, json};

/// The notation of a client's message: an object whose first property is its name.
pub(crate) fn noted(message: &Upstream) -> Value {
    let mut noted = Note(Map::new());
    match message {
        Upstream::JoinGroup { group, ack_id } => {
            noted.set("joinGroup", group.as_str());
            noted.ack_id(*ack_id);
        }
        Upstream::LeaveGroup { group, ack_id } => {
            noted.set("leaveGroup", group.as_str());
            noted.ack_id(*ack_id);
        }
        Upstream::SendToGroup(send) => noted.send(send),
        Upstream::Event { event, content, ack_id } => {
            noted.set("event", event.as_str());
            noted.content(content);
            noted.ack_id(*ack_id);
        }
        Upstream::Ping => noted.set("ping", ()),
        Upstream::SequenceAck(id) => noted.set("sequenceAck", id.0),
        Upstream::Invoke(invoke) => {
            noted.set("invoke", invoke.event.as_str());
            noted.set("invocationId", invoke.invocation_id.as_str());
            noted.content(&invoke.content);
        }
        Upstream::CancelInvocation(id) => noted.set("cancelInvocation", id.as_str()),
        Upstream::InvokeResponse => noted.set("invokeResponse", ()),
        Upstream::StreamStart(start) => noted.stream_start(start),
        Upstream::StreamData(data) => {
            noted.set("streamData", data.stream_id.as_str());
            if let Some(fragment) = &data.fragment {
                noted.set("number", fragment.sequence_id.0);
                noted.payload(&fragment.payload);
            }
        }
        Upstream::StreamEnd(end) => {
            noted.set("streamEnd", end.stream_id.as_str());
            if let Some(error) = &end.error {
                let mut parts = Note(Map::new());
                parts.set_some("message", error.message.as_deref());
                parts.set_some("code", error.code.as_deref());
                noted.set("error", parts.0);
            }
        }
        Upstream::InvalidStream(InvalidStream::Start(id)) => {
            noted.set("invalidStream", id.as_str());
            noted.set("at", "start");
        }
        Upstream::InvalidStream(InvalidStream::Data(id)) => {
            noted.set("invalidStream", id.as_str());
            noted.set("at", "data");
        }
        Upstream::SetGroupState { group, state, ack_id } => {
            noted.set("setGroupState", group.as_str());
            noted.set_some("state", state.as_ref().map(|state| state.iter().collect::<Vec<_>>()));
            noted.ack_id(*ack_id);
        }
        Upstream::SubscribeGroupState { group, ack_id } => {
            noted.set("subscribeGroupState", group.as_str());
            noted.ack_id(*ack_id);
        }
        Upstream::UnsubscribeGroupState { group, ack_id } => {
            noted.set("unsubscribeGroupState", group.as_str());
            noted.ack_id(*ack_id);
        }
    }
    Value::Object(noted.0)
}

struct Note(Map<String, Value>);

impl Note {
    fn set(&mut self, part: &str, value: impl serde::Serialize) {
        self.0.insert(part.to_owned(), json!(value));
    }

    fn set_some(&mut self, part: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            self.set(part, value);
        }
    }

    fn ack_id(&mut self, ack_id: Option<AckId>) {
        self.set_some("ackId", ack_id.map(|id| id.0));
    }

    fn send(&mut self, send: &SendToGroup) {
        self.set("sendToGroup", send.group.as_str());
        self.content(&send.content);
        self.set_some("noEcho", send.no_echo.then_some(true));
        self.set_some("ttlSeconds", send.time_to_live.map(|time| time.as_secs()));
        self.ack_id(send.ack_id);
    }

    fn stream_start(&mut self, start: &StreamStart) {
        self.set("streamStart", start.stream_id.as_str());
        self.set("group", start.group.as_str());
        self.set_some("noEcho", start.no_echo.then_some(true));
        self.set("idleTimeoutMs", u64::try_from(start.idle_timeout.as_millis()).unwrap());
    }

    fn content(&mut self, content: &Content) {
        self.payload(&content.payload);
        self.set_some("metadata", content.metadata.as_ref().map(|map| map.iter().collect::<Vec<_>>()));
    }

    fn payload(&mut self, payload: &Payload) {
        let bytes = payload.bytes();
        let as_text = || std::str::from_utf8(bytes).unwrap().to_owned();
        let as_hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match payload.data_type() {
            DataType::Text => self.set("text", as_text()),
            DataType::Json => self.set("json", as_text()),
            DataType::Binary => self.set("binary", as_hex()),
            DataType::Protobuf => self.set("protobuf", as_hex()),
        }
    }
}
