//! Made-up messages of both directions, and what must be true of everything that a decoder lets through.

use std::time::Duration;

use codec::ids::{AckId, ConnectionId, EventName, GroupName, InvocationId, StreamId, UserId};
use codec::message::{
    Content, DataType, Downstream, GroupState, GroupStateExtent, GroupStateItem, Invoke, InvokeError,
    Invoked, Origin, Payload, StreamClosedError, StreamData, StreamEnd, StreamFailure, StreamFragment,
    StreamNackError, StreamPart, StreamProgress, StreamSequenceId, StreamStart, Upstream, UserError,
};
use codec::metadata::Metadata;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;

/// Text that is likely to need escapes, or a length of more than one byte.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\"\\\\\n\u{0}-\u{1f}é😀}]{0,20}", "[a-z]{100,200}"]
}

fn group() -> impl Strategy<Value = GroupName> {
    text().prop_filter_map("a group's name", |name| GroupName::new(&name).ok())
}

fn user() -> impl Strategy<Value = Option<UserId>> {
    text().prop_map(|id| UserId::new(&id).ok())
}

fn invocation_id() -> impl Strategy<Value = InvocationId> {
    text().prop_filter_map("an id", |id| InvocationId::new(&id).ok())
}

fn stream_id() -> impl Strategy<Value = StreamId> {
    text().prop_map(|id| StreamId::new(&id))
}

fn ack_id() -> impl Strategy<Value = Option<AckId>> {
    option::of(any::<u64>().prop_map(AckId))
}

/// Content of each kind. JSON is never null, which JSON clients may not send, nor a number that readers would round.
fn payload() -> impl Strategy<Value = Payload> {
    let json = prop_oneof![
        "-?[1-9][0-9]{0,12}".boxed(),
        text().prop_map(|text| serde_json::json!({ "a": [text, null] }).to_string()).boxed(),
    ];
    prop_oneof![
        text().prop_map(Payload::text),
        json.prop_map(|json| Payload::json(json.into()).unwrap()),
        vec(any::<u8>(), 0..200).prop_map(|bytes| Payload::binary(bytes.into())),
        (text(), vec(any::<u8>(), 0..200)).prop_map(|(type_url, value)| {
            let any = prost_types::Any { type_url, value };
            Payload::protobuf(any.encode_to_vec().into()).unwrap()
        }),
    ]
}

/// Never empty: protobuf does not tell that from none.
fn metadata() -> impl Strategy<Value = Option<Metadata>> {
    let map = btree_map("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,20}", "[\u{0}-\u{7f}]{0,30}", 1..4);
    option::of(map.prop_map(|map| Metadata::new(map).unwrap()))
}

fn content() -> impl Strategy<Value = Content> {
    (payload(), metadata()).prop_map(|(payload, metadata)| Content { payload, metadata })
}

fn group_state() -> impl Strategy<Value = Option<GroupState>> {
    option::of(btree_map(text(), text(), 0..4).prop_map(GroupState::new))
}

fn user_error() -> impl Strategy<Value = UserError> {
    (option::of(text()), option::of(text())).prop_map(|(message, code)| UserError { message, code })
}

/// A number of a part. 0 is none.
fn number() -> impl Strategy<Value = StreamSequenceId> {
    prop_oneof![1..200_u64, any::<u64>().prop_map(|number| number.max(1))].prop_map(StreamSequenceId)
}

/// What a client may write that has a meaning.
pub(crate) fn upstream() -> impl Strategy<Value = Upstream> {
    let event = "[a-zA-Z][a-zA-Z0-9_.-]{0,20}".prop_map(|name| EventName::new(&name).unwrap());
    let start = (text().prop_filter("an id", |id| !id.is_empty()), group(), any::<bool>(), 1..=u32::MAX);
    let fragment =
        (number(), payload()).prop_map(|(sequence_id, payload)| StreamFragment { sequence_id, payload });
    prop_oneof![
        (invocation_id(), event, content()).prop_map(|(invocation_id, event, content)| {
            Upstream::Invoke(Invoke { invocation_id, event, content })
        }),
        invocation_id().prop_map(Upstream::CancelInvocation),
        start.prop_map(|(id, group, no_echo, milliseconds)| {
            let idle_timeout = Duration::from_millis(milliseconds.into());
            Upstream::StreamStart(StreamStart { stream_id: StreamId::new(&id), group, no_echo, idle_timeout })
        }),
        (stream_id(), option::of(fragment))
            .prop_map(|(stream_id, fragment)| Upstream::StreamData(StreamData { stream_id, fragment })),
        (stream_id(), option::of(user_error()))
            .prop_map(|(stream_id, error)| Upstream::StreamEnd(StreamEnd { stream_id, error })),
        (group(), group_state(), ack_id()).prop_map(|(group, state, ack_id)| Upstream::SetGroupState {
            group,
            state,
            ack_id
        }),
        (group(), ack_id()).prop_map(|(group, ack_id)| Upstream::SubscribeGroupState { group, ack_id }),
        (group(), ack_id()).prop_map(|(group, ack_id)| Upstream::UnsubscribeGroupState { group, ack_id }),
    ]
}

