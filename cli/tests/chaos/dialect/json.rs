//! The JSON subprotocols.

use std::borrow::Cow;

use serde::Deserialize;

use super::Said;
use crate::socket::{Heard, Outcome, Tag};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    event: Option<Cow<'a, str>>,
    connection_id: Option<Cow<'a, str>>,
    reconnection_token: Option<Cow<'a, str>>,
    ack_id: Option<u64>,
    success: Option<bool>,
    error: Option<Fault<'a>>,
    data: Option<Cow<'a, str>>,
    sequence_id: Option<u64>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

pub(super) fn write(said: &Said) -> String {
    match said {
        Said::Join { group, ack } => format!(r#"{{"type":"joinGroup","group":"{group}","ackId":{ack}}}"#),
        Said::Send { group, ack, text } => format!(
            r#"{{"type":"sendToGroup","group":"{group}","ackId":{ack},"dataType":"text","data":"{text}"}}"#
        ),
        Said::SequenceAck(number) => format!(r#"{{"type":"sequenceAck","sequenceId":{number}}}"#),
        Said::Ping => r#"{"type":"ping"}"#.to_owned(),
    }
}

pub(super) fn read(text: &str) -> Heard {
    let incoming: Incoming<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match (incoming.r#type.as_ref(), incoming.event.as_deref()) {
        ("system", Some("connected")) => Heard::Connected {
            connection: incoming.connection_id.expect("every connection has an id").into_owned(),
            token: incoming.reconnection_token.map(Cow::into_owned),
        },
        ("ack", _) => {
            let fault = incoming.error.as_ref().map(|fault| fault.name.as_ref());
            let id = incoming.ack_id.expect("an ack names what it answers");
            Heard::Ack { id, outcome: Outcome::of(incoming.success == Some(true), fault) }
        }
        ("message", _) => {
            let tag = Tag::expect(&incoming.data.unwrap_or_default());
            Heard::Message { tag, sequence: incoming.sequence_id }
        }
        _ => Heard::Other,
    }
}
