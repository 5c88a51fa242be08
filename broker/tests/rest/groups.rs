//! Membership: single connections, users, and many at once.

use serde_json::{Value, json};

use crate::support::{Client, ClientSpec, Reply, Server, escape};
use crate::{assert_error, chat, expect_nothing_but_marker, next_data};

/// Whether the client gets what is sent to a group. A marker to the whole hub ends the wait.
async fn is_member(server: &Server, client: &mut Client, group: &str) -> bool {
    let path = chat(&format!("groups/{}/:send", escape(group)));
    server.rest().post(&path).text("to the group").expect(202).await;
    server.rest().post(&chat(":send")).text("marker").expect(202).await;
    let first = next_data(client).await;
    if first == "marker" {
        return false;
    }
    assert_eq!((first, next_data(client).await), (json!("to the group"), json!("marker")));
    true
}

fn member_path(client: &Client, group: &str) -> String {
    chat(&format!("groups/{}/connections/{}", escape(group), client.connection_id()))
}

#[tokio::test]
async fn a_connection_is_added_and_removed_as_often_as_one_likes() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let path = member_path(&client, "room");
    for _ in 0..2 {
        assert!(server.rest().put(&path).expect(200).await.body.is_empty());
        assert!(is_member(&server, &mut client, "room").await);
    }
    for _ in 0..2 {
        server.rest().delete(&path).expect(204).await;
        assert!(!is_member(&server, &mut client, "room").await);
    }
}

#[tokio::test]
async fn a_missing_connection_cannot_be_added_and_need_not_be_removed() {
    let server = Server::start().await;
    let elsewhere = server.connect("other", ClientSpec::json()).await;
    for id in ["no one", elsewhere.connection_id()] {
        let path = chat(&format!("groups/room/connections/{}", escape(id)));
        let reply = server.rest().put(&path).expect(404).await;
        assert_error(&reply, "Error.Connection.NotExisted", "Connection");
        assert_eq!(reply.json()["message"], format!("Connection `{id}` is not found."));
        server.rest().delete(&path).expect(204).await;
    }
    server.rest().head("/api/hubs/other/groups/room").expect(404).await;
}

#[tokio::test]
async fn a_connection_leaves_all_its_groups_at_once() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().group("a").group("b").group("c/d")).await;
    let mut other = server.connect("chat", ClientSpec::json().group("a")).await;
    let path = chat(&format!("connections/{}/groups", client.connection_id()));
    for _ in 0..2 {
        server.rest().delete(&path).expect(204).await;
    }
    for group in ["a", "b", "c/d"] {
        server.rest().post(&chat(&format!("groups/{}/:send", escape(group)))).text("x").expect(202).await;
    }
    expect_nothing_but_marker(&server, &mut client).await;
    assert_eq!(next_data(&mut other).await, "x");
    server.rest().delete(&chat("connections/none/groups")).expect(204).await;
}

#[tokio::test]
async fn a_user_is_added_with_the_connections_it_has_now() {
    let server = Server::start().await;
    let mut first = server.connect("chat", ClientSpec::json().user("ann")).await;
    let mut second = server.connect("chat", ClientSpec::json().user("ann")).await;
    let mut other = server.connect("chat", ClientSpec::json().user("bob")).await;
    let path = chat("users/ann/groups/room");
    server.rest().put(&path).expect(200).await;
    let mut late = server.connect("chat", ClientSpec::json().user("ann")).await;
    server.rest().post(&chat("groups/room/:send")).text("hi").expect(202).await;
    for member in [&mut first, &mut second] {
        assert_eq!(next_data(member).await, "hi");
    }
    expect_nothing_but_marker(&server, &mut late).await;
    assert_eq!(next_data(&mut other).await, "marker");

    server.rest().delete(&path).expect(204).await;
    server.rest().head(&chat("groups/room")).expect(404).await;
    server.rest().delete(&path).expect(204).await;
}

#[tokio::test]
async fn a_user_without_a_connection_cannot_be_added_and_need_not_be_removed() {
    let server = Server::start().await;
    let reply = server.rest().put(&chat("users/nobody/groups/room")).expect(404).await;
    assert_error(&reply, "Warning.User.NotExisted", "User");
    server.rest().delete(&chat("users/nobody/groups/room")).expect(204).await;
    server.rest().delete(&chat("users/nobody/groups")).expect(204).await;
}

#[tokio::test]
async fn a_user_leaves_all_groups_with_all_connections() {
    let server = Server::start().await;
    let spec = || ClientSpec::json().user("ann").group("a").group("b");
    let mut first = server.connect("chat", spec()).await;
    let mut second = server.connect("chat", spec()).await;
    let mut other = server.connect("chat", ClientSpec::json().user("bob").group("a")).await;
    server.rest().delete(&chat("users/ann/groups")).expect(204).await;
    server.rest().head(&chat("groups/b")).expect(404).await;
    server.rest().post(&chat("groups/a/:send")).text("hi").expect(202).await;
    assert_eq!(next_data(&mut other).await, "hi");
    expect_nothing_but_marker(&server, &mut first).await;
    assert_eq!(next_data(&mut second).await, "marker");
}

#[tokio::test]
async fn membership_by_the_application_changes_no_permission() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    server.rest().put(&member_path(&client, "room")).expect(200).await;
    let ack = client
        .request(json!({"type": "sendToGroup", "group": "room", "data": "x", "dataType": "text"}))
        .await;
    assert_eq!(ack["error"]["name"], "Forbidden", "{ack}");
    let ack = client.request(json!({"type": "leaveGroup", "group": "room"})).await;
    assert_eq!(ack["error"]["name"], "Forbidden", "{ack}");
    assert!(is_member(&server, &mut client, "room").await);
}