fn stream_part() -> impl Strategy<Value = StreamPart> {
    let failure = prop_oneof![
        Just(StreamFailure::IdleTimeout),
        Just(StreamFailure::InternalServerError),
        Just(StreamFailure::Forbidden),
        Just(StreamFailure::Cancelled),
        user_error().prop_map(StreamFailure::UserError),
    ];
    let progress = prop_oneof![
        Just(StreamProgress::Open),
        Just(StreamProgress::Complete),
        failure.prop_map(StreamProgress::Broken),
    ];
    (stream_id(), number(), progress).prop_map(|(stream_id, sequence_id, progress)| StreamPart {
        stream_id,
        sequence_id,
        progress,
    })
}

fn group_state_item() -> impl Strategy<Value = GroupStateItem> {
    ("[A-Za-z0-9_-]{1,40}", user(), group_state(), any::<i64>()).prop_map(
        |(connection_id, user_id, state, updated_at)| GroupStateItem {
            connection_id: ConnectionId::parse(&connection_id).unwrap(),
            user_id,
            state,
            updated_at,
        },
    )
}

/// What has a sequence id on a reliable connection.
pub(crate) fn sequenced_downstream() -> impl Strategy<Value = Downstream> {
    let origin = (option::of(group()), user()).prop_map(|(group, from_user_id)| match group {
        Some(group) => Origin::Group { group, from_user_id },
        None => Origin::Server,
    });
    let extent = prop_oneof![Just(GroupStateExtent::Snapshot), Just(GroupStateExtent::Update)];
    prop_oneof![
        (origin, content(), option::of(stream_part()))
            .prop_map(|(origin, content, stream)| Downstream::Message { origin, content, stream }),
        (extent, group(), vec(group_state_item(), 0..4))
            .prop_map(|(extent, group, items)| Downstream::GroupState { extent, group, items }),
    ]
}

/// What has none.
pub(crate) fn unsequenced_downstream() -> impl Strategy<Value = Downstream> {
    let invoked =
        (option::of(payload()), metadata()).prop_map(|(payload, metadata)| Ok(Invoked { payload, metadata }));
    let invoke_error = prop_oneof![
        Just(Err(InvokeError::BadRequest("no \"more\"\n"))),
        Just(Err(InvokeError::InternalServerError)),
    ];
    let closed = prop_oneof![
        Just(StreamClosedError::StreamNotFound),
        Just(StreamClosedError::Forbidden),
        Just(StreamClosedError::BadRequest("no \"more\"\n")),
        Just(StreamClosedError::InternalServerError),
        Just(StreamClosedError::IdleTimeout),
    ];
    prop_oneof![
        (invocation_id(), prop_oneof![invoked, invoke_error])
            .prop_map(|(invocation_id, result)| Downstream::InvokeResponse { invocation_id, result }),
        (stream_id(), number())
            .prop_map(|(stream_id, expected)| Downstream::StreamAck { stream_id, expected }),
        (stream_id(), number()).prop_map(|(stream_id, expected)| {
            let error = StreamNackError::InvalidSequenceId;
            Downstream::StreamNack { stream_id, expected, error }
        }),
        (stream_id(), option::of(closed))
            .prop_map(|(stream_id, error)| Downstream::StreamClosed { stream_id, error }),
    ]
}

/// Panics when a decoder has let something through that the session relies on never to see.
pub(crate) fn check_rules(message: &Upstream) {
    match message {
        Upstream::Invoke(invoke) => {
            assert!(!invoke.invocation_id.as_str().is_empty());
            check_payload(&invoke.content.payload);
        }
        Upstream::CancelInvocation(id) => assert!(!id.as_str().is_empty()),
        Upstream::StreamStart(start) => {
            assert!(!start.stream_id.as_str().is_empty());
            assert!((1..=u128::from(u32::MAX)).contains(&start.idle_timeout.as_millis()));
        }
        Upstream::StreamData(StreamData { fragment: Some(fragment), .. }) => {
            assert!(fragment.sequence_id > StreamSequenceId(0));
            check_payload(&fragment.payload);
        }
        _ => {}
    }
}

fn check_payload(payload: &Payload) {
    let bytes = payload.bytes().clone();
    let valid = match payload.data_type() {
        DataType::Text => Payload::text_from_utf8(bytes).is_ok(),
        DataType::Json => Payload::json(bytes).is_ok(),
        DataType::Binary => true,
        DataType::Protobuf => Payload::protobuf(bytes).is_ok(),
    };
    assert!(valid, "what is passed on is what its kind demands");
}
