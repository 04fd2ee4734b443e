//! To change the restart policy of a container, and its published ports.
//!
//! The record first, durably, then the sandbox, then the old record back if the sandbox refused:
//! after a crash the record is the truth, and the next start brings the sandbox in line.

use crate::container::Turn;
use crate::locks::lock;
use crate::publish::Changed;
use crate::request::PortChange;
use crate::{ContainerError, Containers, publish, settings};
use bollard_stubs::models::{ContainerUpdateBody, HostConfig, RestartPolicyNameEnum};
use serde_json::Value;

impl Containers {
    /// Changes the restart policy and the published ports; other fields of the request are
    /// refused. Returns warnings.
    pub fn update(
        &self,
        reference: &str,
        request: &ContainerUpdateBody,
        ports: &PortChange,
    ) -> Result<Vec<String>, ContainerError> {
        check_only_policy(request)?;
        let policy = request.restart_policy.clone();
        let checked = HostConfig {
            restart_policy: policy.clone(),
            ..HostConfig::default()
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
            .filter(|policy| !matches!(policy.name, None | Some(RestartPolicyNameEnum::EMPTY)));
        let not_never = named
            .as_ref()
            .is_some_and(|policy| policy.name != Some(RestartPolicyNameEnum::NO));
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

/// Clients send every field; those that say nothing are zero or empty.
fn check_only_policy(request: &ContainerUpdateBody) -> Result<(), ContainerError> {
    let value = serde_json::to_value(request)
        .map_err(|error| ContainerError::failed("the update cannot be understood", error))?;
    let fields = value.as_object().into_iter().flatten();
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    };
    let mut others = fields.filter(|(key, value)| *key != "RestartPolicy" && !says_nothing(value));
    match others.next() {
        Some((key, _)) => Err(ContainerError::NotImplemented(format!(
            "{key} of a container cannot be changed; only its restart policy and ports can"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_restart_policy_can_be_changed() {
        let sent = r#"{"CpuShares":0,"Memory":0,"CgroupParent":"","Devices":[],"OomKillDisable":null,
            "NanoCpus":0,"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}"#;
        check_only_policy(&serde_json::from_str(sent).unwrap()).unwrap();
        let refused = check_only_policy(&serde_json::from_str(r#"{"Memory":1}"#).unwrap());
        assert!(matches!(refused, Err(ContainerError::NotImplemented(_))));
    }
}
