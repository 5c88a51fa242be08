//! How an application sees that an event comes from us: a signature over the connection's id, made with the access
//! keys that both know. Source: `event-handlers.md` 6.1.

use std::num::NonZeroUsize;

use codec::ids::ConnectionId;
use http::HeaderValue;
use lru::LruCache;

use crate::auth::key::Keys;

/// Connections whose signatures are kept.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The signatures of the connections that raised events last. A signature is the same for all events of a connection
/// until a key changes.
pub(super) struct Signatures {
    /// The keys that made them.
    keys: Option<Keys>,
    kept: LruCache<ConnectionId, HeaderValue>,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { keys: None, kept: LruCache::new(KEPT) }
    }
}

impl Signatures {
    /// The value of `ce-signature`. `None` is a fault of the library, for which no key gives cause.
    pub(super) fn of(&mut self, connection: &ConnectionId, keys: &Keys) -> Option<HeaderValue> {
        if !self.keys.as_ref().is_some_and(|known| known.are(keys)) {
            self.kept.clear();
            self.keys = Some(keys.clone());
        }
        if let Some(signature) = self.kept.get(connection) {
            return Some(signature.clone());
        }
        let signature = signature(keys, connection)?;
        self.kept.put(connection.clone(), signature.clone());
        Some(signature)
    }
}

/// The value of `ce-signature`: one signature for each access key, the primary's first. `None` is a fault of the
/// library, for which no key gives cause.
pub fn signature(keys: &Keys, connection: &ConnectionId) -> Option<HeaderValue> {
    let mut text = String::new();
    for key in [Some(&keys.primary), keys.secondary.as_ref()].into_iter().flatten() {
        // Some applications split at the comma without trimming.
        let separator = if text.is_empty() { "" } else { "," };
        let signature = key.hmac_sha256_hex(connection.as_str().as_bytes())?;
        text = format!("{text}{separator}sha256={signature}");
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::AccessKey;

    const PRIMARY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
    const OF_PRIMARY: &str = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";

    fn key(text: &str) -> AccessKey {
        AccessKey::new(text).unwrap()
    }

    #[test]
    fn one_key_makes_one_signature() {
        let keys = Keys { primary: key(PRIMARY), secondary: None, internal: key(&"i".repeat(32)) };
        let connection = ConnectionId::parse("conn-1").unwrap();
        assert_eq!(signature(&keys, &connection).unwrap(), OF_PRIMARY);
    }

    #[test]
    fn two_keys_make_two_signatures_without_a_space_between() {
        let internal = key(&"i".repeat(32));
        let (one, other) = (key(PRIMARY), key(&"s".repeat(32)));
        let connection = ConnectionId::parse("conn-1").unwrap();
        let both = Keys { primary: one.clone(), secondary: Some(other.clone()), internal: internal.clone() };
        let swapped = Keys { primary: other.clone(), secondary: Some(one), internal: internal.clone() };
        let alone = Keys { primary: other, secondary: None, internal };
        let of_other = signature(&alone, &connection).unwrap();
        let of_other = of_other.to_str().unwrap();
        assert_eq!(signature(&both, &connection).unwrap(), format!("{OF_PRIMARY},{of_other}"));
        assert_eq!(signature(&swapped, &connection).unwrap(), format!("{of_other},{OF_PRIMARY}"));
    }

    #[test]
    fn a_signature_is_kept_until_the_keys_change() {
        let keys =
            |primary: &str| Keys { primary: key(primary), secondary: None, internal: key(&"i".repeat(32)) };
        let connection = ConnectionId::parse("conn-1").unwrap();
        let (first, second) = (keys(PRIMARY), keys(&"s".repeat(32)));
        let mut signatures = Signatures::default();
        assert_eq!(signatures.of(&connection, &first).unwrap(), OF_PRIMARY);
        assert_eq!(signatures.of(&connection, &first.clone()).unwrap(), OF_PRIMARY);
        let changed = signatures.of(&connection, &second).unwrap();
        assert_eq!(changed, signature(&second, &connection).unwrap());
        let with_second = Keys { secondary: Some(second.primary.clone()), ..first.clone() };
        assert!(!first.are(&with_second) && !first.are(&keys(PRIMARY)));
    }
}
