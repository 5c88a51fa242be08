//! Granting, revoking and asking about permissions, and their effect on open connections.

use hyper::Method;
use serde_json::json;

use crate::support::{Client, ClientSpec, Reply, Server, escape};
use crate::{assert_error, chat, expect_nothing_but_marker};

/// Calls one of the three operations on a permission of a client.
async fn call(server: &Server, method: Method, subject: &Subject<'_>) -> Reply {
    let Subject { permission, connection, group } = subject;
    let target = format!("permissions/{permission}/connections/{connection}?targetName={}", escape(group));
    server.rest().call(method, &chat(&target)).send().await
}

fn sending<'a>(connection: &'a str, group: &'a str) -> Subject<'a> {
    Subject { permission: "sendToGroup", connection, group }
}

struct Subject<'a> {
    permission: &'a str,
    connection: &'a str,
    group: &'a str,
}

async fn may(client: &mut Client, action: &str, group: &str) -> bool {
    let ack = client.request(json!({"type": action, "group": group, "dataType": "text", "data": "x"})).await;
    if ack["success"] == false {
        assert_eq!(ack["error"]["name"], "Forbidden", "{ack}");
    }
    ack["success"] == true
}

#[tokio::test]
async fn a_grant_and_a_revocation_take_effect_on_an_open_connection_at_once() {
    let server = Server::start().await;
    for (permission, action) in [
        ("sendToGroup", "sendToGroup"),
        ("SENDTOGROUP", "sendToGroup"),
        ("1", "sendToGroup"),
        ("joinLeaveGroup", "leaveGroup"),
        ("joinleavegroup", "leaveGroup"),
        ("2", "leaveGroup"),
    ] {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        let id = client.connection_id().to_owned();
        let subject = Subject { permission, connection: &id, group: "a/b c" };
        let head = async || call(&server, Method::HEAD, &subject).await;
        let absent = head().await;
        assert_eq!(absent.status, 404, "{permission}");
        assert_eq!(absent.header("x-ms-error-code"), Some("Info.Connection.NotExisted"));
        assert!(!may(&mut client, action, "a/b c").await, "{permission}");
        for _ in 0..2 {
            let granted = call(&server, Method::PUT, &subject).await;
            assert_eq!((granted.status, granted.body.len()), (200, 0), "{permission}");
            assert_eq!(head().await.status, 200, "{permission}");
            assert!(may(&mut client, action, "a/b c").await, "{permission}");
            assert!(!may(&mut client, action, "a").await, "another group");
        }
        for _ in 0..2 {
            assert_eq!(call(&server, Method::DELETE, &subject).await.status, 204, "{permission}");
            assert_eq!(head().await.status, 404, "{permission}");
            assert!(!may(&mut client, action, "a/b c").await, "{permission}");
        }
    }
}

#[tokio::test]
async fn one_action_does_not_permit_the_other() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let id = client.connection_id().to_owned();
    let subject = |permission| Subject { permission, connection: &id, group: "room" };
    assert_eq!(call(&server, Method::PUT, &subject("joinLeaveGroup")).await.status, 200);
    assert_eq!(call(&server, Method::HEAD, &subject("sendToGroup")).await.status, 404);
    assert!(may(&mut client, "joinGroup", "room").await);
    assert!(!may(&mut client, "sendToGroup", "room").await);
}

#[tokio::test]
async fn a_target_name_is_no_pattern() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let id = client.connection_id().to_owned();
    for pattern in ["*", "**", "room.*"] {
        let subject = Subject { permission: "sendToGroup", connection: &id, group: pattern };
        assert_eq!(call(&server, Method::PUT, &subject).await.status, 200);
        assert!(may(&mut client, "sendToGroup", pattern).await);
    }
    assert!(!may(&mut client, "sendToGroup", "room.1").await);
}

#[tokio::test]
async fn a_revocation_is_an_exception_from_what_the_token_grants() {
    let server = Server::start().await;
    for role in ["webpubsub.sendToGroup", "webpubsub.sendToGroups.room*"] {
        let mut client = server.connect("chat", ClientSpec::json().role(role)).await;
        let id = client.connection_id().to_owned();
        let subject = Subject { permission: "sendToGroup", connection: &id, group: "room" };
        assert_eq!(call(&server, Method::HEAD, &subject).await.status, 200, "{role}");
        assert_eq!(call(&server, Method::DELETE, &subject).await.status, 204, "{role}");
        assert!(!may(&mut client, "sendToGroup", "room").await, "{role}");
        assert!(may(&mut client, "sendToGroup", "room-other").await, "{role}");
        assert_eq!(call(&server, Method::PUT, &subject).await.status, 200, "{role}");
        assert!(may(&mut client, "sendToGroup", "room").await, "{role}");
    }
}

