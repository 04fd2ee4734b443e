//! A lock for each sandbox, so that its operations follow one another and nobody else's wait.

use sealane_core::model::SandboxId;
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

/// The locks of all sandboxes.
#[derive(Default)]
pub(crate) struct Locks(Mutex<BTreeMap<SandboxId, Arc<Mutex<()>>>>);

impl Locks {
    /// The lock of one sandbox.
    pub(crate) fn of(&self, id: SandboxId) -> Arc<Mutex<()>> {
        self.0.lock_ignoring_poison().entry(id).or_default().clone()
    }

    /// Drops the lock of a sandbox that is gone. Whoever still waits for it finds nothing.
    pub(crate) fn forget(&self, id: &SandboxId) {
        self.0.lock_ignoring_poison().remove(id);
    }
}
