//! The firewall as it is in the kernel now, for people and for tools that read iptables.

use crate::{Engine, EngineError};
use sealane_core::scopes::{firewall_as_iptables, firewall_as_nft};
use sealane_kernel::read::Observe;

impl Engine {
    /// The live elements of our table, as `nft list table` or `iptables-save` would print them.
    pub(crate) fn show_firewall(&self, as_iptables: bool) -> Result<String, EngineError> {
        let owned = self.executor.kernel().owned().map_err(|error| {
            EngineError::failed("the firewall of the host cannot be read", error)
        })?;
        Ok(match as_iptables {
            true => firewall_as_iptables(&owned),
            false => firewall_as_nft(&owned, &self.config.policy),
        })
    }
}
