//! Query parameters: decoding, and the rules of those that several operations take. Source: `rest-api.md` 1, 2 and 7.
//!
//! Parameters of one operation alone are read in that operation's file, through the functions here.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use codec::ids::{ConnectionId, GroupName};
use codec::message::{MAX_TIME_TO_LIVE, TimeToLive};
use percent_encoding::percent_decode;

use super::error::RestError;

/// Versions that callers may ask for and are told of.
pub(super) const SUPPORTED_VERSIONS: &str = "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01";
/// Newest version, named in links that we make.
pub(super) const NEWEST_VERSION: &str = "2024-12-01";
/// Versions that are accepted although no caller is told of them: the command line of Azure sends one.
const SILENT_VERSIONS: [&str; 2] = ["2021-05-01-preview", "2021-08-01-preview"];

/// The decoded parameters of a request, in their order. Names are compared ignoring case, as the service does.
pub(super) struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Decodes the query part of a URL once; a plus is a space.
    ///
    /// # Errors
    /// [`RestError::Encoding`] when the decoded bytes are not UTF-8.
    pub(super) fn parse(query: Option<&'q str>) -> Result<Self, RestError> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decode_pair = |pair: &'q str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        };
        pairs.map(decode_pair).collect::<Result<_, _>>().map(Self)
    }

    /// Every value of a parameter that may be repeated, each as it stands.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The value of a parameter that is given at most once.
    ///
    /// # Errors
    /// [`RestError::Parameter`] when it is repeated: to choose one of them could mean more than the caller meant.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, RestError> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(RestError::Parameter { name, rule: "it must be given once".into() }),
        }
    }

    /// Like [`Query::one`], where an empty value is no value.
    ///
    /// # Errors
    /// As [`Query::one`].
    pub(super) fn non_empty(&self, name: &'static str) -> Result<Option<&str>, RestError> {
        Ok(self.one(name)?.filter(|value| !value.is_empty()))
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// [`RestError::Parameter`] when it is repeated, not a whole number, or outside.
    pub(super) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<i32>,
    ) -> Result<Option<u32>, RestError> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => {
                let rule = format!("it must be a whole number from {} to {}", range.start(), range.end());
                Err(RestError::Parameter { name, rule: rule.into() })
            }
        }
    }

    /// Checks `api-version`: absent, or exactly one that we know. It gates nothing.
    ///
    /// # Errors
    /// [`RestError::ApiVersion`] otherwise.
    pub(super) fn check_version(&self) -> Result<(), RestError> {
        let mut versions = self.all("api-version");
        match (versions.next(), versions.next()) {
            (None, _) => Ok(()),
            (Some(version), None) if is_known_version(version) => Ok(()),
            _ => Err(RestError::ApiVersion),
        }
    }

    /// Connections that are left out. Each value is one literal id; what can be no id excludes nobody.
    pub(super) fn excluded(&self) -> Vec<ConnectionId> {
        self.all("excluded").filter_map(|id| ConnectionId::parse(id).ok()).collect()
    }

    /// What a client is told when its connection is closed.
    ///
    /// # Errors
    /// As [`Query::one`].
    pub(super) fn reason(&self) -> Result<Option<String>, RestError> {
        Ok(self.non_empty("reason")?.map(str::to_owned))
    }

    /// How long the message may wait for a receiver; zero is for ever.
    ///
    /// # Errors
    /// When it is repeated, not a whole number, or more than 300 seconds.
    pub(super) fn time_to_live(&self) -> Result<TimeToLive, RestError> {
        let longest = i32::try_from(MAX_TIME_TO_LIVE.as_secs()).unwrap_or(i32::MAX);
        let seconds = self.number("messageTtlSeconds", 0..=longest)?;
        Ok(seconds.filter(|&seconds| seconds > 0).map(|seconds| Duration::from_secs(seconds.into())))
    }

    /// The group that a permission is about.
    ///
    /// # Errors
    /// When it is absent, repeated or not a group name.
    pub(super) fn target_name(&self) -> Result<GroupName, RestError> {
        let rule = "it must be a group name of 1 to 1024 characters";
        let invalid = || RestError::Parameter { name: "targetName", rule: rule.into() };
        GroupName::new(self.one("targetName")?.ok_or_else(invalid)?).map_err(|_| invalid())
    }
}

fn is_known_version(version: &str) -> bool {
    SUPPORTED_VERSIONS.split(", ").chain(SILENT_VERSIONS).any(|known| known == version)
}

fn decode(text: &str) -> Result<Cow<'_, str>, RestError> {
    let invalid = |_| RestError::Encoding;
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).decode_utf8().map_err(invalid);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(invalid)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests;
