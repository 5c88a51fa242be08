//! The parts of a token as its text has them: nothing here is verified.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codec::ids::{GroupName, UserId};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use super::{Claims, TokenError};

/// A token taken apart.
pub(super) struct Unverified<'t> {
    /// Name of the algorithm that the header claims.
    pub(super) algorithm: String,
    /// What the signature is of.
    pub(super) signed: &'t str,
    /// The signature in base64url.
    pub(super) signature: &'t str,
    payload: &'t str,
}

/// Only what we use: a key id, for one, may be anything.
#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<IgnoredAny>,
}

/// The claims that mean something to us.
#[derive(Deserialize)]
pub(super) struct Payload {
    #[serde(default, rename = "aud")]
    audiences: Texts,
    /// Seconds since 1970, perhaps with a fraction.
    #[serde(rename = "exp")]
    pub(super) expiry: Option<f64>,
    /// Seconds since 1970, perhaps with a fraction.
    #[serde(rename = "nbf")]
    pub(super) not_before: Option<f64>,
    /// Who issued it; only reconnection tokens are asked.
    #[serde(default, rename = "iss", deserialize_with = "text_or_none")]
    pub(super) issuer: Option<String>,
    #[serde(rename = "sub")]
    subject: Option<String>,
    #[serde(default, rename = "role")]
    roles: Texts,
    #[serde(default, rename = "webpubsub.group")]
    groups: Texts,
}

/// A claim with any number of values: absent, null, one text, or an array of texts.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when it has no readable header.
    pub(super) fn read(token: &'t str) -> Result<Self, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        // Whoever marks an extension as critical wants to be refused by those who do not know it (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        Ok(Self { algorithm: header.alg, signed, signature, payload })
    }

    /// The claims.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when they are no JSON object, or one of ours has the wrong type or is there twice.
    pub(super) fn payload(&self) -> Result<Payload, TokenError> {
        decode(self.payload)
    }
}

/// All claims of a token whose signature has been verified before, each with its values as text: texts as they are,
/// lists value by value, everything else as JSON.
pub(super) fn all_claims(token: &str) -> Vec<(String, Vec<String>)> {
    let read = |token| decode::<serde_json::Map<String, Value>>(Unverified::read(token).ok()?.payload).ok();
    let claims = read(token).unwrap_or_default();
    claims.into_iter().map(|(name, value)| (name, texts(value))).collect()
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        Value::String(text) => vec![text],
        other => vec![other.to_string()],
    }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

impl Payload {
    pub(super) fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audiences.0.iter().map(String::as_str)
    }

    /// What a connection takes from its token.
    ///
    /// # Errors
    /// [`TokenError::InvalidGroup`] when one of the groups has no valid name.
    pub(super) fn into_claims(self) -> Result<Claims, TokenError> {
        let groups: Result<_, _> = self.groups.0.iter().map(|name| GroupName::new(name)).collect();
        Ok(Claims {
            // An empty or blank subject is no user.
            user_id: self.subject.and_then(|subject| UserId::new(&subject).ok()),
            roles: self.roles.0,
            groups: groups.map_err(|_| TokenError::InvalidGroup)?,
        })
    }
}

/// A text, or nothing when the claim is anything else: what nobody asks for must not make a token unreadable.
fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an array of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_unit<E>(self) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = array.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}
