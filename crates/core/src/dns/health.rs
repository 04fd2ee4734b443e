//! Health: whether an upstream is expected to answer.

use std::time::{Duration, Instant};

/// One silence is bad luck; after this many in a row the upstream is suspect.
const MISSES: u8 = 2;
/// How often a suspect is asked, to see whether it is back.
const PROBE: Duration = Duration::from_secs(5);

/// What is known of an upstream. Any answer of its, however late, makes it well again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    misses: u8,
    probed: Option<Instant>,
}

impl Health {
    /// It answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Another server was quicker by so much that it counts as silence.
    pub fn was_silent(&mut self, now: Instant) {
        self.misses = self.misses.saturating_add(1);
        self.probed.get_or_insert(now);
    }

    /// It cannot be reached: no socket listens there, or there is no route to it.
    pub fn was_unreachable(&mut self, now: Instant) {
        self.misses = MISSES;
        self.probed.get_or_insert(now);
    }

    /// Whether others should be asked before it.
    pub fn is_suspect(&self) -> bool {
        self.misses >= MISSES
    }

    /// Whether it is a suspect that should be asked now, beside the others. Says so once per
    /// period.
    pub fn is_probe_due(&mut self, now: Instant) -> bool {
        let due = self.is_suspect() && self.probed.is_none_or(|probed| now >= probed + PROBE);
        if due {
            self.probed = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::some_instant;

    #[test]
    fn a_suspect_is_probed_now_and_then_until_it_answers() {
        let start = some_instant();
        let mut health = Health::default();
        health.was_silent(start);
        assert!(!health.is_suspect());
        health.was_silent(start);
        assert!(health.is_suspect());
        assert!(!health.is_probe_due(start + PROBE / 2));
        assert!(health.is_probe_due(start + PROBE));
        assert!(!health.is_probe_due(start + PROBE + PROBE / 2));
        assert!(health.is_probe_due(start + 2 * PROBE));
        health.answered();
        assert!(!health.is_suspect() && !health.is_probe_due(start + 9 * PROBE));
    }

    #[test]
    fn an_unreachable_upstream_is_suspect_at_once() {
        let mut health = Health::default();
        health.was_unreachable(some_instant());
        assert!(health.is_suspect());
    }
}
