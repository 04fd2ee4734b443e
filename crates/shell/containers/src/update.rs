//! To change the restart policy of a container, and its published ports.
//!
//! The record first, durably, then the sandbox, then the old record back if the sandbox refused:
//! after a crash the record is the truth, and the next start brings the sandbox in line.

use crate::container::Turn;
use crate::locks::lock;
use crate::options::{HostOptions, RestartMode};
use crate::publish::Changed;
use crate::request::{PortChange, UpdateRequest};
use crate::{ContainerError, Containers, publish, settings};

impl Containers {
    /// Changes the restart policy and the published ports. Returns warnings.
    pub fn update(
        &self,
        reference: &str,
        request: &UpdateRequest,
    ) -> Result<Vec<String>, ContainerError> {
        let UpdateRequest {
            restart_policy: policy,
            ports,
        } = request;
        let checked = HostOptions {
            restart_policy: policy.clone(),
            ..HostOptions::default()
        };
        settings::check_restart_policy(&checked)?;
        let container = self.registry.find(reference)?;
        let turn = container.turn()?;
        let refused = |why: &str| {
            ContainerError::Conflict(format!("Cannot update container {}: {why}", container.id))
        };
        if lock(&container.life).removing {
            return Err(refused(
                "container is marked for removal and cannot be \"update\"",
            ));
        }
        let named = policy
            .clone()
            .filter(|policy| !matches!(policy.name, None | Some(RestartMode::Unset)));
        let not_never = named
            .as_ref()
            .is_some_and(|policy| policy.name != Some(RestartMode::No));
        if turn.record().auto_remove() && not_never {
            return Err(refused(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        if named.is_none() && publish::is_empty(ports) {
            return Ok(vec![]);
        }
        let mut warnings = Vec::new();
        let mut changed = self.with_ports(&turn, ports, &mut warnings)?;
        changed.host.restart_policy = named.or(changed.host.restart_policy);
        self.take_settings(&turn, changed, ports, &mut warnings)?;
        self.tell(&turn.record(), "update", []);
        Ok(warnings)
    }

    /// The settings of a container with its ports changed.
    fn with_ports(
        &self,
        turn: &Turn<'_>,
        ports: &PortChange,
        warnings: &mut Vec<String>,
    ) -> Result<Changed, ContainerError> {
        let record = turn.record();
        if publish::is_empty(ports) {
            return Ok(Changed {
                host: record.host_config.clone(),
                closing: vec![],
            });
        }
        let sandbox = self.parts.networks.sandbox(&record.id);
        let (config, host) = (&record.config, &record.host_config);
        publish::changed(
            &record.name,
            config,
            host,
            ports,
            sandbox.as_deref(),
            warnings,
        )
    }

    /// Stores new settings, and brings a running container's ports in line with them.
    fn take_settings(
        &self,
        turn: &Turn<'_>,
        changed: Changed,
        ports: &PortChange,
        warnings: &mut Vec<String>,
    ) -> Result<(), ContainerError> {
        let records = &*self.parts.records;
        let before = turn.record().host_config.clone();
        let Changed { host, closing } = changed;
        let record = turn.commit(records, |record| record.host_config = host)?;
        if publish::is_empty(ports) {
            return Ok(());
        }
        match self.republish(&record.id, &record.config, &record.host_config, &closing) {
            Ok(further) => {
                warnings.extend(further);
                Ok(())
            }
            Err(error) => {
                turn.note(records, |record| record.host_config = before);
                Err(error)
            }
        }
    }
}
