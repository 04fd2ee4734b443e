//! Sessions: that of a daemon, which lasts its life, and those of one call.
//!
//! Both hold the same roots, one after the other, and know all there is of what is under them. A
//! session that ends in order says so; then the next one takes what was saved for what the kernel
//! has. After any other end it compares everything.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::model::{Facts, SandboxId};
use sealane_core::plan::{Key, Netns, Object, Plan};
use sealane_core::scopes::TABLE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

/// The name under which it is written down that a session ended in order.
pub(crate) const ENDED: &str = "ended";
/// How long the kernel may take to close the sockets of a process that was killed. Until it has, the
/// firewall is that one's.
const BURIAL: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// A session that ended in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// The host's network namespace then.
    host: (u64, u64),
    /// What the plans were made from.
    facts: Facts,
}

impl Engine {
    /// Takes up what the last session left, for one call: nothing is watched, no names are served,
    /// no ports held. Returns whether everything was compared.
    pub fn begin_call(&self) -> Result<bool, EngineError> {
        self.load_expected()?;
        let light = self.take_up()?;
        if light {
            self.adopt_sandboxes(&self.all_saved())?;
            *self.lock_host_plan() = self.host_plan(&self.state());
            self.remove_abandoned()?;
        } else {
            self.compare()?;
        }
        Ok(!light)
    }

    /// Compares everything with what was saved, and mends it: when a session did not end in order,
    /// or something that a call needs turned out to be missing.
    pub fn compare_all(&self) -> Result<(), EngineError> {
        self.read_facts()?;
        after_burial(|| self.sweep())?;
        Ok(())
    }

    fn compare(&self) -> Result<(), EngineError> {
        self.begin()?;
        self.read_facts()?;
        let written = self.given_at_start.lock_ignoring_poison().clone();
        self.adopt_sandboxes(&self.with_given(&self.all_of_containers()))?;
        after_burial(|| self.sweep())?;
        self.conform_all()?;
        self.unserve_given();
        self.forget_unused_given(&written);
        Ok(())
    }

    /// From now on, until [`Engine::end`], the next session compares everything.
    pub(crate) fn begin(&self) -> Result<(), EngineError> {
        self.ended_record.remove(ENDED).map_err(|error| {
            EngineError::failed("cannot write down that a session has begun", error)
        })
    }

    /// Writes down that what is saved is what the kernel has, and lets go of the firewall. Nothing
    /// may be changed afterwards.
    ///
    /// Where something was refused in the middle, `in_order` is false.
    pub fn end(&self, in_order: bool) {
        if !self.config.one_call {
            self.unserve_given();
        }
        if let Err(error) = self.executor.finish() {
            tracing::warn!(%error, "the journal of claims stays long");
        }
        let kernel = self.executor.kernel();
        if in_order && !self.repair_paused() {
            let ended = kernel.host_identity().map(|host| Ended {
                host,
                facts: self.facts(),
            });
            let written = ended.map_err(|error| error.to_string()).and_then(|ended| {
                let written = self.ended_record.write(ENDED, &ended);
                written.map_err(|error| error.to_string())
            });
            if let Err(error) = written {
                tracing::warn!(error, "the next session will compare everything");
            }
        }
        if let Err(error) = kernel.free_tables() {
            tracing::warn!(%error, "the firewall stays this process's until it ends");
        }
    }

    /// Takes the kernel for what the last session left. False if that did not end in order, the
    /// host is another by now, or the firewall is gone.
    fn take_up(&self) -> Result<bool, EngineError> {
        let Some(ended) = self.ended.lock_ignoring_poison().take() else {
            return Ok(false);
        };
        let failed = |error| EngineError::failed("cannot look at the host", error);
        let host = self.executor.kernel().host_identity().map_err(failed)?;
        let now = Facts {
            policy: ended.facts.policy,
            ..self.facts_now()?
        };
        if (host, &now) != (ended.host, &ended.facts) {
            return Ok(false);
        }
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = now;
        let plan = self.host_plan(&self.state());
        let key = Key::Table(Netns::Host, TABLE.into());
        let Some(table @ Object::Table(_)) = plan.objects().get(&key) else {
            self.begin()?;
            return Ok(true);
        };
        let found = self.executor.kernel().observe(&[&key]).map_err(failed)?;
        if found.is_empty() {
            return Ok(false);
        }
        self.begin()?;
        let mut tables = Plan::default();
        tables.add(key, table.clone());
        after_burial(|| {
            let taken = self.executor.restore_tables(&tables, &|keys| keys);
            taken.map_err(|error| EngineError::failed("the firewall cannot be taken over", error))
        })?;
        Ok(true)
    }

    /// The saved sandboxes.
    fn all_saved(&self) -> BTreeSet<SandboxId> {
        let saved = self.saved.lock_ignoring_poison();
        saved.values().map(|sandbox| sandbox.id).collect()
    }

    /// Those of containers, which a call does not know to live or not.
    fn all_of_containers(&self) -> BTreeSet<SandboxId> {
        let saved = self.saved.lock_ignoring_poison();
        let own = saved.values().filter(|sandbox| sandbox.given.is_none());
        own.map(|sandbox| sandbox.id).collect()
    }
}

/// Tries again while the firewall still belongs to a process that was killed.
pub(crate) fn after_burial<T>(
    attempt: impl Fn() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let end = Instant::now() + BURIAL;
    loop {
        match attempt() {
            Err(error) if is_anothers(&error) && Instant::now() < end => thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// Whether the kernel refused because a table has another owner.
fn is_anothers(error: &EngineError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}
