//! What an operation would change: decided as the operation decides, on a clone of what is known.
//!
//! Touches nothing: the clone is dropped, no lock of an operation is taken, no port is bound, and the
//! host is only read. So two dry runs at once say the same, and no other client sees either.

use crate::networks::removable;
use crate::{CreateNetwork, Engine, EngineError, PlannedOperation, SandboxSpec};
use sealane_core::model::{EndpointSpec, NetworkId, PortRequest, SandboxId, derive_id};
use sealane_core::plan::{Effect, Plan};
use sealane_core::reserve::{Joining, Phase};
use sealane_kernel::AnyKernel;

type Executor = sealane_executor::Executor<dyn AnyKernel>;
type Plans = Result<(Plan, Plan), EngineError>;

impl Engine {
    /// What an operation would change, as text, one object a line; nothing is reserved or changed.
    pub fn plan(&self, operation: &PlannedOperation) -> Result<String, EngineError> {
        let (old, new) = self.known.when_settled(|| self.plans(operation))?;
        Ok(render(&old, &new))
    }

    fn plans(&self, operation: &PlannedOperation) -> Plans {
        match operation {
            PlannedOperation::CreateNetwork(request) => self.preview_network(request),
            PlannedOperation::RemoveNetwork(reference) => self.preview_removal(reference),
            PlannedOperation::CreateSandbox(spec) => self.preview_sandbox(spec),
            PlannedOperation::RemoveSandbox(id) => {
                let sandbox = self.existing(id)?;
                Ok((self.plan_of_sandbox(&sandbox), Plan::default()))
            }
            PlannedOperation::Connect(id, reference, spec) => {
                self.preview_endpoint(id, reference, spec)
            }
            PlannedOperation::Disconnect(id, reference) => {
                let old = self.existing(id)?;
                let (new, _) = self.without_endpoint(&old, reference)?;
                Ok((self.plan_of_sandbox(&old), self.plan_of_sandbox(&new)))
            }
            PlannedOperation::Publish(id, requests, closing) => {
                self.preview_ports(id, requests, closing)
            }
            PlannedOperation::UpdateNetwork(reference, change) => {
                self.preview_update(reference, change)
            }
        }
    }

    /// The id that the network will have is not known yet; the same request is given the same here.
    fn preview_network(&self, request: &CreateNetwork) -> Plans {
        let id: NetworkId = derive_id(&[b"dry run", request.name.as_bytes()]);
        let seen = self.look_around(request, id)?;
        let known = self.state();
        let choose = |draft: &mut _| self.choose_network(draft, request, &seen);
        let (mut draft, network) = known.decided(choose)?;
        let network = self.with_device(&network)?;
        draft.set_network(network.clone());
        draft.set_phase(&network.id, Phase::Arriving);
        let mut to = self.host_plan(&draft);
        to.merge(self.plan_of(&network));
        Ok((self.host_plan(&known), to))
    }

    fn preview_removal(&self, reference: &str) -> Plans {
        let known = self.state();
        let network = removable(&known, reference)?;
        let mut old = self.host_plan(&known);
        old.merge(self.plan_of(&network));
        let mut draft = known.as_ref().clone();
        draft.drop_network(&network.id);
        Ok((old, self.host_plan(&draft)))
    }

    fn preview_sandbox(&self, spec: &SandboxSpec) -> Plans {
        let seen = self.look_beside_all(spec)?;
        let choose = |draft: &mut _| self.choose_sandbox(draft, spec, &seen);
        let (_, sandbox) = self.state().decided(choose)?;
        let foresee = |requests: &[PortRequest]| self.ports.foresee(&[], requests, &spec.id, None);
        let sandbox = self.with_published(sandbox, &spec.ports, &foresee)?;
        Ok((Plan::default(), self.plan_of_sandbox(&sandbox)))
    }

    fn preview_endpoint(&self, id: &SandboxId, reference: &str, spec: &EndpointSpec) -> Plans {
        let old = self.existing(id)?;
        let known = self.state();
        let host6 = self.look_beside(&known, &old, reference, spec)?;
        let joining = Joining {
            sandbox: &old,
            network: reference,
            spec,
            host6: &host6,
        };
        let now = self.uptime();
        let reserved = known.decided(|draft| draft.reserve_endpoint(&joining, now));
        let (_, (network, endpoint)) = reserved?;
        let new = self.with_endpoint(&old, network.id, &endpoint);
        Ok((self.plan_of_sandbox(&old), self.plan_of_sandbox(&new)))
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
