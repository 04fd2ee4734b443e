//! The firewall as it is in the kernel now: shown to people and to tools that read iptables, and put
//! back at once where it is missing.

use crate::{Engine, EngineError};
use sealane_core::plan::{Change, Key, Netns, Object, Plan};
use sealane_core::scopes::{TABLE, firewall_as_iptables, firewall_as_nft, host_table_of};

impl Engine {
    /// Whether the kernel keeps a table from others.
    pub(crate) fn owns_tables(&self) -> bool {
        self.executor
            .kernel()
            .owns_tables()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot try whether tables can be owned: they are not");
                false
            })
    }

    /// Puts the firewall back if something else has removed it. This never waits: while it is away
    /// whatever it guarded is open.
    pub(crate) fn keep_firewall(&self) {
        let key = Key::Table(Netns::Host, TABLE.into());
        let there = self.executor.kernel().observe(&[&key]);
        let restored = match there {
            Ok(found) if !found.is_empty() => return,
            Ok(_) => self.restore_firewall(key),
            Err(error) => Err(EngineError::failed("the firewall cannot be read", error)),
        };
        match restored {
            Ok(changes) => self.tell_repaired(&changes),
            Err(error) => tracing::error!(%error, "the firewall is gone and cannot be put back"),
        }
    }

    /// First the chains alone, which is soon done and shuts what must not be open even for a
    /// moment: the host's loopback. Then who may do what, but for what operations are changing.
    fn restore_firewall(&self, key: Key) -> Result<Vec<Change>, EngineError> {
        let failed = |error| EngineError::failed("the firewall could not be made again", error);
        let mut chains = Plan::default();
        let table = host_table_of(&self.facts().policy);
        chains.add(key, Object::Table(table));
        let chains = self.executor.restore_tables(&chains, &|keys| keys);
        chains.map_err(failed)?;
        let _host = self.lock_host_plan();
        let window = self.flights.open();
        let wanted = self.everything();
        let restored = self
            .executor
            .restore_tables(&wanted, &|keys| window.admit(keys));
        restored.map_err(failed)
    }

    /// Our firewall as `nft` would list it, from the live kernel, or the way iptables would say it.
    pub fn firewall(&self, as_iptables: bool) -> Result<String, EngineError> {
        let owned = self.executor.kernel().owned().map_err(|error| {
            EngineError::failed("the firewall of the host cannot be read", error)
        })?;
        Ok(match as_iptables {
            true => firewall_as_iptables(&owned),
            false => firewall_as_nft(&owned, &self.facts().policy),
        })
    }

    /// Whether foreign firewalls that drop are met.
    pub fn meets_firewalls(&self) -> bool {
        self.config.firewall_integration
    }
}
