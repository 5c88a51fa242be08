//! Access keys: what signs tokens, and what a connection string carries.
//!
//! No token is read here. The configuration makes keys, `token` uses them, and the command line prints them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};

/// Fewest bytes of a key.
const MIN_BYTES: usize = 32;

/// A secret that signs tokens with HMAC over the UTF-8 bytes of its text. Cheap to clone; shows nothing of itself.
#[derive(Clone)]
pub struct AccessKey(Arc<Prepared>);

/// The key in the forms in which it is used, made once.
struct Prepared {
    text: String,
    verifying: DecodingKey,
    signing: EncodingKey,
}

/// Why a text cannot be an access key. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Fewer than 32 bytes of UTF-8.
    #[error("the access key is too short; use one of at least 32 bytes")]
    TooShort,
    /// White space at the start or the end.
    #[error("the access key has white space at its start or end; remove it")]
    SurroundingSpace,
    /// It would end early inside a connection string.
    #[error("the access key contains ';', which separates the parts of a connection string; use another key")]
    Semicolon,
    /// A line feed, a tab or another control character.
    #[error("the access key contains a control character; use another key")]
    Control,
}

impl AccessKey {
    /// Takes a key that an operator chose.
    ///
    /// # Errors
    /// When it has fewer than 32 bytes, white space around it, a `;` or a control character.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text.trim() != text {
            return Err(InvalidKey::SurroundingSpace);
        }
        if text.contains(';') {
            return Err(InvalidKey::Semicolon);
        }
        if text.contains(char::is_control) {
            return Err(InvalidKey::Control);
        }
        if text.len() < MIN_BYTES {
            return Err(InvalidKey::TooShort);
        }
        Ok(Self::prepare(text.to_owned()))
    }

    /// Makes a new key of 43 URL-safe characters from 32 random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        Self::prepare(URL_SAFE_NO_PAD.encode(random))
    }

    /// A key for `purpose` that whoever has this one can make, and nobody else. `None` as for [`AccessKey::sign`].
    pub fn derive(&self, purpose: &str) -> Option<Self> {
        // No token and no connection id that this key signs begins like that.
        self.sign(format!("\0derived\0{purpose}").as_bytes()).map(Self::prepare)
    }

    /// The secret text, for connection strings and for the file in which a node keeps its own key; never for a log.
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// Signs with HS256; the signature is in base64url. `None` is a fault of the library, for which no key gives cause.
    pub fn sign(&self, message: &[u8]) -> Option<String> {
        crypto::sign(message, &self.0.signing, Algorithm::HS256).ok()
    }

    /// Signs as [`AccessKey::sign`] does; the signature is in lower-case hexadecimal.
    pub fn hmac_sha256_hex(&self, message: &[u8]) -> Option<String> {
        let signature = URL_SAFE_NO_PAD.decode(self.sign(message)?).ok()?;
        Some(signature.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether [`AccessKey::sign`] of this key made the signature.
    pub fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        self.has_signed_with(Algorithm::HS256, message, signature)
    }

    pub(super) fn has_signed_with(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.0.verifying, algorithm).unwrap_or(false)
    }

    fn prepare(text: String) -> Self {
        let verifying = DecodingKey::from_secret(text.as_bytes());
        let signing = EncodingKey::from_secret(text.as_bytes());
        Self(Arc::new(Prepared { text, verifying, signing }))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

/// The keys of a broker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs what applications send and give to their clients.
    pub primary: AccessKey,
    /// As good as the primary, so that either can be replaced while applications use the other.
    pub secondary: Option<AccessKey>,
    /// Signs the client tokens that the broker makes itself. The same on all nodes, and known to nobody else.
    pub internal: AccessKey,
}

impl Keys {
    /// Whether these are the same keys: not equal ones, but those that the others were cloned from.
    pub fn are(&self, others: &Self) -> bool {
        let same = |one: &AccessKey, other: &AccessKey| Arc::ptr_eq(&one.0, &other.0);
        let secondary = match (&self.secondary, &others.secondary) {
            (None, None) => true,
            (Some(one), Some(other)) => same(one, other),
            _ => false,
        };
        secondary && same(&self.primary, &others.primary)
    }
}

/// The text that applications configure. `endpoint` is a URL such as `https://rt.example.com:8443`.
pub fn connection_string(endpoint: &str, key: &AccessKey) -> String {
    format!("Endpoint={endpoint};AccessKey={};Version=1.0;", key.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_depends_on_its_origin_and_its_purpose() {
        let derived = |key: &str, purpose| AccessKey::new(&key.repeat(32)).unwrap().derive(purpose).unwrap();
        let one = derived("k", "a");
        assert_eq!(one.expose(), derived("k", "a").expose());
        assert_ne!(one.expose(), derived("k", "b").expose());
        assert_ne!(one.expose(), derived("l", "a").expose());
        assert!(AccessKey::new(one.expose()).is_ok());
    }

    #[test]
    fn keys_are_long_and_fit_into_a_connection_string() {
        let check = |text: &str, expected: Result<(), InvalidKey>| {
            assert_eq!(AccessKey::new(text).map(drop), expected, "{text:?}");
        };
        let (shortest, too_short) = ("k".repeat(32), "k".repeat(31));
        check(&shortest, Ok(()));
        check(&too_short, Err(InvalidKey::TooShort));
        check("", Err(InvalidKey::TooShort));
        check(&"ä".repeat(16), Ok(()));
        check(&"k=+/".repeat(8), Ok(()));
        check(&format!("{too_short} k"), Ok(()));
        check(&format!("{shortest} "), Err(InvalidKey::SurroundingSpace));
        check(&format!("\u{a0}{shortest}"), Err(InvalidKey::SurroundingSpace));
        check(&format!("{shortest};k"), Err(InvalidKey::Semicolon));
        check(&format!("{shortest}\nk"), Err(InvalidKey::Control));
        check(&format!("{shortest}\u{7f}k"), Err(InvalidKey::Control));
    }

    #[test]
    fn a_generated_key_is_valid_and_depends_on_every_byte() {
        let key = AccessKey::generate([0xff; 32]);
        assert!(AccessKey::new(key.expose()).is_ok());
        assert_eq!(key.expose().len(), 43);
        let mut other = [0xff; 32];
        other[31] = 0;
        assert_ne!(AccessKey::generate(other).expose(), key.expose());
    }

    #[test]
    fn a_key_shows_itself_only_in_a_connection_string() {
        let text = "secret-secret-secret-secret-secret";
        let key = AccessKey::new(text).unwrap();
        let keys = Keys { primary: key.clone(), secondary: Some(key.clone()), internal: key.clone() };
        assert!(!format!("{keys:?} {key:?}").contains("secret-"));
        assert_eq!(
            connection_string("https://rt.example.com/a", &key),
            "Endpoint=https://rt.example.com/a;AccessKey=secret-secret-secret-secret-secret;Version=1.0;"
        );
    }
}
