//! Makes tokens with which clients connect, for callers who have no access key to sign with. Source: `rest-api.md` 12.

use codec::ids::{GroupName, HubName};
use serde::Serialize;

use super::access::Caller;
use super::call::{Call, Outcome, Success};
use super::error::RestError;
use super::now;
use super::query::Query;
use crate::auth::token::{Minting, mint_client};

/// How long a token lasts unless the caller says otherwise, in minutes.
const DEFAULT_MINUTES: u32 = 60;

/// Makes a token for a client of the hub.
pub(super) fn generate(call: &Call<'_>) -> Outcome {
    if call.caller != Some(Caller::Entra) {
        return Err(RestError::AccessKeyToken);
    }
    let hub = call.names.hub()?;
    let wish = Wish::read(&call.query)?;
    let now = now();
    let minting = Minting {
        audience: &wish.audience(&call.origin(), &hub),
        user_id: wish.user,
        roles: &wish.roles,
        groups: &wish.groups,
        issued_at: now,
        expires_at: now.saturating_add(u64::from(wish.minutes) * 60),
    };
    let key = call.rest.parts.settings.borrow().keys.internal.clone();
    let token =
        mint_client(&minting, &key).map_err(|_| RestError::Internal("a token could not be signed"))?;
    let json = serde_json::to_vec(&Generated { token: &token })
        .map_err(|_| RestError::Internal("a token has no JSON form"))?;
    Ok(Success::Json(json))
}

/// What the caller wants to be in the token.
#[derive(Debug, PartialEq, Eq)]
struct Wish<'q> {
    user: Option<&'q str>,
    roles: Vec<&'q str>,
    groups: Vec<&'q str>,
    minutes: u32,
    client: ClientType,
}

/// Which endpoint the client will connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientType {
    Default,
    Mqtt,
    SocketIo,
}

impl<'q> Wish<'q> {
    fn read(query: &'q Query<'_>) -> Result<Self, RestError> {
        let groups: Vec<&str> = query.all("group").collect();
        if groups.iter().any(|group| GroupName::new(group).is_err()) {
            let rule = "it must be a group name of 1 to 1024 characters".into();
            return Err(RestError::Parameter { name: "group", rule });
        }
        Ok(Self {
            user: query.non_empty("userId")?,
            roles: query.all("role").collect(),
            groups,
            minutes: query.number("minutesToExpire", 1..=i32::MAX)?.unwrap_or(DEFAULT_MINUTES),
            client: ClientType::read(query)?,
        })
    }

    fn audience(&self, origin: &str, hub: &HubName) -> String {
        let endpoint = match self.client {
            ClientType::Default => "client",
            ClientType::Mqtt => "clients/mqtt",
            ClientType::SocketIo => "clients/socketio",
        };
        format!("{origin}/{endpoint}/hubs/{hub}")
    }
}

impl ClientType {
    fn read(query: &Query<'_>) -> Result<Self, RestError> {
        let name = query.one("clientType")?.unwrap_or("Default");
        match name.to_ascii_lowercase().as_str() {
            "default" => Ok(Self::Default),
            "mqtt" => Ok(Self::Mqtt),
            "socketio" => Ok(Self::SocketIo),
            _ => {
                let rule = "it must be 'Default', 'MQTT' or 'SocketIO'".into();
                Err(RestError::Parameter { name: "clientType", rule })
            }
        }
    }
}

#[derive(Serialize)]
struct Generated<'t> {
    token: &'t str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<&Wish<'_>, &str>) {
        let query_parts = Query::parse(Some(query)).unwrap();
        let wish = Wish::read(&query_parts);
        assert_eq!(wish.as_ref().map_err(|error| error.row().target), expected, "{query}");
    }

    #[test]
    fn every_parameter_has_its_rule() {
        let usual =
            || Wish { user: None, roles: vec![], groups: vec![], minutes: 60, client: ClientType::Default };
        check("", Ok(&usual()));
        check("userId=&minutesToExpire=60&clientType=default", Ok(&usual()));
        check("userId=ann%20b", Ok(&Wish { user: Some("ann b"), ..usual() }));
        check("role=a,b&role=c", Ok(&Wish { roles: vec!["a,b", "c"], ..usual() }));
        check("group=a%2Fb&group=a,b", Ok(&Wish { groups: vec!["a/b", "a,b"], ..usual() }));
        check("minutesToExpire=2147483647", Ok(&Wish { minutes: 2_147_483_647, ..usual() }));
        check("clientType=mqtt", Ok(&Wish { client: ClientType::Mqtt, ..usual() }));
        check("clientType=SOCKETIO", Ok(&Wish { client: ClientType::SocketIo, ..usual() }));
        for bad in ["0", "-1", "1.5", "", "2147483648", "x", "1&minutesToExpire=2"] {
            check(&format!("minutesToExpire={bad}"), Err("Request"));
        }
        for bad in ["", "web", "Default,MQTT", "MQTT&clientType=MQTT"] {
            check(&format!("clientType={bad}"), Err("clientType"));
        }
        check("group=a&group=%20", Err("group"));
        check("group=", Err("group"));
        check("userId=a&userId=b", Err("Request"));
    }

    #[test]
    fn the_audience_is_the_endpoint_of_the_client() {
        let hub = HubName::new("Chat").unwrap();
        let audience = |query: &str| {
            let query = Query::parse(Some(query)).unwrap();
            Wish::read(&query).unwrap().audience("https://rt.example.com:8443/prefix", &hub)
        };
        assert_eq!(audience(""), "https://rt.example.com:8443/prefix/client/hubs/chat");
        assert_eq!(audience("clientType=MQTT"), "https://rt.example.com:8443/prefix/clients/mqtt/hubs/chat");
        assert_eq!(
            audience("clientType=SocketIO"),
            "https://rt.example.com:8443/prefix/clients/socketio/hubs/chat"
        );
    }
}
