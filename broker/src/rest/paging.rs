//! Listing the members of a group, page by page. Source: `rest-api.md` 10.
//!
//! The cursor is the last connection id that was given, so that members who come and go between two pages neither shift
//! nor repeat others.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::call::{Call, Outcome, Range, Success};
use super::continuation::Scope;
use super::error::RestError;
use super::query::{NEWEST_VERSION, Query};

/// Most members on a page, and how many there are unless the caller wants fewer.
const MAX_PAGE_SIZE: u32 = 200;
/// Longest continuation token that is looked at, in characters.
const MAX_TOKEN: usize = 2048;

/// Lists members of a group.
pub(super) async fn list(call: &Call<'_>) -> Outcome {
    let (hub, group) = (call.names.hub()?, call.names.group()?);
    let wish = Wish::read(&call.query)?;
    let key = call.rest.parts.settings.borrow().keys.internal.clone();
    let scope = Scope { key: &key, hub: &hub, group: &group };
    let after = wish.token.map(|token| scope.open(token)).transpose()?;

    let size = wish.page_size();
    let limit = if wish.is_last_page() { size } else { size + 1 };
    let mut members = call.members(hub.clone(), group.clone(), Range { after, limit }).await?;
    let has_more = members.len() > size;
    members.truncate(size);
    let next_link = match members.last() {
        Some(last) if has_more => Some(wish.next_link(call, &scope.seal(&last.connection_id)?)),
        _ => None,
    };
    let value = members.iter().map(|member| Item {
        connection_id: member.connection_id.as_str(),
        user_id: member.user_id.as_ref().map(|user| user.as_str()),
    });
    let page = Page { value: value.collect(), next_link };
    let json = serde_json::to_vec(&page).map_err(|_| RestError::Internal("a page has no JSON form"))?;
    Ok(Success::Json(json))
}

/// What the caller wants of the listing.
struct Wish<'q> {
    max_page_size: u32,
    top: Option<u32>,
    token: Option<&'q str>,
}

impl<'q> Wish<'q> {
    fn read(query: &'q Query<'_>) -> Result<Self, RestError> {
        let largest = i32::try_from(MAX_PAGE_SIZE).unwrap_or(i32::MAX);
        let max_page_size = query.number("maxpagesize", 1..=largest)?.unwrap_or(MAX_PAGE_SIZE);
        let top = query.number("top", 1..=i32::MAX)?;
        let token = query.one("continuationToken")?;
        if token.is_some_and(|token| token.is_empty() || token.len() > MAX_TOKEN) {
            return Err(super::continuation::invalid());
        }
        Ok(Self { max_page_size, top, token })
    }

    fn page_size(&self) -> usize {
        let size = self.top.map_or(self.max_page_size, |top| top.min(self.max_page_size));
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// Whether the caller wants nothing beyond this page.
    fn is_last_page(&self) -> bool {
        self.top.is_some_and(|top| top <= self.max_page_size)
    }

    fn next_link(&self, call: &Call<'_>, token: &str) -> String {
        let mut link = format!(
            "{}{}?api-version={NEWEST_VERSION}&maxpagesize={}&continuationToken={}",
            call.origin(),
            call.path,
            self.max_page_size,
            utf8_percent_encode(token, NON_ALPHANUMERIC),
        );
        if let Some(top) = self.top {
            // Writing to a string cannot fail.
            let _ = write!(link, "&top={}", top - self.max_page_size.min(top));
        }
        link
    }
}

#[derive(Serialize)]
struct Page<'m> {
    value: Vec<Item<'m>>,
    #[serde(rename = "nextLink")]
    next_link: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'m> {
    connection_id: &'m str,
    user_id: Option<&'m str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<(usize, bool), &str>) {
        let query_parts = Query::parse(Some(query)).unwrap();
        let seen = Wish::read(&query_parts).map(|wish| (wish.page_size(), wish.is_last_page()));
        assert_eq!(
            seen.as_ref().map_err(|error| error.row().target),
            expected.as_ref().map_err(|t| *t),
            "{query}"
        );
    }

    #[test]
    fn pages_have_1_to_200_members() {
        check("", Ok((200, false)));
        check("maxpagesize=1", Ok((1, false)));
        check("maxpagesize=200&top=2147483647", Ok((200, false)));
        check("maxpagesize=10&top=10", Ok((10, true)));
        check("maxpagesize=10&top=3", Ok((3, true)));
        check("top=201", Ok((200, false)));
        check("continuationToken=abc", Ok((200, false)));
        for bad in ["0", "201", "-1", "", "%20", "1.5", "x", "1&maxpagesize=1"] {
            check(&format!("maxpagesize={bad}"), Err("maxpagesize"));
        }
        for bad in ["0", "2147483648", "-1", "", "%20", "1.5", "1&top=1"] {
            check(&format!("top={bad}"), Err("top"));
        }
        let long = "a".repeat(2049);
        for bad in ["", &long, "a&continuationToken=a"] {
            check(&format!("continuationToken={bad}"), Err("continuationToken"));
        }
    }
}