async fn batch(server: &Server, verb: &str, body: &Value, status: u16) -> Reply {
    server.rest().post(&chat(verb)).json(body).expect(status).await
}

#[tokio::test]
async fn a_batch_adds_and_removes_whom_the_filter_chooses() {
    let server = Server::start().await;
    let mut ann = server.connect("chat", ClientSpec::json().user("ann")).await;
    let mut bob = server.connect("chat", ClientSpec::json().user("bob")).await;
    let only_ann = json!({"groups": ["room", "a/b", "room"], "filter": "userId eq 'ann'"});
    assert!(batch(&server, ":addToGroups", &only_ann, 200).await.body.is_empty());
    assert!(is_member(&server, &mut ann, "room").await);
    assert!(is_member(&server, &mut ann, "a/b").await);
    expect_nothing_but_marker(&server, &mut ann).await;
    for _ in 0..3 {
        assert_eq!(next_data(&mut bob).await, "marker", "bob is in neither group");
    }

    let everyone = json!({"Groups": ["room"], "FILTER": null, "unknown": {}});
    batch(&server, ":addToGroups", &everyone, 200).await;
    assert!(is_member(&server, &mut bob, "room").await);
    batch(&server, ":removeFromGroups", &only_ann, 200).await;
    server.rest().head(&chat("groups/a%2Fb")).expect(404).await;
    assert!(is_member(&server, &mut bob, "room").await);
    batch(&server, ":removeFromGroups", &json!({"groups": ["room"], "filter": ""}), 200).await;
    server.rest().head(&chat("groups/room")).expect(404).await;
}

#[tokio::test]
async fn a_batch_that_chooses_nobody_is_200() {
    let server = Server::start().await;
    for verb in [":addToGroups", ":removeFromGroups"] {
        batch(&server, verb, &json!({"groups": ["room"]}), 200).await;
    }
    let _client = server.connect("chat", ClientSpec::json()).await;
    batch(&server, ":addToGroups", &json!({"groups": ["room"], "filter": "userId eq 'x'"}), 200).await;
    server.rest().head(&chat("groups/room")).expect(404).await;
}

#[tokio::test]
async fn the_filter_of_a_batch_sees_groups_as_they_were_before() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::json().group("a")).await;
    let mut other = server.connect("chat", ClientSpec::json()).await;
    let body = json!({"groups": ["a", "b"], "filter": "not ('a' in groups)"});
    batch(&server, ":addToGroups", &body, 200).await;
    assert!(is_member(&server, &mut other, "b").await);
    assert_eq!(next_data(&mut member).await, "marker", "it was a member, so it was not chosen");
}

#[tokio::test]
async fn a_batch_of_1025_groups_is_carried_out() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let groups: Vec<String> = (0..1025).map(|n| format!("group {n}")).collect();
    batch(&server, ":addToGroups", &json!({"groups": groups}), 200).await;
    assert!(is_member(&server, &mut client, "group 0").await);
    assert!(is_member(&server, &mut client, "group 1024").await);
    batch(&server, ":removeFromGroups", &json!({"groups": groups}), 200).await;
    assert!(!is_member(&server, &mut client, "group 512").await);
}

#[tokio::test]
async fn a_bad_batch_is_400_and_changes_nothing() {
    let server = Server::start().await;
    let _client = server.connect("chat", ClientSpec::json().group("kept")).await;
    let long = "a".repeat(1025);
    for body in [
        json!(null),
        json!([]),
        json!("room"),
        json!({}),
        json!({"groups": []}),
        json!({"groups": null}),
        json!({"groups": "room"}),
        json!({"groups": ["room", null]}),
        json!({"groups": ["room", 1]}),
        json!({"groups": ["room", ""]}),
        json!({"groups": ["room", " "]}),
        json!({"groups": ["room", long]}),
        json!({"groups": ["room"], "filter": 1}),
        json!({"groups": ["room"], "filter": " "}),
        json!({"groups": ["room"], "filter": "userId"}),
        json!({"groups": ["room"], "filter": "nobody eq 1"}),
    ] {
        let reply = batch(&server, ":addToGroups", &body, 400).await;
        assert_error(&reply, "Error.BadRequest", "Request");
    }
    for body in [json!({"groups": ["kept", ""]}), json!({"groups": ["kept"], "filter": " "})] {
        batch(&server, ":removeFromGroups", &body, 400).await;
    }
    server.rest().head(&chat("groups/room")).expect(404).await;
    server.rest().head(&chat("groups/kept")).expect(200).await;
}

#[tokio::test]
async fn a_batch_is_json_by_its_content_type_and_its_bytes() {
    let server = Server::start().await;
    let good = json!({"groups": ["room"]}).to_string();
    for verb in [":addToGroups", ":removeFromGroups"] {
        let post = || server.rest().post(&chat(verb));
        for call in [post().text(&good), post().untyped(good.clone()), post().binary(good.as_bytes()), post()]
        {
            let reply = call.expect(415).await;
            assert_error(&reply, "Error.UnsupportedMediaType", "Request");
        }
        for bad in ["", "{", "{\"groups\":[\"room\"]} x"] {
            post().body("application/json", bad).expect(400).await;
        }
        let spaces = format!("{good}{}", " ".repeat(1_048_576));
        post().body("application/json", spaces).expect(400).await;
        post().body("Application/JSON; charset=utf-8", good.clone()).expect(200).await;
    }
}
