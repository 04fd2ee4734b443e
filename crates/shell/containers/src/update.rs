//! To change the restart policy of a container.

use crate::locks::lock;
use crate::{ContainerError, Containers, settings};
use bollard_stubs::models::{ContainerUpdateBody, HostConfig, RestartPolicyNameEnum};
use serde_json::Value;

impl Containers {
    pub(crate) fn change(
        &self,
        reference: &str,
        request: &ContainerUpdateBody,
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
        let Some(policy) = named else {
            return Ok(vec![]);
        };
        if turn.record().auto_remove() && policy.name != Some(RestartPolicyNameEnum::NO) {
            return Err(refused(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        let record = turn.commit(&*self.parts.records, |record| {
            record.host_config.restart_policy = Some(policy);
        })?;
        self.tell(&record, "update", []);
        Ok(vec![])
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
            "{key} of a container cannot be changed; only its restart policy can"
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
