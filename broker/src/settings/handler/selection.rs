//! Which events a handler takes, from the texts that name them. `file` and `words` call it.

use codec::ids::EventName;

use super::{GroupPresence, SystemEvents, UserEventPattern};

/// Why a text does not say which user events are meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventPattern {
    /// Nothing between two commas, or before the first or after the last.
    #[error("it has an empty name; write *, a name, or names separated by commas")]
    Empty,
    /// A wildcard in a name, or `*` beside other names.
    #[error("\"{0}\" has a wildcard, and only * alone is one; write *, a name, or names separated by commas")]
    Wildcard(String),
    /// Not the name of an event.
    #[error("\"{0}\" is not an event name: use a letter, then up to 127 letters, digits or _ . -")]
    Name(String),
}

impl UserEventPattern {
    /// Reads `*`, a name, or names separated by commas, with spaces around them. Nothing but spaces means no event.
    ///
    /// # Errors
    /// [`InvalidEventPattern`] for the first item that is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidEventPattern> {
        match text.trim() {
            "" => Ok(Self::Nothing),
            "*" => Ok(Self::Every),
            names => names.split(',').map(name).collect::<Result<_, _>>().map(Self::Names),
        }
    }
}

fn name(item: &str) -> Result<String, InvalidEventPattern> {
    let item = item.trim();
    if item.is_empty() {
        return Err(InvalidEventPattern::Empty);
    }
    if item.contains(['*', '?', '\\']) {
        return Err(InvalidEventPattern::Wildcard(item.to_owned()));
    }
    match EventName::new(item) {
        Ok(name) => Ok(name.as_str().to_ascii_lowercase()),
        Err(_) => Err(InvalidEventPattern::Name(item.to_owned())),
    }
}

impl SystemEvents {
    /// Takes the event of this name, in any case, as well. Says whether there is one.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        let events = [
            ("connect", &mut self.connect),
            ("connected", &mut self.connected),
            ("disconnected", &mut self.disconnected),
        ];
        set(events, name)
    }
}

impl GroupPresence {
    /// Takes the event of this name, in any case, as well. Says whether there is one.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        set([("joined", &mut self.joined), ("left", &mut self.left)], name)
    }
}

fn set<const N: usize>(events: [(&str, &mut bool); N], name: &str) -> bool {
    let event = events.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    event.is_some_and(|(_, taken)| {
        *taken = true;
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_events_have_three_forms() {
        let names = |names: &[&str]| {
            Ok(UserEventPattern::Names(names.iter().map(|name| (*name).to_owned()).collect()))
        };
        let check = |text: &str, expected| assert_eq!(UserEventPattern::parse(text), expected, "{text:?}");
        check("", Ok(UserEventPattern::Nothing));
        check("  ", Ok(UserEventPattern::Nothing));
        check("*", Ok(UserEventPattern::Every));
        check(" * ", Ok(UserEventPattern::Every));
        check("message", names(&["message"]));
        check("join, MESSAGE", names(&["join", "message"]));
        check("a.b_c-d,a", names(&["a.b_c-d", "a"]));
        check(&"a".repeat(128), names(&[&"a".repeat(128)]));
        check(&"a".repeat(129), Err(InvalidEventPattern::Name("a".repeat(129))));
        check("a,,b", Err(InvalidEventPattern::Empty));
        check("a,", Err(InvalidEventPattern::Empty));
        check(",", Err(InvalidEventPattern::Empty));
        for wildcard in ["room.*", "room.**", "a?", "a\\b", "**"] {
            check(wildcard, Err(InvalidEventPattern::Wildcard(wildcard.to_owned())));
        }
        check("a, *", Err(InvalidEventPattern::Wildcard("*".to_owned())));
        check("a b", Err(InvalidEventPattern::Name("a b".to_owned())));
        check("1a", Err(InvalidEventPattern::Name("1a".to_owned())));
        check("é", Err(InvalidEventPattern::Name("é".to_owned())));
    }

    #[test]
    fn names_of_events_ignore_case() {
        let pattern = UserEventPattern::parse("join, MESSAGE").unwrap();
        assert!(pattern.matches("message") && pattern.matches("Join") && !pattern.matches("leave"));
        let mut events = SystemEvents::default();
        assert!(events.add("Connect") && events.add("DISCONNECTED") && events.add("connect"));
        assert_eq!(events, SystemEvents { connect: true, connected: false, disconnected: true });
        assert!(!events.add("joined") && !events.add("") && !events.add("connect "));
        let mut presence = GroupPresence::default();
        assert!(presence.add("Left") && !presence.add("connect"));
        assert!(presence.left && !presence.joined);
    }
}
