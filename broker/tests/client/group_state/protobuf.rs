//! The same in protobuf. Source: `client-protobuf.md` 2 and 3.

use proto::client::GroupStateItem;
use proto::client::downstream_message::{
    GroupStateSnapshotMessage, GroupStateUpdateMessage, Message as Downstream,
};
use proto::client::group_state_item::GroupState;
use proto::client::upstream_message::{
    Message, SetGroupStateMessage, SubscribeGroupStateMessage, UnsubscribeGroupStateMessage,
};
use serde_json::json;

use super::{GET, SET, connect, expect_item, subscribe as subscribe_json};
use crate::support::protobuf::{failure, success};
use crate::support::{Client, ClientSpec, Server};

fn set(entries: Option<&[(&str, &str)]>, ack_id: u64) -> Message {
    let state = entries.map(|entries| GroupState {
        entries: entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    });
    Message::SetGroupStateMessage(SetGroupStateMessage { group: "g".into(), state, ack_id: Some(ack_id) })
}

fn subscribe(ack_id: u64) -> Message {
    let message = SubscribeGroupStateMessage { group: "g".into(), ack_id: Some(ack_id) };
    Message::SubscribeGroupStateMessage(message)
}

fn unsubscribe(ack_id: u64) -> Message {
    let message = UnsubscribeGroupStateMessage { group: "g".into(), ack_id: Some(ack_id) };
    Message::UnsubscribeGroupStateMessage(message)
}

fn item(client: &Client, entries: Option<&[(&str, &str)]>) -> GroupStateItem {
    let state = entries.map(|entries| GroupState {
        entries: entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    });
    GroupStateItem {
        connection_id: client.connection_id().into(),
        user_id: Some("ann".into()),
        state,
        updated_at: 0,
    }
}

/// The next message, which must be an update, without its time.
async fn next_item(client: &mut Client) -> GroupStateItem {
    let Downstream::GroupStateUpdateMessage(update) = client.next_protobuf().await else {
        panic!("an update was expected");
    };
    let GroupStateUpdateMessage { group, items, sequence_id } = update;
    assert_eq!((&group[..], items.len(), sequence_id), ("g", 1, None));
    timeless(items).remove(0)
}

fn timeless(mut items: Vec<GroupStateItem>) -> Vec<GroupStateItem> {
    for item in &mut items {
        assert!(item.updated_at > 1_700_000_000_000, "milliseconds since 1970: {item:?}");
        item.updated_at = 0;
    }
    items
}

#[tokio::test]
async fn states_are_shown_seen_and_cleared() {
    let server = Server::start().await;
    let spec = ClientSpec::protobuf_member().role(SET).role(GET).group("g");
    let mut owner = server.connect("chat", spec.clone().user("ann")).await;
    let mut subscriber = server.connect("chat", spec).await;
    let mut json = connect(&server).await;
    assert!(subscribe_json(&mut json).await.is_empty());
    subscriber.ask_protobuf(subscribe(1), success(1)).await;
    let empty = GroupStateSnapshotMessage { group: "g".into(), items: vec![], sequence_id: None };
    assert_eq!(subscriber.next_protobuf().await, Downstream::GroupStateSnapshotMessage(empty));

    let states: [Option<&[(&str, &str)]>; 3] = [Some(&[("a", "b"), ("é", "")]), Some(&[]), None];
    for (state, ack_id) in states.into_iter().zip(2..) {
        owner.ask_protobuf(set(state, ack_id), success(ack_id)).await;
        let expected = item(&owner, state);
        assert_eq!(next_item(&mut subscriber).await, expected);
        let id = owner.connection_id();
        let in_json = match state {
            Some(entries) => {
                let entries = entries.iter().map(|(key, value)| ((*key).into(), json!(value))).collect();
                json!({"connectionId": id, "userId": "ann", "state": serde_json::Value::Object(entries)})
            }
            None => json!({"connectionId": id, "userId": "ann"}),
        };
        expect_item(&mut json, in_json).await;
    }

    owner.ask_protobuf(set(Some(&[("a", "c")]), 9), success(9)).await;
    assert_eq!(next_item(&mut subscriber).await, item(&owner, Some(&[("a", "c")])));
    subscriber.ask_protobuf(subscribe(10), success(10)).await;
    let Downstream::GroupStateSnapshotMessage(snapshot) = subscriber.next_protobuf().await else {
        panic!("a snapshot was expected");
    };
    assert_eq!(timeless(snapshot.items), [item(&owner, Some(&[("a", "c")]))]);
    subscriber.ask_protobuf(unsubscribe(11), success(11)).await;
    owner.ask_protobuf(set(None, 12), success(12)).await;
    let publish = crate::support::protobuf::send("g", crate::support::protobuf::text("marker"));
    owner.send_protobuf(Message::SendToGroupMessage(publish)).await;
    assert!(matches!(subscriber.next_protobuf().await, Downstream::DataMessage(_)));
}

#[tokio::test]
async fn refusals_have_the_same_words() {
    let server = Server::start().await;
    let mut stranger = server.connect("chat", ClientSpec::protobuf()).await;
    stranger.ask_protobuf(set(None, 1), failure(1, "Forbidden", "Permission denied.")).await;
    let text = "No permission to get states of group g.";
    stranger.ask_protobuf(subscribe(1), failure(1, "Forbidden", text)).await;
    stranger.ask_protobuf(unsubscribe(1), success(1)).await;
    let text = "Message with ack-id: 1 has been processed";
    stranger.ask_protobuf(set(None, 1), failure(1, "Duplicate", text)).await;

    let mut client = server.connect("chat", ClientSpec::protobuf().role(SET).role(GET)).await;
    let large = "v".repeat(512);
    let text = "State payload exceeds maximum size 512 bytes.";
    client.ask_protobuf(set(Some(&[("k", &large)]), 1), failure(1, "BadRequest", text)).await;
    client.ask_protobuf(set(Some(&[]), 1), failure(1, "Forbidden", "Not a member of group.")).await;
    client.ask_protobuf(subscribe(1), failure(1, "Forbidden", "Not a member of group g.")).await;
}
