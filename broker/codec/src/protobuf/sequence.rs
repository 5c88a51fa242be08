//! The sequence id of a message that is encoded already: a new beginning before bytes that stay as they are.
//!
//! A `DownstreamMessage` with one member is a tag, a length and the member's bytes. The order of fields is free, so the
//! id goes in front of them. Source: `client-protobuf.md` 3 and 4.

use std::ops::RangeInclusive;

use super::varint;
use crate::ids::SequenceId;

/// Number of the member `data_message`.
const DATA_MESSAGE: u8 = 2;
/// Wire type of a number.
const NUMBER: u8 = 0;

/// How many bytes stand before those of the member: its tag, which has one byte, and its length.
#[inline]
pub(crate) fn prefix_len(message: &[u8]) -> usize {
    let length = message.iter().skip(1).take_while(|&&byte| byte >= 0x80).count() + 1;
    (1 + length).min(message.len())
}

/// How many bytes stand before the member's other bytes, `rest` of them, when the message has this id.
#[inline]
pub(crate) fn sequence_start_len(rest: usize, SequenceId(id): SequenceId) -> usize {
    let id_len = 1 + varint::len(id);
    1 + varint::len((id_len + rest) as u64) + id_len
}

/// Writes them into `room`, which must have as many bytes; `tag` is the first byte of the message without an id.
#[inline]
pub(crate) fn write_sequence_start(tag: u8, rest: usize, SequenceId(id): SequenceId, room: &mut [u8]) {
    let field = if tag >> 3 == DATA_MESSAGE { 4 } else { 3 };
    let mut places = room.iter_mut();
    let mut put = |byte: u8| {
        if let Some(place) = places.next() {
            *place = byte;
        }
    };
    put(tag);
    varint::write((1 + varint::len(id) + rest) as u64, &mut put);
    put(field << 3 | NUMBER);
    varint::write(id, &mut put);
}

/// The ids that take as many bytes as this one.
pub(crate) fn as_long(SequenceId(id): SequenceId) -> RangeInclusive<u64> {
    let bits = 7 * varint::len(id) as u32;
    1 << (bits - 7)..=1_u64.checked_shl(bits).map_or(u64::MAX, |next| next - 1)
}

/// Writes an id into the end of such a beginning, where one that takes as many bytes stands.
#[inline]
pub(crate) fn renumber(SequenceId(id): SequenceId, start: &mut [u8]) {
    let at = start.len() - varint::len(id);
    let mut places = start[at..].iter_mut();
    varint::write(id, |byte| {
        if let Some(place) = places.next() {
            *place = byte;
        }
    });
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::client::DownstreamMessage;
    use proto::client::downstream_message::{DataMessage, GroupStateUpdateMessage, Message};

    use super::*;

    /// What a client reads of a message that was given an id.
    fn sequenced(message: Message, id: u64) -> Message {
        let plain = DownstreamMessage { message: Some(message) }.encode_to_vec();
        let rest = &plain[prefix_len(&plain)..];
        let mut start = vec![0; sequence_start_len(rest.len(), SequenceId(id))];
        write_sequence_start(plain[0], rest.len(), SequenceId(id), &mut start);
        let whole = [&start, rest].concat();
        DownstreamMessage::decode(&whole[..]).unwrap().message.unwrap()
    }

    #[test]
    fn the_id_is_added_and_nothing_else_changes() {
        for len in [0, 1, 100, 120, 130, 16_370, 16_400] {
            for id in [1, 127, 128, u64::MAX] {
                let data = DataMessage { from: "x".repeat(len), ..DataMessage::default() };
                let expected = DataMessage { sequence_id: Some(id), ..data.clone() };
                assert_eq!(sequenced(Message::DataMessage(data), id), Message::DataMessage(expected));
                let update =
                    GroupStateUpdateMessage { group: "x".repeat(len), ..GroupStateUpdateMessage::default() };
                let expected = GroupStateUpdateMessage { sequence_id: Some(id), ..update.clone() };
                let got = sequenced(Message::GroupStateUpdateMessage(update), id);
                assert_eq!(got, Message::GroupStateUpdateMessage(expected));
            }
        }
    }
}
