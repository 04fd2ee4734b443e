//! Durations that were measured, and what is said of them.

use crate::error::Result;
use std::time::{Duration, Instant};

/// Measured durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Adds others.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The duration below which this part of them is, from 0 to 1; zero if there are none.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (part * sorted.len() as f64).ceil() as usize;
        sorted
            .get(place.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// All of them together.
    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }
}

/// The middle one of some readings; zero if there are none.
pub(crate) fn median(mut readings: Vec<f64>) -> f64 {
    readings.sort_unstable_by(f64::total_cmp);
    let middle = readings.get(readings.len() / 2);
    middle.copied().unwrap_or_default()
}

/// Does something and measures how long it takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let mut samples = Samples::default();
        for milliseconds in [5, 1, 4, 2, 3] {
            samples.push(Duration::from_millis(milliseconds));
        }
        let quantile = |part| samples.quantile(part).as_millis();
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(quantile), [1, 3, 5, 5]);
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Samples::default().quantile(0.5), Duration::ZERO);
    }
}
