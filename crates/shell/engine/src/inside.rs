//! What containers have changed inside of what they were given.

use crate::{Engine, EngineError};
use sealane_core::explain::{Report, differences, inside};
use sealane_core::model::{Sandbox, SandboxId};
use sealane_core::plan::Key;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

impl Engine {
    /// What containers have changed inside of what they were given, a sentence for each container
    /// that has: it is theirs, and no repair puts it back.
    pub fn changed_inside(&self) -> Result<Vec<String>, EngineError> {
        let state = self.state();
        let mut sentences = Vec::new();
        for sandbox in state.sandboxes() {
            sentences.extend(self.changed_by(sandbox)?);
        }
        Ok(sentences)
    }

    /// What one has changed, as a sentence.
    fn changed_by(&self, sandbox: &Sandbox) -> Result<Option<String>, EngineError> {
        if sandbox.host {
            return Ok(None);
        }
        let planned = inside(&self.plan_of_sandbox(sandbox), &sandbox.id);
        let keys: Vec<&Key> = planned.keys().collect();
        let found = self.executor.kernel().observe(&keys);
        let found = found.map_err(|error| {
            let text = format!("what is inside {} cannot be read", sandbox.name);
            EngineError::failed(text, error)
        })?;
        let all = differences(&planned, &found);
        let differs = !all.is_empty() && self.state().sandbox(&sandbox.id).is_some();
        Ok(differs.then(|| format!("inside {}, {}", sandbox.name, all.join("; "))))
    }

    /// Adds to a report what those have changed who send or receive.
    pub(crate) fn tell_changed_inside(
        &self,
        report: &mut Report,
        ends: &BTreeSet<SandboxId>,
    ) -> Result<(), EngineError> {
        let state = self.state();
        let met = report.paths.iter().flat_map(|path| {
            let arrives = path
                .arrives
                .as_ref()
                .map(|arrival| arrival.destination.ip());
            let sent = path.destination.parse().ok();
            let sent =
                sent.or_else(|| Some(path.destination.parse::<std::net::SocketAddr>().ok()?.ip()));
            arrives.into_iter().chain(sent)
        });
        let met: BTreeSet<IpAddr> = met.collect();
        let has_one = |sandbox: &&Arc<Sandbox>| {
            let mut endpoints = sandbox.endpoints.values();
            endpoints.any(|endpoint| endpoint.addresses().any(|own| met.contains(&own)))
        };
        let ends = state
            .sandboxes()
            .filter(|sandbox| ends.contains(&sandbox.id) || has_one(sandbox));
        for sandbox in ends {
            report.changed.extend(self.changed_by(sandbox)?);
        }
        Ok(())
    }
}
