//! Any bytes as the frame of a protobuf client. What is understood must become messages that protobuf and JSON clients
//! can read, and that carry the payload unchanged.

use codec::message::{Content, DataType, Downstream, Origin};
use codec::{json, protobuf};
use prost::Message as _;
use proto::client::DownstreamMessage;
use proto::client::downstream_message::Message;
use proto::client::message_data::Data;
use serde::de::IgnoredAny;

use super::rules::{check_payload, passed_on};

/// Panics when a rule is broken.
pub fn run(frame: &[u8]) {
    match protobuf::decode(frame) {
        Ok(message) => {
            if let Some((origin, content)) = passed_on(message) {
                check(origin, content);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

fn check(origin: Origin, content: Content) {
    let payload = content.payload.clone();
    check_payload(&payload);
    let metadata = content.metadata.clone();
    let message = Downstream::Message { origin, content, stream: None };

    let mut frame = Vec::new();
    json::encode(&message, &mut frame);
    serde_json::from_slice::<IgnoredAny>(&frame).expect("an envelope is JSON");

    frame.clear();
    protobuf::encode(&message, &mut frame);
    let read = DownstreamMessage::decode(&frame[..]).expect("a message is protobuf");
    let Some(Message::DataMessage(read)) = read.message else {
        panic!("a message is data");
    };
    let sent = metadata.iter().flat_map(|metadata| metadata.iter());
    assert!(read.metadata.iter().map(|(key, value)| (&**key, &**value)).eq(sent), "metadata is passed on");
    let data = read.data.and_then(|data| data.data).expect("data is always there");
    let (data_type, bytes) = match data {
        Data::TextData(text) => (DataType::Text, text.into()),
        Data::BinaryData(bytes) => (DataType::Binary, bytes),
        Data::ProtobufData(any) => (DataType::Protobuf, any.encode_to_vec().into()),
        Data::JsonData(json) => (DataType::Json, json.into()),
    };
    assert_eq!(data_type, payload.data_type());
    assert_eq!(bytes, payload.bytes());
}
