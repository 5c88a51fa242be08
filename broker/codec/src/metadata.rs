//! The small map of text that may travel beside a payload, with its limits. Source: `client-protocols.md` 6.7.

use std::sync::Arc;

/// Longest key, in bytes.
const MAX_KEY: usize = 256;
/// Longest value, in bytes.
const MAX_VALUE: usize = 1024;
/// Most bytes of all keys and values together.
const MAX_TOTAL: usize = 8192;

/// Metadata of a message: keys and values in the order in which the sender gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(Arc<[(Box<str>, Box<str>)]>);

/// Which limit a sender's metadata broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Keys are made of the characters of an HTTP header name.
    #[error("a metadata key must be 1 to 256 letters, digits or one of !#$%&'*+-.^_`|~")]
    Key,
    /// Values are ASCII.
    #[error("a metadata value must be at most 1024 ASCII characters")]
    Value,
    /// The same key stands there twice.
    #[error("a metadata key must not be repeated")]
    Duplicate,
    /// Keys and values together.
    #[error("metadata must have at most 8192 bytes in all")]
    Total,
}

impl Metadata {
    /// Checks the entries and keeps them in their order.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the broken limit. Keys that differ only in case are two keys.
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidMetadata>
    where
        K: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let mut kept: Vec<(Box<str>, Box<str>)> = Vec::new();
        let mut total = 0;
        for (key, value) in entries {
            let (key, value) = (key.into(), value.into());
            if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(is_token) {
                return Err(InvalidMetadata::Key);
            }
            if value.len() > MAX_VALUE || !value.is_ascii() {
                return Err(InvalidMetadata::Value);
            }
            total += key.len() + value.len();
            if total > MAX_TOTAL {
                return Err(InvalidMetadata::Total);
            }
            kept.push((key, value));
        }
        if has_repeated_key(&kept) {
            return Err(InvalidMetadata::Duplicate);
        }
        Ok(Self(kept.into()))
    }

    /// Keys and values in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// Sorts references instead of comparing each pair: up to 8,192 keys of one byte fit into a message.
fn has_repeated_key(entries: &[(Box<str>, Box<str>)]) -> bool {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(&str, &str)], expected: Result<(), InvalidMetadata>) {
        assert_eq!(Metadata::new(entries.iter().copied()).map(drop), expected, "{entries:?}");
    }

    #[test]
    fn keys_are_header_names_and_values_are_ascii() {
        let (key, long_key) = ("k".repeat(256), "k".repeat(257));
        let (value, long_value) = ("v".repeat(1024), "v".repeat(1025));
        check(&[], Ok(()));
        check(&[("trace", ""), ("Trace", "a b\u{7f}")], Ok(()));
        check(&[("!#$%&'*+-.^_`|~", "x")], Ok(()));
        check(&[(&key, &value)], Ok(()));
        check(&[("", "x")], Err(InvalidMetadata::Key));
        check(&[("a b", "x")], Err(InvalidMetadata::Key));
        check(&[("clé", "x")], Err(InvalidMetadata::Key));
        check(&[(&long_key, "x")], Err(InvalidMetadata::Key));
        check(&[("k", &long_value)], Err(InvalidMetadata::Value));
        check(&[("k", "é")], Err(InvalidMetadata::Value));
        check(&[("k", "1"), ("l", "1"), ("k", "2")], Err(InvalidMetadata::Duplicate));
    }

    #[test]
    fn the_total_counts_keys_and_values() {
        let value = "v".repeat(1023);
        let keys: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        let eight: Vec<_> = keys[..8].iter().map(|k| (k.as_str(), value.as_str())).collect();
        check(&eight, Ok(()));
        let nine: Vec<_> = keys.iter().map(|k| (k.as_str(), if k == "8" { "" } else { &value })).collect();
        check(&nine, Err(InvalidMetadata::Total));
    }

    #[test]
    fn entries_keep_their_order() {
        let metadata = Metadata::new([("b", "1"), ("a", "2")]).unwrap();
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2")]);
    }
}
