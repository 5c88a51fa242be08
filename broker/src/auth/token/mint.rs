//! Tokens that the broker makes itself: those of clients, for `:generateToken` and for the URL that `hubbub dev` prints,
//! and those by which clients take up their connections again.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::auth::key::AccessKey;

/// What a client token says.
#[derive(Debug, Clone, Copy)]
pub struct Minting<'a> {
    /// The client endpoint: an absolute URL such as `https://rt.example.com/client/hubs/chat`.
    pub audience: &'a str,
    /// The user, if the client is to have one.
    pub user_id: Option<&'a str>,
    /// Roles, as they are.
    pub roles: &'a [&'a str],
    /// Groups that the client joins when it connects.
    pub groups: &'a [&'a str],
    /// Seconds since 1970 from which it is valid.
    pub issued_at: u64,
    /// Seconds since 1970 until which it is valid.
    pub expires_at: u64,
}

/// The library for signatures refused the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed; replace the access key")]
pub struct NotSigned;

/// Makes a client token, signed with HS256.
///
/// # Errors
/// When it cannot be signed, which no [`AccessKey`] gives cause for.
pub fn mint_client(minting: &Minting<'_>, key: &AccessKey) -> Result<String, NotSigned> {
    let mut claims = Map::new();
    claims.insert("aud".to_owned(), minting.audience.into());
    if let Some(user_id) = minting.user_id {
        claims.insert("sub".to_owned(), user_id.into());
    }
    if !minting.roles.is_empty() {
        claims.insert("role".to_owned(), minting.roles.into());
    }
    if !minting.groups.is_empty() {
        claims.insert("webpubsub.group".to_owned(), minting.groups.into());
    }
    for (name, time) in [("nbf", minting.issued_at), ("iat", minting.issued_at), ("exp", minting.expires_at)]
    {
        claims.insert(name.to_owned(), time.into());
    }
    sign(claims, key)
}

pub(super) fn sign(claims: Map<String, Value>, key: &AccessKey) -> Result<String, NotSigned> {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
    let signed = format!("{header}.{payload}");
    let signature = key.sign(signed.as_bytes()).ok_or(NotSigned)?;
    Ok(format!("{signed}.{signature}"))
}
