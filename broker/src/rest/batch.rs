//! Body of the two group-batch operations: many groups, and a filter that chooses the connections. Source:
//! `rest-api.md` 3.3.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use codec::filter::Filter;
use codec::ids::GroupName;
use hyper::body::Body;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::body;
use super::call::Call;
use super::content::{ContentType, to_utf8};
use super::error::RestError;

/// What a group batch asks for.
#[derive(Debug)]
pub(super) struct Batch {
    /// Groups to join or leave, each once; never empty.
    pub(super) groups: Vec<GroupName>,
    /// Which connections of the hub; absent means all.
    pub(super) filter: Option<Filter>,
}

impl Batch {
    /// Reads the batch from a call's body.
    ///
    /// # Errors
    /// When the body is not JSON by its content type, too long, or does not have the shape of a batch.
    pub(super) async fn read<B>(call: &Call<'_>, body: &mut B) -> Result<Self, RestError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        body::check_declared(body)?;
        let ContentType::Json(charset) = ContentType::of(&call.head.headers)? else {
            return Err(RestError::MediaType);
        };
        let bytes = to_utf8(charset, body::read(body).await?).ok_or(RestError::Json)?;
        let raw = RawBatch::parse(&bytes)?;
        Ok(Self { groups: raw.group_names()?, filter: call.rest.filter(raw.filter.as_deref())? })
    }
}

fn shape_error(error: &serde_json::Error) -> RestError {
    if error.is_data() {
        return RestError::Batch(
            "it must be an object with 'groups', an array of texts, and 'filter', a text",
        );
    }
    RestError::Json
}

/// The batch as it was written, before its names and its filter are checked.
#[derive(Default)]
struct RawBatch {
    groups: Vec<String>,
    filter: Option<String>,
}

impl RawBatch {
    fn parse(json: &[u8]) -> Result<Self, RestError> {
        serde_json::from_slice(json).map_err(|error| shape_error(&error))
    }

    /// The groups, each once.
    fn group_names(&self) -> Result<Vec<GroupName>, RestError> {
        if self.groups.is_empty() {
            return Err(RestError::Batch("'groups' must name at least one group"));
        }
        let mut seen = HashSet::with_capacity(self.groups.len());
        let distinct = self.groups.iter().filter(|name| seen.insert(name.as_str()));
        Ok(distinct.map(|name| GroupName::new(name)).collect::<Result<_, _>>()?)
    }
}

impl<'de> Deserialize<'de> for RawBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawBatchVisitor)
    }
}

/// Written by hand because property names match in any case, which a derived reader cannot do.
struct RawBatchVisitor;

impl<'de> Visitor<'de> for RawBatchVisitor {
    type Value = RawBatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawBatch, A::Error> {
        let mut batch = RawBatch::default();
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("groups") {
                batch.groups = map.next_value()?;
            } else if name.eq_ignore_ascii_case("filter") {
                batch.filter = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<(&[&str], Option<&str>)>) {
        let batch = RawBatch::parse(json.as_bytes()).and_then(|raw| Ok((raw.group_names()?, raw.filter)));
        let seen = batch.ok();
        let seen = seen.as_ref().map(|(groups, filter)| {
            (groups.iter().map(GroupName::as_str).collect::<Vec<_>>(), filter.as_deref())
        });
        assert_eq!(seen, expected.map(|(groups, filter)| (groups.to_vec(), filter)), "{json}");
    }

    #[test]
    fn property_names_match_in_any_case_and_others_are_ignored() {
        check(r#"{"groups":["room","a/b"]}"#, Some((&["room", "a/b"], None)));
        check(r#"{"Groups":["a"],"FILTER":"userId eq 'ann'"}"#, Some((&["a"], Some("userId eq 'ann'"))));
        check(r#"{"groups":["a"],"filter":""}"#, Some((&["a"], Some(""))));
        check(r#"{"groups":["a"],"filter":null}"#, Some((&["a"], None)));
        check(r#"{"other":{"x":[1]},"groups":["a","b","a"]}"#, Some((&["a", "b"], None)));
        check(r#"{"groups":["A","a"," a "]}"#, Some((&["A", "a", " a "], None)));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for json in [
            "",
            "null",
            "[]",
            "[\"a\"]",
            "\"a\"",
            "{}",
            r#"{"groups":null}"#,
            r#"{"groups":[]}"#,
            r#"{"groups":"a"}"#,
            r#"{"groups":{}}"#,
            r#"{"groups":[null]}"#,
            r#"{"groups":["a",1]}"#,
            r#"{"groups":["a",""]}"#,
            r#"{"groups":["a"," "]}"#,
            r#"{"groups":["a"],"filter":1}"#,
            r#"{"groups":["a"],"filter":{}}"#,
            r#"{"groups":["a"]} {}"#,
            r#"{"groups":["a"]"#,
        ] {
            check(json, None);
        }
    }

    #[test]
    fn many_groups_are_fine() {
        let names: Vec<String> = (0..1025).map(|n| format!("group{n}")).collect();
        let json = serde_json::json!({ "groups": names }).to_string();
        assert_eq!(RawBatch::parse(json.as_bytes()).unwrap().group_names().unwrap().len(), 1025);
    }
}
