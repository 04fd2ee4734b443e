//! What operations on containers would change on the host. Nothing is reserved or changed.

use crate::network_mode::NetworkMode;
use crate::options::EndpointOptions;
use crate::record::{Record, Status};
use crate::request::{CreateRequest, PlanRequest, PortChange};
use crate::{ContainerError, Containers, endpoint, ports, publish};
use sealane_engine::PlannedOperation;

impl Containers {
    /// What an operation would change on the host, one object a line; changes nothing.
    pub fn plan(&self, request: &PlanRequest) -> Result<String, ContainerError> {
        match request {
            PlanRequest::Run(request) => {
                let mut warnings = Vec::new();
                let name = request.name.clone().unwrap_or_default();
                let draft = self.draft(CreateRequest::clone(request), &mut warnings)?;
                let name = if name.is_empty() {
                    draft.id.short(12)
                } else {
                    name
                };
                self.plan_start(&Record { name, ..draft })
            }
            PlanRequest::Start(reference) => {
                let record = self.registry.find(reference)?.record();
                match record.state.status {
                    Status::Running => Err(ContainerError::NotModified(
                        "container is already running".into(),
                    )),
                    Status::Created | Status::Exited | Status::Restarting => {
                        self.plan_start(&record)
                    }
                }
            }
            PlanRequest::Stop(reference) | PlanRequest::Remove(reference) => {
                self.plan_end(&self.registry.find(reference)?.record())
            }
            PlanRequest::Connect {
                network,
                container,
                settings,
            } => self.plan_connect(network, container, settings),
            PlanRequest::Publish { container, ports } => self.plan_publish(container, ports),
            PlanRequest::Disconnect { network, container } => {
                let record = self.registry.find(container)?.record();
                let name = self.parts.networks.find_network(network)?.spec.name.clone();
                let disconnect = PlannedOperation::Disconnect(record.id, name);
                self.plan_if_running(&record, disconnect)
            }
        }
    }

    fn plan_start(&self, record: &Record) -> Result<String, ContainerError> {
        match self.sandbox_spec(record)? {
            Some(spec) => Ok(self
                .parts
                .networks
                .plan(&PlannedOperation::CreateSandbox(spec))?),
            None => Ok(String::new()),
        }
    }

    fn plan_end(&self, record: &Record) -> Result<String, ContainerError> {
        match record.network_mode() {
            NetworkMode::Container(_) => Ok(String::new()),
            NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None | NetworkMode::User(_) => {
                self.plan_if_running(record, PlannedOperation::RemoveSandbox(record.id))
            }
        }
    }

    fn plan_publish(&self, container: &str, change: &PortChange) -> Result<String, ContainerError> {
        let record = self.registry.find(container)?.record();
        let sandbox = self.parts.networks.sandbox(&record.id);
        let mut warnings = Vec::new();
        let changed = publish::changed(
            &record.name,
            &record.config,
            &record.host_config,
            change,
            sandbox.as_deref(),
            &mut warnings,
        )?;
        let requests = ports::requests(&record.config, &changed.host)?;
        let publish = PlannedOperation::Publish(record.id, requests, changed.closing);
        self.plan_if_running(&record, publish)
    }

    fn plan_connect(
        &self,
        network: &str,
        container: &str,
        settings: &EndpointOptions,
    ) -> Result<String, ContainerError> {
        let record = self.registry.find(container)?.record();
        let name = self.parts.networks.find_network(network)?.spec.name.clone();
        if let Some(faults) = self.endpoint_faults(&name, settings)? {
            return Err(ContainerError::Invalid(faults));
        }
        let (spec, _) = endpoint::specify(settings)?;
        self.plan_if_running(&record, PlannedOperation::Connect(record.id, name, spec))
    }

    /// Of a container that does not run nothing is on the host, so nothing changes there.
    fn plan_if_running(
        &self,
        record: &Record,
        operation: PlannedOperation,
    ) -> Result<String, ContainerError> {
        match record.state.status {
            Status::Running => Ok(self.parts.networks.plan(&operation)?),
            Status::Created | Status::Restarting | Status::Exited => Ok(String::new()),
        }
    }
}
