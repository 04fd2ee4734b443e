//! One thing against another, measured in turn: the ratio of each turn, and how sure its middle is.

use crate::samples::median;

/// How far from the middle the bounds of the median are, in standard deviations of its rank: one run
/// in a thousand errs.
const SURE: f64 = 3.29;
/// Fewer turns say nothing of how sure it is.
const FEW: usize = 8;

/// Ratios of ours to theirs, one for each turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ratios(Vec<f64>);

impl Ratios {
    /// The ratios of readings that were taken in the same turns.
    pub(crate) fn of(ours: &[f64], theirs: &[f64]) -> Self {
        let turns = ours.iter().zip(theirs);
        Self(turns.map(|(ours, theirs)| ours / theirs).collect())
    }

    /// How many turns there were.
    pub(crate) fn turns(&self) -> usize {
        self.0.len()
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Between which two the middle half of them is.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let at = |part: f64| sorted.get((part * self.turns() as f64) as usize);
        (
            at(0.25).copied().unwrap_or_default(),
            at(0.75).copied().unwrap_or_default(),
        )
    }

    /// Whether another run would find the median on the same side of a limit.
    pub(crate) fn settled(&self, limit: f64) -> bool {
        let (count, sorted) = (self.turns() as f64, self.sorted());
        if self.turns() < FEW {
            return false;
        }
        let reach = SURE * count.sqrt() / 2.0;
        let bound = |rank: f64| sorted.get(rank.clamp(0.0, count - 1.0) as usize).copied();
        let lowest = bound((count / 2.0 - reach).floor()).unwrap_or(f64::NAN);
        let highest = bound((count / 2.0 + reach).ceil()).unwrap_or(f64::NAN);
        highest < limit || lowest > limit
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_compared_one_by_one() {
        // The machine was half as fast for a while: that says nothing of the two.
        let ratios = Ratios::of(&[1.0, 2.0, 2.2, 1.1, 1.0], &[1.0, 2.0, 2.0, 1.0, 1.0]);
        assert_eq!(ratios.median(), 1.0);
        let (low, high) = ratios.quartiles();
        assert!(low == 1.0 && (high - 1.1).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn a_verdict_is_settled_when_the_limit_is_far_from_the_middle() {
        let spread = |middle: f64, turns: usize| {
            let ours: Vec<f64> = (0..turns)
                .map(|n| middle + 0.01 * (n % 11) as f64 - 0.05)
                .collect();
            Ratios::of(&ours, &vec![1.0; turns])
        };
        assert!(!spread(1.0, 3).settled(1.1), "three turns settle nothing");
        assert!(spread(1.0, 40).settled(1.1));
        assert!(!spread(1.09, 40).settled(1.1));
        assert!(spread(1.09, 2000).settled(1.1));
        assert!(spread(1.2, 40).settled(1.1));
    }
}
