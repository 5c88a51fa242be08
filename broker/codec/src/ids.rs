//! Names and ids as validated newtypes, cheap to clone and compare.
//!
//! Each can only be made through a constructor that checks the service's rule, so that whoever holds one need not ask
//! again. Sources: `rest-api.md` 1 and `limits.md` 1 of the specification.

use std::fmt;
use std::sync::Arc;

/// Longest hub name and event name, in bytes (they are ASCII).
const MAX_NAME: usize = 128;
/// Longest group name, in UTF-16 code units.
const MAX_GROUP: usize = 1024;
/// Longest node id, in bytes.
const MAX_NODE: usize = 32;
/// Characters of a connection id before those that name the node: one for the worker, the rest random.
const RANDOM_CHARS: usize = 22;
/// Six bits each.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why a text cannot be a name of the wanted kind. The text is fit for the caller who sent the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not a letter followed by up to 127 letters, digits or ``_ ` , . [ ]``.
    #[error("Invalid hub name.")]
    Hub,
    /// Empty, only white space, or longer than 1,024 UTF-16 code units.
    #[error("Invalid group name.")]
    Group,
    /// Empty or only white space.
    #[error("Invalid user id.")]
    User,
    /// Empty or only white space.
    #[error("Invalid connection id.")]
    Connection,
    /// Not a letter followed by up to 127 letters, digits, `_`, `.` or `-`.
    #[error("Invalid event name.")]
    Event,
    /// Empty.
    #[error("Invalid invocation id.")]
    Invocation,
    /// Not 1 to 32 letters, digits, `_` or `-`.
    #[error("a node id is made of 1 to 32 letters, digits, '_' or '-'")]
    Node,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// Name of a hub, an isolated namespace of one application. Kept in lower case, because hubs are told apart
    /// ignoring case.
    HubName
}
text_id! {
    /// Name of a group. Case matters, any character is allowed.
    GroupName
}
text_id! {
    /// Id of an authenticated person or device. Never empty: a connection without a user has none.
    UserId
}
text_id! {
    /// What the API addresses a client by. Ours are made by [`ConnectionId::new`]; a REST caller may name any text.
    ConnectionId
}
text_id! {
    /// Name of a user event.
    EventName
}
text_id! {
    /// A client's name for an event that it wants answered. Never empty.
    InvocationId
}
text_id! {
    /// A publisher's name for one of its streams, as it wrote it: it may break the rules of streams.
    StreamId
}
text_id! {
    /// Short id of a running broker process, the tail of the connection ids that it gives out.
    NodeId
}

impl HubName {
    /// Takes a name in any case.
    ///
    /// # Errors
    /// [`InvalidName::Hub`] when it is not a letter followed by at most 127 of letters, digits and ``_ ` , . [ ]``.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let rest = |b: u8| b.is_ascii_alphanumeric() || b"_`,.[]".contains(&b);
        if !starts_with_letter_then(name, rest) {
            return Err(InvalidName::Hub);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

impl GroupName {
    /// Takes the name as it is, without trimming.
    ///
    /// # Errors
    /// [`InvalidName::Group`] when it is empty, only white space, or longer than 1,024 UTF-16 code units.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        // A name of 1,024 bytes or fewer cannot have more units than that, and few are longer.
        let fits = name.len() <= MAX_GROUP || name.encode_utf16().count() <= MAX_GROUP;
        if is_blank(name) || !fits {
            return Err(InvalidName::Group);
        }
        Ok(Self(name.into()))
    }
}

impl UserId {
    /// Takes the id as it is.
    ///
    /// # Errors
    /// [`InvalidName::User`] when it is empty or only white space.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        if is_blank(id) { Err(InvalidName::User) } else { Ok(Self(id.into())) }
    }
}

impl ConnectionId {
    /// Makes the id of a new connection: the worker that owns it in one URL-safe character (only the lowest six bits
    /// count), 126 bits of `random` in 21 more, then the node. So a message to a connection finds its way without a
    /// registry.
    pub fn new(random: u128, worker: u8, node: &NodeId) -> Self {
        let mut text = String::with_capacity(RANDOM_CHARS + node.0.len());
        text.push(char::from(ALPHABET[usize::from(worker) & 63]));
        for position in 0..RANDOM_CHARS - 1 {
            let six_bits = (random >> (6 * position)) as usize & 63;
            text.push(char::from(ALPHABET[six_bits]));
        }
        text.push_str(&node.0);
        Self(text.into())
    }

    /// Takes an id that a caller named.
    ///
    /// # Errors
    /// [`InvalidName::Connection`] when it is empty or only white space.
    pub fn parse(id: &str) -> Result<Self, InvalidName> {
        if is_blank(id) { Err(InvalidName::Connection) } else { Ok(Self(id.into())) }
    }

