//! The table: what was measured, against what, and whether that is good enough.

use crate::paired::Ratios;
use crate::samples::Samples;
use std::fmt;
use std::time::Duration;

/// Something measured.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// Many durations. Judged by the median.
    Times(Samples),
    /// One duration.
    Time(Duration),
    /// So many of something in a second.
    Rate(f64),
    /// So many bits in a second.
    Throughput(f64),
    /// Memory.
    Bytes(u64),
    /// A number of things.
    Count(u64),
}

/// What a reading has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most so many times the other.
    AtMostTimes(f64),
    /// At least so many times the other.
    AtLeastTimes(f64),
    /// At most so much more than the other.
    AtMostMore(f64),
    /// Less than this, whatever the other is.
    Under(f64),
    /// Nothing: it is only told.
    Told,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// A line that another run of this program wrote.
    copied: Option<String>,
    figure: String,
    ours: Option<Reading>,
    against: Option<(String, Reading)>,
    target: Target,
    /// The ratio of each turn, where both were measured in turn; it is judged by their median.
    turns: Option<Ratios>,
    missing: Option<String>,
}

impl Row {
    /// A reading against another one of the same run.
    pub(crate) fn against(
        figure: impl Into<String>,
        ours: Reading,
        name: impl Into<String>,
        theirs: Reading,
        target: Target,
    ) -> Self {
        let against = Some((name.into(), theirs));
        Self {
            copied: None,
            figure: figure.into(),
            ours: Some(ours),
            against,
            target,
            turns: None,
            missing: None,
        }
    }

    /// A reading against another one, both taken in turn.
    pub(crate) fn paired(
        figure: impl Into<String>,
        ours: Reading,
        (name, theirs): (&str, Reading),
        turns: Ratios,
        target: Target,
    ) -> Self {
        Self {
            turns: Some(turns),
            ..Self::against(figure, ours, name, theirs, target)
        }
    }

    /// A reading by itself.
    pub(crate) fn alone(figure: impl Into<String>, ours: Reading, target: Target) -> Self {
        Self {
            copied: None,
            figure: figure.into(),
            ours: Some(ours),
            against: None,
            target,
            turns: None,
            missing: None,
        }
    }

    /// A line of the table of another run.
    pub(crate) fn copied(line: impl Into<String>) -> Self {
        Self {
            copied: Some(line.into()),
            ..Self::missing("", "")
        }
    }

