//! Tokens, good and bad: any claim, any header, any key.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};

use super::config::PRIMARY_KEY;

/// A token that is about to be signed. Without changes it is valid for an hour.
#[derive(Debug, Clone)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: String,
    hash: Algorithm,
}

impl Token {
    /// A token for one audience, signed with HS256 and the primary key.
    pub fn for_audience(audience: &str) -> Self {
        let mut claims = Map::new();
        claims.insert("aud".into(), audience.into());
        claims.insert("exp".into(), json!(now() + 3600));
        let mut header = Map::new();
        header.insert("alg".into(), "HS256".into());
        header.insert("typ".into(), "JWT".into());
        Self { header, claims, key: PRIMARY_KEY.into(), hash: Algorithm::HS256 }
    }

    /// The user.
    pub fn user(self, id: &str) -> Self {
        self.claim("sub", id)
    }

    /// The permissions; replaces earlier ones.
    pub fn roles<T: AsRef<str>>(self, roles: impl IntoIterator<Item = T>) -> Self {
        self.claim("role", list(roles))
    }

    /// The groups to join at connect; replaces earlier ones.
    pub fn groups<T: AsRef<str>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        self.claim("webpubsub.group", list(groups))
    }

    /// Replaces the audience, one or several.
    pub fn audience(self, audience: impl Into<Value>) -> Self {
        self.claim("aud", audience)
    }

    /// Seconds from now until it ends; negative means that it has ended.
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Seconds from now until it begins.
    pub fn begins_in(self, seconds: i64) -> Self {
        self.claim("nbf", now() + seconds)
    }

    /// Any claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Takes a claim away.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Any field of the header, also a wrong `alg`: the signature stays that of the chosen hash.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Signs with this hash and says so in the header.
    pub fn algorithm(mut self, hash: Algorithm) -> Self {
        self.hash = hash;
        self.header("alg", format!("{hash:?}"))
    }

    /// Signs with another key.
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.into();
        self
    }

    /// Header and claims as they travel, without a signature: `xxx.yyy`.
    pub fn unsigned(&self) -> String {
        let part = |map: &Map<String, Value>| URL_SAFE_NO_PAD.encode(serde_json::to_vec(map).unwrap());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    /// The token.
    pub fn sign(&self) -> String {
        let content = self.unsigned();
        let key = EncodingKey::from_secret(self.key.as_bytes());
        let signature = sign(content.as_bytes(), &key, self.hash).unwrap();
        format!("{content}.{signature}")
    }
}

fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Vec<Value> {
    items.into_iter().map(|item| Value::from(item.as_ref())).collect()
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}