    /// The worker that the id names; only meaningful for ids made by [`ConnectionId::new`].
    pub fn worker(&self) -> Option<u8> {
        let first = *self.0.as_bytes().first()?;
        ALPHABET.iter().position(|&letter| letter == first).and_then(|worker| u8::try_from(worker).ok())
    }

    /// The node that the id names, if it has the form of an id made by [`ConnectionId::new`].
    pub fn node(&self) -> Option<NodeId> {
        let node = self.0.get(RANDOM_CHARS..)?;
        NodeId::new(node).ok()
    }
}

impl EventName {
    /// Takes the name as it is; events are routed ignoring case, but reported as written.
    ///
    /// # Errors
    /// [`InvalidName::Event`] when it is not a letter followed by at most 127 of letters, digits, `_`, `.` and `-`.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if starts_with_letter_then(name, rest) { Ok(Self(name.into())) } else { Err(InvalidName::Event) }
    }

    /// The name of the event that a frame of a simple client raises.
    pub fn message() -> Self {
        Self("message".into())
    }
}

impl InvocationId {
    /// Takes the id as it is.
    ///
    /// # Errors
    /// [`InvalidName::Invocation`] when it is empty.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        if id.is_empty() { Err(InvalidName::Invocation) } else { Ok(Self(id.into())) }
    }
}

impl StreamId {
    /// Takes the id as it is, whatever it is.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }
}

impl NodeId {
    /// Takes the id as it is.
    ///
    /// # Errors
    /// [`InvalidName::Node`] when it is not 1 to 32 letters, digits, `_` or `-`.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        if id.is_empty() || id.len() > MAX_NODE || !id.bytes().all(allowed) {
            return Err(InvalidName::Node);
        }
        Ok(Self(id.into()))
    }
}

/// A client's number for a request that awaits an answer; any value of 64 bits is an ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AckId(pub u64);

/// Number of a reliable downstream message, counted from 1 for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn starts_with_letter_then(name: &str, rest: impl Fn(u8) -> bool) -> bool {
    let Some((first, tail)) = name.as_bytes().split_first() else {
        return false;
    };
    first.is_ascii_alphabetic() && name.len() <= MAX_NAME && tail.iter().all(|&b| rest(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(make: impl Fn(&str) -> Result<T, InvalidName>, rows: &[(&str, bool)]) {
        for (name, valid) in rows {
            assert_eq!(make(name).is_ok(), *valid, "{name:?}");
        }
    }

    #[test]
    fn hub_names_start_with_a_letter_and_ignore_case() {
        let longest = "a".repeat(128);
        let too_long = "a".repeat(129);
        check(
            HubName::new,
            &[
                ("chat", true),
                ("Sample_ChatApp", true),
                ("a`,.[]_9", true),
                (&longest, true),
                (&too_long, false),
                ("", false),
                ("1chat", false),
                ("_chat", false),
                ("ch-at", false),
                ("ch at", false),
                ("chät", false),
            ],
        );
        assert_eq!(HubName::new("CHAT").unwrap(), HubName::new("chat").unwrap());
    }

    #[test]
    fn group_names_are_counted_in_utf16_units() {
        let (longest, too_long) = ("a".repeat(1024), "a".repeat(1025));
        let (wide, too_wide) = ("😀".repeat(512), "😀".repeat(513));
        check(
            GroupName::new,
            &[
                ("a/b c+%2F", true),
                (" a ", true),
                ("你", true),
                (&longest, true),
                (&wide, true),
                (&too_long, false),
                (&too_wide, false),
                ("", false),
                (" \t\u{a0}", false),
            ],
        );
    }

    #[test]
    fn event_names_are_ascii_words() {
        check(
            EventName::new,
            &[("order.created-2_x", true), ("", false), ("2nd", false), ("a b", false), ("é", false)],
        );
    }

    #[test]
    fn users_and_connections_need_a_visible_character() {
        check(UserId::new, &[("ann", true), (" ann", true), ("", false), (" ", false)]);
        check(ConnectionId::parse, &[("c", true), ("", false), ("\t", false)]);
    }

    #[test]
    fn a_connection_id_names_its_node_and_worker() {
        let node = NodeId::new("broker-0_x").unwrap();
        let id = ConnectionId::new(u128::MAX, 63, &node);
        assert_eq!(id.node(), Some(node));
        assert_eq!(id.worker(), Some(63));
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(ConnectionId::parse("short").unwrap().node(), None);
    }

    #[test]
    fn different_random_numbers_make_different_ids() {
        let node = NodeId::new("n").unwrap();
        let ids: std::collections::HashSet<_> =
            (0..126).map(|bit| ConnectionId::new(1 << bit, 0, &node)).collect();
        assert_eq!(ids.len(), 126);
    }
}
