//! Which kernel objects operations are about to change, so that a sweep, which compares everything,
//! leaves them alone.
//!
//! A sweep never waits for an operation, whatever that waits for. What was under way at any moment
//! of the sweep is spared, since what the sweep wants and what it finds may be of different moments.
//! An operation waits for a sweep only while that is mending one of the operation's own objects.

use crate::locks::LockIgnoringPoison;
use sealane_core::plan::{Key, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    state: Mutex<State>,
    /// Rung when a sweep ends.
    mended: Condvar,
    /// Held by the one sweep.
    sweeping: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    flying: BTreeMap<u64, Arc<BTreeSet<Key>>>,
    sweep: Option<Sweep>,
}

#[derive(Debug, Default)]
struct Sweep {
    /// What was under way at any moment since it began.
    spared: BTreeSet<Key>,
    /// What it is about to change.
    mending: BTreeSet<Key>,
}

/// An operation under way; dropped when what is known says what the kernel has.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    number: u64,
}

/// A sweep under way.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    flights: &'a Flights,
    _alone: MutexGuard<'a, ()>,
}

impl Flights {
    /// Begins an operation that takes the kernel between these plans.
    pub(crate) fn begin(&self, old: &Plan, new: &Plan) -> Flight<'_> {
        let keys = old.objects().keys().chain(new.objects().keys());
        let keys: Arc<BTreeSet<Key>> = Arc::new(keys.cloned().collect());
        let mut state = self.state.lock_ignoring_poison();
        while state.mends_any(&keys) {
            let waited = self.mended.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(sweep) = &mut state.sweep {
            sweep.spared.extend(keys.iter().cloned());
        }
        let number = state.next;
        state.next += 1;
        state.flying.insert(number, keys);
        Flight {
            flights: self,
            number,
        }
    }

    /// Begins a sweep, after the one before. To be called before it is decided what is wanted.
    pub(crate) fn open(&self) -> Window<'_> {
        let alone = self.sweeping.lock_ignoring_poison();
        let mut state = self.state.lock_ignoring_poison();
        let flying = state.flying.values().flat_map(|keys| keys.iter().cloned());
        let spared = flying.collect();
        state.sweep = Some(Sweep {
            spared,
            mending: BTreeSet::new(),
        });
        Window {
            flights: self,
            _alone: alone,
        }
    }
}

impl State {
    fn mends_any(&self, keys: &BTreeSet<Key>) -> bool {
        let sweep = self.sweep.as_ref();
        sweep.is_some_and(|sweep| !sweep.mending.is_disjoint(keys))
    }
}

impl Window<'_> {
    /// Of these objects those that no operation is about to change. They are the sweep's until it
    /// ends.
    pub(crate) fn admit(&self, keys: BTreeSet<Key>) -> BTreeSet<Key> {
        let mut state = self.flights.state.lock_ignoring_poison();
        let Some(sweep) = &mut state.sweep else {
            return BTreeSet::new();
        };
        let admitted: BTreeSet<Key> = keys.difference(&sweep.spared).cloned().collect();
        sweep.mending.extend(admitted.iter().cloned());
        admitted
    }

    /// What was under way at any moment since the sweep began.
    pub(crate) fn spared(&self) -> BTreeSet<Key> {
        let state = self.flights.state.lock_ignoring_poison();
        let sweep = state.sweep.as_ref();
        sweep.map_or_else(BTreeSet::new, |sweep| sweep.spared.clone())
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.flights.state.lock_ignoring_poison();
        state.flying.remove(&self.number);
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.flights.state.lock_ignoring_poison().sweep = None;
        self.flights.mended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::{SandboxId, derive_id};
    use sealane_core::plan::Object;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn key(name: &str) -> Key {
        let id: SandboxId = derive_id(&[name.as_bytes()]);
        Key::Namespace(id)
    }

    fn plan(name: &str) -> Plan {
        let mut plan = Plan::default();
        plan.add(key(name), Object::Present);
        plan
    }

    #[test]
    fn what_is_under_way_at_any_moment_of_a_sweep_is_spared() {
        let (flights, nothing) = (Flights::default(), Plan::default());
        let before = flights.begin(&nothing, &plan("before"));
        let window = flights.open();
        drop(before);
        drop(flights.begin(&plan("meanwhile"), &nothing));
        let all = ["before", "meanwhile", "lost"].map(key).into();
        assert_eq!(window.admit(all), [key("lost")].into());
        drop(window);
        let window = flights.open();
        assert_eq!(window.admit([key("before")].into()), [key("before")].into());
    }

    #[test]
    fn only_an_operation_on_what_is_mended_waits_for_the_sweep() {
        let (flights, nothing) = (Flights::default(), Plan::default());
        let window = flights.open();
        window.admit([key("lost")].into());
        drop(flights.begin(&nothing, &plan("other")));
        let begun = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _flight = flights.begin(&nothing, &plan("lost"));
                begun.store(true, Ordering::SeqCst);
            });
            for _ in 0..100 {
                thread::yield_now();
                assert!(!begun.load(Ordering::SeqCst), "it is being mended");
            }
            drop(window);
        });
        assert!(begun.load(Ordering::SeqCst));
    }
}
