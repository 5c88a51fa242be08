//! The token that continues a listing: opaque to callers, tamper-evident, and valid for one group on every node.
//!
//! It is the cursor and a signature over cursor, hub and group. No state is kept for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codec::ids::{ConnectionId, GroupName, HubName};

use super::error::RestError;
use crate::auth::key::AccessKey;

/// What a token is bound to.
pub(super) struct Scope<'s> {
    /// Secret that all nodes share.
    pub(super) key: &'s AccessKey,
    /// The hub.
    pub(super) hub: &'s HubName,
    /// The group.
    pub(super) group: &'s GroupName,
}

impl Scope<'_> {
    /// Makes the token that continues after `last`.
    ///
    /// # Errors
    /// When the signature cannot be made, which is the broker's fault.
    pub(super) fn seal(&self, last: &ConnectionId) -> Result<String, RestError> {
        let signature = self.key.sign(&self.signed_text(last.as_str()));
        let signature = signature.ok_or(RestError::Internal("a continuation token could not be signed"))?;
        Ok(format!("{}.{signature}", URL_SAFE_NO_PAD.encode(last.as_str())))
    }

    /// The connection id after which the listing continues.
    ///
    /// # Errors
    /// When the token was altered, belongs to another group, or is none of ours.
    pub(super) fn open(&self, token: &str) -> Result<ConnectionId, RestError> {
        let (cursor, signature) = token.split_once('.').ok_or_else(invalid)?;
        let cursor = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let cursor = String::from_utf8(cursor).map_err(|_| invalid())?;
        if !self.key.has_signed(&self.signed_text(&cursor), signature) {
            return Err(invalid());
        }
        ConnectionId::parse(&cursor).map_err(|_| invalid())
    }

    /// The first word keeps these signatures apart from those of tokens that the same key signs. The length keeps the
    /// group apart from the cursor, since both may hold any character.
    fn signed_text(&self, cursor: &str) -> Vec<u8> {
        let group = self.group.as_str();
        format!("continuation\0{}\0{}\0{group}\0{cursor}", self.hub, group.len()).into_bytes()
    }
}

/// The refusal of a token.
pub(super) fn invalid() -> RestError {
    RestError::Parameter {
        name: "continuationToken",
        rule: "it must be one that a listing of this group has given".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> AccessKey {
        AccessKey::generate([byte; 32])
    }

    #[test]
    fn a_token_opens_only_in_its_own_scope() {
        let (chat, other) = (HubName::new("chat").unwrap(), HubName::new("other").unwrap());
        let (room, hall) = (GroupName::new("room").unwrap(), GroupName::new("room\0x").unwrap());
        let last = ConnectionId::parse("c 1/ö").unwrap();
        let (shared, foreign) = (key(1), key(2));
        let token = Scope { key: &shared, hub: &chat, group: &room }.seal(&last).unwrap();
        assert_eq!(Scope { key: &shared, hub: &chat, group: &room }.open(&token).unwrap(), last);
        for elsewhere in [
            Scope { key: &shared, hub: &other, group: &room },
            Scope { key: &shared, hub: &chat, group: &hall },
            Scope { key: &foreign, hub: &chat, group: &room },
        ] {
            assert!(elsewhere.open(&token).is_err());
        }
    }

    #[test]
    fn an_altered_token_is_refused() {
        let (chat, room) = (HubName::new("chat").unwrap(), GroupName::new("room").unwrap());
        let shared = key(1);
        let scope = Scope { key: &shared, hub: &chat, group: &room };
        let token = scope.seal(&ConnectionId::parse("c1").unwrap()).unwrap();
        let (cursor, signature) = token.split_once('.').unwrap();
        let cut = &token[..token.len() - 1];
        let swapped = format!("{}.{signature}", URL_SAFE_NO_PAD.encode("c2"));
        let unsigned = format!("{cursor}.");
        for altered in ["", ".", "x", cut, &swapped, &unsigned, cursor, "%%.%%"] {
            let error = scope.open(altered).unwrap_err();
            assert_eq!(error.row().target, "continuationToken", "{altered}");
        }
    }
}
