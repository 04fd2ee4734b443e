//! What an operation would change: the same reservations and the same plans, given back at once.

use crate::{Engine, EngineError, PlannedOperation};
use sealane_core::model::{Sandbox, SandboxId};
use sealane_core::plan::{Effect, Plan};
use sealane_kernel::Kernel;

type Executor = sealane_executor::Executor<Kernel>;

impl Engine {
    pub(crate) fn preview(&self, operation: &PlannedOperation) -> Result<String, EngineError> {
        // To try the change of a network is to be alone.
        let alone = matches!(operation, PlannedOperation::UpdateNetwork(..));
        let _running = (!alone).then(|| self.operations.read());
        // What is reserved here for a moment is not taken for what an operation has.
        let lock = sandbox_of(operation).map(|id| self.locks.of(id));
        let _own = lock.as_ref().map(|lock| lock.hold());
        let (old, new) = match operation {
            PlannedOperation::CreateNetwork(request) => self.preview_network(request)?,
            PlannedOperation::RemoveNetwork(reference) => {
                let network = self.state().find(reference)?.network.clone();
                let mut old = self.lock_host_plan().clone();
                old.merge(self.plan_of(&network));
                (old, self.host_plan_without(network.id))
            }
            PlannedOperation::CreateSandbox(spec) => {
                let sandbox = self.reserve_sandbox(spec)?;
                let plan = self.plan_of_sandbox(&sandbox);
                self.forget_sandbox(&sandbox, false);
                (Plan::default(), plan)
            }
            PlannedOperation::RemoveSandbox(id) => {
                let sandbox = self.existing(id)?;
                (self.plan_of_sandbox(&sandbox), Plan::default())
            }
            PlannedOperation::Attach(id, reference, spec) => {
                let old = self.existing(id)?;
                let (network, endpoint) = self.reserve_endpoint(&old, reference, spec.clone())?;
                let mut new = Sandbox::clone(&old);
                new.endpoints.insert(network.id, endpoint.clone());
                if new.resolver_ports.is_none() && self.wants_resolver(&new) {
                    new.resolver_ports = Some(self.free_resolver_ports(id));
                }
                let plans = (self.plan_of_sandbox(&old), self.plan_of_sandbox(&new));
                self.release_endpoint(id, &endpoint, false);
                plans
            }
            PlannedOperation::Detach(id, reference) => {
                let old = self.existing(id)?;
                let network = self.state().find(reference)?.network.id;
                let mut new = Sandbox::clone(&old);
                new.endpoints.remove(&network);
                (self.plan_of_sandbox(&old), self.plan_of_sandbox(&new))
            }
            PlannedOperation::Publish(id, requests, closing) => {
                self.preview_ports(id, requests, closing)?
            }
            PlannedOperation::UpdateNetwork(reference, change) => {
                self.preview_alteration(reference, change)?
            }
        };
        Ok(render(&old, &new))
    }

    fn preview_network(&self, request: &crate::CreateNetwork) -> Result<(Plan, Plan), EngineError> {
        let making = self.reserve_network(request)?;
        let plan = self.plan_of(&making.network);
        let from = self.lock_host_plan().clone();
        let mut to = self.host_plan(Some(&making.network));
        to.merge(plan);
        Ok((from, to))
    }
}

/// The sandbox that an operation is about.
fn sandbox_of(operation: &PlannedOperation) -> Option<SandboxId> {
    match operation {
        PlannedOperation::CreateNetwork(_)
        | PlannedOperation::RemoveNetwork(_)
        | PlannedOperation::UpdateNetwork(..) => None,
        PlannedOperation::CreateSandbox(spec) => Some(spec.id),
        PlannedOperation::RemoveSandbox(id)
        | PlannedOperation::Attach(id, ..)
        | PlannedOperation::Detach(id, _)
        | PlannedOperation::Publish(id, ..) => Some(*id),
    }
}

/// One change a line, in the order they are made, then what is done once.
fn render(old: &Plan, new: &Plan) -> String {
    let changes = Executor::preview(old, new)
        .into_iter()
        .map(|change| change.to_string());
    let effects = new
        .effects()
        .iter()
        .filter(|effect| !old.effects().contains(effect));
    let lines: Vec<String> = changes.chain(effects.map(Effect::to_string)).collect();
    lines.join("\n") + "\n"
}
