//! The record of a connection: everything that another node needs to go on with it when its own is lost.
//!
//! It is one hash. `owner` says who may write it, `session` has the connection without its messages, `last` the number of
//! the last message, each field that begins with `m` a message that the client has not acknowledged, with the time of
//! Redis at which it was noted, and each that begins with `f` a floor. Fields of other names are skipped: later versions
//! may write them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{Floors, Owner, Place};
use crate::backplane::Partition;
use crate::backplane::wire::{Malformed, session};
use crate::model::portable::{KeptMessage, Portable};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The connection, with its messages.
    pub portable: Portable,
    /// Places in logs, up to which everything has been served.
    pub places: BTreeMap<Partition, Place>,
    /// What has been served.
    pub floors: Floors,
}

/// A change of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who writes.
    pub owner: Owner,
    /// It has everything, so that there need be no record yet.
    pub is_whole: bool,
    /// Fields that go.
    pub(super) removed: Vec<String>,
    /// Fields that come, or change.
    pub(super) fields: Vec<(String, Bytes)>,
}

/// Name of the field of a message.
pub(super) fn message_field(number: u64) -> String {
    format!("m{number}")
}

impl Record {
    /// Reads the fields of a record at this time of Redis, in milliseconds.
    ///
    /// # Errors
    /// When something of it is not what any version writes: nobody can go on with it.
    pub(super) fn read(fields: Vec<(Bytes, Bytes)>, now: u64) -> Result<Self, Malformed> {
        let (mut portable, mut last) = (None, 0);
        let (mut messages, mut floors) = (Vec::new(), Floors::default());
        for (name, value) in fields {
            let name = std::str::from_utf8(&name).map_err(|_| Malformed::Range("field"))?;
            match name.split_at_checked(1) {
                _ if name == "session" => portable = Some(session::decode_record(value)?),
                _ if name == "last" => last = number(&value)?,
                Some(("m", digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    messages.push(read_message(value, now)?);
                }
                Some(("f", floor)) if floor.starts_with(|first: char| first.is_ascii_digit()) => {
                    let value = std::str::from_utf8(&value).map_err(|_| Malformed::Range("floor"))?;
                    if !floors.read(floor, value) {
                        return Err(Malformed::Range("floor"));
                    }
                }
                _ => {}
            }
        }
        let (mut portable, places) = portable.ok_or(Malformed::Missing("session"))?;
        messages.sort_by_key(|message| message.number);
        let numbers = || messages.iter().map(|message| message.number);
        if numbers().any(|number| number == 0) || !numbers().is_sorted_by(|one, other| one < other) {
            return Err(Malformed::Range("sequence_id"));
        }
        let membership = &mut portable.membership;
        membership.last = membership.last.max(last).max(numbers().next_back().unwrap_or_default());
        membership.messages = messages;
        Ok(Self { portable, places, floors })
    }
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Malformed::Range("last"))
}

/// A message behind the time at which it was noted. It has that much less time left; one that has none is still there,
/// because its number is.
fn read_message(mut value: Bytes, now: u64) -> Result<KeptMessage, Malformed> {
    let colon = value.iter().position(|&byte| byte == b':').ok_or(Malformed::Missing("time"))?;
    let noted = number(&value.split_to(colon))?;
    let message = session::decode_kept(value.split_off(1))?;
    let age = Duration::from_millis(now.saturating_sub(noted));
    Ok(KeptMessage { time_left: message.time_left.map(|left| left.saturating_sub(age)), ..message })
}
