//! What a container uses: of the host by its cgroup, of the networks by its interfaces.

use crate::network_mode::NetworkMode;
use crate::{ContainerError, Containers};
use jiff::Timestamp;
use sealane_core::model::Id;
use sealane_engine::LinkCounters;
use sealane_runtime::{RuntimeError, Usage};
use std::collections::BTreeMap;

/// What a container uses, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Its id.
    pub id: Id,
    /// Its name, with the slash.
    pub name: String,
    /// When it was looked at.
    pub read: Timestamp,
    /// What it uses; `None` while it does not run.
    pub usage: Option<Usage>,
    /// What passed through its interfaces, by their names inside; through those of the container
    /// whose network stack it shares.
    pub networks: BTreeMap<String, LinkCounters>,
}

impl Containers {
    /// What a container uses now.
    pub fn stats(&self, reference: &str) -> Result<Stats, ContainerError> {
        let container = self.registry.find(reference)?;
        let record = container.record();
        let mut stats = Stats {
            id: record.id,
            name: format!("/{}", record.name),
            read: Timestamp::now(),
            usage: None,
            networks: BTreeMap::new(),
        };
        if !record.state.is_running() {
            return Ok(stats);
        }
        match self.parts.processes.usage(&record.id) {
            Ok(usage) => stats.usage = Some(usage),
            // It has just ended.
            Err(RuntimeError::Ended(_) | RuntimeError::NotFound(_)) => return Ok(stats),
            Err(error) => return Err(error.into()),
        }
        let stack = match record.network_mode() {
            NetworkMode::Container(target) => self.registry.find(target)?.id,
            NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None | NetworkMode::User(_) => {
                record.id
            }
        };
        stats.networks = self.parts.networks.counters(&stack)?;
        Ok(stats)
    }
}
