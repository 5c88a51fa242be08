//! Who may not come back.

use serde_json::json;

use crate::dialect::{Dialect, both};
use crate::peer::{NOT_RECOVERED, Peer, Ticket, publish};
use crate::support::{ClientSpec, INTERNAL_KEY, JSON, PRIMARY_KEY, Server, escape};

both!(
    whoever_has_the_wrong_token_id_or_hub_is_refused_and_harms_nobody,
    a_plain_connection_cannot_be_taken_up_again,
    an_empty_connection_id_is_no_wish_to_come_back,
    who_shows_no_token_at_all_is_refused_and_harms_nobody,
    a_token_that_has_expired_is_refused,
);

async fn whoever_has_the_wrong_token_id_or_hub_is_refused_and_harms_nobody(dialect: Dialect) {
    let server = Server::start().await;
    let other = Peer::connect(&server, dialect).await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    let signed_by_an_access_key = server
        .client_token("chat")
        .audience(ticket.id.as_str())
        .claim("iss", "https://webpubsub.azure.com")
        .key(PRIMARY_KEY)
        .sign();
    let mut tampered = ticket.token.clone();
    let last = if tampered.pop() == Some('A') { 'Q' } else { 'A' };
    tampered.push(last);
    let unknown = format!("A{}", &other.ticket.id[1..]).replace(&other.ticket.id[2..6], "____");
    let with = |change: &dyn Fn(&mut Ticket)| {
        let mut ticket = ticket.clone();
        change(&mut ticket);
        ticket
    };
    let cases = [
        ("no token", with(&|ticket| ticket.token.clear())),
        ("nonsense", with(&|ticket| ticket.token = "a.b.c".to_owned())),
        ("a changed signature", with(&|ticket| ticket.token.clone_from(&tampered))),
        ("an access key", with(&|ticket| ticket.token.clone_from(&signed_by_an_access_key))),
        ("another's token", with(&|ticket| ticket.token.clone_from(&other.ticket.token))),
        ("another's id", with(&|ticket| ticket.id.clone_from(&other.ticket.id))),
        ("an unknown id", with(&|ticket| ticket.id.clone_from(&unknown))),
        ("a strange id", with(&|ticket| ticket.id = "ü".to_owned())),
        ("another hub", with(&|ticket| ticket.hub = "other".to_owned())),
    ];
    for (why, wrong) in &cases {
        wrong.expect_refused(&server, why).await;
    }
    publish(&server, "still there").await;
    ticket.recover(&server).await.expect("still there", 1).await;
}

async fn a_plain_connection_cannot_be_taken_up_again(dialect: Dialect) {
    let server = Server::start().await;
    let plain = server.connect("chat", ClientSpec::json()).await;
    let ticket = Peer::connect(&server, dialect).await.ticket;
    Ticket { id: plain.connection_id().to_owned(), ..ticket }.expect_refused(&server, "plain").await;
}

#[tokio::test]
async fn a_plain_client_is_given_no_token() {
    let server = Server::start().await;
    let mut plain = server.open("chat", ClientSpec::json()).await;
    assert_eq!(plain.next_json().await.get("reconnectionToken"), None);
}

#[tokio::test]
async fn whatever_was_offered_is_agreed_on_so_that_the_client_sees_the_close() {
    let server = Server::start().await;
    let ticket = Ticket { dialect: Dialect::Json, hub: "chat".into(), id: "x".into(), token: "x".into() };
    for (offer, expected) in [(Some(JSON), Some(JSON)), (Some("mine, yours"), Some("mine")), (None, None)] {
        let headers: Vec<_> = offer.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
        let (mut socket, response) = ticket.try_recover(&server, &headers).await;
        assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, expected));
        socket.expect_close(1008, NOT_RECOVERED).await;
    }
}

async fn an_empty_connection_id_is_no_wish_to_come_back(dialect: Dialect) {
    let server = Server::start().await;
    let spec = crate::peer::member(dialect).query("awps_connection_id", "");
    let mut peer = Peer::connect_as(&server, dialect, &spec).await;
    peer.send(json!({"type": "ping"})).await;
    assert_eq!(peer.next().await["type"], "pong");
}

async fn who_shows_no_token_at_all_is_refused_and_harms_nobody(dialect: Dialect) {
    let server = Server::start().await;
    let peer = Peer::connect(&server, dialect).await;
    let offer = [("Sec-WebSocket-Protocol", dialect.subprotocol())];
    // A token of another kind, which would let it in as somebody new, does not help.
    let access = escape(&server.client_token("chat").sign());
    for query in [String::new(), format!("&access_token={access}")] {
        let mut socket = server.raw().await;
        let id = escape(&peer.ticket.id);
        let path = format!("/client/hubs/chat?awps_connection_id={id}{query}");
        assert_eq!(socket.upgrade(&path, &offer).await.status, 101);
        socket.expect_close(1008, NOT_RECOVERED).await;
    }
    // Not even the socket that it still had is gone.
    let mut peer = peer;
    peer.expect_nothing_before_pong().await;
    publish(&server, "still there").await;
    peer.expect("still there", 1).await;
}

async fn a_token_that_has_expired_is_refused(dialect: Dialect) {
    let server = Server::start().await;
    let mut ticket = Peer::connect(&server, dialect).await.lose();
    let valid = ticket.token.clone();
    // The clock that gave them is ours, so there is no tolerance.
    for (expires_in, is_good) in [(-2, false), (60, true)] {
        let token = server.client_token("chat").audience(ticket.id.as_str());
        let token = token.claim("iss", "https://webpubsub.azure.com").expires_in(expires_in);
        ticket.token = token.key(INTERNAL_KEY).sign();
        match is_good {
            true => ticket.recover(&server).await.expect_nothing_before_pong().await,
            false => ticket.expect_refused(&server, "expired").await,
        }
    }
    ticket.token = valid;
    ticket.recover(&server).await.expect_nothing_before_pong().await;
}
