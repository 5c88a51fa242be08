//! The properties of an upstream envelope whose values are objects: metadata, group state, the beginning of a stream and
//! why its publisher gives it up.
//!
//! Only the form is checked here; whether a number is in its range is for [`super::decode`] to say.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::InvalidMessage;
use super::fields::{Fields, Property, parse_string};
use crate::message::{GroupState, UserError};
use crate::metadata::Metadata;

/// What a stream is begun with.
pub(super) struct StreamFields<'a> {
    pub(super) stream_id: Cow<'a, str>,
    /// Source text of a number, if there is one.
    pub(super) idle_timeout_ms: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// The metadata, checked.
    pub(super) fn metadata(&self) -> Result<Option<Metadata>, InvalidMessage> {
        let Some(Entries(entries)) = self.entries(Property::Metadata)? else {
            return Ok(None);
        };
        Ok(Some(Metadata::new(entries)?))
    }

    /// What a member shows to its group; absent to show nothing.
    pub(super) fn group_state(&self) -> Result<Option<GroupState>, InvalidMessage> {
        Ok(self.entries(Property::State)?.map(|Entries(entries)| GroupState::new(entries)))
    }

    fn entries(&self, property: Property) -> Result<Option<Entries>, InvalidMessage> {
        let Some(source) = self.given(property) else {
            return Ok(None);
        };
        serde_json::from_str(source).map_err(|_| property.must_be("an object of strings or null"))
    }

    /// What a stream is begun with, if the message is to begin one.
    pub(super) fn stream(&self) -> Result<Option<StreamFields<'a>>, InvalidMessage> {
        let Some(source) = self.given(Property::Stream) else {
            return Ok(None);
        };
        let read = |source| {
            let [stream_id, idle_timeout_ms] = members(source, ["streamId", "idleTimeoutMs"])?;
            let idle_timeout_ms = idle_timeout_ms.filter(|&source| source != "null");
            if idle_timeout_ms.is_some_and(|source| !is_number(source)) {
                return None;
            }
            Some(StreamFields { stream_id: parse_string(stream_id?)?, idle_timeout_ms })
        };
        let expected = "an object with a string `streamId` and a number or null as `idleTimeoutMs`, or null";
        read(source).map(Some).ok_or(Property::Stream.must_be(expected))
    }

    /// Why a publisher gives its stream up, if it does.
    pub(super) fn user_error(&self) -> Result<Option<UserError>, InvalidMessage> {
        let Some(source) = self.given(Property::Error) else {
            return Ok(None);
        };
        let text = |source: Option<&str>| match source {
            None | Some("null") => Some(None),
            Some(source) => parse_string(source).map(|text| Some(text.into_owned())),
        };
        let read = |source| {
            let [message, code] = members(source, ["message", "userErrorCode"])?;
            Some(UserError { message: text(message)?, code: text(code)? })
        };
        let expected = "an object with strings or null as `message` and `userErrorCode`, or null";
        read(source).map(Some).ok_or(Property::Error.must_be(expected))
    }
}

/// Whether a JSON value is a number.
fn is_number(source: &str) -> bool {
    source.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Source text of the values that an object has under these names; nothing when `source`, valid JSON, is no object.
fn members<'a, const N: usize>(source: &'a str, names: [&'static str; N]) -> Option<[Option<&'a str>; N]> {
    Members(names).deserialize(&mut serde_json::Deserializer::from_str(source)).ok()
}

/// The names to look for. Others are ignored; of a repeated one the last counts.
struct Members<const N: usize>([&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<N> {
    type Value = [Option<&'de str>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = map.next_key::<String>()? {
            match self.0.iter().position(|&known| known == name) {
                Some(place) => found[place] = Some(map.next_value::<&RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// An object of strings as written, repeated keys included.
struct Entries(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
