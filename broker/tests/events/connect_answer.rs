//! What the application may change of a client that it lets in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, ClientSpec, Frame, Gate, Handler, HandlerSpec, JSON, Received, Server, escape,
};
use crate::{acked, broker_with, connect_to, event, knock, knock_unanswered};

const SEND: &str = "webpubsub.sendToGroup";
const JOIN: &str = "webpubsub.joinLeaveGroup";

/// A broker whose application answers `connect` with this.
async fn answering(answer: Answer) -> (Server, Handler) {
    let handler = Handler::start().await;
    handler.always("connect", answer);
    let server = broker_with(&handler, |spec| spec.system(&["connect", "connected"])).await;
    (server, handler)
}

/// Whether the client may join and whether it may send.
async fn permissions(client: &mut Client) -> [bool; 2] {
    let join = client.request(json!({"type": "joinGroup", "group": "tried"})).await["success"] == true;
    let send = json!({"type": "sendToGroup", "group": "nobody", "data": 1});
    [join, client.request(send).await["success"] == true]
}

#[tokio::test]
async fn an_answer_without_wishes_leaves_everything_as_the_token_has_it() {
    let answers = [
        Answer::status(200),
        Answer::status(204),
        Answer::json(&Value::Null),
        Answer::json(&json!({})),
        Answer::json(&json!({"userId": null, "roles": null, "groups": null, "subprotocol": null})),
        Answer::json(&json!({"groups": [], "unknown": {"a": 1}, "mqtt": null, "subprotocols": ["x"]})),
        Answer::body("text/html", "{}"),
        Answer::untyped("null"),
        Answer::json(&json!({})).with_status(202),
        Answer::status(299),
    ];
    for answer in answers {
        let (server, handler) = answering(answer).await;
        let spec = ClientSpec::json().user("ann").role(SEND).group("of-token");
        let mut client = server.open("chat", spec).await;
        assert_eq!(client.subprotocol(), Some(JSON));
        assert_eq!(client.next_json().await["userId"], "ann");
        assert_eq!(permissions(&mut client).await, [false, true]);
        server.rest().head("/api/hubs/chat/groups/of-token").expect(200).await;
        assert_eq!(handler.expect("connect").await.header("ce-userid"), Some("ann"));
        assert_eq!(handler.expect("connected").await.header("ce-userid"), Some("ann"));
    }
}

#[tokio::test]
async fn the_application_may_name_the_user() {
    for answer in [json!({"userId": "zoë"}), json!({"USERID": "zoë"}), json!({"userid": "zoë", "x": 1})] {
        let (server, handler) = answering(Answer::json(&answer)).await;
        for spec in [ClientSpec::json(), ClientSpec::json().user("ann")] {
            let mut client = server.open("chat", spec).await;
            assert_eq!(client.next_json().await["userId"], "zoë", "{answer}");
            handler.expect("connect").await;
            assert_eq!(handler.expect("connected").await.bytes("ce-userid"), Some("zoë".as_bytes()));
            server.rest().head("/api/hubs/chat/users/zo%C3%AB").expect(200).await;
            server.rest().head("/api/hubs/chat/users/ann").expect(404).await;
            client.close().await;
        }
    }
}

#[tokio::test]
async fn the_empty_user_is_no_user() {
    let (server, handler) = answering(Answer::json(&json!({"userId": ""}))).await;
    let mut client = server.open("chat", ClientSpec::json().user("ann")).await;
    assert_eq!(client.next_json().await["userId"], Value::Null);
    assert_eq!(handler.expect("connect").await.header("ce-userid"), Some("ann"));
    assert_eq!(handler.expect("connected").await.header("ce-userid"), None);
    server.rest().head("/api/hubs/chat/users/ann").expect(404).await;
}

