//! The report as text: a table for each phase, a line for each figure.

use std::fmt::{self, Display, Formatter};

use super::{Figure, FigureMedians, PhaseMedians, Report, Subject};

/// Room for a ratio and its heading.
const RATIO_WIDTH: usize = 19;

impl Figure {
    /// What the table calls it, with its unit.
    const fn label(self) -> &'static str {
        match self {
            Self::BytesPerConnection => "RSS bytes per connection",
            Self::MicrosPerConnect => "server CPU us per connect",
            Self::ConnectsPerSecond => "connects per second",
            Self::MemoryCold => "RSS bytes at start",
            Self::MemoryBefore => "RSS bytes before, warm",
            Self::MemoryWith => "RSS bytes with all",
            Self::MemoryAfter => "RSS bytes after all left",
            Self::MemoryKept => "RSS after / before",
            Self::IdleCoresPer100k => "idle cores per 100,000",
            Self::DeliveriesPerCpuSecond => "deliveries per server CPU s",
            Self::EchoesPerCpuSecond => "echoes per server CPU s",
            Self::LatencyP50 => "latency p50 ms",
            Self::LatencyP90 => "latency p90 ms",
            Self::LatencyP99 => "latency p99 ms",
            Self::LatencyMax => "latency max ms",
            Self::OtherLatencyP50 => "other nodes: p50 ms",
            Self::OtherLatencyP99 => "other nodes: p99 ms",
            Self::OtherLatencyMax => "other nodes: max ms",
            Self::OtherP99ToOwn => "other nodes' p99 / own p99",
            Self::OtherWithinGoal => "within the goal",
            Self::LatencyP99ToFirst => "p99 / p99 of first phase",
            Self::LatencyP50ToFirst => "p50 / p50 of first phase",
            Self::LatestSend => "latest send ms late",
            Self::DeliveriesPerSecond => "deliveries per second",
            Self::EchoesPerSecond => "echoes per second",
            Self::ServerCpuSeconds => "server CPU seconds",
            Self::ServerCores => "cores used by the server",
            Self::HandlerCores => "cores used by the handler",
            Self::GeneratorCores => "cores used by the generator",
            Self::RedisCores => "cores used by Redis",
            Self::Publishes => "publishes",
            Self::PublishesPerSecond => "publishes per second",
            Self::PublishesPerCpuSecond => "publishes per server CPU s",
            Self::AcknowledgedPerSecond => "acked publishes per second",
            Self::AcknowledgedPerCpuSecond => "acked per server CPU s",
            Self::RedisBytesPerMessage => "Redis bytes per message",
            Self::RedisPublishes => "publishes that Redis took",
            Self::PublishesPerRedisCpuSecond => "publishes per Redis CPU s",
            Self::Deliveries => "deliveries",
            Self::DeliveryRatio => "delivery ratio",
            Self::Acknowledgements => "acknowledgements",
            Self::CostToPlain => "cost / cost of a plain one",
            Self::Events => "events",
            Self::Echoes => "echoes",
            Self::FailedEvents => "events that failed",
            Self::Memory => "RSS bytes, end of phase",
            Self::MemoryToFirst => "RSS / RSS of first phase",
        }
    }

    const fn decimals(self) -> usize {
        match self {
            Self::DeliveryRatio => 6,
            Self::MemoryKept
            | Self::IdleCoresPer100k
            | Self::ServerCores
            | Self::HandlerCores
            | Self::GeneratorCores
            | Self::RedisCores
            | Self::OtherP99ToOwn
            | Self::LatencyP99ToFirst
            | Self::LatencyP50ToFirst
            | Self::CostToPlain
            | Self::MemoryToFirst => 3,
            Self::LatencyP50
            | Self::LatencyP90
            | Self::LatencyP99
            | Self::LatencyMax
            | Self::OtherLatencyP50
            | Self::OtherLatencyP99
            | Self::OtherLatencyMax
            | Self::LatestSend
            | Self::ServerCpuSeconds => 2,
            Self::MicrosPerConnect => 1,
            _ => 0,
        }
    }

    /// A value as the table shows it.
    fn text(self, value: f64) -> String {
        match self {
            Self::OtherWithinGoal => if value < 1.0 { "no" } else { "yes" }.to_owned(),
            _ => number(value, self.decimals()),
        }
    }

    /// Whether the server's figure says something in relation to a limit's.
    const fn is_compared(self) -> bool {
        matches!(
            self,
            Self::MicrosPerConnect
                | Self::DeliveriesPerCpuSecond
                | Self::EchoesPerCpuSecond
                | Self::EchoesPerSecond
                | Self::LatencyP50
                | Self::LatencyP90
                | Self::LatencyP99
        )
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let (cores, kernel) = (self.machine.cores, &self.machine.kernel);
        writeln!(f, "medians of {} run(s); {cores} cores, Linux {kernel}", self.runs.len())?;
        let subjects = self.subjects();
        for phase in &self.medians {
            writeln!(f)?;
            phase.write(&subjects, f)?;
        }
        for fault in self.faults() {
            writeln!(f, "\nWRONG: {fault}")?;
        }
        Ok(())
    }
}

impl PhaseMedians {
    /// A column for each subject, then one of ratios for each limit.
    fn write(&self, subjects: &[Subject], f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28}", self.phase)?;
        for subject in subjects {
            write!(f, " {:>16}", subject.name())?;
        }
        for limit in limits(subjects) {
            let heading = format!("of {}", limit.name());
            write!(f, " {heading:>RATIO_WIDTH$}")?;
        }
        writeln!(f)?;
        self.figures.iter().try_for_each(|figure| figure.write(subjects, f))
    }
}

impl FigureMedians {
    fn write(&self, subjects: &[Subject], f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28}", self.figure.label())?;
        for subject in subjects {
            let value = self.by_subject.get(subject.name());
            let text = value.map_or_else(|| "-".to_owned(), |value| self.figure.text(*value));
            write!(f, " {text:>16}")?;
        }
        for limit in limits(subjects) {
            let ratio = self.ratio_to.get(limit.name()).filter(|_| self.figure.is_compared());
            let text = ratio.map_or_else(String::new, |ratio| format!("{:.1} %", ratio * 100.0));
            write!(f, " {text:>RATIO_WIDTH$}")?;
        }
        writeln!(f)
    }
}

/// Those that the server is compared with, if it took part.
fn limits(subjects: &[Subject]) -> impl Iterator<Item = &Subject> {
    let has_server = subjects.contains(&Subject::Server);
    subjects.iter().filter(move |subject| has_server && **subject != Subject::Server)
}

/// With commas between thousands.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_is_met_or_not() {
        let texts = [0.0, 0.5, 1.0].map(|value| Figure::OtherWithinGoal.text(value));
        assert_eq!(texts, ["no", "no", "yes"]);
        assert_eq!(Figure::OtherP99ToOwn.text(1.5), "1.500");
    }

    #[test]
    fn thousands_are_set_apart() {
        let check = |value, decimals, expected: &str| assert_eq!(number(value, decimals), expected);
        check(0.0, 0, "0");
        check(999.0, 0, "999");
        check(1_000.4, 0, "1,000");
        check(-1_234_567.0, 1, "-1,234,567.0");
        check(0.999_999_5, 6, "1.000000");
    }
}
