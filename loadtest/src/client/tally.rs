//! What a reading thread counts, and the check of each delivery. Pure, and the hottest code of the program.

use std::time::Instant;

use super::handshake::{MARK, NUMBER_DIGITS};
use super::phase::{Check, Phase};

/// What members have received in a phase.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages received.
    pub(crate) deliveries: u64,
    /// Messages whose number did not follow the last one's: one is missing, repeated or out of order.
    pub(crate) disordered: u64,
    /// Messages to reliable members whose sequence id did not follow the last one's.
    pub(crate) out_of_sequence: u64,
    /// Acknowledgements that reliable members sent.
    pub(crate) acknowledgements: u64,
    /// Frames that are no message of ours.
    pub(crate) foreign: u64,
    /// Connections that ended though nobody wanted that.
    pub(crate) lost: u64,
    /// How the first of them ended.
    pub(crate) first_loss: Option<String>,
    /// Microseconds from when each message was due.
    pub(crate) latencies: Vec<u32>,
}

impl Tally {
    /// Of all threads, or of all sets of members.
    pub(crate) fn sum(tallies: Vec<Self>) -> Self {
        let mut sum = Self::default();
        tallies.into_iter().for_each(|tally| sum.add(tally));
        sum
    }

    fn add(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.disordered += other.disordered;
        self.out_of_sequence += other.out_of_sequence;
        self.acknowledgements += other.acknowledgements;
        self.foreign += other.foreign;
        self.lost += other.lost;
        self.first_loss = self.first_loss.take().or(other.first_loss);
        self.latencies.extend(other.latencies);
    }

    /// Counts a delivery to a member of `group` that expects message `expected`, and moves that on.
    #[inline]
    pub(super) fn deliver(&mut self, delivery: &Delivery<'_>, layout: &mut Layout, expected: &mut u32) {
        let number = match delivery.phase.check {
            Check::Counts => *expected,
            Check::Numbers => match layout.number(delivery.content) {
                Some(number) => number,
                None => {
                    self.foreign += 1;
                    return;
                }
            },
        };
        self.disordered += u64::from(number != *expected);
        self.deliveries += 1;
        *expected = number + 1;
        if let Some(schedule) = &delivery.phase.schedule {
            self.latencies.push(schedule.latency(delivery.group, number, delivery.now));
        }
        if let Some(progress) = &delivery.phase.progress {
            progress.received(delivery.group, *expected);
        }
    }
}

/// A message that reached a member.
pub(super) struct Delivery<'a> {
    pub(super) phase: &'a Phase,
    pub(super) group: u32,
    pub(super) content: &'a [u8],
    /// When the bytes were read.
    pub(super) now: Instant,
}

/// Where the number stands in a message, learnt from the first message and looked up anew when one differs.
#[derive(Debug, Default)]
pub(super) struct Layout {
    mark_at: usize,
}

impl Layout {
    #[inline]
    fn number(&mut self, content: &[u8]) -> Option<u32> {
        if !content.get(self.mark_at..).is_some_and(|rest| rest.starts_with(MARK)) {
            self.mark_at = content.windows(MARK.len()).position(|window| window == MARK)?;
        }
        let digits = content.get(self.mark_at + MARK.len()..)?.first_chunk()?;
        parse_digits(*digits)
    }
}

/// Reads eight decimal digits at once.
#[inline]
pub(super) fn parse_digits(digits: [u8; NUMBER_DIGITS]) -> Option<u32> {
    let bytes = u64::from_le_bytes(digits);
    let are_digits = bytes & 0xF0F0_F0F0_F0F0_F0F0 == 0x3030_3030_3030_3030
        && bytes.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0 == 0x3030_3030_3030_3030;
    if !are_digits {
        return None;
    }
    // The first digit stands in the lowest byte: join neighbours to pairs, pairs to fours, fours to the number.
    let ones = bytes & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_a_number() {
        for number in [0, 7, 12_345_678, 99_999_999, 10_000_001] {
            let digits: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            assert_eq!(parse_digits(digits), Some(number));
        }
        for text in [*b"1234567x", *b"/2345678", *b"1234:678", *b"        "] {
            assert_eq!(parse_digits(text), None);
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Counted {
        deliveries: u64,
        disordered: u64,
        foreign: u64,
    }

    fn check(texts: &[&str], expected: &Counted) {
        let (phase, now) = (Phase::default(), Instant::now());
        let (mut tally, mut layout, mut next) = (Tally::default(), Layout::default(), 0);
        for text in texts {
            let delivery = Delivery { phase: &phase, group: 0, content: text.as_bytes(), now };
            tally.deliver(&delivery, &mut layout, &mut next);
        }
        let Tally { deliveries, disordered, foreign, .. } = tally;
        assert_eq!(&Counted { deliveries, disordered, foreign }, expected, "{texts:?}");
    }

    #[test]
    fn every_message_must_follow_the_one_before() {
        let good = Counted { deliveries: 3, disordered: 0, foreign: 0 };
        check(&["number:00000000", "  number:00000001", "number:00000002"], &good);
        let gap = Counted { deliveries: 2, disordered: 1, foreign: 0 };
        check(&["number:00000000", "number:00000002"], &gap);
        let repeated = Counted { deliveries: 2, disordered: 1, foreign: 0 };
        check(&["number:00000000", "number:00000000"], &repeated);
        let other = Counted { deliveries: 1, disordered: 0, foreign: 2 };
        check(&["number:00000000", "number:0000000x", "{}"], &other);
    }
}
