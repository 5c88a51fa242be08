//! An event handler in one line of `name=value` words, as the service's own command line has them:
//!
//! ```text
//! hub=chat url-template=http://127.0.0.1:7070/{event} user-event-pattern=* system-event=connect auth-type=None
//! ```
//!
//! Source: `resource-model.md` 8. `config` calls it for each line that an operator wrote.

use codec::ids::HubName;

use super::auth::AuthType;
use super::{
    EventHandler, GroupPresence, HandlerTokens, SystemEvents, UpstreamAuth, UrlTemplate, UserEventPattern,
};
use crate::settings::HUB_NAME_RULE;

const HUB: &str = "hub";
const URL: &str = "url-template";
const PATTERN: &str = "user-event-pattern";
const SYSTEM_EVENT: &str = "system-event";
const AUTH_TYPE: &str = "auth-type";
const AUTH_RESOURCE: &str = "auth-resource";

/// Reads one line.
///
/// # Errors
/// A sentence for each fault of the line. None repeats the URL, whose query may hold a key.
pub(crate) fn parse(line: &str, tokens: HandlerTokens) -> Result<(HubName, EventHandler), Vec<String>> {
    let mut reader = Reader::default();
    line.split_whitespace().for_each(|word| reader.take(word));
    let hub = reader.hub();
    let handler = reader.handler(tokens);
    match (hub, handler) {
        (Some(hub), Some(handler)) if reader.faults.is_empty() => Ok((hub, handler)),
        _ => Err(reader.faults),
    }
}

#[derive(Default)]
struct Reader<'a> {
    hub: Option<&'a str>,
    url: Option<&'a str>,
    pattern: Option<&'a str>,
    system_events: SystemEvents,
    auth_type: Option<&'a str>,
    auth_resource: Option<&'a str>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, word: &'a str) {
        let Some((name, value)) = word.split_once('=') else {
            // What is no pair may be the rest of a URL with a space in it.
            let place = word.chars().count();
            return self
                .faults
                .push(format!("a word of {place} characters has no =; write name=value words"));
        };
        let place = match name {
            HUB => &mut self.hub,
            URL => &mut self.url,
            PATTERN => &mut self.pattern,
            AUTH_TYPE => &mut self.auth_type,
            AUTH_RESOURCE => &mut self.auth_resource,
            SYSTEM_EVENT => {
                if !self.system_events.add(value) {
                    let reason =
                        format!("{SYSTEM_EVENT} is connect, connected or disconnected, not \"{value}\"");
                    self.faults.push(reason);
                }
                return;
            }
            _ => {
                let known = [HUB, URL, PATTERN, SYSTEM_EVENT, AUTH_TYPE, AUTH_RESOURCE].join(", ");
                return self.faults.push(format!("unknown word \"{name}\"; the words are {known}"));
            }
        };
        if place.replace(value).is_some() {
            self.faults.push(format!("{name} is there twice"));
        }
    }

    fn hub(&mut self) -> Option<HubName> {
        let hub = match self.hub {
            None => Err(format!("{HUB} is missing; write {HUB}=NAME")),
            Some(text) => {
                HubName::new(text).map_err(|_| format!("\"{text}\" is not a hub name: use {HUB_NAME_RULE}"))
            }
        };
        self.kept(hub)
    }

    fn handler(&mut self, tokens: HandlerTokens) -> Option<EventHandler> {
        let url = match self.url {
            None => Err(format!("{URL} is missing; write {URL}=http://127.0.0.1:7070/{{event}}")),
            Some(text) => UrlTemplate::parse(text).map_err(|invalid| format!("{URL}: {invalid}")),
        };
        let pattern = UserEventPattern::parse(self.pattern.unwrap_or_default())
            .map_err(|invalid| format!("{PATTERN}: {invalid}"));
        let auth = self.auth(tokens);
        let (url, user_events, auth) = (self.kept(url), self.kept(pattern), self.kept(auth));
        let (system_events, presence) = (self.system_events, GroupPresence::default());
        Some(EventHandler { url: url?, user_events: user_events?, system_events, presence, auth: auth? })
    }

    fn auth(&self, tokens: HandlerTokens) -> Result<UpstreamAuth, String> {
        let kind = self.auth_type.map_or(Ok(AuthType::None), AuthType::parse);
        match kind.map_err(|invalid| format!("{AUTH_TYPE}: {invalid}"))? {
            AuthType::ManagedIdentity => UpstreamAuth::token(self.auth_resource, tokens)
                .map_err(|invalid| format!("{AUTH_RESOURCE}: {invalid}")),
            AuthType::Header => {
                Err(format!("{AUTH_TYPE}=Header has a secret; write the handler in the hubs file"))
            }
            AuthType::None if self.auth_resource.is_some_and(|resource| !resource.is_empty()) => {
                Err(format!("{AUTH_RESOURCE} goes with {AUTH_TYPE}=ManagedIdentity"))
            }
            AuthType::None => Ok(UpstreamAuth::None),
        }
    }

    fn kept<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(line: &str, expected: &[&str]) {
        let faults = parse(line, HandlerTokens::Unavailable).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{line}: {faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "{line}: {faults:?}");
        }
    }

    #[test]
    fn a_line_names_hub_url_events_and_auth() {
        let line = "hub=Chat url-template=https://a.test/{event}?code=k==  user-event-pattern=join,MESSAGE\t\
                    system-event=connect system-event=Connected auth-type=managedidentity auth-resource=api://app";
        let (hub, handler) = parse(line, HandlerTokens::ForNamedResources).unwrap();
        assert_eq!(hub.as_str(), "chat");
        let expected = EventHandler {
            url: UrlTemplate::parse("https://a.test/{event}?code=k==").unwrap(),
            user_events: UserEventPattern::Names(vec!["join".to_owned(), "message".to_owned()]),
            system_events: SystemEvents { connect: true, connected: true, disconnected: false },
            presence: GroupPresence::default(),
            auth: UpstreamAuth::Token { resource: Some("api://app".to_owned()) },
        };
        assert_eq!(handler, expected);

        let (_, handler) = parse("url-template=http://a hub=h", HandlerTokens::Unavailable).unwrap();
        assert!(handler.takes_nothing() && handler.auth == UpstreamAuth::None);
    }

    #[test]
    fn every_fault_of_a_line_is_told_and_no_secret_with_it() {
        check_refused("", &["hub is missing", "url-template is missing"]);
        check_refused(
            "hub=ch-at url-template=ftp://a",
            &["\"ch-at\" is not a hub name", "url-template: its scheme"],
        );
        check_refused("hub=h hub=h url-template=http://a", &["hub is there twice"]);
        check_refused(
            "hub=h url-template=http://a urltemplate=x",
            &["unknown word \"urltemplate\"; the words are hub,"],
        );
        check_refused(
            "hub=h url-template=http://a?code=a secret system-event=joined user-event-pattern=a.* auth-type=Basic",
            &["a word of 6 characters", "not \"joined\"", "\"a.*\" has a wildcard", "not \"Basic\""],
        );
        check_refused(
            "hub=h url-template=http://a auth-type=ManagedIdentity",
            &["needs an identity provider"],
        );
        check_refused(
            "hub=h url-template=http://a auth-type=Header",
            &["write the handler in the hubs file"],
        );
        check_refused(
            "hub=h url-template=http://a auth-resource=api://a",
            &["goes with auth-type=ManagedIdentity"],
        );
        let faults = parse("hub=h url-template=http://u:secret@a?code=secret#", HandlerTokens::Unavailable);
        assert!(!format!("{faults:?}").contains("secret"));
    }
}
