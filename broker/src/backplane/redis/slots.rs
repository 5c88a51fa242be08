//! Which slot of a Redis Cluster a partition is in, and who serves which slot.

use redis::Value;

use super::{Address, Partition};
use crate::backplane::partitions::all;

/// Slots of a Redis Cluster.
const SLOTS: u16 = 16384;

/// Who serves each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owners(Vec<Option<Address>>);

impl Owners {
    /// One server has them all.
    pub(super) fn single(address: &Address) -> Self {
        Self(vec![Some(address.clone()); Partition::COUNT])
    }

    /// Reads what CLUSTER SLOTS says. A server that does not know its own name is the one that was `asked`. Nothing
    /// when the answer has another shape.
    pub(super) fn from_slots(answer: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let ranges: Vec<Range> =
            ranges.iter().map(|range| Range::read(range, asked)).collect::<Option<_>>()?;
        let owner = |partition| {
            let slot = i64::from(slot(partition));
            let range = ranges.iter().find(|range| (range.first..=range.last).contains(&slot))?;
            Some(range.owner.clone())
        };
        Some(Self(all().map(owner).collect()))
    }

    /// Who serves it, when anybody does.
    pub(super) fn of(&self, partition: Partition) -> Option<&Address> {
        self.0[usize::from(partition.0)].as_ref()
    }

    /// Whether somebody serves each of them.
    pub(super) fn is_complete(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }
}

/// Slots in a row, and their primary.
struct Range {
    first: i64,
    last: i64,
    owner: Address,
}

impl Range {
    fn read(range: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(fields) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = fields.as_slice() else {
            return None;
        };
        let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
        let host = match text(host) {
            None | Some("" | "?") => asked.host.as_str(),
            Some(host) => host,
        };
        Some(Self {
            first: *first,
            last: *last,
            owner: Address { host: host.to_owned(), port: u16::try_from(*port).ok()? },
        })
    }
}

/// The text in an answer, if it is one.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The slot of all channels of a partition: that of the text in their braces.
fn slot(partition: Partition) -> u16 {
    crc16(partition.0.to_string().as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, which the specification of Redis Cluster names.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // What CLUSTER KEYSLOT of a real server says.
        assert_eq!([0, 7, 42, 255].map(|number| slot(Partition(number))), [13907, 1716, 8000, 14163]);
    }

    fn range(first: i64, last: i64, host: Value) -> Value {
        let node = Value::Array(vec![host, Value::Int(7000), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
    }

    #[test]
    fn owners_are_read_from_an_answer() {
        let asked = Address { host: "asked".to_owned(), port: 1 };
        let answer = Value::Array(vec![
            range(0, 8191, Value::BulkString(b"one".to_vec())),
            range(8192, 13999, Value::Nil),
        ]);
        let owners = Owners::from_slots(&answer, &asked).unwrap();
        assert_eq!(owners.of(Partition(42)).unwrap().host, "one");
        assert_eq!(owners.of(Partition(0)).unwrap().host, "asked");
        assert_eq!(owners.of(Partition(255)), None);
        assert!(!owners.is_complete() && Owners::single(&asked).is_complete());
        let odd = Value::Array(vec![Value::Array(vec![Value::Int(1)])]);
        assert_eq!(Owners::from_slots(&odd, &asked), None);
        assert_eq!(Owners::from_slots(&Value::Okay, &asked), None);
    }
}
