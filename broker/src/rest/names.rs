//! Names in the path: percent-decoding of its segments and the names that they must be. Source: `rest-api.md` 1.
//!
//! Nothing here knows which operation a path belongs to. The operations call [`Names`], `handle` calls [`normalize`].

use std::borrow::Cow;

use codec::ids::{ConnectionId, GroupName, HubName, UserId};

use super::error::RestError;
use crate::auth::permission::Action;

/// How an escaped slash in a segment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlashEscape {
    /// As the slash that it stands for.
    Decoded,
    /// As the three characters of the escape, which is how the service does it.
    Kept,
}

/// The segments of a path that hold names, as they were received.
pub(super) struct Names<'p> {
    /// What the path template matched.
    pub(super) segments: matchit::Params<'p, 'p>,
    /// How an escaped slash is read.
    pub(super) slash: SlashEscape,
}

impl Names<'_> {
    /// The hub.
    ///
    /// # Errors
    /// When it is not a hub name.
    pub(super) fn hub(&self) -> Result<HubName, RestError> {
        Ok(HubName::new(&self.text("hub")?)?)
    }

    /// The group.
    ///
    /// # Errors
    /// When it is not a group name.
    pub(super) fn group(&self) -> Result<GroupName, RestError> {
        Ok(GroupName::new(&self.text("group")?)?)
    }

    /// The user.
    ///
    /// # Errors
    /// When it is blank.
    pub(super) fn user(&self) -> Result<UserId, RestError> {
        Ok(UserId::new(&self.text("user")?)?)
    }

    /// The connection.
    ///
    /// # Errors
    /// When it is blank.
    pub(super) fn connection(&self) -> Result<ConnectionId, RestError> {
        Ok(ConnectionId::parse(&self.text("connection")?)?)
    }

    /// The permitted action, by name in any case or by number.
    ///
    /// # Errors
    /// When it is no action that can be granted.
    pub(super) fn permission(&self) -> Result<Action, RestError> {
        match self.text("permission")?.to_ascii_lowercase().as_str() {
            "sendtogroup" | "1" => Ok(Action::SendToGroup),
            "joinleavegroup" | "2" => Ok(Action::JoinLeaveGroup),
            _ => Err(RestError::PermissionName),
        }
    }

    fn text(&self, name: &str) -> Result<String, RestError> {
        let segment = self.segments.get(name).ok_or(RestError::UnknownPath)?;
        decode_segment(segment, self.slash)
    }
}

/// The path as the templates know it: without one trailing slash, and with a literal colon before its verb.
pub(super) fn normalize(path: &str) -> Cow<'_, str> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    let Some((front, last)) = path.rsplit_once('/') else {
        return Cow::Borrowed(path);
    };
    match last.get(..3) {
        Some(escape) if escape.eq_ignore_ascii_case("%3A") => Cow::Owned(format!("{front}/:{}", &last[3..])),
        _ => Cow::Borrowed(path),
    }
}

/// Decodes every escape of a segment once. A percent sign that starts no escape stands for itself.
fn decode_segment(segment: &str, slash: SlashEscape) -> Result<String, RestError> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let Some(byte) = escaped_byte(rest) else {
            decoded.push(first);
            rest = tail;
            continue;
        };
        if byte == b'/' && slash == SlashEscape::Kept {
            decoded.extend_from_slice(&rest[..3]);
        } else {
            decoded.push(byte);
        }
        rest = &rest[3..];
    }
    String::from_utf8(decoded).map_err(|_| RestError::Encoding)
}

/// The byte that an escape at the start of `bytes` stands for.
fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(segment: &str, decoded: &str, legacy: &str) {
        assert_eq!(decode_segment(segment, SlashEscape::Decoded).unwrap(), decoded, "{segment}");
        assert_eq!(decode_segment(segment, SlashEscape::Kept).unwrap(), legacy, "{segment}");
    }

    #[test]
    fn segments_are_decoded_once() {
        check("room%20name", "room name", "room name");
        check("room+part", "room+part", "room+part");
        check("%E4%BD%A0", "你", "你");
        check("room%252Fpart", "room%2Fpart", "room%2Fpart");
        check("room%2Fpart%2f", "room/part/", "room%2Fpart%2f");
        check("100%", "100%", "100%");
        check("%zz%4", "%zz%4", "%zz%4");
        check("!'()*~", "!'()*~", "!'()*~");
        check("%21%27%28%29%2A%7E", "!'()*~", "!'()*~");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        for segment in ["%FF", "%E4%BD", "a%80"] {
            assert!(
                matches!(decode_segment(segment, SlashEscape::Decoded), Err(RestError::Encoding)),
                "{segment}"
            );
        }
    }

    #[test]
    fn a_trailing_slash_and_an_escaped_colon_make_no_difference() {
        let rows = [
            ("/api/health", "/api/health"),
            ("/api/health/", "/api/health"),
            ("/api/health//", "/api/health/"),
            ("/api/hubs/chat/%3Asend", "/api/hubs/chat/:send"),
            ("/api/hubs/chat/%3asend/", "/api/hubs/chat/:send"),
            ("/api/hubs/chat/%253Asend", "/api/hubs/chat/%253Asend"),
            ("/", "/"),
            ("", ""),
            ("/%", "/%"),
            ("/é", "/é"),
        ];
        for (path, normal) in rows {
            assert_eq!(normalize(path), normal, "{path}");
        }
    }
}
