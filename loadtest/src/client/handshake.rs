//! What a client says until it is a member, and what it must hear: pure text, no sockets.
//!
//! Publisher and callers call it, members do through `speech`; the limit server reads the same words from the other
//! side.

use codec::ids::{GroupName, InvalidName};
use codec::subprotocol::Subprotocol;
use serde::Deserialize;

use super::ClientError;
use crate::access::Access;

/// The key that every handshake sends, and the answer that RFC 6455 (1.3) gives for it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to it.
pub(crate) const ACCEPTED_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Where a client names its subprotocol, and the server agrees.
pub(crate) const SUBPROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";
/// Digits of a group's number and of a message's number. Fixed, so that all frames of a phase have one length.
const GROUP_DIGITS: usize = 6;
/// Stands before the number of a message in its text.
pub(crate) const MARK: &[u8] = b"number:";
/// Digits of that number.
pub(crate) const NUMBER_DIGITS: usize = 8;

/// What publishers speak.
pub(super) const JSON: Option<Subprotocol> = Some(Subprotocol::Json);

const JOIN: &str = r#"{"type":"joinGroup","group":"g"#;
const SEND: &str = r#"{"type":"sendToGroup","group":"g"#;

/// Name of the group with this index.
///
/// # Errors
/// None for any index; the type asks.
pub(crate) fn group_name(group: u32) -> Result<GroupName, InvalidName> {
    GroupName::new(&format!("g{group:0GROUP_DIGITS$}"))
}

/// The request that opens a WebSocket; without a subprotocol it is that of a simple client.
pub(crate) fn upgrade_request(access: &Access, token: &str, subprotocol: Option<Subprotocol>) -> Vec<u8> {
    let (path, host) = (access.path(), access.host());
    let offer = subprotocol.map_or_else(String::new, |subprotocol| {
        format!("{}: {}\r\n", SUBPROTOCOL_HEADER, subprotocol.name())
    });
    format!(
        "GET {path}?access_token={token} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
    .into_bytes()
}

/// Checks the answer to it, if all of it is there, and returns its length.
///
/// # Errors
/// [`ClientError::Refused`] when the status is not 101, or key or subprotocol are not what they must be.
pub(crate) fn check_upgrade(
    bytes: &[u8],
    subprotocol: Option<Subprotocol>,
) -> Result<Option<usize>, ClientError> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(ClientError::Refused(status.to_owned()));
    }
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let has = |wanted: &str, value: &str| {
        headers.iter().any(|(name, got)| name.eq_ignore_ascii_case(wanted) && got.trim() == value)
    };
    if !has("Sec-WebSocket-Accept", ACCEPTED_KEY) {
        return Err(ClientError::Refused("the answer to the WebSocket key is wrong".to_owned()));
    }
    if !subprotocol.is_none_or(|subprotocol| has(SUBPROTOCOL_HEADER, subprotocol.name())) {
        return Err(ClientError::Refused("the subprotocol was not agreed".to_owned()));
    }
    Ok(Some(end + 4))
}

