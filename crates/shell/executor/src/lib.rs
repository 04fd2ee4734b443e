//! The one writer: takes the kernel from one plan to another.
//!
//! Only this crate names the writing half of the kernel crate. Every object is claimed in the
//! journal before it is made, so that after a crash the journal may name too much, never too
//! little; a refused change is answered by going back to the old plan. Start at
//! [`Executor::apply`]; [`Executor::sweep`] compares everything and repairs it.

mod announce;
mod schedule;
mod sweep;

pub use sweep::{Admit, Swept, WithoutParent};

use announce::Announcer;
use schedule::Schedule;
use sealane_core::plan::{Change, Effect, Key, Netns, Plan};
use sealane_kernel::read::Observe;
use sealane_kernel::write::{Refused, Write};
use sealane_kernel::{AnyKernel, Ask};
use sealane_store::{Journal, JournalError};
use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tracing::info_span;

/// The target of spans, which are for collectors of traces and not for the log.
pub const SPANS: &str = "sealane::span";

/// Why a plan was not applied. The kernel is as the old plan says, or the text says what is not.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The claims could not be written down, so nothing was changed.
    #[error("cannot write down what is about to be made, so nothing was changed")]
    Journal(#[source] JournalError),
    /// The kernel refused a change; what had been done was taken back.
    #[error("the kernel refused {key}; {untried} later changes were not tried")]
    Refused {
        /// The object.
        key: Key,
        /// How many changes were left.
        untried: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Objects could not be removed; all the others were.
    #[error("{}", Lines(.0))]
    Remaining(Vec<(Key, io::Error)>),
    /// The kernel could not be read.
    #[error("cannot read what the kernel has")]
    Observe(#[source] io::Error),
}

/// Several objects and why each is still there.
struct Lines<'a>(&'a [(Key, io::Error)]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not remove")?;
        self.0
            .iter()
            .try_for_each(|(key, error)| write!(f, " {key} ({error});"))
    }
}

/// Applies plans to a kernel, real or fake.
pub struct Executor<K: ?Sized> {
    kernel: Arc<K>,
    journal: Journal<Key>,
    announcer: Announcer,
}

impl Executor<dyn AnyKernel> {
    /// The kernel, for reading.
    pub fn kernel(&self) -> &(dyn Ask + 'static) {
        &*self.kernel
    }
}

impl<K: Write + Observe + Send + Sync + ?Sized + 'static> Executor<K> {
    /// An executor that claims in `journal` and writes to `kernel`.
    pub fn new(kernel: Arc<K>, journal: Journal<Key>) -> Self {
        Self {
            announcer: Announcer::new(kernel.clone()),
            kernel,
            journal,
        }
    }

    /// Takes the kernel from `old` to `new` and returns what had to change.
    ///
    /// What is made stops at the first refusal, and the kernel is taken back to `old`. What is
    /// removed carries on past errors, which are all returned.
    pub fn apply(&self, old: &Plan, new: &Plan) -> Result<Vec<Change>, ApplyError> {
        let schedule = Schedule::between(old, new);
        let (made, removed) = (schedule.made.len(), schedule.removed.len());
        let _apply = info_span!(target: SPANS, "apply", made, removed).entered();
        info_span!(target: SPANS, "claim")
            .in_scope(|| self.journal.claim(schedule.claims()))
            .map_err(ApplyError::Journal)?;
        let write = || self.kernel.write(&schedule.made);
        if let Err(refused) = info_span!(target: SPANS, "write").in_scope(write) {
            let untried = schedule.made.len() - refused.index - 1;
            self.take_back(old, new);
            return Err(ApplyError::Refused {
                key: refused.key,
                untried,
                source: refused.source,
            });
        }
        let remove = || self.kernel.write_all(&schedule.removed);
        let remaining = info_span!(target: SPANS, "remove").in_scope(remove);
        // What is gone is gone, also where a full disk does not take the record: the next sweep finds out.
        if let Err(error) = self.journal.release(schedule.released(&remaining)) {
            tracing::warn!(%error, "cannot release claims of what is gone; the next sweep will");
        }
        info_span!(target: SPANS, "effects").in_scope(|| self.run_effects(old, new));
        if remaining.is_empty() {
            Ok(schedule.into_changes())
        } else {
            Err(still_there(remaining))
        }
    }

    /// Removes everything in `old`, past errors.
    pub fn remove(&self, old: &Plan) -> Result<Vec<Change>, ApplyError> {
        self.apply(old, &Plan::default())
    }

    /// What [`Executor::apply`] would change, in its order, with the links that the kernel removes
    /// along with a namespace. Pure: the kernel is not asked.
    pub fn preview(old: &Plan, new: &Plan) -> Vec<Change> {
        Schedule::seen(old, new).into_changes()
    }

    /// Announces what a plan announces, although it is carried out already.
    pub fn announce(&self, plan: &Plan) {
        for effect in plan.effects() {
            if let Effect::Announce(.., repeat) = effect {
                self.announcer.announce(effect.clone(), *repeat);
            }
        }
    }

    /// Ends in order: what is still to be announced is, once, and the journal is soon read.
    pub fn finish(&self) -> Result<(), JournalError> {
        self.announcer.finish();
        self.journal.tidy()
    }

    /// Reconciles to the old plan after a refusal. Its own failures are only logged: the next
    /// sweep tries again, because what was claimed stays claimed.
    fn take_back(&self, old: &Plan, new: &Plan) {
        let back = Schedule::between(new, old);
        let mut failures = self.kernel.write_all(&back.removed);
        failures.extend(self.kernel.write_all(&back.made));
        if let Err(error) = self.journal.release(back.released(&failures)) {
            tracing::warn!(%error, "cannot release claims after a refusal; the next sweep will");
        }
        for Refused { key, source, .. } in failures {
            tracing::warn!(%key, error = %source, "cannot take back after a refusal; the next sweep will");
        }
    }

    /// Does once what the new plan asks for and the old did not.
    fn run_effects(&self, old: &Plan, new: &Plan) {
        for effect in new
            .effects()
            .iter()
            .filter(|effect| !old.effects().contains(effect))
        {
            if let Effect::Announce(.., repeat) = effect {
                self.announcer.announce(effect.clone(), *repeat);
            } else if let Err(error) = self.kernel.run(effect) {
                tracing::warn!(%effect, %error, "the effect of a change failed");
            }
        }
    }
}

fn still_there(remaining: Vec<Refused>) -> ApplyError {
    ApplyError::Remaining(
        remaining
            .into_iter()
            .map(|refused| (refused.key, refused.source))
            .collect(),
    )
}

/// Whether an object has to be claimed: it is on the host or in another namespace that we look after
/// or do not own, where elements stand in a table that is
/// ours as a whole and settings are never taken back; or it is a link of its own in a sandbox that
/// lives on, where nothing on the host would tell of it.
fn is_claimed(key: &Key) -> bool {
    match key {
        Key::Element(..) | Key::Setting(..) => false,
        Key::Link(..) => true,
        Key::Namespace(_)
        | Key::NetworkNamespace(_)
        | Key::Table(..)
        | Key::Passage(..)
        | Key::Address(..)
        | Key::Up(..)
        | Key::Neighbor(..)
        | Key::Route(..)
        | Key::Forwarding(..)
        | Key::Flooding(..) => !matches!(key.netns(), Netns::Sandbox(_)),
    }
}
