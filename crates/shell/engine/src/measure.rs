//! How long operations took, and how much there is of everything: what metrics are made of.

use crate::Engine;
use crate::locks::LockIgnoringPoison;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is measured: Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A sandbox is made, with all its endpoints.
    Allocate,
    /// One is attached to a further network.
    Connect,
    /// Its ports or one of its networks are changed.
    Update,
    /// It is removed.
    Release,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allocate, Self::Connect, Self::Update, Self::Release];

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allocate => "allocate",
            Self::Connect => "connect",
            Self::Update => "update",
            Self::Release => "release",
        }
    }
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// How often it took no longer than each of [`Durations::BOUNDS`].
    pub within: [u64; Durations::BOUNDS.len()],
    /// How often it was done.
    pub count: u64,
    /// How long all of it took.
    pub sum: Duration,
}

impl Durations {
    /// The limits, in seconds, that clients of Prometheus use unless told otherwise.
    pub const BOUNDS: [f64; 11] = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ];

    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (within, bound) in self.within.iter_mut().zip(Self::BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += took;
    }
}

/// How much there is of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How long operations took.
    pub actions: Vec<(Action, Durations)>,
    /// Networks.
    pub networks: usize,
    /// Network stacks.
    pub sandboxes: usize,
    /// Endpoints of them.
    pub endpoints: usize,
    /// Published ports.
    pub published_ports: usize,
    /// Objects put back after something else had changed them.
    pub repairs: u64,
    /// Queries that containers asked the resolver.
    pub dns_queries: u64,
}

/// Counters.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    actions: Mutex<[Durations; Action::ALL.len()]>,
    pub(crate) repairs: AtomicU64,
}

impl Measures {
    /// Does something, and notes how long that took.
    pub(crate) fn time<T>(&self, action: Action, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.actions.lock_ignoring_poison()[action as usize].add(begun.elapsed());
        done
    }
}

impl Engine {
    /// How long operations took, and how much there is of everything.
    pub fn measured(&self) -> Measured {
        let durations = self.measures.actions.lock_ignoring_poison().clone();
        let state = self.state();
        let sandboxes = || state.sandboxes();
        Measured {
            actions: Action::ALL.into_iter().zip(durations).collect(),
            networks: state.network_count(),
            sandboxes: sandboxes().count(),
            endpoints: sandboxes().map(|sandbox| sandbox.endpoints.len()).sum(),
            published_ports: sandboxes().map(|sandbox| sandbox.ports.len()).sum(),
            repairs: self.measures.repairs.load(Ordering::Relaxed),
            dns_queries: self.resolver.queries(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_within_every_larger_limit() {
        let measures = Measures::default();
        assert_eq!(measures.time(Action::Connect, || 7), 7);
        let mut durations = Durations::default();
        durations.add(Duration::from_millis(30));
        assert_eq!(durations.within, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(
            (durations.count, durations.sum),
            (1, Duration::from_millis(30))
        );
        let noted = measures.actions.lock().unwrap();
        let counts: Vec<u64> = noted.iter().map(|durations| durations.count).collect();
        assert_eq!(counts, [0, 1, 0, 0]);
    }
}
