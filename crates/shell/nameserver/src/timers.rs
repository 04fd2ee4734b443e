//! Timers: what must be looked at again, and when.

use crate::poller::Serial;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a timer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A race may have to ask another upstream, or to end.
    Race(Serial),
    /// A client may have been idle for too long.
    Client(Serial),
    /// A socket to an upstream may have waited in vain, or been put by for long.
    Asker(Serial),
    /// A listener that could not accept tries again.
    Listener(Serial),
}

/// Timers by time. One that is no longer wanted may fire all the same: it finds nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn unset(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Takes a timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.remove(&(at, timer));
        Some(timer)
    }

    /// How long until the next one; `None` if there is none.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.0
            .first()
            .map(|(at, _)| at.saturating_duration_since(now))
    }
}