#[tokio::test]
async fn roles_of_the_answer_replace_those_of_the_token() {
    for (answer, expected) in [
        (json!({"roles": [JOIN]}), [true, false]),
        (json!({"Roles": [JOIN, SEND]}), [true, true]),
        (json!({"roles": [JOIN, "unknown"]}), [true, false]),
        (json!({"roles": []}), [false, false]),
        (json!({"roles": null}), [false, true]),
    ] {
        let (server, _handler) = answering(Answer::json(&answer)).await;
        let mut client = server.connect("chat", ClientSpec::json().role(SEND)).await;
        assert_eq!(permissions(&mut client).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn groups_of_the_answer_replace_those_of_the_token_unless_there_are_none() {
    for (answer, expected) in [
        (json!({"groups": ["a", "b", "a"]}), [true, true, false]),
        (json!({"GROUPS": ["of token", "a"]}), [true, false, true]),
        (json!({"groups": []}), [false, false, true]),
        (json!({"groups": null}), [false, false, true]),
    ] {
        let (server, _handler) = answering(Answer::json(&answer)).await;
        let mut client = server.connect("chat", ClientSpec::json().group("of token")).await;
        for (group, is_member) in ["a", "b", "of token"].into_iter().zip(expected) {
            let place = format!("/api/hubs/chat/groups/{}", escape(group));
            server.rest().head(&place).expect(if is_member { 200 } else { 404 }).await;
            server.rest().post(&format!("{place}/:send")).text(group).expect(202).await;
            if is_member {
                assert_eq!(client.next_json().await["data"], *group, "{answer}");
            }
        }
        client.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn the_application_may_choose_among_the_subprotocols_that_the_client_offers() {
    for name in ["subprotocol", "subProtocol"] {
        let (server, handler) = answering(Answer::json(&json!({name: JSON}))).await;
        let mut client = server.open("chat", ClientSpec::simple().offer(&format!("custom, {JSON}"))).await;
        assert_eq!(client.subprotocol(), Some(JSON));
        assert_eq!(client.next_json().await["event"], "connected");
        handler.expect("connect").await;
        assert_eq!(handler.expect("connected").await.header("ce-subprotocol"), Some(JSON));
    }
}

#[tokio::test]
async fn a_client_whose_chosen_subprotocol_is_not_the_services_is_a_simple_one() {
    let handler = Handler::start().await;
    handler.always("connect", Answer::json(&json!({"subprotocol": "custom.v1"})));
    handler.always("message", Answer::text("reply"));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.open("chat", ClientSpec::simple().offer(&format!("{JSON}, custom.v1"))).await;
    assert_eq!(client.subprotocol(), Some("custom.v1"));
    client.send_text(r#"{"type":"ping"}"#).await;
    assert_eq!(client.next().await, Received::Text("reply".into()));
    let arrived = handler.expect_all(&["connect", "connected", "message"]).await;
    for arrived in &arrived[1..] {
        assert_eq!(arrived.header("ce-subprotocol"), Some("custom.v1"));
    }
}

#[tokio::test]
async fn an_unknown_subprotocol_alone_is_not_agreed_on_unless_the_application_wants_it() {
    let (server, handler) = answering(Answer::status(204)).await;
    let response = knock(&server, &ClientSpec::simple().offer("custom.v1")).await;
    assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, None));
    handler.expect("connect").await;
    assert_eq!(handler.expect("connected").await.header("ce-subprotocol"), None);
}

#[tokio::test]
async fn a_subprotocol_that_the_client_did_not_offer_cannot_be_chosen() {
    for offer in [None, Some("custom.v2"), Some("custom.v1.x, json.webpubsub.azure.v1")] {
        let (server, _handler) = answering(Answer::json(&json!({"subprotocol": "custom.v1"}))).await;
        let mut spec = ClientSpec::simple();
        if let Some(offer) = offer {
            spec = spec.offer(offer);
        }
        let response = knock(&server, &spec).await;
        assert_eq!((response.status, &*response.body), (500, ""), "{offer:?}");
    }
}

#[tokio::test]
async fn without_a_handler_for_it_a_client_connects_unasked() {
    let handler = Handler::start().await;
    handler.always("connect", Answer::status(401));
    let server = broker_with(&handler, |spec| spec.user("*").system(&["connected"])).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.expect("connected").await;
    client.send_json(event("connect", 1)).await;
    // A user event of that name is another event.
    assert_eq!(client.next_json().await["success"], false);
    assert_eq!(handler.expect("connect").await.header("ce-type"), Some("azure.webpubsub.user.connect"));
}

#[tokio::test]
async fn the_application_may_take_longer_than_a_client_may_for_its_request() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("connect", Answer::status(204).held_by(&gate));
    let server = Server::with(|setup| {
        setup.handshake_timeout(Duration::from_secs(1));
        setup.handler("chat", &handler, |spec| spec.system(&["connect"]));
    })
    .await;
    let mut socket = knock_unanswered(&server, &ClientSpec::json()).await;
    let connect = handler.expect("connect").await;
    // A socket that asks for nothing is dropped when the time for a request is over.
    server.raw().await.expect_end().await;
    server.raw().await.expect_end().await;
    assert!(connect.is_open());
    gate.open();
    assert_eq!(socket.read_response().await.status, 101);
}

#[tokio::test]
async fn many_clients_are_asked_about_at_the_same_time() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("connect", Answer::status(204).held_by(&gate));
    let server = connect_to(&handler).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(knock_unanswered(&server, &ClientSpec::member()).await);
    }
    for _ in 0..20 {
        handler.expect("connect").await;
    }
    gate.open();
    for socket in &mut sockets {
        assert_eq!(socket.read_response().await.status, 101);
        socket.read_frame().await;
        socket.send(&Frame::text(&json!({"type": "joinGroup", "group": "g", "ackId": 1}).to_string())).await;
        let ack: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
        assert_eq!(ack, acked(1));
    }
}