    /// A figure that could not be taken, and why.
    pub(crate) fn missing(figure: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            copied: None,
            figure: figure.into(),
            ours: None,
            against: None,
            target: Target::Told,
            turns: None,
            missing: Some(why.into()),
        }
    }

    /// What was measured.
    pub(crate) fn figure(&self) -> &str {
        &self.figure
    }

    fn verdict(&self) -> &'static str {
        let Some(ours) = self.ours.as_ref().map(Reading::value) else {
            return "not taken";
        };
        let theirs = self
            .against
            .as_ref()
            .map_or(f64::NAN, |(_, reading)| reading.value());
        let ratio = self.ratio(ours, theirs);
        let met = match self.target {
            Target::AtMostTimes(factor) => ratio <= factor,
            Target::AtLeastTimes(factor) => ratio >= factor,
            Target::AtMostMore(more) => ours - theirs <= more,
            Target::Under(limit) => ours < limit,
            Target::Told => return "–",
        };
        match (met, self.is_settled()) {
            (true, true) => "met",
            (false, true) => "**not met**",
            (true, false) => "met, too close to be sure",
            (false, false) => "**not met**, too close to be sure",
        }
    }

    fn ratio(&self, ours: f64, theirs: f64) -> f64 {
        self.turns.as_ref().map_or(ours / theirs, Ratios::median)
    }

    /// Whether another run would come to the same verdict, as far as this one can know.
    fn is_settled(&self) -> bool {
        match (&self.turns, self.target) {
            (Some(turns), Target::AtMostTimes(limit) | Target::AtLeastTimes(limit)) => {
                turns.settled(limit)
            }
            (_, _) => true,
        }
    }

    fn comparison(&self) -> String {
        let (Some(ours), Some((_, theirs))) = (&self.ours, &self.against) else {
            return "–".into();
        };
        let more = ours.value() - theirs.value();
        match self.target {
            Target::AtMostMore(_) => {
                let sign = if more < 0.0 { "-" } else { "+" };
                format!("{sign}{}", ours.format(more.abs()))
            }
            Target::AtMostTimes(_) | Target::AtLeastTimes(_) | Target::Under(_) | Target::Told => {
                let ratio = self.ratio(ours.value(), theirs.value());
                let spread = self.turns.as_ref().map_or_else(String::new, |turns| {
                    let (low, high) = turns.quartiles();
                    format!(" ({low:.2}–{high:.2}, {} turns)", turns.turns())
                });
                format!("{ratio:.2} ×{spread}")
            }
        }
    }

    fn wanted(&self) -> String {
        let format = |value| {
            let ours = self.ours.as_ref();
            ours.map_or_else(String::new, |ours| ours.format(value))
        };
        match self.target {
            Target::AtMostTimes(factor) => format!("≤ {factor:.1} ×"),
            Target::AtLeastTimes(factor) => format!("≥ {factor:.1} ×"),
            Target::AtMostMore(more) => format!("≤ +{}", format(more)),
            Target::Under(limit) => format!("< {}", format(limit)),
            Target::Told => "–".into(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.copied {
            return f.write_str(line);
        }
        if let Some(why) = &self.missing {
            return write!(f, "| {} | not taken: {why} | | | | |", self.figure);
        }
        let ours = self
            .ours
            .as_ref()
            .map_or_else(String::new, Reading::to_string);
        let against = self.against.as_ref().map_or_else(
            || "–".into(),
            |(name, reading)| format!("{name}: {reading}"),
        );
        write!(
            f,
            "| {} | {ours} | {against} | {} | {} | {} |",
            self.figure,
            self.comparison(),
            self.wanted(),
            self.verdict()
        )
    }
}

impl Reading {
    /// What it is judged by: seconds, bytes or a number.
    fn value(&self) -> f64 {
        match self {
            Self::Times(samples) => samples.quantile(0.5).as_secs_f64(),
            Self::Time(duration) => duration.as_secs_f64(),
            Self::Rate(rate) | Self::Throughput(rate) => *rate,
            Self::Bytes(bytes) => *bytes as f64,
            Self::Count(count) => *count as f64,
        }
    }

    /// A value of this kind, for people.
    fn format(&self, value: f64) -> String {
        match self {
            Self::Times(_) | Self::Time(_) => format_seconds(value),
            Self::Rate(_) => format!("{value:.0}/s"),
            Self::Throughput(_) if value < 1e9 => format!("{:.0} Mbit/s", value / 1e6),
            Self::Throughput(_) => format!("{:.1} Gbit/s", value / 1e9),
            Self::Bytes(_) => format!("{:.1} MiB", value / f64::from(1 << 20)),
            Self::Count(_) => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(samples) => {
                let [p50, p90, p99] = [0.5, 0.9, 0.99]
                    .map(|part| format_seconds(samples.quantile(part).as_secs_f64()));
                write!(f, "{p50} / {p90} / {p99}")
            }
            Self::Time(_)
            | Self::Rate(_)
            | Self::Throughput(_)
            | Self::Bytes(_)
            | Self::Count(_) => f.write_str(&self.format(self.value())),
        }
    }
}

/// The whole table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| figure | ours (p50 / p90 / p99) | against | ratio | target | verdict |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        text.push_str(&row.to_string());
        text.push('\n');
    }
    text
}

fn format_seconds(seconds: f64) -> String {
    let microseconds = seconds * 1e6;
    match microseconds {
        m if m < 1_000.0 => format!("{m:.0} µs"),
        m if m < 10_000.0 => format!("{:.2} ms", m / 1e3),
        m if m < 1_000_000.0 => format!("{:.1} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_ratio_target_and_verdict() {
        let time = |milliseconds| Reading::Time(Duration::from_millis(milliseconds));
        let row = |target| Row::against("x", time(6), "floor", time(2), target).to_string();
        assert_eq!(
            row(Target::AtMostTimes(2.5)),
            "| x | 6.00 ms | floor: 2.00 ms | 3.00 × | ≤ 2.5 × | **not met** |"
        );
        assert_eq!(
            row(Target::AtMostMore(0.005)),
            "| x | 6.00 ms | floor: 2.00 ms | +4.00 ms | ≤ +5.00 ms | met |"
        );
    }

    #[test]
    fn what_was_measured_in_turn_tells_its_spread() {
        let ours = [vec![1.0; 20], vec![1.04; 20]].concat();
        let turns = Ratios::of(&ours, &[1.0; 40]);
        let reading = || Reading::Throughput(1e9);
        let row = |limit| {
            let target = Target::AtMostTimes(limit);
            Row::paired("x", reading(), ("bare", reading()), turns.clone(), target).to_string()
        };
        let told =
            "| x | 1.0 Gbit/s | bare: 1.0 Gbit/s | 1.04 × (1.00–1.04, 40 turns) | ≤ 1.1 × | met |";
        assert_eq!(row(1.1), told);
        assert!(
            row(1.02).ends_with("| **not met**, too close to be sure |"),
            "{}",
            row(1.02)
        );
    }

    #[test]
    fn a_limit_needs_nothing_to_compare_with() {
        let row = Row::alone("memory", Reading::Bytes(20 << 20), Target::Under(30e6));
        assert_eq!(
            row.to_string(),
            "| memory | 20.0 MiB | – | – | < 28.6 MiB | met |"
        );
    }

    #[test]
    fn what_could_not_be_taken_says_why() {
        let row = Row::missing("peer", "it did not start");
        assert!(row.to_string().contains("not taken: it did not start"));
    }
}
