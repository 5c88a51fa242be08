//! The properties of an upstream envelope as the client wrote them, and the ways to read one of them.
//!
//! What a message needs is not known here, [`super::decode`] asks for it; values that are objects are read in
//! [`super::objects`]. Values are parsed only when they are asked
//! for: a wrong one that is repeated rightly, or that the message has no use for, does no harm.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::InvalidMessage;

/// What [`Fields::number`] expects.
pub(super) const INTEGER: &str = "an integer from 0 to 18446744073709551615";

/// A property that some message has. Others are ignored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Property {
    Type,
    AckId,
    Group,
    Event,
    Data,
    DataType,
    NoEcho,
    TtlSeconds,
    Metadata,
    SequenceId,
    Stream,
    Target,
    InvocationId,
    StreamId,
    StreamSequenceId,
    Error,
    State,
}

impl Property {
    const COUNT: usize = 17;

    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "ackId" => Self::AckId,
            "group" => Self::Group,
            "event" => Self::Event,
            "data" => Self::Data,
            "dataType" => Self::DataType,
            "noEcho" => Self::NoEcho,
            "ttlSeconds" => Self::TtlSeconds,
            "metadata" => Self::Metadata,
            "sequenceId" => Self::SequenceId,
            "stream" => Self::Stream,
            "target" => Self::Target,
            "invocationId" => Self::InvocationId,
            "streamId" => Self::StreamId,
            "streamSequenceId" => Self::StreamSequenceId,
            "error" => Self::Error,
            "state" => Self::State,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::AckId => "ackId",
            Self::Group => "group",
            Self::Event => "event",
            Self::Data => "data",
            Self::DataType => "dataType",
            Self::NoEcho => "noEcho",
            Self::TtlSeconds => "ttlSeconds",
            Self::Metadata => "metadata",
            Self::SequenceId => "sequenceId",
            Self::Stream => "stream",
            Self::Target => "target",
            Self::InvocationId => "invocationId",
            Self::StreamId => "streamId",
            Self::StreamSequenceId => "streamSequenceId",
            Self::Error => "error",
            Self::State => "state",
        }
    }

    /// The error for a value that is missing or not what was `expected`.
    pub(super) fn must_be(self, expected: &'static str) -> InvalidMessage {
        InvalidMessage::Property { property: self.name(), expected }
    }
}

/// Source text of the properties, with a place for each. Of a repeated one it is the last.
#[derive(Default)]
pub(super) struct Fields<'a>([Option<&'a RawValue>; Property::COUNT]);

impl<'a> Fields<'a> {
    /// Source text of the value, `null` included.
    pub(super) fn source(&self, property: Property) -> Option<&'a str> {
        self.0[property as usize].map(RawValue::get)
    }

    /// Source text of the value. A `null` counts as absent.
    pub(super) fn given(&self, property: Property) -> Option<&'a str> {
        self.source(property).filter(|&source| source != "null")
    }

    /// A string that must be there.
    pub(super) fn string(&self, property: Property) -> Result<Cow<'a, str>, InvalidMessage> {
        self.source(property).and_then(parse_string).ok_or(property.must_be("a string"))
    }

    /// A number of 64 bits, without sign, fraction or exponent.
    pub(super) fn number(&self, property: Property) -> Result<Option<u64>, InvalidMessage> {
        let invalid = |_| property.must_be(INTEGER);
        self.given(property).map(str::parse).transpose().map_err(invalid)
    }

    /// A switch that is off unless it is on.
    pub(super) fn switch(&self, property: Property) -> Result<bool, InvalidMessage> {
        match self.given(property) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(property.must_be("true or false")),
        }
    }
}

/// The string that a JSON value spells, borrowed unless it has escapes. `source` is valid JSON.
pub(super) fn parse_string(source: &str) -> Option<Cow<'_, str>> {
    let inside = source.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(source).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Name(property)) = map.next_key()? {
            match property {
                Some(property) => fields.0[property as usize] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// A property's name, looked up in the parser's buffer.
struct Name(Option<Property>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(Name(Property::of(name)))
    }
}
