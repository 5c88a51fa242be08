//! How a client gets in: the connection string that a server prints, and tokens made from it.
//!
//! No I/O but the resolution of the host's name. The key is never shown, hence no `Debug`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{SystemTime, UNIX_EPOCH};

use codec::ids::HubName;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

/// How long a token is good for, in seconds.
const TOKEN_LIFETIME: u64 = 3_600;
/// What members and publishers need to do.
const ROLES: [&str; 2] = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/// Where the server is and what signs tokens for it.
#[derive(Clone)]
pub(crate) struct Access {
    endpoint: String,
    address: SocketAddr,
    key: EncodingKey,
    hub: HubName,
}

/// Why there is no access.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(
        "the connection string has no {0}: expected Endpoint=http://HOST:PORT;AccessKey=KEY;Version=1.0;"
    )]
    Missing(&'static str),
    #[error("the endpoint is not http://HOST:PORT: the load generator speaks plain HTTP only")]
    Endpoint,
    #[error("the endpoint's host cannot be resolved: {0}")]
    Resolve(std::io::Error),
    #[error("--hub: {0}")]
    Hub(#[from] codec::ids::InvalidName),
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    #[error("the clock stands before 1970")]
    Clock,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: u64,
    role: [&'a str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
}

impl Access {
    /// Reads `Endpoint=http://HOST:PORT;AccessKey=KEY;Version=1.0;`; names of the parts ignore case.
    ///
    /// # Errors
    /// [`AccessError`] when a part is missing, the endpoint is not plain HTTP or its host has no address, or `hub` is
    /// not a hub name.
    pub(crate) fn new(connection_string: &str, hub: &str) -> Result<Self, AccessError> {
        let part = |wanted: &str| {
            let parts = connection_string.trim().split(';').filter_map(|part| part.split_once('='));
            let mut found = parts.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        let endpoint = part("Endpoint").ok_or(AccessError::Missing("Endpoint"))?.trim_end_matches('/');
        let key = part("AccessKey").ok_or(AccessError::Missing("AccessKey"))?;
        let authority = endpoint.strip_prefix("http://").ok_or(AccessError::Endpoint)?;
        let authority =
            if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let mut addresses = authority.to_socket_addrs().map_err(AccessError::Resolve)?;
        let address = addresses.find(SocketAddr::is_ipv4).ok_or(AccessError::Endpoint)?;
        let key = EncodingKey::from_secret(key.as_bytes());
        Ok(Self { endpoint: endpoint.to_owned(), address, key, hub: HubName::new(hub)? })
    }

    /// The same server's access to another hub.
    ///
    /// # Errors
    /// [`AccessError::Hub`] when `hub` is not a hub name.
    pub(crate) fn to_hub(&self, hub: &str) -> Result<Self, AccessError> {
        Ok(Self { hub: HubName::new(hub)?, ..self.clone() })
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to write into the `Host` header.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }

    /// Path of the hub's client endpoint.
    pub(crate) fn path(&self) -> String {
        format!("/client/hubs/{}", self.hub)
    }

    /// Signs a token. Each `number` has a signature of its own, so that no server can answer from a cache.
    ///
    /// # Errors
    /// [`AccessError::Sign`] and [`AccessError::Clock`], neither of which depends on the number.
    pub(crate) fn token(&self, number: u32, user: Option<String>) -> Result<String, AccessError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| AccessError::Clock)?;
        let audience = format!("{}{}", self.endpoint, self.path());
        let claims = Claims {
            aud: &audience,
            exp: now.as_secs() + TOKEN_LIFETIME + u64::from(number),
            role: ROLES,
            sub: user,
        };
        Ok(jsonwebtoken::encode(&Header::default(), &claims, &self.key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = Access::new(text, "h").map(|access| access.address().to_string());
        match (got, expected) {
            (Ok(address), Ok(wanted)) => assert_eq!(address, wanted),
            (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (got, _) => panic!("{text}: {:?}", got.map_err(|error| error.to_string())),
        }
    }

    #[test]
    fn a_connection_string_names_address_and_key() {
        check("Endpoint=http://127.0.0.1:81;AccessKey=a+b/c==;Version=1.0;", Ok("127.0.0.1:81"));
        check(" accesskey=k;endpoint=http://127.0.0.1/ ", Ok("127.0.0.1:80"));
        check("Endpoint=http://127.0.0.1:81;Version=1.0;", Err("no AccessKey"));
        check("AccessKey=k", Err("no Endpoint"));
        check("Endpoint=https://127.0.0.1:81;AccessKey=k;", Err("plain HTTP"));
    }

    #[test]
    fn tokens_differ_and_name_the_audience() {
        let access = Access::new("Endpoint=http://127.0.0.1:81;AccessKey=a==;", "Chat").unwrap();
        let (first, second) = (access.token(1, None).unwrap(), access.token(2, None).unwrap());
        assert_ne!(first, second);
        let mut rules = jsonwebtoken::Validation::default();
        rules.set_audience(&["http://127.0.0.1:81/client/hubs/chat"]);
        let key = jsonwebtoken::DecodingKey::from_secret(b"a==");
        let claims = jsonwebtoken::decode::<serde_json::Value>(&first, &key, &rules).unwrap().claims;
        assert_eq!(claims["role"], serde_json::json!(ROLES));
        assert!(claims.get("sub").is_none());
    }
}
