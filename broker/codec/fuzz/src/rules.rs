//! The rules that a decoded message keeps, whatever it was decoded from.

use codec::message::{Content, DataType, Origin, Payload, StreamData, StreamSequenceId, Upstream};

/// What a decoded message would pass on to others, and from where. Panics when the message breaks a rule that its
/// receivers rely on.
pub(super) fn passed_on(message: Upstream) -> Option<(Origin, Content)> {
    match message {
        Upstream::SendToGroup(send) => {
            assert!(send.time_to_live.is_none_or(|time| (1..=300).contains(&time.as_secs())));
            Some((Origin::Group { group: send.group, from_user_id: None }, send.content))
        }
        Upstream::Event { content, .. } => Some((Origin::Server, content)),
        Upstream::Invoke(invoke) => {
            assert!(!invoke.invocation_id.as_str().is_empty());
            Some((Origin::Server, invoke.content))
        }
        Upstream::CancelInvocation(id) => {
            assert!(!id.as_str().is_empty());
            None
        }
        Upstream::StreamStart(start) => {
            assert!(!start.stream_id.as_str().is_empty());
            assert!((1..=u128::from(u32::MAX)).contains(&start.idle_timeout.as_millis()));
            None
        }
        Upstream::StreamData(StreamData { fragment: Some(fragment), .. }) => {
            assert!(fragment.sequence_id > StreamSequenceId(0));
            Some((Origin::Server, Content { payload: fragment.payload, metadata: None }))
        }
        Upstream::SetGroupState { state: Some(state), .. } => {
            assert!(state.iter().is_sorted_by(|(one, _), (next, _)| one < next), "no key is there twice");
            None
        }
        _ => None,
    }
}

/// Panics when a payload is not what its kind demands, so that other nodes would not take it.
pub(super) fn check_payload(payload: &Payload) {
    let bytes = payload.bytes().clone();
    let again = match payload.data_type() {
        DataType::Text => Payload::text_from_utf8(bytes),
        DataType::Json => Payload::json(bytes),
        DataType::Binary => Ok(Payload::binary(bytes)),
        DataType::Protobuf => Payload::protobuf(bytes),
    };
    assert_eq!(again.as_ref(), Ok(payload));
}
