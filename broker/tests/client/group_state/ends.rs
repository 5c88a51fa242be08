//! How states and subscriptions end without being asked to.

use serde_json::json;

use super::{connect, expect_item, next_item, request, set, spec, subscribe};
use crate::support::{Client, Server};

/// How the owner of a state ceases to be a member. Those that go on with their connection give it back.
#[derive(Debug, Clone, Copy)]
enum Parting {
    Leave,
    RemovedFromGroup,
    RemovedFromEveryGroup,
    UserRemovedFromGroup,
    UserRemovedFromEveryGroup,
    Filtered,
    Closes,
    ClosedByApplication,
    GroupClosedByApplication,
    Drops,
    BreaksTheProtocol,
}

impl Parting {
    const ALL: [Self; 11] = [
        Self::Leave,
        Self::RemovedFromGroup,
        Self::RemovedFromEveryGroup,
        Self::UserRemovedFromGroup,
        Self::UserRemovedFromEveryGroup,
        Self::Filtered,
        Self::Closes,
        Self::ClosedByApplication,
        Self::GroupClosedByApplication,
        Self::Drops,
        Self::BreaksTheProtocol,
    ];

    async fn part(self, server: &Server, mut owner: Client, stays: &Client) -> Option<Client> {
        let id = owner.connection_id().to_owned();
        let delete = |target: String| server.rest().delete(&format!("/api/hubs/chat/{target}")).expect(204);
        match self {
            Self::Leave => owner.leave("g").await,
            Self::RemovedFromGroup => drop(delete(format!("groups/g/connections/{id}")).await),
            Self::RemovedFromEveryGroup => drop(delete(format!("connections/{id}/groups")).await),
            Self::UserRemovedFromGroup => drop(delete("users/owner/groups/g".into()).await),
            Self::UserRemovedFromEveryGroup => drop(delete("users/owner/groups".into()).await),
            Self::Filtered => {
                let body = json!({"groups": ["g"], "filter": "userId eq 'owner'"});
                server.rest().post("/api/hubs/chat/:removeFromGroups").json(&body).expect(200).await;
            }
            Self::Closes => {
                owner.close().await;
                return None;
            }
            Self::ClosedByApplication => {
                delete(format!("connections/{id}")).await;
                return None;
            }
            Self::GroupClosedByApplication => {
                let target =
                    format!("/api/hubs/chat/groups/g/:closeConnections?excluded={}", stays.connection_id());
                server.rest().post(&target).expect(204).await;
                return None;
            }
            Self::Drops => {
                drop(owner);
                return None;
            }
            Self::BreaksTheProtocol => {
                owner.send_text("nonsense").await;
                return None;
            }
        }
        Some(owner)
    }
}

#[tokio::test]
async fn a_state_ends_with_the_membership_whatever_ends_it() {
    // Of several rounds some have the owner on the worker of the subscriber, and some on another.
    for round in 0..4 {
        let server = Server::start().await;
        let mut subscriber = connect(&server).await;
        subscribe(&mut subscriber).await;
        for parting in Parting::ALL {
            let mut owner = server.connect("chat", spec().user("owner")).await;
            let id = owner.connection_id().to_owned();
            set(&mut owner, json!({"s": "x"})).await;
            let shown = next_item(&mut subscriber).await;
            assert_eq!((&shown["connectionId"], &shown["state"]), (&json!(id), &json!({"s": "x"})));
            assert_eq!(subscribe(&mut owner).await.len(), 1);
            let owner = parting.part(&server, owner, &subscriber).await;
            let cleared = json!({"connectionId": id, "userId": "owner"});
            let time = expect_item(&mut subscriber, cleared.clone()).await;
            assert!(time > shown["updatedAt"].as_i64().unwrap(), "{parting:?}");
            assert!(subscribe(&mut subscriber).await.is_empty(), "{parting:?} in round {round}");
            if let Some(owner) = owner {
                is_told_nothing_any_more(&server, owner, &mut subscriber).await;
            }
            subscriber.expect_nothing_before_pong().await;
        }
    }
}

/// A former member that joins again has neither its state nor its subscription.
async fn is_told_nothing_any_more(server: &Server, mut owner: Client, subscriber: &mut Client) {
    owner.join("g").await;
    let mut other = connect(server).await;
    set(&mut other, json!({"s": "y"})).await;
    assert_eq!(next_item(subscriber).await["state"], json!({"s": "y"}));
    other.publish("g", "marker").await;
    assert_eq!(owner.next_json().await["data"], "marker", "an update would have come before");
    assert_eq!(subscriber.next_json().await["data"], "marker");
    other.close().await;
    assert_eq!(next_item(subscriber).await.get("state"), None);
    owner.close().await;
}

#[tokio::test]
async fn a_member_that_shows_nothing_leaves_in_silence() {
    let server = Server::start().await;
    let mut subscriber = connect(&server).await;
    subscribe(&mut subscriber).await;
    let mut owner = connect(&server).await;
    set(&mut owner, json!({"s": "x"})).await;
    assert_eq!(owner.request(request("setGroupState", "g")).await["success"], true);
    owner.leave("g").await;
    owner.publish("g", "marker").await;
    assert_eq!(next_item(&mut subscriber).await["state"], json!({"s": "x"}));
    assert_eq!(next_item(&mut subscriber).await.get("state"), None);
    assert_eq!(subscriber.next_json().await["data"], "marker");
}

#[tokio::test]
async fn the_end_of_an_owner_is_told_to_each_of_many_groups() {
    const GROUPS: usize = 350;
    let mut server = Server::with(|setup| {
        setup.workers(1).outbox(GROUPS / 2, 1 << 20);
    })
    .await;
    let (mut owner, mut subscriber) = (connect(&server).await, connect(&server).await);
    for n in 0..GROUPS {
        let group = format!("many-{n}");
        for client in [&mut owner, &mut subscriber] {
            client.join(&group).await;
        }
        assert_eq!(subscriber.request(request("subscribeGroupState", &group)).await["success"], true);
        subscriber.next_json().await;
        let set = json!({"type": "setGroupState", "group": group, "state": {"s": "x"}});
        assert_eq!(owner.request(set).await["success"], true);
        subscriber.next_json().await;
    }
    owner.close().await;
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..GROUPS {
        let update = subscriber.next_json().await;
        assert_eq!(update["items"][0].get("state"), None, "{update}");
        told.insert(update["group"].as_str().unwrap().to_owned());
    }
    assert_eq!(told.len(), GROUPS);
    subscriber.expect_nothing_before_pong().await;
    server.begin_stop();
    server.stopped().await;
}
