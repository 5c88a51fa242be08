//! Percentiles of latencies. Pure; the report alone needs them.

/// Latencies in milliseconds.
#[derive(Debug, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Percentiles {
    /// Of latencies in microseconds, which are reordered; `None` of none.
    pub(super) fn of(latencies: &mut [u32]) -> Option<Self> {
        latencies.sort_unstable();
        let last = latencies.len().checked_sub(1)?;
        // The smallest value that at least this share of all does not exceed.
        let at = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            f64::from(latencies[rank.saturating_sub(1).min(last)]) / 1e3
        };
        Some(Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_occurred() {
        let mut latencies: Vec<u32> = (1..=1_000).rev().map(|millis| millis * 1_000).collect();
        let expected = Percentiles { p50: 500.0, p90: 900.0, p99: 990.0, max: 1_000.0 };
        assert_eq!(Percentiles::of(&mut latencies), Some(expected));
        let one = Percentiles { p50: 2.5, p90: 2.5, p99: 2.5, max: 2.5 };
        assert_eq!(Percentiles::of(&mut [2_500]), Some(one));
        assert_eq!(Percentiles::of(&mut []), None);
    }
}
