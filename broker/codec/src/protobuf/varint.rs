//! Numbers as protobuf writes them: seven bits in each byte, the lowest first.

/// Writes a number, byte by byte.
pub(super) fn write(mut value: u64, mut put: impl FnMut(u8)) {
    while value >= 0x80 {
        put(value as u8 | 0x80);
        value >>= 7;
    }
    put(value as u8);
}

/// How many bytes it takes, from 1 to 10.
pub(super) fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_takes_as_many_bytes_as_it_is_said_to() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            write(value, |byte| bytes.push(byte));
            assert_eq!(bytes.len(), len(value), "{value}");
            let read = bytes.iter().rev().fold(0, |read: u64, byte| read << 7 | u64::from(byte & 0x7f));
            assert_eq!(read, value);
        }
    }
}
