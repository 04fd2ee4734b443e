//! Purging: every object of ours goes, and the host is as it was before.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::plan::Plan;
use sealane_core::scopes::plan_before_us;

impl Engine {
    /// Removes every object of ours from the host: networks, sandboxes, tables. For `purge`.
    pub fn purge(&self) -> Result<(), EngineError> {
        let nothing = Plan::default();
        let window = self.flights.open();
        let swept = self.executor.sweep(&nothing, &|keys| window.admit(keys));
        swept
            .and_then(|_| {
                self.executor
                    .sweep_namespaces(&nothing, &|| window.spared())
            })
            .map_err(|error| EngineError::failed("not everything could be removed", error))?;
        self.restore_settings()?;
        self.withdraw_from_firewalld()
    }

    /// Gives the host the settings back that it had before us. What another has set since is not
    /// known; it will have to set it again. Forwarding that another daemon of ours needs stays.
    fn restore_settings(&self) -> Result<(), EngineError> {
        let Some(mut first) = self.first_facts.lock_ignoring_poison().clone() else {
            return Ok(());
        };
        let others = self.executor.kernel().forwarding_of_other_owners();
        let others =
            others.map_err(|error| EngineError::failed("cannot look for other daemons", error))?;
        first.ipv4_forwarding |= others.v4;
        first.ipv6_forwarding |= others.v6;
        first.advertised = self.still_there(&first.advertised)?;
        let restored = self
            .executor
            .apply(&Plan::default(), &plan_before_us(&first));
        restored.map(drop).map_err(|error| {
            EngineError::failed("the host's settings could not be restored", error)
        })
    }
}
