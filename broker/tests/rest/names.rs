//! Names of groups, users and connections with any character, in paths, queries and bodies.

use serde_json::json;

use crate::support::{ClientSpec, Server, escape};
use crate::{assert_error, chat, expect_nothing_but_marker, next_data};

/// Names that a careless decoder or router would trip over.
const ODD: [&str; 22] = [
    " leading and trailing ",
    "a/b",
    "a//b/",
    "/",
    "a+b",
    "a%2Fb",
    "a%b",
    "100%",
    "?",
    "#fragment",
    "a&b=c;d",
    "你好",
    "é😀",
    "e\u{301}",
    ".",
    "..",
    "a'b\"c",
    ":send",
    "connections",
    "{group}",
    "!'()*~-_.",
    "line\nbreak\u{0}",
];

#[tokio::test]
async fn groups_may_have_any_name_in_a_path() {
    let server = Server::start().await;
    for name in ODD {
        let mut client = server.connect("chat", ClientSpec::json().group(name)).await;
        let group = format!("groups/{}", escape(name));
        server.rest().head(&chat(&group)).expect(200).await;
        server.rest().post(&chat(&format!("{group}/:send"))).text(name).expect(202).await;
        let message = client.next_json().await;
        assert_eq!((&message["group"], &message["data"]), (&json!(name), &json!(name)));
        let page = server.rest().get(&chat(&format!("{group}/connections"))).expect(200).await.json();
        assert_eq!(page["value"][0]["connectionId"], client.connection_id(), "{name:?}");
        let member = format!("{group}/connections/{}", client.connection_id());
        server.rest().delete(&chat(&member)).expect(204).await;
        server.rest().head(&chat(&group)).expect(404).await;
        server.rest().put(&chat(&member)).expect(200).await;
        server.rest().head(&chat(&group)).expect(200).await;
        server.rest().post(&chat(&format!("{group}/:closeConnections"))).expect(204).await;
    }
}

#[tokio::test]
async fn users_may_have_any_id_in_a_path() {
    let server = Server::start().await;
    for id in ODD {
        let mut client = server.connect("chat", ClientSpec::json().user(id)).await;
        let user = format!("users/{}", escape(id));
        server.rest().head(&chat(&user)).expect(200).await;
        server.rest().post(&chat(&format!("{user}/:send"))).text(id).expect(202).await;
        assert_eq!(next_data(&mut client).await, id);
        let group = format!("{user}/groups/{}", escape(id));
        server.rest().put(&chat(&group)).expect(200).await;
        server.rest().head(&chat(&format!("groups/{}", escape(id)))).expect(200).await;
        server.rest().delete(&chat(&group)).expect(204).await;
        server.rest().head(&chat(&format!("groups/{}", escape(id)))).expect(404).await;
        server.rest().post(&chat(&format!("{user}/:closeConnections"))).expect(204).await;
    }
}

#[tokio::test]
async fn sdk_encoders_that_leave_some_characters_bare_are_understood() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().group("it's (a) *room*~!")).await;
    for segment in
        ["it's%20(a)%20*room*~!", "it%27s%20%28a%29%20%2Aroom%2A%7E%21", "it's%20(a)%20%2aroom%2a%7e!"]
    {
        server.rest().post(&chat(&format!("groups/{segment}/:send"))).text("hi").expect(202).await;
        assert_eq!(next_data(&mut client).await, "hi", "{segment}");
    }
}

#[tokio::test]
async fn group_names_are_told_apart_by_case_space_and_escape() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().group("Room a")).await;
    for other in ["room%20a", "Room+a", "Room%2520a", "%20Room%20a", "Room%20a%20"] {
        server.rest().head(&chat(&format!("groups/{other}"))).expect(404).await;
        server.rest().post(&chat(&format!("groups/{other}/:send"))).text("x").expect(202).await;
    }
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn the_longest_group_name_is_1024_units() {
    let server = Server::start().await;
    for name in ["a".repeat(1024), "é".repeat(1024), "😀".repeat(512)] {
        let path = chat(&format!("groups/{}/:send", escape(&name)));
        server.rest().post(&path).text("x").expect(202).await;
    }
    for name in ["a".repeat(1025), "😀".repeat(513)] {
        for rest in ["/:send", "/:closeConnections"] {
            let path = chat(&format!("groups/{}{rest}", escape(&name)));
            let reply = server.rest().post(&path).text("x").expect(400).await;
            assert_error(&reply, "Error.BadRequest", "Request");
            assert_eq!(reply.json()["message"], "Invalid group name.");
        }
    }
}

#[tokio::test]
async fn a_blank_name_is_400() {
    let server = Server::start().await;
    let rest = server.rest();
    for (call, message) in [
        (rest.post(&chat("groups/%20/:send")).text("x"), "Invalid group name."),
        (rest.post(&chat("users/%20%09/:send")).text("x"), "Invalid user id."),
        (rest.post(&chat("connections/%20/:send")).text("x"), "Invalid connection id."),
        (rest.delete(&chat("connections/%20")), "Invalid connection id."),
        (rest.delete(&chat("connections/%20/groups")), "Invalid connection id."),
        (rest.put(&chat("groups/room/connections/%20")), "Invalid connection id."),
        (rest.put(&chat("groups/%20/connections/c")), "Invalid group name."),
        (rest.put(&chat("users/%20/groups/room")), "Invalid user id."),
        (rest.put(&chat("users/ann/groups/%20")), "Invalid group name."),
        (rest.get(&chat("groups/%20/connections")), "Invalid group name."),
    ] {
        let reply = call.expect(400).await;
        assert_error(&reply, "Error.BadRequest", "Request");
        assert_eq!(reply.json()["message"], message);
    }
    for path in ["groups/%20", "users/%20", "connections/%20"] {
        let reply = rest.head(&chat(path)).expect(400).await;
        assert_eq!(reply.header("x-ms-error-code"), Some("Error.BadRequest"), "{path}");
        assert!(reply.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_slash_escape_is_kept_where_the_service_is_followed() {
    let server = Server::with(|setup| setup.config.rest.legacy_slash_escape = true).await;
    let mut slash = server.connect("chat", ClientSpec::json().group("a/b")).await;
    let mut escaped = server.connect("chat", ClientSpec::json().group("a%2Fb")).await;
    server.rest().post(&chat("groups/a%2Fb/:send")).text("escape").expect(202).await;
    assert_eq!(next_data(&mut escaped).await, "escape");
    server.rest().post(&chat("groups/a%252Fb/:send")).text("percent").expect(202).await;
    assert_eq!(next_data(&mut escaped).await, "percent");
    // The name with a slash is still reached through a body.
    let body = json!({"groups": ["by body"], "filter": "'a/b' in groups"});
    server.rest().post(&chat(":addToGroups")).json(&body).expect(200).await;
    server.rest().post(&chat("groups/by%20body/:send")).text("slash").expect(202).await;
    assert_eq!(next_data(&mut slash).await, "slash");
}
