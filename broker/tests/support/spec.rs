//! What a client asks for when it connects.

use super::server::Server;
use super::token::Token;
use super::{JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE, escape};

/// User, roles, groups, subprotocol and query of a client.
#[derive(Debug, Clone, Default)]
pub struct ClientSpec {
    user: Option<String>,
    roles: Vec<String>,
    groups: Vec<String>,
    subprotocol: Option<String>,
    query: Vec<(String, String)>,
    anonymous: bool,
    token: Option<String>,
}

impl ClientSpec {
    /// A client that offers the JSON subprotocol.
    pub fn json() -> Self {
        Self::simple().offer(JSON)
    }

    /// A client that offers the protobuf subprotocol.
    pub fn protobuf() -> Self {
        Self::simple().offer(PROTOBUF)
    }

    /// A client that offers no subprotocol.
    pub fn simple() -> Self {
        Self::default()
    }

    /// A client without a subprotocol that publishes all it sends to `group`.
    pub fn publisher(group: &str) -> Self {
        Self::simple().query("webpubsub_mode", "sendToGroup").query("group", group)
    }

    /// A JSON client that may join, leave and publish to every group.
    pub fn member() -> Self {
        Self::json().free()
    }

    /// A protobuf client that may do the same.
    pub fn protobuf_member() -> Self {
        Self::protobuf().free()
    }

    fn free(self) -> Self {
        self.role("webpubsub.joinLeaveGroup").role("webpubsub.sendToGroup")
    }

    /// The user.
    pub fn user(mut self, id: &str) -> Self {
        self.user = Some(id.into());
        self
    }

    /// One more role.
    pub fn role(mut self, role: &str) -> Self {
        self.roles.push(role.into());
        self
    }

    /// One more group to join at connect.
    pub fn group(mut self, group: &str) -> Self {
        self.groups.push(group.into());
        self
    }

    /// The value of the `Sec-WebSocket-Protocol` header.
    pub fn offer(mut self, subprotocols: &str) -> Self {
        self.subprotocol = Some(subprotocols.into());
        self
    }

    /// One more parameter of the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sends no token.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Sends this text as its token.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Whether the client speaks a JSON subprotocol.
    pub fn speaks_json(&self) -> bool {
        self.offers(JSON) || self.offers(JSON_RELIABLE)
    }

    /// Whether the client speaks a protobuf subprotocol.
    pub fn speaks_protobuf(&self) -> bool {
        self.offers(PROTOBUF) || self.offers(PROTOBUF_RELIABLE)
    }

    fn offers(&self, name: &str) -> bool {
        self.subprotocol.as_deref().is_some_and(|offer| offer.to_ascii_lowercase().contains(name))
    }

    /// Path and query of the request.
    pub fn path(&self, server: &Server, hub: &str) -> String {
        let mut query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        match &self.token {
            Some(token) => query.push(format!("access_token={}", escape(token))),
            None if self.anonymous => {}
            None => query.push(format!("access_token={}", self.usual_token(server, hub).sign())),
        }
        format!("/client/hubs/{hub}?{}", query.join("&"))
    }

    /// Headers that an ordinary upgrade does not have.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.subprotocol.iter().map(|offer| ("Sec-WebSocket-Protocol", offer.as_str())).collect()
    }

    fn usual_token(&self, server: &Server, hub: &str) -> Token {
        let mut token = server.client_token(hub);
        if let Some(user) = &self.user {
            token = token.user(user);
        }
        if !self.roles.is_empty() {
            token = token.roles(&self.roles);
        }
        if !self.groups.is_empty() {
            token = token.groups(&self.groups);
        }
        token
    }
}