#[tokio::test]
async fn a_revocation_evicts_nobody() {
    let server = Server::start().await;
    let spec = ClientSpec::json().role("webpubsub.joinLeaveGroup.room").group("room");
    let mut client = server.connect("chat", spec).await;
    let id = client.connection_id().to_owned();
    let subject = Subject { permission: "joinLeaveGroup", connection: &id, group: "room" };
    assert_eq!(call(&server, Method::DELETE, &subject).await.status, 204);
    server.rest().post(&chat("groups/room/:send")).text("still here").expect(202).await;
    assert_eq!(client.next_json().await["data"], "still here");
    assert!(!may(&mut client, "leaveGroup", "room").await);
}

#[tokio::test]
async fn a_missing_connection_has_no_permission() {
    let server = Server::start().await;
    let mut elsewhere = server.connect("other", ClientSpec::member()).await;
    let id = elsewhere.connection_id().to_owned();
    for connection in ["none", &id] {
        let subject = Subject { permission: "sendToGroup", connection, group: "room" };
        let granted = call(&server, Method::PUT, &subject).await;
        assert_eq!(granted.status, 404);
        assert_error(&granted, "Info.Connection.NotExisted", "Connection");
        let asked = call(&server, Method::HEAD, &subject).await;
        assert_eq!(asked.status, 404);
        assert_eq!(asked.header("x-ms-error-code"), Some("Info.Connection.NotExisted"));
        assert_eq!(call(&server, Method::DELETE, &subject).await.status, 204);
    }
    assert!(may(&mut elsewhere, "sendToGroup", "room").await, "the other hub's connection is untouched");
}

#[tokio::test]
async fn a_thousand_exceptions_are_the_most() {
    let server = Server::start().await;
    let client = server.connect("chat", ClientSpec::json()).await;
    let id = client.connection_id().to_owned();
    for number in 0..1000 {
        let group = format!("g{number}");
        let granted = call(&server, Method::PUT, &sending(&id, &group)).await;
        assert_eq!(granted.status, 200, "{number}");
    }
    let refused = call(&server, Method::PUT, &sending(&id, "one more")).await;
    assert_eq!(refused.status, 409);
    assert_error(&refused, "Error.Connection.Conflict", "Connection");
    assert_eq!(call(&server, Method::HEAD, &sending(&id, "one more")).await.status, 404);
    assert_eq!(call(&server, Method::PUT, &sending(&id, "g0")).await.status, 200, "one of the thousand");
    assert_eq!(call(&server, Method::DELETE, &sending(&id, "g0")).await.status, 204);
    assert_eq!(call(&server, Method::PUT, &sending(&id, "one more")).await.status, 200, "a place was free");
    // The other action has exceptions of its own.
    let other = Subject { permission: "joinLeaveGroup", connection: &id, group: "one more" };
    assert_eq!(call(&server, Method::PUT, &other).await.status, 200);
}

#[tokio::test]
async fn a_full_connection_refuses_a_revocation_too() {
    let server = Server::start().await;
    let spec = ClientSpec::json().role("webpubsub.sendToGroup");
    let client = server.connect("chat", spec).await;
    let id = client.connection_id().to_owned();
    for number in 0..1000 {
        let group = format!("g{number}");
        let revoked = call(&server, Method::DELETE, &sending(&id, &group)).await;
        assert_eq!(revoked.status, 204, "{number}");
    }
    let refused = call(&server, Method::DELETE, &sending(&id, "one more")).await;
    assert_eq!(refused.status, 409);
    assert_error(&refused, "Error.Connection.Conflict", "Connection");
    assert_eq!(call(&server, Method::HEAD, &sending(&id, "one more")).await.status, 200);
}

#[tokio::test]
async fn bad_permissions_and_target_names_are_400() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let id = client.connection_id().to_owned();
    let too_long = format!("targetName={}", "a".repeat(1025));
    for method in [Method::PUT, Method::DELETE, Method::HEAD] {
        for (permission, query) in [
            ("0", "targetName=room"),
            ("3", "targetName=room"),
            ("1,2", "targetName=room"),
            ("sendToGroup,joinLeaveGroup", "targetName=room"),
            ("sendToGroups", "targetName=room"),
            ("%20", "targetName=room"),
            ("sendToGroup", ""),
            ("sendToGroup", "targetName="),
            ("sendToGroup", "targetName=%20"),
            ("sendToGroup", "targetName=a&targetName=b"),
            ("sendToGroup", &too_long),
        ] {
            let target = chat(&format!("permissions/{permission}/connections/{id}?{query}"));
            let reply = server.rest().call(method.clone(), &target).expect(400).await;
            assert_eq!(reply.header("x-ms-error-code"), Some("Error.BadRequest"), "{target}");
            if method != Method::HEAD {
                assert_error(&reply, "Error.BadRequest", "Request");
            }
        }
        let target = chat("permissions/sendToGroup/connections/%20?targetName=room");
        server.rest().call(method, &target).expect(400).await;
    }
    assert!(!may(&mut client, "sendToGroup", "room").await);
    expect_nothing_but_marker(&server, &mut client).await;
}
