//! What has passed through the interfaces of sandboxes.

use crate::{Engine, EngineError, LinkCounters};
use sealane_core::model::SandboxId;
use sealane_core::plan::Netns;
use std::collections::BTreeMap;

impl Engine {
    /// What has passed through the interfaces of a sandbox that lead to a network: not through its
    /// loopback, nor what a container made for itself. Nothing for the host's own.
    pub fn counters(&self, id: &SandboxId) -> Result<BTreeMap<String, LinkCounters>, EngineError> {
        let Some(sandbox) = self.sandbox(id).filter(|sandbox| !sandbox.host) else {
            return Ok(BTreeMap::new());
        };
        let kernel = self.executor.kernel();
        let mut counters = kernel.link_counters(Netns::Sandbox(*id)).map_err(|error| {
            let text = format!("cannot read the counters of sandbox {}", sandbox.name);
            EngineError::failed(text, error)
        })?;
        counters.retain(|name, _| {
            let mut endpoints = sandbox.endpoints.values();
            endpoints.any(|endpoint| endpoint.interface.as_str() == name)
        });
        Ok(counters)
    }
}
