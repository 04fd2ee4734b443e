//! A lock for each thing of a kind, so that its operations follow one another and no other's wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A mutex whose holder may have panicked: what it guards is only ever replaced whole, so it is
/// still good.
pub(crate) trait LockIgnoringPoison<T> {
    /// Takes the lock.
    fn lock_ignoring_poison(&self) -> MutexGuard<'_, T>;
}

impl<T> LockIgnoringPoison<T> for Mutex<T> {
    fn lock_ignoring_poison(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The locks of all things of a kind. One exists as long as a thread holds it or waits for it, and
/// there is never a second for the same thing.
#[derive(Debug)]
pub(crate) struct Locks<T: Ord>(Mutex<BTreeMap<T, Arc<Mutex<()>>>>);

/// The lock of one thing, which goes when the last of those who asked for it has dropped it.
#[derive(Debug)]
pub(crate) struct Own<'a, T: Ord + Copy> {
    locks: &'a Locks<T>,
    of: T,
    lock: Arc<Mutex<()>>,
}

impl<T: Ord> Default for Locks<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Ord + Copy> Locks<T> {
    /// The lock of one thing, to be taken with [`Own::hold`].
    pub(crate) fn of(&self, of: T) -> Own<'_, T> {
        let lock = self.0.lock_ignoring_poison().entry(of).or_default().clone();
        Own {
            locks: self,
            of,
            lock,
        }
    }
}

impl<T: Ord + Copy> Own<'_, T> {
    /// Takes it.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.lock.lock_ignoring_poison()
    }
}

impl<T: Ord + Copy> Drop for Own<'_, T> {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock_ignoring_poison();
        // The map's and ours: those who want it would come by the map, which is locked.
        if Arc::strong_count(&self.lock) == 2 {
            locks.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn there_is_one_lock_while_someone_holds_it_or_waits_for_it() {
        let locks = Locks::default();
        let first = locks.of(1);
        let held = first.hold();
        let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let own = locks.of(1);
                        let _held = own.hold();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        entered.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            assert_eq!(entered.load(Ordering::SeqCst), 0, "it is held here");
            drop(held);
        });
        drop(first);
        assert_eq!(entered.load(Ordering::SeqCst), 4_000);
        assert!(locks.0.lock_ignoring_poison().is_empty(), "it is gone");
    }
}
