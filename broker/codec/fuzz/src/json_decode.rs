//! Any bytes as the frame of a JSON client. What is understood must become an envelope that clients can parse and that
//! carries the payload unchanged.

use codec::json::{decode, encode};
use codec::message::{Content, DataType, Downstream, Origin};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rules::{check_payload, passed_on};

/// Panics when a rule is broken.
pub fn run(frame: &[u8]) {
    match decode(frame) {
        Ok(message) => {
            if let Some((origin, content)) = passed_on(message) {
                check(origin, content);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "dataType", borrow)]
    data_type: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn check(origin: Origin, content: Content) {
    let payload = content.payload.clone();
    check_payload(&payload);
    let mut frame = Vec::new();
    encode(&Downstream::Message { origin, content, stream: None }, &mut frame);
    let envelope: Envelope<'_> = serde_json::from_slice(&frame).expect("an envelope is JSON");

    let data = envelope.data.get();
    match payload.data_type() {
        DataType::Json => {
            assert_eq!(envelope.data_type, "json");
            assert_eq!(data.as_bytes(), payload.bytes(), "JSON is passed on as it is");
            assert_ne!(data, "null", "a client may not send null");
        }
        DataType::Text => {
            let text: String = serde_json::from_str(data).expect("text is a string");
            assert_eq!(text.as_bytes(), payload.bytes());
        }
        DataType::Binary | DataType::Protobuf => assert!(data.starts_with('"')),
    }
}