/// Asks to be a member.
pub(crate) fn join_text(group: &GroupName) -> String {
    format!(r#"{{"type":"joinGroup","group":"{group}","ackId":1}}"#)
}

/// The same without asking for an answer.
pub(super) fn join_quietly_text(group: &GroupName) -> String {
    format!(r#"{{"type":"joinGroup","group":"{group}"}}"#)
}

/// Publishes a text of `payload_len` bytes whose message number is zero.
pub(crate) fn send_text(group: &GroupName, payload_len: usize) -> String {
    let text = payload_text(payload_len);
    format!(r#"{{"type":"sendToGroup","group":"{group}","dataType":"text","data":"{text}"}}"#)
}

/// The text that is published, with the number zero.
pub(crate) fn payload_text(payload_len: usize) -> String {
    let mut text = String::from_utf8_lossy(MARK).into_owned();
    text.extend(std::iter::repeat_n('0', NUMBER_DIGITS));
    text.extend(std::iter::repeat_n('x', payload_len.saturating_sub(text.len())));
    text
}

/// Which group an upstream message of [`join_text`] or [`send_text`] names, and which of the two it is.
pub(crate) fn group_of(text: &str) -> Option<(Wish, u32)> {
    let (wish, rest) = match text.strip_prefix(SEND) {
        Some(rest) => (Wish::Send, rest),
        None => (Wish::Join, text.strip_prefix(JOIN)?),
    };
    Some((wish, rest.get(..GROUP_DIGITS)?.parse().ok()?))
}

/// What an upstream message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To be a member.
    Join,
    /// To publish.
    Send,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Answer {
    System {
        event: String,
    },
    #[serde(rename_all = "camelCase")]
    Ack {
        ack_id: u64,
        success: bool,
    },
}

/// Whether this is the first message of a connection.
///
/// # Errors
/// [`ClientError::Unexpected`] when it is anything else.
pub(crate) fn check_connected(content: &[u8]) -> Result<(), ClientError> {
    match serde_json::from_slice(content) {
        Ok(Answer::System { event }) if event == "connected" => Ok(()),
        _ => Err(unexpected("the message `connected`", content)),
    }
}

/// Whether this says that the connection is a member now.
///
/// # Errors
/// [`ClientError::Unexpected`] when it is anything else.
pub(crate) fn check_joined(content: &[u8]) -> Result<(), ClientError> {
    match serde_json::from_slice(content) {
        Ok(Answer::Ack { ack_id: 1, success: true }) => Ok(()),
        _ => Err(unexpected("a successful ack", content)),
    }
}

/// The number of an ack and whether it is one of success; `None` when this is no ack.
pub(super) fn read_ack(content: &[u8]) -> Option<(u64, bool)> {
    match serde_json::from_slice(content) {
        Ok(Answer::Ack { ack_id, success }) => Some((ack_id, success)),
        _ => None,
    }
}

pub(super) fn unexpected(expected: &'static str, content: &[u8]) -> ClientError {
    let got = String::from_utf8_lossy(&content[..content.len().min(200)]).into_owned();
    ClientError::Unexpected { expected, got }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::ids::AckId;
    use codec::message::Upstream;

    #[test]
    fn the_broker_understands_what_we_ask() {
        let group = group_name(42).unwrap();
        let join = codec::json::decode(join_text(&group).as_bytes()).unwrap();
        assert_eq!(join, Upstream::JoinGroup { group: group.clone(), ack_id: Some(AckId(1)) });
        let text = send_text(&group, 128);
        let Upstream::SendToGroup(send) = codec::json::decode(text.as_bytes()).unwrap() else {
            panic!("not a send: {text}");
        };
        assert_eq!(send.group, group);
        assert_eq!(send.content.payload.bytes().len(), 128);
        assert!(send.content.payload.bytes().starts_with(b"number:00000000x"));
    }

    #[test]
    fn the_limit_server_reads_the_group_from_the_front() {
        let group = group_name(42).unwrap();
        assert_eq!(group_of(&join_text(&group)), Some((Wish::Join, 42)));
        assert_eq!(group_of(&send_text(&group, 16)), Some((Wish::Send, 42)));
        assert_eq!(group_of(r#"{"type":"ping"}"#), None);
    }

    #[test]
    fn only_a_complete_agreement_opens_a_websocket() {
        let check = |head: &str, expected: Result<Option<usize>, &str>| match (
            check_upgrade(head.as_bytes(), Some(Subprotocol::Json)),
            expected,
        ) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{head}"),
            (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (got, _) => panic!("{head}: {got:?}"),
        };
        let good = format!(
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {ACCEPTED_KEY}\r\n\
             Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n"
        );
        check(&good, Ok(Some(good.len())));
        check(&format!("{good}\u{1}\0"), Ok(Some(good.len())));
        check(&good[..good.len() - 1], Ok(None));
        check("HTTP/1.1 401 Unauthorized\r\n\r\n", Err("401"));
        check(&good.replace("s3p", "t3p"), Err("key"));
        check(&good.replace("json.", "mqtt."), Err("subprotocol"));
        let simple =
            format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {ACCEPTED_KEY}\r\n\r\n");
        check(&simple, Err("subprotocol"));
        assert_eq!(check_upgrade(simple.as_bytes(), None).unwrap(), Some(simple.len()));
    }

    #[test]
    fn answers_are_told_apart() {
        let connected = br#"{"type":"system","event":"connected","userId":null,"connectionId":"c"}"#;
        let ack = br#"{"type":"ack","ackId":1,"success":true}"#;
        let refused =
            br#"{"type":"ack","ackId":1,"success":false,"error":{"name":"Forbidden","message":"m"}}"#;
        assert!(check_connected(connected).is_ok() && check_joined(ack).is_ok());
        assert!(check_connected(ack).is_err() && check_joined(connected).is_err());
        assert!(check_joined(refused).unwrap_err().to_string().contains("Forbidden"));
    }
}
