//! The shape of a serialized `google.protobuf.Any`, which every payload of kind protobuf is.
//!
//! Only the shape is checked; what the `Any` holds is the business of those who wrote the message. Called by
//! [`crate::message::Payload`].

/// Most groups that may be open inside one another. The common parsers have the same limit.
const MAX_GROUPS: usize = 100;

/// Whether the bytes are an `Any`: field 1, the type, is text and field 2, the value, bytes. Fields with other numbers
/// may be anything that can be skipped. No bytes at all are the empty `Any`.
pub(crate) fn check(mut bytes: &[u8]) -> bool {
    let mut groups = Vec::new();
    while !bytes.is_empty() {
        if next_field(&mut bytes, &mut groups).is_none() {
            return false;
        }
    }
    groups.is_empty()
}

/// Takes one field off the front; nothing when it is not well formed.
fn next_field(bytes: &mut &[u8], groups: &mut Vec<u64>) -> Option<()> {
    let tag = take_varint(bytes)?;
    let (number, wire_type) = (tag >> 3, tag & 7);
    if number == 0 || tag > u64::from(u32::MAX) {
        return None;
    }
    // Inside a group, the numbers are the group's own.
    if groups.is_empty() && number <= 2 {
        let content = if wire_type == 2 { take_delimited(bytes)? } else { return None };
        let valid = number == 2 || std::str::from_utf8(content).is_ok();
        return valid.then_some(());
    }
    match wire_type {
        0 => take_varint(bytes).map(drop),
        1 => take(bytes, 8).map(drop),
        2 => take_delimited(bytes).map(drop),
        3 if groups.len() < MAX_GROUPS => {
            groups.push(number);
            Some(())
        }
        4 if groups.pop() == Some(number) => Some(()),
        5 => take(bytes, 4).map(drop),
        _ => None,
    }
}

fn take_delimited<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_varint(bytes)?;
    take(bytes, usize::try_from(length).ok()?)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(front)
}

/// Seven bits in each byte, the lowest first; at most ten bytes, of which the last has one bit.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for position in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if position == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * position);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_any_is_a_type_and_a_value() {
        let ten_byte_varint = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let too_large_varint = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        let endless_varint = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let (deepest, too_deep) = (nested_groups(100), nested_groups(101));
        let rows: [(&[u8], bool, &str); 27] = [
            (b"", true, "the empty any"),
            (b"\x0a\x03t/x", true, "a type alone"),
            (b"\x12\x02\xff\x00", true, "a value alone, any bytes"),
            (b"\x0a\x03t/x\x12\x01v", true, "type and value"),
            (b"\x12\x01v\x0a\x03t/x", true, "in the other order"),
            (b"\x0a\x00\x0a\x01t", true, "a repeated type"),
            (b"\x0a\x01\xff", false, "a type that is no text"),
            (b"\x0a\x04t/x", false, "a type that is cut off"),
            (b"\x12\x02v", false, "a value that is cut off"),
            (b"\x08\x01", false, "a number as type"),
            (b"\x10\x01", false, "a number as value"),
            (b"\x13\x14", false, "a group as value"),
            (b"\x18\x96\x01", true, "an unknown number"),
            (&ten_byte_varint, true, "an unknown number of 64 bits"),
            (&too_large_varint, false, "a number of more bits"),
            (&endless_varint, false, "a number of too many bytes"),
            (b"\x19\x01\x02\x03\x04\x05\x06\x07\x08", true, "unknown 64 bits"),
            (b"\x19\x01\x02\x03\x04", false, "64 bits that are cut off"),
            (b"\x1d\x01\x02\x03\x04", true, "unknown 32 bits"),
            (b"\x1d\x01\x02\x03", false, "32 bits that are cut off"),
            (b"\x1a\x01\xff", true, "unknown bytes"),
            (b"\x1b\x08\x01\x1c", true, "an unknown group with a field 1 of its own"),
            (b"\x1b\x24", false, "a group that another one ends"),
            (b"\x1b", false, "a group without end"),
            (b"\x1c", false, "an end without group"),
            (b"\x02\x00", false, "field 0"),
            (b"hello", false, "text"),
        ];
        for (bytes, valid, name) in rows {
            assert_eq!(check(bytes), valid, "{name}");
        }
        assert!(check(&deepest), "100 groups");
        assert!(!check(&too_deep), "101 groups");
        assert!(!check(b"\x1e"), "wire type 6");
        assert!(!check(b"\x82\x80\x80\x80\x80\x01\x00"), "a field number of more than 29 bits");
    }

    fn nested_groups(depth: usize) -> Vec<u8> {
        [vec![0x1b; depth], vec![0x1c; depth]].concat()
    }
}
