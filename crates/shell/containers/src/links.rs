//! Links on the default bridge: there is no resolver there, so a linked container is known by lines
//! in /etc/hosts.

use crate::container::no_such_container;
use crate::record::{Link, Record};
use crate::{ContainerError, Containers};
use sealane_engine::HostTarget;

impl Containers {
    /// The names that a container's links give to others, with their addresses. The others must
    /// run.
    pub(crate) fn link_hosts(
        &self,
        record: &Record,
    ) -> Result<Vec<(String, HostTarget)>, ContainerError> {
        let mut hosts = Vec::new();
        if record.endpoints.contains_key("bridge") {
            for link in &record.links {
                hosts.extend(self.hosts_of_link(record, link)?);
            }
        }
        Ok(hosts)
    }

    /// The alias, the host name and the name of a linked container, each once for each address.
    fn hosts_of_link(
        &self,
        record: &Record,
        link: &Link,
    ) -> Result<Vec<(String, HostTarget)>, ContainerError> {
        let target = self.registry.get(&link.target);
        let target = target
            .ok_or_else(|| no_such_container(&link.target.to_string()))?
            .record();
        let bridge = self.parts.networks.network("bridge")?.id;
        let sandbox = self.parts.networks.sandbox(&target.id);
        let Some(sandbox) = sandbox.filter(|_| target.state.is_running()) else {
            return Err(ContainerError::internal(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                target.name, record.name, link.alias
            )));
        };
        let Some(endpoint) = sandbox.endpoints.get(&bridge) else {
            return Err(ContainerError::internal(format!(
                "Cannot link to /{}, as it does not belong to the default network",
                target.name
            )));
        };
        let mut names = vec![link.alias.as_str()];
        for name in [target.hostname(), target.name.as_str()] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let lines = endpoint.addresses().flat_map(|address| {
            names
                .iter()
                .map(move |name| ((*name).to_owned(), HostTarget::Address(address)))
        });
        Ok(lines.collect())
    }
}
