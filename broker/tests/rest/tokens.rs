//! Tokens for clients, made for callers of an identity provider.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::auth::token::EntraTokens;
use serde_json::{Value, json};

use crate::support::{Call, ClientSpec, Server, Token};
use crate::{assert_error, chat};

/// The audience of a token that an identity provider gives for the service.
const ENTRA_AUDIENCE: &str = "https://webpubsub.azure.com";

/// A broker that lets callers of an identity provider in.
async fn server() -> Server {
    Server::with(|setup| setup.config.rest.entra_tokens = EntraTokens::Unvalidated).await
}

/// A token as an identity provider makes it. Nobody here knows its key.
fn entra() -> Token {
    Token::for_audience(ENTRA_AUDIENCE).key("a key of the identity provider, unknown to the broker")
}

fn generate(server: &Server, query: &str) -> Call {
    server.rest().post(&chat(&format!(":generateToken{query}"))).token(&entra().sign())
}

async fn token(server: &Server, query: &str) -> String {
    let reply = generate(server, query).expect(200).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["token"].as_str().unwrap().to_owned()
}

/// The content of a token.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_made_token_opens_a_connection_with_what_it_grants() {
    let server = server().await;
    let query = "?userId=ann%20b&role=webpubsub.sendToGroup.a%2Fb&role=webpubsub.joinLeaveGroup\
                 &group=a%2Fb&group=c&minutesToExpire=5";
    let token = token(&server, query).await;
    let mut client = server.open("chat", ClientSpec::json().token(&token)).await;
    let connected = client.next_json().await;
    assert_eq!(connected["userId"], "ann b", "{connected}");
    let id = connected["connectionId"].as_str().unwrap().to_owned();
    for group in ["a%2Fb", "c"] {
        let page = server.rest().get(&chat(&format!("groups/{group}/connections"))).expect(200).await.json();
        assert_eq!(page["value"], json!([{"connectionId": id, "userId": "ann b"}]));
    }
    client.join("anything").await;
    let publish = |group| json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": "x", "noEcho": true});
    assert_eq!(client.request(publish("a/b")).await["success"], true);
    assert_eq!(client.request(publish("c")).await["success"], false);
}

#[tokio::test]
async fn a_token_without_parameters_grants_nothing_for_an_hour() {
    let server = server().await;
    let claims = claims(&token(&server, "").await);
    assert_eq!(claims["aud"], format!("{}/client/hubs/chat", server.origin()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 3600);
    for absent in ["sub", "role", "webpubsub.group"] {
        assert_eq!(claims.get(absent), None, "{claims}");
    }
}

#[tokio::test]
async fn parameters_become_claims() {
    let server = server().await;
    let query = "?userId=ann&role=a,b&role=%20c&group=g,h&minutesToExpire=1&clientType=MQTT";
    let mqtt = claims(&token(&server, query).await);
    assert_eq!(mqtt["sub"], "ann");
    assert_eq!(mqtt["role"], json!(["a,b", " c"]));
    assert_eq!(mqtt["webpubsub.group"], json!(["g,h"]));
    assert_eq!(mqtt["exp"].as_u64().unwrap() - mqtt["nbf"].as_u64().unwrap(), 60);
    for (client_type, endpoint) in [
        ("default", "client"),
        ("Default", "client"),
        ("mqtt", "clients/mqtt"),
        ("socketIO", "clients/socketio"),
    ] {
        let claims = claims(&token(&server, &format!("?clientType={client_type}&userId=")).await);
        assert_eq!(claims["aud"], format!("{}/{endpoint}/hubs/chat", server.origin()));
        assert_eq!(claims.get("sub"), None);
    }
    let reply = server.rest().post("/api/hubs/CHAT/:generateToken").token(&entra().sign()).expect(200).await;
    let upper = claims_of(&reply.json());
    assert_eq!(upper["aud"], format!("{}/client/hubs/chat", server.origin()), "hubs are lower case");
    let longest = claims(&token(&server, "?minutesToExpire=2147483647").await);
    assert_eq!(longest["exp"].as_u64().unwrap() - longest["nbf"].as_u64().unwrap(), 2_147_483_647 * 60);
}

fn claims_of(body: &Value) -> Value {
    claims(body["token"].as_str().unwrap())
}

#[tokio::test]
async fn bad_parameters_are_400() {
    let server = server().await;
    let long_group = format!("?group={}", "a".repeat(1025));
    for (query, target) in [
        ("?minutesToExpire=0", "Request"),
        ("?minutesToExpire=-1", "Request"),
        ("?minutesToExpire=1.5", "Request"),
        ("?minutesToExpire=x", "Request"),
        ("?minutesToExpire=2147483648", "Request"),
        ("?group=", "group"),
        ("?group=a&group=%20", "group"),
        (&long_group, "group"),
        ("?clientType=web", "clientType"),
        ("?clientType=Default,MQTT", "clientType"),
    ] {
        let reply = generate(&server, query).expect(400).await;
        assert_error(&reply, "Error.BadRequest", target);
    }
    let reply = generate(&server, "?api-version=1").expect(400).await;
    assert_error(&reply, "Error.BadRequest", "api-version");
    let bad_hub = server.rest().post("/api/hubs/1chat/:generateToken").token(&entra().sign());
    assert_error(&bad_hub.expect(400).await, "Error.BadRequest", "Request");
}

#[tokio::test]
async fn a_key_holder_gets_401_and_is_told_to_sign_itself() {
    for server in [server().await, Server::start().await] {
        let reply = server.rest().post(&chat(":generateToken")).expect(401).await;
        assert_error(&reply, "Error.Unauthorized", "Request");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        server.rest().post(&chat(":generateToken")).without_token().expect(401).await;
    }
}

#[tokio::test]
async fn tokens_of_an_identity_provider_are_refused_unless_they_are_let_in() {
    let server = Server::start().await;
    generate(&server, "").expect(401).await;
    server.rest().post(&chat(":send")).text("x").token(&entra().sign()).expect(401).await;
}

#[tokio::test]
async fn tokens_of_an_identity_provider_open_every_operation_while_they_last() {
    let server = server().await;
    let send = |token: Token| server.rest().post(&chat(":send")).text("x").token(&token.sign());
    send(entra()).expect(202).await;
    send(entra().expires_in(-299)).expect(202).await;
    send(entra().expires_in(-301)).expect(401).await;
    send(entra().begins_in(301)).expect(401).await;
    server.rest().head(&chat("users/nobody")).token(&entra().sign()).expect(404).await;
    // Such an audience is never looked at with a key.
    let both = json!([ENTRA_AUDIENCE, format!("{}{}", server.origin(), chat(":send"))]);
    send(Token::for_audience("").audience(both).expires_in(-301)).expect(401).await;
}
