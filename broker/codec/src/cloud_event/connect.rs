//! What the application answers to `connect`. Source: `event-handlers.md` 9.2.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::InvalidAnswer;
use crate::event::ConnectAnswer;
use crate::ids::{GroupName, UserId};

/// Most groups, and most roles, that an application may name. The service states no number; each costs time and memory of
/// the whole node.
const MAX_NAMES: usize = 1000;

/// Reads the body of a successful answer, which is JSON whatever its content type says. No bytes and `null` mean that
/// the application wishes nothing. Names of properties ignore case, and of a repeated one the last counts.
///
/// # Errors
/// [`InvalidAnswer`] when it is neither `null` nor one JSON object, or a property that we know has a wrong value.
pub fn read_connect_answer(body: &[u8]) -> Result<ConnectAnswer, InvalidAnswer> {
    if body.is_empty() {
        return Ok(ConnectAnswer::default());
    }
    let text = std::str::from_utf8(body).map_err(|_| InvalidAnswer::Json { line: 0, column: 0 })?;
    let fields = Fields::read(text)
        .map_err(|error| InvalidAnswer::Json { line: error.line(), column: error.column() })?;

    let user_id = fields.user_id.map(|raw| string(raw, "userId")).transpose()?;
    let groups = list(fields.groups, "groups")?.filter(|names| !names.is_empty());
    Ok(ConnectAnswer {
        user_id: user_id.map(|id| user(&id)).transpose()?,
        roles: list(fields.roles, "roles")?,
        groups: groups.map(|names| names.iter().map(|name| GroupName::new(name)).collect()).transpose()?,
        subprotocol: fields.subprotocol.map(|raw| string(raw, "subprotocol")).transpose()?,
    })
}

/// The empty id takes the user away.
fn user(id: &str) -> Result<Option<UserId>, InvalidAnswer> {
    if id.is_empty() { Ok(None) } else { Ok(Some(UserId::new(id)?)) }
}

fn string(raw: &RawValue, property: &'static str) -> Result<String, InvalidAnswer> {
    serde_json::from_str(raw.get()).map_err(|_| InvalidAnswer::Property { property, expected: "a string" })
}

fn list(raw: Option<&RawValue>, property: &'static str) -> Result<Option<Vec<String>>, InvalidAnswer> {
    let fault = |expected| InvalidAnswer::Property { property, expected };
    let names: Option<Vec<String>> =
        raw.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(|_| fault("a list of strings"))?;
    match names {
        Some(names) if names.len() > MAX_NAMES => Err(fault("a list of at most 1000 strings")),
        names => Ok(names),
    }
}

/// Source text of the properties that we know; nothing for one that is absent or null.
#[derive(Default)]
struct Fields<'a> {
    user_id: Option<&'a RawValue>,
    roles: Option<&'a RawValue>,
    groups: Option<&'a RawValue>,
    subprotocol: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> serde_json::Result<Self> {
        let mut source = serde_json::Deserializer::from_str(text);
        let fields = source.deserialize_any(FieldsVisitor)?;
        source.end()?;
        Ok(fields)
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        let places = [
            ("userId", &mut self.user_id),
            ("roles", &mut self.roles),
            ("groups", &mut self.groups),
            ("subprotocol", &mut self.subprotocol),
        ];
        places.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, place)| place)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Name(name)) = map.next_key()? {
            match fields.place(&name) {
                // As a whole `Option`, so that null is nothing.
                Some(place) => *place = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// A property's name, which may be written with escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_enough() {
        for property in ["groups", "roles"] {
            let answer = |count| format!("{{\"{property}\":[{}]}}", vec!["\"g\""; count].join(","));
            assert!(read_connect_answer(answer(MAX_NAMES).as_bytes()).is_ok());
            assert!(read_connect_answer(answer(MAX_NAMES + 1).as_bytes()).is_err());
        }
    }
}
