//! What the engine knows: one snapshot at a time, swapped as a whole.
//!
//! Readers take the snapshot of the moment and wait for none. Those who decide do so on a clone, one
//! after the other, and put it in the place of the old one; a refusal leaves everything as it was.
//! Nothing here waits for a kernel, a disk or a socket. A network whose phase says that an operation
//! is under way is waited for by [`Known::when_settled`], outside of all locks and with a deadline.

use crate::EngineError;
use crate::locks::LockIgnoringPoison;
use arc_swap::ArcSwap;
use sealane_core::reserve::{Refusal, Snapshot};
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a network that is being made, changed or removed is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The snapshot of the moment.
#[derive(Debug, Default)]
pub(crate) struct Known {
    current: ArcSwap<Snapshot>,
    /// Held by the one who decides; counts how often a network was settled.
    deciding: Mutex<u64>,
    /// Rung when a network has been made, changed or removed, or could not be.
    settled: Condvar,
}

impl Known {
    /// What is known now.
    pub(crate) fn now(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Decides; what `decide` made of its clone is known from now on, unless it refuses.
    pub(crate) fn decide<T, E>(
        &self,
        decide: impl FnOnce(&mut Snapshot) -> Result<T, E>,
    ) -> Result<T, E> {
        let _deciding = self.deciding.lock_ignoring_poison();
        let (decided, decision) = self.current.load().decided(decide)?;
        self.current.store(Arc::new(decided));
        Ok(decision)
    }

    /// Changes what cannot be refused.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let decide = |draft: &mut Snapshot| Ok::<T, Infallible>(change(draft));
        match self.decide(decide) {
            Ok(changed) => changed,
            Err(never) => match never {},
        }
    }

    /// As [`Known::change`], for what others wait for.
    pub(crate) fn settle<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let changed = self.change(change);
        *self.deciding.lock_ignoring_poison() += 1;
        self.settled.notify_all();
        changed
    }

    /// Tries something until no network that it needs is on its way, or patience ends. What is tried
    /// has no effect where it finds such a network, and holds no lock when it returns.
    pub(crate) fn when_settled<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = *self.deciding.lock_ignoring_poison();
            let done = attempt();
            let unsettled = matches!(done, Err(EngineError::Refused(Refusal::Unsettled(_))));
            if !unsettled || Instant::now() >= end {
                return done;
            }
            self.wait(seen, end);
        }
    }

    /// Waits until a network has been settled since `seen`.
    fn wait(&self, seen: u64, end: Instant) {
        let mut count = self.deciding.lock_ignoring_poison();
        while *count == seen {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.settled.wait_timeout(count, left);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn a_reader_keeps_what_it_took_and_a_refusal_changes_nothing() {
        let known = Known::default();
        let before = known.now();
        let refused = known.decide(|draft| {
            *draft = Snapshot::default();
            Err::<(), _>("no")
        });
        assert_eq!(refused, Err("no"));
        assert!(Arc::ptr_eq(&before, &known.now()), "it is the same one");
        known.change(|_| ());
        assert!(!Arc::ptr_eq(&before, &known.now()), "it is another one");
    }

    #[test]
    fn what_is_unsettled_is_tried_again_when_something_was_settled() {
        let known = Known::default();
        let (tried, settled) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let attempt = || {
            tried.fetch_add(1, Ordering::SeqCst);
            match settled.load(Ordering::SeqCst) {
                0 => Err(EngineError::Refused(Refusal::Unsettled("blue".into()))),
                _ => Ok(()),
            }
        };
        thread::scope(|scope| {
            let waiting = scope.spawn(|| known.when_settled(attempt));
            while tried.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            known.change(|_| settled.store(1, Ordering::SeqCst));
            known.settle(|_| ());
            waiting.join().unwrap().unwrap();
        });
        assert!(tried.load(Ordering::SeqCst) > 1);
    }
}
