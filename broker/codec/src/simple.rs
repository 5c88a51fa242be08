//! Simple WebSocket clients, those without a subprotocol: a frame is the payload and nothing else.
//!
//! What becomes of a payload (an event, a publication) is decided by the session. Source: `client-protocols.md` 5
//! and 7.

use bytes::Bytes;

use crate::message::{DataType, Downstream, FrameKind, InvalidPayload, Payload, StreamProgress};

/// What the client is sent of a message: its payload without origin and metadata. Nothing for all that is not a
/// message from somebody, because this client knows no envelopes.
pub fn encode(message: &Downstream) -> Option<(FrameKind, &Bytes)> {
    let Downstream::Message { content, stream, .. } = message else {
        return None;
    };
    // The end of a stream says nothing without its envelope.
    if stream.as_ref().is_some_and(|part| part.progress != StreamProgress::Open) {
        return None;
    }
    let kind = match content.payload.data_type() {
        DataType::Text | DataType::Json => FrameKind::Text,
        DataType::Binary | DataType::Protobuf => FrameKind::Binary,
    };
    Some((kind, content.payload.bytes()))
}

/// Takes the content of a frame from the client.
///
/// # Errors
/// [`InvalidPayload::Text`] for a text frame that is not UTF-8.
pub fn decode(kind: FrameKind, bytes: Bytes) -> Result<Payload, InvalidPayload> {
    match kind {
        FrameKind::Text => Payload::text_from_utf8(bytes),
        FrameKind::Binary => Ok(Payload::binary(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AckId, ConnectionId, GroupName, InvocationId, StreamId};
    use crate::message::{
        Content, GroupStateExtent, Invoked, Origin, StreamFailure, StreamNackError, StreamPart,
        StreamSequenceId,
    };
    use crate::metadata::Metadata;

    fn from_somebody(payload: Payload, origin: Origin) -> Downstream {
        let metadata = Some(Metadata::new([("trace", "a1")]).unwrap());
        Downstream::Message { origin, content: Content { payload, metadata }, stream: None }
    }

    #[test]
    fn clients_receive_the_payload_alone() {
        let any = Bytes::from_static(b"\x0a\x01t");
        let rows: [(Payload, FrameKind, &'static [u8]); 6] = [
            (Payload::text("hé"), FrameKind::Text, "hé".as_bytes()),
            (Payload::text(""), FrameKind::Text, b""),
            (Payload::json(Bytes::from_static(b" \"x\" ")).unwrap(), FrameKind::Text, b" \"x\" "),
            (Payload::json(Bytes::from_static(b"null")).unwrap(), FrameKind::Text, b"null"),
            (Payload::binary(Bytes::from_static(&[0, 255])), FrameKind::Binary, &[0, 255]),
            (Payload::protobuf(any).unwrap(), FrameKind::Binary, b"\x0a\x01t"),
        ];
        for (payload, kind, bytes) in rows {
            let group = GroupName::new("g").unwrap();
            for origin in [Origin::Server, Origin::Group { group, from_user_id: None }] {
                let message = from_somebody(payload.clone(), origin);
                assert_eq!(encode(&message), Some((kind, &Bytes::from_static(bytes))), "{payload:?}");
            }
        }
    }

    #[test]
    fn clients_receive_nothing_else() {
        let rows = [
            Downstream::Connected {
                connection_id: ConnectionId::parse("c").unwrap(),
                user_id: None,
                reconnection_token: None,
            },
            Downstream::Disconnected { message: "bye".to_owned() },
            Downstream::Ack { ack_id: AckId(1), result: Ok(()) },
            Downstream::Pong,
            Downstream::InvokeResponse {
                invocation_id: InvocationId::new("1").unwrap(),
                result: Ok(Invoked { payload: Some(Payload::text("x")), metadata: None }),
            },
            Downstream::StreamAck { stream_id: StreamId::new("s"), expected: StreamSequenceId(1) },
            Downstream::StreamNack {
                stream_id: StreamId::new("s"),
                expected: StreamSequenceId(1),
                error: StreamNackError::InvalidSequenceId,
            },
            Downstream::StreamClosed { stream_id: StreamId::new("s"), error: None },
            Downstream::GroupState {
                extent: GroupStateExtent::Snapshot,
                group: GroupName::new("g").unwrap(),
                items: Vec::new(),
            },
        ];
        for message in rows {
            assert_eq!(encode(&message), None, "{message:?}");
        }
    }

    #[test]
    fn clients_receive_the_parts_of_a_stream_but_not_its_end() {
        let check = |progress: StreamProgress, expected: Option<FrameKind>| {
            let part = StreamPart {
                stream_id: StreamId::new("s"),
                sequence_id: StreamSequenceId(1),
                progress: progress.clone(),
            };
            let content = Content { payload: Payload::text("x"), metadata: None };
            let message = Downstream::Message { origin: Origin::Server, content, stream: Some(part) };
            assert_eq!(encode(&message).map(|(kind, _)| kind), expected, "{progress:?}");
        };
        check(StreamProgress::Open, Some(FrameKind::Text));
        check(StreamProgress::Complete, None);
        check(StreamProgress::Broken(StreamFailure::Cancelled), None);
    }

    #[test]
    fn frames_are_text_or_bytes() {
        let check = |kind, bytes: &'static [u8], expected: Result<Payload, InvalidPayload>| {
            assert_eq!(decode(kind, Bytes::from_static(bytes)), expected, "{kind:?} {bytes:?}");
        };
        check(FrameKind::Text, "{é".as_bytes(), Ok(Payload::text("{é")));
        check(FrameKind::Text, b"", Ok(Payload::text("")));
        check(FrameKind::Text, b"\xff", Err(InvalidPayload::Text));
        check(FrameKind::Binary, b"\xff", Ok(Payload::binary(Bytes::from_static(b"\xff"))));
        check(FrameKind::Binary, b"", Ok(Payload::binary(Bytes::new())));
    }
}
